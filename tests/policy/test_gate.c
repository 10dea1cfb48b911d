/* The gate of wait_and_retry, with real threads: one poller, everybody let go, on a ramp. A plain
 * program, so that it also runs under ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "breaker/clock.h"
#include "policy/gate.h"

enum { WAITERS = 12 };

static void check(bool holds, int line, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "test_gate.c:%d: does not hold: %s\n", line, what);
    exit(1);
}
#define require(condition) check(condition, __LINE__, #condition)

static struct hgi_gate gate;
static _Atomic int asking; /* callers inside the condition */
static _Atomic int questions;
static _Atomic int inside; /* threads about to wait or waiting */
static _Atomic bool open_now;

static bool condition(void *arg)
{
    (void)arg;
    require(atomic_fetch_add(&asking, 1) == 0); /* one poller at a time */
    atomic_fetch_add(&questions, 1);
    bool holds = atomic_load(&open_now);
    atomic_fetch_sub(&asking, 1);
    return holds;
}

struct waiter {
    struct hgi_gate_wait wait;
    bool went_on;
    int64_t release_ns;
};

static void *waiter_main(void *arg)
{
    struct waiter *waiter = arg;
    atomic_fetch_add(&inside, 1);
    waiter->went_on = hgi_gate_wait(&gate, &waiter->wait, &waiter->release_ns);
    return NULL;
}

static void start(pthread_t *threads, struct waiter *waiters, int64_t deadline_ns)
{
    atomic_store(&inside, 0);
    atomic_store(&questions, 0);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter) { .wait = { .condition = condition,
                                                 .arg = &gate,
                                                 .poll_ns = HGI_NS_PER_MS,
                                                 .ramp_ns = HGI_NS_PER_S,
                                                 .deadline_ns = deadline_ns } };
        require(pthread_create(&threads[i], NULL, waiter_main, &waiters[i]) == 0);
    }
}

static void everybody_is_let_go_on_a_ramp(void)
{
    pthread_t threads[WAITERS];
    struct waiter waiters[WAITERS];
    atomic_store(&open_now, false);
    start(threads, waiters, hgi_now_ns() + 60 * HGI_NS_PER_S);
    while (atomic_load(&inside) < WAITERS || atomic_load(&questions) < 5)
        hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    atomic_store(&open_now, true);
    int64_t first_ns = INT64_MAX;
    int64_t last_ns = INT64_MIN;
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        require(waiters[i].went_on);
        if (waiters[i].release_ns < first_ns)
            first_ns = waiters[i].release_ns;
        if (waiters[i].release_ns > last_ns)
            last_ns = waiters[i].release_ns;
    }
    require(last_ns > first_ns); /* not all at once */
    for (int i = 0; i < WAITERS; i++)
        for (int j = 0; j < i; j++)
            require(waiters[i].release_ns != waiters[j].release_ns);
    require(gate.rooms == NULL);
}

static void the_deadline_ends_the_waiting_of_all(void)
{
    pthread_t threads[WAITERS];
    struct waiter waiters[WAITERS];
    atomic_store(&open_now, false);
    int64_t deadline_ns = hgi_now_ns() + 30 * HGI_NS_PER_MS;
    start(threads, waiters, deadline_ns);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        require(!waiters[i].went_on);
    }
    require(hgi_now_ns() >= deadline_ns);
    require(gate.rooms == NULL);
}

/* The first to wait asks, and leaves first; the job must go to the other, or it waits in vain. */
static void a_poller_that_leaves_passes_the_job_on(void)
{
    pthread_t threads[2];
    struct waiter waiters[2];
    atomic_store(&open_now, false);
    atomic_store(&inside, 0);
    atomic_store(&questions, 0);
    for (int i = 0; i < 2; i++) {
        int64_t patience_ns = i == 0 ? 40 * HGI_NS_PER_MS : 60 * HGI_NS_PER_S;
        waiters[i] = (struct waiter) { .wait = { .condition = condition,
                                                 .arg = &gate,
                                                 .poll_ns = HGI_NS_PER_MS,
                                                 .deadline_ns = hgi_now_ns() + patience_ns } };
        require(pthread_create(&threads[i], NULL, waiter_main, &waiters[i]) == 0);
        while (i == 0 && atomic_load(&questions) == 0 && hgi_now_ns() < waiters[0].wait.deadline_ns)
            hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    }
    pthread_join(threads[0], NULL);
    require(!waiters[0].went_on);
    atomic_store(&open_now, true);
    pthread_join(threads[1], NULL);
    require(waiters[1].went_on);
}

static void without_a_condition_one_interval_is_waited(void)
{
    struct hgi_gate_wait wait = { .poll_ns = 5 * HGI_NS_PER_MS,
                                  .deadline_ns = hgi_now_ns() + 60 * HGI_NS_PER_S };
    int64_t began_ns = hgi_now_ns();
    int64_t release_ns;
    require(hgi_gate_wait(&gate, &wait, &release_ns));
    require(release_ns - began_ns >= 5 * HGI_NS_PER_MS);
}

int main(void)
{
    require(hgi_gate_init(&gate) == 0);
    for (int round = 0; round < 5; round++) {
        everybody_is_let_go_on_a_ramp();
        the_deadline_ends_the_waiting_of_all();
        a_poller_that_leaves_passes_the_job_on();
    }
    without_a_condition_one_interval_is_waited();
    hgi_gate_destroy(&gate);
    puts("the gate holds");
    return 0;
}
