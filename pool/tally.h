/* What calls and attempts come to, by class, outcome, type and time, for statistics. */
#ifndef HERDGATE_POOL_TALLY_H
#define HERDGATE_POOL_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

#include <herdgate/pool.h>

#include "policy/run.h"
#include "policy/settings.h"

enum {
    HGI_TALLY_TYPES = 15,     /* hg_status from 0 to -14 */
    HGI_TALLY_SEVERITIES = 4, /* hg_severity */
    HGI_TALLY_OUTCOMES = 4,   /* hg_outcome */
    HGI_TALLY_STOPS = 7,      /* hg_stop_reason */
    HGI_TALLY_RESULTS = 3,    /* ok, ignored, failed */
    HGI_TALLY_BUCKETS = 18    /* the last one has no bound */
};

/* Upper bounds of all buckets but the last, in nanoseconds. */
extern const int64_t hgi_tally_bounds_ns[HGI_TALLY_BUCKETS - 1];

/* Times in buckets, each counted in one. */
struct hgi_histogram {
    _Atomic uint64_t bucket[HGI_TALLY_BUCKETS];
    _Atomic uint64_t sum_ns;
};

/* One stripe. Written by the threads that share it, read by who wants the sums; each number is right
 * by itself. */
struct hgi_tally {
    _Alignas(64) _Atomic uint64_t calls[HGI_CLASS_KINDS][HGI_TALLY_RESULTS];
    _Atomic uint64_t attempts[HGI_CLASS_KINDS][HGI_TALLY_OUTCOMES];
    _Atomic uint64_t retries[HGI_CLASS_KINDS];
    _Atomic uint64_t failed_calls[HGI_TALLY_TYPES][HGI_TALLY_SEVERITIES];
    _Atomic uint64_t failed_attempts[HGI_TALLY_TYPES][HGI_TALLY_SEVERITIES];
    _Atomic uint64_t stops[HGI_TALLY_STOPS];
    struct hgi_histogram wait; /* for a connection, of those that had to wait */
    struct hgi_histogram use;  /* of a connection, by one attempt or lease */
};

void hgi_tally_time(struct hgi_histogram *histogram, int64_t elapsed_ns);

/* hgi_run_loop() of a call of this pool, counted. */
hg_status hgi_run_counted(hg_pool *pool, const struct hgi_call *call, hgi_attempt_fn fn, void *arg,
                          struct hg_error *err);

/* A lease taken by hand was used for so long. */
void hgi_tally_lease(hg_pool *pool, int64_t used_ns);

#endif
