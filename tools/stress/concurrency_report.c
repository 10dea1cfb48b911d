/* A run of concurrency as a table for people, figures for --assert, and files for --csv and --hgrm. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/stress/concurrency.h"
#include "tools/stress/publish.h"
#include "tools/stress/worker_sum.h"

static double per_second(const struct hgi_concurrency_results *results)
{
    return hgi_per_second(hgi_worker_calls(&results->sum), results->stamp.took_ns);
}

static void print_calls(FILE *out, const struct hgi_concurrency_results *results, bool colour)
{
    static const char *const heads[] = { "calls", "per second", "p50",     "p90",
                                         "p99",   "p99.9",      "longest", "moved" };
    static const double percents[] = { 50, 90, 99, 99.9, 100 };
    char text[HGI_CELL_SIZE];
    uint64_t calls = hgi_worker_calls(&results->sum);
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    hgi_table_heads(table, 0, heads, sizeof heads / sizeof heads[0]);
    hgi_table_set(table, 1, 0, "%s", hgi_format_count(text, sizeof text, calls));
    hgi_table_set(table, 1, 1, "%s",
                  hgi_format_count(text, sizeof text, (uint64_t)per_second(results)));
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++)
        hgi_table_set(
            table, 1, 2 + i, "%s",
            hgi_format_latency(text, sizeof text,
                               hgi_histogram_percentile(&results->sum.latency, percents[i])));
    hgi_table_set(table, 1, 7, "%s", hgi_format_bytes(text, sizeof text, results->sum.bytes));
    hgi_table_print(table, out, colour);
    free(table);
}

void hgi_concurrency_table(FILE *out, const void *arg, bool colour)
{
    const struct hgi_concurrency_results *results = arg;
    char verdict[640], memory[HGI_CELL_SIZE], left[64];
    const struct hgi_worker *sum = &results->sum;
    struct hgi_time_shares shares = hgi_concurrency_shares(sum);
    char broken[400];
    print_calls(out, results, colour);
    fputc('\n', out);
    hgi_text_print(out, false, HGI_STYLE_NONE,
                   "Where a call's time went: %.0f %% waiting for a connection, %.0f %% while one "
                   "was made, %.0f %% at the server, %.0f %% in backoff, %.0f %% the rest.",
                   shares.queue * 100, shares.dial * 100, shares.server * 100, shares.backoff * 100,
                   shares.rest * 100);
    hgi_text_print(out, false, HGI_STYLE_NONE,
                   "Leases checked to have one holder: %" PRIu64 ". Connections made: %" PRIu64
                   " for %" PRIu32 " places. Retries: %" PRIu64 ".",
                   sum->leases, results->stats.dials, results->stats.max_size, sum->retries);
    if (sum->missing > 0)
        fprintf(out, "Keys that had vanished from the server: %" PRIu64 ".\n", sum->missing);
    if (results->connections_left < 0)
        snprintf(left, sizeof left, "connections unknown (the server does not tell)");
    else
        snprintf(left, sizeof left, "%" PRId64 " connections", results->connections_left);
    hgi_text_print(
        out, false, HGI_STYLE_NONE,
        "Left over after closing: %s, %" PRId64 " descriptors, %s of memory.", left,
        results->descriptors_left,
        hgi_format_bytes(memory, sizeof memory,
                         (uint64_t)(results->memory_left > 0 ? results->memory_left : 0)));
    hgi_concurrency_verdict(verdict, sizeof verdict, results);
    hgi_concurrency_broken(broken, sizeof broken, results);
    fputc('\n', out);
    hgi_text_print(out, colour, broken[0] ? HGI_STYLE_BAD : HGI_STYLE_BOLD, "%s", verdict);
}

void hgi_concurrency_figures(struct hgi_figures *out, const void *arg)
{
    const struct hgi_concurrency_results *r = arg;
    const struct hgi_worker *sum = &r->sum;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "calls", (double)hgi_worker_calls(&r->sum) },
        { "calls_per_second", per_second(r) },
        { "replies", (double)sum->replies },
        { "failed", (double)sum->failed },
        { "retries", (double)sum->retries },
        { "mismatched", (double)sum->mismatches },
        { "doubled", (double)sum->doubled },
        { "descriptors_left", (double)r->descriptors_left },
        { "memory_left", (double)r->memory_left },
        { "time_in_queue", hgi_concurrency_shares(sum).queue },
        { "time_at_server", hgi_concurrency_shares(sum).server },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hgi_figures_add(out, NULL, numbers[i].name, HGI_FIGURE_NUMBER, true, numbers[i].value);
    hgi_figures_add(out, NULL, "connections_left", HGI_FIGURE_NUMBER, r->connections_left >= 0,
                    (double)r->connections_left);
    hgi_figures_add_latency(out, NULL, &sum->latency);
}

const struct hgi_histogram *hgi_concurrency_latency(const void *arg, size_t part)
{
    (void)part;
    return &((const struct hgi_concurrency_results *)arg)->sum.latency;
}

const struct hgi_recording *hgi_concurrency_recording(const void *arg, size_t part,
                                                      int64_t *began_ns)
{
    (void)part;
    const struct hgi_concurrency_results *r = arg;
    *began_ns = r->stamp.began_ns;
    return &r->sum.recording;
}

bool hgi_concurrency_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem)
{
    const struct hgi_concurrency_results *r = arg;
    (void)part;
    (void)problem;
    fputs("from_ns,calls\n", out);
    for (uint32_t i = 0; i < r->slices; i++)
        fprintf(out, "%" PRId64 ",%" PRIu64 "\n", r->settings.length_ns / HGI_SLICES * i,
                r->slice_done[i]);
    return true;
}
