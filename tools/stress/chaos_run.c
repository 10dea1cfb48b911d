/* A run of chaos or soak from start to end: server, proxy, pool, workers, faults, what is watched.
 *
 * The conductor is the thread that calls hgi_chaos_run(). Every 20 ms it begins and ends what the schedule
 * says for the server (the proxy keeps its own time), looks at the breaker, the pool's sockets and what the
 * workers have found, and ends the run at the first broken invariant. At the end all faults are taken away,
 * the workers joined, and every counter on the server is held against what its worker knows of it.
 *
 * With no toxics in the schedule there is no proxy.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/chaos_parts.h"
#include "tools/stress/vitals.h"

#define TICK_NS (20 * NS_PER_MS)
#define GRACE_NS (500 * NS_PER_MS) /* after an attempt that a fault held up to its end */

static bool is_interrupted(const struct hgi_chaos_run *run)
{
    return atomic_load_explicit(run->interrupted, memory_order_relaxed); /* relaxed: polled */
}

/* --- start --- */

/* The schedule of the round that begins now. */
static void plan(struct hgi_chaos_run *run, int64_t now_ns)
{
    struct hgi_chaos_results *r = run->results;
    r->round_seed = hgi_chaos_round_seed(r->settings.seed, r->rounds++);
    hgi_chaos_schedule(&r->settings, r->round_seed, &r->toxics, &r->server_faults);
    run->round_ns = now_ns;
    if (run->stage.own)
        hgi_saboteur_plan(&run->saboteur, &r->server_faults, now_ns);
    if (run->proxy)
        hgi_proxy_set(run->proxy, &r->toxics);
}

static bool open_path(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    const struct hgi_chaos_settings *s = &run->results->settings;
    const struct hgi_proxy_options options = { .target = &run->stage.target };
    run->through = run->stage.target;
    if (!s->drawn && s->toxics.count == 0)
        return true;
    if (!hgi_proxy_start(&run->proxy, &options, problem))
        return false;
    hgi_proxy_target(run->proxy, &run->through);
    return true;
}

static bool open_pool(struct hgi_chaos_run *run, cJSON *policy, struct hgi_problem *problem)
{
    const struct hgi_chaos_settings *s = &run->results->settings;
    const struct hgi_recipe recipe = { .path = s->policy,
                                       .connections = s->connections,
                                       .attempt_timeout_ns = s->attempt_timeout_ns,
                                       .deadline_ns = s->deadline_ns };
    hg_pool **pool = &run->crew.work.pool;
    if (!hgi_stage_pool(pool, &run->stage, &run->through, policy, &recipe, problem))
        return false;
    hgi_breaker_watch_begin(&run->watch, run->began_ns, s->attempt_timeout_ns + GRACE_NS,
                            hgi_recipe_breaker(policy).half_open_max_calls);
    run->watching = true;
    hg_breaker_listen(hg_pool_breaker(*pool), hgi_breaker_watch_event, &run->watch, NULL);
    return true;
}

/* --- while it runs --- */

/* When the server is well, from the schedule, for who judges an opening of the breaker. */
static void tell_well(struct hgi_chaos_run *run, int64_t now_ns)
{
    const struct hgi_chaos_results *r = run->results;
    int64_t since_ns = now_ns - run->round_ns;
    int64_t until_ns = run->round_ns + r->settings.round_ns;
    bool well = !run->saboteur.on;
    for (uint32_t i = 0; i < r->toxics.count; i++) {
        const struct hgi_toxic *toxic = &r->toxics.toxic[i];
        well = well && (since_ns < toxic->from_ns || since_ns >= toxic->until_ns);
        if (toxic->from_ns > since_ns && run->round_ns + toxic->from_ns < until_ns)
            until_ns = run->round_ns + toxic->from_ns;
    }
    for (uint32_t i = 0; i < r->server_faults.count; i++) {
        const struct hgi_server_fault *fault = &r->server_faults.fault[i];
        if (fault->from_ns > since_ns && run->round_ns + fault->from_ns < until_ns)
            until_ns = run->round_ns + fault->from_ns;
    }
    if (!well)
        run->well_since_ns = INT64_MAX;
    else if (run->well_since_ns == INT64_MAX)
        run->well_since_ns = now_ns;
    hgi_breaker_watch_well(&run->watch, run->well_since_ns, until_ns);
}

/* The pool's sockets. One look may count a socket that is closed during it, and the next one opened: only
 * what several looks in a row say is too many. */
static void look_at_sockets(struct hgi_chaos_run *run)
{
    struct hgi_chaos_results *r = run->results;
    uint32_t least = UINT32_MAX;
    for (int i = 0; i < 5 && least > r->stats.max_size; i++) {
        uint32_t count = hgi_vitals_sockets(&run->through);
        if (!run->proxy) /* ours go to the same place */
            count -= hgi_saboteur_connections(&run->saboteur);
        least = count < least ? count : least;
    }
    r->sockets_over += least > r->stats.max_size;
    if (least > r->sockets_most)
        r->sockets_most = least;
}

static bool is_broken(struct hgi_chaos_run *run)
{
    struct hgi_breaker_counts *counts = &run->results->breaker;
    hgi_breaker_watch_read(&run->watch, monotonic_ns(), counts);
    return counts->broken > 0 || run->results->sockets_over > 0 ||
           atomic_load_explicit(&run->crew.work.live.broken, memory_order_relaxed) > 0;
}

static bool conduct(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    struct hgi_chaos_results *r = run->results;
    const struct hgi_chaos_settings *s = &r->settings;
    int64_t end_ns = run->began_ns + s->length_ns;
    bool well = true;
    hgi_chaos_show_begin(run);
    for (int64_t now_ns = run->began_ns; well && now_ns < end_ns; now_ns = monotonic_ns()) {
        if (is_interrupted(run) || is_broken(run))
            break;
        if (now_ns >= run->round_ns + s->round_ns) {
            well = hgi_saboteur_end(&run->saboteur, problem);
            plan(run, now_ns);
        }
        well = well && hgi_saboteur_work(&run->saboteur, now_ns, problem);
        tell_well(run, now_ns);
        hgi_breaker_watch_look(&run->watch, hg_pool_breaker(run->crew.work.pool));
        hg_pool_read_stats(run->crew.work.pool, &r->stats);
        if (++run->ticks % 5 == 0)
            look_at_sockets(run);
        hgi_chaos_show(run, now_ns);
        sleep_until_ns(now_ns + TICK_NS < end_ns ? now_ns + TICK_NS : end_ns);
    }
    hgi_chaos_show_end(run, monotonic_ns());
    r->stamp.interrupted = is_interrupted(run);
    return hgi_saboteur_end(&run->saboteur, well ? problem : NULL) && well;
}

/* --- end --- */

static void note_proxy(struct hgi_chaos_run *run)
{
    struct hgi_proxy_stats stats;
    if (!run->proxy)
        return;
    hgi_proxy_stats(run->proxy, &stats);
    memcpy(run->results->toxics_struck, stats.struck, sizeof stats.struck);
    hgi_proxy_set(run->proxy, NULL); /* so that the workers' last calls end soon */
}

static void close_pool(struct hgi_chaos_run *run)
{
    struct hgi_chaos_results *r = run->results;
    hg_pool *pool = run->crew.work.pool;
    if (pool)
        hg_breaker_unlisten(hg_pool_breaker(pool), hgi_breaker_watch_event, &run->watch);
    hgi_stage_close_pool(pool, &r->stats, r->close_failure, sizeof r->close_failure);
}

static bool load(struct hgi_chaos_run *run, cJSON *policy, struct hgi_problem *problem)
{
    struct hgi_chaos_results *r = run->results;
    int64_t descriptors = hgi_vitals_read().descriptors;
    run->began_ns = monotonic_ns();
    bool well = open_path(run, problem) && open_pool(run, policy, problem);
    if (well)
        hg_pool_read_stats(run->crew.work.pool, &r->stats);
    well = well && hgi_crew_start(&run->crew, problem);
    if (well) {
        run->began_ns = monotonic_ns();
        r->stamp.began_ns = run->began_ns;
        run->watch.began_ns = run->began_ns; /* no fault is on yet, and so no transition */
        run->well_since_ns = run->began_ns;
        plan(run, run->began_ns);
        well = conduct(run, problem);
        r->stamp.took_ns = monotonic_ns() - run->began_ns;
    }
    note_proxy(run);
    hgi_crew_join(&run->crew, &r->sum);
    if (run->watching)
        hgi_breaker_watch_read(&run->watch, monotonic_ns(), &r->breaker);
    close_pool(run);
    hgi_proxy_stop(run->proxy);
    r->descriptors_left = hgi_vitals_read().descriptors - descriptors;
    memcpy(r->server_struck, run->saboteur.struck, sizeof r->server_struck);
    r->losses =
        atomic_load_explicit(&run->crew.work.losses, memory_order_relaxed); /* all is joined */
    return well;
}

bool hgi_chaos_run(struct hgi_chaos_results *results, cJSON *policy, const atomic_bool *interrupted,
                   struct hgi_problem *problem)
{
    const struct hgi_chaos_settings *s = &results->settings;
    struct hgi_chaos_run *run = calloc(1, sizeof *run);
    if (!run)
        return hgi_problem_set(problem, "out of memory");
    results->incr_at_server = -1;
    results->sample_stride = 1;
    results->stats = (struct hg_pool_stats)HG_POOL_STATS_INIT;
    run->results = results;
    run->interrupted = interrupted;
    bool well = hgi_stage_open(&run->stage, &s->target, hgi_saboteur_server, s->seed,
                               &results->stamp, problem) &&
                hgi_crew_init(&run->crew, &run->stage, s->threads, s->length_ns, s->seed, problem);
    if (well) {
        run->crew.record = s->record;
        run->crew.work.sizes = s->sizes;
        run->crew.work.deadline_ns = s->deadline_ns;
        run->crew.work.pause_ns = s->pause_ns;
        run->saboteur.server = run->stage.own;
        run->saboteur.losses = &run->crew.work.losses;
        hgi_chaos_announce(run);
        well = hgi_chaos_prepare_keys(run, problem) && load(run, policy, problem);
        well = hgi_chaos_settle_keys(run, well ? problem : NULL) && well;
    }
    if (run->watching)
        hgi_breaker_watch_end(&run->watch);
    hgi_crew_free(&run->crew);
    well = hgi_stage_close(&run->stage, &run->results->stamp, problem) && well;
    free(run);
    return well;
}
