/* What is noted of a run of chaos over time, and what the user sees meanwhile; see chaos_parts.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/chaos_parts.h"
#include "tools/stress/vitals.h"

void hgi_chaos_announce(const struct hgi_chaos_run *run)
{
    const struct hgi_chaos_settings *s = &run->results->settings;
    char length[32];
    if (s->quiet)
        return;
    fprintf(stderr, "%" PRIu32 " threads on %s (redis %s) for %s, seed %" PRIu64 "\n", s->threads,
            hgi_stage_text(&run->stage), run->results->stamp.server,
            hgi_format_duration(length, sizeof length, s->length_ns), s->seed);
    hgi_stage_tell_keys(&run->stage);
}

/* What is on, in words. */
static void describe_faults(const struct hgi_chaos_run *run, int64_t since_ns, char *out,
                            size_t size)
{
    const struct hgi_chaos_results *r = run->results;
    size_t used = 0;
    snprintf(out, size, "calm");
    for (uint32_t i = 0; i < r->toxics.count && used < size; i++) {
        const struct hgi_toxic *toxic = &r->toxics.toxic[i];
        if (since_ns >= toxic->from_ns && since_ns < toxic->until_ns)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
                                     hgi_toxic_name(toxic->kind));
    }
    if (run->saboteur.on && used < size)
        snprintf(out + used, size - used, "%s%s", used ? ", " : "",
                 hgi_server_fault_name(r->server_faults.fault[run->saboteur.next].kind));
}

void hgi_chaos_show_begin(struct hgi_chaos_run *run)
{
    hgi_screen_begin(&run->screen, run->results->settings.quiet, run->results->settings.plain);
    run->sampled_ns = run->began_ns;
}

/* What was done since the last look goes to the slices of the time between, to each for its share. */
static void note_slices(struct hgi_chaos_run *run, int64_t at_ns, uint64_t done, uint64_t failed)
{
    struct hgi_chaos_results *r = run->results;
    const int64_t slice_ns = r->settings.length_ns / HGI_CHAOS_SLICES;
    const double bad = (double)(failed - run->failed_noted);
    const double good = (double)(done - run->done_noted) - bad;
    const double open_ns = (double)(r->breaker.open_ns - run->open_noted_ns);
    const int64_t from_ns = run->noted_ns;
    if (at_ns <= from_ns)
        return;
    for (int64_t i = from_ns / slice_ns; i < HGI_CHAOS_SLICES && i * slice_ns < at_ns; i++) {
        int64_t begin_ns = i * slice_ns > from_ns ? i * slice_ns : from_ns;
        int64_t end_ns = (i + 1) * slice_ns < at_ns ? (i + 1) * slice_ns : at_ns;
        double share = (double)(end_ns - begin_ns) / (double)(at_ns - from_ns);
        r->slice[i].failed += bad * share;
        r->slice[i].answered += good * share;
        r->slice[i].open_ns += open_ns * share;
        r->slices = (uint32_t)(i + 1);
    }
    run->noted_ns = at_ns;
    run->done_noted = done;
    run->failed_noted = failed;
    run->open_noted_ns = r->breaker.open_ns;
}

/* Take the latencies since the last sample out of the live histogram. */
static int64_t take_p99(struct hgi_live *live)
{
    struct hgi_histogram *taken = calloc(1, sizeof *taken);
    if (!taken)
        return 0;
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++) {
        taken->count[i] = atomic_exchange_explicit(&live->latency[i], 0, memory_order_relaxed);
        taken->total += taken->count[i];
        if (taken->count[i])
            taken->max = hgi_histogram_highest(i);
    }
    int64_t p99_ns = hgi_histogram_percentile(taken, 99);
    free(taken);
    return p99_ns;
}

/* Room for more: two samples become one. */
static void thin_out(struct hgi_chaos_results *r)
{
    for (uint32_t i = 0; i < HGI_CHAOS_SAMPLES / 2; i++) {
        struct hgi_chaos_sample one = r->sample[2 * i + 1];
        one.calls += r->sample[2 * i].calls;
        one.failed += r->sample[2 * i].failed;
        if (r->sample[2 * i].p99_ns > one.p99_ns)
            one.p99_ns = r->sample[2 * i].p99_ns;
        r->sample[i] = one;
    }
    r->sample_count = HGI_CHAOS_SAMPLES / 2;
    r->sample_stride *= 2;
}

static void print_sample(struct hgi_chaos_run *run, const struct hgi_chaos_sample *sample)
{
    char at[32], calls[HGI_CELL_SIZE], p99[HGI_CELL_SIZE], memory[HGI_CELL_SIZE];
    hgi_screen_end(&run->screen);
    fprintf(
        stderr,
        "%8s  %s calls, %" PRIu64 " failed, p99 %s, %s resident, %" PRId64 " descriptors, %" PRId64
        " threads, breaker opened %" PRIu64 " times, invariants hold, round seed %" PRIu64 "\n",
        hgi_format_duration(at, sizeof at, sample->at_ns / NS_PER_S * NS_PER_S),
        hgi_format_count(calls, sizeof calls, sample->calls), sample->failed,
        hgi_format_latency(p99, sizeof p99, sample->p99_ns),
        hgi_format_bytes(memory, sizeof memory, (uint64_t)sample->resident), sample->descriptors,
        sample->threads, run->results->breaker.opened, run->results->round_seed);
}

static void sample(struct hgi_chaos_run *run, int64_t now_ns, uint64_t done, uint64_t failed)
{
    struct hgi_chaos_results *r = run->results;
    struct hgi_vitals vitals = hgi_vitals_read();
    if (r->sample_count == HGI_CHAOS_SAMPLES)
        thin_out(r);
    struct hgi_chaos_sample *next = &r->sample[r->sample_count++];
    *next = (struct hgi_chaos_sample) { .at_ns = now_ns - run->began_ns,
                                        .calls = done - run->done_sampled,
                                        .failed = failed - run->failed_sampled,
                                        .p99_ns = take_p99(&run->crew.work.live),
                                        .resident = vitals.resident,
                                        .descriptors = vitals.descriptors,
                                        .threads = vitals.threads };
    run->done_sampled = done;
    run->failed_sampled = failed;
    run->sampled_ns = now_ns;
    if (!r->settings.quiet)
        print_sample(run, next);
}

void hgi_chaos_show(struct hgi_chaos_run *run, int64_t now_ns)
{
    struct hgi_chaos_results *r = run->results;
    char state[160];
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    /* relaxed: sums for pictures and the progress line. */
    uint64_t done = atomic_load_explicit(&run->crew.work.live.done, memory_order_relaxed);
    uint64_t failed = atomic_load_explicit(&run->crew.work.live.failed, memory_order_relaxed);
    /* Not now_ns: a server that was started in between took its time, and calls went on. */
    note_slices(run, monotonic_ns() - run->began_ns, done, failed);
    if (r->settings.soak && now_ns - run->sampled_ns >= r->settings.sample_ns * r->sample_stride)
        sample(run, now_ns, done, failed);
    if (!hgi_screen_due(&run->screen, now_ns) ||
        (r->settings.soak && !run->screen.progress.terminal)) /* which has its lines */
        return;
    hg_breaker_take_snapshot(hg_pool_breaker(run->crew.work.pool), &breaker);
    snprintf(state, sizeof state, "now: ");
    describe_faults(run, now_ns - run->round_ns, state + 5, sizeof state - 5);
    hgi_screen_show(&run->screen, &(struct hgi_screen_view) {
                                      .now_ns = now_ns,
                                      .began_ns = run->began_ns,
                                      .length_ns = r->settings.length_ns,
                                      .what = r->settings.soak ? "soak" : "chaos",
                                      .state = state,
                                      .requests = r->stats.attempts + r->stats.dials,
                                      .answered = done > failed ? done - failed : 0,
                                      .failed = failed,
                                      .pool = &r->stats,
                                      .breaker = &breaker,
                                  });
}

void hgi_chaos_show_end(struct hgi_chaos_run *run, int64_t now_ns)
{
    note_slices(run, now_ns - run->began_ns,
                atomic_load_explicit(&run->crew.work.live.done, memory_order_relaxed),
                atomic_load_explicit(&run->crew.work.live.failed, memory_order_relaxed));
    hgi_screen_end(&run->screen);
}
