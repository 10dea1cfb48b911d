/* A herd trial from start to end: callers, outage, counting.
 *
 * The conductor is the thread that calls hgi_trial_run(). It starts the callers, looks at the clock
 * every 5 ms, takes the server away and brings it back, and samples the pool's counters, from which
 * the library's attempts are known (raw callers count their own). Order of an outage: the phase
 * changes, then the server goes; the server answers again, then the phase changes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/herd.h"
#include "tools/stress/load.h"
#include "tools/stress/path.h"
#include "tools/stress/recipe.h"

enum { STACK_SIZE = 256 * 1024 };

#define TICK_NS (5 * NS_PER_MS)
#define HEAD_START_NS (100 * NS_PER_MS) /* for all threads to be there, and connected */

/* What the pool's counters said last. */
struct sample {
    uint64_t attempts;
    uint64_t dials;
    uint64_t wasted;
};

struct conductor {
    struct hgi_load load;
    struct hgi_caller *callers;
    unsigned char *values; /* one caller's room after the other's */
    uint32_t started;
    struct hgi_trial *trial;
    struct hgi_path path;
    const atomic_bool *interrupted;
    struct hgi_screen *screen;
    struct sample last;
    uint64_t attempts_at_down;
    pthread_mutex_t marks; /* guards the trial's marks and transitions */
};

/* From outside, or because an invariant is broken: there is nothing to be learnt from what follows. */
static bool is_interrupted(const struct conductor *c)
{
    return atomic_load_explicit(c->interrupted, memory_order_relaxed) ||
           atomic_load_explicit(&c->load.wrong, memory_order_relaxed) > 0;
}

static void on_transition(void *arg, const struct hg_breaker_event *event)
{
    struct conductor *c = arg;
    pthread_mutex_lock(&c->marks);
    struct hgi_trial *t = c->trial;
    t->transitions++;
    if (t->mark_count < HGI_MARKS_MAX)
        t->mark[t->mark_count++] =
            (struct hgi_breaker_mark) { .at_ns = event->at_ns - c->load.began_ns,
                                        .open_ns = event->retry_after_ns,
                                        .state = event->to };
    pthread_mutex_unlock(&c->marks);
}

static struct sample sample_pool(hg_pool *pool)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    return (struct sample) { .attempts = stats.attempts + stats.dials,
                             .dials = stats.dials,
                             .wasted = stats.failures + stats.dial_failures };
}

/* What the pool did since the last look goes into the bucket of now. */
static void sample(struct conductor *c)
{
    struct hgi_load *load = &c->load;
    if (!load->pool)
        return;
    struct sample now = sample_pool(load->pool);
    int64_t at_ns = monotonic_ns();
    hgi_load_count(load, HGI_IN_ATTEMPTS, at_ns, (uint32_t)(now.attempts - c->last.attempts));
    hgi_load_count(load, HGI_IN_WASTED, at_ns, (uint32_t)(now.wasted - c->last.wasted));
    /* relaxed: this thread is the only writer of these under this strategy. */
    atomic_store_explicit(&load->attempts, now.attempts, memory_order_relaxed);
    atomic_store_explicit(&load->wasted, now.wasted, memory_order_relaxed);
    atomic_store_explicit(&load->dials, now.dials, memory_order_relaxed);
    c->last = now;
}

static bool prepare_parts(struct conductor *c, const cJSON *policy, struct hgi_problem *problem)
{
    struct hgi_load *load = &c->load;
    const struct hgi_herd_settings *s = load->settings;
    struct hg_error err = HG_ERROR_INIT;
    if (load->strategy == HGI_STRATEGY_BUDGET)
        return hgi_recipe_budget(&load->policy, policy, s->attempt_timeout_ns, problem) &&
               (hg_budget_new(&load->budget, load->policy, &err) >= 0 ||
                hgi_problem_set(problem, "%s", err.message));
    if (load->strategy == HGI_STRATEGY_BREAKER) {
        struct hg_breaker_options options = hgi_recipe_breaker(policy);
        if (hg_breaker_new(&load->breaker, &options, &err) < 0)
            return hgi_problem_set(problem, "%s", err.message);
    }
    if (load->strategy == HGI_STRATEGY_ALL) {
        cJSON *mine = cJSON_Duplicate(policy, true);
        struct hgi_recipe recipe = { .client_name = "herdgate-stress",
                                     .connections = s->connections,
                                     .attempt_timeout_ns = s->attempt_timeout_ns,
                                     .deadline_ns = s->deadline_ns };
        bool well = mine && hgi_recipe_policy(&load->policy, mine, &recipe, problem);
        cJSON_Delete(mine);
        struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
        options.url = c->path.url;
        if (!well)
            return false;
        if (hg_pool_open(&load->pool, &options, load->policy, &err) < 0)
            return hgi_problem_set(problem, "%s", err.message);
        load->breaker = hg_pool_breaker(load->pool);
    }
    c->trial->has_breaker = load->breaker != NULL;
    if (load->breaker && hg_breaker_listen(load->breaker, on_transition, c, &err) < 0)
        return hgi_problem_set(problem, "%s", err.message);
    return true;
}

static bool prepare_counting(struct conductor *c, struct hgi_problem *problem)
{
    struct hgi_load *load = &c->load;
    const struct hgi_herd_settings *s = load->settings;
    if (!hgi_series_init(&c->trial->series, s->length_ns))
        return hgi_problem_set(problem, "out of memory");
    load->buckets = c->trial->series.count;
    load->bucket[0] = calloc(4 * (size_t)load->buckets, sizeof *load->bucket[0]);
    c->callers = calloc(s->threads, sizeof *c->callers);
    c->values = malloc(s->threads * (size_t)s->sizes.high);
    if (load->strategy == HGI_STRATEGY_JITTER)
        c->trial->draws = calloc(s->threads, sizeof *c->trial->draws);
    if (!load->bucket[0] || !c->callers || !c->values ||
        (load->strategy == HGI_STRATEGY_JITTER && !c->trial->draws))
        return hgi_problem_set(problem, "out of memory");
    for (size_t i = 1; i < 4; i++)
        load->bucket[i] = load->bucket[0] + i * load->buckets;
    for (uint32_t i = 0; i < s->threads; i++) {
        struct hgi_caller *caller = &c->callers[i];
        caller->load = load;
        caller->number = i;
        caller->random = random_mix(random_mix(s->seed) + i + 1);
        caller->jitter = random_mix(caller->random);
        caller->recording.on = s->record;
        caller->value = c->values + i * (size_t)s->sizes.high;
        for (uint32_t k = 0; k < HGI_CALLER_KEYS; k++)
            caller->ledger[k].key = (uint64_t)load->strategy * 1000000 + i * HGI_CALLER_KEYS + k;
    }
    return true;
}

static bool start_callers(struct conductor *c, struct hgi_problem *problem)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int error = c->callers ? 0 : ENOMEM;
    c->load.began_ns = monotonic_ns() + HEAD_START_NS;
    if (c->load.settings->capacity_per_s) /* connecting takes its share of it */
        c->load.began_ns += c->load.settings->threads * NS_PER_S / c->load.settings->capacity_per_s;
    c->load.end_ns = c->load.began_ns + c->load.settings->length_ns;
    for (uint32_t i = 0; i < c->load.settings->threads && error == 0; i++) {
        error = pthread_create(&c->callers[i].thread, &attributes, hgi_caller_main, &c->callers[i]);
        c->started += error == 0;
    }
    pthread_attr_destroy(&attributes);
    return error == 0 || hgi_problem_set(problem, "cannot start thread %" PRIu32 ": %s", c->started,
                                         strerror(error));
}

static void take_down(struct conductor *c)
{
    struct hgi_load *load = &c->load;
    sample(c);
    c->attempts_at_down = atomic_load_explicit(&load->attempts, memory_order_relaxed);
    atomic_store_explicit(&load->phase, HGI_PHASE_DOWN, memory_order_relaxed);
    c->trial->down_ns = monotonic_ns() - load->began_ns;
    hgi_path_down(&c->path, load->settings->way);
    /* [S1] release: counted when no server is left that could still acknowledge, and before there is
     * one that misses what was; pairs with [S1] in notice_losses(). */
    if (load->settings->way != HGI_OUTAGE_STOP)
        atomic_fetch_add_explicit(&load->data_losses, 1, memory_order_release);
}

static bool bring_back(struct conductor *c, struct hgi_problem *problem)
{
    struct hgi_load *load = &c->load;
    sample(c);
    if (!hgi_path_up(&c->path, load->settings->way, problem))
        return false;
    c->trial->up_ns = monotonic_ns() - load->began_ns;
    sample(c);
    if (load->pool) /* raw callers count theirs as they go */
        atomic_store_explicit(&load->attempts_down,
                              atomic_load_explicit(&load->attempts, memory_order_relaxed) -
                                  c->attempts_at_down,
                              memory_order_relaxed);
    atomic_store_explicit(&load->phase, HGI_PHASE_AFTER, memory_order_relaxed);
    return true;
}

static void show(struct conductor *c)
{
    struct hgi_load *load = &c->load;
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    int64_t now_ns = monotonic_ns();
    if (!hgi_screen_due(c->screen, now_ns))
        return;
    if (load->breaker)
        hg_breaker_take_snapshot(load->breaker, &breaker);
    if (load->pool)
        hg_pool_read_stats(load->pool, &stats);
    bool down = atomic_load_explicit(&load->phase, memory_order_relaxed) == HGI_PHASE_DOWN;
    const char *state = down ? "server DOWN" : "server up";
    if (now_ns < load->began_ns)
        state = "callers connect";
    else if (now_ns >= load->end_ns)
        state = "last calls";
    hgi_screen_show(c->screen,
                    &(struct hgi_screen_view) {
                        .now_ns = now_ns,
                        .began_ns = load->began_ns,
                        .length_ns = load->settings->length_ns,
                        .what = hgi_strategy_name(load->strategy),
                        .state = state,
                        .requests = atomic_load_explicit(&load->attempts, memory_order_relaxed),
                        .answered = atomic_load_explicit(&load->answered, memory_order_relaxed),
                        .failed = atomic_load_explicit(&load->failed, memory_order_relaxed),
                        .pool = load->pool ? &stats : NULL,
                        .breaker = load->breaker ? &breaker : NULL,
                        .capacity_per_s = load->settings->capacity_per_s,
                    });
}

/* Whether the outage has lasted as long as it should: on a machine that was late to begin it, it ends
 * as much later. */
static bool is_over(const struct conductor *c, int64_t at_ns)
{
    const struct hgi_span outage = c->load.settings->outage;
    return at_ns >= outage.high && at_ns - c->trial->down_ns >= outage.high - outage.low;
}

/* From the first call to the end of the time. */
static bool conduct(struct conductor *c, struct hgi_problem *problem)
{
    struct hgi_load *load = &c->load;
    const struct hgi_span outage = load->settings->outage;
    int seen_phase = HGI_PHASE_BEFORE; /* taking it down, and bringing it back, takes its time */
    hgi_screen_again(c->screen, monotonic_ns());
    hgi_path_begin(&c->path, &c->trial->series, load->began_ns);
    while (monotonic_ns() < load->began_ns - TICK_NS && !is_interrupted(c)) {
        sleep_until_ns(monotonic_ns() + TICK_NS);
        show(c);
    }
    for (int64_t next_ns = load->began_ns; next_ns < load->end_ns && !is_interrupted(c);
         next_ns += TICK_NS) {
        sleep_until_ns(next_ns);
        int64_t at_ns = monotonic_ns() - load->began_ns;
        int64_t late_ns = at_ns - (next_ns - load->began_ns);
        int phase = atomic_load_explicit(&load->phase, memory_order_relaxed);
        if (late_ns > c->trial->late_ns && phase == seen_phase)
            c->trial->late_ns = late_ns;
        seen_phase = phase;
        if (phase == HGI_PHASE_BEFORE && at_ns >= outage.low)
            take_down(c);
        else if (phase == HGI_PHASE_DOWN && is_over(c, at_ns) && !bring_back(c, problem))
            return false;
        sample(c);
        show(c);
    }
    if (!is_interrupted(c))
        sleep_until_ns(load->end_ns); /* the last calls are not part of the trial */
    c->trial->lost_ns = hgi_path_lost_ns(&c->path);
    int64_t now_ns = monotonic_ns();
    c->trial->length_ns = (now_ns < load->end_ns ? now_ns : load->end_ns) - load->began_ns;
    if (c->trial->length_ns < 0)
        c->trial->length_ns = 0;
    if (atomic_load_explicit(&load->phase, memory_order_relaxed) == HGI_PHASE_DOWN) {
        bool well = bring_back(c, problem); /* interrupted, or an outage to the very end */
        c->trial->up_ns = -1;
        return well;
    }
    return true;
}

static void join_callers(struct conductor *c, bool early)
{
    atomic_store_explicit(early ? &c->load.stop : &c->load.last_calls, true, memory_order_relaxed);
    while (atomic_load_explicit(&c->load.ended, memory_order_relaxed) < c->started) {
        sleep_until_ns(monotonic_ns() + TICK_NS);
        show(c);
        if (is_interrupted(c))
            atomic_store_explicit(&c->load.stop, true, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < c->started; i++)
        pthread_join(c->callers[i].thread, NULL);
    if (c->load.pool) {
        struct hg_pool_stats stats = HG_POOL_STATS_INIT;
        hg_pool_read_stats(c->load.pool, &stats);
        c->trial->connections_live = stats.idle + stats.leased + stats.mending;
    }
}

static void add_up(struct conductor *c)
{
    struct hgi_trial *t = c->trial;
    struct hgi_load *load = &c->load;
    uint32_t *const into[4] = { t->series.attempts, t->series.wasted, t->series.answered,
                                t->series.failed };
    t->threads = load->settings->threads;
    t->began_ns = load->began_ns;
    t->attempts = atomic_load_explicit(&load->attempts, memory_order_relaxed);
    t->attempts_down = atomic_load_explicit(&load->attempts_down, memory_order_relaxed);
    t->wasted = atomic_load_explicit(&load->wasted, memory_order_relaxed);
    t->dials = atomic_load_explicit(&load->dials, memory_order_relaxed);
    for (int s = 0; s < 4; s++) {
        for (uint32_t i = 0; i < load->buckets; i++)
            into[s][i] = atomic_load_explicit(&load->bucket[s][i], memory_order_relaxed);
    }
    for (uint32_t i = 0; i < c->started; i++) {
        struct hgi_caller *caller = &c->callers[i];
        t->offered += caller->offered;
        t->answered += caller->answered;
        t->offered_down += caller->offered_down;
        t->failed_down += caller->failed_down;
        t->threads_well += caller->well;
        for (int k = 0; k < HGI_STATUSES; k++) {
            t->failed_as[k] += caller->failed_as[k];
            t->failed += caller->failed_as[k];
        }
        if (caller->mismatches && t->mismatches == 0)
            memcpy(t->first_mismatch, caller->first_mismatch, sizeof t->first_mismatch);
        t->mismatches += caller->mismatches;
        t->not_begun += caller->not_begun;
        if (caller->overrun_ns > t->overrun_ns)
            t->overrun_ns = caller->overrun_ns;
        if (t->draws)
            t->draws[i] = caller->draws;
        hgi_histogram_merge(&t->latency, &caller->latency);
        hgi_recording_move(&t->recording, &caller->recording);
        hgi_histogram_merge(&t->service, &caller->service);
        hgi_histogram_merge(&t->latency_down, &caller->latency_down);
    }
    if (!load->pool)
        t->connections_live = t->threads_well;
}

static bool take_apart(struct conductor *c, struct hgi_problem *problem)
{
    struct hgi_load *load = &c->load;
    struct hg_error err = HG_ERROR_INIT;
    bool well = true;
    hgi_path_close(&c->path);
    if (load->breaker)
        hg_breaker_unlisten(load->breaker, on_transition, c);
    if (load->pool && hg_pool_close(load->pool, -1, &err) < 0)
        well = hgi_problem_set(problem, "%s", err.message);
    else if (load->strategy == HGI_STRATEGY_BREAKER)
        hg_breaker_free(load->breaker);
    hg_budget_free(load->budget);
    hg_policy_drop(load->policy);
    free(load->bucket[0]);
    free(c->callers);
    free(c->values);
    pthread_mutex_destroy(&c->marks);
    return well;
}

bool hgi_trial_run(struct hgi_trial *trial, const struct hgi_herd_settings *settings,
                   const cJSON *policy, struct hgi_private_server *server,
                   const atomic_bool *interrupted, struct hgi_screen *screen,
                   struct hgi_problem *problem)
{
    struct conductor c = { .trial = trial,
                           .interrupted = interrupted,
                           .screen = screen,
                           .marks = PTHREAD_MUTEX_INITIALIZER };
    c.load.settings = settings;
    c.load.strategy = trial->strategy;
    c.load.socket = c.path.socket;
    trial->server_seen = hgi_path_is_long(settings);
    trial->capacity_per_s = settings->capacity_per_s;
    trial->rate_per_s = settings->rate;
    trial->down_ns = -1;
    trial->up_ns = -1;
    bool well = hgi_path_open(&c.path, settings, server, problem) &&
                prepare_counting(&c, problem) && prepare_parts(&c, policy, problem) &&
                start_callers(&c, problem);
    well = well && conduct(&c, problem);
    join_callers(&c, !well || is_interrupted(&c));
    if (c.callers && c.load.bucket[0])
        add_up(&c);
    return take_apart(&c, well ? problem : NULL) && well;
}
