/* Waiters that come, look and give up just as connections come back: no connection is lost, and nobody
 * sleeps beside a free one.
 *
 * Schedules are random: the linker puts a function of this file before every lock of a mutex, also
 * those in the library, and now and then it lets others go first. So what lies between a look at the
 * slots and a place in the queue takes long enough for others to come between. And the keeper sleeps,
 * which would find a forgotten waiter within a second.
 *
 * A plain program, so that it also runs under ThreadSanitizer. */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "breaker/clock.h"
#include "tests/pool/taking.h"
#include "tools/common/random.h"

static _Atomic bool stop;

static void spin(uint64_t *random, uint32_t most)
{
    for (volatile uint32_t turns = random_below(random, most); turns > 0; turns--)
        continue;
}

/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static _Thread_local uint64_t random;
    if (random == 0)
        random = (uint64_t)hgi_thread_id();
    uint32_t what = random_below(&random, 8);
    if (what == 0)
        sched_yield();
    else if (what < 4)
        spin(&random, 4000);
    return __real_pthread_mutex_lock(mutex);
}

int __real_epoll_wait(int fd, struct epoll_event *events, int size, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int size, int timeout_ms);

int __wrap_epoll_wait(int fd, struct epoll_event *events, int size, int timeout_ms)
{
    (void)timeout_ms;
    return __real_epoll_wait(fd, events, size, -1);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */
/* --- waiters that give up just as connections come: none is lost, nobody sleeps beside a free one --- */

enum { RACERS = 6, TURNS = 60 };

struct racer {
    uint64_t random;
    unsigned got, gave_up;
};

static void *racer_main(void *arg)
{
    struct racer *racer = arg;
    for (unsigned i = 0; i < TURNS; i++) {
        struct hgi_take take;
        /* One in four waits for as long as it takes: were it forgotten, it would fail. */
        bool patient = random_below(&racer->random, 4) == 0;
        int64_t wait_ns = patient ? 60 * HGI_NS_PER_S : random_below(&racer->random, 60000);
        hg_status status = take_one(&take, wait_ns);
        require(status == HG_OK || (status == HG_ERR_POOL_TIMEOUT && !patient));
        if (status != HG_OK) {
            racer->gave_up++;
            continue;
        }
        racer->got++;
        int64_t until_ns = hgi_now_ns() + random_below(&racer->random, 40000);
        while (hgi_now_ns() < until_ns)
            if (random_below(&racer->random, 8) == 0)
                sched_yield();
        give_back(take.slot);
    }
    return NULL;
}

/* All connections are there, and can be had at once. */
static void count_connections(unsigned connections)
{
    struct hgi_take take[2];
    struct hg_pool_stats stats = stats_now();
    require(stats.idle == connections && stats.leased == 0 && stats.waiting == 0);
    require(stats.dials == connections);
    for (unsigned i = 0; i < connections; i++)
        require(take_one(&take[i], 0) == HG_OK);
    for (unsigned i = 0; i < connections; i++)
        give_back(take[i].slot);
}

static void race(const char *fairness, unsigned connections)
{
    unsigned got = 0, gave_up = 0;
    pool = open_fair(fairness, connections);
    wait_for(so_many_idle, (void *)(uintptr_t)connections, "all connections stand");
    int64_t end_ns = hgi_now_ns() + run_ns / 2;
    do {
        pthread_t threads[RACERS];
        struct racer racers[RACERS];
        for (unsigned i = 0; i < RACERS; i++) {
            racers[i] = (struct racer) { .random = random_next(&seed) };
            require(pthread_create(&threads[i], NULL, racer_main, &racers[i]) == 0);
        }
        for (unsigned i = 0; i < RACERS; i++) {
            pthread_join(threads[i], NULL);
            got += racers[i].got;
            gave_up += racers[i].gave_up;
        }
        count_connections(connections);
    } while (hgi_now_ns() < end_ns);
    printf("  %s on %u: %u got one, %u gave up\n", fairness, connections, got, gave_up);
    close_pool(pool);
}

static void no_connection_is_lost_when_waiters_give_up(void)
{
    for (unsigned connections = 1; connections <= 2; connections++) {
        race("\"fairness\": \"fifo\"", connections);
        race("\"fairness\": \"bounded\", \"barging_limit\": \"30us\"", connections);
        race("\"fairness\": \"barging\"", connections);
    }
}

/* --- a few takes each, then all wait for all: who was forgotten is missed --- */

enum { MEETERS = 6 };

static pthread_barrier_t all_met;

static void *meeter_main(void *arg)
{
    struct racer *racer = arg;
    for (;; pthread_barrier_wait(&all_met)) {
        pthread_barrier_wait(&all_met);
        if (atomic_load(&stop))
            return NULL;
        for (unsigned i = random_below(&racer->random, 3); i < 3; i++) {
            struct hgi_take take;
            spin(&racer->random, 300);
            /* One in four has little time; were another forgotten, it would fail. */
            bool patient = random_below(&racer->random, 4) != 0;
            int64_t wait_ns = patient ? 60 * HGI_NS_PER_S : random_below(&racer->random, 30000);
            hg_status status = take_one(&take, wait_ns);
            require(status == HG_OK || (status == HG_ERR_POOL_TIMEOUT && !patient));
            if (status != HG_OK)
                continue;
            spin(&racer->random, 4000);
            if (random_below(&racer->random, 4) == 0)
                sched_yield();
            give_back(take.slot);
        }
    }
}

static void meet(const char *fairness, unsigned connections)
{
    pthread_t threads[MEETERS];
    struct racer racers[MEETERS];
    unsigned rounds = 0;
    pool = open_fair(fairness, connections);
    wait_for(so_many_idle, (void *)(uintptr_t)connections, "all connections stand");
    require(pthread_barrier_init(&all_met, NULL, MEETERS + 1) == 0);
    atomic_store(&stop, false);
    for (unsigned i = 0; i < MEETERS; i++) {
        racers[i] = (struct racer) { .random = random_next(&seed) };
        require(pthread_create(&threads[i], NULL, meeter_main, &racers[i]) == 0);
    }
    for (int64_t end_ns = hgi_now_ns() + run_ns / 2; hgi_now_ns() < end_ns; rounds++) {
        pthread_barrier_wait(&all_met);
        pthread_barrier_wait(&all_met);
    }
    atomic_store(&stop, true);
    pthread_barrier_wait(&all_met);
    for (unsigned i = 0; i < MEETERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_met);
    printf("  %s on %u: %u rounds, %" PRIu64 " waited\n", fairness, connections, rounds,
           stats_now().queued);
    close_pool(pool);
}

/* Two connections come back at once: the one who was asked to look takes one, and tells of the other. */
static void *hold_both_main(void *arg)
{
    (void)arg;
    struct hgi_take take;
    require(take_one(&take, 60 * HGI_NS_PER_S) == HG_OK);
    pthread_barrier_wait(&all_met); /* only when the other has one too */
    give_back(take.slot);
    return NULL;
}

static void two_for_two(const char *fairness)
{
    pool = open_fair(fairness, 2);
    require(pthread_barrier_init(&all_met, NULL, 2) == 0);
    for (unsigned i = 0; i < 300; i++) {
        struct hgi_take held[2];
        pthread_t threads[2];
        for (uintptr_t j = 0; j < 2; j++)
            require(take_one(&held[j], 60 * HGI_NS_PER_S) == HG_OK);
        for (uintptr_t j = 0; j < 2; j++) {
            require(pthread_create(&threads[j], NULL, hold_both_main, NULL) == 0);
            wait_for(so_many_wait, (void *)(j + 1), "it is in the queue");
        }
        for (unsigned j = 0; j < 2; j++)
            give_back(held[j].slot);
        for (unsigned j = 0; j < 2; j++)
            pthread_join(threads[j], NULL);
    }
    pthread_barrier_destroy(&all_met);
    close_pool(pool);
}

static void nobody_sleeps_beside_a_free_connection(void)
{
    for (unsigned connections = 1; connections <= 2; connections++) {
        meet("\"fairness\": \"fifo\"", connections);
        meet("\"fairness\": \"bounded\", \"barging_limit\": \"20us\"", connections);
        meet("\"fairness\": \"barging\"", connections);
    }
    two_for_two("\"fairness\": \"fifo\"");
    two_for_two("\"fairness\": \"barging\"");
}

int main(void)
{
    static const struct named_test tests[] = {
        { "no connection is lost when waiters give up",
          no_connection_is_lost_when_waiters_give_up },
        { "nobody sleeps beside a free connection", nobody_sleeps_beside_a_free_connection },
    };
    run_tests(tests, sizeof tests / sizeof tests[0]);
    return 0;
}
