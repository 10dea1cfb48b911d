/* What calls and attempts come to, by class, outcome, type and time, for statistics. */
#ifndef HERDGATE_POOL_TALLY_H
#define HERDGATE_POOL_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/pool.h>

#include "breaker/cells.h"
#include "policy/run.h"
#include "policy/settings.h"

enum {
    /* One for each of so many threads, and striped ones that the others share. */
    HGI_TALLIES = HGI_OWN_CELLS + HGI_STRIPED_CELLS,
    HGI_TALLY_TYPES = 15,     /* hg_status from 0 to -14 */
    HGI_TALLY_SEVERITIES = 4, /* hg_severity */
    HGI_TALLY_OUTCOMES = 4,   /* hg_outcome */
    HGI_TALLY_STOPS = 7,      /* hg_stop_reason */
    HGI_TALLY_BUCKETS = 18    /* the last one has no bound */
};

/* Upper bounds of all buckets but the last, in nanoseconds. */
extern const int64_t hgi_tally_bounds_ns[HGI_TALLY_BUCKETS - 1];

/* Times in buckets, each counted in one. */
struct hgi_histogram {
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t bucket[HGI_TALLY_BUCKETS];
};

/* One cell's counts. Written by the cell's thread, or the threads that share it; read by who wants the
 * sums; each number is right by itself. A call that goes well touches the first two lines. */
struct hgi_tally {
    /* Calls that ended well, and the last attempt of each, which did too. */
    _Alignas(HGI_LINE) _Atomic uint64_t well[HGI_CLASS_KINDS];
    struct hgi_histogram use; /* of a connection, by one attempt or lease */
    _Atomic uint64_t calls_ignored[HGI_CLASS_KINDS];
    _Atomic uint64_t calls_failed[HGI_CLASS_KINDS];
    _Atomic uint64_t attempts[HGI_CLASS_KINDS][HGI_TALLY_OUTCOMES]; /* that did not end well */
    _Atomic uint64_t
        retries[HGI_CLASS_KINDS][HGI_TALLY_OUTCOMES]; /* all attempts after the first */
    _Atomic uint64_t failed_calls[HGI_TALLY_TYPES][HGI_TALLY_SEVERITIES];
    _Atomic uint64_t failed_attempts[HGI_TALLY_TYPES][HGI_TALLY_SEVERITIES];
    _Atomic uint64_t stops[HGI_TALLY_STOPS];
    struct hgi_histogram wait; /* for a connection, of those that had to wait */
};

/* All of a pool's, zeroed, in memory to be freed; NULL: there is none. */
struct hgi_tally *hgi_tallies_allocate(void **memory);

/* alone: nobody else writes it. */
void hgi_tally_time(struct hgi_histogram *histogram, int64_t elapsed_ns, bool alone);

/* hgi_run_loop() of a call of this pool, counted. */
hg_status hgi_run_counted(hg_pool *pool, struct hgi_call *call, hgi_attempt_fn fn, void *arg,
                          struct hg_error *err);

/* A lease taken by hand was used for so long. */
void hgi_tally_lease(hg_pool *pool, int64_t used_ns);

#endif
