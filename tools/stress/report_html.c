/* The page: headline, pictures, table, and what one must know to read them. */
#include <inttypes.h>
#include <string.h>

#include <herdgate/version.h>

#include "tools/common/terminal.h"
#include "tools/stress/report.h"

/* Blue and orange of Okabe and Ito's palette, which all kinds of colour vision tell apart. */
static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#5c6670;--rule:#d9dee3;"
    "--good:#0072b2;--wasted:#e8730c;--hatch:#fff;--outage:#e6e8eb;--card:#f5f7f9;--open:#1b1f24;"
    "--on-open:#fff;--closed:#dfeaf2;--half:#e9c46a}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e8ecef;--soft:#9aa5af;"
    "--rule:#30373e;--good:#4aa8e0;--wasted:#f08a2c;--hatch:#14181c;--outage:#272d34;--card:#"
    "1c2228;"
    "--open:#e8ecef;--on-open:#14181c;--closed:#22384a;--half:#b58a1f}}\n"
    "@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--good:#0072b2;"
    "--wasted:#e8730c;--hatch:#fff;--outage:#e6e8eb;--card:#fff;--open:#000;--on-open:#fff;"
    "--closed:#e8eff5;--half:#e9c46a}body{print-color-adjust:exact;-webkit-print-color-adjust:"
    "exact}"
    ".panel,table,.tiles{break-inside:avoid}}\n"
    "body{margin:0 auto;padding:28px 24px 48px;max-width:1000px;background:var(--paper);"
    "color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',"
    "sans-serif}\n"
    "h1{font-size:26px;line-height:1.25;margin:2px 0 6px;text-wrap:balance}"
    "h2{font-size:17px;margin:34px 0 6px}"
    "p{margin:6px 0}.over{color:var(--soft);font-size:13px;letter-spacing:.02em}"
    ".soft,dd{color:var(--soft)}code{font:13px ui-monospace,'DejaVu Sans Mono',monospace;"
    "overflow-wrap:anywhere}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:12px;"
    "margin:18px 0 8px}"
    ".tile{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 14px}"
    ".tile b{display:block;font-size:28px;line-height:1.2;font-variant-numeric:tabular-nums}"
    ".tile span{color:var(--soft);font-size:13px}\n"
    ".key{display:flex;gap:20px;flex-wrap:wrap;font-size:13px;color:var(--soft);margin:4px 0 0}"
    ".key svg{vertical-align:-2px;margin-right:6px}\n"
    "svg text{font-family:inherit;fill:var(--ink)}.panel{display:block;width:100%;height:auto}"
    ".name{font-size:17px;font-weight:700}.what{font-size:13px;font-weight:400;fill:var(--soft)}"
    "svg .tick,svg .what{fill:var(--soft)}.tick{font-size:11px}.small{font-size:12.5px}"
    ".big{font-size:26px;font-weight:700}"
    ".halo{paint-order:stroke;stroke:var(--outage);stroke-width:4px;stroke-linejoin:round}"
    ".back+.halo{stroke:var(--paper)}"
    ".good{fill:var(--good)}.wasted{fill:var(--wasted)}.hatch{stroke:var(--hatch);stroke-width:1.6;"
    "opacity:.55}.outage{fill:var(--outage)}.grid{stroke:var(--rule);stroke-width:1}"
    ".back{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 3}"
    ".open{fill:var(--open)}.half{fill:var(--half)}.closed{fill:var(--closed)}"
    ".on-open,.on-half,.on-closed{font-size:11px}svg .on-open{fill:var(--on-open)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px;"
    "font-variant-numeric:tabular-nums}"
    "th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--rule)}"
    "th{color:var(--soft);font-weight:500;vertical-align:bottom}"
    "th:first-child,td:first-child{text-align:left;font-weight:600}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;font-size:13.5px}"
    "dt{font-weight:600}dd{margin:0}\n";

void hgi_html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default: /* a control character is not allowed in a page */
            fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, out);
        }
    }
}

static void tile(FILE *out, const char *figure, const char *text)
{
    fprintf(out, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", figure, text);
}

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
        tile(out, figure, "of the naive attempts at a dead server");
    }
    snprintf(figure, sizeof figure, "%.2f", f.amplification);
    snprintf(text, sizeof text, "attempts per call over the whole trial%s", "");
    if (naive)
        snprintf(text, sizeof text, "attempts per call over the whole trial; naive %.2f",
                 hgi_herd_figures(naive, NULL).amplification);
    tile(out, figure, text);
    tile(
        out,
        hgi_format_latency(figure, sizeof figure, hgi_histogram_percentile(&all->latency_down, 50)),
        "until a call fails while the server is down (median)");
    if (f.back_ns >= 0)
        tile(out, hgi_format_latency(figure, sizeof figure, f.back_ns),
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
    char a[32], b[32], c[32];
    fputs("<h2>How this was measured</h2>\n<dl>\n", out);
    fprintf(out,
            "<dt>load</dt><dd>%" PRIu32
            " threads, each calls, waits %s on average, and calls again "
            "(closed loop: not corrected)</dd>\n",
            s->threads, hgi_format_duration(a, sizeof a, s->think_ns));
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
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<title>herdgate-stress herd</title>\n<style>\n%s</style>\n</head>\n<body>\n",
            style);
    write_headline(out, results);
    write_tiles(out, results);
    write_key(out);
    hgi_report_plots(out, results);
    write_table(out, results);
    write_notes(out, results);
    fputs("</body>\n</html>\n", out);
    return !ferror(out) || hgi_problem_set(problem, "cannot write the report");
}
