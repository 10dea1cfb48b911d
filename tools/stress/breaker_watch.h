/* Watches a breaker from outside and holds it to what it promises: only legal transitions, each told once
 * and a generation after the one before; half-open not before the open period is over; probes within their
 * number. Fed by the breaker's own events and snapshots; any thread. */
#ifndef HERDGATE_TOOLS_STRESS_BREAKER_WATCH_H
#define HERDGATE_TOOLS_STRESS_BREAKER_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "tools/stress/trial.h"

/* The breaker keeps time in ticks of 4 ms, and a refusal goes by a clock that may be a few behind. */
#define HGI_BREAKER_SLACK_NS INT64_C(20000000)

struct hgi_breaker_counts {
    uint64_t transitions;
    uint64_t opened;
    uint64_t half_opened;
    uint64_t closed;
    uint64_t false_opens; /* from closed, while the server had been well for long */
    int64_t open_ns;      /* open or half-open, in all */
    uint32_t probes_most; /* of a half-open period, as seen */
    uint64_t broken;
    char first_broken[160];
    uint32_t mark_count;
    struct hgi_breaker_mark mark[HGI_MARKS_MAX]; /* times from the beginning */
};

struct hgi_breaker_watch {
    pthread_mutex_t lock; /* guards all below */
    int64_t began_ns;
    int64_t grace_ns; /* what fails this long after a fault may still be its doing */
    uint32_t max_calls;
    hg_breaker_state state;
    bool joined; /* others use it already: what it was before the first transition is not known */
    bool known;  /* generation is */
    uint32_t generation;
    int64_t left_closed_ns;
    int64_t opened_ns;
    int64_t open_period_ns;
    bool opened_elsewhere; /* by another process: opened_ns is when that was seen here */
    int64_t well_since_ns; /* INT64_MAX: a fault is on */
    int64_t well_until_ns;
    struct hgi_breaker_counts counts;
};

void hgi_breaker_watch_begin(struct hgi_breaker_watch *watch, int64_t began_ns, int64_t grace_ns,
                             uint32_t max_calls);
void hgi_breaker_watch_end(struct hgi_breaker_watch *watch);

/* The server is well from then on, and until then; INT64_MAX for `since`: a fault is on. */
void hgi_breaker_watch_well(struct hgi_breaker_watch *watch, int64_t since_ns, int64_t until_ns);

/* A listener for hg_breaker_listen(); arg is the watch. */
void hgi_breaker_watch_event(void *arg, const struct hg_breaker_event *event);

/* What the breaker says of itself now. */
void hgi_breaker_watch_look(struct hgi_breaker_watch *watch, hg_breaker *breaker);

/* A copy of the counts as they stand at now_ns. */
void hgi_breaker_watch_read(struct hgi_breaker_watch *watch, int64_t now_ns,
                            struct hgi_breaker_counts *out);

#endif
