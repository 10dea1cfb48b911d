/* A worker of herdgate-stress: uses a pool in every way there is and checks every reply, and that no call
 * outlives its deadline. */
#ifndef HERDGATE_TOOLS_STRESS_WORKER_H
#define HERDGATE_TOOLS_STRESS_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/herdgate.h>

#include "tools/common/histogram.h"
#include "tools/stress/ledger.h"
#include "tools/stress/owners.h"
#include "tools/stress/recording.h"
#include "tools/stress/trial.h"

enum { HGI_WORKER_KEYS = 8 };

enum hgi_op {
    HGI_OP_SET,
    HGI_OP_GET,
    HGI_OP_ECHO,
    HGI_OP_INCR,
    HGI_OP_PIPELINE, /* hg_call(): CLIENT ID, then ECHO, GET, INCR, ECHO in one go */
    HGI_OP_LEASE,    /* hg_acquire(): CLIENT ID, SET, GET one by one */
    HGI_OPS
};

const char *hgi_op_name(enum hgi_op op);

/* "get,set" to a set of operations: 1 << op of each. False: *problem says. */
bool hgi_ops_parse(uint32_t *out, const char *text, struct hgi_problem *problem);

/* What is seen of the workers while they run. Written by them and, where it says so, taken by the shell;
 * relaxed: sums, and nothing else hangs on them. */
struct hgi_live {
    _Atomic uint64_t done;   /* calls that ended */
    _Atomic uint64_t failed; /* of these */
    _Atomic uint64_t broken; /* whatever breaks an invariant */
    _Atomic uint32_t
        latency[HGI_HISTOGRAM_BUCKETS]; /* of answered calls; the shell takes them out */
};

/* What all workers share. */
struct hgi_work {
    hg_pool *pool;
    struct hgi_owners *owners;
    const char *prefix; /* of every key */
    struct hgi_span sizes;
    uint32_t only;           /* 1 << op of those that are called; 0: all */
    int64_t ttl_s;           /* of every key: should the tool be killed before it cleans up */
    bool may_miss;           /* a key may vanish: the server is not the tool's own */
    int64_t deadline_ns;     /* of every call, and checked; 0: the policy's, not checked */
    int64_t pause_ns;        /* between calls, at most; 0: none */
    _Atomic bool stop;       /* written by the shell */
    _Atomic uint32_t losses; /* written by it, when the server has ended and before its next life */
    struct hgi_live live;
};

struct hgi_worker {
    struct hgi_work *work;
    pthread_t thread;
    uint32_t number; /* 0, 1, ... */
    uint64_t random;
    unsigned char *value; /* room for the largest */
    struct hgi_ledger ledger[HGI_WORKER_KEYS];
    struct hgi_counter counter;
    uint32_t losses_seen;
    int schedstat; /* where the kernel says how long this thread waited for a processor; -1: nowhere */
    uint64_t calls[HGI_OPS];
    uint64_t replies; /* checked */
    uint64_t leases;  /* whose connection was checked to have one holder */
    uint64_t bytes;   /* of values, both ways */
    uint64_t failed;
    uint64_t failed_as[HGI_STATUSES];
    char first_failure[300];
    uint64_t missing; /* keys that had vanished, where they may */
    uint64_t retries;
    uint64_t mismatches;
    char first_mismatch[200];
    uint64_t doubled;
    char first_doubled[100];
    uint64_t incr_acknowledged;
    uint64_t incr_unknown; /* that may have run */
    uint64_t incr_over;    /* replies that say that one ran more than once */
    char first_over[100];
    int64_t
        overrun_ns; /* a call outlived its deadline by that at most, less its wait for a processor */
    uint64_t overruns; /* by more than HGI_OVERRUN_NS */
    char first_overrun[300];
    int64_t queue_ns; /* where the time went, of all calls */
    int64_t dial_ns;
    int64_t server_ns;
    int64_t backoff_ns;
    int64_t elapsed_ns;
    struct hgi_histogram latency;
    struct hgi_recording recording; /* of the same latencies, if it is on */
};

/* More than this after its deadline is no scheduling any more: a call is late. Its own wait for a
 * processor is known and not counted; others' that it waits for, on a machine that is busy, are. */
#define HGI_OVERRUN_NS INT64_C(1000000000)

/* The key of a ledger, or of the counter (k = HGI_WORKER_KEYS). Returns its length. */
int hgi_worker_key(char *out, size_t size, const char *prefix, uint32_t number, uint32_t k);

/* The thread. arg is the struct hgi_worker. */
void *hgi_worker_main(void *arg);

#endif
