/* What the user of a terminal sees while a run lasts: one screen, drawn again ten times a second at most.
 * Elsewhere its first line comes every three seconds, without control characters.
 *
 *     struct hgi_screen screen;
 *     hgi_screen_begin(&screen, quiet, plain);
 *     while (runs) {
 *         if (hgi_screen_due(&screen, monotonic_ns()))
 *             hgi_screen_show(&screen, &view);
 *     }
 *     hgi_screen_end(&screen);
 *
 * No mode of the terminal is changed, so that it is a clean one however the program ends. One thread.
 */
#ifndef HERDGATE_TOOLS_STRESS_SCREEN_H
#define HERDGATE_TOOLS_STRESS_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include <herdgate/breaker.h>
#include <herdgate/stats.h>

#include "tools/common/terminal.h"

enum { HGI_SPARKS = 60, HGI_SPARKS_TEXT = HGI_SPARKS * 3 + 1 };

#define HGI_SPARK_NS INT64_C(100000000)

struct hgi_screen {
    struct hgi_progress progress;
    bool colour;
    bool ascii;       /* the locale is not a UTF-8 one */
    int64_t spark_ns; /* the last spark ends */
    uint64_t requests;
    uint32_t sparks;
    double spark[HGI_SPARKS]; /* requests per second, the newest last */
};

/* What there is to show now. Pointers that are NULL stand for what a run does not have. */
struct hgi_screen_view {
    int64_t now_ns;
    int64_t began_ns;
    int64_t length_ns;
    const char *what;  /* "chaos", "naive (1 of 6)" */
    const char *state; /* "now: reset"; may be NULL */
    uint64_t requests; /* at the server, so far; attempts and connections begun */
    uint64_t answered;
    uint64_t failed;
    const struct hg_pool_stats *pool;
    const struct hg_breaker_snapshot *breaker;
    double capacity_per_s; /* 0: not limited */
};

void hgi_screen_begin(struct hgi_screen *screen, bool quiet, bool plain);
/* Another run begins on it: its sparks are its own. */
void hgi_screen_again(struct hgi_screen *screen, int64_t now_ns);
bool hgi_screen_due(struct hgi_screen *screen, int64_t now_ns);
void hgi_screen_show(struct hgi_screen *screen, const struct hgi_screen_view *view);
void hgi_screen_end(struct hgi_screen *screen);

/* Take note of the requests so far: sparks for the time that has passed. Pure. */
void hgi_screen_note(struct hgi_screen *screen, int64_t now_ns, uint64_t requests);

/* The sparks as a line, the highest of them as the full height. */
void hgi_screen_sparks(const struct hgi_screen *screen, char out[HGI_SPARKS_TEXT]);

#endif
