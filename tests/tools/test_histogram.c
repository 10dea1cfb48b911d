/* The histogram against an independent count over the same values. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tools/common/histogram.h"

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

Test(histogram, buckets_join_on_without_gap_or_overlap)
{
    int64_t below = -1;
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++) {
        int64_t highest = hgi_histogram_highest(i);
        cr_assert_gt(highest, below);
        cr_assert_eq(hgi_histogram_index(below + 1), i);
        cr_assert_eq(hgi_histogram_index(highest), i);
        cr_assert_leq(highest - below - 1, (below + 1) / 128);
        below = highest;
    }
    cr_assert_eq(below, (INT64_C(1) << HGI_HISTOGRAM_VALUE_BITS) - 1);
}

Test(histogram, percentiles_are_never_below_the_true_ones_and_at_most_a_128th_above)
{
    enum { VALUES = 20000 };
    static int64_t values[VALUES];
    static struct hgi_histogram histogram;
    uint64_t state = 7;
    for (int i = 0; i < VALUES; i++) {
        uint64_t shift = 24 + next(&state) % 40;
        values[i] = (int64_t)(next(&state) >> shift);
        hgi_histogram_add(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof values[0], compare);
    static const double percents[] = { 0.01, 1, 10, 50, 90, 99, 99.9, 99.99, 100 };
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        int rank = (int)(percents[i] / 100 * VALUES + 0.9999999);
        int64_t truth = values[rank > 0 ? rank - 1 : 0];
        int64_t told = hgi_histogram_percentile(&histogram, percents[i]);
        cr_assert_geq(told, truth, "%g: %ld < %ld", percents[i], (long)told, (long)truth);
        cr_assert_leq(told, truth + truth / 128, "%g: %ld for %ld", percents[i], (long)told,
                      (long)truth);
    }
    cr_assert_eq(histogram.min, values[0]);
    cr_assert_eq(histogram.max, values[VALUES - 1]);
}

Test(histogram, merged_parts_are_the_whole)
{
    static struct hgi_histogram whole, parts[3];
    uint64_t state = 11;
    for (int i = 0; i < 3000; i++) {
        int64_t value = (int64_t)(next(&state) % 100000000);
        hgi_histogram_add(&whole, value);
        hgi_histogram_add(&parts[i % 2 + 1], value);
    }
    hgi_histogram_merge(&parts[0], &parts[1]);
    hgi_histogram_merge(&parts[0], &parts[2]);
    cr_assert_eq(memcmp(&whole, &parts[0], sizeof whole), 0);
}

Test(histogram, extremes_are_kept_and_an_empty_one_is_zero)
{
    static struct hgi_histogram histogram;
    cr_assert_eq(hgi_histogram_percentile(&histogram, 99), 0);
    cr_assert_eq(hgi_histogram_mean(&histogram), 0);
    hgi_histogram_add(&histogram, INT64_MAX);
    hgi_histogram_add(&histogram, -5);
    cr_assert_eq(histogram.min, 0);
    cr_assert_eq(histogram.max, INT64_MAX);
    cr_assert_eq(hgi_histogram_percentile(&histogram, 100), INT64_MAX);
    cr_assert_eq(hgi_histogram_percentile(&histogram, 50), 0);
}
