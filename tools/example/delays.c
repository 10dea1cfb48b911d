/* Section c: how long the presets wait. Pure functions of the library; no server is asked. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/example/example.h"

enum { SAMPLES = 4 };

/* The largest double below 1: hg_retry_delay_jittered() takes its random number from [0, 1). */
#define ALMOST_ONE nextafter(1.0, 0.0)

static bool show_preset(const struct tour *tour, const char *name, unsigned short seed[3])
{
    struct hg_retry retry = HG_RETRY_INIT;
    struct hg_error err = HG_ERROR_INIT;
    char text[32];
    if (hg_retry_preset(&retry, name, &err) < 0)
        return tour_failed("the preset", err.message);
    show_step(tour, "%s: %" PRIu32 " attempts, %s ms * %g^n, at most %.0f ms", name,
              retry.max_attempts, show_ms(text, sizeof text, retry.initial_delay_ns),
              retry.multiplier, (double)retry.max_delay_ns / 1e6);

    struct hgi_table table = { 0 };
    const char *const heading[] = { "retry",   "before jitter", "least",   "most",
                                    "drawn 1", "drawn 2",       "drawn 3", "drawn 4" };
    for (size_t c = 0; c < sizeof heading / sizeof heading[0]; c++)
        hgi_table_set(&table, 0, c, "%s", heading[c]);
    for (uint32_t n = 0; n + 1 < retry.max_attempts; n++) {
        size_t row = n + 1;
        hgi_table_set(&table, row, 0, "    %zu", row);
        hgi_table_set(&table, row, 1, "%s", show_ms(text, sizeof text, hg_retry_delay(&retry, n)));
        hgi_table_set(&table, row, 2, "%s",
                      show_ms(text, sizeof text, hg_retry_delay_jittered(&retry, n, 0, 0.0)));
        hgi_table_set(&table, row, 3, "%.3f",
                      (double)hg_retry_delay_jittered(&retry, n, 0, ALMOST_ONE) / 1e6);
        for (size_t i = 0; i < SAMPLES; i++)
            hgi_table_set(&table, row, 4 + i, "%.3f",
                          (double)hg_retry_delay_jittered(&retry, n, 0, erand48(seed)) / 1e6);
    }
    hgi_table_print(&table, stdout, tour->colour);
    return true;
}

static bool show_kinds(const struct tour *tour, unsigned short seed[3])
{
    static const struct {
        const char *name;
        hg_jitter jitter;
    } kinds[] = { { "none", HG_JITTER_NONE },
                  { "additive", HG_JITTER_ADDITIVE },
                  { "full", HG_JITTER_FULL },
                  { "equal", HG_JITTER_EQUAL },
                  { "decorrelated", HG_JITTER_DECORRELATED } };
    struct hg_retry retry = HG_RETRY_INIT;
    struct hg_error err = HG_ERROR_INIT;
    if (hg_retry_preset(&retry, "fast", &err) < 0)
        return tour_failed("the preset", err.message);
    show_step(tour, "The kinds of jitter, on the delays of fast (ms, one draw of each)");
    struct hgi_table table = { 0 };
    hgi_table_set(&table, 0, 0, "jitter");
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        int64_t previous_ns = 0;
        retry.jitter = kinds[k].jitter;
        hgi_table_set(&table, k + 1, 0, "%s", kinds[k].name);
        for (uint32_t n = 0; n + 1 < retry.max_attempts; n++) {
            previous_ns = hg_retry_delay_jittered(&retry, n, previous_ns, erand48(seed));
            hgi_table_set(&table, 0, n + 1, "retry %" PRIu32, n + 1);
            hgi_table_set(&table, k + 1, n + 1, "%.3f", (double)previous_ns / 1e6);
        }
    }
    hgi_table_print(&table, stdout, tour->colour);
    return true;
}

bool tour_delays(struct tour *tour)
{
    unsigned short seed[3] = { 2015, 3, 4 }; /* the same draws each time: a tour, not a lottery */
    show_section(tour, 'c', "The delay tables");
    show_text("The delay before retry n is min(initial * multiplier^n, max), in milliseconds. "
              "Additive jitter then adds up to a tenth, so that callers that failed together do "
              "not come back together; conservative has none. Least and most are its limits; four "
              "samples are drawn.");
    return show_preset(tour, "conservative", seed) && show_preset(tour, "aggressive", seed) &&
           show_preset(tour, "fast", seed) && show_kinds(tour, seed);
}
