/* herdgate-stress breaker: what a run is set to, what it noted, and what that says of the breaker. Plain data
 * and pure functions, but for hgi_breaker_run(). */
#ifndef HERDGATE_TOOLS_STRESS_BREAKER_H
#define HERDGATE_TOOLS_STRESS_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>
#include <herdgate/breaker.h>

#include "tools/common/histogram.h"
#include "tools/common/problem.h"
#include "tools/stress/assertion.h"
#include "tools/stress/breaker_watch.h"
#include "tools/stress/stamp.h"
#include "tools/stress/trial.h"

struct hgi_breaker_settings {
    uint32_t threads;   /* of all processes together */
    uint32_t processes; /* 1: the breaker is its own; more: they share it, and some are killed */
    uint32_t outages;
    int64_t calm_ns;   /* before each outage */
    int64_t outage_ns; /* the server is away */
    int64_t after_ns;  /* after each, at most, for the breaker to close */
    int64_t attempt_timeout_ns;
    int64_t pause_ns; /* of a thread between calls, at most */
    enum hgi_outage_way way;
    struct hg_breaker_options breaker;
    uint64_t seed;
    bool quiet;
    bool plain; /* no colour */
};

struct hgi_saved;

enum {
    HGI_OUTAGES_MAX = 32,
    HGI_PROCESSES_MAX = 16,
    HGI_TURNS_MAX = 1024,
    HGI_ADMISSIONS_MAX = 65536
};

/* Times count from the beginning of the run. A transition as it was told: after told_ns it has happened; not before at_ns. */
struct hgi_turn {
    hg_breaker_state from;
    hg_breaker_state to;
    int64_t at_ns;
    int64_t told_ns;
    int64_t period_ns; /* to open: for how long */
    uint32_t generation;
    bool
        elsewhere; /* who made it was killed before it could tell: at_ns is when another one saw it */
};

/* A process that was killed (-9), and what the breaker was then. */
struct hgi_kill {
    int64_t at_ns;
    uint32_t process; /* from 1 */
    hg_breaker_state state;
};

/* A call that was admitted between these two times, around a transition or while it was not closed. */
struct hgi_admission {
    int64_t asked_ns;
    int64_t got_ns;
};

/* One outage. Counts are of the time from down_ns to the next outage. */
struct hgi_outage {
    int64_t down_ns;
    int64_t up_ns; /* -1: it is down still */
    uint64_t refused;
    uint64_t failed; /* attempts */
    uint64_t answered;
};

/* What it says of one outage; -1: it did not happen. */
struct hgi_outage_figures {
    int64_t opened_after_ns; /* the server went */
    int64_t closed_after_ns; /* it came back */
    int64_t
        period_ns; /* the open period in force when it came back, the first after it at the latest */
    uint32_t half_opened;
    uint32_t probes; /* admitted while half-open for certain */
};

struct hgi_breaker_results {
    struct hgi_stamp stamp;
    struct hgi_breaker_settings settings;
    uint32_t outage_count;
    struct hgi_outage outage[HGI_OUTAGES_MAX];
    uint32_t kill_count; /* one in each outage, if it is shared */
    struct hgi_kill kill[HGI_OUTAGES_MAX];
    uint32_t turn_count;
    struct hgi_turn turn[HGI_TURNS_MAX];
    uint32_t admission_count;
    bool admissions_lost; /* there were more */
    bool turns_lost;      /* the same */
    struct hgi_admission admission[HGI_ADMISSIONS_MAX];
    uint64_t calls;
    uint64_t admitted;
    uint64_t refused;
    uint64_t failed;
    struct hgi_histogram refusal; /* how long a refusal takes */
    struct hgi_breaker_counts counts;
    struct hg_breaker_snapshot snapshot; /* at the end */
};

/* Run it; fills all but `settings` and the command. False: the environment failed, *problem says. */
bool hgi_breaker_run(struct hgi_breaker_results *results, const atomic_bool *interrupted,
                     struct hgi_problem *problem);

/* Calls that were admitted while it was open, for certain: asked for after the opening was told, and
 * admitted before the open period could be over. */
uint32_t hgi_breaker_admitted_open(const struct hgi_breaker_results *results);

/* The most calls that were admitted for certain within one half-open period. */
uint32_t hgi_breaker_probes_most(const struct hgi_breaker_results *results);

/* Transitions that nobody told of: those of a process that was killed just then. */
uint64_t hgi_breaker_untold(const struct hgi_breaker_results *results);

/* Openings from closed that no outage explains. */
uint32_t hgi_breaker_false_opens(const struct hgi_breaker_results *results);

struct hgi_outage_figures hgi_breaker_outage(const struct hgi_breaker_results *results,
                                             uint32_t which);

/* The promise that is broken, in words; "" if none is. And what it comes to. */
void hgi_breaker_broken(char *out, size_t size, const struct hgi_breaker_results *results);
void hgi_breaker_verdict(char *out, size_t size, const struct hgi_breaker_results *results);

/* In its forms, as hgi_publish() wants them; `arg` is a struct hgi_breaker_results. */
bool hgi_breaker_html(FILE *out, const void *arg, struct hgi_problem *problem);
void hgi_breaker_table(FILE *out, const void *arg, bool colour);
cJSON *hgi_breaker_json(const void *arg);
const struct hgi_histogram *hgi_breaker_latency(const void *arg, size_t part); /* of refusals */
bool hgi_breaker_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem);
bool hgi_breaker_load(void *results, const struct hgi_saved *saved);
void hgi_breaker_figures(struct hgi_figures *out, const void *arg);

#endif
