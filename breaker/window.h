/* The failure rate and the slow-call rate over a sliding time window.
 *
 * Time is cut into buckets, a tenth of the window each; the window is the bucket of now and the nine
 * before it. A count is one 64-bit word that says itself which bucket and generation it counts for:
 *
 *     [ generation 16 ][ turn ][ count ]      bucket = turn * 16 + the word's place
 *
 * so nothing is ever cleared: a word of another bucket or generation counts as 0, and who adds to it
 * next begins it anew. Turn and count share 48 bits, and the longer the buckets the more of them are the
 * count's: more calls fit into one, and the turn takes longer to come round. No pointers: the same bytes
 * serve in shared memory.
 */
#ifndef HERDGATE_BREAKER_WINDOW_H
#define HERDGATE_BREAKER_WINDOW_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "breaker/cells.h"

enum {
    HGI_WINDOW_BUCKETS = 10,
    HGI_WINDOW_PLACES = 16 /* more than buckets, so that clocks a little apart do no harm */
};

struct hgi_window_counts {
    alignas(HGI_LINE) _Atomic uint64_t at[HGI_WINDOW_PLACES];
};

struct hgi_window {
    alignas(HGI_LINE) int64_t bucket_ns; /* these are not written after the start */
    int64_t slow_ns;                     /* INT64_MAX: no call is slow */
    uint32_t min_calls;
    uint32_t own_cells;
    double failure_rate;
    double slow_rate;
    uint64_t count_bits; /* of a word; so many that no thread can fill them in a bucket's time */
    _Atomic uint64_t
        looked; /* written by who evaluated: when, and from where on it matters again */
    struct hgi_window_counts failed;      /* written by any thread, when a call failed */
    struct hgi_window_counts slow;        /* written by any thread, when a call was slow */
    struct hgi_window_counts succeeded[]; /* by cell: written by the cell's thread */
};

/* Bytes for a window with this many own cells and the striped ones. */
size_t hgi_window_size(uint32_t own_cells);
void hgi_window_init(struct hgi_window *window, const struct hg_breaker_options *options,
                     uint32_t own_cells);

/* Count one call of this generation that ended at this time. The first writes to no line that another
 * thread writes, unless the cell is striped. */
void hgi_window_add_success(struct hgi_window *window, uint32_t generation, int64_t at_ns,
                            struct hgi_cell cell);
void hgi_window_add_failure(struct hgi_window *window, uint32_t generation, int64_t at_ns);
void hgi_window_add_slow(struct hgi_window *window, uint32_t generation, int64_t at_ns);

/* What the window holds: never more than was added. */
struct hgi_window_sums {
    uint64_t succeeded; /* slow ones included */
    uint64_t failed;    /* slow ones included */
    uint64_t slow;
};
struct hgi_window_sums hgi_window_sum(const struct hgi_window *window, uint32_t generation,
                                      int64_t at_ns);

/* Whether a rate is reached. Reads the cells at most once a millisecond, unless the failed or slow
 * calls since then could have changed the answer. */
bool hgi_window_is_bad(struct hgi_window *window, uint32_t generation, int64_t at_ns);

#endif
