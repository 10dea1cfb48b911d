/* The tables of a herd, for people: one after the other, each as narrow as a terminal. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/stress/report.h"

static void set_count(struct hgi_table *table, size_t row, size_t column, uint64_t count)
{
    char text[HGI_CELL_SIZE];
    hgi_table_set(table, row, column, "%s", hgi_format_count(text, sizeof text, count));
}

static void set_time(struct hgi_table *table, size_t row, size_t column, int64_t ns)
{
    char text[HGI_CELL_SIZE];
    hgi_table_set(table, row, column, "%s",
                  ns >= 0 ? hgi_format_latency(text, sizeof text, ns) : "-");
}

/* -1: there is none. */
static void set_factor(struct hgi_table *table, size_t row, size_t column, double factor)
{
    if (factor < 0)
        hgi_table_set(table, row, column, "-");
    else
        hgi_table_set(table, row, column, factor > 0 && factor < 0.1 ? "%.4f" : "%.2f", factor);
}

static void set_share(struct hgi_table *table, size_t row, size_t column, double share)
{
    if (share < 0)
        hgi_table_set(table, row, column, "-");
    else
        hgi_table_set(table, row, column, "%.1f %%", 100 * share);
}

static void set_percentile(struct hgi_table *table, size_t row, size_t column,
                           const struct hgi_histogram *histogram, double percent)
{
    set_time(table, row, column,
             histogram->total ? hgi_histogram_percentile(histogram, percent) : -1);
}

/* What became of the calls. */
static void calls_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                      const struct hgi_herd_figures *f)
{
    set_count(table, row, 1, trial->offered);
    set_count(table, row, 2, trial->answered);
    set_count(table, row, 3, trial->attempts);
    set_factor(table, row, 4, f->amplification);
    set_share(table, row, 5, f->wasted);
    hgi_table_set(table, row, 6, "%" PRIu32 "/%" PRIu32, trial->threads_well, trial->threads);
    set_count(table, row, 7, trial->mismatches);
    if (trial->mismatches > 0)
        hgi_table_style(table, row, 7, HGI_STYLE_BAD);
}

/* While the server was away, and when it was back. */
static void outage_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                       const struct hgi_herd_figures *f)
{
    set_count(table, row, 1, trial->attempts_down);
    set_factor(table, row, 2, f->ratio_to_naive);
    set_percentile(table, row, 3, &trial->latency_down, 50);
    set_percentile(table, row, 4, &trial->latency_down, 99);
    set_time(table, row, 5, f->back_ns);
    set_share(table, row, 6, f->goodput_at_end);
    if (trial->strategy == HGI_STRATEGY_ALL) {
        hgi_table_style(table, row, 1, HGI_STYLE_GOOD);
        hgi_table_style(table, row, 2, HGI_STYLE_GOOD);
    }
}

/* Times of the calls that were answered. */
static void latency_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                        const struct hgi_herd_figures *f)
{
    static const double percent[] = { 50, 90, 99, 99.9, 99.99, 100 };
    (void)f;
    for (size_t i = 0; i < sizeof percent / sizeof percent[0]; i++)
        set_percentile(table, row, 1 + i, &trial->latency, percent[i]);
}

static void breaker_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                        const struct hgi_herd_figures *f)
{
    set_count(table, row, 1, trial->transitions);
    set_count(table, row, 2, f->false_opens);
    set_time(table, row, 3, f->open_interval_ns);
    set_time(table, row, 4, f->open_left_ns);
}

/* What reached the server. */
static void server_row(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                       const struct hgi_herd_figures *f)
{
    (void)trial;
    set_count(table, row, 1, (uint64_t)f->came);
    set_count(table, row, 2, (uint64_t)f->served);
    set_share(table, row, 3, f->in_vain);
    set_factor(table, row, 4, f->over_capacity_10ms);
    set_factor(table, row, 5, f->over_capacity);
    set_factor(table, row, 6, f->over_capacity_after);
    set_share(table, row, 7, f->in_vain_after);
}

static bool has_breaker(const struct hgi_trial *trial)
{
    return trial->has_breaker;
}

static bool has_proxy(const struct hgi_trial *trial)
{
    return trial->server_seen;
}

typedef const char *heads[2][HGI_TABLE_COLUMNS];

/* One table of those trials that have what it shows: all, if `has` is NULL. None: no table. */
struct part {
    heads head;
    void (*row)(struct hgi_table *table, size_t row, const struct hgi_trial *trial,
                const struct hgi_herd_figures *figures);
    bool (*has)(const struct hgi_trial *trial);
    const char *legend;
};

static const struct part parts[] = {
    { .head = { { "", "", "", "", "attempts", "attempts", "threads", "wrong" },
                { "policy", "calls", "answered", "attempts", "per call", "wasted", "well",
                  "replies" } },
      .row = calls_row,
      .legend = "Attempt: a connect begun or a command sent; wasted: that brought no answer. "
                "Threads well: whose call was answered after the trial." },
    { .head = { { "", "attempts", "ratio to", "fails after", "", "goodput", "goodput" },
                { "policy", "while down", "naive", "p50", "p99", "back after", "at end" } },
      .row = outage_row,
      .legend = "While down: while there was no server. Fails after: how long a call took to fail "
                "then. Goodput back after: from the server's return to 95 % of the calls answered "
                "before; at end: of the last second, as a share of these." },
    { .head = { { "", "answered", "", "", "", "", "" },
                { "policy", "p50", "p90", "p99", "p99.9", "p99.99", "max" } },
      .row = latency_row,
      .legend = "Answered: how long calls took that were." },
    { .head = { { "", "breaker", "false", "open", "of it" },
                { "policy", "changes", "opens", "interval", "left" } },
      .row = breaker_row,
      .has = has_breaker,
      .legend = "False opens: while the server was there. Open interval: in force at the server's "
                "return, and what was left of it then." },
    { .head = { { "", "came to", "", "of these", "peak of", "peak of", "after the", "in vain" },
                { "policy", "server", "served", "in vain", "10 ms", "100 ms", "return", "after" } },
      .row = server_row,
      .has = has_proxy,
      .legend = "Came: connections and commands. In vain: whoever asked had given up. Peaks: the "
                "worst 10 and 100 ms, and the worst 100 ms after the server's return, as multiples "
                "of its capacity. In vain after: of what came after it." },
};

/* A table, and what its columns mean. */
static void print_part(FILE *out, const struct hgi_herd_results *results, bool colour,
                       const struct part *part)
{
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    struct hgi_table *table = calloc(1, sizeof *table);
    size_t row = 2;
    for (size_t i = 0; table && i < results->count; i++) {
        const struct hgi_trial *trial = results->trial[i];
        struct hgi_herd_figures figures = hgi_herd_figures(trial, naive);
        if (part->has && !part->has(trial))
            continue;
        hgi_table_set(table, row, 0, "%s", hgi_strategy_name(trial->strategy));
        if (trial->strategy == HGI_STRATEGY_ALL)
            hgi_table_style(table, row, 0, HGI_STYLE_BOLD);
        part->row(table, row++, trial, &figures);
    }
    for (size_t r = 0; row > 2 && r < 2; r++) {
        for (size_t c = 0; c < HGI_TABLE_COLUMNS && part->head[1][c]; c++) {
            hgi_table_set(table, r, c, "%s", part->head[r][c]);
            hgi_table_style(table, r, c, HGI_STYLE_DIM);
        }
    }
    if (row > 2) {
        hgi_table_print(table, out, colour);
        fputc('\n', out);
        hgi_text_print(out, colour, HGI_STYLE_DIM, "%s", part->legend);
        fputc('\n', out);
    }
    free(table);
}

void hgi_report_table(FILE *out, const void *arg, bool colour)
{
    const struct hgi_herd_results *results = arg;
    char text[HGI_VERDICT_SIZE];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        print_part(out, results, colour, &parts[i]);
    if (results->proxy_cost.known) {
        hgi_proxy_cost_text(text, sizeof text, &results->proxy_cost);
        hgi_text_print(out, colour, HGI_STYLE_DIM, "The proxy before the server adds %s.", text);
        fputc('\n', out);
    }
    hgi_herd_verdict(text, sizeof text, results);
    hgi_text_print(out, colour, HGI_STYLE_BOLD, "%s", text);
    hgi_herd_doubt(text, sizeof text, results);
    if (text[0])
        hgi_text_print(out, colour, HGI_STYLE_BAD, "%s", text);
}
