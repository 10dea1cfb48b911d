/* The machine's arithmetic: jitter, spans, wrap-around, what is left of an open period. */
#include <criterion/criterion.h>

#include "tests/breaker/fixture.h"

static struct hgi_machine small(void)
{
    struct hgi_machine machine = {
        .seed = 1, .failure_threshold = 1, .lease_ticks = 10, .max_calls = 2, .success_threshold = 2
    };
    for (uint32_t i = 0; i < HGI_STREAK_MAX; i++)
        machine.open_ticks[i] = 100 * (i + 1);
    return machine;
}

static uint64_t open_word(uint32_t generation, uint32_t streak, uint32_t start)
{
    return (uint64_t)HGI_OPEN << HGI_STATE_SHIFT | (uint64_t)generation << HGI_GENERATION_SHIFT |
           (uint64_t)streak << HGI_STREAK_SHIFT | (uint64_t)start << HGI_START_SHIFT;
}

static bool admits(const struct hgi_machine *machine, uint64_t word, uint32_t now)
{
    return hgi_machine_step(machine, word, HGI_ADMIT, 0, now).verdict == HGI_ADMITTED;
}

Test(machine, jitter_keeps_inside_its_range_and_fills_it)
{
    struct hgi_machine machine = small();
    machine.jitter = HGI_JITTER_ONE / 5;
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    uint64_t sum = 0;
    for (uint32_t generation = 0; generation <= HGI_GENERATION_MAX; generation++) {
        uint32_t ticks = hgi_machine_open_ticks(&machine, open_word(generation, 10, 0));
        least = ticks < least ? ticks : least;
        most = ticks > most ? ticks : most;
        sum += ticks;
    }
    cr_assert_eq(most, 1000, "the cap is never passed: %u", most);
    cr_assert_eq(least, 801, "the range of 0.8 to 1 is used to its end: %u", least);
    cr_assert_geq(sum >> 16, 895);
    cr_assert_leq(sum >> 16, 905);
}

Test(machine, jitter_is_the_same_for_all_who_know_seed_and_generation)
{
    struct hgi_machine one = small();
    one.jitter = HGI_JITTER_ONE;
    struct hgi_machine other = one;
    uint32_t differ = 0;
    for (uint32_t generation = 0; generation < 100; generation++)
        cr_assert_eq(hgi_machine_open_ticks(&one, open_word(generation, 9, 5)),
                     hgi_machine_open_ticks(&other, open_word(generation, 9, 77)));
    other.seed = 2;
    for (uint32_t generation = 0; generation < 100; generation++)
        differ += hgi_machine_open_ticks(&one, open_word(generation, 9, 5)) !=
                  hgi_machine_open_ticks(&other, open_word(generation, 9, 5));
    cr_assert_gt(differ, 90, "a fleet with other seeds does not come back in step: %u", differ);
}

Test(machine, full_jitter_never_makes_an_open_period_of_nothing)
{
    struct hgi_machine machine = small();
    machine.jitter = HGI_JITTER_ONE;
    for (uint32_t generation = 0; generation <= HGI_GENERATION_MAX; generation++)
        cr_assert_geq(hgi_machine_open_ticks(&machine, open_word(generation, 1, 0)), HGI_SPAN_MIN);
}

Test(machine, open_time_is_counted_across_the_wrap_of_the_clock_field)
{
    struct hgi_machine machine = small();
    uint64_t word = open_word(1, 1, HGI_START_MAX - 10);
    cr_assert_not(admits(&machine, word, HGI_START_MAX));
    cr_assert_not(admits(&machine, word, 89)); /* 100 ticks on: not passed whole */
    cr_assert(admits(&machine, word, 90));
}

Test(machine, long_idleness_costs_one_more_period_at_most)
{
    struct hgi_machine machine = small();
    uint64_t word = open_word(1, 1, 500);
    for (uint64_t idle = 101; idle < (UINT64_C(1) << 27); idle += 12345) {
        uint32_t now = (uint32_t)(500 + idle);
        cr_assert(admits(&machine, word, now & HGI_START_MAX) ||
                  admits(&machine, word, (now + 101 + 256) & HGI_START_MAX));
    }
}

Test(machine, a_clock_a_little_behind_does_not_end_the_open_period)
{
    struct hgi_machine machine = small();
    for (uint32_t behind = 1; behind <= 255; behind++)
        cr_assert_not(admits(&machine, open_word(1, 1, 1000), 1000 - behind));
}

Test(machine, the_streak_saturates)
{
    struct hgi_machine machine = small();
    uint64_t word = open_word(3, HGI_STREAK_MAX, 0);
    word = hgi_machine_step(&machine, word, HGI_ADMIT, 0, 1000000).word;
    cr_assert_eq(hgi_word_state(word), HGI_HALF_OPEN);
    word = hgi_machine_step(&machine, word, HGI_TRIP_NOW, 0, 1000001).word;
    cr_assert_eq(hgi_word_state(word), HGI_OPEN);
    cr_assert_eq(hgi_word_streak(word), HGI_STREAK_MAX);
}

Test(machine, retry_after_is_exact_to_the_nanosecond)
{
    struct hgi_machine machine = small();
    machine.jitter = HGI_JITTER_ONE / 2;
    for (uint32_t generation = 0; generation < 50; generation++) {
        int64_t opened_ns = 123456789 + generation * 777777;
        uint64_t word = open_word(generation, 1, hgi_tick(opened_ns));
        int64_t left = hgi_machine_retry_after(&machine, word, opened_ns);
        cr_assert_gt(left, 0);
        cr_assert_geq(left, hgi_machine_open_ticks(&machine, word) * HGI_TICK_NS);
        cr_assert(admits(&machine, word, hgi_tick(opened_ns + left)));
        cr_assert_not(admits(&machine, word, hgi_tick(opened_ns + left - 1)));
        cr_assert_eq(hgi_machine_retry_after(&machine, word, opened_ns + left - 1), 1);
        cr_assert_eq(hgi_machine_retry_after(&machine, word, opened_ns + left), 0);
    }
}

Test(machine, illegal_settings_and_words_are_told_apart)
{
    struct hgi_machine machine = small();
    cr_assert(hgi_machine_is_legal(&machine));
    machine.success_threshold = 3;
    cr_assert_not(hgi_machine_is_legal(&machine));
    machine = small();
    machine.open_ticks[14] = HGI_SPAN_MAX + 1;
    cr_assert_not(hgi_machine_is_legal(&machine));
    machine = small();
    cr_assert(hgi_word_is_legal(&machine, open_word(1, 1, 4)));
    cr_assert_not(hgi_word_is_legal(&machine, open_word(1, 0, 4)));
    cr_assert_not(hgi_word_is_legal(&machine, 1), "one failure is the threshold");
    cr_assert_not(hgi_word_is_legal(&machine, UINT64_C(7) << HGI_STATE_SHIFT));
}
