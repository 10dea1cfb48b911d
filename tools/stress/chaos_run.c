/* A run of chaos or soak from start to end: server, proxy, pool, workers, faults, what is watched.
 *
 * The conductor is the thread that calls hgi_chaos_run(). Every 20 ms it begins and ends what the schedule
 * says for the server (the proxy keeps its own time), looks at the breaker, the pool's sockets and what the
 * workers have found, and ends the run at the first broken invariant. At the end all faults are taken away,
 * the workers joined, and every counter on the server is held against what its worker knows of it.
 *
 * With no toxics in the schedule there is no proxy.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/chaos_parts.h"
#include "tools/stress/recipe.h"
#include "tools/stress/stamp.h"
#include "tools/stress/vitals.h"

#define TICK_NS (20 * NS_PER_MS)
#define GRACE_NS (500 * NS_PER_MS) /* after an attempt that a fault held up to its end */

static bool is_interrupted(const struct hgi_chaos_run *run)
{
    return atomic_load_explicit(run->interrupted, memory_order_relaxed); /* relaxed: polled */
}

/* --- start --- */

static bool reach_server(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    struct hgi_chaos_results *r = run->results;
    run->target = r->settings.target;
    if (!run->target.given &&
        !(hgi_saboteur_server(&run->own, problem) &&
          hgi_target_parse(&run->target, hgi_private_server_url(run->own), problem)))
        return false;
    struct hgi_wire *wire = hgi_target_connect(&run->target, 5 * NS_PER_S, problem);
    if (!wire)
        return false;
    redisReply *reply = hgi_wire_command(wire, problem, "INFO server");
    hgi_stamp_version(r->server, reply);
    freeReplyObject(reply);
    hgi_wire_close(wire);
    hgi_stamp_time(r->began_at);
    return true;
}

/* The schedule of the round that begins now. */
static void plan(struct hgi_chaos_run *run, int64_t now_ns)
{
    struct hgi_chaos_results *r = run->results;
    r->round_seed = hgi_chaos_round_seed(r->settings.seed, r->rounds++);
    hgi_chaos_schedule(&r->settings, r->round_seed, &r->toxics, &r->server_faults);
    run->round_ns = now_ns;
    if (run->own)
        hgi_saboteur_plan(&run->saboteur, &r->server_faults, now_ns);
    if (run->proxy)
        hgi_proxy_set(run->proxy, &r->toxics);
}

static bool open_path(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    const struct hgi_chaos_settings *s = &run->results->settings;
    const struct hgi_proxy_options options = { .target = &run->target };
    run->through = run->target;
    if (!s->drawn && s->toxics.count == 0)
        return true;
    if (!hgi_proxy_start(&run->proxy, &options, problem))
        return false;
    hgi_proxy_target(run->proxy, &run->through);
    return true;
}

static bool open_pool(struct hgi_chaos_run *run, cJSON *json, struct hgi_problem *problem)
{
    const struct hgi_chaos_settings *s = &run->results->settings;
    char url[1024];
    hg_policy *policy;
    struct hgi_recipe recipe = { .path = s->policy,
                                 .client_name = run->name,
                                 .connections = s->connections,
                                 .attempt_timeout_ns = s->attempt_timeout_ns,
                                 .deadline_ns = s->deadline_ns };
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    if (!hgi_target_url(url, sizeof url, &run->through))
        return hgi_problem_set(problem, "%s: the address is too long", run->through.text);
    if (!hgi_recipe_policy(&policy, json, &recipe, problem))
        return false;
    options.url = url;
    bool well = hg_pool_open(&run->work.pool, &options, policy, &err) == HG_OK;
    hg_policy_drop(policy);
    if (!well)
        return hgi_problem_set(problem, "%s", err.message);
    hgi_breaker_watch_begin(&run->watch, run->began_ns, s->attempt_timeout_ns + GRACE_NS,
                            hgi_recipe_breaker(json).half_open_max_calls);
    run->watching = true;
    hg_breaker_listen(hg_pool_breaker(run->work.pool), hgi_breaker_watch_event, &run->watch, NULL);
    return true;
}

static bool start_workers(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    const struct hgi_chaos_settings *s = &run->results->settings;
    run->workers = calloc(s->threads, sizeof *run->workers);
    if (!run->workers)
        return hgi_problem_set(problem, "out of memory");
    for (; run->started < s->threads; run->started++) {
        struct hgi_worker *worker = &run->workers[run->started];
        worker->work = &run->work;
        worker->number = run->started;
        worker->recording.on = s->record;
        worker->random = random_mix(s->seed + run->started);
        for (uint32_t k = 0; k < HGI_WORKER_KEYS; k++)
            worker->ledger[k].key = (uint64_t)run->started * HGI_WORKER_KEYS + k;
        worker->value = malloc((size_t)s->sizes.high);
        if (!worker->value || pthread_create(&worker->thread, NULL, hgi_worker_main, worker) != 0) {
            free(worker->value);
            return hgi_problem_set(problem,
                                   "thread %" PRIu32 " of %" PRIu32 " could not be started",
                                   run->started + 1, s->threads);
        }
    }
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
           atomic_load_explicit(&run->work.live.broken, memory_order_relaxed) > 0;
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
        hgi_breaker_watch_look(&run->watch, hg_pool_breaker(run->work.pool));
        hg_pool_read_stats(run->work.pool, &r->stats);
        if (++run->ticks % 5 == 0)
            look_at_sockets(run);
        hgi_chaos_show(run, now_ns);
        sleep_until_ns(now_ns + TICK_NS < end_ns ? now_ns + TICK_NS : end_ns);
    }
    hgi_chaos_show_end(run, monotonic_ns());
    r->interrupted = is_interrupted(run);
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

static void join_workers(struct hgi_chaos_run *run)
{
    /* relaxed: only ends the workers' loops; the joins order the rest. */
    atomic_store_explicit(&run->work.stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < run->started; i++) {
        pthread_join(run->workers[i].thread, NULL);
        hgi_concurrency_add(&run->results->sum, &run->workers[i]);
        free(run->workers[i].value);
    }
}

static void close_pool(struct hgi_chaos_run *run)
{
    struct hgi_chaos_results *r = run->results;
    struct hg_error err = HG_ERROR_INIT;
    if (!run->work.pool)
        return;
    hg_pool_read_stats(run->work.pool, &r->stats);
    hg_breaker_unlisten(hg_pool_breaker(run->work.pool), hgi_breaker_watch_event, &run->watch);
    if (hg_pool_close(run->work.pool, 10 * NS_PER_S, &err) < 0)
        snprintf(r->close_failure, sizeof r->close_failure, "%.290s", err.message);
}

static bool load(struct hgi_chaos_run *run, cJSON *policy, struct hgi_problem *problem)
{
    struct hgi_chaos_results *r = run->results;
    int64_t descriptors = hgi_vitals_read().descriptors;
    run->began_ns = monotonic_ns();
    bool well = open_path(run, problem) && open_pool(run, policy, problem);
    if (well)
        hg_pool_read_stats(run->work.pool, &r->stats);
    well = well && start_workers(run, problem);
    if (well) {
        run->began_ns = monotonic_ns();
        r->began_ns = run->began_ns;
        run->watch.began_ns = run->began_ns; /* no fault is on yet, and so no transition */
        run->well_since_ns = run->began_ns;
        plan(run, run->began_ns);
        well = conduct(run, problem);
        r->took_ns = monotonic_ns() - run->began_ns;
    }
    note_proxy(run);
    join_workers(run);
    if (run->watching)
        hgi_breaker_watch_read(&run->watch, monotonic_ns(), &r->breaker);
    close_pool(run);
    hgi_proxy_stop(run->proxy);
    r->descriptors_left = hgi_vitals_read().descriptors - descriptors;
    memcpy(r->server_struck, run->saboteur.struck, sizeof r->server_struck);
    r->losses = atomic_load_explicit(&run->work.losses, memory_order_relaxed); /* all is joined */
    return well;
}

bool hgi_chaos_run(struct hgi_chaos_results *results, cJSON *policy, const atomic_bool *interrupted,
                   struct hgi_problem *problem)
{
    const struct hgi_chaos_settings *s = &results->settings;
    struct hgi_chaos_run *run = calloc(1, sizeof *run);
    struct hgi_owners *owners = calloc(1, sizeof *owners);
    bool well = false;
    hgi_problem_set(problem, "out of memory");
    results->incr_at_server = -1;
    results->sample_stride = 1;
    results->stats = (struct hg_pool_stats)HG_POOL_STATS_INIT;
    if (!run || !owners)
        goto out;
    run->results = results;
    run->interrupted = interrupted;
    run->work.owners = owners;
    if (!reach_server(run, problem))
        goto out;
    snprintf(run->name, sizeof run->name, "herdgate-stress-%ld", (long)getpid());
    snprintf(run->prefix, sizeof run->prefix, "herdgate-stress:%ld-%08" PRIx64 ":", (long)getpid(),
             s->seed & UINT32_MAX);
    run->work.prefix = run->prefix;
    run->work.sizes = s->sizes;
    run->work.ttl_s = s->length_ns / NS_PER_S + 600;
    run->work.may_miss = s->target.given;
    run->work.deadline_ns = s->deadline_ns;
    run->work.pause_ns = s->pause_ns;
    run->saboteur.server = run->own;
    run->saboteur.losses = &run->work.losses;
    hgi_chaos_announce(run);
    well = hgi_chaos_prepare_keys(run, problem) && load(run, policy, problem);
    well = hgi_chaos_settle_keys(run, well ? problem : NULL) && well;
out:
    if (run) {
        if (run->watching)
            hgi_breaker_watch_end(&run->watch);
        hgi_private_server_free(run->own);
        free(run->workers);
    }
    free(run);
    free(owners);
    return well;
}
