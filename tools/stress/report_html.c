/* The page: headline, pictures, table, and what one must know to read them. */
#include <inttypes.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/stress/page.h"
#include "tools/stress/report.h"

static void write_headline(FILE *out, const struct hgi_herd_results *results)
{
    char text[HGI_VERDICT_SIZE];
    fputs("<p class=\"over\">herdgate-stress herd", out);
    if (results->stamp.interrupted)
        fputs(" &middot; interrupted: what was measured until then", out);
    fputs("</p>\n<h1>", out);
    hgi_herd_headline(text, sizeof text, results);
    hgi_html_text(out, text);
    fputs("</h1>\n<p class=\"lead\">", out);
    hgi_herd_verdict(text, sizeof text, results);
    hgi_html_text(out, text);
    fputs("</p>\n", out);
    hgi_herd_doubt(text, sizeof text, results);
    if (!text[0])
        return;
    fputs("<p class=\"doubt\">", out);
    hgi_html_text(out, text);
    fputs("</p>\n", out);
}

static void tiles_of_attempts(FILE *out, const struct hgi_trial *all, const struct hgi_trial *naive)
{
    char figure[48], count[32];
    if (naive && naive->attempts_down > 0) {
        uint64_t mine = all->attempts_down ? all->attempts_down : 1;
        uint64_t factor = (naive->attempts_down + mine / 2) / mine;
        snprintf(figure, sizeof figure, "1 / %s",
                 hgi_format_count(count, sizeof count, factor ? factor : 1));
        hgi_page_tile(out, figure, "of the naive attempts at a dead server");
    }
    hgi_page_tile(
        out,
        hgi_format_latency(figure, sizeof figure, hgi_histogram_percentile(&all->latency_down, 50)),
        "until a call fails while the server is down (median)");
}

static void tiles_of_overload(FILE *out, const struct hgi_herd_figures *f,
                              const struct hgi_trial *naive)
{
    char figure[48], text[128];
    if (naive && naive->up_ns >= 0) {
        struct hgi_herd_figures n = hgi_herd_figures(naive, NULL);
        snprintf(figure, sizeof figure, "%.0f %%", 100 * n.in_vain_after);
        hgi_page_tile(out, figure, "of what came after the server's return was in vain: naive");
    }
    if (f->over_capacity_after >= 0) {
        snprintf(figure, sizeof figure, "%.2f &times;", f->over_capacity_after);
        snprintf(text, sizeof text, "capacity: the worst 100 ms after the server's return");
        hgi_page_tile(out, figure, text);
    }
}

static void write_tiles(FILE *out, const struct hgi_herd_results *results)
{
    char figure[48], text[160], left[32];
    const struct hgi_trial *all = hgi_herd_find(results, HGI_STRATEGY_ALL);
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    if (!all || all->down_ns < 0)
        return;
    struct hgi_herd_figures f = hgi_herd_figures(all, naive);
    fputs("<div class=\"tiles\">\n", out);
    if (all->capacity_per_s)
        tiles_of_overload(out, &f, naive);
    else
        tiles_of_attempts(out, all, naive);
    snprintf(figure, sizeof figure, "%.2f", f.amplification);
    snprintf(text, sizeof text, "attempts per call over the whole trial");
    if (naive)
        snprintf(text, sizeof text, "attempts per call over the whole trial; naive %.2f",
                 hgi_herd_figures(naive, NULL).amplification);
    hgi_page_tile(out, figure, text);
    snprintf(text, sizeof text, "from the server's return to 95 %% of the goodput");
    if (f.open_left_ns >= 0)
        snprintf(text, sizeof text,
                 "from the server's return to 95 %% of the goodput; %s of it the breaker was open",
                 hgi_format_latency(left, sizeof left,
                                    f.open_left_ns < f.back_ns ? f.open_left_ns : f.back_ns));
    if (f.back_ns >= 0)
        hgi_page_tile(out, hgi_format_latency(figure, sizeof figure, f.back_ns), text);
    fputs("</div>\n", out);
}

static void write_key(FILE *out, const struct hgi_herd_results *results)
{
    char count[32];
    uint32_t capacity_per_s = results->settings.capacity_per_s;
    fprintf(out,
            "<h2>%s, per second; all to one scale</h2>\n<div class=\"key\">"
            "<span><svg width=\"14\" height=\"14\"><rect class=\"good\" width=\"14\" "
            "height=\"14\"/></svg>useful</span>"
            "<span><svg width=\"14\" height=\"14\"><rect class=\"wasted\" width=\"14\" "
            "height=\"14\"/><path class=\"hatch\" d=\"M-2 6L6 -2M1 13L13 1M8 16L16 8\"/></svg>"
            "%s</span>"
            "<span><svg width=\"14\" height=\"14\"><rect class=\"outage\" width=\"14\" "
            "height=\"14\"/></svg>the server is down</span>\n",
            capacity_per_s ? "Connections and commands at the server" : "Attempts at the server",
            capacity_per_s ? "wasted: nobody waited for it any more"
                           : "wasted: refused or never answered");
    if (capacity_per_s)
        fprintf(
            out,
            "<span><svg width=\"26\" height=\"14\"><line class=\"capacity\" x1=\"0\" x2=\"26\" "
            "y1=\"7\" y2=\"7\"/></svg>its capacity, %s per second</span>"
            "<span><svg width=\"26\" height=\"14\"><path class=\"goodput\" d=\"M0 10H13L13 4H26\"/>"
            "</svg>calls answered</span>\n",
            hgi_format_count(count, sizeof count, capacity_per_s));
    fputs("</div>\n", out);
}

static void cell(FILE *out, const char *text)
{
    fprintf(out, "<td>%s</td>", text);
}

static void write_row(FILE *out, const struct hgi_trial *trial, const struct hgi_trial *naive)
{
    char text[48];
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    fprintf(out, "<tr><td>%s</td>", hgi_strategy_name(trial->strategy));
    cell(out, hgi_format_count(text, sizeof text, trial->offered));
    cell(out, hgi_format_count(text, sizeof text, trial->answered));
    cell(out, hgi_format_count(text, sizeof text, trial->attempts));
    snprintf(text, sizeof text, "%.2f", f.amplification);
    cell(out, text);
    cell(out, hgi_format_count(text, sizeof text, trial->attempts_down));
    snprintf(text, sizeof text, "%.4f", f.ratio_to_naive);
    cell(out, f.ratio_to_naive < 0 ? "&ndash;" : text);
    const struct hgi_histogram *h = &trial->latency_down;
    cell(out, h->total ? hgi_format_latency(text, sizeof text, hgi_histogram_percentile(h, 50))
                       : "&ndash;");
    cell(out, h->total ? hgi_format_latency(text, sizeof text, hgi_histogram_percentile(h, 99))
                       : "&ndash;");
    cell(out, f.back_ns >= 0 ? hgi_format_latency(text, sizeof text, f.back_ns) : "&ndash;");
    snprintf(text, sizeof text, "%" PRIu32 " of %" PRIu32, trial->threads_well, trial->threads);
    cell(out, text);
    fputs("</tr>\n", out);
}

static void time_cell(FILE *out, int64_t ns)
{
    char text[48];
    cell(out, ns >= 0 ? hgi_format_latency(text, sizeof text, ns) : "&ndash;");
}

static void share_cell(FILE *out, double share, const char *form)
{
    char text[48];
    snprintf(text, sizeof text, form, share);
    cell(out, share < 0 ? "&ndash;" : text);
}

static void latency_row(FILE *out, const struct hgi_trial *trial, const struct hgi_trial *naive)
{
    static const double percent[] = { 50, 90, 99, 99.9, 99.99, 100 };
    char text[48];
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    const struct hgi_histogram *h = &trial->latency;
    fprintf(out, "<tr><td>%s</td>", hgi_strategy_name(trial->strategy));
    for (size_t i = 0; i < sizeof percent / sizeof percent[0]; i++)
        time_cell(out, h->total ? hgi_histogram_percentile(h, percent[i]) : -1);
    share_cell(out, 100 * f.wasted, "%.1f %%");
    snprintf(text, sizeof text, "%" PRIu64, f.false_opens);
    cell(out, trial->has_breaker ? text : "&ndash;");
    cell(out, hgi_format_count(text, sizeof text, trial->mismatches));
    fputs("</tr>\n", out);
}

static void server_row(FILE *out, const struct hgi_trial *trial, const struct hgi_trial *naive)
{
    char text[48];
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    fprintf(out, "<tr><td>%s</td>", hgi_strategy_name(trial->strategy));
    cell(out, hgi_format_count(text, sizeof text, (uint64_t)f.came));
    cell(out, hgi_format_count(text, sizeof text, (uint64_t)f.served));
    share_cell(out, f.in_vain < 0 ? -1 : 100 * f.in_vain, "%.1f %%");
    share_cell(out, f.over_capacity_10ms, "%.2f");
    share_cell(out, f.over_capacity, "%.2f");
    share_cell(out, f.over_capacity_after, "%.2f");
    share_cell(out, f.in_vain_after < 0 ? -1 : 100 * f.in_vain_after, "%.0f %%");
    share_cell(out, 100 * f.goodput_at_end, "%.0f %%");
    time_cell(out, f.open_interval_ns);
    time_cell(out, f.open_left_ns);
    fputs("</tr>\n", out);
}

static void write_table(FILE *out, const struct hgi_herd_results *results, const char *head,
                        void (*row)(FILE *out, const struct hgi_trial *trial,
                                    const struct hgi_trial *naive))
{
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    fprintf(out, "%s</tr>\n", head);
    for (size_t i = 0; i < results->count; i++)
        row(out, results->trial[i], naive);
    fputs("</table></div>\n", out);
}

static void write_tables(FILE *out, const struct hgi_herd_results *results)
{
    write_table(out, results,
                "<h2>Calls</h2>\n<div class=\"wide\"><table>\n<tr><th>policy</th><th>calls</th>"
                "<th>answered</th><th>attempts</th><th>per call</th><th>attempts while down</th>"
                "<th>ratio to naive</th><th>fails after, p50</th><th>p99</th>"
                "<th>goodput back after</th><th>threads well at the end</th>",
                write_row);
    if (results->count > 0 && results->trial[0]->server_seen)
        write_table(out, results,
                    "<h2>The server</h2>\n<div class=\"wide\"><table>\n<tr><th>policy</th>"
                    "<th>came to it</th><th>served</th><th>in vain</th><th>peak of 10 ms</th>"
                    "<th>peak of 100 ms</th><th>after its return</th><th>in vain after it</th>"
                    "<th>goodput at the end</th><th>open interval then</th><th>left of it</th>",
                    server_row);
    write_table(
        out, results,
        "<h2>How long answered calls took</h2>\n<div class=\"wide\"><table>\n<tr>"
        "<th>policy</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</th>"
        "<th>longest</th><th>attempts wasted</th><th>false opens</th><th>wrong replies</th>",
        latency_row);
}

/* What is between the callers and the server. */
static void write_path(FILE *out, const struct hgi_herd_results *results)
{
    char toxics[HGI_TOXICS_TEXT], cost[200];
    const struct hgi_herd_settings *s = &results->settings;
    if (s->capacity_per_s)
        fprintf(out,
                "<dt>capacity</dt><dd>%" PRIu32 " connections and commands per second, first come, "
                "first served; peaks are multiples of it. In vain: whoever asked had given up, as "
                "the server cannot know</dd>\n",
                s->capacity_per_s);
    if (s->toxics.count > 0) {
        hgi_toxics_print(&s->toxics, toxics);
        fputs("<dt>faults</dt><dd>", out);
        hgi_html_text(out, toxics);
        fputs("</dd>\n", out);
    }
    if (results->proxy_cost.known) {
        hgi_proxy_cost_text(cost, sizeof cost, &results->proxy_cost);
        fprintf(out,
                "<dt>proxy</dt><dd>capacity and faults are made by a proxy inside the tool, which "
                "adds %s</dd>"
                "\n",
                cost);
    }
}

static void write_notes(FILE *out, const struct hgi_herd_results *results)
{
    static const char *const ways[] = { "killed (SIGKILL)", "stopped (SIGSTOP)", "shut down" };
    const struct hgi_herd_settings *s = &results->settings;
    char a[32], b[32], c[32], load[64];
    fputs("<h2>How this was measured</h2>\n<dl>\n", out);
    if (s->rate)
        snprintf(load, sizeof load, "%" PRIu32 " calls per second together", s->rate);
    else
        snprintf(load, sizeof load, "each calls, waits %s on average, and calls again",
                 hgi_format_duration(a, sizeof a, s->think_ns));
    fprintf(out, "<dt>load</dt><dd>%" PRIu32 " threads, %s (%s)</dd>\n", s->threads, load,
            hgi_herd_load(s));
    fprintf(out,
            "<dt>outage</dt><dd>a redis-server of the tool's own (%s) is %s %s into each trial and "
            "is back %s later</dd>\n",
            results->stamp.server, ways[s->way], hgi_format_duration(a, sizeof a, s->outage.low),
            hgi_format_duration(b, sizeof b, s->outage.high - s->outage.low));
    fputs(
        "<dt>attempt</dt><dd>one connect begun or one command sent</dd>\n"
        "<dt>goodput</dt><dd>calls answered rightly; back when 300 ms, and all that follows on the "
        "whole, hold 95 % of the rate before the outage</dd>\n",
        out);
    write_path(out, results);
    fprintf(out,
            "<dt>same for all</dt><dd>attempt timeout %s, deadline %s; herdgate's pool has %" PRIu32
            " connections, the others one for each thread</dd>\n",
            hgi_format_duration(b, sizeof b, s->attempt_timeout_ns),
            hgi_format_duration(c, sizeof c, s->deadline_ns), s->connections);
    for (size_t i = 0; i < results->count; i++)
        fprintf(out, "<dt>%s</dt><dd>%s</dd>\n", hgi_strategy_name(results->trial[i]->strategy),
                hgi_strategy_text(results->trial[i]->strategy));
    fprintf(out,
            "<dt>made by</dt><dd>herdgate %s, %s, seed %" PRIu64
            "</dd>\n<dt>command</dt><dd><code>",
            results->stamp.herdgate, results->stamp.began_at, s->seed);
    hgi_html_text(out, results->stamp.command);
    fputs("</code></dd>\n</dl>\n", out);
}

bool hgi_report_html(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct hgi_herd_results *results = arg;
    hgi_page_begin(out, "herdgate-stress herd");
    write_headline(out, results);
    write_tiles(out, results);
    write_key(out, results);
    hgi_report_plots(out, results);
    write_tables(out, results);
    write_notes(out, results);
    return hgi_page_end(out, problem);
}
