/* What a herd trial measured, and the figures made of it. Plain data and pure functions: the trial
 * itself is run elsewhere, and a table, a picture and JSON are made from this. */
#ifndef HERDGATE_TOOLS_STRESS_TRIAL_H
#define HERDGATE_TOOLS_STRESS_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/breaker.h>
#include <herdgate/error.h>

#include "tools/common/histogram.h"
#include "tools/common/options.h"
#include "tools/stress/proxy_cost.h"
#include "tools/stress/recording.h"
#include "tools/stress/stamp.h"
#include "tools/stress/toxic.h"

/* How the callers of a trial retry. */
enum hgi_strategy {
    HGI_STRATEGY_NAIVE,   /* a connection per thread, 7 attempts, no delay */
    HGI_STRATEGY_BACKOFF, /* naive, with the delays of the preset "aggressive" */
    HGI_STRATEGY_JITTER,  /* backoff, with full jitter */
    HGI_STRATEGY_BUDGET,  /* naive, with a retry budget shared by all threads */
    HGI_STRATEGY_BREAKER, /* naive, with a circuit breaker shared by all threads */
    HGI_STRATEGY_ALL,     /* the library: a pool with everything */
    HGI_STRATEGIES
};

const char *hgi_strategy_name(enum hgi_strategy strategy);
const char *hgi_strategy_text(enum hgi_strategy strategy); /* a line that says what it does */

/* "naive,all" to a list in that order, without doubles. False: *problem says. */
bool hgi_strategies_parse(enum hgi_strategy *list, size_t *count, const char *text,
                          struct hgi_problem *problem);

/* What happens to the server. */
enum hgi_outage_way {
    HGI_OUTAGE_KILL,     /* SIGKILL */
    HGI_OUTAGE_STOP,     /* SIGSTOP: it accepts connections and answers nothing */
    HGI_OUTAGE_SHUTDOWN, /* SIGTERM */
    HGI_OUTAGE_WAYS
};

const char *hgi_outage_name(enum hgi_outage_way way);

/* The value of --fault. False: *problem says. */
bool hgi_outage_parse(enum hgi_outage_way *out, const char *text, struct hgi_problem *problem);

struct hgi_herd_settings {
    uint32_t threads;
    uint32_t connections; /* of the pool */
    int64_t length_ns;    /* of each trial */
    struct hgi_span outage;
    enum hgi_outage_way way;
    int64_t think_ns; /* closed loop: mean pause of a caller between calls */
    uint32_t rate;    /* open loop: calls per second of all callers together; 0: closed loop */
    int64_t attempt_timeout_ns;
    int64_t deadline_ns;
    struct hgi_span sizes;
    uint64_t seed;
    uint32_t capacity_per_s;  /* connections and commands that the server serves; 0: what it can */
    struct hgi_toxics toxics; /* between the callers and the server */
    bool record;              /* every latency */
};

/* How it is loaded, and so what its times are worth: "closed loop: not corrected". */
const char *hgi_herd_load(const struct hgi_herd_settings *settings);

#define HGI_BUCKET_NS INT64_C(10000000)

/* Counts in buckets of 10 ms from the start of the trial. */
struct hgi_series {
    uint32_t count;
    uint32_t *attempts; /* connects begun and frames sent */
    uint32_t *wasted;   /* of these: failed */
    uint32_t *answered; /* calls that ended well */
    uint32_t *failed;   /* calls that did not */
    /* Seen at the server, if there is a proxy before it. */
    uint32_t *came;    /* connections and commands */
    uint32_t *in_vain; /* of these: served when nobody waited any more, or not at all */
    uint32_t *served;
};

bool hgi_series_init(struct hgi_series *series, int64_t length_ns);
void hgi_series_free(struct hgi_series *series);

enum { HGI_STATUSES = 16, HGI_MARKS_MAX = 256, HGI_DRAWS_MAX = 4 };

/* The first random numbers that a thread's delays were drawn by, each in [0, 1). The same seed gives
 * the same ones; how many it takes to get through a trial is the clock's affair. */
struct hgi_draws {
    uint32_t count;
    double unit[HGI_DRAWS_MAX];
};

/* From at_ns on the breaker was in that state. */
struct hgi_breaker_mark {
    int64_t at_ns;
    int64_t open_ns; /* OPEN: for how long, if nothing else happens */
    hg_breaker_state state;
};

/* Times are from the start of the trial. */
struct hgi_trial {
    enum hgi_strategy strategy;
    uint32_t threads;
    uint32_t rate_per_s; /* open loop: calls that are due; 0: closed loop */
    int64_t length_ns;   /* that was run: less than planned if interrupted */
    int64_t down_ns;     /* the server went; -1: it did not */
    int64_t up_ns;       /* it answered again; -1: it did not */
    struct hgi_series series;
    bool server_seen;        /* by a proxy before it */
    uint32_t capacity_per_s; /* of the server; 0: not limited */
    uint64_t offered;
    uint64_t answered;
    uint64_t failed;
    uint64_t failed_as[HGI_STATUSES]; /* by -status */
    uint64_t offered_down;            /* calls begun while the server was down */
    uint64_t failed_down;             /* of these: failed */
    uint64_t attempts;
    uint64_t attempts_down;
    uint64_t wasted;
    uint64_t dials;                 /* of the attempts */
    struct hgi_histogram latency;   /* of answered calls; open loop: from their intended start */
    struct hgi_histogram service;   /* of the same, from their real start */
    struct hgi_recording recording; /* of `latency`, if it is on */
    int64_t began_ns;               /* CLOCK_MONOTONIC */
    uint64_t not_begun;             /* open loop: due within the trial, and their caller was late */
    int64_t overrun_ns;             /* by how much the longest call outlived its deadline */
    struct hgi_histogram latency_down; /* of calls that were begun while it was down and failed */
    bool has_breaker;
    uint64_t transitions;
    uint32_t mark_count;
    struct hgi_breaker_mark mark[HGI_MARKS_MAX];
    struct hgi_draws *draws;   /* of each thread, where delays are drawn; else NULL */
    int64_t late_ns;           /* the machine: the worst that a thread woke too late by */
    int64_t lost_ns;           /* and what of the server's capacity that cost */
    uint32_t threads_well;     /* whose last call, after the trial, was answered */
    uint32_t connections_live; /* at the end */
    uint64_t mismatches;       /* replies that were not their command's */
    char first_mismatch[200];
};

/* NULL does nothing. */
void hgi_trial_free(struct hgi_trial *trial);

struct hgi_herd_results {
    struct hgi_stamp stamp;
    struct hgi_herd_settings settings;
    size_t count;
    struct hgi_trial *trial[HGI_STRATEGIES];
    struct hgi_proxy_cost proxy_cost; /* not known without a proxy */
};

struct hgi_herd_figures {
    double amplification;      /* attempts per call */
    double amplification_down; /* of the time while the server was down */
    double ratio_to_naive;     /* attempts while it was down; -1: no naive trial to compare with */
    double offered_per_s;      /* before the outage */
    double goodput_per_s;      /* calls answered per second before the outage */
    double goodput_at_end;     /* of the last second, as a share of that */
    double peak_per_s;      /* most attempts in 100 ms, as a rate; with a capacity at the server */
    double peak_10ms_per_s; /* in 10 ms */
    double wasted;          /* share of the attempts */
    uint64_t false_opens;   /* of the breaker, while the server was there */
    /* From the server's return to 95 % of the goodput, for 300 ms and on the whole from then on; -1: not
     * within the trial. */
    int64_t back_ns;
    int64_t open_interval_ns;   /* of the breaker, in force when the server returned; -1: none */
    int64_t open_left_ns;       /* of it then */
    int64_t back_after_open_ns; /* back_ns without that; -1: as back_ns */
    /* As multiples of the capacity, at the server; -1: it has none. */
    double over_capacity; /* the worst 100 ms, 10 ms; the worst 100 ms after the server's return */
    double over_capacity_10ms;
    double over_capacity_after;
    /* At the server; -1: no proxy has seen it. */
    double came;
    double served;
    double in_vain;       /* share of what came */
    double in_vain_after; /* of what came after its return */
};

struct hgi_herd_figures hgi_herd_figures(const struct hgi_trial *trial,
                                         const struct hgi_trial *naive);

/* The trial of that strategy, or NULL. */
const struct hgi_trial *hgi_herd_find(const struct hgi_herd_results *results,
                                      enum hgi_strategy strategy);

/* What it comes to: in a few words, and in one or two sentences with the figures. */
void hgi_herd_headline(char *out, size_t size, const struct hgi_herd_results *results);
enum { HGI_VERDICT_SIZE = 768 };
void hgi_herd_verdict(char *out, size_t size, const struct hgi_herd_results *results);

/* Why this says little: the machine was too busy; "" if it was not. */
void hgi_herd_doubt(char *out, size_t size, const struct hgi_herd_results *results);

/* What must hold and does not, in words; "" if all does. The first found. */
void hgi_herd_broken(char *out, size_t size, const struct hgi_herd_results *results);

#endif
