/* The gate of wait_and_retry, with real threads: one poller, everybody let go, on a ramp. A plain
 * program, so that it also runs under ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <herdgate/policy.h>

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

static void start(pthread_t *threads, struct waiter *waiters, int64_t deadline_ns, int64_t ramp_ns)
{
    atomic_store(&inside, 0);
    atomic_store(&questions, 0);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter) { .wait = { .condition = condition,
                                                 .arg = &gate,
                                                 .poll_ns = HGI_NS_PER_MS,
                                                 .ramp_ns = ramp_ns,
                                                 .deadline_ns = deadline_ns } };
        require(pthread_create(&threads[i], NULL, waiter_main, &waiters[i]) == 0);
    }
}

static void everybody_is_let_go_on_a_ramp(void)
{
    pthread_t threads[WAITERS];
    struct waiter waiters[WAITERS];
    atomic_store(&open_now, false);
    start(threads, waiters, hgi_now_ns() + 60 * HGI_NS_PER_S, HGI_NS_PER_S);
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
    start(threads, waiters, deadline_ns, HGI_NS_PER_S);
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

/* As in a long outage: who waits now came when others waited who have given up since. */
static void who_came_late_is_on_the_ramp_too(void)
{
    pthread_t threads[WAITERS];
    struct waiter waiters[WAITERS];
    const int64_t began_ns = hgi_now_ns();
    atomic_store(&open_now, false);
    atomic_store(&inside, 0);
    for (int i = 0; i < WAITERS; i++) {
        int64_t patience_ns = i < WAITERS / 2 ? 50 * HGI_NS_PER_MS : 60 * HGI_NS_PER_S;
        waiters[i] = (struct waiter) { .wait = { .condition = condition,
                                                 .arg = &gate,
                                                 .poll_ns = HGI_NS_PER_MS,
                                                 .ramp_ns = HGI_NS_PER_S,
                                                 .deadline_ns = began_ns + patience_ns } };
        require(pthread_create(&threads[i], NULL, waiter_main, &waiters[i]) == 0);
    }
    for (int i = 0; i < WAITERS / 2; i++)
        pthread_join(threads[i], NULL);
    while (atomic_load(&inside) < WAITERS)
        hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    atomic_store(&open_now, true);
    for (int i = WAITERS / 2; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        require(waiters[i].went_on);
        for (int j = WAITERS / 2; j < i; j++)
            require(waiters[i].release_ns != waiters[j].release_ns);
    }
}

static _Thread_local bool is_heir;
static _Atomic int first_questions;
static _Atomic int heir_questions;

static bool never(void *arg)
{
    (void)arg;
    atomic_fetch_add(is_heir ? &heir_questions : &first_questions, 1);
    return false;
}

static void *heir_main(void *arg)
{
    is_heir = true;
    return waiter_main(arg);
}

/* The first asks after 1 interval and gives up after 1.5; the other's time is over after 2.2. A busy
 * machine may let the heir come too late: it is tried again. */
static void the_next_question_is_not_put_off_by_a_new_poller(void)
{
    const int64_t poll_ns = 40 * HGI_NS_PER_MS;
    atomic_store(&heir_questions, 0);
    for (int round = 0; round < 100 && atomic_load(&heir_questions) == 0; round++) {
        pthread_t threads[2];
        struct waiter waiters[2];
        int64_t began_ns = hgi_now_ns();
        atomic_store(&first_questions, 0);
        for (int i = 0; i < 2; i++) {
            int64_t patience_ns = i == 0 ? poll_ns * 3 / 2 : poll_ns * 11 / 5;
            waiters[i] = (struct waiter) { .wait = { .condition = never,
                                                     .arg = &gate,
                                                     .poll_ns = poll_ns,
                                                     .deadline_ns = began_ns + patience_ns } };
            void *(*main_of)(void *) = i == 0 ? waiter_main : heir_main;
            require(pthread_create(&threads[i], NULL, main_of, &waiters[i]) == 0);
            while (i == 0 && atomic_load(&first_questions) == 0 &&
                   hgi_now_ns() < waiters[0].wait.deadline_ns)
                hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
        }
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
    }
    require(atomic_load(&heir_questions) > 0);
}

static void a_poller_that_is_cancelled_does_not_take_the_room_with_it(void)
{
    pthread_t threads[2];
    struct waiter waiters[2];
    atomic_store(&open_now, false);
    atomic_store(&inside, 0);
    atomic_store(&questions, 0);
    for (int i = 0; i < 2; i++) {
        waiters[i] =
            (struct waiter) { .wait = { .condition = condition,
                                        .arg = &gate,
                                        .poll_ns = HGI_NS_PER_MS,
                                        .deadline_ns = hgi_now_ns() + 60 * HGI_NS_PER_S } };
        require(pthread_create(&threads[i], NULL, waiter_main, &waiters[i]) == 0);
        while (i == 0 && atomic_load(&questions) == 0)
            hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    }
    require(pthread_cancel(threads[0]) == 0);
    atomic_store(&open_now, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    require(waiters[1].went_on);
    require(gate.rooms == NULL);
}

/* No more questions than intervals that have passed, however many ask. */
static void questions_are_an_interval_apart(void)
{
    pthread_t threads[WAITERS];
    struct waiter waiters[WAITERS];
    const int64_t poll_ns = 10 * HGI_NS_PER_MS, began_ns = hgi_now_ns();
    atomic_store(&open_now, false);
    atomic_store(&questions, 0);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter) { .wait = { .condition = condition,
                                                 .arg = &gate,
                                                 .poll_ns = poll_ns,
                                                 .deadline_ns = began_ns + 60 * HGI_NS_PER_MS } };
        require(pthread_create(&threads[i], NULL, waiter_main, &waiters[i]) == 0);
    }
    for (int i = 0; i < WAITERS; i++)
        pthread_join(threads[i], NULL);
    require(atomic_load(&questions) <= (hgi_now_ns() - began_ns) / poll_ns);
}

static void who_has_less_time_than_an_interval_does_not_wait_for_the_question(void)
{
    struct hgi_gate_wait wait = { .condition = condition,
                                  .arg = &gate,
                                  .poll_ns = 600 * HGI_NS_PER_S,
                                  .deadline_ns = hgi_now_ns() + 10 * HGI_NS_PER_MS };
    int64_t release_ns;
    require(!hgi_gate_wait(&gate, &wait, &release_ns));
    require(hgi_now_ns() < wait.deadline_ns + 300 * HGI_NS_PER_S);
}

/* Called for the outer wait, whose room has its poller: this thread. The inner one is about another
 * argument, so it has a room, and a poller, of its own. */
static bool outer_condition(void *arg)
{
    struct hgi_gate_wait inner = { .condition = outer_condition,
                                   .arg = NULL,
                                   .poll_ns = HGI_NS_PER_MS,
                                   .deadline_ns = hgi_now_ns() + 20 * HGI_NS_PER_S };
    int64_t release_ns;
    return !arg || hgi_gate_wait(&gate, &inner, &release_ns);
}

static void each_argument_has_a_room_of_its_own(void)
{
    struct hgi_gate_wait outer = { .condition = outer_condition,
                                   .arg = &gate,
                                   .poll_ns = HGI_NS_PER_MS,
                                   .deadline_ns = hgi_now_ns() + 60 * HGI_NS_PER_S };
    int64_t release_ns;
    require(hgi_gate_wait(&gate, &outer, &release_ns));
}

/* The ramp is longer than anybody's time, so of all who are let go at once the first alone goes on. */
static void whose_place_on_the_ramp_is_behind_the_deadline_does_not_go_on(void)
{
    pthread_t threads[WAITERS];
    struct waiter waiters[WAITERS];
    unsigned late = 0;
    atomic_store(&open_now, false);
    start(threads, waiters, hgi_now_ns() + 60 * HGI_NS_PER_S, 36000 * HGI_NS_PER_S);
    while (atomic_load(&inside) < WAITERS || atomic_load(&questions) < 5)
        hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    atomic_store(&open_now, true);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        require(waiters[i].went_on == (waiters[i].release_ns < waiters[i].wait.deadline_ns));
        late += !waiters[i].went_on;
    }
    require(late > 0);
}

static hg_policy *policy;

static bool is_open(void *arg)
{
    (void)arg;
    atomic_fetch_add(&questions, 1);
    return atomic_load(&open_now);
}

static hg_status loading_until_open(void *arg, struct hg_attempt *attempt)
{
    (void)arg;
    attempt->outcome = HG_OUTCOME_REJECTED;
    snprintf(attempt->error->server_code, sizeof attempt->error->server_code, "LOADING");
    return atomic_load(&open_now) && attempt->number > 1 ? HG_OK : HG_ERR_UNAVAILABLE;
}

static hg_status run_until_open(void)
{
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.op_class = "read";
    options.condition = is_open;
    options.deadline_ns = 60 * HGI_NS_PER_S;
    return hg_run(policy, &options, loading_until_open, NULL, NULL);
}

static void *run_main(void *arg)
{
    (void)arg;
    require(run_until_open() == HG_OK);
    return NULL;
}

/* The child goes where a thread of its parent was the poller. */
static void a_child_of_fork_asks_by_itself(void)
{
    static const char text[] = "{\"recovery\": {\"poll\": \"1ms\", \"ramp\": \"0s\"}}";
    pthread_t thread;
    int how;
    require(hg_policy_parse(&policy, text, sizeof text - 1, "test", NULL) == HG_OK);
    atomic_store(&open_now, false);
    atomic_store(&questions, 0);
    require(pthread_create(&thread, NULL, run_main, NULL) == 0);
    while (atomic_load(&questions) == 0)
        hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    pid_t child = fork();
    if (child == 0) {
        atomic_store(&open_now, true);
        _exit(run_until_open() == HG_OK ? 0 : 1);
    }
    require(child > 0);
    require(waitpid(child, &how, 0) == child);
    require(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    atomic_store(&open_now, true);
    pthread_join(thread, NULL);
    hg_policy_drop(policy);
}

/* The second comes when the room's next question is near, and waits an interval all the same. */
static void without_a_condition_each_waits_an_interval(void)
{
    pthread_t threads[2];
    struct waiter waiters[2];
    int64_t began_ns[2];
    atomic_store(&inside, 0);
    for (int i = 0; i < 2; i++) {
        began_ns[i] = hgi_now_ns();
        waiters[i] = (struct waiter) { .wait = { .poll_ns = 30 * HGI_NS_PER_MS,
                                                 .deadline_ns = began_ns[i] + 60 * HGI_NS_PER_S } };
        require(pthread_create(&threads[i], NULL, waiter_main, &waiters[i]) == 0);
        while (i == 0 && hgi_now_ns() < began_ns[0] + 20 * HGI_NS_PER_MS)
            hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        require(waiters[i].went_on);
        require(waiters[i].release_ns - began_ns[i] >= 30 * HGI_NS_PER_MS);
    }
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
        who_came_late_is_on_the_ramp_too();
        the_deadline_ends_the_waiting_of_all();
        a_poller_that_leaves_passes_the_job_on();
        a_poller_that_is_cancelled_does_not_take_the_room_with_it();
    }
    whose_place_on_the_ramp_is_behind_the_deadline_does_not_go_on();
    questions_are_an_interval_apart();
    who_has_less_time_than_an_interval_does_not_wait_for_the_question();
    each_argument_has_a_room_of_its_own();
    without_a_condition_each_waits_an_interval();
    the_next_question_is_not_put_off_by_a_new_poller();
    without_a_condition_one_interval_is_waited();
    a_child_of_fork_asks_by_itself();
    hgi_gate_destroy(&gate);
    puts("the gate holds");
    return 0;
}
