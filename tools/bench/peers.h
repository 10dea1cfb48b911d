/* What the breaker is measured against, with the signatures of hg_breaker_admit() and
 * hg_breaker_report(). In a shared library of their own, so that a call costs what one into
 * libherdgate.so costs, and the compiler sees no more of one than of the other. */
#ifndef HERDGATE_TOOLS_BENCH_PEERS_H
#define HERDGATE_TOOLS_BENCH_PEERS_H

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/breaker.h>
#include <herdgate/export.h>

/* The floor: a breaker that decides nothing; one relaxed load. */
struct hgi_floor {
    alignas(64) _Atomic uint64_t word; /* not written after the start; 0: admit */
};

HG_API bool hgi_floor_admit(struct hgi_floor *floor, hg_permit *permit);
HG_API void hgi_floor_report(struct hgi_floor *floor, hg_permit permit, hg_result result,
                             int64_t elapsed_ns);

/* What people write by hand: a mutex, and a breaker of three states in a few fields. Zero but for the
 * mutex: closed. */
struct hgi_guarded {
    alignas(64) pthread_mutex_t mutex; /* guards the rest */
    hg_breaker_state state;
    uint32_t failures;
    uint32_t probes;
    uint32_t succeeded;
    int64_t reopens_ns; /* open: when the first probe may pass */
};

static_assert(sizeof(struct hgi_guarded) == 64, "one line, for a fair comparison");

HG_API bool hgi_guarded_admit(struct hgi_guarded *guarded, hg_permit *permit);
HG_API void hgi_guarded_report(struct hgi_guarded *guarded, hg_permit permit, hg_result result,
                               int64_t elapsed_ns);

#endif
