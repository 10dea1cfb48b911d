/* The page of a wave: the headline, a picture for each kind of jitter, all over one axis and to one scale, and the
 * figures. */
#include <inttypes.h>
#include <math.h>

#include "tools/common/options.h"
#include "tools/common/terminal.h"
#include "tools/stress/page.h"
#include "tools/stress/plot.h"
#include "tools/stress/simulate_wave.h"

enum { BARS = 240 }; /* at most; a longer wave has several buckets in each */

double hgi_waves_times_lower(const struct hgi_wave_result *results, size_t which)
{
    return results[which].peak ? (double)results[0].peak / results[which].peak : 0;
}

/* That without jitter, as a rule, but threads of a busy machine may differ. */
uint32_t hgi_waves_top(const struct hgi_wave_result *results)
{
    uint32_t top = 0;
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++)
        top = results[i].peak > top ? results[i].peak : top;
    return top;
}

uint32_t hgi_waves_last(const struct hgi_wave_result *results)
{
    uint32_t last = 0;
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++)
        for (uint32_t b = 0; b < HGI_WAVE_BUCKETS; b++)
            if (results[i].bucket[b] && b > last)
                last = b;
    return last;
}

static size_t place_of(hg_jitter jitter)
{
    size_t i = 0;
    while (i + 1 < HGI_WAVE_JITTERS && hgi_wave_jitters[i] != jitter)
        i++;
    return i;
}

static void write_headline(FILE *out, const struct hgi_waves *w)
{
    const struct hgi_wave_result *r = w->retries[0];
    fprintf(out,
            "<h1>Of %" PRIu32 " callers that fail in the same instant, %" PRIu32
            " try again in the same 10 ms without jitter, and at most %" PRIu32
            " with full jitter.</h1>\n",
            w->wave.clients, r[place_of(HG_JITTER_NONE)].peak, r[place_of(HG_JITTER_FULL)].peak);
}

static void write_tiles(FILE *out, const struct hgi_waves *w)
{
    char figure[HGI_CELL_SIZE], text[120];
    const struct hgi_wave_result *r = w->retries[0];
    size_t full = place_of(HG_JITTER_FULL);
    fputs("<div class=\"tiles\">\n", out);
    hgi_format_count(figure, sizeof figure, r[place_of(HG_JITTER_NONE)].peak);
    hgi_page_tile(out, figure, "in the worst 10 ms without jitter");
    hgi_page_tile(out, hgi_format_count(figure, sizeof figure, r[full].peak),
                  "in the worst 10 ms with full jitter");
    snprintf(figure, sizeof figure, "%.1f &times;", hgi_waves_times_lower(r, full));
    hgi_page_tile(out, figure, "lower");
    snprintf(figure, sizeof figure, "%" PRIu32 " of %" PRIu32, w->probes[0][1].peak,
             w->wave.breakers);
    snprintf(text, sizeof text,
             "breakers that opened together probe in the same 10 ms; without jitter %" PRIu32,
             w->probes[0][0].peak);
    hgi_page_tile(out, figure, text);
    fputs("</div>\n", out);
}

/* The retries of one kind: of each bar its worst 10 ms. */
static void draw(FILE *out, const struct hgi_wave_result *result, hg_jitter jitter, double top,
                 uint32_t last)
{
    char title[120], label[80];
    uint32_t group = last / BARS + 1;
    uint32_t bars = last / group + 1;
    double width = (double)(HGI_PLOT_RIGHT - HGI_PLOT_LEFT) / bars;
    snprintf(label, sizeof label, "retries over time, jitter %s", hgi_wave_jitter_name(jitter));
    hgi_plot_begin(out, label, 0);
    hgi_plot_grid(out, top);
    for (uint32_t i = 0; i < bars; i++) {
        uint32_t most = 0;
        for (uint32_t b = i * group; b < (i + 1) * group && b < HGI_WAVE_BUCKETS; b++)
            most = result->bucket[b] > most ? result->bucket[b] : most;
        if (most == 0)
            continue;
        snprintf(title, sizeof title, "%.2f s: %" PRIu32 " retries in 10 ms", 0.01 * group * i,
                 most);
        hgi_plot_bar(out, "good", HGI_PLOT_LEFT + width * i, width, 0, most / top, title);
    }
    hgi_plot_seconds(out, 0.01 * group * bars);
    hgi_plot_end(out);
}

static void write_waves(FILE *out, const struct hgi_waves *w, int real)
{
    const struct hgi_wave_result *results = w->retries[real];
    double top = fmax(1, hgi_waves_top(results)) * 1.05;
    uint32_t last = hgi_waves_last(results);
    fprintf(out, "<h2>Retries in 10 ms, over time%s</h2>\n",
            real ? ", of threads that sleep" : ", as calculated");
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++) {
        const char *name = hgi_wave_jitter_name(hgi_wave_jitters[i]);
        if (results[i].events == 0) {
            fprintf(out,
                    "<p><b>%s</b> <span class=\"soft\">not known: interrupted before</span></p>\n",
                    name);
            continue;
        }
        fprintf(out, "<p><b>%s</b> <span class=\"soft\">%" PRIu32 " at most", name,
                results[i].peak);
        if (hgi_wave_jitters[i] != HG_JITTER_NONE)
            fprintf(out, ", %.1f times lower than without jitter",
                    hgi_waves_times_lower(results, i));
        fputs("</span></p>\n", out);
        draw(out, &results[i], hgi_wave_jitters[i], top, last);
    }
}

static void write_notes(FILE *out, const struct hgi_waves *w)
{
    char a[32], b[32];
    const struct hg_retry *retry = &w->wave.retry;
    fputs("<h2>How this was made</h2>\n<dl>\n", out);
    fprintf(out,
            "<dt>callers</dt><dd>%" PRIu32 ", %" PRIu32 " attempts each; the first delay is %s, "
            "each is twice the one before, none above %s but for additive jitter</dd>\n",
            w->wave.clients, retry->max_attempts,
            hgi_format_duration(a, sizeof a, retry->initial_delay_ns),
            hgi_format_duration(b, sizeof b, retry->max_delay_ns));
    fprintf(out, "<dt>breakers</dt><dd>%" PRIu32 ", with a recovery timeout of %s</dd>\n",
            w->wave.breakers, hgi_format_duration(a, sizeof a, w->wave.recovery_ns));
    fprintf(out, "<dt>delays</dt><dd>the library's own%s; the same seed gives the same ones</dd>\n",
            w->real ? ", calculated, and slept by threads in hg_run()" : ", calculated");
    fprintf(out, "<dt>made by</dt><dd>herdgate %s, %s, seed %" PRIu64 "</dd>\n", w->stamp.herdgate,
            w->stamp.began_at, w->wave.seed);
    fputs("<dt>command</dt><dd><code>", out);
    hgi_html_text(out, w->stamp.command);
    fputs("</code></dd>\n</dl>\n", out);
}

bool hgi_waves_html(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct hgi_waves *w = arg;
    hgi_page_begin(out, "herdgate-stress simulate");
    fputs("<p class=\"over\">herdgate-stress simulate, a wave of retries", out);
    if (w->stamp.interrupted)
        fputs(" &middot; interrupted: what was known until then", out);
    fputs("</p>\n", out);
    write_headline(out, w);
    write_tiles(out, w);
    for (int real = 0; real <= w->real; real++)
        write_waves(out, w, real);
    write_notes(out, w);
    return hgi_page_end(out, problem);
}
