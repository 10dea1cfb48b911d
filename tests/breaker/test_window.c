/* The window: rates, their minimum, what it forgets and when. Through the breaker where it can be. */
#include <criterion/criterion.h>
#include <string.h>

#include "breaker/core.h"
#include "tests/breaker/fixture.h"

#define SECOND HGI_NS_PER_S

static struct test_clock now;
static hg_breaker *breaker;

static void start(uint32_t min_calls, double failure_rate, double slow_rate)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.failure_threshold = 0;
    options.recovery_jitter = 0;
    options.window_length_ns = 10 * SECOND;
    options.window_min_calls = min_calls;
    options.window_failure_rate = failure_rate;
    options.window_slow_call_ns = 200 * HGI_NS_PER_MS;
    options.window_slow_rate = slow_rate;
    hg_breaker_free(breaker);
    now.now_ns = 1000 * SECOND;
    cr_assert_eq(hgi_breaker_new_with_clock(&breaker, &options, test_clock_now, &now, NULL), HG_OK);
}

static void tear_down(void)
{
    hg_breaker_free(breaker);
}

TestSuite(window, .fini = tear_down);

static void calls(int times, hg_result result, int64_t elapsed_ns)
{
    hg_permit permit;
    while (times-- > 0) {
        cr_assert(hg_breaker_admit(breaker, &permit));
        hg_breaker_report(breaker, permit, result, elapsed_ns);
    }
}

static bool is_closed(void)
{
    return hg_breaker_state_now(breaker) == HG_BREAKER_CLOSED;
}

Test(window, opens_when_the_failure_rate_is_reached_and_not_before)
{
    start(20, 0.5, 1);
    calls(11, HG_RESULT_SUCCESS, 0);
    calls(10, HG_RESULT_FAILURE, 0);
    cr_assert(is_closed(), "10 of 21");
    calls(1, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed(), "11 of 22");
}

Test(window, no_rate_is_judged_on_fewer_calls_than_the_minimum)
{
    start(20, 0.1, 1);
    calls(19, HG_RESULT_FAILURE, 0);
    cr_assert(is_closed());
    calls(1, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed());
}

Test(window, rates_that_floating_point_cannot_hold_are_reached_all_the_same)
{
    start(20, 0.35, 1);
    calls(13, HG_RESULT_SUCCESS, 0);
    calls(7, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed());
}

Test(window, a_rate_of_one_needs_every_call_to_fail)
{
    start(20, 1, 1);
    calls(1, HG_RESULT_SUCCESS, 0);
    calls(500, HG_RESULT_FAILURE, 0);
    cr_assert(is_closed());
    start(20, 1, 1);
    calls(20, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed());
}

Test(window, slow_calls_open_it_whether_they_went_well_or_not)
{
    start(10, 1, 0.5);
    calls(5, HG_RESULT_SUCCESS, 199999999);
    calls(4, HG_RESULT_SUCCESS, 200 * HGI_NS_PER_MS);
    cr_assert(is_closed());
    calls(1, HG_RESULT_FAILURE, SECOND);
    cr_assert_not(is_closed());
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    cr_assert_eq(snapshot.slow, 5);
    cr_assert_eq(snapshot.failed, 1);
    cr_assert_eq(snapshot.succeeded, 9);
    cr_assert_eq(snapshot.admitted, 10);
}

Test(window, what_is_older_than_the_window_is_forgotten)
{
    start(20, 0.5, 1);
    calls(19, HG_RESULT_FAILURE, 0);
    test_clock_pass(&now, 10 * SECOND);
    calls(19, HG_RESULT_FAILURE, 0);
    cr_assert(is_closed());
    test_clock_pass(&now, 9 * SECOND - 1);
    calls(1, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed(), "not older");
}

Test(window, closing_again_begins_an_empty_window)
{
    start(20, 0.5, 1);
    calls(20, HG_RESULT_FAILURE, 0);
    test_clock_pass(&now, hg_breaker_retry_after(breaker));
    calls(2, HG_RESULT_SUCCESS, 0);
    cr_assert(is_closed());
    calls(19, HG_RESULT_FAILURE, 0);
    cr_assert(is_closed(), "the failures that opened it last time do not count again");
    calls(1, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed());
}

Test(window, late_results_and_probes_are_not_in_it)
{
    start(20, 0.5, 1);
    hg_permit old[30];
    for (int i = 0; i < 30; i++)
        cr_assert(hg_breaker_admit(breaker, &old[i]));
    hg_breaker_reset(breaker);
    for (int i = 0; i < 30; i++)
        hg_breaker_report(breaker, old[i], HG_RESULT_FAILURE, 0);
    cr_assert(is_closed());
    calls(19, HG_RESULT_FAILURE, 0);
    cr_assert(is_closed());
}

Test(window, stands_beside_the_count_in_a_row)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.window_length_ns = 10 * SECOND;
    now.now_ns = SECOND;
    cr_assert_eq(hgi_breaker_new_with_clock(&breaker, &options, test_clock_now, &now, NULL), HG_OK);
    calls(5, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed());
    hg_breaker_reset(breaker);
    for (int i = 0; i < 9; i++) {
        calls(1, HG_RESULT_SUCCESS, 0);
        calls(1, HG_RESULT_FAILURE, 0);
    }
    calls(1, HG_RESULT_SUCCESS, 0);
    cr_assert(is_closed());
    calls(1, HG_RESULT_FAILURE, 0);
    cr_assert_not(is_closed(), "10 of 20, never two in a row");
}

Test(window, forced_closed_and_disabled_are_not_opened_by_it)
{
    start(20, 0.5, 1);
    hg_breaker_disable(breaker);
    calls(100, HG_RESULT_FAILURE, SECOND);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_DISABLED);
    hg_breaker_reset(breaker);
    calls(19, HG_RESULT_FAILURE, SECOND);
    cr_assert(is_closed(), "what was counted meanwhile is forgotten");
}

Test(window, times_that_the_caller_passes_are_those_that_count)
{
    start(20, 0.5, 1);
    hg_permit permit;
    for (int i = 0; i < 19; i++) {
        cr_assert(hg_breaker_admit(breaker, &permit));
        hg_breaker_report_times(breaker, permit, HG_RESULT_FAILURE, 989 * SECOND, 990 * SECOND);
    }
    cr_assert(hg_breaker_admit(breaker, &permit));
    hg_breaker_report_times(breaker, permit, HG_RESULT_FAILURE, 999 * SECOND, 1000 * SECOND);
    cr_assert(is_closed(), "19 of them ended before the window");
}

/* A model that keeps every call, and random ones against it. */
enum { KEPT = 4096 };
struct kept {
    int64_t at_ns;
    uint32_t generation;
    int kind;
};

static uint64_t count_kept(const struct kept *kept, int count, int kind, uint32_t generation,
                           int64_t bucket_ns, int64_t at_ns)
{
    uint64_t total = 0;
    for (int i = 0; i < count; i++)
        total += kept[i].kind == kind && kept[i].generation == generation &&
                 kept[i].at_ns / bucket_ns + HGI_WINDOW_BUCKETS > at_ns / bucket_ns;
    return total;
}

Test(window, holds_exactly_what_was_added_whatever_the_times_and_generations)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.window_length_ns = SECOND;
    static struct kept kept[KEPT];
    uint64_t random = test_seed();
    hgi_cell_mine(1); /* own cells are read as far as threads were given any */
    cr_assert_eq(hgi_cells_used(1), 1);
    for (uint64_t round = 0; round < test_rounds(60, 3000); round++) {
        struct hgi_window *window = aligned_alloc(HGI_LINE, hgi_window_size(1));
        memset(window, 0, hgi_window_size(1));
        hgi_window_init(window, &options, 1);
        uint32_t generation = (uint32_t)(test_random(&random) & 0xffff);
        int64_t at_ns = (int64_t)(test_random(&random) % (1U << 30)) * 1000;
        for (int i = 0; i < KEPT; i++) {
            uint64_t choice = test_random(&random);
            uint64_t far = choice % 997 == 0 ? 5000000000 : choice % 31 == 0 ? 300000000 : 3000000;
            at_ns += (int64_t)((choice >> 16) % far);
            if (choice % 499 == 3)
                generation = (generation + 1) & 0xffff;
            struct hgi_cell cell = { (uint32_t)(choice >> 8) % (1 + HGI_STRIPED_CELLS), 0 };
            cell.alone = cell.index < 1;
            kept[i] = (struct kept) { at_ns, generation, (int)(choice >> 3 & 3) % 3 };
            if (kept[i].kind == 0)
                hgi_window_add_success(window, generation, at_ns, cell);
            else if (kept[i].kind == 1)
                hgi_window_add_failure(window, generation, at_ns);
            else
                hgi_window_add_slow(window, generation, at_ns);
            if (choice % 7 != 0)
                continue;
            uint64_t truth[3];
            for (int kind = 0; kind < 3; kind++)
                truth[kind] = count_kept(kept, i + 1, kind, generation, window->bucket_ns, at_ns);
            struct hgi_window_sums sums = hgi_window_sum(window, generation, at_ns);
            cr_assert_eq(sums.succeeded, truth[0]);
            cr_assert_eq(sums.failed, truth[1]);
            cr_assert_eq(sums.slow, truth[2]);
        }
        free(window);
    }
}

/* Whoever is behind, by clock or by generation, undoes nothing. */
Test(window, who_is_behind_does_not_undo_what_was_counted_since)
{
    start(20, 0.5, 1);
    struct hgi_window *window = hgi_local_of(breaker)->window;
    int64_t at_ns = 5000 * SECOND;
    for (int i = 0; i < 10; i++)
        hgi_window_add_failure(window, 65535, at_ns);
    hgi_window_add_failure(window, 65535, at_ns - 16 * window->bucket_ns);
    hgi_window_add_failure(window, 65534, at_ns);
    cr_assert_eq(hgi_window_sum(window, 65535, at_ns).failed, 10);
    hgi_window_add_failure(window, 0, at_ns);
    cr_assert_eq(hgi_window_sum(window, 0, at_ns).failed, 1, "the generation came round");
    cr_assert_eq(hgi_window_sum(window, 65535, at_ns).failed, 0);
}

static struct hgi_window *window_of(int64_t length_ns)
{
    start(20, 0.5, 1);
    struct hgi_window *window = hgi_local_of(breaker)->window;
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.window_length_ns = length_ns;
    hgi_window_init(window, &options, window->own_cells);
    return window;
}

/* Places that were last written most of a turn of the field ago are old, and not of a later bucket. */
Test(window, failures_after_months_without_any_are_counted)
{
    const int64_t lengths_ns[] = { SECOND, 10 * SECOND, 600 * SECOND };
    for (size_t i = 0; i < 3; i++) {
        uint64_t turns = UINT64_C(1) << (48 - window_of(lengths_ns[i])->count_bits);
        const uint64_t quiet[] = { turns / 256, turns / 2, turns / 2 + 1, turns - turns / 256 - 1 };
        for (size_t j = 0; j < sizeof quiet / sizeof quiet[0]; j++) {
            struct hgi_window *window = window_of(lengths_ns[i]);
            int64_t at_ns = 5000 * SECOND;
            hgi_window_add_failure(window, 7, at_ns);
            at_ns += (int64_t)quiet[j] * HGI_WINDOW_PLACES * window->bucket_ns;
            cr_assert_gt(at_ns, 0);
            hgi_window_add_failure(window, 7, at_ns);
            cr_assert_eq(hgi_window_sum(window, 7, at_ns).failed, 1, "%zu %zu", i, j);
        }
    }
}

/* Count so many in no time. */
static void count_up(struct hgi_window *window, struct hgi_window_counts *counts, int64_t at_ns,
                     uint64_t by)
{
    uint64_t place = (uint64_t)(at_ns / window->bucket_ns) % HGI_WINDOW_PLACES;
    atomic_fetch_add(&counts->at[place], by);
}

/* As fast as no thread is: one call in 5 ns. The rate is the true one, whatever the window. */
Test(window, no_thread_is_so_fast_that_its_successes_are_not_all_counted)
{
    const int64_t lengths_ns[] = { SECOND, 7 * SECOND, 60 * SECOND, 600 * SECOND };
    for (size_t i = 0; i < sizeof lengths_ns / sizeof lengths_ns[0]; i++) {
        struct hgi_window *window = window_of(lengths_ns[i]);
        int64_t at_ns = 5000 * SECOND;
        uint64_t calls = (uint64_t)window->bucket_ns / 5;
        struct hgi_cell cell = { 0, 1 };
        hgi_cell_mine(1); /* own cells are read as far as threads were given any */
        for (int64_t bucket = 0; bucket < HGI_WINDOW_BUCKETS; bucket++) {
            int64_t then_ns = at_ns - bucket * window->bucket_ns;
            hgi_window_add_success(window, 3, then_ns, cell);
            count_up(window, &window->succeeded[0], then_ns, calls - 2);
            hgi_window_add_success(window, 3, then_ns, cell);
        }
        cr_assert_eq(hgi_window_sum(window, 3, at_ns).succeeded, HGI_WINDOW_BUCKETS * calls);
        hgi_window_add_failure(window, 3, at_ns);
        count_up(window, &window->failed, at_ns, 4 * calls);
        cr_assert_not(hgi_window_is_bad(window, 3, at_ns), "4 of 14 failed");
    }
}

Test(window, a_bucket_that_is_full_stays_full)
{
    struct hgi_window *window = window_of(10 * SECOND);
    int64_t at_ns = 5000 * SECOND;
    uint64_t full = (UINT64_C(1) << window->count_bits) - 1;
    hgi_window_add_failure(window, 3, at_ns);
    count_up(window, &window->failed, at_ns, full - 3);
    for (int i = 0; i < 5; i++)
        hgi_window_add_failure(window, 3, at_ns);
    cr_assert_eq(hgi_window_sum(window, 3, at_ns).failed, full);
}
