/* The pictures: attempts at the server over time, a panel per policy, all to one scale.
 *
 * With a capacity the bars are what came to the server, and what of it was in vain; else they are what
 * the callers tried. A panel is drawn from back to front: the outage's shade, grid, bars (useful ones
 * below, wasted ones on top of them), capacity, goodput, labels, and the breaker's strip underneath. Colours are classes, which the
 * page's style sheet sets for light, dark and print; wasted is hatched too, so that neither colour
 * vision nor a colour printer is needed.
 */
#include <inttypes.h>
#include <math.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/page.h"
#include "tools/stress/report.h"

enum {
    WIDTH = 960,
    LEFT = 64, /* of the plot within the picture */
    RIGHT = 948,
    TOP = 44,
    HEIGHT = 104, /* of the plot */
    STRIP = 15,   /* of the breaker's */
    BAR_BUCKETS = 10
};

struct scale {
    int64_t length_ns;
    double top_per_s; /* at the upper edge */
    double capacity_per_s;
};

/* What the bars of a trial are, in buckets. */
struct bars {
    const uint32_t *all;
    const uint32_t *wasted;
    const char *what;
};

static struct bars bars_of(const struct hgi_trial *trial)
{
    const struct hgi_series *s = &trial->series;
    if (trial->capacity_per_s)
        return (struct bars) { s->came, s->in_vain, "connections and commands" };
    return (struct bars) { s->attempts, s->wasted, "attempts" };
}

/* Per second, of the bar that begins with bucket `first`. */
static double height_of(const struct hgi_series *series, const uint32_t *counts, uint32_t first)
{
    double count = 0;
    for (uint32_t b = first; b < first + BAR_BUCKETS && b < series->count; b++)
        count += counts[b];
    return count / (BAR_BUCKETS * (double)HGI_BUCKET_NS / (double)NS_PER_S);
}

static double x_of(const struct scale *scale, int64_t at_ns)
{
    return LEFT + (RIGHT - LEFT) * (double)at_ns / (double)scale->length_ns;
}

static double y_of(const struct scale *scale, double per_s)
{
    return TOP + HEIGHT * (1 - per_s / scale->top_per_s);
}

static void stretch(struct scale *scale, double per_s)
{
    if (per_s * 1.04 > scale->top_per_s)
        scale->top_per_s = per_s * 1.04;
}

static struct scale common_scale(const struct hgi_herd_results *results)
{
    struct scale scale = { .length_ns = results->settings.length_ns,
                           .top_per_s = 10,
                           .capacity_per_s = results->settings.capacity_per_s };
    stretch(&scale, 1.1 * scale.capacity_per_s);
    for (size_t i = 0; i < results->count; i++) {
        const struct hgi_series *series = &results->trial[i]->series;
        for (uint32_t b = 0; b < series->count; b += BAR_BUCKETS) {
            stretch(&scale, height_of(series, bars_of(results->trial[i]).all, b));
            stretch(&scale, height_of(series, series->answered, b));
        }
    }
    return scale;
}

static void draw_outage(FILE *out, const struct scale *scale, const struct hgi_trial *trial,
                        int below)
{
    if (trial->down_ns < 0)
        return;
    int64_t up_ns = trial->up_ns >= 0 ? trial->up_ns : trial->length_ns;
    double x = x_of(scale, trial->down_ns);
    double width = x_of(scale, up_ns) - x;
    fprintf(out, "<rect class=\"outage\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", x,
            TOP, width, HEIGHT + below);
}

static void draw_grid(FILE *out, const struct scale *scale)
{
    char text[32];
    double step = hgi_page_nice_above(scale->top_per_s / 5);
    for (unsigned i = 0; i * step <= scale->top_per_s; i++) {
        double value = i * step;
        double y = y_of(scale, value);
        fprintf(out,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT, RIGHT, y, y, LEFT - 6, y + 4,
                hgi_format_count(text, sizeof text, (uint64_t)value));
    }
}

static void draw_bars(FILE *out, const struct scale *scale, const struct hgi_trial *trial)
{
    const struct hgi_series *series = &trial->series;
    const struct bars bars = bars_of(trial);
    for (uint32_t i = 0; i < series->count; i += BAR_BUCKETS) {
        double all = height_of(series, bars.all, i);
        /* A failure can be later than its attempt. */
        double wasted = fmin(height_of(series, bars.wasted, i), all);
        if (all <= 0)
            continue;
        double x = x_of(scale, i * HGI_BUCKET_NS);
        double width = x_of(scale, (i + BAR_BUCKETS) * HGI_BUCKET_NS) - x - 0.8;
        double y = y_of(scale, all);
        double middle = y_of(scale, all - wasted);
        fprintf(out, "<g><title>%.1f s: %.0f %s per second, %.0f of them wasted</title>",
                (double)i * (double)HGI_BUCKET_NS / 1e9, all, bars.what, wasted);
        if (all - wasted > 0)
            fprintf(out,
                    "<rect class=\"good\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
                    x, middle, width, TOP + HEIGHT - middle);
        if (wasted > 0)
            fprintf(out,
                    "<rect class=\"wasted\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>"
                    "<rect fill=\"url(#hatch)\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                    "height=\"%.1f\"/>",
                    x, y, width, middle - y, x, y, width, middle - y);
        fputs("</g>\n", out);
    }
}

/* The capacity as a dashed line, and above it how many calls were answered. */
static void draw_lines(FILE *out, const struct scale *scale, const struct hgi_trial *trial)
{
    const struct hgi_series *series = &trial->series;
    if (scale->capacity_per_s <= 0)
        return;
    double y = y_of(scale, scale->capacity_per_s);
    fprintf(out, "<line class=\"capacity\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", LEFT,
            RIGHT, y, y);
    for (int halo = 1; halo >= 0; halo--) {
        fprintf(out, "<path class=\"%s\" d=\"", halo ? "goodput under" : "goodput");
        for (uint32_t i = 0; i < series->count; i += BAR_BUCKETS)
            fprintf(out, "%c%.1f %.1fH%.1f", i ? 'L' : 'M', x_of(scale, i * HGI_BUCKET_NS),
                    y_of(scale, height_of(series, series->answered, i)),
                    x_of(scale, (i + BAR_BUCKETS) * HGI_BUCKET_NS));
        fputs("\"/>\n", out);
    }
}

static const char *strip_class(hg_breaker_state state)
{
    switch (state) {
    case HG_BREAKER_OPEN:
    case HG_BREAKER_FORCED_OPEN:
        return "open";
    case HG_BREAKER_HALF_OPEN:
        return "half";
    case HG_BREAKER_CLOSED:
    case HG_BREAKER_FORCED_CLOSED:
    case HG_BREAKER_DISABLED:
        break;
    }
    return "closed";
}

/* The breaker's states as a strip; a state too short to see is drawn two wide. */
static void draw_strip(FILE *out, const struct scale *scale, const struct hgi_trial *trial)
{
    const int y = TOP + HEIGHT + 6;
    if (!trial->has_breaker)
        return;
    fprintf(out, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">breaker</text>\n",
            LEFT - 6, y + 12);
    struct hgi_breaker_mark here = { .at_ns = 0, .state = HG_BREAKER_CLOSED };
    for (uint32_t i = 0; i <= trial->mark_count; i++) {
        struct hgi_breaker_mark next = { .at_ns = trial->length_ns };
        if (i < trial->mark_count)
            next = trial->mark[i];
        double x = x_of(scale, here.at_ns);
        double width = fmax(x_of(scale, next.at_ns) - x, 2);
        const char *name = hg_breaker_state_name(here.state);
        fprintf(out,
                "<g><title>%s from %.3f s</title><rect class=\"%s\" x=\"%.1f\" y=\"%d\" "
                "width=\"%.1f\" height=\"%d\"/>",
                name, (double)here.at_ns / 1e9, strip_class(here.state), x, y, width, STRIP);
        if (width > 56)
            fprintf(out,
                    "<text class=\"on-%s\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
                    strip_class(here.state), x + width / 2, y + 12, name);
        fputs("</g>\n", out);
        here = next;
    }
}

/* What the outage cost, in words inside its shade; and when the goodput was back. */
static void draw_labels(FILE *out, const struct scale *scale, const struct hgi_trial *trial,
                        const struct hgi_herd_figures *f)
{
    char count[32];
    if (trial->down_ns < 0)
        return;
    int64_t up_ns = trial->up_ns >= 0 ? trial->up_ns : trial->length_ns;
    double middle = (x_of(scale, trial->down_ns) + x_of(scale, up_ns)) / 2;
    fprintf(out,
            "<text class=\"big halo\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>"
            "<text class=\"small halo\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">attempts at a "
            "dead server</text>\n",
            middle, TOP + 64, hgi_format_count(count, sizeof count, trial->attempts_down), middle,
            TOP + 81);
    if (f->back_ns >= 0) {
        double x = x_of(scale, trial->up_ns + f->back_ns);
        fprintf(out, "<line class=\"back\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", x, x,
                TOP, TOP + HEIGHT);
    }
}

/* How it ended, at the right of the panel's name. */
static void draw_outcome(FILE *out, const struct hgi_trial *trial, const struct hgi_herd_figures *f)
{
    char time[32];
    if (trial->up_ns < 0)
        return;
    fprintf(out, "<text class=\"outcome\" x=\"%d\" y=\"26\" text-anchor=\"end\">", RIGHT);
    if (f->back_ns >= 0)
        fprintf(out, "<tspan class=\"well\">&#x2713;</tspan> goodput back %s after the server",
                hgi_format_latency(time, sizeof time, f->back_ns));
    else
        fprintf(out,
                "<tspan class=\"ill\">&#x2717;</tspan> not back: %.0f %% of the goodput at the end",
                100 * f->goodput_at_end);
    fputs("</text>\n", out);
}

static void draw_seconds(FILE *out, const struct scale *scale, int y)
{
    int64_t step_ns = (int64_t)hgi_page_nice_above((double)scale->length_ns / 1e9 / 12) * NS_PER_S;
    for (int64_t at_ns = 0; at_ns <= scale->length_ns; at_ns += step_ns)
        fprintf(out,
                "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f s</text>\n",
                x_of(scale, at_ns), y, (double)at_ns / 1e9);
}

static void draw_panel(FILE *out, const struct scale *scale, const struct hgi_trial *trial,
                       const struct hgi_trial *naive, bool last)
{
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    int below = trial->has_breaker ? STRIP + 8 : 0;
    int height = TOP + HEIGHT + below + (last ? 24 : 8);
    fprintf(out,
            "<svg class=\"panel\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"attempts at the "
            "server over time, policy %s\">\n",
            WIDTH, height, hgi_strategy_name(trial->strategy));
    fputs("<defs><pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" "
          "patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" x2=\"0\" y1=\"0\" "
          "y2=\"5\"/></pattern></defs>\n",
          out);
    fprintf(out, "<text class=\"name\" x=\"%d\" y=\"26\">%s<tspan class=\"what\" dx=\"10\">", LEFT,
            hgi_strategy_name(trial->strategy));
    hgi_html_text(out, hgi_strategy_text(trial->strategy));
    fputs("</tspan></text>\n", out);
    draw_outcome(out, trial, &f);
    draw_outage(out, scale, trial, below);
    draw_grid(out, scale);
    draw_bars(out, scale, trial);
    draw_lines(out, scale, trial);
    draw_labels(out, scale, trial, &f);
    draw_strip(out, scale, trial);
    if (last)
        draw_seconds(out, scale, height - 6);
    fputs("</svg>\n", out);
}

void hgi_report_plots(FILE *out, const struct hgi_herd_results *results)
{
    struct scale scale = common_scale(results);
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    fputs("<div class=\"plot\">\n", out);
    for (size_t i = 0; i < results->count; i++)
        draw_panel(out, &scale, results->trial[i], naive, i + 1 == results->count);
    fputs("</div>\n", out);
}
