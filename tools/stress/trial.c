/* Figures of a herd trial; see trial.h. */
#include "tools/stress/trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"

#define WARM_UP_NS (300 * NS_PER_MS) /* left out of the goodput before the outage */
#define BACK_WINDOW_NS (300 * NS_PER_MS)

static const struct {
    const char *name;
    const char *text;
} strategies[HGI_STRATEGIES] = {
    [HGI_STRATEGY_NAIVE] = { "naive", "a connection per thread; 7 attempts at once, no delay" },
    [HGI_STRATEGY_BACKOFF] = { "backoff", "naive, with growing delays of 50 ms to 380 ms" },
    [HGI_STRATEGY_JITTER] = { "jitter", "backoff, each delay drawn from 0 to its full length" },
    [HGI_STRATEGY_BUDGET] = { "budget", "naive, with a shared limit on retries" },
    [HGI_STRATEGY_BREAKER] = { "breaker", "naive, with a circuit breaker for all threads" },
    [HGI_STRATEGY_ALL] = { "all", "herdgate: pool, jitter, budget and breaker together" },
};

const char *hgi_strategy_name(enum hgi_strategy strategy)
{
    return strategies[strategy].name;
}

const char *hgi_strategy_text(enum hgi_strategy strategy)
{
    return strategies[strategy].text;
}

const char *hgi_herd_load(const struct hgi_herd_settings *settings)
{
    return settings->rate ? "open loop: times from the intended start"
                          : "closed loop: not corrected";
}

static bool append_strategy(enum hgi_strategy *list, size_t *count, const char *name, size_t length,
                            struct hgi_problem *problem)
{
    for (int s = 0; s < HGI_STRATEGIES; s++) {
        if (strlen(strategies[s].name) != length || memcmp(strategies[s].name, name, length) != 0)
            continue;
        for (size_t i = 0; i < *count; i++) {
            if (list[i] == (enum hgi_strategy)s)
                return hgi_problem_set(problem, "'%s' is named twice", strategies[s].name);
        }
        list[(*count)++] = (enum hgi_strategy)s;
        return true;
    }
    return hgi_problem_set(problem,
                           "'%.*s' is none of naive, backoff, jitter, budget, breaker, all",
                           (int)length, name);
}

bool hgi_strategies_parse(enum hgi_strategy *list, size_t *count, const char *text,
                          struct hgi_problem *problem)
{
    *count = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        if (!append_strategy(list, count, text, length, problem))
            return false;
        if (!text[length])
            return true;
        text += length + 1;
    }
}

bool hgi_series_init(struct hgi_series *series, int64_t length_ns)
{
    uint32_t count = (uint32_t)((length_ns + HGI_BUCKET_NS - 1) / HGI_BUCKET_NS);
    uint32_t *counts = calloc(7 * (size_t)count, sizeof *counts);
    *series = (struct hgi_series) { 0 };
    if (!counts)
        return false;
    *series = (struct hgi_series) { .count = count,
                                    .attempts = counts,
                                    .wasted = counts + count,
                                    .answered = counts + 2 * (size_t)count,
                                    .failed = counts + 3 * (size_t)count,
                                    .came = counts + 4 * (size_t)count,
                                    .in_vain = counts + 5 * (size_t)count,
                                    .served = counts + 6 * (size_t)count };
    return true;
}

void hgi_series_free(struct hgi_series *series)
{
    free(series->attempts);
    *series = (struct hgi_series) { 0 };
}

/* The sum of the buckets that lie within from..to. */
static uint64_t sum(const uint32_t *counts, uint32_t count, int64_t from_ns, int64_t to_ns)
{
    uint64_t total = 0;
    int64_t first = (from_ns + HGI_BUCKET_NS - 1) / HGI_BUCKET_NS;
    int64_t end = to_ns / HGI_BUCKET_NS;
    for (int64_t i = first < 0 ? 0 : first; i < end && i < (int64_t)count; i++)
        total += counts[i];
    return total;
}

static double rate(const uint32_t *counts, uint32_t count, int64_t from_ns, int64_t to_ns)
{
    int64_t first = (from_ns + HGI_BUCKET_NS - 1) / HGI_BUCKET_NS;
    int64_t buckets = to_ns / HGI_BUCKET_NS - first;
    if (buckets <= 0)
        return 0;
    return (double)sum(counts, count, from_ns, to_ns) /
           ((double)(buckets * HGI_BUCKET_NS) / (double)NS_PER_S);
}

static int64_t back_after(const struct hgi_trial *trial, double before_per_s)
{
    if (trial->up_ns < 0 || before_per_s <= 0)
        return -1;
    const struct hgi_series *s = &trial->series;
    int64_t from_ns = (trial->up_ns + HGI_BUCKET_NS - 1) / HGI_BUCKET_NS * HGI_BUCKET_NS;
    for (; from_ns + BACK_WINDOW_NS <= trial->length_ns; from_ns += HGI_BUCKET_NS) {
        if (rate(s->answered, s->count, from_ns, from_ns + BACK_WINDOW_NS) >= 0.95 * before_per_s)
            return from_ns - trial->up_ns;
    }
    return -1;
}

/* The most attempts in `width` buckets, as a rate. */
static double peak(const struct hgi_series *series, uint32_t width)
{
    double most = 0;
    for (uint32_t i = 0; i + width <= series->count; i += width) {
        double here =
            rate(series->attempts, series->count, i * HGI_BUCKET_NS, (i + width) * HGI_BUCKET_NS);
        if (here > most)
            most = here;
    }
    return most;
}

static uint64_t count_false_opens(const struct hgi_trial *trial)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < trial->mark_count; i++) {
        int64_t at_ns = trial->mark[i].at_ns;
        bool down = trial->down_ns >= 0 && at_ns >= trial->down_ns &&
                    (trial->up_ns < 0 || at_ns <= trial->up_ns);
        count += trial->mark[i].state == HG_BREAKER_OPEN && !down;
    }
    return count;
}

static double per(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

struct hgi_herd_figures hgi_herd_figures(const struct hgi_trial *trial,
                                         const struct hgi_trial *naive)
{
    const struct hgi_series *s = &trial->series;
    int64_t before_ns = trial->down_ns >= 0 ? trial->down_ns : trial->length_ns;
    int64_t warm_ns = WARM_UP_NS < before_ns / 2 ? WARM_UP_NS : before_ns / 2;
    double answered = rate(s->answered, s->count, warm_ns, before_ns);
    double failed = rate(s->failed, s->count, warm_ns, before_ns);
    return (struct hgi_herd_figures) {
        .amplification = per(trial->attempts, trial->offered),
        .amplification_down = per(trial->attempts_down, trial->offered_down),
        .ratio_to_naive =
            naive && naive->attempts_down ? per(trial->attempts_down, naive->attempts_down) : -1,
        .offered_per_s = answered + failed,
        .goodput_per_s = answered,
        .peak_per_s = peak(s, 10),
        .peak_10ms_per_s = peak(s, 1),
        .wasted = per(trial->wasted, trial->attempts),
        .false_opens = count_false_opens(trial),
        .back_ns = back_after(trial, answered),
    };
}

const struct hgi_trial *hgi_herd_find(const struct hgi_herd_results *results,
                                      enum hgi_strategy strategy)
{
    for (size_t i = 0; i < results->count; i++) {
        if (results->trial[i]->strategy == strategy)
            return results->trial[i];
    }
    return NULL;
}

/* "3.5 times", "292 times". */
static void times(char *out, size_t size, double factor)
{
    char whole[32];
    if (factor < 9.95)
        snprintf(out, size, "%.1f times", factor);
    else
        snprintf(out, size, "%s times",
                 hgi_format_count(whole, sizeof whole, (uint64_t)(factor + 0.5)));
}

void hgi_herd_verdict(char *out, size_t size, const struct hgi_herd_results *results)
{
    char a[32], b[32], more[48], quick[32], back[96];
    const struct hgi_trial *all = hgi_herd_find(results, HGI_STRATEGY_ALL);
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    if (!all || all->down_ns < 0) {
        snprintf(out, size, "%s",
                 results->interrupted ? "Interrupted before there was anything to compare."
                                      : "Nothing to compare with: the policy 'all' was not run.");
        return;
    }
    struct hgi_herd_figures f = hgi_herd_figures(all, naive);
    hgi_format_count(a, sizeof a, all->attempts_down);
    if (f.back_ns >= 0)
        snprintf(back, sizeof back, "95 %% of the goodput was back %s after the server's return",
                 hgi_format_latency(quick, sizeof quick, f.back_ns));
    else
        snprintf(back, sizeof back, "95 %% of the goodput was not back within the trial");
    hgi_format_latency(quick, sizeof quick, hgi_histogram_percentile(&all->latency_down, 50));
    if (naive && naive->down_ns >= 0) {
        double factor =
            (double)naive->attempts_down / (double)(all->attempts_down ? all->attempts_down : 1);
        times(more, sizeof more, factor);
        snprintf(out, size,
                 "While the server was down, herdgate tried it %s times; naive retry tried it %s "
                 "times, %s as often. Calls failed after %s (median), and %s.",
                 a, hgi_format_count(b, sizeof b, naive->attempts_down), more, quick, back);
    } else {
        snprintf(out, size,
                 "While the server was down, herdgate tried it %s times. Calls failed after %s "
                 "(median), and %s.",
                 a, quick, back);
    }
}

void hgi_herd_broken(char *out, size_t size, const struct hgi_herd_results *results)
{
    out[0] = '\0';
    for (size_t i = 0; i < results->count && !out[0]; i++) {
        const struct hgi_trial *t = results->trial[i];
        const char *name = hgi_strategy_name(t->strategy);
        if (t->mismatches > 0)
            snprintf(out, size,
                     "%s: %" PRIu64 " replies did not belong to their command; first: %s", name,
                     t->mismatches, t->first_mismatch);
        else if (t->strategy == HGI_STRATEGY_ALL && !results->interrupted &&
                 t->threads_well < t->threads)
            snprintf(out, size,
                     "%s: %" PRIu32 " of %" PRIu32
                     " threads got no answer again after the server's return",
                     name, t->threads - t->threads_well, t->threads);
        else if (t->strategy == HGI_STRATEGY_ALL && !results->interrupted &&
                 t->connections_live == 0)
            snprintf(out, size, "%s: the pool has no live connection at the end", name);
    }
}
