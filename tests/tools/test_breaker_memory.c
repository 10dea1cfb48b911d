/* What several processes noted of one breaker, put together. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/breaker_memory.h"

enum { FIRST = 65535 };

static struct hgi_breaker_memory *memory;
static struct hgi_breaker_results *results;

static void begin(void)
{
    struct hgi_problem problem;
    struct hgi_breaker_settings settings = { .threads = 5,
                                             .processes = 2,
                                             .breaker = HG_BREAKER_OPTIONS_INIT };
    memory = hgi_breaker_memory_make(&settings, 3, NULL, &problem);
    cr_assert(memory);
    for (uint32_t i = 0; i < 3; i++) {
        struct hgi_breaker_log *log = hgi_breaker_memory_log(memory, i);
        hgi_breaker_watch_begin(&log->watch, 0, 0, 3);
        log->watch.joined = true;
    }
    results = calloc(1, sizeof *results);
    cr_assert(results);
    results->stamp.began_ns = NS_PER_S;
}

static void end(void)
{
    free(results);
    hgi_breaker_memory_free(memory);
}

TestSuite(breaker_memory, .init = begin, .fini = end);

static void tell(uint32_t log, uint32_t step, hg_breaker_state from, hg_breaker_state to,
                 int64_t at_ms, bool elsewhere)
{
    const struct hg_breaker_event event = { .size = sizeof event,
                                            .from = from,
                                            .to = to,
                                            .generation = (FIRST + step) & UINT16_MAX,
                                            .at_ns = NS_PER_S + at_ms * NS_PER_MS,
                                            .retry_after_ns =
                                                to == HG_BREAKER_OPEN ? 100 * NS_PER_MS : 0,
                                            .elsewhere = elsewhere };
    hgi_breaker_note_turn(hgi_breaker_memory_log(memory, log), &event);
}

Test(breaker_memory, a_transition_is_one_whoever_tells_of_it)
{
    tell(1, 1, HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 12, true); /* seen before its maker tells */
    tell(0, 1, HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 10, false);
    tell(0, 2, HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 130, true);
    tell(1, 2, HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 120, false);
    tell(1, 3, HG_BREAKER_HALF_OPEN, HG_BREAKER_CLOSED, 140, false);
    hgi_breaker_memory_gather(results, memory, FIRST);
    cr_assert_eq(results->turn_count, 3);
    cr_assert(results->counts.transitions == 3 && results->counts.half_opened == 1 &&
              results->counts.opened == 1 && results->counts.closed == 1);
    for (uint32_t i = 0; i < 3; i++) { /* across the end of the generations */
        cr_assert_eq(results->turn[i].generation, (FIRST + 1 + i) & UINT16_MAX);
        cr_assert_not(results->turn[i].elsewhere);
    }
    cr_assert_eq(results->turn[0].at_ns, 10 * NS_PER_MS);
    cr_assert_eq(results->turn[1].at_ns, 120 * NS_PER_MS);
    cr_assert_eq(results->counts.broken, 0, "%s", results->counts.first_broken);
}

Test(breaker_memory, a_transition_whose_maker_died_is_known_from_who_saw_it_first)
{
    tell(0, 1, HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 30, true);
    tell(1, 1, HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 20, true);
    hgi_breaker_memory_gather(results, memory, FIRST);
    cr_assert_eq(results->turn_count, 1);
    cr_assert(results->turn[0].elsewhere);
    cr_assert_eq(results->turn[0].at_ns, 20 * NS_PER_MS);
}

Test(breaker_memory, a_generation_that_was_made_twice_or_told_as_two_things_is_broken)
{
    tell(0, 1, HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 10, false);
    tell(1, 1, HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 11, false);
    hgi_breaker_memory_gather(results, memory, FIRST);
    cr_assert_eq(results->counts.broken, 1);
    cr_assert(strstr(results->counts.first_broken, "generation 0 was told as open (made here)"),
              "%s", results->counts.first_broken);
    memset(&results->counts, 0, sizeof results->counts);
    results->turn_count = 0;
    tell(2, 1, HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 12, true);
    hgi_breaker_memory_gather(results, memory, FIRST);
    cr_assert_eq(results->counts.broken, 2);
}

Test(breaker_memory, what_a_watch_found_in_another_process_is_found)
{
    tell(1, 1, HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 10, false);
    tell(1, 2, HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 20, false); /* after 10 of 100 ms */
    hgi_breaker_memory_gather(results, memory, FIRST);
    cr_assert_eq(results->counts.broken, 1);
    cr_assert(strstr(results->counts.first_broken, "half-open after 10 of 100 ms"), "%s",
              results->counts.first_broken);
}

Test(breaker_memory, one_who_joins_late_or_hears_late_finds_nothing_broken)
{
    tell(2, 7, HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 10, true); /* the first that it hears */
    tell(2, 8, HG_BREAKER_HALF_OPEN, HG_BREAKER_OPEN, 95, true); /* it opened long before that */
    tell(2, 9, HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 120, false);
    hgi_breaker_memory_gather(results, memory, FIRST);
    cr_assert_eq(results->counts.broken, 0, "%s", results->counts.first_broken);
}

Test(breaker_memory, what_a_killed_thread_had_not_finished_noting_is_left_out)
{
    struct hgi_breaker_log *log = hgi_breaker_memory_log(memory, 1);
    hgi_breaker_note_admission(log, NS_PER_S + 5, NS_PER_S + 9);
    atomic_fetch_add(&log->admissions, 1); /* a place taken, and nothing in it */
    hgi_breaker_note_admission(log, NS_PER_S + 11, NS_PER_S + 12);
    atomic_fetch_add(&log->turns, 1);
    log->tally[2].refusal.count[7] = 1; /* counted, and not yet summed */
    atomic_store(&log->tally[0].answered, 4);
    atomic_store(&hgi_breaker_memory_log(memory, 0)->tally[1].refused, 3);
    hgi_breaker_memory_gather(results, memory, FIRST);
    cr_assert_eq(results->admission_count, 2);
    cr_assert(results->admission[1].asked_ns == 11 && results->admission[1].got_ns == 12);
    cr_assert_eq(results->turn_count, 0);
    cr_assert_eq(results->refusal.total, 1);
    cr_assert(results->admitted == 4 && results->refused == 3 && results->calls == 7);
}
