/* How long to wait before a retry: the presets, the delay, and its jitter.
 *
 * The delay before retry n is min(initial * multiplier^n, max), in nanoseconds, rounded to the nearest
 * one. The power is taken by squaring in double: exact while the digits of multiplier^n fit into 53
 * bits, infinite when it overflows, and never more than 32 steps. A product is compared with its
 * limit as a double before it becomes an integer again, so no conversion is out of range.
 *
 * Invariants, for every bit pattern of the settings: 0 <= delay <= max(0, max_delay); full, equal and
 * decorrelated jitter stay inside 0 to max_delay; additive jitter adds at most ratio * delay.
 */
#include "policy/backoff.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "policy/settings.h"

struct preset {
    const char *name;
    struct hg_retry retry;
};

#define ADDITIVE_RATIO 0.1

static const struct preset presets[] = {
    { "conservative",
      { sizeof(struct hg_retry), 3, HG_JITTER_NONE, 100 * HGI_NS_PER_MS, 1 * HGI_NS_PER_S, 2.0,
        ADDITIVE_RATIO } },
    { "aggressive",
      { sizeof(struct hg_retry), 7, HG_JITTER_ADDITIVE, 50 * HGI_NS_PER_MS, 5 * HGI_NS_PER_S, 1.5,
        ADDITIVE_RATIO } },
    { "fast",
      { sizeof(struct hg_retry), 5, HG_JITTER_ADDITIVE, 25 * HGI_NS_PER_MS, 500 * HGI_NS_PER_MS,
        2.5, ADDITIVE_RATIO } },
    { "none", { sizeof(struct hg_retry), 1, HG_JITTER_NONE, 0, 0, 1.0, ADDITIVE_RATIO } },
};

enum { PRESETS = sizeof presets / sizeof presets[0] };

/* What the first version of the struct held: a caller's `size` below this was never set. */
#define RETRY_SIZE_FIRST (offsetof(struct hg_retry, jitter_ratio) + sizeof(double))

static_assert(RETRY_SIZE_FIRST == sizeof(struct hg_retry), "a field was added: test both sizes");

const char *hgi_retry_preset_name(size_t index)
{
    return index < PRESETS ? presets[index].name : NULL;
}

/* Fill as much of *out as its owner's version of the struct has. */
static void hand_out(struct hg_retry *out, const struct hg_retry *retry)
{
    size_t size = out->size;
    if (size < RETRY_SIZE_FIRST)
        size = RETRY_SIZE_FIRST;
    if (size > sizeof *retry)
        size = sizeof *retry;
    memcpy(out, retry, size);
    out->size = size;
}

hg_status hg_retry_preset(struct hg_retry *out, const char *name, struct hg_error *err)
{
    if (!out || !name)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_retry_preset: %s is NULL",
                             out ? "name" : "out");
    for (size_t i = 0; i < PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            hand_out(out, &presets[i].retry);
            return HG_OK;
        }
    }
    return hgi_error_set(
        err, HG_ERR_VALIDATION,
        "no retry preset is called \"%s\"; there are conservative, aggressive, fast "
        "and none",
        name);
}

hg_status hg_policy_retry(const hg_policy *policy, const char *op_class, struct hg_retry *out,
                          struct hg_error *err)
{
    if (!policy || !out)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_policy_retry: %s is NULL",
                             policy ? "out" : "policy");
    if (!op_class)
        op_class = "write_once";
    const struct hgi_class *found = hgi_settings_class(&policy->settings, op_class);
    if (!found)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the policy has no operation class \"%s\"; name it under \"classes\"",
                             op_class);
    hand_out(out, &found->retry);
    return HG_OK;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* base^exponent; +infinity when it overflows. base is not negative. */
static double power(double base, uint32_t exponent)
{
    double result = 1.0;
    while (exponent > 0) {
        if (exponent & 1)
            result *= base;
        base *= base;
        exponent >>= 1;
    }
    return result;
}

/* min(whole * factor, limit) to the nearest integer; whole and limit are not negative. A factor that
 * is negative or not a number counts as 0. */
static int64_t scale(int64_t whole, double factor, int64_t limit)
{
    if (whole == 0 || !(factor > 0.0))
        return 0;
    double product = (double)whole * factor;
    /* Below (double)limit there is no double above limit, whichever way limit was rounded. */
    if (product >= (double)limit)
        return limit;
    int64_t rounded = (int64_t)product;
    if (product - (double)rounded >= 0.5)
        rounded++;
    return least(rounded, limit);
}

int64_t hg_retry_delay(const struct hg_retry *retry, uint32_t n)
{
    int64_t initial_ns = retry->initial_delay_ns;
    int64_t max_ns = retry->max_delay_ns;
    if (initial_ns <= 0 || max_ns <= 0)
        return 0;
    /* Not through double where nothing is multiplied: beyond 2^53 ns that would round. */
    if (n == 0 || !(retry->multiplier >= 0.0) || retry->multiplier == 1.0)
        return least(initial_ns, max_ns);
    return scale(initial_ns, power(retry->multiplier, n), max_ns);
}

/* Uniform in [low, high], for a unit in [0, 1). */
static int64_t between(int64_t low_ns, int64_t high_ns, double unit)
{
    return low_ns + scale(high_ns - low_ns, unit, high_ns - low_ns);
}

/* min(3 * previous, max), where the first "previous" is the initial delay. */
static int64_t decorrelated_top(int64_t low_ns, int64_t max_ns, int64_t previous_ns)
{
    if (previous_ns < low_ns)
        previous_ns = low_ns;
    return previous_ns >= max_ns / 3 + 1 ? max_ns : least(3 * previous_ns, max_ns);
}

int64_t hg_retry_delay_jittered(const struct hg_retry *retry, uint32_t n, int64_t previous_ns,
                                double unit)
{
    int64_t delay_ns = hg_retry_delay(retry, n);
    if (!(unit > 0.0))
        unit = 0.0;
    if (unit > 1.0)
        unit = 1.0;
    switch (retry->jitter) {
    case HG_JITTER_ADDITIVE:
        return delay_ns + scale(delay_ns, unit * retry->jitter_ratio, INT64_MAX - delay_ns);
    case HG_JITTER_FULL:
        return between(0, delay_ns, unit);
    case HG_JITTER_EQUAL:
        return between(delay_ns / 2, delay_ns, unit);
    case HG_JITTER_DECORRELATED: {
        int64_t low_ns = hg_retry_delay(retry, 0);
        int64_t max_ns = retry->max_delay_ns > 0 ? retry->max_delay_ns : 0;
        return low_ns == 0 ? 0
                           : between(low_ns, decorrelated_top(low_ns, max_ns, previous_ns), unit);
    }
    case HG_JITTER_NONE:
    default:
        return delay_ns;
    }
}
