/* The breaker as its users meet it, one promise a test, on a clock that the test moves. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/breaker/fixture.h"

#define SECOND HGI_NS_PER_S

static struct test_clock now;
static hg_breaker *breaker;

static void start_with(const struct hg_breaker_options *options)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker_free(breaker);
    cr_assert_eq(hgi_breaker_new_with_clock(&breaker, options, test_clock_now, &now, &err), HG_OK,
                 "%s", err.message);
}

static struct hg_breaker_options plain_options(void)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.recovery_jitter = 0;
    options.seed = 7;
    return options;
}

static void set_up(void)
{
    now.now_ns = 1000 * SECOND + 17;
    struct hg_breaker_options options = plain_options();
    start_with(&options);
}

static void tear_down(void)
{
    hg_breaker_free(breaker);
    breaker = NULL;
}

TestSuite(breaker, .init = set_up, .fini = tear_down);

static hg_permit admitted(void)
{
    hg_permit permit;
    cr_assert(hg_breaker_admit(breaker, &permit));
    return permit;
}

static void refused(void)
{
    hg_permit permit;
    cr_assert_not(hg_breaker_admit(breaker, &permit));
    cr_assert_eq(permit.opaque, 0);
}

static void call(hg_result result)
{
    hg_breaker_report(breaker, admitted(), result, 0);
}

static void fail(int times)
{
    while (times-- > 0)
        call(HG_RESULT_FAILURE);
}

static void pass_open_time(void)
{
    test_clock_pass(&now, hg_breaker_retry_after(breaker));
}

static struct hg_breaker_snapshot look(void)
{
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    return snapshot;
}

Test(breaker, opens_at_the_threshold_and_not_before)
{
    fail(4);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    fail(1);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
    refused();
}

Test(breaker, a_success_ends_the_failures_in_a_row)
{
    fail(4);
    call(HG_RESULT_SUCCESS);
    fail(4);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    cr_assert_eq(look().failures_in_a_row, 4);
}

Test(breaker, refuses_until_the_recovery_timeout_has_passed_whole)
{
    fail(5);
    test_clock_pass(&now, SECOND);
    refused();
    cr_assert_leq(hg_breaker_retry_after(breaker), 2 * HGI_TICK_NS);
    pass_open_time();
    cr_assert_eq(hg_breaker_retry_after(breaker), 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_HALF_OPEN);
    cr_assert(hgi_permit_is_probe(admitted()));
}

Test(breaker, half_open_admits_no_more_than_its_probes)
{
    fail(5);
    pass_open_time();
    for (int i = 0; i < 3; i++)
        cr_assert(hgi_permit_is_probe(admitted()));
    refused();
    cr_assert_eq(look().probes_issued, 3);
    cr_assert_eq(look().probes, 3);
}

Test(breaker, closes_after_enough_successful_probes_and_not_before)
{
    fail(5);
    pass_open_time();
    call(HG_RESULT_SUCCESS);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_HALF_OPEN);
    call(HG_RESULT_SUCCESS);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    cr_assert_eq(look().streak, 0);
}

Test(breaker, one_failed_probe_opens_it_again_for_longer)
{
    fail(5);
    int64_t first = hg_breaker_retry_after(breaker);
    pass_open_time();
    call(HG_RESULT_FAILURE);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
    int64_t second = hg_breaker_retry_after(breaker);
    cr_assert_geq(second, 2 * first - 3 * HGI_TICK_NS);
    cr_assert_leq(second, 2 * first + 3 * HGI_TICK_NS);
    for (int i = 0; i < 20; i++) {
        pass_open_time();
        call(HG_RESULT_FAILURE);
    }
    cr_assert_leq(hg_breaker_retry_after(breaker), 10 * SECOND + 2 * HGI_TICK_NS, "the maximum");
    cr_assert_eq(look().streak, 15);
}

Test(breaker, closing_forgets_the_streak)
{
    fail(5);
    pass_open_time();
    call(HG_RESULT_FAILURE);
    pass_open_time();
    call(HG_RESULT_SUCCESS);
    call(HG_RESULT_SUCCESS);
    fail(5);
    cr_assert_leq(hg_breaker_retry_after(breaker), SECOND + 2 * HGI_TICK_NS);
}

Test(breaker, a_late_failure_neither_opens_nor_reopens_it)
{
    hg_permit old = admitted();
    fail(5);
    hg_breaker_report(breaker, old, HG_RESULT_FAILURE, 0);
    cr_assert_eq(look().streak, 1);
    pass_open_time();
    admitted();
    hg_breaker_report(breaker, old, HG_RESULT_FAILURE, 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_HALF_OPEN);
    cr_assert_eq(look().late, 2);
}

Test(breaker, late_successes_do_not_close_it)
{
    hg_permit old[10];
    for (int i = 0; i < 10; i++)
        old[i] = admitted();
    fail(5);
    pass_open_time();
    admitted();
    for (int i = 0; i < 10; i++)
        hg_breaker_report(breaker, old[i], HG_RESULT_SUCCESS, 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_HALF_OPEN);
    cr_assert_eq(look().probes_succeeded, 0);
}

Test(breaker, a_probe_of_an_earlier_half_open_period_is_late)
{
    fail(5);
    pass_open_time();
    hg_permit old = admitted();
    call(HG_RESULT_FAILURE);
    pass_open_time();
    admitted();
    hg_breaker_report(breaker, old, HG_RESULT_SUCCESS, 0);
    cr_assert_eq(look().probes_succeeded, 0);
    hg_breaker_cancel(breaker, old);
    cr_assert_eq(look().probes_issued, 1);
}

Test(breaker, a_call_longer_than_the_generation_can_vouch_for_is_late)
{
    hg_permit permit = admitted();
    hg_breaker_report(breaker, permit, HG_RESULT_FAILURE, 365 * 86400 * SECOND);
    cr_assert_eq(look().failures_in_a_row, 0);
    cr_assert_eq(look().late, 1);
}

Test(breaker, a_lost_probe_does_not_wedge_it)
{
    fail(5);
    pass_open_time();
    for (int i = 0; i < 3; i++)
        admitted();
    test_clock_pass(&now, 5 * SECOND - HGI_TICK_NS);
    refused();
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_HALF_OPEN);
    test_clock_pass(&now, 3 * HGI_TICK_NS);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
    refused();
    cr_assert_eq(look().streak, 1, "the end of a lease is no verdict on the server");
    cr_assert_gt(hg_breaker_retry_after(breaker), SECOND - 2 * HGI_TICK_NS, "a full period");
    pass_open_time();
    call(HG_RESULT_SUCCESS);
    call(HG_RESULT_SUCCESS);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
}

Test(breaker, few_calls_with_answered_probes_do_not_reopen_it)
{
    fail(5);
    pass_open_time();
    call(HG_RESULT_SUCCESS);
    test_clock_pass(&now, 60 * SECOND);
    call(HG_RESULT_SUCCESS);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
}

Test(breaker, a_cancelled_probe_gives_its_place_back)
{
    fail(5);
    pass_open_time();
    for (int i = 0; i < 100; i++)
        hg_breaker_cancel(breaker, admitted());
    for (int i = 0; i < 3; i++)
        admitted();
    refused();
    cr_assert_eq(look().cancelled, 100);
}

Test(breaker, a_cancelled_call_counts_neither_way)
{
    fail(4);
    hg_breaker_cancel(breaker, admitted());
    cr_assert_eq(look().failures_in_a_row, 4);
    fail(1);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
}

Test(breaker, what_was_refused_cannot_be_reported)
{
    fail(5);
    hg_permit none = { 0 };
    hg_breaker_report(breaker, none, HG_RESULT_SUCCESS, 0);
    hg_breaker_report(breaker, none, HG_RESULT_FAILURE, 0);
    hg_breaker_cancel(breaker, none);
    cr_assert_eq(look().late, 0);
    cr_assert_eq(look().failed, 5);
}

Test(breaker, who_must_not_probe_is_refused_unless_closed)
{
    hg_permit permit;
    cr_assert(hgi_breaker_admit(breaker, HGI_ADMIT_NO_PROBE, &permit));
    fail(5);
    cr_assert_not(hgi_breaker_admit(breaker, HGI_ADMIT_NO_PROBE, &permit));
    pass_open_time();
    cr_assert_not(hgi_breaker_admit(breaker, HGI_ADMIT_NO_PROBE, &permit));
    admitted();
    cr_assert_not(hgi_breaker_admit(breaker, HGI_ADMIT_NO_PROBE, &permit));
    hg_breaker_force_close(breaker);
    cr_assert(hgi_breaker_admit(breaker, HGI_ADMIT_NO_PROBE, &permit));
    hg_breaker_disable(breaker);
    cr_assert(hgi_breaker_admit(breaker, HGI_ADMIT_NO_PROBE, &permit));
}

Test(breaker, a_trip_opens_it_at_once)
{
    hg_breaker_trip(breaker);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
    uint32_t generation = look().generation;
    hg_breaker_trip(breaker);
    cr_assert_eq(look().generation, generation, "open already");
    pass_open_time();
    admitted();
    hg_breaker_trip(breaker);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
    cr_assert_eq(look().streak, 2);
    hg_breaker_force_close(breaker);
    hg_breaker_trip(breaker);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_FORCED_CLOSED);
}

Test(breaker, forced_open_refuses_until_told_otherwise)
{
    hg_breaker_force_open(breaker);
    test_clock_pass(&now, 3600 * SECOND);
    refused();
    cr_assert_eq(hg_breaker_retry_after(breaker), 0);
    hg_breaker_reset(breaker);
    admitted();
}

Test(breaker, forced_closed_and_disabled_never_trip)
{
    for (int i = 0; i < 2; i++) {
        i == 0 ? hg_breaker_force_close(breaker) : hg_breaker_disable(breaker);
        fail(100);
        cr_assert_eq(hg_breaker_state_now(breaker),
                     i == 0 ? HG_BREAKER_FORCED_CLOSED : HG_BREAKER_DISABLED);
        cr_assert_eq(look().failed, (uint64_t)(100 * (i + 1)), "but count");
    }
}

Test(breaker, reset_forgets_failures_streak_and_calls_under_way)
{
    fail(4);
    hg_permit old = admitted();
    hg_breaker_reset(breaker);
    hg_breaker_report(breaker, old, HG_RESULT_FAILURE, 0);
    fail(4);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    fail(1);
    pass_open_time();
    fail(1);
    hg_breaker_reset(breaker);
    cr_assert_eq(look().streak, 0);
}

Test(breaker, each_transition_makes_the_generation_grow_by_one_and_it_comes_round)
{
    uint32_t expected = 0;
    for (uint32_t i = 0; i < 70000; i++) {
        hg_breaker_reset(breaker);
        expected = (expected + 1) & 0xffff;
        cr_assert_eq(look().generation, expected);
    }
    fail(5);
    cr_assert_eq(look().generation, (expected + 1) & 0xffff);
    cr_assert_eq(look().transitions, 70001);
    cr_assert_eq(look().opened, 1);
}

Test(breaker, calls_are_counted_when_asked_for)
{
    struct hg_breaker_options options = plain_options();
    options.count_calls = true;
    start_with(&options);
    for (int i = 0; i < 10; i++)
        call(HG_RESULT_SUCCESS);
    fail(3);
    cr_assert_eq(look().admitted, 13);
    cr_assert_eq(look().succeeded, 10);
    cr_assert_eq(look().failed, 3);
}

Test(breaker, two_breakers_of_one_seed_reopen_together_and_others_do_not)
{
    struct hg_breaker_options options = plain_options();
    options.recovery_jitter = 1;
    int64_t after[3];
    for (uint64_t i = 0; i < 3; i++) {
        options.seed = 7 + i / 2;
        start_with(&options);
        hg_breaker_trip(breaker);
        after[i] = hg_breaker_retry_after(breaker);
    }
    cr_assert_eq(after[0], after[1]);
    cr_assert_neq(after[0], after[2]);
}

/* Listeners */

struct heard {
    struct hg_breaker_event events[64];
    int count;
    int resets_left;
};

static void hear(void *arg, const struct hg_breaker_event *event)
{
    struct heard *heard = arg;
    heard->events[heard->count++ % 64] = *event;
}

Test(breaker, listeners_hear_each_transition_once_in_order)
{
    struct heard heard = { .count = 0 };
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard, NULL), HG_OK);
    fail(5);
    pass_open_time();
    call(HG_RESULT_SUCCESS);
    call(HG_RESULT_SUCCESS);
    static const hg_breaker_state path[] = { HG_BREAKER_CLOSED, HG_BREAKER_OPEN,
                                             HG_BREAKER_HALF_OPEN, HG_BREAKER_CLOSED };
    cr_assert_eq(heard.count, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(heard.events[i].from, path[i]);
        cr_assert_eq(heard.events[i].to, path[i + 1]);
        cr_assert_eq(heard.events[i].generation, (uint32_t)i + 1);
        cr_assert_eq(heard.events[i].missed, 0);
    }
    cr_assert_gt(heard.events[0].retry_after_ns, SECOND - 1);
    hg_breaker_unlisten(breaker, hear, &heard);
    hg_breaker_reset(breaker);
    cr_assert_eq(heard.count, 3);
}

static void hear_and_act(void *arg, const struct hg_breaker_event *event)
{
    struct heard *heard = arg;
    hear(arg, event);
    int before = heard->count;
    hg_permit permit;
    hg_breaker_admit(breaker, &permit);
    hg_breaker_report(breaker, permit, HG_RESULT_SUCCESS, 0);
    look();
    if (heard->resets_left-- > 0)
        hg_breaker_reset(breaker);
    else
        hg_breaker_unlisten(breaker, hear_and_act, heard);
    cr_assert_eq(heard->count, before, "an event is never told inside another");
}

Test(breaker, a_listener_may_call_anything)
{
    struct heard heard = { .resets_left = 20 };
    hg_breaker_listen(breaker, hear_and_act, &heard, NULL);
    hg_breaker_trip(breaker);
    cr_assert_eq(heard.count, 21);
    for (int i = 0; i < 21; i++)
        cr_assert_eq(heard.events[i].generation, (uint32_t)i + 1);
    hg_breaker_reset(breaker);
    cr_assert_eq(heard.count, 21, "it has left");
}

Test(breaker, listeners_have_eight_places_that_are_free_again)
{
    struct heard heard[9] = { 0 };
    struct hg_error err = HG_ERROR_INIT;
    for (int i = 0; i < 8; i++)
        cr_assert_eq(hg_breaker_listen(breaker, hear, &heard[i], &err), HG_OK);
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard[8], &err), HG_ERR_VALIDATION);
    cr_assert(strstr(err.message, "8"));
    hg_breaker_unlisten(breaker, hear, &heard[3]);
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard[8], &err), HG_OK);
    cr_assert_eq(hg_breaker_listen(breaker, NULL, NULL, &err), HG_ERR_VALIDATION);
    hg_breaker_reset(breaker);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(heard[i].count, i == 3 ? 0 : 1);
}

Test(breaker, states_have_names)
{
    cr_assert_str_eq(hg_breaker_state_name(HG_BREAKER_HALF_OPEN), "half-open");
    cr_assert_str_eq(hg_breaker_state_name(HG_BREAKER_DISABLED), "disabled");
    cr_assert_str_eq(hg_breaker_state_name((hg_breaker_state)77), "?");
}

Test(breaker, freeing_nothing_does_nothing)
{
    hg_breaker_free(NULL);
}
