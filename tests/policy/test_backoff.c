/* The delays before retries: the presets to the nanosecond, every bit pattern of the settings, and
 * the distribution of each jitter. */
#include <criterion/criterion.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "policy/backoff.h"
#include "policy/settings.h"

#define US(number) ((int64_t)((number)*1000.0))

enum { ROUNDS = 200000, SAMPLES = 20000 };

/* A generator of the tests' own, so that what is tested does not test itself: Marsaglia's xorshift64
 * with a multiplier. */
static uint64_t state;

static uint64_t draw(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static double draw_unit(void)
{
    return (double)(draw() >> 11) * 0x1p-53;
}

static void seed_from(uint64_t fixed)
{
    const char *text = getenv("HERDGATE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : fixed;
    printf("HERDGATE_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    state = seed ? seed : 1;
}

static struct hg_retry preset(const char *name)
{
    struct hg_retry retry = HG_RETRY_INIT;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_retry_preset(&retry, name, &err), HG_OK, "%s", err.message);
    return retry;
}

static void expect_delays(const struct hg_retry *retry, const int64_t *expected, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++)
        cr_assert_eq(hg_retry_delay(retry, n), expected[n], "retry %u: %" PRId64 " ns", n,
                     hg_retry_delay(retry, n));
}

Test(backoff, conservative_is_what_the_table_says)
{
    struct hg_retry retry = preset("conservative");
    cr_assert_eq(retry.max_attempts, 3);
    cr_assert_eq(retry.jitter, HG_JITTER_NONE);
    cr_assert_eq(retry.initial_delay_ns, US(100000));
    cr_assert_eq(retry.max_delay_ns, US(1000000));
    cr_assert_eq(retry.multiplier, 2.0);
    expect_delays(&retry, (int64_t[]) { US(100000), US(200000) }, 2);
    cr_assert_eq(hg_retry_delay(&retry, 3), US(800000));
    cr_assert_eq(hg_retry_delay(&retry, 4), US(1000000));
}

Test(backoff, aggressive_is_what_the_table_says)
{
    struct hg_retry retry = preset("aggressive");
    cr_assert_eq(retry.max_attempts, 7);
    cr_assert_eq(retry.jitter, HG_JITTER_ADDITIVE);
    cr_assert_eq(retry.initial_delay_ns, US(50000));
    cr_assert_eq(retry.max_delay_ns, US(5000000));
    cr_assert_eq(retry.multiplier, 1.5);
    cr_assert_eq(retry.jitter_ratio, 0.1);
    expect_delays(
        &retry,
        (int64_t[]) { US(50000), US(75000), US(112500), US(168750), US(253125), US(379687.5) }, 6);
}

Test(backoff, fast_is_what_the_table_says)
{
    struct hg_retry retry = preset("fast");
    cr_assert_eq(retry.max_attempts, 5);
    cr_assert_eq(retry.jitter, HG_JITTER_ADDITIVE);
    cr_assert_eq(retry.initial_delay_ns, US(25000));
    cr_assert_eq(retry.max_delay_ns, US(500000));
    cr_assert_eq(retry.multiplier, 2.5);
    cr_assert_eq(retry.jitter_ratio, 0.1);
    expect_delays(&retry, (int64_t[]) { US(25000), US(62500), US(156250), US(390625), US(500000) },
                  5);
}

Test(backoff, none_is_one_attempt)
{
    struct hg_retry retry = preset("none");
    cr_assert_eq(retry.max_attempts, 1);
    cr_assert_eq(retry.jitter, HG_JITTER_NONE);
    cr_assert_eq(hg_retry_delay(&retry, 0), 0);
    cr_assert_eq(hg_retry_delay_jittered(&retry, 7, 5, 0.9), 0);
}

Test(backoff, presets_are_listed_in_the_order_of_the_documentation)
{
    static const char *const expected[] = { "conservative", "aggressive", "fast", "none" };
    size_t count = 0;
    for (; hgi_retry_preset_name(count); count++)
        cr_assert_str_eq(hgi_retry_preset_name(count), expected[count]);
    cr_assert_eq(count, 4u);
    cr_assert_null(hgi_retry_preset_name(SIZE_MAX));
}

Test(backoff, an_unknown_preset_is_refused_and_changes_nothing)
{
    struct hg_retry retry = preset("fast"), before = retry;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_retry_preset(&retry, "Fast", &err), HG_ERR_VALIDATION);
    cr_assert_eq(err.type, HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "\"Fast\""));
    cr_assert_not_null(strstr(err.message, "conservative"));
    cr_assert_eq(memcmp(&retry, &before, sizeof retry), 0);
    cr_assert_eq(hg_retry_preset(&retry, NULL, &err), HG_ERR_VALIDATION);
    cr_assert_eq(hg_retry_preset(NULL, "fast", NULL), HG_ERR_VALIDATION);
}

/* A struct of a version to come is filled as far as this version knows; what lies behind is left. */
Test(backoff, a_preset_writes_no_more_than_its_caller_has)
{
    struct {
        struct hg_retry retry;
        unsigned char behind[16];
    } room;
    static const size_t sizes[] = { 0, 1, sizeof(struct hg_retry), sizeof room, SIZE_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(&room, 0xa5, sizeof room);
        room.retry.size = sizes[i];
        cr_assert_eq(hg_retry_preset(&room.retry, "fast", NULL), HG_OK);
        cr_assert_eq(room.retry.size, sizeof(struct hg_retry));
        cr_assert_eq(room.retry.jitter_ratio, 0.1);
        for (size_t k = 0; k < sizeof room.behind; k++)
            cr_assert_eq(room.behind[k], 0xa5);
    }
}

Test(backoff, a_policy_tells_how_it_retries_a_class)
{
    static struct hg_policy policy;
    hgi_settings_defaults(&policy.settings);
    policy.settings.classes[HGI_CLASS_WRITE_ONCE].retry.max_attempts = 9;
    struct hg_retry retry = HG_RETRY_INIT;
    struct hg_error err = HG_ERROR_INIT;

    cr_assert_eq(hg_policy_retry(&policy, "read", &retry, &err), HG_OK);
    cr_assert_eq(retry.max_attempts, 5);
    cr_assert_eq(retry.size, sizeof retry);
    cr_assert_eq(hg_policy_retry(&policy, NULL, &retry, &err), HG_OK);
    cr_assert_eq(retry.max_attempts, 9, "no name: write_once");

    cr_assert_eq(hg_policy_retry(&policy, "reads", &retry, &err), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "\"reads\""));
    cr_assert_eq(retry.max_attempts, 9);
    cr_assert_eq(hg_policy_retry(NULL, "read", &retry, &err), HG_ERR_VALIDATION);
    cr_assert_eq(hg_policy_retry(&policy, "read", NULL, NULL), HG_ERR_VALIDATION);
}

/* Numbers where things break: edges, small ones, and any 64 bits. */
static int64_t any_int64(void)
{
    static const int64_t edges[] = { INT64_MIN,
                                     -1,
                                     0,
                                     1,
                                     2,
                                     INT64_MAX / 3,
                                     INT64_MAX / 3 + 1,
                                     INT64_C(1) << 53,
                                     (INT64_C(1) << 53) + 1,
                                     INT64_MAX - 512,
                                     INT64_MAX - 1,
                                     INT64_MAX };
    uint64_t bits = draw();
    if (bits % 4 == 0)
        return edges[draw() % (sizeof edges / sizeof edges[0])];
    return (int64_t)(draw() >> (bits >> 58));
}

static double any_double(void)
{
    static const double edges[] = { 0.0,
                                    -0.0,
                                    1.0,
                                    0.5,
                                    -1.0,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    DBL_MAX,
                                    DBL_MIN,
                                    0x1p-1074,
                                    1.0 + DBL_EPSILON,
                                    1.0 - DBL_EPSILON / 2 };
    uint64_t bits = draw();
    if (bits % 4 == 0)
        return edges[draw() % (sizeof edges / sizeof edges[0])];
    if (bits % 4 == 1)
        return draw_unit() * 10.0;
    bits = draw();
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static struct hg_retry any_retry(void)
{
    struct hg_retry retry = HG_RETRY_INIT;
    retry.max_attempts = (uint32_t)draw();
    retry.jitter = (hg_jitter)(draw() % 6); /* 5 is none of them */
    retry.initial_delay_ns = any_int64();
    retry.max_delay_ns = any_int64();
    retry.multiplier = any_double();
    retry.jitter_ratio = any_double();
    return retry;
}

static uint32_t any_n(void)
{
    uint64_t bits = draw();
    return bits % 8 == 0 ? UINT32_MAX : (uint32_t)(draw() >> (32 + (bits >> 59)));
}

static int64_t at_least_zero(int64_t ns)
{
    return ns > 0 ? ns : 0;
}

Test(backoff, no_settings_overflow_a_delay)
{
    seed_from(20240601);
    for (int round = 0; round < ROUNDS; round++) {
        struct hg_retry retry = any_retry();
        int64_t cap_ns = at_least_zero(retry.max_delay_ns);
        int64_t delay_ns = hg_retry_delay(&retry, any_n());
        cr_assert(delay_ns >= 0 && delay_ns <= cap_ns, "round %d", round);

        uint32_t n = any_n();
        delay_ns = hg_retry_delay(&retry, n);
        int64_t jittered_ns = hg_retry_delay_jittered(&retry, n, any_int64(), any_double());
        cr_assert_geq(jittered_ns, 0, "round %d", round);
        if (retry.jitter != HG_JITTER_ADDITIVE)
            cr_assert_leq(jittered_ns, cap_ns, "round %d", round);
        else
            cr_assert_geq(jittered_ns, delay_ns, "round %d", round);
    }
}

/* 1 ns to 146 years, all magnitudes alike. */
static int64_t any_length(void)
{
    return 1 + (int64_t)(draw() >> 2 >> (draw() >> 58));
}

/* Against the formula in long double. The power by squaring errs by about n units of the last place. */
Test(backoff, a_delay_is_the_formula_up_to_its_rounding)
{
    seed_from(7);
    for (int round = 0; round < ROUNDS; round++) {
        struct hg_retry retry = HG_RETRY_INIT;
        retry.initial_delay_ns = any_length();
        retry.max_delay_ns = any_length();
        retry.multiplier = draw() % 2 ? 1.0 + draw_unit() * 3.0 : draw_unit() * 1000.0;
        uint32_t n = (uint32_t)(draw() % 200);
        long double exact =
            (long double)retry.initial_delay_ns * powl((long double)retry.multiplier, n);
        if (exact > (long double)retry.max_delay_ns)
            exact = (long double)retry.max_delay_ns;
        long double slack = 0.5L + exact * (n + 4) * (long double)DBL_EPSILON;
        long double delay = (long double)hg_retry_delay(&retry, n);
        cr_assert_leq(fabsl(delay - exact), slack, "round %d: %Lf for %Lf", round, delay, exact);
    }
}

Test(backoff, delays_grow_until_the_maximum_and_stay_there)
{
    seed_from(11);
    for (int round = 0; round < 2000; round++) {
        struct hg_retry retry = HG_RETRY_INIT;
        retry.initial_delay_ns = any_length();
        retry.max_delay_ns = retry.initial_delay_ns + (int64_t)(draw() >> 2);
        retry.multiplier = 1.001 + draw_unit() * 9.0;
        int64_t before_ns = 0;
        for (uint32_t n = 0; n < 200; n++) {
            int64_t delay_ns = hg_retry_delay(&retry, n);
            cr_assert_geq(delay_ns, before_ns, "round %d, retry %u", round, n);
            before_ns = delay_ns;
        }
        cr_assert_eq(hg_retry_delay(&retry, UINT32_MAX), retry.max_delay_ns);
    }
}

Test(backoff, a_delay_is_rounded_to_the_nearest_nanosecond)
{
    struct hg_retry retry = HG_RETRY_INIT;
    retry.max_delay_ns = INT64_MAX;
    retry.initial_delay_ns = 100 * HGI_NS_PER_MS;
    retry.multiplier = 1.15; /* 114999999.99999999 in double */
    cr_assert_eq(hg_retry_delay(&retry, 1), 115 * HGI_NS_PER_MS);
    retry.initial_delay_ns = INT64_MAX - 1; /* not through double: it would round up */
    cr_assert_eq(hg_retry_delay(&retry, 0), INT64_MAX - 1);
    retry.multiplier = 1.0;
    cr_assert_eq(hg_retry_delay(&retry, 5), INT64_MAX - 1);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Kolmogorov-Smirnov against the uniform distribution on [low, high]: the largest distance between the
 * two distribution functions, times the root of the number of samples. Above 1.95 in one run of a
 * thousand if the samples are uniform; the seed is fixed. */
static double distance_from_uniform(double *samples, int count, double low, double high)
{
    qsort(samples, (size_t)count, sizeof *samples, compare);
    double distance = 0.0;
    for (int i = 0; i < count; i++) {
        double expected = (samples[i] - low) / (high - low);
        distance = fmax(distance, fmax((i + 1.0) / count - expected, expected - (double)i / count));
    }
    return distance * sqrt(count);
}

static void expect_uniform(const struct hg_retry *retry, uint32_t n, int64_t previous_ns,
                           double low_ns, double high_ns)
{
    static double samples[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        samples[i] = (double)hg_retry_delay_jittered(retry, n, previous_ns, draw_unit());
        cr_assert(samples[i] >= low_ns && samples[i] <= high_ns, "%f", samples[i]);
    }
    double distance = distance_from_uniform(samples, SAMPLES, low_ns, high_ns);
    cr_assert_lt(distance, 1.95, "retry %u of jitter %d: %f", n, (int)retry->jitter, distance);
}

static struct hg_retry jittered(hg_jitter jitter)
{
    struct hg_retry retry = preset("fast");
    retry.jitter = jitter;
    return retry;
}

Test(backoff, without_jitter_chance_changes_nothing)
{
    struct hg_retry retry = jittered(HG_JITTER_NONE);
    cr_assert_eq(hg_retry_delay_jittered(&retry, 1, 9, 0.99), US(62500));
}

Test(backoff, additive_jitter_is_uniform_above_the_delay)
{
    seed_from(1);
    struct hg_retry retry = jittered(HG_JITTER_ADDITIVE);
    expect_uniform(&retry, 1, 0, 62.5e6, 68.75e6);
    expect_uniform(&retry, 9, 0, 500e6, 550e6); /* past the cap by the ratio */
    retry.jitter_ratio = 0.5;
    expect_uniform(&retry, 0, 0, 25e6, 37.5e6);
}

Test(backoff, full_jitter_is_uniform_below_the_delay)
{
    seed_from(2);
    struct hg_retry retry = jittered(HG_JITTER_FULL);
    expect_uniform(&retry, 0, 0, 0, 25e6);
    expect_uniform(&retry, 9, 0, 0, 500e6);
}

Test(backoff, equal_jitter_is_uniform_in_the_upper_half)
{
    seed_from(3);
    struct hg_retry retry = jittered(HG_JITTER_EQUAL);
    expect_uniform(&retry, 0, 0, 12.5e6, 25e6);
    expect_uniform(&retry, 9, 0, 250e6, 500e6);
}

Test(backoff, decorrelated_jitter_is_uniform_up_to_three_times_the_last_one_inside_the_cap)
{
    seed_from(4);
    struct hg_retry retry = jittered(HG_JITTER_DECORRELATED);
    expect_uniform(&retry, 0, 0, 25e6, 75e6);
    expect_uniform(&retry, 1, 60 * HGI_NS_PER_MS, 25e6, 180e6);
    expect_uniform(&retry, 2, 400 * HGI_NS_PER_MS, 25e6, 500e6);
    expect_uniform(&retry, 2, INT64_MAX, 25e6, 500e6);
    retry.max_delay_ns = 10 * HGI_NS_PER_MS; /* a cap below the initial delay wins */
    cr_assert_eq(hg_retry_delay_jittered(&retry, 0, 0, 0.7), 10 * HGI_NS_PER_MS);
}

/* The chain of what each retry makes of the one before it stays inside and does not pile up. */
Test(backoff, decorrelated_jitter_does_not_gather_at_the_cap)
{
    seed_from(5);
    struct hg_retry retry = jittered(HG_JITTER_DECORRELATED);
    int64_t delay_ns = 0;
    int at_cap = 0;
    for (uint32_t n = 0; n < SAMPLES; n++) {
        delay_ns = hg_retry_delay_jittered(&retry, n, delay_ns, draw_unit());
        at_cap += delay_ns == retry.max_delay_ns;
    }
    cr_assert_lt(at_cap, 3);
}
