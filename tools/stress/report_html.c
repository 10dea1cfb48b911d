/* The page: headline, pictures, table, and what one must know to read them. */
#include <inttypes.h>
#include <string.h>

#include <herdgate/version.h>

#include "tools/common/terminal.h"
#include "tools/stress/page.h"
#include "tools/stress/report.h"

static void write_headline(FILE *out, const struct hgi_herd_results *results)
{
    char verdict[512];
    hgi_herd_verdict(verdict, sizeof verdict, results);
    fputs("<p class=\"over\">herdgate-stress herd", out);
    if (results->interrupted)
        fputs(" &middot; interrupted: what was measured until then", out);
    fputs("</p>\n<h1>", out);
    hgi_html_text(out, verdict);
    fputs("</h1>\n", out);
}

static void write_tiles(FILE *out, const struct hgi_herd_results *results)
{
    char figure[48], text[128], count[32];
    const struct hgi_trial *all = hgi_herd_find(results, HGI_STRATEGY_ALL);
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    if (!all || all->down_ns < 0)
        return;
    struct hgi_herd_figures f = hgi_herd_figures(all, naive);
    fputs("<div class=\"tiles\">\n", out);
    if (naive && naive->attempts_down > 0) {
        uint64_t mine = all->attempts_down ? all->attempts_down : 1;
        uint64_t factor = (naive->attempts_down + mine / 2) / mine;
        snprintf(figure, sizeof figure, "1 / %s",
                 hgi_format_count(count, sizeof count, factor ? factor : 1));
        hgi_page_tile(out, figure, "of the naive attempts at a dead server");
    }
    snprintf(figure, sizeof figure, "%.2f", f.amplification);
    snprintf(text, sizeof text, "attempts per call over the whole trial%s", "");
    if (naive)
        snprintf(text, sizeof text, "attempts per call over the whole trial; naive %.2f",
                 hgi_herd_figures(naive, NULL).amplification);
    hgi_page_tile(out, figure, text);
    hgi_page_tile(
        out,
        hgi_format_latency(figure, sizeof figure, hgi_histogram_percentile(&all->latency_down, 50)),
        "until a call fails while the server is down (median)");
    if (f.back_ns >= 0)
        hgi_page_tile(out, hgi_format_latency(figure, sizeof figure, f.back_ns),
                      "from the server's return to 95 % of the goodput");
    fputs("</div>\n", out);
}

static void write_key(FILE *out)
{
    fputs(
        "<h2>Attempts at the server, per second</h2>\n<div class=\"key\">"
        "<span><svg width=\"14\" height=\"14\"><rect class=\"good\" width=\"14\" height=\"14\"/>"
        "</svg>useful</span>"
        "<span><svg width=\"14\" height=\"14\"><rect class=\"wasted\" width=\"14\" height=\"14\"/>"
        "<path class=\"hatch\" d=\"M-2 6L6 -2M1 13L13 1M8 16L16 8\"/></svg>"
        "wasted: refused or never answered</span>"
        "<span><svg width=\"14\" height=\"14\"><rect class=\"outage\" width=\"14\" height=\"14\"/>"
        "</svg>the server is down</span>"
        "<span>Every panel has the same scale.</span></div>\n",
        out);
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

static void write_table(FILE *out, const struct hgi_herd_results *results)
{
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    fputs("<h2>Figures</h2>\n<div class=\"wide\"><table>\n<tr><th>policy</th><th>calls</th>"
          "<th>answered</th><th>attempts</th><th>per call</th><th>attempts while down</th>"
          "<th>ratio to naive</th><th>fails after, p50</th><th>p99</th><th>goodput back after</th>"
          "<th>threads well at the end</th></tr>\n",
          out);
    for (size_t i = 0; i < results->count; i++)
        write_row(out, results->trial[i], naive);
    fputs("</table></div>\n", out);
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
            results->server, ways[s->way], hgi_format_duration(a, sizeof a, s->outage.low),
            hgi_format_duration(b, sizeof b, s->outage.high - s->outage.low));
    fputs(
        "<dt>attempt</dt><dd>one connect begun or one command sent</dd>\n"
        "<dt>goodput</dt><dd>calls answered rightly; back when 300 ms hold 95 % of the rate before "
        "the outage</dd>\n",
        out);
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
            HG_VERSION, results->began_at, s->seed);
    hgi_html_text(out, results->command);
    fputs("</code></dd>\n</dl>\n", out);
}

bool hgi_report_html(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct hgi_herd_results *results = arg;
    hgi_page_begin(out, "herdgate-stress herd");
    write_headline(out, results);
    write_tiles(out, results);
    write_key(out);
    hgi_report_plots(out, results);
    write_table(out, results);
    write_notes(out, results);
    return hgi_page_end(out, problem);
}
