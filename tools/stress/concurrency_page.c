/* The page of a run of concurrency: verdict, rate over time, how long calls took, where the time
 * went. */
#include <inttypes.h>
#include <math.h>

#include "tools/common/terminal.h"
#include "tools/stress/concurrency.h"
#include "tools/stress/page.h"
#include "tools/stress/plot.h"
#include "tools/stress/publish.h"
#include "tools/stress/worker_sum.h"

enum { BINS_PER_DECADE = 8, BINS = 64 };

static void write_tiles(FILE *out, const struct hgi_concurrency_results *r)
{
    char figure[HGI_CELL_SIZE], text[96];
    uint64_t calls = hgi_worker_calls(&r->sum);
    const struct hgi_histogram *h = &r->sum.latency;
    fputs("<div class=\"tiles\">\n", out);
    hgi_page_tile(out, hgi_format_count(figure, sizeof figure, calls), "calls");
    hgi_format_count(figure, sizeof figure, (uint64_t)hgi_per_second(calls, r->stamp.took_ns));
    snprintf(text, sizeof text, "calls per second, %" PRIu32 " threads on %" PRIu32 " connections",
             r->settings.threads, r->stats.max_size);
    hgi_page_tile(out, figure, text);
    hgi_page_tile(out, hgi_format_latency(figure, sizeof figure, hgi_histogram_percentile(h, 50)),
                  "median call");
    hgi_page_tile(out, hgi_format_latency(figure, sizeof figure, hgi_histogram_percentile(h, 99.9)),
                  "99.9 % of the calls took no longer");
    fputs("</div>\n", out);
}

static void draw_rate(FILE *out, const struct hgi_concurrency_results *r)
{
    const int64_t slice_ns = r->settings.length_ns / HGI_SLICES;
    double most = 1;
    char title[80];
    for (uint32_t i = 0; i < r->slices; i++)
        most = fmax(most, hgi_per_second(r->slice_done[i], slice_ns));
    fputs("<h2>Calls per second, over the run</h2>\n", out);
    hgi_plot_begin(out, "calls per second over the run", 0);
    double top = most * 1.05;
    double width = (double)(HGI_PLOT_RIGHT - HGI_PLOT_LEFT) / HGI_SLICES;
    hgi_plot_grid(out, top);
    for (uint32_t i = 0; i < r->slices; i++) {
        double rate = hgi_per_second(r->slice_done[i], slice_ns);
        snprintf(title, sizeof title, "%.1f s: %.0f calls per second",
                 (double)i * (double)slice_ns / 1e9, rate);
        hgi_plot_bar(out, "good", HGI_PLOT_LEFT + width * i, width, 0, rate / top, title);
    }
    hgi_plot_seconds(out, (double)r->settings.length_ns / 1e9);
    hgi_plot_end(out);
}

/* --- how long calls took, on a logarithmic axis --- */

struct bins {
    double from; /* log10 of nanoseconds, a multiple of 1 / BINS_PER_DECADE */
    uint32_t count;
    uint64_t calls[BINS];
    uint64_t most;
};

static struct bins fill_bins(const struct hgi_histogram *h)
{
    struct bins bins = { 0 };
    double low = floor(log10(fmax((double)h->min, 100)) * BINS_PER_DECADE);
    double high = floor(log10(fmax((double)h->max, 1000)) * BINS_PER_DECADE) + 1;
    bins.from = low / BINS_PER_DECADE;
    bins.count = (uint32_t)fmin(high - low, BINS);
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++) {
        if (h->count[i] == 0)
            continue;
        double at = log10(fmax((double)hgi_histogram_highest(i), 1)) * BINS_PER_DECADE - low;
        double bin = fmax(0, fmin(floor(at), bins.count - 1.0));
        bins.calls[(uint32_t)bin] += h->count[i];
    }
    for (uint32_t i = 0; i < bins.count; i++)
        bins.most = bins.calls[i] > bins.most ? bins.calls[i] : bins.most;
    return bins;
}

static double x_of_latency(const struct bins *bins, int64_t ns)
{
    double at = (log10(fmax((double)ns, 1)) - bins->from) * BINS_PER_DECADE / bins->count;
    return HGI_PLOT_LEFT + (HGI_PLOT_RIGHT - HGI_PLOT_LEFT) * fmax(0, fmin(1, at));
}

static void draw_percentiles(FILE *out, const struct bins *bins, const struct hgi_histogram *h)
{
    static const struct {
        double percent;
        const char *name;
    } marks[] = { { 50, "p50" }, { 99, "p99" }, { 99.9, "p99.9" } };
    char text[HGI_CELL_SIZE];
    for (int i = 0; i < 3; i++) {
        int64_t ns = hgi_histogram_percentile(h, marks[i].percent);
        double x = x_of_latency(bins, ns);
        bool left =
            i == 0 || x > HGI_PLOT_RIGHT - 90; /* p50 to the left of its line, the others not */
        fprintf(out,
                "<line class=\"back\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                "<text class=\"small halo paper\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s %s"
                "</text>\n",
                x, x, HGI_PLOT_TOP, HGI_PLOT_TOP + HGI_PLOT_HEIGHT, left ? x - 5 : x + 5,
                HGI_PLOT_TOP + 12 + 16 * i, left ? "end" : "start", marks[i].name,
                hgi_format_latency(text, sizeof text, ns));
    }
}

static void draw_latency(FILE *out, const struct hgi_histogram *h)
{
    struct bins bins = fill_bins(h);
    char title[96], from[HGI_CELL_SIZE], count[HGI_CELL_SIZE];
    double width = (double)(HGI_PLOT_RIGHT - HGI_PLOT_LEFT) / bins.count;
    double top = (double)(bins.most ? bins.most : 1) * 1.05;
    fputs("<h2>How long calls took</h2>\n<p class=\"soft\">Calls by their duration; each step to "
          "the right is a third longer.</p>\n",
          out);
    hgi_plot_begin(out, "calls by duration", 0);
    hgi_plot_grid(out, top);
    for (uint32_t i = 0; i < bins.count; i++) {
        int64_t ns = (int64_t)pow(10, bins.from + (double)i / BINS_PER_DECADE);
        hgi_format_latency(from, sizeof from, ns);
        snprintf(title, sizeof title, "from %s: %s calls", from,
                 hgi_format_count(count, sizeof count, bins.calls[i]));
        hgi_plot_bar(out, "good", HGI_PLOT_LEFT + width * i, width, 0, (double)bins.calls[i] / top,
                     title);
    }
    draw_percentiles(out, &bins, h);
    int last = (int)floor(bins.from + (double)bins.count / BINS_PER_DECADE);
    for (int power = (int)ceil(bins.from); power <= last; power++)
        hgi_plot_tick(out, x_of_latency(&bins, (int64_t)pow(10, power)), "%s",
                      hgi_format_latency(from, sizeof from, (int64_t)pow(10, power)));
    hgi_plot_end(out);
}

/* --- where the time went --- */

static void draw_shares(FILE *out, const struct hgi_worker *sum)
{
    struct hgi_time_shares s = hgi_concurrency_shares(sum);
    const struct {
        const char *name;
        const char *style;
        double share;
    } parts[] = { { "waiting for a connection", "half", s.queue },
                  { "while one is made", "wasted", s.dial },
                  { "at the server", "good", s.server },
                  { "backoff", "open", s.backoff },
                  { "the rest", "closed", s.rest } };
    double x = HGI_PLOT_LEFT;
    fputs("<h2>Where the time of a call went</h2>\n<div class=\"key\">", out);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        fprintf(out,
                "<span><svg width=\"14\" height=\"14\"><rect class=\"%s\" width=\"14\" "
                "height=\"14\"/></svg>%s %.1f %%</span>",
                parts[i].style, parts[i].name, parts[i].share * 100);
    fprintf(out,
            "</div>\n<svg class=\"panel\" viewBox=\"0 0 %d 40\" role=\"img\" "
            "aria-label=\"shares of a call's time\">\n",
            HGI_PLOT_WIDTH);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        double width = (HGI_PLOT_RIGHT - HGI_PLOT_LEFT) * parts[i].share;
        fprintf(out,
                "<g><title>%s: %.1f %%</title><rect class=\"%s\" x=\"%.1f\" y=\"8\" "
                "width=\"%.1f\" height=\"24\"/></g>\n",
                parts[i].name, parts[i].share * 100, parts[i].style, x, width);
        x += width;
    }
    fputs("</svg>\n", out);
}

static void write_notes(FILE *out, const struct hgi_concurrency_results *r)
{
    const struct hgi_concurrency_settings *s = &r->settings;
    char a[HGI_CELL_SIZE], b[HGI_CELL_SIZE];
    fputs("<h2>How this was measured</h2>\n<dl>\n", out);
    fprintf(out,
            "<dt>load</dt><dd>%" PRIu32 " threads without a pause between calls (closed loop: not "
            "corrected), values of %s to %s, on a logarithmic scale</dd>\n",
            s->threads, hgi_format_bytes(a, sizeof a, (uint64_t)s->sizes.low),
            hgi_format_bytes(b, sizeof b, (uint64_t)s->sizes.high));
    fprintf(out, "<dt>server</dt><dd>redis %s, ", r->stamp.server);
    hgi_html_text(out, s->target.given ? s->target.text : "of the tool's own, on a unix socket");
    fputs("</dd>\n<dt>calls</dt><dd>", out);
    for (int op = 0; op < HGI_OPS; op++)
        fprintf(out, "%s%s %s", op ? ", " : "", hgi_op_name((enum hgi_op)op),
                hgi_format_count(a, sizeof a, r->sum.calls[op]));
    fprintf(out,
            "</dd>\n<dt>checked</dt><dd>%s replies, byte by byte; %s leases, to have one holder"
            "</dd>\n",
            hgi_format_count(a, sizeof a, r->sum.replies),
            hgi_format_count(b, sizeof b, r->sum.leases));
    fprintf(out, "<dt>made by</dt><dd>herdgate %s, %s, seed %" PRIu64 "</dd>\n", r->stamp.herdgate,
            r->stamp.began_at, s->seed);
    fputs("<dt>command</dt><dd><code>", out);
    hgi_html_text(out, r->stamp.command);
    fputs("</code></dd>\n</dl>\n", out);
}

bool hgi_concurrency_html(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct hgi_concurrency_results *r = arg;
    char verdict[640];
    hgi_concurrency_verdict(verdict, sizeof verdict, r);
    hgi_page_begin(out, "herdgate-stress concurrency");
    fputs("<p class=\"over\">herdgate-stress concurrency", out);
    if (r->stamp.interrupted)
        fputs(" &middot; interrupted: what was measured until then", out);
    fputs("</p>\n<h1>", out);
    hgi_html_text(out, verdict);
    fputs("</h1>\n", out);
    write_tiles(out, r);
    draw_rate(out, r);
    if (r->sum.latency.total > 0)
        draw_latency(out, &r->sum.latency);
    draw_shares(out, &r->sum);
    write_notes(out, r);
    return hgi_page_end(out, problem);
}
