/* What a policy comes to; see outlook.h.
 *
 * The delays are those of the library's own hg_retry_delay(). Minimum, mean and maximum of a jittered one
 * follow from its distribution; decorrelated jitter draws from a range that depends on the draw before
 * it, so its distribution is carried from retry to retry in cells. Times add up to HGI_NEVER at the most:
 * a command may say that it waits for centuries. */
#include "tools/policy/outlook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "policy/budget.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void spread(struct hgi_delay *out, const struct hg_retry *retry)
{
    int64_t plain_ns = out->plain_ns;
    out->least_ns = out->mean_ns = out->most_ns = plain_ns;
    switch (retry->jitter) {
    case HG_JITTER_ADDITIVE:
        out->mean_ns += (int64_t)((double)plain_ns * retry->jitter_ratio / 2);
        out->most_ns += (int64_t)((double)plain_ns * retry->jitter_ratio);
        break;
    case HG_JITTER_FULL:
        out->least_ns = 0;
        out->mean_ns = plain_ns / 2;
        break;
    case HG_JITTER_EQUAL:
        out->least_ns = plain_ns / 2;
        out->mean_ns = plain_ns - plain_ns / 4;
        break;
    case HG_JITTER_DECORRELATED:
    case HG_JITTER_NONE:
    default:
        break;
    }
}

/* --- decorrelated jitter: each delay is uniform from low to min(3 * the one before, high) --- */

enum { CELLS = 2048 };

/* Where a delay may be: `share` of it in each cell. Cells grow geometrically from low to high, so that
 * small delays are as well resolved as large ones. */
struct distribution {
    double low;
    double ratio; /* of a cell's two edges */
    double share[CELLS];
};

static double edge(const struct distribution *d, size_t cell)
{
    return d->low * pow(d->ratio, (double)cell);
}

/* The next delay's distribution, by the cumulative share at each edge. A cell of the delay before at x
 * spreads evenly over low to top(x); top grows with x, so what lies wholly below an edge is a running
 * sum, and the rest another one from the other end. */
static void advance(struct distribution *next, const struct distribution *now, double high,
                    double tail[CELLS + 1], struct hgi_delay *out)
{
    double mean = 0;
    tail[CELLS] = 0;
    for (size_t i = CELLS; i-- > 0;) {
        double middle = sqrt(edge(now, i) * edge(now, i + 1));
        double top = fmin(3 * middle, high);
        mean += now->share[i] * (now->low + top) / 2;
        tail[i] = tail[i + 1] + (top > now->low ? now->share[i] / (top - now->low) : 0);
    }
    out->mean_ns = (int64_t)llround(mean);
    double below = 0; /* share of those whose top is at or below the edge */
    double before = 0;
    size_t whole = 0;
    for (size_t cell = 0; cell < CELLS; cell++) {
        double at = edge(now, cell + 1);
        for (; whole < CELLS; whole++) {
            double middle = sqrt(edge(now, whole) * edge(now, whole + 1));
            if (fmin(3 * middle, high) > at)
                break;
            below += now->share[whole];
        }
        double reached = cell + 1 == CELLS ? 1 : below + (at - now->low) * tail[whole];
        next->share[cell] = reached - before;
        before = reached;
    }
}

static bool decorrelate(const struct hg_retry *retry, uint32_t count, struct hgi_delay *out)
{
    const double low = (double)hg_retry_delay(retry, 0);
    const double high = (double)retry->max_delay_ns;
    if (low <= 0 || high <= low)
        return true; /* there is nothing to draw from */
    struct distribution *two = calloc(2, sizeof *two);
    double *tail = calloc(CELLS + 1, sizeof *tail);
    bool well = two && tail;
    for (int i = 0; i < 2 && well; i++) {
        two[i].low = low;
        two[i].ratio = pow(high / low, 1.0 / CELLS);
    }
    if (well)
        two[0].share[0] = 1; /* "the one before" the first is the initial delay */
    int64_t most_ns = (int64_t)low;
    for (uint32_t n = 0; n < count && well; n++) {
        most_ns = least(most_ns > INT64_MAX / 3 ? INT64_MAX : 3 * most_ns, retry->max_delay_ns);
        out[n].least_ns = (int64_t)low;
        out[n].most_ns = most_ns;
        advance(&two[(n + 1) % 2], &two[n % 2], high, tail, &out[n]);
    }
    free(two);
    free(tail);
    return well;
}

bool hgi_outlook_delays(const struct hg_retry *retry, uint32_t count, struct hgi_delay *out)
{
    for (uint32_t n = 0; n < count; n++) {
        out[n].plain_ns = hg_retry_delay(retry, n);
        spread(&out[n], retry);
    }
    return retry->jitter != HG_JITTER_DECORRELATED || decorrelate(retry, count, out);
}

/* --- time --- */

/* Of one attempt, with its place in the pool's queue if nothing else ends that. */
static int64_t attempt_limit(const struct hgi_class *op_class, int64_t block_ns)
{
    if (op_class->attempt_timeout_ns < 0 || block_ns < 0)
        return -1;
    return hgi_deadline_after(block_ns, op_class->attempt_timeout_ns);
}

/* n times as long, HGI_NEVER at the most; no limit stays none. */
static int64_t times(uint32_t n, int64_t each_ns)
{
    if (each_ns < 0)
        return -1;
    return each_ns > HGI_NEVER / n ? HGI_NEVER : (int64_t)n * each_ns;
}

static int64_t worst(const struct hgi_outlook *o, const struct hgi_pool_settings *pool)
{
    if (o->deadline_ns >= 0 && o->attempt_ns < 0)
        return o->deadline_ns;
    if (o->deadline_ns < 0 && (o->attempt_ns < 0 || pool->acquire_timeout_ns < 0))
        return -1;
    int64_t queue_ns = pool->acquire_timeout_ns < 0 ? o->deadline_ns : pool->acquire_timeout_ns;
    int64_t each_ns = hgi_deadline_after(o->attempt_ns, queue_ns);
    int64_t whole_ns = hgi_deadline_after(times(o->attempts, each_ns), o->delays_most_ns);
    return o->deadline_ns < 0 ? whole_ns : least(whole_ns, o->deadline_ns);
}

bool hgi_outlook(struct hgi_outlook *out, const struct hgi_settings *settings,
                 const struct hgi_class *op_class, int64_t block_ns)
{
    uint32_t retries = op_class->retry.max_attempts - 1;
    struct hgi_delay *delays = calloc(retries + 1u, sizeof *delays);
    if (!delays || !hgi_outlook_delays(&op_class->retry, retries, delays)) {
        free(delays);
        return false;
    }
    *out = (struct hgi_outlook) { .attempts = retries + 1,
                                  .begun = 1,
                                  .attempt_ns = attempt_limit(op_class, block_ns),
                                  .deadline_ns = op_class->deadline_ns };
    out->attempts_ns = times(out->attempts, out->attempt_ns);
    int64_t at_ns = 0;
    for (uint32_t n = 0; n < retries; n++) {
        out->delays_mean_ns += delays[n].mean_ns;
        out->delays_most_ns += delays[n].most_ns;
        at_ns += delays[n].mean_ns;
        at_ns = hgi_deadline_after(at_ns, out->attempt_ns < 0 ? 0 : out->attempt_ns);
        bool endless = out->attempt_ns < 0;
        if (!endless && (out->deadline_ns < 0 || at_ns < out->deadline_ns))
            out->begun++;
    }
    out->worst_ns = worst(out, &settings->pool);
    free(delays);
    return true;
}

double hgi_outlook_attempts(const struct hgi_settings *settings, const struct hgi_outlook *outlook,
                            double callers)
{
    double unlimited = callers * outlook->attempts;
    if (!settings->budget.enabled || outlook->worst_ns < 0)
        return unlimited;
    struct hgi_budget_rules rules = hgi_budget_rules(&settings->budget);
    double tokens = (double)rules.capacity / (double)HGI_BUDGET_TOKEN;
    double earned = settings->budget.ratio * callers + settings->budget.min_per_second *
                                                           (double)outlook->worst_ns /
                                                           (double)HGI_NS_PER_S;
    return fmin(unlimited, callers + floor(tokens + earned));
}
