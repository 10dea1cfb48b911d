/* herdgate-stress chaos and soak: what a run is set to, what it measured, and what is made of that. Plain
 * data and pure functions, but for hgi_chaos_run(). */
#ifndef HERDGATE_TOOLS_STRESS_CHAOS_H
#define HERDGATE_TOOLS_STRESS_CHAOS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>
#include <herdgate/herdgate.h>

#include "tools/common/target.h"
#include "tools/stress/assertion.h"
#include "tools/stress/breaker_watch.h"
#include "tools/stress/server_fault.h"
#include "tools/stress/stamp.h"
#include "tools/stress/toxic.h"
#include "tools/stress/worker.h"

struct hgi_chaos_settings {
    bool soak; /* many rounds, each with a schedule of its own; growth is judged */
    uint32_t threads;
    uint32_t connections;
    struct hgi_span sizes;
    int64_t pause_ns; /* of a thread between calls, at most */
    int64_t length_ns;
    int64_t round_ns;  /* of a schedule; chaos: the length */
    int64_t sample_ns; /* soak: between two samples, a line each */
    uint64_t seed;
    int64_t attempt_timeout_ns;
    int64_t deadline_ns;
    struct hgi_target target; /* not given: a redis-server of the tool's own */
    char server_words[400];   /* a given one as the command line has it, without the password */
    const char *policy;       /* path of the file; NULL: none */
    bool drawn;               /* the schedule comes from the seed; else it is these: */
    struct hgi_toxics toxics;
    struct hgi_server_faults server_faults;
    bool quiet;
    bool plain;  /* no colour */
    bool record; /* every latency */
};

struct hgi_saved;

enum { HGI_CHAOS_SLICES = 240, HGI_CHAOS_SAMPLES = 1024 };

/* The state of a soak after at_ns. */
struct hgi_chaos_sample {
    int64_t at_ns;
    uint64_t calls; /* since the sample before */
    uint64_t failed;
    int64_t p99_ns; /* of the answered calls since then */
    int64_t resident;
    int64_t descriptors;
    int64_t threads;
};

struct hgi_chaos_results {
    struct hgi_stamp stamp;
    struct hgi_chaos_settings settings;
    uint32_t rounds;     /* begun */
    uint64_t round_seed; /* of the last one */
    struct hgi_toxics toxics;
    struct hgi_server_faults server_faults; /* of the last round */
    uint64_t toxics_struck[HGI_TOXIC_KINDS];
    uint64_t server_struck[HGI_SERVER_FAULT_KINDS];
    uint32_t slices;
    struct {
        double answered; /* calls that ended between two looks count to each slice for its share */
        double failed;
        double open_ns; /* of it the breaker was not closed */
    } slice[HGI_CHAOS_SLICES];
    struct hgi_worker sum;
    struct hg_pool_stats stats;
    struct hgi_breaker_counts breaker;
    uint32_t losses;       /* the server's data went with it so often */
    uint32_t sockets_most; /* of the pool, at once */
    uint64_t sockets_over;
    uint64_t counters_wrong; /* that the server has more or less INCRs in than can be */
    int64_t incr_at_server;  /* -1: not known, the data was lost in between */
    char close_failure[300];
    int64_t descriptors_left;
    uint32_t sample_count;
    struct hgi_chaos_sample sample[HGI_CHAOS_SAMPLES];
    uint32_t sample_stride; /* samples stand for so many of settings.sample_ns */
};

/* Run it; fills all of *results but `settings` and the command, which are set. Ends early when
 * *interrupted becomes true, or an invariant is broken. False: the environment failed, *problem says. */
bool hgi_chaos_run(struct hgi_chaos_results *results, cJSON *policy, const atomic_bool *interrupted,
                   struct hgi_problem *problem);

/* The schedule of a round: drawn, or as set. */
void hgi_chaos_schedule(const struct hgi_chaos_settings *settings, uint64_t round_seed,
                        struct hgi_toxics *toxics, struct hgi_server_faults *faults);

/* The seed of round r, from 0. */
uint64_t hgi_chaos_round_seed(uint64_t seed, uint32_t round);

/* How a soak grows, by least squares over the second half of it and per hour; and what growth is broken. */
struct hgi_chaos_growth {
    bool known; /* there were enough samples */
    double resident_per_hour;
    double descriptors_per_hour;
    double threads_per_hour;
    bool grows;
    char what[120];
};
struct hgi_chaos_growth hgi_chaos_judge_growth(const struct hgi_chaos_results *results);

/* The invariant that is broken, in words; "" if none is. The first found. */
void hgi_chaos_broken(char *out, size_t size, const struct hgi_chaos_results *results);

/* What it comes to, in a sentence; and the command that does the last round again. */
void hgi_chaos_verdict(char *out, size_t size, const struct hgi_chaos_results *results);
void hgi_chaos_replay(char *out, size_t size, const struct hgi_chaos_results *results);

/* In its forms, as hgi_publish() wants them; `arg` is a struct hgi_chaos_results. */
void hgi_chaos_table(FILE *out, const void *arg, bool colour);
cJSON *hgi_chaos_json(const void *arg);
bool hgi_chaos_load(void *results, const struct hgi_saved *saved); /* `soak` is set */
void hgi_chaos_figures(struct hgi_figures *out, const void *arg);
bool hgi_chaos_html(FILE *out, const void *arg, struct hgi_problem *problem);
const struct hgi_histogram *hgi_chaos_latency(const void *arg, size_t part);
const struct hgi_recording *hgi_chaos_recording(const void *arg, size_t part, int64_t *began_ns);
bool hgi_chaos_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem);

#endif
