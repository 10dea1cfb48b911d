/* Where calls of wait_and_retry wait until a condition holds: one of them asks, the others sleep, and
 * all are let go one after another over the length of a ramp. */
#ifndef HERDGATE_POLICY_GATE_H
#define HERDGATE_POLICY_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/policy.h>

struct hgi_gate_room;

/* A set of rooms, one for each condition that somebody waits for now. */
struct hgi_gate {
    pthread_mutex_t mutex; /* guards the list, and all that is in its rooms */
    struct hgi_gate_room *rooms;
};

/* What to wait for, and how patiently. */
struct hgi_gate_wait {
    hg_condition_fn condition; /* NULL: one poll interval */
    void *arg;
    int64_t poll_ns;
    int64_t ramp_ns;
    int64_t deadline_ns; /* absolute */
};

int hgi_gate_init(struct hgi_gate *gate); /* 0, or an errno */
void hgi_gate_destroy(struct hgi_gate *gate);

/* In the child of a fork(): nobody waits here but perhaps the forking thread, which finds its way out. */
void hgi_gate_forget(struct hgi_gate *gate);

/* Wait. True: the condition held, and *release_ns is when this caller may go on (absolute, before the
 * deadline). False: the deadline came first, or its place on the ramp is behind it, or memory ran out.
 * Calls of the same condition and argument share one poller. The condition is called with no lock held,
 * with the cancellation of its thread put off. */
bool hgi_gate_wait(struct hgi_gate *gate, const struct hgi_gate_wait *wait, int64_t *release_ns);

#endif
