/* Snapshots: of one moment, and no larger than they were asked to be. */
#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

#include "tests/breaker/fixture.h"

#define SECOND HGI_NS_PER_S

static struct test_clock now;
static hg_breaker *breaker;

static void set_up(void)
{
    now = (struct test_clock)TEST_CLOCK_INIT;
    cr_assert_eq(hgi_breaker_new_with_clock(&breaker, NULL, test_clock_now, &now, NULL), HG_OK);
}

static void tear_down(void)
{
    hg_breaker_free(breaker);
}

TestSuite(snapshot, .init = set_up, .fini = tear_down);

static hg_permit admitted(void)
{
    hg_permit permit;
    cr_assert(hg_breaker_admit(breaker, &permit));
    return permit;
}

static struct hg_breaker_snapshot look(void)
{
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    return snapshot;
}

Test(snapshot, a_snapshot_writes_no_more_than_its_size)
{
    struct hg_breaker_snapshot snapshot;
    memset(&snapshot, 0xee, sizeof snapshot);
    snapshot.size = offsetof(struct hg_breaker_snapshot, streak);
    hg_breaker_take_snapshot(breaker, &snapshot);
    cr_assert_eq(snapshot.state, HG_BREAKER_CLOSED);
    cr_assert_eq(snapshot.streak, 0xeeeeeeee);
    cr_assert_eq(snapshot.size, offsetof(struct hg_breaker_snapshot, streak));
}

Test(snapshot, a_newer_caller_learns_how_much_is_filled)
{
    struct {
        struct hg_breaker_snapshot known;
        uint64_t unknown;
    } snapshot = { .known.size = sizeof snapshot, .unknown = 7 };
    hg_breaker_take_snapshot(breaker, &snapshot.known);
    cr_assert_eq(snapshot.known.size, sizeof snapshot.known);
    cr_assert_eq(snapshot.unknown, 7);
    struct {
        struct hg_breaker_options known;
        uint64_t unknown;
    } options = { .known.size = sizeof options, .unknown = 7 };
    hg_breaker_read_options(breaker, &options.known);
    cr_assert_eq(options.known.size, sizeof options.known);
    cr_assert_eq(options.unknown, 7);
}

/* A clock in whose reading another thread gets in between. */
static int64_t clock_with_another(void *arg)
{
    hg_breaker **meddled_with = arg;
    hg_breaker *it = *meddled_with;
    *meddled_with = NULL;
    if (it) {
        hg_breaker_reset(it);
        hg_breaker_reset(it);
        hg_breaker_force_open(it);
    }
    return test_clock_now(&now);
}

Test(snapshot, a_snapshot_is_of_one_moment)
{
    hg_breaker *meddled_with = NULL;
    hg_breaker *it;
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    cr_assert_eq(hgi_breaker_new_with_clock(&it, NULL, clock_with_another, &meddled_with, NULL),
                 HG_OK);
    meddled_with = it;
    hg_breaker_take_snapshot(it, &snapshot);
    cr_assert_null(meddled_with);
    cr_assert_eq(snapshot.state, HG_BREAKER_CLOSED);
    cr_assert_eq(snapshot.generation, 0);
    hg_breaker_take_snapshot(it, &snapshot);
    cr_assert_eq(snapshot.state, HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(snapshot.generation, snapshot.transitions);
    hg_breaker_free(it);
}

Test(snapshot, a_snapshot_says_what_the_next_call_meets_and_its_generation)
{
    for (int i = 0; i < 5; i++)
        hg_breaker_report(breaker, admitted(), HG_RESULT_FAILURE, 0);
    struct hg_breaker_snapshot open = look();
    cr_assert_eq(open.state, HG_BREAKER_OPEN);
    cr_assert_gt(open.retry_after_ns, 0);
    test_clock_pass(&now, hg_breaker_retry_after(breaker));
    struct hg_breaker_snapshot due = look();
    cr_assert_eq(due.state, HG_BREAKER_HALF_OPEN);
    cr_assert_eq(due.generation, open.generation + 1);
    cr_assert_eq(due.streak, open.streak);
    cr_assert_eq(due.probes_issued, 0, "it is not issued yet");
    cr_assert_eq(due.transitions, open.transitions, "and has not begun");
    hg_permit probe = admitted();
    cr_assert_eq(look().generation, due.generation);
    cr_assert_eq(look().probes_issued, 1);
    hg_breaker_report(breaker, probe, HG_RESULT_SUCCESS, 0);
    cr_assert_eq(look().probes_issued, 1);
    cr_assert_eq(look().probes_succeeded, 1);
    for (int i = 0; i < 2; i++)
        admitted();
    cr_assert_eq(look().probes_issued, 3);
    test_clock_pass(&now, 6 * SECOND); /* the lease ends */
    struct hg_breaker_snapshot ended = look();
    cr_assert_eq(ended.state, HG_BREAKER_OPEN);
    cr_assert_eq(ended.generation, due.generation + 1);
    cr_assert_eq(ended.probes_issued, 0);
    cr_assert_eq(ended.probes_succeeded, 0);
    cr_assert_gt(ended.retry_after_ns, 0);
}

/* hg_pool_breaker() gives NULL where the policy has no breaker. */
Test(snapshot, no_breaker_looks_like_one_that_is_disabled)
{
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot, .opened = 1 };
    cr_assert_eq(hg_breaker_state_now(NULL), HG_BREAKER_DISABLED);
    cr_assert_eq(hg_breaker_retry_after(NULL), 0);
    hg_breaker_take_snapshot(NULL, &snapshot);
    cr_assert_eq(snapshot.size, sizeof snapshot);
    cr_assert_eq(snapshot.state, HG_BREAKER_DISABLED);
    cr_assert_eq(snapshot.opened, 0);
    snapshot = (struct hg_breaker_snapshot) { .size = sizeof snapshot.size, .opened = 1 };
    hg_breaker_take_snapshot(NULL, &snapshot);
    cr_assert_eq(snapshot.opened, 1, "it wrote beyond its size");
}

static void unheard(void *arg, const struct hg_breaker_event *event)
{
    (void)arg;
    (void)event;
}

Test(snapshot, no_breaker_is_operated_in_vain_and_has_no_listeners)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker_trip(NULL);
    hg_breaker_force_open(NULL);
    hg_breaker_force_close(NULL);
    hg_breaker_disable(NULL);
    hg_breaker_reset(NULL);
    cr_assert_eq(hg_breaker_listen(NULL, unheard, NULL, &err), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "breaker is NULL"), "%s", err.message);
    hg_breaker_unlisten(NULL, unheard, NULL);
}
