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
#define BACK_SHARE 0.95

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

static const char *const ways[HGI_OUTAGE_WAYS] = { "kill", "stop", "shutdown" };

const char *hgi_outage_name(enum hgi_outage_way way)
{
    return ways[way];
}

bool hgi_outage_parse(enum hgi_outage_way *out, const char *text, struct hgi_problem *problem)
{
    for (int way = 0; way < HGI_OUTAGE_WAYS; way++) {
        if (strcmp(text, ways[way]) == 0) {
            *out = (enum hgi_outage_way)way;
            return true;
        }
    }
    return hgi_problem_set(problem, "--fault: '%s' is none of kill, stop, shutdown", text);
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

void hgi_trial_free(struct hgi_trial *trial)
{
    if (!trial)
        return;
    hgi_series_free(&trial->series);
    free(trial->draws);
    hgi_recording_free(&trial->recording);
    free(trial);
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
        if (rate(s->answered, s->count, from_ns, from_ns + BACK_WINDOW_NS) >=
                BACK_SHARE * before_per_s &&
            rate(s->answered, s->count, from_ns, trial->length_ns) >= BACK_SHARE * before_per_s)
            return from_ns - trial->up_ns;
    }
    return -1;
}

/* The most of `counts` in `width` buckets in a row, wherever they begin from from_ns on, as a rate. */
static double peak(const uint32_t *counts, uint32_t count, uint32_t width, int64_t from_ns)
{
    uint64_t here = 0;
    uint64_t most = 0;
    uint32_t first = (uint32_t)((from_ns + HGI_BUCKET_NS - 1) / HGI_BUCKET_NS);
    for (uint32_t i = first; i < count; i++) {
        here += counts[i];
        if (i >= first + width)
            here -= counts[i - width];
        if (here > most)
            most = here;
    }
    return (double)most / ((double)(width * HGI_BUCKET_NS) / (double)NS_PER_S);
}

/* The open period of the breaker in which the server returned, and how much of it was left. */
static void find_open_interval(const struct hgi_trial *trial, struct hgi_herd_figures *f)
{
    f->open_interval_ns = f->open_left_ns = f->back_after_open_ns = -1;
    for (uint32_t i = 0; i < trial->mark_count && trial->up_ns >= 0; i++) {
        const struct hgi_breaker_mark *mark = &trial->mark[i];
        int64_t end_ns = i + 1 < trial->mark_count ? mark[1].at_ns : trial->length_ns;
        if (mark->state != HG_BREAKER_OPEN || mark->at_ns > trial->up_ns || end_ns <= trial->up_ns)
            continue;
        int64_t left_ns = mark->at_ns + mark->open_ns - trial->up_ns;
        f->open_interval_ns = mark->open_ns;
        f->open_left_ns = left_ns > 0 ? left_ns : 0;
    }
    if (f->back_ns >= 0 && f->open_left_ns >= 0)
        f->back_after_open_ns = f->back_ns > f->open_left_ns ? f->back_ns - f->open_left_ns : 0;
    else
        f->back_after_open_ns = f->back_ns;
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

static void add_server_side(const struct hgi_trial *trial, struct hgi_herd_figures *f)
{
    const struct hgi_series *s = &trial->series;
    f->over_capacity = f->over_capacity_10ms = f->over_capacity_after = -1;
    f->came = f->served = f->in_vain = f->in_vain_after = -1;
    if (!trial->server_seen)
        return;
    uint64_t came = sum(s->came, s->count, 0, trial->length_ns);
    f->came = (double)came;
    f->served = (double)sum(s->served, s->count, 0, trial->length_ns);
    f->in_vain = per(sum(s->in_vain, s->count, 0, trial->length_ns), came);
    if (trial->up_ns >= 0)
        f->in_vain_after = per(sum(s->in_vain, s->count, trial->up_ns, trial->length_ns),
                               sum(s->came, s->count, trial->up_ns, trial->length_ns));
    if (trial->capacity_per_s == 0)
        return;
    f->peak_per_s = peak(s->came, s->count, 10, 0);
    f->peak_10ms_per_s = peak(s->came, s->count, 1, 0);
    f->over_capacity = f->peak_per_s / trial->capacity_per_s;
    f->over_capacity_10ms = f->peak_10ms_per_s / trial->capacity_per_s;
    if (trial->up_ns >= 0)
        f->over_capacity_after = peak(s->came, s->count, 10, trial->up_ns) / trial->capacity_per_s;
}

struct hgi_herd_figures hgi_herd_figures(const struct hgi_trial *trial,
                                         const struct hgi_trial *naive)
{
    const struct hgi_series *s = &trial->series;
    int64_t before_ns = trial->down_ns >= 0 ? trial->down_ns : trial->length_ns;
    int64_t warm_ns = WARM_UP_NS < before_ns / 2 ? WARM_UP_NS : before_ns / 2;
    int64_t end_ns = trial->length_ns / HGI_BUCKET_NS * HGI_BUCKET_NS;
    double answered = rate(s->answered, s->count, warm_ns, before_ns);
    double failed = rate(s->failed, s->count, warm_ns, before_ns);
    /* In an open loop there can be more: calls that came late made up for it. Nothing brings that back. */
    double before =
        trial->rate_per_s && answered > trial->rate_per_s ? trial->rate_per_s : answered;
    double last = rate(s->answered, s->count, end_ns - NS_PER_S, end_ns);
    struct hgi_herd_figures f = {
        .amplification = per(trial->attempts, trial->offered),
        .amplification_down = per(trial->attempts_down, trial->offered_down),
        .ratio_to_naive =
            naive && naive->attempts_down ? per(trial->attempts_down, naive->attempts_down) : -1,
        .offered_per_s = answered + failed,
        .goodput_per_s = answered,
        .goodput_at_end = before > 0 ? last / before : 0,
        .peak_per_s = peak(s->attempts, s->count, 10, 0),
        .peak_10ms_per_s = peak(s->attempts, s->count, 1, 0),
        .wasted = per(trial->wasted, trial->attempts),
        .false_opens = count_false_opens(trial),
        .back_ns = back_after(trial, before),
    };
    find_open_interval(trial, &f);
    add_server_side(trial, &f);
    return f;
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
