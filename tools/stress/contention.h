/* Clients that contend for one optimistic lock, on a virtual clock: how much work and time each kind
 * of backoff costs. Pure: the same settings give the same result.
 *
 * The model is that of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. All
 * clients begin at once. Each reads a version, then writes under that version; the server takes the
 * write if nobody wrote in between, else the client backs off and begins again, until it has written
 * once. Every message is on its way for a normally distributed time. The delays are those of the
 * library's own hg_retry_delay_jittered().
 */
#ifndef HERDGATE_TOOLS_STRESS_CONTENTION_H
#define HERDGATE_TOOLS_STRESS_CONTENTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/policy.h>

enum hgi_backoff_kind {
    HGI_BACKOFF_NONE, /* again at once */
    HGI_BACKOFF_EXPONENTIAL,
    HGI_BACKOFF_FULL,
    HGI_BACKOFF_EQUAL,
    HGI_BACKOFF_DECORRELATED,
    HGI_BACKOFF_KINDS
};

const char *hgi_backoff_name(enum hgi_backoff_kind kind);

struct hgi_contention {
    uint32_t clients;
    uint32_t rounds; /* the result is the mean of so many */
    int64_t base_ns; /* the first delay before jitter; each is twice the one before */
    int64_t cap_ns;
    int64_t network_mean_ns; /* of one message on its way */
    int64_t network_deviation_ns;
    uint64_t seed;
    const atomic_bool *interrupted; /* ends a run early when it becomes true; NULL: nothing does */
};

struct hgi_contention_result {
    double calls;   /* writes that reached the server, of all clients together */
    double time_ns; /* until the last client had written */
};

/* One that was interrupted leaves *out as it was. False: out of memory. */
bool hgi_contention_run(struct hgi_contention_result *out, const struct hgi_contention *settings,
                        enum hgi_backoff_kind kind);

#endif
