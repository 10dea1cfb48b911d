/* herdgate-stress concurrency: what a run is set to, what it measured, and what is made of that. Plain
 * data and pure functions, but for hgi_concurrency_run(). */
#ifndef HERDGATE_TOOLS_STRESS_CONCURRENCY_H
#define HERDGATE_TOOLS_STRESS_CONCURRENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>
#include <herdgate/herdgate.h>

#include "tools/common/target.h"
#include "tools/stress/assertion.h"
#include "tools/stress/stamp.h"
#include "tools/stress/worker.h"

struct hgi_concurrency_settings {
    uint32_t threads;
    uint32_t connections; /* 0: the policy's, or the library's default */
    struct hgi_span sizes;
    uint32_t only; /* as in struct hgi_work */
    int64_t length_ns;
    uint64_t seed;
    struct hgi_target target; /* not given: a redis-server of the tool's own */
    const char *policy;       /* path of the file; NULL: none */
    bool quiet;
    bool plain;  /* no colour */
    bool record; /* every latency */
};

struct hgi_saved;

enum { HGI_SLICES = 120 }; /* of a run's length, for the picture of its rate */

struct hgi_concurrency_results {
    struct hgi_stamp stamp;
    struct hgi_concurrency_settings settings;
    uint32_t slices;                 /* that were measured whole */
    uint64_t slice_done[HGI_SLICES]; /* calls that ended in each */
    struct hgi_worker sum;           /* of all workers; its texts are of the first that had one */
    struct hg_pool_stats stats;      /* just before the pool was closed */
    char close_failure[300];         /* "" if the pool closed as it should */
    int64_t connections_left; /* after closing, less before opening; -1: the server did not tell */
    int64_t descriptors_left;
    int64_t memory_left;
};

/* Run it; fills all of *results but `settings` and the command, which are set. Ends early when
 * *interrupted becomes true. False: the environment failed, *problem says. */
bool hgi_concurrency_run(struct hgi_concurrency_results *results, cJSON *policy,
                         const atomic_bool *interrupted, struct hgi_problem *problem);

/* The invariant that is broken, in words; "" if none is. The first found. */
void hgi_concurrency_broken(char *out, size_t size, const struct hgi_concurrency_results *results);

/* What it comes to, in one sentence. */
void hgi_concurrency_verdict(char *out, size_t size, const struct hgi_concurrency_results *results);

/* Where the time of all calls went, as shares of 1. */
struct hgi_time_shares {
    double queue;
    double dial;
    double server;
    double backoff;
    double rest; /* the library's and the caller's own work, and the processor's other business */
};
struct hgi_time_shares hgi_concurrency_shares(const struct hgi_worker *sum);

/* In its forms: a table for people, JSON for programs, figures for --assert, one HTML page. `arg` is a struct
 * hgi_concurrency_results, as hgi_publish() passes it. */
void hgi_concurrency_table(FILE *out, const void *arg, bool colour);
cJSON *hgi_concurrency_json(const void *arg);
bool hgi_concurrency_load(void *results, const struct hgi_saved *saved);
void hgi_concurrency_figures(struct hgi_figures *out, const void *arg);
bool hgi_concurrency_html(FILE *out, const void *arg, struct hgi_problem *problem);
const struct hgi_histogram *hgi_concurrency_latency(const void *arg, size_t part);
const struct hgi_recording *hgi_concurrency_recording(const void *arg, size_t part,
                                                      int64_t *began_ns);
bool hgi_concurrency_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem);

#endif
