/* A herd trial while it runs: what its callers share, and what each has of its own. */
#ifndef HERDGATE_TOOLS_STRESS_LOAD_H
#define HERDGATE_TOOLS_STRESS_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/herdgate.h>

#include "tools/stress/ledger.h"
#include "tools/stress/trial.h"

enum { HGI_CALLER_KEYS = 2, HGI_RAW_ATTEMPTS = 7 };

enum hgi_phase { HGI_PHASE_BEFORE, HGI_PHASE_DOWN, HGI_PHASE_AFTER };

/* Counters are atomics that callers add to (relaxed: nothing but the sums is read from them, and
 * those after the callers were joined, or for the progress line). */
struct hgi_load {
    const struct hgi_herd_settings *settings;
    enum hgi_strategy strategy;
    const char *socket;
    int64_t began_ns;
    int64_t end_ns;
    hg_breaker *breaker;          /* of BREAKER and ALL, else NULL; borrowed */
    hg_budget *budget;            /* of BUDGET */
    hg_policy *policy;            /* of BUDGET and ALL */
    hg_pool *pool;                /* of ALL */
    _Atomic int phase;            /* written by the conductor */
    _Atomic uint32_t data_losses; /* written by it, while there is no server */
    _Atomic bool stop;            /* written by it: end now */
    _Atomic bool last_calls;      /* written by it: the server is there, make the last calls */
    _Atomic uint32_t ended;       /* callers that have made their last call */
    _Atomic uint64_t attempts;
    _Atomic uint64_t attempts_down;
    _Atomic uint64_t wasted;
    _Atomic uint64_t dials;
    _Atomic uint64_t answered;
    _Atomic uint64_t failed;
    _Atomic uint64_t wrong; /* replies that were not their command's */
    uint32_t buckets;
    _Atomic uint32_t *bucket[4]; /* attempts, wasted, answered, failed: as in struct hgi_series */
};

enum { HGI_IN_ATTEMPTS, HGI_IN_WASTED, HGI_IN_ANSWERED, HGI_IN_FAILED };

/* Count `n` in that series at that time. Times outside the trial are not counted. */
void hgi_load_count(struct hgi_load *load, int series, int64_t at_ns, uint32_t n);

/* One connect begun or frame sent by a raw caller, at that time; and that it was in vain. */
void hgi_load_attempt(struct hgi_load *load, int64_t at_ns, bool dial);
void hgi_load_wasted(struct hgi_load *load, int64_t at_ns);

struct hgi_caller {
    struct hgi_load *load;
    pthread_t thread;
    uint32_t number;
    uint64_t random;
    uint64_t jitter; /* a generator of its own: what is called does not change when it is called */
    struct hgi_draws draws;
    redisContext *raw;      /* of the raw strategies; NULL: not connected */
    int64_t raw_timeout_ns; /* that the socket is set to */
    int64_t
        raw_dialled_ns;   /* when it was connected, if nothing has been answered over it; else 0 */
    unsigned char *value; /* room for the largest */
    uint32_t losses_seen;
    struct hgi_ledger ledger[HGI_CALLER_KEYS];
    uint64_t offered;
    uint64_t answered;
    uint64_t failed_as[HGI_STATUSES];
    uint64_t offered_down;
    uint64_t failed_down;
    bool well; /* the last call was answered */
    uint64_t mismatches;
    char first_mismatch[200];
    int64_t overrun_ns; /* as in struct hgi_trial */
    uint64_t not_begun; /* open loop: as in struct hgi_trial */
    struct hgi_histogram latency;
    struct hgi_recording recording; /* of the same, if it is on */
    struct hgi_histogram service;
    struct hgi_histogram latency_down;
};

/* Connect a raw caller. Not counted: it is for before the trial. */
hg_status hgi_caller_connect(struct hgi_caller *caller, int64_t limit_ns);

/* One command, in the way of the strategy. *reply is the caller's and not NULL if the result is not
 * below 0. *unknown: an attempt of it may have run, or may run later, beside what the result says. */
struct hgi_command {
    int argc;
    const char *argv[3];
    size_t length[3];
};
hg_status hgi_caller_raw(struct hgi_caller *caller, const struct hgi_command *command,
                         redisReply **reply, bool *unknown);
hg_status hgi_caller_pool(struct hgi_caller *caller, const struct hgi_command *command,
                          redisReply **reply, bool *unknown);

/* The thread of a caller: calls and thinks until the trial ends. arg is the struct hgi_caller. */
void *hgi_caller_main(void *arg);

#endif
