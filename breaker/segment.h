/* The segment of a shared breaker: what lies in shared memory, byte by byte.
 *
 *     0     the breaker itself: the word, its settings as the machine wants them
 *     128   who made this: magic, version, size, time namespace
 *     192   the settings as the user gave them: struct hg_breaker_options, with room to grow
 *     448   16 striped cells of counters
 *     1472  the window, if there is one
 *     4096  end
 *
 * No pointers, no locks, one size. The breaker comes first, so that a process can map private memory
 * of its own right before it (core.h). All but the word, the counters and the window's counts is
 * written before the segment gets its name and never after.
 */
#ifndef HERDGATE_BREAKER_SEGMENT_H
#define HERDGATE_BREAKER_SEGMENT_H

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "breaker/core.h"

#define HGI_SEGMENT_MAGIC UINT64_C(0x6574616764726568) /* "herdgate", little-endian */

enum {
    HGI_SEGMENT_VERSION = 2, /* grows with every change of what lies where */
    HGI_SEGMENT_SIZE = 4096,
    HGI_SEGMENT_OPTIONS_SIZE = 256
};

struct hgi_segment {
    struct hg_breaker breaker;
    alignas(HGI_LINE) uint64_t magic;
    uint32_t version;
    uint32_t size;
    uint64_t time_namespace; /* CLOCK_MONOTONIC is the same for all in it; 0: the system has none */
    alignas(HGI_LINE) unsigned char options[HGI_SEGMENT_OPTIONS_SIZE];
    struct hgi_counters counters[HGI_STRIPED_CELLS];
    alignas(HGI_LINE) unsigned char window[sizeof(struct hgi_window) +
                                           HGI_STRIPED_CELLS * sizeof(struct hgi_window_counts)];
    alignas(HGI_LINE) unsigned char reserved[256];
};

static_assert(offsetof(struct hgi_segment, magic) == 128, "the layout above");
static_assert(offsetof(struct hgi_segment, options) == 192, "the layout above");
static_assert(offsetof(struct hgi_segment, counters) == 448, "the layout above");
static_assert(offsetof(struct hgi_segment, window) == 1472, "the layout above");
static_assert(sizeof(struct hgi_segment) == HGI_SEGMENT_SIZE, "the layout above");
static_assert(sizeof(struct hg_breaker_options) <= HGI_SEGMENT_OPTIONS_SIZE, "the settings fit");

/* Make a whole segment of checked options, closed, in this generation. options->seed is not 0. */
void hgi_segment_fill(struct hgi_segment *segment, const struct hg_breaker_options *options,
                      uint32_t generation, uint64_t time_namespace);

/* Whether a segment is one that hgi_segment_fill() could have begun and the machine have brought to
 * where it is. *options: its settings. On failure the message ends a sentence that begins with the
 * segment's name. */
hg_status hgi_segment_check(const struct hgi_segment *segment, uint64_t time_namespace,
                            struct hg_breaker_options *options, struct hg_error *err);

/* The settings of a segment that was checked. */
void hgi_segment_options(const struct hgi_segment *segment, struct hg_breaker_options *options);

#endif
