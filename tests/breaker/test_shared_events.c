/* The shared form's listeners: what other processes did, and what a child of fork() hears. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "tests/breaker/shared_suite.h"

TestSuite(shared_events, .init = set_up, .fini = tear_down);

enum { HEARD_MAX = 16 };

struct heard {
    uint32_t count;
    struct hg_breaker_event events[HEARD_MAX];
};

static void hear(void *arg, const struct hg_breaker_event *event)
{
    struct heard *heard = arg;
    if (heard->count < HEARD_MAX)
        heard->events[heard->count] = *event;
    heard->count++;
}

/* Forced open and reset, `times` in all, by another process. */
static int changes_it(void *arg)
{
    hg_breaker *breaker;
    if (hgi_shared_open(&breaker, NAME, &options, &folder.how, NULL) < 0)
        return 1;
    for (int i = 0; i < *(int *)arg; i++) {
        if (i % 2 == 0)
            hg_breaker_force_open(breaker);
        else
            hg_breaker_reset(breaker);
    }
    hg_breaker_free(breaker);
    return 0;
}

static void others_change_it(int times)
{
    cr_assert_eq(in_child(changes_it, &times), 0);
}

Test(shared_events, what_others_did_is_told_with_its_generation_and_what_was_missed)
{
    struct heard heard = { 0 };
    hg_breaker *breaker = opened();
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard, NULL), HG_OK);
    uint32_t began = snapshot_of(breaker).generation;
    cr_assert_eq(heard.count, 0);
    others_change_it(1);
    hg_permit permit;
    cr_assert_not(hg_breaker_admit(breaker, &permit));
    cr_assert_eq(heard.count, 1);
    const struct hg_breaker_event *event = &heard.events[0];
    cr_assert(event->elsewhere);
    cr_assert_eq(event->generation, (began + 1) & HGI_GENERATION_MAX);
    cr_assert_eq(event->from, HG_BREAKER_CLOSED);
    cr_assert_eq(event->to, HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(event->missed, 0);
    others_change_it(4); /* no transition, reset, forced open, reset */
    admitted(breaker);
    cr_assert_eq(heard.count, 2);
    event = &heard.events[1];
    cr_assert(event->elsewhere);
    cr_assert_eq(event->generation, (began + 4) & HGI_GENERATION_MAX);
    cr_assert_eq(event->from, HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(event->to, HG_BREAKER_CLOSED);
    cr_assert_eq(event->missed, 2);
    others_change_it(2);
    hg_breaker_force_close(breaker); /* meets what they did, and adds its own */
    cr_assert_eq(heard.count, 4);
    cr_assert(heard.events[2].elsewhere);
    cr_assert_eq(heard.events[2].missed, 1);
    event = &heard.events[3];
    cr_assert_not(event->elsewhere);
    cr_assert_eq(event->missed, 0);
    cr_assert_eq(event->generation, (began + 7) & HGI_GENERATION_MAX);
    cr_assert_eq(event->from, HG_BREAKER_CLOSED);
    cr_assert_eq(event->to, HG_BREAKER_FORCED_CLOSED);
    admitted(breaker);
    cr_assert_eq(heard.count, 4);
    hg_breaker_free(breaker);
}

Test(shared_events, one_that_slept_over_most_of_a_turn_of_the_generation_is_told_right)
{
    struct heard heard = { 0 };
    hg_breaker *breaker = opened();
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard, NULL), HG_OK);
    others_change_it(60000);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    others_change_it(1);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(heard.count, 2);
    cr_assert_eq(heard.events[0].missed, 59999);
    cr_assert_eq(heard.events[1].missed, 0);
    hg_breaker_free(breaker);
}

Test(shared_events, a_successor_is_told_once_and_its_transitions_follow)
{
    struct heard heard = { 0 };
    hg_breaker *breaker = opened();
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard, NULL), HG_OK);
    hg_breaker_force_open(breaker);
    unlinked();
    admitted(breaker);
    cr_assert_eq(heard.count, 2);
    cr_assert(heard.events[1].elsewhere);
    cr_assert_eq(heard.events[1].from, HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(heard.events[1].to, HG_BREAKER_CLOSED);
    cr_assert_eq(heard.events[1].missed, 0);
    cr_assert_eq(heard.events[1].generation, snapshot_of(breaker).generation);
    hg_breaker_force_open(breaker);
    cr_assert_eq(heard.count, 3);
    cr_assert_not(heard.events[2].elsewhere);
    cr_assert_eq(heard.events[2].missed, 0);
    hg_breaker_free(breaker);
}

/* The library's mremap(): what it does, and then, once, what another thread could do right after it. */
static hg_breaker *opens_when_moved;

void *move_and_open(void *old, size_t old_size, size_t new_size, int flags, ...) __asm__("mremap");

void *move_and_open(void *old, size_t old_size, size_t new_size, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    void *wanted = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    long moved = syscall(SYS_mremap, old, old_size, new_size, flags, wanted);
    hg_breaker *breaker = opens_when_moved;
    opens_when_moved = NULL;
    if (moved != -1 && breaker)
        hg_breaker_force_open(breaker);
    return (void *)moved; /* NOLINT(performance-no-int-to-ptr) */
}

Test(shared_events, one_made_while_the_segment_is_exchanged_is_told_once_and_is_no_gap)
{
    struct heard heard = { 0 };
    hg_breaker *breaker = opened();
    hg_permit permit;
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard, NULL), HG_OK);
    unlinked();
    opens_when_moved = breaker;
    cr_assert_not(hg_breaker_admit(breaker, &permit));
    cr_assert_null(opens_when_moved);
    cr_assert_eq(snapshot_of(breaker).transitions, 1);
    cr_assert_eq(heard.count, 1);
    cr_assert_not(heard.events[0].elsewhere);
    cr_assert_eq(heard.events[0].to, HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(heard.events[0].generation, snapshot_of(breaker).generation);
    cr_assert_eq(heard.events[0].missed, 0);
    hg_breaker_reset(breaker);
    cr_assert_eq(heard.count, 2);
    cr_assert_eq(heard.events[1].missed, 0);
    others_change_it(3);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(heard.count, 3);
    cr_assert_eq(heard.events[2].missed, 2);
    hg_breaker_free(breaker);
}

/* Both make transitions all the time; each is told of every one of its own, in order. */
static void *flip(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        hg_breaker_force_open(arg);
        hg_breaker_reset(arg);
    }
    return NULL;
}

struct tally {
    bool began;
    uint32_t generation;
    uint64_t own, told;
};

static void tally(void *arg, const struct hg_breaker_event *event)
{
    struct tally *sums = arg;
    uint32_t steps = (event->generation - sums->generation) & HGI_GENERATION_MAX;
    REQUIRE(((event->missed + 1) & HGI_GENERATION_MAX) == steps);
    sums->generation = event->generation;
    sums->own += !event->elsewhere;
    sums->told += 1 + (uint64_t)event->missed;
}

static _Atomic uint64_t *own_of_all; /* written by the processes at their end; shared memory */

static int flips_with_threads(void *arg)
{
    struct tally sums = { 0 };
    pthread_t threads[2];
    hg_breaker *breaker;
    (void)arg;
    if (hgi_shared_open(&breaker, NAME, &options, &folder.how, NULL) < 0)
        return 1;
    sums.generation = hgi_local_of(breaker)->events.last_order & HGI_GENERATION_MAX;
    REQUIRE(hg_breaker_listen(breaker, tally, &sums, NULL) == HG_OK);
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&threads[i], NULL, flip, breaker) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    hg_breaker_state_now(breaker);
    REQUIRE(sums.own > 0 && sums.told >= sums.own);
    atomic_fetch_add(own_of_all, sums.own);
    hg_breaker_free(breaker);
    return 0;
}

Test(shared_events, of_two_processes_with_threads_each_is_told_all_its_own_in_order)
{
    hg_breaker *breaker = opened();
    own_of_all =
        mmap(NULL, sizeof *own_of_all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(own_of_all, MAP_FAILED);
    pid_t other = fork();
    cr_assert_geq(other, 0);
    if (other == 0)
        _exit(flips_with_threads(NULL));
    cr_assert_eq(in_child(flips_with_threads, NULL), 0);
    int status;
    cr_assert_eq(waitpid(other, &status, 0), other);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* What the two were told to be their own is all that was ever done. */
    cr_assert_geq(snapshot_of(breaker).transitions, 8000);
    cr_assert_eq(atomic_load(own_of_all), snapshot_of(breaker).transitions);
    hg_breaker_free(breaker);
}

/* --- fork --- */

static int changes_what_it_inherited(void *arg)
{
    struct heard heard = { 0 };
    if (hg_breaker_listen(arg, hear, &heard, NULL) < 0)
        return 1;
    hg_breaker_force_open(arg);
    return heard.count == 1 && !heard.events[0].elsewhere ? 0 : 2;
}

Test(shared_events, a_child_shares_the_breaker_that_it_inherited)
{
    struct heard heard = { 0 };
    hg_breaker *breaker = opened();
    cr_assert_eq(hg_breaker_listen(breaker, hear, &heard, NULL), HG_OK);
    cr_assert_eq(in_child(changes_what_it_inherited, breaker), 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(heard.count, 1);
    cr_assert(heard.events[0].elsewhere);
    hg_breaker_free(breaker);
}

/* As a child of the parent's thread that reopens, where no handler of fork() ran. */
static int goes_on_with_a_retired_one(void *arg)
{
    struct heard heard = { 0 };
    hg_breaker *breaker = arg;
    hgi_local_of(breaker)->shared->reopening = 1;
    hgi_breaker_forget_threads(breaker);
    REQUIRE(hg_breaker_listen(breaker, hear, &heard, NULL) == HG_OK);
    hg_breaker_cancel(breaker, admitted(breaker));
    REQUIRE(heard.count == 1 && heard.events[0].elsewhere);
    REQUIRE(heard.events[0].from == HG_BREAKER_CLOSED && heard.events[0].missed == 0);
    return 0;
}

Test(shared_events, a_child_without_handlers_leaves_a_retired_breaker_for_its_successor)
{
    hg_breaker *breaker = opened();
    unlinked();
    cr_assert_eq(in_child(goes_on_with_a_retired_one, breaker), 0);
    hg_breaker_free(breaker);
}

/* A listener that holds up its thread, so that fork() comes in the middle of a delivery. */
static _Atomic int in_listener;
static _Atomic int leave_listener;
static pid_t parent;

static void hold_up(void *arg, const struct hg_breaker_event *event)
{
    (void)event;
    atomic_fetch_add((_Atomic int *)arg, 1);
    if (getpid() != parent)
        return;
    atomic_store(&in_listener, 1);
    while (!atomic_load(&leave_listener))
        sched_yield();
}

static void *force_open(void *arg)
{
    hg_breaker_force_open(arg);
    return NULL;
}

static _Atomic int told;

static int is_still_told(void *arg)
{
    int before = atomic_load(&told);
    hg_breaker_force_close(arg);
    hg_breaker_disable(arg);
    return atomic_load(&told) == before + 2 ? 0 : 1;
}

static void fork_in_the_middle_of_a_delivery(hg_breaker *breaker)
{
    pthread_t thread;
    parent = getpid();
    cr_assert_eq(hg_breaker_listen(breaker, hold_up, &told, NULL), HG_OK);
    cr_assert_eq(pthread_create(&thread, NULL, force_open, breaker), 0);
    while (!atomic_load(&in_listener))
        sched_yield();
    cr_assert_eq(in_child(is_still_told, breaker), 0);
    atomic_store(&leave_listener, 1);
    pthread_join(thread, NULL);
    hg_breaker_free(breaker);
}

Test(shared_events, a_child_hears_though_it_was_born_in_the_middle_of_a_delivery)
{
    fork_in_the_middle_of_a_delivery(opened());
}

Test(shared_events, so_does_a_child_with_a_private_breaker)
{
    hg_breaker *breaker;
    cr_assert_eq(hg_breaker_new(&breaker, NULL, NULL), HG_OK);
    fork_in_the_middle_of_a_delivery(breaker);
}
