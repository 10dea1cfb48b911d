/* The generator: the published numbers, uniform ones, and the edges of the unit interval. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/random.h"

enum { SAMPLES = 100000 };

static void seed_from(uint64_t fixed)
{
    const char *text = getenv("HERDGATE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : fixed;
    printf("HERDGATE_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    hgi_random_seed(seed);
}

/* The numbers that other implementations of SplitMix64 give for this seed. */
Test(random, a_seed_gives_the_published_numbers)
{
    static const uint64_t expected[] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)
    };
    for (int time = 0; time < 2; time++) {
        hgi_random_seed(1234567);
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
            cr_assert_eq(hgi_random_u64(), expected[i]);
    }
}

Test(random, a_unit_is_what_the_next_number_says)
{
    hgi_random_seed(42);
    uint64_t bits = hgi_random_u64();
    hgi_random_seed(42);
    cr_assert_eq(hgi_random_unit(), ldexp((double)(bits >> 11), -53));
}

/* The inverse of an odd number modulo 2^64: each step doubles the bits that are right. */
static uint64_t inverse(uint64_t odd)
{
    uint64_t result = odd;
    for (int i = 0; i < 6; i++)
        result *= 2 - odd * result;
    return result;
}

static uint64_t unshift(uint64_t bits, int by)
{
    uint64_t result = bits;
    for (int done = by; done < 64; done += by)
        result = bits ^ (result >> by);
    return result;
}

/* The seed whose first number is `wanted`: SplitMix64 run backwards. */
static uint64_t seed_for(uint64_t wanted)
{
    uint64_t bits = unshift(wanted, 31) * inverse(UINT64_C(0x94d049bb133111eb));
    bits = unshift(bits, 27) * inverse(UINT64_C(0xbf58476d1ce4e5b9));
    return unshift(bits, 30) - UINT64_C(0x9e3779b97f4a7c15);
}

Test(random, a_unit_reaches_zero_and_never_one)
{
    hgi_random_seed(seed_for(0));
    cr_assert_eq(hgi_random_u64(), 0u);
    hgi_random_seed(seed_for(0));
    cr_assert_eq(hgi_random_unit(), 0.0);
    hgi_random_seed(seed_for(UINT64_MAX));
    cr_assert_eq(hgi_random_u64(), UINT64_MAX);
    hgi_random_seed(seed_for(UINT64_MAX));
    double largest = hgi_random_unit();
    cr_assert_lt(largest, 1.0);
    cr_assert_eq(largest, 1.0 - 0x1p-53);
}

/* Chi-square of `count` samples in `cells` equally likely cells, as a distance from its mean in
 * standard deviations. Beyond 4 in fewer than one run of a thousand if all is well; the seed is fixed. */
static double chi_square_distance(const int *counted, int cells, int count)
{
    double expected = (double)count / cells, sum = 0.0;
    for (int i = 0; i < cells; i++)
        sum += (counted[i] - expected) * (counted[i] - expected) / expected;
    return (sum - (cells - 1)) / sqrt(2.0 * (cells - 1));
}

Test(random, units_are_uniform)
{
    seed_from(3);
    int counted[256] = { 0 };
    double sum = 0.0;
    for (int i = 0; i < SAMPLES; i++) {
        double unit = hgi_random_unit();
        cr_assert(unit >= 0.0 && unit < 1.0);
        counted[(int)(unit * 256.0)]++;
        sum += unit;
    }
    cr_assert_lt(fabs(chi_square_distance(counted, 256, SAMPLES)), 4.0);
    /* the mean's standard deviation is 1 / sqrt(12 * SAMPLES) */
    cr_assert_lt(fabs(sum / SAMPLES - 0.5) * sqrt(12.0 * SAMPLES), 4.0);
}

Test(random, every_byte_is_uniform)
{
    seed_from(5);
    static int counted[8][256];
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t bits = hgi_random_u64();
        for (int byte = 0; byte < 8; byte++)
            counted[byte][bits >> (8 * byte) & 255]++;
    }
    for (int byte = 0; byte < 8; byte++)
        cr_assert_lt(fabs(chi_square_distance(counted[byte], 256, SAMPLES)), 4.0, "byte %d", byte);
}

Test(random, a_number_says_nothing_about_the_next)
{
    seed_from(7);
    int counted[16 * 16] = { 0 };
    int last = (int)(hgi_random_unit() * 16.0);
    for (int i = 0; i < SAMPLES; i++) {
        int next = (int)(hgi_random_unit() * 16.0);
        counted[last * 16 + next]++;
        last = next;
    }
    cr_assert_lt(fabs(chi_square_distance(counted, 256, SAMPLES)), 4.0);
}

Test(random, drawing_leaves_errno_alone)
{
    errno = EDOM;
    (void)hgi_random_u64(); /* seeds this process, too: each test has its own */
    cr_assert_eq(errno, EDOM);
}
