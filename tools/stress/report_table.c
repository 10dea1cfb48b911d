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

/* Times of the calls that were answered. */
static void latency_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                        const struct hgi_trial *naive)
{
    static const double percent[] = { 50, 90, 99, 99.9, 99.99, 100 };
    char text[48];
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    const struct hgi_histogram *h = &trial->latency;
    hgi_table_set(table, row, 0, "%s", hgi_strategy_name(trial->strategy));
    for (size_t i = 0; i < sizeof percent / sizeof percent[0]; i++)
        hgi_table_set(table, row, 1 + i, "%s",
                      h->total ? hgi_format_latency(text, sizeof text,
                                                    hgi_histogram_percentile(h, percent[i]))
                               : "-");
    hgi_table_set(table, row, 7, "%.0f %%", 100 * f.wasted);
    if (trial->has_breaker)
        hgi_table_set(table, row, 8, "%" PRIu64, f.false_opens);
    else
        hgi_table_set(table, row, 8, "-");
    hgi_table_set(table, row, 9, "%s", hgi_format_count(text, sizeof text, trial->mismatches));
    if (trial->mismatches > 0)
        hgi_table_style(table, row, 9, HGI_STYLE_BAD);
}

static void set_time(struct hgi_table *table, size_t row, size_t column, int64_t ns)
{
    char text[48];
    hgi_table_set(table, row, column, "%s",
                  ns >= 0 ? hgi_format_latency(text, sizeof text, ns) : "-");
}

static void set_factor(struct hgi_table *table, size_t row, size_t column, double factor)
{
    if (factor < 0)
        hgi_table_set(table, row, column, "-");
    else
        hgi_table_set(table, row, column, "%.2f", factor);
}

/* What reached the server. */
static void server_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                       const struct hgi_trial *naive)
{
    char text[48];
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    hgi_table_set(table, row, 0, "%s", hgi_strategy_name(trial->strategy));
    hgi_table_set(table, row, 1, "%s", hgi_format_count(text, sizeof text, (uint64_t)f.came));
    hgi_table_set(table, row, 2, "%s", hgi_format_count(text, sizeof text, (uint64_t)f.served));
    hgi_table_set(table, row, 3, "%.1f %%", 100 * f.in_vain);
    set_factor(table, row, 4, f.over_capacity_10ms);
    set_factor(table, row, 5, f.over_capacity);
    set_factor(table, row, 6, f.over_capacity_after);
    if (f.in_vain_after >= 0)
        hgi_table_set(table, row, 7, "%.0f %%", 100 * f.in_vain_after);
    else
        hgi_table_set(table, row, 7, "-");
    hgi_table_set(table, row, 8, "%.0f %%", 100 * f.goodput_at_end);
    set_time(table, row, 9, f.back_ns);
    set_time(table, row, 10, f.open_interval_ns);
    set_time(table, row, 11, f.open_left_ns);
    if (trial->strategy == HGI_STRATEGY_ALL)
        hgi_table_style(table, row, 0, HGI_STYLE_BOLD);
}

typedef void (*set_row_fn)(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                           const struct hgi_trial *naive);

typedef const char *heads[2][HGI_TABLE_COLUMNS];

/* One table, and what its columns mean. */
static void print_part(FILE *out, const struct hgi_herd_results *results, bool colour,
                       const heads *head, set_row_fn row, const char *legend)
{
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    for (size_t r = 0; r < 2; r++) {
        for (size_t c = 0; c < HGI_TABLE_COLUMNS && (*head)[1][c]; c++) {
            hgi_table_set(table, r, c, "%s", (*head)[r][c]);
            hgi_table_style(table, r, c, HGI_STYLE_DIM);
        }
    }
    for (size_t i = 0; i < results->count; i++)
        row(table, i + 2, results->trial[i], naive);
    hgi_table_print(table, out, colour);
    free(table);
    fprintf(out, "\n%s%s%s\n", hgi_style_begin(colour, HGI_STYLE_DIM), legend,
            hgi_style_end(colour, HGI_STYLE_DIM));
}

void hgi_report_table(FILE *out, const void *arg, bool colour)
{
    const struct hgi_herd_results *results = arg;
    static const heads calls = {
        { "", "", "", "", "attempts", "attempts", "ratio to", "fails after", "", "goodput",
          "threads", "breaker" },
        { "policy", "calls", "answered", "attempts", "per call", "while down", "naive", "p50",
          "p99", "back after", "well", "changes" },
    };
    static const heads latencies = {
        { "", "answered", "", "", "", "", "", "attempts", "false", "wrong" },
        { "policy", "p50", "p90", "p99", "p99.9", "p99.99", "max", "wasted", "opens", "replies" },
    };
    static const heads at_server = {
        { "", "came to", "served", "of these", "peak of", "peak of", "after the", "in vain",
          "goodput", "goodput", "open", "of it" },
        { "policy", "server", "", "in vain", "10 ms", "100 ms", "return", "after", "at the end",
          "back after", "interval", "left" },
    };
    char verdict[HGI_VERDICT_SIZE];
    print_part(
        out, results, colour, &calls, set_row,
        "Attempt: a connect begun or a command sent. While down: while there was no server. Fails "
        "after: how long\na call took to fail then. Goodput back after: from the server's return "
        "to 95 % of the calls answered before.\nThreads well: whose call was answered after the "
        "trial.\n");
    print_part(out, results, colour, &latencies, latency_row,
               "Answered: how long calls took that were. False opens: of the breaker, while the "
               "server was there.");
    if (results->count > 0 && results->trial[0]->server_seen) {
        fputc('\n', out);
        print_part(
            out, results, colour, &at_server, server_row,
            "Came: connections and commands. In vain: whoever asked had given up. Peaks: the worst "
            "10 and 100 ms, and the\nworst 100 ms after the server's return, as multiples of its "
            "capacity. In vain after: of what came after it.\nOpen interval: of the breaker, in "
            "force at the server's return, and what was left of it then.");
    }
    if (results->proxy_cost.known) {
        char cost[200];
        hgi_proxy_cost_text(cost, sizeof cost, &results->proxy_cost);
        fprintf(out, "%sThe proxy before the server adds %s.%s\n",
                hgi_style_begin(colour, HGI_STYLE_DIM), cost, hgi_style_end(colour, HGI_STYLE_DIM));
    }
    hgi_herd_verdict(verdict, sizeof verdict, results);
    fprintf(out, "\n%s%s%s\n", hgi_style_begin(colour, HGI_STYLE_BOLD), verdict,
            hgi_style_end(colour, HGI_STYLE_BOLD));
    hgi_herd_doubt(verdict, sizeof verdict, results);
    if (verdict[0])
        fprintf(out, "%s%s%s\n", hgi_style_begin(colour, HGI_STYLE_BAD), verdict,
                hgi_style_end(colour, HGI_STYLE_BAD));
}
