/* The page of a run of chaos: verdict, calls over time with the faults and the breaker under them, what was
 * held. A soak shows each of its samples instead of one schedule's faults. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/chaos.h"
#include "tools/stress/page.h"
#include "tools/stress/plot.h"
#include "tools/stress/worker_sum.h"

enum { LANE = 16, LANES_TOP = HGI_PLOT_TOP + HGI_PLOT_HEIGHT + 30 };

static void write_tiles(FILE *out, const struct hgi_chaos_results *r)
{
    char figure[HGI_CELL_SIZE];
    uint64_t calls = hgi_worker_calls(&r->sum);
    fputs("<div class=\"tiles\">\n", out);
    hgi_page_tile(out, hgi_format_count(figure, sizeof figure, calls), "calls");
    snprintf(figure, sizeof figure, "%.1f %%",
             calls ? 100 * (double)(calls - r->sum.failed) / (double)calls : 0);
    hgi_page_tile(out, figure, "answered; the others ended with an error in time");
    hgi_page_tile(out, hgi_format_count(figure, sizeof figure, r->sum.replies),
                  "replies checked, byte by byte");
    hgi_page_tile(out, hgi_format_count(figure, sizeof figure, r->breaker.opened),
                  "times the breaker opened");
    fputs("</div>\n", out);
}

static double x_of(const struct hgi_chaos_results *r, int64_t at_ns)
{
    double share = (double)at_ns / (double)r->settings.length_ns;
    return HGI_PLOT_LEFT + (HGI_PLOT_RIGHT - HGI_PLOT_LEFT) * fmax(0, fmin(1, share));
}

/* A fault as a bar of its own under the axis, its name beside it. */
static void draw_fault(FILE *out, const struct hgi_chaos_results *r, int lane, const char *name,
                       int64_t from_ns, int64_t until_ns)
{
    double from = x_of(r, from_ns);
    double until = x_of(r, until_ns);
    double y = LANES_TOP + LANE * lane;
    bool left = until > HGI_PLOT_RIGHT - 110;
    fprintf(out,
            "<g><title>%s, from %.3g s</title><rect class=\"half\" x=\"%.1f\" y=\"%.1f\" "
            "width=\"%.1f\" height=\"%d\"/></g><text class=\"small\" x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"%s\">%s</text>\n",
            name, (double)from_ns / 1e9, from, y, fmax(until - from, 1), LANE - 4,
            left ? from - 5 : until + 5, y + 10, left ? "end" : "start", name);
}

/* Too many transitions to draw each: the darker, the longer it was open in that time. */
static void draw_breaker_shares(FILE *out, const struct hgi_chaos_results *r, double y)
{
    double slice_ns = (double)r->settings.length_ns / HGI_CHAOS_SLICES;
    double width = (double)(HGI_PLOT_RIGHT - HGI_PLOT_LEFT) / HGI_CHAOS_SLICES;
    fprintf(out, "<rect class=\"closed\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>\n",
            HGI_PLOT_LEFT, y, x_of(r, r->stamp.took_ns) - HGI_PLOT_LEFT, LANE - 4);
    for (uint32_t i = 0; i < r->slices; i++) {
        double share = fmax(0, fmin(1, r->slice[i].open_ns / slice_ns));
        fprintf(out,
                "<g><title>%.0f s: breaker not closed for %.0f %% of the time</title><rect "
                "class=\"open\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" "
                "opacity=\"%.2f\"/></g>\n",
                i * slice_ns / 1e9, 100 * share, HGI_PLOT_LEFT + width * i, y, width, LANE - 4,
                share);
    }
}

static void draw_breaker_marks(FILE *out, const struct hgi_chaos_results *r, double y)
{
    static const char *const styles[] = { "closed", "open", "half" };
    const struct hgi_breaker_counts *b = &r->breaker;
    int64_t from_ns = 0;
    hg_breaker_state state = HG_BREAKER_CLOSED;
    for (uint32_t i = 0; i <= b->mark_count; i++) {
        int64_t until_ns = i < b->mark_count ? b->mark[i].at_ns : r->stamp.took_ns;
        fprintf(out,
                "<g><title>breaker %s</title><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" "
                "width=\"%.1f\" height=\"%d\"/></g>\n",
                hg_breaker_state_name(state), styles[state <= HG_BREAKER_HALF_OPEN ? state : 0],
                x_of(r, from_ns), y, fmax(x_of(r, until_ns) - x_of(r, from_ns), 0), LANE - 4);
        from_ns = until_ns;
        if (i < b->mark_count)
            state = b->mark[i].state;
    }
}

static void draw_breaker(FILE *out, const struct hgi_chaos_results *r, int lane)
{
    double y = LANES_TOP + LANE * lane;
    if (r->breaker.transitions > r->breaker.mark_count)
        draw_breaker_shares(out, r, y);
    else
        draw_breaker_marks(out, r, y);
    fprintf(out, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">breaker</text>\n",
            HGI_PLOT_LEFT - 6, y + 10);
}

/* When a fault next begins, after that time. */
static int64_t next_beginning(const struct hgi_chaos_results *r, int64_t after_ns)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < r->toxics.count; i++)
        if (r->toxics.toxic[i].from_ns > after_ns && r->toxics.toxic[i].from_ns < next_ns)
            next_ns = r->toxics.toxic[i].from_ns;
    for (uint32_t i = 0; i < r->server_faults.count; i++)
        if (r->server_faults.fault[i].from_ns > after_ns &&
            r->server_faults.fault[i].from_ns < next_ns)
            next_ns = r->server_faults.fault[i].from_ns;
    return next_ns;
}

static void draw_lanes(FILE *out, const struct hgi_chaos_results *r)
{
    int lane = 1;
    draw_breaker(out, r, 0);
    if (r->settings.soak)
        return;
    /* In the order of time; of two that begin together the one of the proxy first. */
    for (int64_t from_ns = -1; lane <= (int)(r->toxics.count + r->server_faults.count);) {
        from_ns = next_beginning(r, from_ns);
        for (uint32_t i = 0; i < r->toxics.count; i++)
            if (r->toxics.toxic[i].from_ns == from_ns)
                draw_fault(out, r, lane++, hgi_toxic_name(r->toxics.toxic[i].kind), from_ns,
                           r->toxics.toxic[i].until_ns);
        for (uint32_t i = 0; i < r->server_faults.count; i++)
            if (r->server_faults.fault[i].from_ns == from_ns)
                draw_fault(out, r, lane++, hgi_server_fault_name(r->server_faults.fault[i].kind),
                           from_ns, r->server_faults.fault[i].until_ns);
    }
}

static void draw_calls(FILE *out, const struct hgi_chaos_results *r)
{
    double slice_s = (double)r->settings.length_ns / HGI_CHAOS_SLICES / 1e9;
    double most = 1;
    char title[120];
    bool shares = r->breaker.transitions > r->breaker.mark_count;
    const char *half = r->settings.soak ? "half-open" : "half-open; and faults, by name";
    int lanes = r->settings.soak ? 1 : 1 + (int)(r->toxics.count + r->server_faults.count);
    for (uint32_t i = 0; i < r->slices; i++)
        most = fmax(most, (r->slice[i].answered + r->slice[i].failed) / slice_s);
    fputs("<h2>Calls per second: answered, and on top those that failed</h2>\n<div class=\"key\">"
          "<span><svg width=\"14\" height=\"14\"><rect class=\"good\" width=\"14\" height=\"14\"/>"
          "</svg>answered</span><span><svg width=\"14\" height=\"14\"><rect class=\"wasted\" "
          "width=\"14\" height=\"14\"/></svg>failed</span><span><svg width=\"14\" height=\"14\">"
          "<rect class=\"open\" width=\"14\" height=\"14\"/></svg>",
          out);
    fprintf(out, "%s</span>", shares ? "breaker open: the darker, the longer" : "breaker open");
    if (shares && !r->settings.soak)
        half = "faults, by name";
    if (!shares || !r->settings.soak)
        fprintf(out,
                "<span><svg width=\"14\" height=\"14\"><rect class=\"half\" width=\"14\" "
                "height=\"14\"/></svg>%s</span>",
                half);
    fputs("</div>\n", out);
    hgi_plot_begin(out, "calls per second over the run, with the faults under it",
                   12 + LANE * lanes);
    double top = most * 1.05;
    double width = (double)(HGI_PLOT_RIGHT - HGI_PLOT_LEFT) / HGI_CHAOS_SLICES;
    hgi_plot_grid(out, top);
    for (uint32_t i = 0; i < r->slices; i++) {
        double good = r->slice[i].answered / slice_s / top;
        double bad = r->slice[i].failed / slice_s / top;
        snprintf(title, sizeof title, "%.2f s: %.0f answered, %.0f failed", i * slice_s,
                 r->slice[i].answered, r->slice[i].failed);
        hgi_plot_bar(out, "good", HGI_PLOT_LEFT + width * i, width, 0, good, title);
        if (bad > 0)
            hgi_plot_bar(out, "wasted", HGI_PLOT_LEFT + width * i, width, good, good + bad, title);
    }
    hgi_plot_seconds(out, (double)r->settings.length_ns / 1e9);
    draw_lanes(out, r);
    hgi_plot_end(out);
}

/* A sample of every minute comes some milliseconds late. */
static int64_t whole_seconds(int64_t ns)
{
    return ns < NS_PER_S ? ns : ns / NS_PER_S * NS_PER_S;
}

static void write_samples(FILE *out, const struct hgi_chaos_results *r)
{
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    char text[HGI_CELL_SIZE];
    fputs("<h2>Over time</h2>\n", out);
    if (growth.known)
        fprintf(out,
                "<p>Growth per hour over the second half: resident memory %+.2f MiB, descriptors "
                "%+.2f, threads %+.2f.</p>\n",
                growth.resident_per_hour / (1 << 20), growth.descriptors_per_hour,
                growth.threads_per_hour);
    fputs("<div class=\"wide\"><table><tr><th>after</th><th>calls</th><th>failed</th><th>p99</th>"
          "<th>resident</th><th>descriptors</th><th>threads</th></tr>\n",
          out);
    for (uint32_t i = 0; i < r->sample_count; i++) {
        const struct hgi_chaos_sample *s = &r->sample[i];
        fprintf(out, "<tr><td>%s</td>",
                hgi_format_duration(text, sizeof text, whole_seconds(s->at_ns)));
        fprintf(out, "<td>%s</td>", hgi_format_count(text, sizeof text, s->calls));
        fprintf(out, "<td>%s</td>", hgi_format_count(text, sizeof text, s->failed));
        fprintf(out, "<td>%s</td>", hgi_format_latency(text, sizeof text, s->p99_ns));
        fprintf(out, "<td>%s</td><td>%" PRId64 "</td><td>%" PRId64 "</td></tr>\n",
                hgi_format_bytes(text, sizeof text, (uint64_t)s->resident), s->descriptors,
                s->threads);
    }
    fputs("</table></div>\n", out);
}

static void write_notes(FILE *out, const struct hgi_chaos_results *r)
{
    const struct hgi_chaos_settings *s = &r->settings;
    char text[8192];
    fputs("<h2>How this was measured</h2>\n<dl>\n", out);
    fprintf(out,
            "<dt>load</dt><dd>%" PRIu32 " threads with a pause of up to %.3g ms between calls "
            "(closed loop: not corrected) on %" PRIu32 " connections</dd>\n",
            s->threads, (double)s->pause_ns / 1e6, r->stats.max_size);
    fprintf(out, "<dt>server</dt><dd>redis %s, ", r->stamp.server);
    hgi_html_text(out, s->target.given ? s->target.text : "of the tool's own, on a unix socket");
    fprintf(
        out,
        "</dd>\n<dt>deadlines</dt><dd>%.3g s a call; the most that one was outlived by, less the "
        "thread's wait for a processor: %.1f ms</dd>\n",
        (double)s->deadline_ns / 1e9, (double)r->sum.overrun_ns / 1e6);
    fprintf(out,
            "<dt>INCR</dt><dd>%" PRIu64 " acknowledged, %" PRIu64 " with an outcome unknown</dd>\n",
            r->sum.incr_acknowledged, r->sum.incr_unknown);
    fprintf(out, "<dt>made by</dt><dd>herdgate %s, %s, seed %" PRIu64 "</dd>\n", r->stamp.herdgate,
            r->stamp.began_at, s->seed);
    fputs("<dt>command</dt><dd><code>", out);
    hgi_html_text(out, r->stamp.command);
    fputs("</code></dd>\n<dt>again</dt><dd><code>", out);
    hgi_chaos_replay(text, sizeof text, r);
    hgi_html_text(out, text);
    fputs("</code></dd>\n</dl>\n", out);
}

bool hgi_chaos_html(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct hgi_chaos_results *r = arg;
    const char *name = r->settings.soak ? "herdgate-stress soak" : "herdgate-stress chaos";
    char verdict[640], broken[400];
    hgi_chaos_verdict(verdict, sizeof verdict, r);
    hgi_chaos_broken(broken, sizeof broken, r);
    hgi_page_begin(out, name);
    fprintf(out, "<p class=\"over\">%s%s</p>\n<h1>", name,
            r->stamp.interrupted ? " &middot; interrupted: what was measured until then" : "");
    if (!broken[0]) /* in a few words, and then in full */
        fputs("Every promise was kept.</h1>\n<p class=\"lead\">", out);
    hgi_html_text(out, verdict);
    fputs(broken[0] ? "</h1>\n" : "</p>\n", out);
    write_tiles(out, r);
    draw_calls(out, r);
    if (r->settings.soak)
        write_samples(out, r);
    write_notes(out, r);
    return hgi_page_end(out, problem);
}
