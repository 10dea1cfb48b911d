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
#include <unistd.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/concurrency.h"
#include "tools/stress/crew.h"
#include "tools/stress/screen.h"
#include "tools/stress/stamp.h"
#include "tools/stress/vitals.h"

#define TICK_NS (50 * NS_PER_MS)

struct run {
    struct hgi_concurrency_results *results;
    const atomic_bool *interrupted;
    struct hgi_stage stage;
    struct hgi_wire *wire; /* beside the pool: for counting and cleaning up */
    struct hgi_crew crew;
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
    return (struct footing) { .connections = hgi_vitals_connections(run->wire, run->stage.name),
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

/* --- the load --- */

static bool open_pool(struct run *run, cJSON *policy, struct hgi_problem *problem)
{
    const struct hgi_concurrency_settings *s = &run->results->settings;
    struct hgi_recipe recipe = { .path = s->policy, .connections = s->connections };
    if (!s->policy) { /* patient: this is a test of order, not of speed */
        recipe.attempt_timeout_ns = 30 * NS_PER_S;
        recipe.deadline_ns = 60 * NS_PER_S;
    }
    return hgi_stage_pool(&run->crew.work.pool, &run->stage, &run->stage.target, policy, &recipe,
                          problem);
}

static void show(const struct run *run, struct hgi_screen *screen, int64_t at_ns, uint64_t done)
{
    const struct hgi_concurrency_results *r = run->results;
    /* relaxed: a sum. */
    uint64_t failed = atomic_load_explicit(&run->crew.work.live.failed, memory_order_relaxed);
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(run->crew.work.pool, &stats);
    hg_breaker_take_snapshot(hg_pool_breaker(run->crew.work.pool), &breaker);
    hgi_screen_show(screen, &(struct hgi_screen_view) {
                                .now_ns = r->stamp.began_ns + at_ns,
                                .began_ns = r->stamp.began_ns,
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
    r->stamp.began_ns = began_ns;
    int64_t at_ns = 0;
    uint64_t noted = 0;
    struct hgi_screen screen;
    hgi_screen_begin(&screen, r->settings.quiet, r->settings.plain);
    while (at_ns < r->settings.length_ns && !is_interrupted(run)) {
        sleep_until_ns(began_ns + at_ns + (slice_ns < TICK_NS ? slice_ns : TICK_NS));
        at_ns = monotonic_ns() - began_ns;
        /* relaxed: a sum for the picture and the progress line. */
        uint64_t done = atomic_load_explicit(&run->crew.work.live.done, memory_order_relaxed);
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
    r->stamp.took_ns = at_ns;
    r->stamp.interrupted = is_interrupted(run);
}

/* --- start and end --- */

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
            s->threads, hgi_stage_text(&run->stage), run->results->stamp.server, from,
            range ? " to " : "", range ? to : "", (double)s->length_ns / 1e9, s->seed);
    hgi_stage_tell_keys(&run->stage);
}

static bool load(struct run *run, cJSON *policy, struct hgi_problem *problem)
{
    struct hgi_concurrency_results *r = run->results;
    struct footing before = look(run);
    bool well = open_pool(run, policy, problem) && hgi_crew_start(&run->crew, problem);
    if (well)
        watch(run);
    hgi_crew_join(&run->crew, &r->sum);
    r->stats = (struct hg_pool_stats)HG_POOL_STATS_INIT;
    hgi_stage_close_pool(run->crew.work.pool, &r->stats, r->close_failure, sizeof r->close_failure);
    look_after(run, &before);
    return well;
}

bool hgi_concurrency_run(struct hgi_concurrency_results *results, cJSON *policy,
                         const atomic_bool *interrupted, struct hgi_problem *problem)
{
    const struct hgi_concurrency_settings *s = &results->settings;
    struct run run = { .results = results, .interrupted = interrupted };
    bool well = hgi_stage_open(&run.stage, &s->target, NULL, s->seed, &results->stamp, problem) &&
                hgi_crew_init(&run.crew, &run.stage, s->threads, s->length_ns, s->seed, problem);
    if (well) {
        run.wire = hgi_target_connect(&run.stage.target, 5 * NS_PER_S, problem);
        well = run.wire != NULL;
    }
    if (well) {
        run.crew.record = s->record;
        run.crew.work.sizes = s->sizes;
        run.crew.work.only = s->only;
        announce(&run);
        well = hgi_crew_prepare_keys(&run.crew, &run.stage, run.wire, problem) &&
               load(&run, policy, problem);
        well = (run.stage.own ||
                hgi_crew_delete_keys(&run.crew, &run.stage, run.wire, well ? problem : NULL)) &&
               well;
    }
    hgi_wire_close(run.wire);
    hgi_crew_free(&run.crew);
    return hgi_stage_close(&run.stage, &results->stamp, problem) && well;
}
