/* How a breaker lies in memory; for the files of this room.
 *
 * A hg_breaker is the deciding state: two lines, no pointers, the same bytes in private and in shared
 * memory. What belongs to this process alone lies just before it (hgi_local_of()), so that a handle is
 * one pointer and closed-state admit one load in both forms.
 */
#ifndef HERDGATE_BREAKER_CORE_H
#define HERDGATE_BREAKER_CORE_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "breaker/breaker.h"
#include "breaker/cells.h"
#include "breaker/events.h"
#include "breaker/machine.h"
#include "breaker/window.h"

enum {
    HGI_COUNTS_CALLS = 1, /* flag: calls are counted while closed too */
    HGI_HAS_WINDOW = 2,
    HGI_IS_SHARED = 4
};

struct hg_breaker {
    alignas(
        HGI_LINE) _Atomic uint64_t word; /* written by any thread, through the shell's exchange */
    uint32_t flags;                      /* this and `machine` are not written after the start */
    struct hgi_machine machine;
    int64_t permit_age_ns;
    _Atomic uint64_t transitions; /* this and `opened`: written by who made a transition */
    _Atomic uint64_t opened;
};

static_assert(sizeof(struct hg_breaker) == 2 * HGI_LINE, "the deciding state is two lines");

/* What this process keeps for its handle. */
struct hgi_local {
    alignas(HGI_LINE) hgi_clock_fn clock; /* NULL: hgi_now_ns() */
    void *clock_arg;
    struct hgi_counters *counters; /* own_cells with one writer, then the striped ones */
    struct hgi_window *window;     /* NULL: none */
    uint32_t own_cells;
    struct hgi_events events;
};

static_assert(sizeof(struct hgi_local) % HGI_LINE == 0, "a breaker behind it is aligned");

static inline struct hgi_local *hgi_local_of(hg_breaker *breaker)
{
    return (struct hgi_local *)((char *)breaker - sizeof(struct hgi_local));
}

/* The breaker's time. Read after the word (an acquire load), so that no elapsed time is negative. */
int64_t hgi_breaker_now(hg_breaker *breaker);

/* Count one in this thread's cell. */
void hgi_breaker_count(hg_breaker *breaker, enum hgi_counter counter);

/* The word as the next admit would leave it. */
uint64_t hgi_breaker_peek(hg_breaker *breaker, int64_t *now_ns);

#endif
