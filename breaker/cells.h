/* Cells: lines of memory that one thread writes, so that counting costs no sharing.
 *
 * Each thread gets an index of its own, process-wide, while it lives. Threads past the first
 * HGI_OWN_CELLS, and all threads of a shared breaker, use striped cells with atomic additions.
 */
#ifndef HERDGATE_BREAKER_CELLS_H
#define HERDGATE_BREAKER_CELLS_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

enum { HGI_LINE = 64, HGI_OWN_CELLS = 64, HGI_STRIPED_CELLS = 16 };

enum hgi_counter {
    HGI_COUNT_ADMITTED,
    HGI_COUNT_REFUSED,
    HGI_COUNT_SUCCEEDED,
    HGI_COUNT_FAILED,
    HGI_COUNT_SLOW,
    HGI_COUNT_LATE,
    HGI_COUNT_CANCELLED,
    HGI_COUNT_PROBES,
    HGI_COUNTERS
};

/* The counters of one cell. Written by the cell's owner; read by anyone. */
struct hgi_counters {
    alignas(HGI_LINE) _Atomic uint64_t value[HGI_COUNTERS];
};

static_assert(sizeof(struct hgi_counters) == HGI_LINE, "a cell's counters fill one line");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics need no lock");

/* Where this thread counts, among `own` cells with one writer followed by HGI_STRIPED_CELLS. */
struct hgi_cell {
    uint32_t index;
    uint32_t alone; /* 1: nobody else writes it */
};
struct hgi_cell hgi_cell_mine(uint32_t own);

/* How many of `own` cells may have been counted in; the striped ones always may. */
uint32_t hgi_cells_used(uint32_t own);

/* Add one to a word of a cell. */
static inline void hgi_cell_add(_Atomic uint64_t *value, uint32_t alone)
{
    /* relaxed: a count by itself; the reader needs no other memory with it. */
    if (alone)
        atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(value, 1, memory_order_relaxed);
}

#endif
