/* A run of concurrency from start to end: server, pool, workers, and what is left over.
 *
 * Order: the server is looked at, the pool opened, the workers run and joined, the pool closed, the
 * server looked at again until its connections are gone, the run's keys deleted. Connections are told
 * from others' by the client name that the pool gives them. Every key has the run's own prefix and
 * expires by itself should the tool be killed.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/private_server.h"
#include "tools/common/random.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/concurrency.h"
#include "tools/stress/recipe.h"
#include "tools/stress/screen.h"
#include "tools/stress/stamp.h"
#include "tools/stress/vitals.h"

#define TICK_NS (50 * NS_PER_MS)

struct run {
    struct hgi_concurrency_results *results;
    const atomic_bool *interrupted;
    struct hgi_private_server *own; /* NULL: the server is a given one */
    struct hgi_target target;
    struct hgi_wire *wire; /* beside the pool: for counting and cleaning up */
    char name[48];         /* of the pool's connections */
    char prefix[64];       /* of the run's keys */
    struct hgi_work work;
    struct hgi_worker *workers;
    uint32_t started;
};

/* What was there before, to be there again after. */
struct footing {
    int64_t connections; /* -1: the server does not tell */
    int64_t descriptors;
    int64_t memory;
};

static bool is_interrupted(const struct run *run)
{
    /* relaxed: a flag that is polled. */
    return atomic_load_explicit(run->interrupted, memory_order_relaxed);
}

/* --- what is left over --- */

static struct footing look(struct run *run)
{
    return (struct footing) { .connections = hgi_vitals_connections(run->wire, run->name),
                              .descriptors = hgi_vitals_read().descriptors,
                              .memory = (int64_t)mallinfo2().uordblks };
}

/* Look until the connections are gone, for at most 5 s: the server learns of closed ones late. */
static void look_after(struct run *run, const struct footing *before)
{
    struct hgi_concurrency_results *r = run->results;
    int64_t end_ns = monotonic_ns() + 5 * NS_PER_S;
    struct footing after = look(run);
    while (after.connections > before->connections && monotonic_ns() < end_ns) {
        sleep_until_ns(monotonic_ns() + 20 * NS_PER_MS);
        after = look(run);
    }
    bool told = before->connections >= 0 && after.connections >= 0;
    r->connections_left = told ? after.connections - before->connections : -1;
    r->descriptors_left = after.descriptors - before->descriptors;
    /* What was recorded is not left over: it is still to be written. */
    r->memory_left = after.memory - before->memory -
                     (int64_t)(r->sum.recording.size * sizeof *r->sum.recording.record);
}

/* --- keys --- */

/* Every counter begins at 0 and expires; INCR keeps that time. */
static bool prepare_keys(struct run *run, struct hgi_problem *problem)
{
    for (uint32_t i = 0; i < run->results->settings.threads; i++) {
        char key[160];
        hgi_worker_key(key, sizeof key, run->prefix, i, HGI_WORKER_KEYS);
        redisReply *reply =
            hgi_wire_command(run->wire, problem, "SET %s 0 EX %lld", key, run->work.ttl_s);
        bool well = reply && reply->type != REDIS_REPLY_ERROR;
        if (reply && !well)
            hgi_problem_set(problem, "%s: SET of a key under %s: %s", run->target.text, run->prefix,
                            reply->str);
        freeReplyObject(reply);
        if (!well)
            return false;
    }
    return true;
}

static bool delete_keys(struct run *run, struct hgi_problem *problem)
{
    for (uint32_t i = 0; i < run->results->settings.threads; i++) {
        for (uint32_t k = 0; k <= HGI_WORKER_KEYS; k++) {
            char key[160];
            hgi_worker_key(key, sizeof key, run->prefix, i, k);
            redisReply *reply = hgi_wire_command(run->wire, problem, "DEL %s", key);
            bool well = reply && reply->type == REDIS_REPLY_INTEGER;
            freeReplyObject(reply);
            if (!well)
                return hgi_problem_set(problem,
                                       "%s: the run's keys could not be deleted; they begin with "
                                       "%s and expire within %" PRId64 " s",
                                       run->target.text, run->prefix, run->work.ttl_s);
        }
    }
    return true;
}

/* --- the load --- */

static bool open_pool(struct run *run, cJSON *json, struct hgi_problem *problem)
{
    const struct hgi_concurrency_settings *s = &run->results->settings;
    char url[1024];
    hg_policy *policy;
    struct hgi_recipe recipe = { .path = s->policy,
                                 .client_name = run->name,
                                 .connections = s->connections };
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    if (!s->policy) { /* patient: this is a test of order, not of speed */
        recipe.attempt_timeout_ns = 30 * NS_PER_S;
        recipe.deadline_ns = 60 * NS_PER_S;
    }
    if (!hgi_target_url(url, sizeof url, &run->target))
        return hgi_problem_set(problem, "%s: the address is too long", run->target.text);
    if (!hgi_recipe_policy(&policy, json, &recipe, problem))
        return false;
    options.url = url;
    bool well = hg_pool_open(&run->work.pool, &options, policy, &err) == HG_OK;
    hg_policy_drop(policy);
    return well || hgi_problem_set(problem, "%s", err.message);
}

static bool start_workers(struct run *run, struct hgi_problem *problem)
{
    const struct hgi_concurrency_settings *s = &run->results->settings;
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
                                   "thread %" PRIu32 " of %" PRIu32
                                   " could not be started; try a smaller -t or -d",
                                   run->started + 1, s->threads);
        }
    }
    return true;
}

static void join_workers(struct run *run)
{
    /* relaxed: only ends the workers' loops; the joins order the rest. */
    atomic_store_explicit(&run->work.stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < run->started; i++) {
        pthread_join(run->workers[i].thread, NULL);
        hgi_concurrency_add(&run->results->sum, &run->workers[i]);
        free(run->workers[i].value);
    }
    free(run->workers);
}

static void show(const struct run *run, struct hgi_screen *screen, int64_t at_ns, uint64_t done)
{
    const struct hgi_concurrency_results *r = run->results;
    /* relaxed: a sum. */
    uint64_t failed = atomic_load_explicit(&run->work.live.failed, memory_order_relaxed);
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(run->work.pool, &stats);
    hg_breaker_take_snapshot(hg_pool_breaker(run->work.pool), &breaker);
    hgi_screen_show(screen, &(struct hgi_screen_view) {
                                .now_ns = r->began_ns + at_ns,
                                .began_ns = r->began_ns,
                                .length_ns = r->settings.length_ns,
                                .what = "concurrency",
                                .state = "every reply checked",
                                .requests = stats.attempts + stats.dials,
                                .answered = done > failed ? done - failed : 0,
                                .failed = failed,
                                .pool = &stats,
                                .breaker = &breaker,
                            });
}

/* Until the time is over; what was done until the end of each slice is noted. */
static void watch(struct run *run)
{
    struct hgi_concurrency_results *r = run->results;
    const int64_t slice_ns = r->settings.length_ns / HGI_SLICES;
    int64_t began_ns = monotonic_ns();
    r->began_ns = began_ns;
    int64_t at_ns = 0;
    uint64_t noted = 0;
    struct hgi_screen screen;
    hgi_screen_begin(&screen, r->settings.quiet, r->settings.plain);
    while (at_ns < r->settings.length_ns && !is_interrupted(run)) {
        sleep_until_ns(began_ns + at_ns + (slice_ns < TICK_NS ? slice_ns : TICK_NS));
        at_ns = monotonic_ns() - began_ns;
        /* relaxed: a sum for the picture and the progress line. */
        uint64_t done = atomic_load_explicit(&run->work.live.done, memory_order_relaxed);
        int64_t whole = at_ns / slice_ns;
        for (; r->slices < HGI_SLICES && (int64_t)r->slices < whole; r->slices++) {
            /* Slices that passed since the last look share what was done. */
            uint64_t share = (done - noted) / (uint64_t)(whole - (int64_t)r->slices);
            r->slice_done[r->slices] = share;
            noted += share;
        }
        if (hgi_screen_due(&screen, at_ns + began_ns))
            show(run, &screen, at_ns, done);
    }
    hgi_screen_end(&screen);
    r->took_ns = at_ns;
    r->interrupted = is_interrupted(run);
}

static void close_pool(struct run *run)
{
    struct hgi_concurrency_results *r = run->results;
    struct hg_error err = HG_ERROR_INIT;
    if (!run->work.pool)
        return;
    r->stats = (struct hg_pool_stats)HG_POOL_STATS_INIT;
    hg_pool_read_stats(run->work.pool, &r->stats);
    if (hg_pool_close(run->work.pool, 10 * NS_PER_S, &err) < 0)
        snprintf(r->close_failure, sizeof r->close_failure, "%.290s", err.message);
}

/* --- start and end --- */

static bool reach_server(struct run *run, struct hgi_problem *problem)
{
    struct hgi_concurrency_results *r = run->results;
    run->target = r->settings.target;
    if (!run->target.given &&
        !(hgi_private_server_start(&run->own, NULL, problem) &&
          hgi_target_parse(&run->target, hgi_private_server_url(run->own), problem)))
        return false;
    run->wire = hgi_target_connect(&run->target, 5 * NS_PER_S, problem);
    if (!run->wire)
        return false;
    redisReply *reply = hgi_wire_command(run->wire, problem, "INFO server");
    hgi_stamp_version(r->server, reply);
    freeReplyObject(reply);
    hgi_stamp_time(r->began_at);
    return true;
}

static void announce(const struct run *run)
{
    const struct hgi_concurrency_settings *s = &run->results->settings;
    char from[HGI_CELL_SIZE], to[HGI_CELL_SIZE];
    if (s->quiet)
        return;
    hgi_format_bytes(from, sizeof from, (uint64_t)s->sizes.low);
    hgi_format_bytes(to, sizeof to, (uint64_t)s->sizes.high);
    bool range = s->sizes.low != s->sizes.high;
    fprintf(stderr,
            "%" PRIu32 " threads on %s (redis %s), values of %s%s%s, for %.3g s, seed %" PRIu64
            " (closed loop: not corrected)\n",
            s->threads, run->own ? "a redis-server of the tool's own" : run->target.text,
            run->results->server, from, range ? " to " : "", range ? to : "",
            (double)s->length_ns / 1e9, s->seed);
    if (!run->own)
        fprintf(stderr, "Keys begin with %s and are deleted at the end.\n", run->prefix);
}

static bool load(struct run *run, cJSON *policy, struct hgi_problem *problem)
{
    struct footing before = look(run);
    bool well = open_pool(run, policy, problem) && start_workers(run, problem);
    if (well)
        watch(run);
    join_workers(run);
    close_pool(run);
    look_after(run, &before);
    return well;
}

bool hgi_concurrency_run(struct hgi_concurrency_results *results, cJSON *policy,
                         const atomic_bool *interrupted, struct hgi_problem *problem)
{
    const struct hgi_concurrency_settings *s = &results->settings;
    struct run run = { .results = results, .interrupted = interrupted };
    bool well = false;
    hgi_problem_set(problem, "out of memory");
    run.work.owners = calloc(1, sizeof *run.work.owners);
    if (!run.work.owners || !reach_server(&run, problem))
        goto out;
    snprintf(run.name, sizeof run.name, "herdgate-stress-%ld", (long)getpid());
    snprintf(run.prefix, sizeof run.prefix, "herdgate-stress:%ld-%08" PRIx64 ":", (long)getpid(),
             s->seed & UINT32_MAX);
    run.work.prefix = run.prefix;
    run.work.sizes = s->sizes;
    run.work.only = s->only;
    run.work.ttl_s = s->length_ns / NS_PER_S + 600;
    run.work.may_miss = s->target.given;
    announce(&run);
    well = prepare_keys(&run, problem) && load(&run, policy, problem);
    well = (run.own || delete_keys(&run, well ? problem : NULL)) && well;
out:
    hgi_wire_close(run.wire);
    hgi_private_server_free(run.own);
    free(run.work.owners);
    return well;
}
