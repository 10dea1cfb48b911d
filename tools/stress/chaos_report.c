/* A run of chaos or soak as a table for people, figures for --assert, and files for --csv and --hgrm. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/stress/chaos.h"
#include "tools/stress/publish.h"
#include "tools/stress/worker_sum.h"

static double goodput(const struct hgi_chaos_results *r)
{
    uint64_t calls = hgi_worker_calls(&r->sum);
    return calls ? (double)(calls - r->sum.failed) / (double)calls : 0;
}

/* --- the table --- */

static void print_calls(FILE *out, const struct hgi_chaos_results *r, bool colour)
{
    static const char *const heads[] = { "calls", "answered", "failed",  "retries",
                                         "p50",   "p99",      "longest", "overrun" };
    char text[HGI_CELL_SIZE];
    const struct hgi_worker *sum = &r->sum;
    const int64_t times[] = { hgi_histogram_percentile(&sum->latency, 50),
                              hgi_histogram_percentile(&sum->latency, 99), sum->latency.max,
                              sum->overrun_ns };
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    hgi_table_heads(table, 0, heads, sizeof heads / sizeof heads[0]);
    hgi_table_set(table, 1, 0, "%s",
                  hgi_format_count(text, sizeof text, hgi_worker_calls(&r->sum)));
    hgi_table_set(table, 1, 1, "%.1f %%", goodput(r) * 100);
    hgi_table_set(table, 1, 2, "%s", hgi_format_count(text, sizeof text, sum->failed));
    hgi_table_set(table, 1, 3, "%s", hgi_format_count(text, sizeof text, sum->retries));
    for (size_t i = 0; i < 4; i++)
        hgi_table_set(table, 1, 4 + i, "%s", hgi_format_latency(text, sizeof text, times[i]));
    hgi_table_print(table, out, colour);
    free(table);
}

static void print_faults(FILE *out, const struct hgi_chaos_results *r)
{
    char text[1024] = "";
    size_t used = 0;
    for (int kind = 0; kind < HGI_TOXIC_KINDS && used < sizeof text; kind++)
        if (r->toxics_struck[kind])
            used +=
                (size_t)snprintf(text + used, sizeof text - used, ", %s %" PRIu64,
                                 hgi_toxic_name((enum hgi_toxic_kind)kind), r->toxics_struck[kind]);
    for (int kind = 0; kind < HGI_SERVER_FAULT_KINDS && used < sizeof text; kind++)
        if (r->server_struck[kind])
            used += (size_t)snprintf(text + used, sizeof text - used, ", %s %" PRIu64,
                                     hgi_server_fault_name((enum hgi_server_fault_kind)kind),
                                     r->server_struck[kind]);
    fputc('\n', out);
    hgi_text_print(out, false, HGI_STYLE_NONE, "Faults that struck: %s.",
                   text[0] ? text + 2 : "none");
}

static void print_growth(FILE *out, const struct hgi_chaos_results *r)
{
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    if (!r->settings.soak)
        return;
    if (!growth.known)
        fputs("Growth: too few samples to tell.\n", out);
    else
        hgi_text_print(
            out, false, HGI_STYLE_NONE,
            "Growth per hour, over the second half: resident memory %+.2f MiB, descriptors "
            "%+.2f, threads %+.2f.",
            growth.resident_per_hour / (1 << 20), growth.descriptors_per_hour,
            growth.threads_per_hour);
}

void hgi_chaos_table(FILE *out, const void *arg, bool colour)
{
    const struct hgi_chaos_results *r = arg;
    char verdict[640], broken[400], replay[8192], open[HGI_CELL_SIZE], counted[80];
    print_calls(out, r, colour);
    print_faults(out, r);
    hgi_text_print(
        out, false, HGI_STYLE_NONE,
        "Breaker: opened %" PRIu64 " times, %" PRIu64 " of them while all was well; not closed "
        "for %s; at most %" PRIu32 " probes in a period.",
        r->breaker.opened, r->breaker.false_opens,
        hgi_format_latency(open, sizeof open, r->breaker.open_ns), r->breaker.probes_most);
    if (r->incr_at_server >= 0)
        snprintf(counted, sizeof counted, "%" PRId64 " at the server", r->incr_at_server);
    else
        snprintf(counted, sizeof counted, "some lost with the server's data (%" PRIu32 " times)",
                 r->losses);
    hgi_text_print(out, false, HGI_STYLE_NONE,
                   "INCR: %" PRIu64 " acknowledged, %" PRIu64 " with an outcome unknown, %s.",
                   r->sum.incr_acknowledged, r->sum.incr_unknown, counted);
    hgi_text_print(out, false, HGI_STYLE_NONE,
                   "Connections made: %" PRIu64 " for %" PRIu32 " places, at most %" PRIu32
                   " at once.",
                   r->stats.dials, r->stats.max_size, r->sockets_most);
    print_growth(out, r);
    hgi_chaos_verdict(verdict, sizeof verdict, r);
    hgi_chaos_broken(broken, sizeof broken, r);
    hgi_chaos_replay(replay, sizeof replay, r);
    enum hgi_style style = broken[0] ? HGI_STYLE_BAD : HGI_STYLE_BOLD;
    fputc('\n', out);
    hgi_text_print(out, colour, style, "%s", verdict);
    /* In one piece, to be copied. */
    fprintf(out, "%s: %s\n", r->settings.soak ? "The last round again" : "Again", replay);
}

/* --- figures --- */

void hgi_chaos_figures(struct hgi_figures *out, const void *arg)
{
    const struct hgi_chaos_results *r = arg;
    const struct hgi_worker *sum = &r->sum;
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    uint64_t struck = 0;
    for (int kind = 0; kind < HGI_TOXIC_KINDS; kind++)
        struck += r->toxics_struck[kind];
    for (int kind = 0; kind < HGI_SERVER_FAULT_KINDS; kind++)
        struck += r->server_struck[kind];
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "calls", (double)hgi_worker_calls(&r->sum) },
        { "calls_per_second", hgi_per_second(hgi_worker_calls(&r->sum), r->stamp.took_ns) },
        { "replies", (double)sum->replies },
        { "failed", (double)sum->failed },
        { "goodput", goodput(r) },
        { "retries", (double)sum->retries },
        { "struck", (double)struck },
        { "mismatched", (double)sum->mismatches },
        { "doubled", (double)sum->doubled },
        { "incr_acknowledged", (double)sum->incr_acknowledged },
        { "incr_over", (double)sum->incr_over },
        { "opened", (double)r->breaker.opened },
        { "false_opens", (double)r->breaker.false_opens },
        { "sockets_most", (double)r->sockets_most },
        { "losses", (double)r->losses },
        { "rounds", (double)r->rounds },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hgi_figures_add(out, NULL, numbers[i].name, HGI_FIGURE_NUMBER, true, numbers[i].value);
    hgi_figures_add(out, NULL, "overrun", HGI_FIGURE_TIME, true, (double)sum->overrun_ns);
    if (r->settings.soak) {
        hgi_figures_add(out, NULL, "samples", HGI_FIGURE_NUMBER, true, r->sample_count);
        hgi_figures_add(out, NULL, "memory_growth", HGI_FIGURE_NUMBER, growth.known,
                        growth.resident_per_hour);
        hgi_figures_add(out, NULL, "descriptor_growth", HGI_FIGURE_NUMBER, growth.known,
                        growth.descriptors_per_hour);
        hgi_figures_add(out, NULL, "thread_growth", HGI_FIGURE_NUMBER, growth.known,
                        growth.threads_per_hour);
    }
    hgi_figures_add_latency(out, NULL, &sum->latency);
}

/* --- files --- */

const struct hgi_histogram *hgi_chaos_latency(const void *arg, size_t part)
{
    (void)part;
    return &((const struct hgi_chaos_results *)arg)->sum.latency;
}

const struct hgi_recording *hgi_chaos_recording(const void *arg, size_t part, int64_t *began_ns)
{
    (void)part;
    const struct hgi_chaos_results *r = arg;
    *began_ns = r->stamp.began_ns;
    return &r->sum.recording;
}

bool hgi_chaos_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem)
{
    const struct hgi_chaos_results *r = arg;
    (void)part;
    (void)problem;
    fputs("from_ns,answered,failed\n", out);
    for (uint32_t i = 0; i < r->slices; i++)
        fprintf(out, "%" PRId64 ",%.1f,%.1f\n", r->settings.length_ns / HGI_CHAOS_SLICES * i,
                r->slice[i].answered, r->slice[i].failed);
    return true;
}
