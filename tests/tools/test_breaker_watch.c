/* What is held against a breaker's events: each promise, kept and broken. */
#include <criterion/criterion.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/breaker_watch.h"

static struct hgi_breaker_watch watch;

static void begin(void)
{
    hgi_breaker_watch_begin(&watch, 0, 100 * NS_PER_MS, 3);
}

static void tell(hg_breaker_state from, hg_breaker_state to, uint32_t generation, int64_t at_ms)
{
    struct hg_breaker_event event = { .size = sizeof event,
                                      .from = from,
                                      .to = to,
                                      .generation = generation,
                                      .at_ns = at_ms * NS_PER_MS,
                                      .retry_after_ns =
                                          to == HG_BREAKER_OPEN ? 100 * NS_PER_MS : 0 };
    hgi_breaker_watch_event(&watch, &event);
}

static struct hgi_breaker_counts counts(int64_t at_ms)
{
    struct hgi_breaker_counts out;
    hgi_breaker_watch_read(&watch, at_ms * NS_PER_MS, &out);
    return out;
}

TestSuite(breaker_watch, .init = begin);

Test(breaker_watch, a_breaker_that_keeps_its_promises_is_counted)
{
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 1, 1000);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 2, 1100);
    tell(HG_BREAKER_HALF_OPEN, HG_BREAKER_OPEN, 3, 1150);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 4, 1250);
    tell(HG_BREAKER_HALF_OPEN, HG_BREAKER_CLOSED, 5, 1300);
    struct hgi_breaker_counts c = counts(2000);
    cr_assert_eq(c.broken, 0);
    cr_assert(c.transitions == 5 && c.opened == 2 && c.half_opened == 2 && c.closed == 1);
    cr_assert_eq(c.open_ns, 300 * NS_PER_MS);
    cr_assert_eq(c.mark_count, 5);
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 6, 3000);
    cr_assert_eq(counts(3500).open_ns, 800 * NS_PER_MS);
}

Test(breaker_watch, the_generation_of_16_bits_comes_round)
{
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 65535, 0);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 0, 100);
    cr_assert_eq(counts(200).broken, 0);
}

Test(breaker_watch, an_edge_that_there_is_not_is_seen)
{
    tell(HG_BREAKER_CLOSED, HG_BREAKER_HALF_OPEN, 1, 0);
    cr_assert_eq(counts(1).broken, 1);
    cr_assert(strstr(counts(1).first_broken, "closed to half-open"));
}

Test(breaker_watch, a_transition_that_was_not_told_is_seen)
{
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 1, 0);
    cr_assert(strstr(counts(1).first_broken, "from open was told while it was closed"));
}

Test(breaker_watch, a_generation_that_is_left_out_is_seen)
{
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 7, 0);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 9, 100);
    cr_assert(strstr(counts(200).first_broken, "generation 9 followed 7"));
}

Test(breaker_watch, half_open_before_its_time_is_seen)
{
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 1, 0);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 2, 50);
    cr_assert(strstr(counts(200).first_broken, "half-open after 50 of 100 ms"));
}

Test(breaker_watch, an_opening_is_false_only_while_the_server_was_well_for_long)
{
    hgi_breaker_watch_well(&watch, 0, 1000 * NS_PER_MS);
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 1, 50); /* may be the fault before */
    cr_assert_eq(counts(60).false_opens, 0);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 2, 150);
    tell(HG_BREAKER_HALF_OPEN, HG_BREAKER_OPEN, 3, 160); /* a probe's failure opens nothing new */
    cr_assert_eq(counts(170).false_opens, 0);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 4, 260);
    tell(HG_BREAKER_HALF_OPEN, HG_BREAKER_CLOSED, 5, 270);
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 6, 1010); /* the next fault has begun */
    cr_assert_eq(counts(1020).false_opens, 0);
    tell(HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 7, 1110);
    tell(HG_BREAKER_HALF_OPEN, HG_BREAKER_CLOSED, 8, 1120);
    hgi_breaker_watch_well(&watch, 1200 * NS_PER_MS, 2000 * NS_PER_MS);
    tell(HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 9, 1400);
    cr_assert_eq(counts(1500).false_opens, 1);
    cr_assert_eq(counts(1500).broken, 0);
}

Test(breaker_watch, more_probes_than_there_may_be_are_seen)
{
    hg_breaker *breaker;
    hg_permit permit;
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.half_open_max_calls = 5;
    options.recovery_timeout_ns = 10 * NS_PER_MS;
    cr_assert_eq(hg_breaker_new(&breaker, &options, NULL), HG_OK);
    hg_breaker_trip(breaker);
    int64_t end_ns = monotonic_ns() + 20 * NS_PER_S;
    while (!hg_breaker_admit(breaker, &permit) && monotonic_ns() < end_ns)
        sleep_until_ns(monotonic_ns() + NS_PER_MS);
    for (int i = 0; i < 2; i++)
        cr_assert(hg_breaker_admit(breaker, &permit));
    hgi_breaker_watch_look(&watch, breaker);
    cr_assert_eq(counts(0).broken, 0);
    cr_assert_eq(counts(0).probes_most, 3);
    cr_assert(hg_breaker_admit(breaker, &permit));
    hgi_breaker_watch_look(&watch, breaker);
    cr_assert(strstr(counts(0).first_broken, "4 probes in a half-open period that has 3"));
    hg_breaker_free(breaker);
}
