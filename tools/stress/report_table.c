/* The table of a herd, for people. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/stress/report.h"

static void set_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                    const struct hgi_trial *naive)
{
    char text[48];
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    const struct hgi_histogram *h = &trial->latency_down;
    hgi_table_set(table, row, 0, "%s", hgi_strategy_name(trial->strategy));
    hgi_table_set(table, row, 1, "%s", hgi_format_count(text, sizeof text, trial->offered));
    hgi_table_set(table, row, 2, "%s", hgi_format_count(text, sizeof text, trial->answered));
    hgi_table_set(table, row, 3, "%s", hgi_format_count(text, sizeof text, trial->attempts));
    hgi_table_set(table, row, 4, "%.2f", f.amplification);
    hgi_table_set(table, row, 5, "%s", hgi_format_count(text, sizeof text, trial->attempts_down));
    if (f.ratio_to_naive < 0)
        hgi_table_set(table, row, 6, "-");
    else
        hgi_table_set(table, row, 6, f.ratio_to_naive < 0.1 ? "%.4f" : "%.2f", f.ratio_to_naive);
    for (size_t i = 0; i < 2; i++)
        hgi_table_set(table, row, 7 + i, "%s",
                      h->total ? hgi_format_latency(text, sizeof text,
                                                    hgi_histogram_percentile(h, i ? 99 : 50))
                               : "-");
    hgi_table_set(table, row, 9, "%s",
                  f.back_ns >= 0 ? hgi_format_latency(text, sizeof text, f.back_ns) : "-");
    hgi_table_set(table, row, 10, "%" PRIu32 "/%" PRIu32, trial->threads_well, trial->threads);
    if (trial->has_breaker)
        hgi_table_set(table, row, 11, "%" PRIu64, trial->transitions);
    else
        hgi_table_set(table, row, 11, "-");
    if (trial->strategy == HGI_STRATEGY_ALL) {
        hgi_table_style(table, row, 0, HGI_STYLE_BOLD);
        hgi_table_style(table, row, 5, HGI_STYLE_GOOD);
        hgi_table_style(table, row, 6, HGI_STYLE_GOOD);
    }
}

void hgi_report_table(FILE *out, const void *arg, bool colour)
{
    const struct hgi_herd_results *results = arg;
    static const char *const heads[2][HGI_TABLE_COLUMNS] = {
        { "", "", "", "", "attempts", "attempts", "ratio to", "fails after", "", "goodput",
          "threads", "breaker" },
        { "policy", "calls", "answered", "attempts", "per call", "while down", "naive", "p50",
          "p99", "back after", "well", "changes" },
    };
    char verdict[512];
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    for (size_t r = 0; r < 2; r++) {
        for (size_t c = 0; c < HGI_TABLE_COLUMNS; c++) {
            hgi_table_set(table, r, c, "%s", heads[r][c]);
            hgi_table_style(table, r, c, HGI_STYLE_DIM);
        }
    }
    for (size_t i = 0; i < results->count; i++)
        set_row(table, i + 2, results->trial[i], naive);
    hgi_table_print(table, out, colour);
    free(table);
    fprintf(
        out,
        "\n%sAttempt: a connect begun or a command sent. While down: while there was no server. "
        "Fails after: how long\na call took to fail then. Goodput back after: from the server's "
        "return to 95 %% of the calls answered before.\nThreads well: whose call was answered "
        "after the trial.%s\n",
        hgi_style_begin(colour, HGI_STYLE_DIM), hgi_style_end(colour, HGI_STYLE_DIM));
    hgi_herd_verdict(verdict, sizeof verdict, results);
    fprintf(out, "\n%s%s%s\n", hgi_style_begin(colour, HGI_STYLE_BOLD), verdict,
            hgi_style_end(colour, HGI_STYLE_BOLD));
}
