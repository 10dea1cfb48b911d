/* The page of a run of breaker: verdict, the breaker's states over time with the outages behind them, each outage
 * in figures. */
#include <inttypes.h>
#include <math.h>

#include "tools/common/terminal.h"
#include "tools/stress/breaker.h"
#include "tools/stress/page.h"
#include "tools/stress/plot.h"

enum { STRIP_TOP = HGI_PLOT_TOP + HGI_PLOT_HEIGHT - 40, STRIP_HEIGHT = 28 };

static void write_tiles(FILE *out, const struct hgi_breaker_results *r)
{
    char figure[HGI_CELL_SIZE], text[96];
    fputs("<div class=\"tiles\">\n", out);
    hgi_page_tile(out, hgi_format_count(figure, sizeof figure, r->calls), "calls");
    hgi_page_tile(out, hgi_format_count(figure, sizeof figure, r->refused), "refused at once");
    snprintf(figure, sizeof figure, "%" PRIu32, hgi_breaker_probes_most(r));
    snprintf(text, sizeof text, "probes in a half-open period, at most; %" PRIu32 " are allowed",
             r->settings.breaker.half_open_max_calls);
    hgi_page_tile(out, figure, text);
    hgi_format_latency(figure, sizeof figure, hgi_histogram_percentile(&r->refusal, 99));
    hgi_page_tile(out, figure, "a refusal took no longer (99 %)");
    if (r->settings.processes > 1) {
        snprintf(figure, sizeof figure, "%" PRIu32, r->kill_count);
        snprintf(text, sizeof text, "times one of %" PRIu32 " processes was killed (-9)",
                 r->settings.processes);
        hgi_page_tile(out, figure, text);
    }
    fputs("</div>\n", out);
}

static double x_of(const struct hgi_breaker_results *r, int64_t at_ns)
{
    double share = r->stamp.took_ns > 0 ? (double)at_ns / (double)r->stamp.took_ns : 0;
    return HGI_PLOT_LEFT + (HGI_PLOT_RIGHT - HGI_PLOT_LEFT) * fmax(0, fmin(1, share));
}

static void draw_states(FILE *out, const struct hgi_breaker_results *r)
{
    static const char *const styles[] = { "closed", "open", "half" };
    int64_t from_ns = 0;
    hg_breaker_state state = HG_BREAKER_CLOSED;
    for (uint32_t i = 0; i <= r->turn_count; i++) {
        int64_t until_ns = i < r->turn_count ? r->turn[i].at_ns : r->stamp.took_ns;
        fprintf(out,
                "<g><title>breaker %s from %.3f s</title><rect class=\"%s\" x=\"%.1f\" y=\"%d\" "
                "width=\"%.1f\" height=\"%d\"/></g>\n",
                hg_breaker_state_name(state), (double)from_ns / 1e9,
                styles[state <= HG_BREAKER_HALF_OPEN ? state : 0], x_of(r, from_ns), STRIP_TOP,
                fmax(x_of(r, until_ns) - x_of(r, from_ns), 0), STRIP_HEIGHT);
        from_ns = until_ns;
        if (i < r->turn_count)
            state = r->turn[i].to;
    }
    fprintf(out, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">breaker</text>\n",
            HGI_PLOT_LEFT - 6, STRIP_TOP + 18);
}

static void draw_outages(FILE *out, const struct hgi_breaker_results *r)
{
    for (uint32_t i = 0; i < r->outage_count; i++) {
        const struct hgi_outage *outage = &r->outage[i];
        int64_t up_ns = outage->up_ns >= 0 ? outage->up_ns : r->stamp.took_ns;
        fprintf(out,
                "<g><title>outage %" PRIu32 ": %" PRIu64 " refused, %" PRIu64
                " in vain</title><rect class=\"outage\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
                "height=\"%d\"/></g>\n",
                i + 1, outage->refused, outage->failed, x_of(r, outage->down_ns), HGI_PLOT_TOP,
                fmax(x_of(r, up_ns) - x_of(r, outage->down_ns), 1), HGI_PLOT_HEIGHT);
    }
}

/* Each killed process as a line with its number above the breaker. */
static void draw_kills(FILE *out, const struct hgi_breaker_results *r)
{
    for (uint32_t i = 0; i < r->kill_count; i++) {
        double x = x_of(r, r->kill[i].at_ns);
        bool left = x > HGI_PLOT_RIGHT - 110;
        fprintf(out,
                "<line class=\"back\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                "<text class=\"small halo paper\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">process "
                "%" PRIu32 " killed</text>\n",
                x, x, HGI_PLOT_TOP, STRIP_TOP + STRIP_HEIGHT, left ? x - 5 : x + 5,
                HGI_PLOT_TOP + 14 + 16 * (int)(i % 4), left ? "end" : "start", r->kill[i].process);
    }
}

static void draw_run(FILE *out, const struct hgi_breaker_results *r)
{
    static const struct {
        const char *style;
        const char *text;
    } keys[] = { { "closed", "closed" },
                 { "open", "open" },
                 { "half", "half-open" },
                 { "outage", "the server is away" } };
    fputs("<h2>The breaker over time</h2>\n<div class=\"key\">", out);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        fprintf(out,
                "<span><svg width=\"14\" height=\"14\"><rect class=\"%s\" width=\"14\" "
                "height=\"14\"/></svg>%s</span>",
                keys[i].style, keys[i].text);
    fputs("</div>\n", out);
    hgi_plot_begin(out, "states of the breaker over the run, with the outages behind them", 0);
    draw_outages(out, r);
    draw_states(out, r);
    draw_kills(out, r);
    hgi_plot_seconds(out, (double)r->stamp.took_ns / 1e9);
    hgi_plot_end(out);
}

static void time_cell(FILE *out, int64_t ns)
{
    char text[HGI_CELL_SIZE];
    fprintf(out, "<td>%s</td>", ns >= 0 ? hgi_format_latency(text, sizeof text, ns) : "&ndash;");
}

static void write_outages(FILE *out, const struct hgi_breaker_results *r)
{
    char text[HGI_CELL_SIZE];
    fputs("<h2>Each outage</h2>\n<div class=\"wide\"><table>\n<tr><th>outage</th><th>opened "
          "after</th><th>in vain</th><th>refused</th><th>probes</th><th>half-open</th><th>open for "
          "then</th><th>closed after</th></tr>\n",
          out);
    for (uint32_t i = 0; i < r->outage_count; i++) {
        struct hgi_outage_figures f = hgi_breaker_outage(r, i);
        fprintf(out, "<tr><td>%" PRIu32 "</td>", i + 1);
        time_cell(out, f.opened_after_ns);
        fprintf(out, "<td>%" PRIu64 "</td><td>%s</td><td>%" PRIu32 "</td><td>%" PRIu32 "</td>",
                r->outage[i].failed, hgi_format_count(text, sizeof text, r->outage[i].refused),
                f.probes, f.half_opened);
        time_cell(out, f.period_ns);
        time_cell(out, f.closed_after_ns);
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

static void write_notes(FILE *out, const struct hgi_breaker_results *r)
{
    const struct hgi_breaker_settings *s = &r->settings;
    char a[HGI_CELL_SIZE], b[HGI_CELL_SIZE];
    fprintf(out,
            "<h2>How this was measured</h2>\n<dl>\n<dt>load</dt><dd>%" PRIu32
            " threads with a connection each and a pause of up to %s between calls (closed loop: "
            "not corrected)",
            s->threads, hgi_format_latency(a, sizeof a, s->pause_ns));
    if (s->processes > 1)
        fprintf(out,
                ", in %" PRIu32 " processes that share the breaker; one is killed in each outage, "
                "and %" PRIu64 " transitions died untold with them",
                s->processes, hgi_breaker_untold(r));
    fprintf(out,
            "</dd>\n<dt>outages</dt><dd>a redis-server of the tool's own (%s) goes (%s) for %s; "
            "opened after: from then; closed after: from its return</dd>\n",
            r->stamp.server, hgi_outage_name(s->way),
            hgi_format_latency(b, sizeof b, s->outage_ns));
    fprintf(out,
            "<dt>breaker</dt><dd>opens after %" PRIu32 " failures in a row, for %s at first; "
            "%" PRIu32 " probes while half-open, closes after %" PRIu32 " that succeed</dd>\n",
            s->breaker.failure_threshold,
            hgi_format_latency(a, sizeof a, s->breaker.recovery_timeout_ns),
            s->breaker.half_open_max_calls, s->breaker.success_threshold);
    fputs("<dt>certain</dt><dd>nobody sees the instant of a transition: only what the times before "
          "and after leave no doubt of is counted</dd>\n",
          out);
    fprintf(out, "<dt>made by</dt><dd>herdgate %s, %s, seed %" PRIu64 "</dd>\n", r->stamp.herdgate,
            r->stamp.began_at, s->seed);
    fputs("<dt>command</dt><dd><code>", out);
    hgi_html_text(out, r->stamp.command);
    fputs("</code></dd>\n</dl>\n", out);
}

bool hgi_breaker_html(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct hgi_breaker_results *r = arg;
    char verdict[760], broken[300];
    hgi_breaker_verdict(verdict, sizeof verdict, r);
    hgi_breaker_broken(broken, sizeof broken, r);
    hgi_page_begin(out, "herdgate-stress breaker");
    fprintf(out, "<p class=\"over\">herdgate-stress breaker%s</p>\n<h1>",
            r->stamp.interrupted ? " &middot; interrupted: what was measured until then" : "");
    if (!broken[0]) /* in a few words, and then in full */
        fputs("The breaker kept its promises.</h1>\n<p class=\"lead\">", out);
    hgi_html_text(out, verdict);
    fputs(broken[0] ? "</h1>\n" : "</p>\n", out);
    write_tiles(out, r);
    draw_run(out, r);
    write_outages(out, r);
    write_notes(out, r);
    return hgi_page_end(out, problem);
}
