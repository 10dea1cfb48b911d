/* Who gets a connection when many want one, under each setting of fairness, on a real server.
 *
 * Order is judged from outside. Every take is logged: when the caller arrived, when it was in the queue,
 * when it had the connection, and when it began to give it back. A waiter cannot have been served
 * before the last holder of its connection began to give it back. So whoever arrived after the waiter
 * might not be overtaken any more, and had a connection before that moment, has overtaken it.
 *
 * A plain program, so that it also runs under ThreadSanitizer. */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "tests/pool/taking.h"
#include "tools/common/random.h"

enum { CALLERS = 64, CONNECTIONS = 8, LOG_SIZE = 100 * 1000 };

struct taken {
    int64_t arrived_ns;
    int64_t queued_ns; /* 0: did not wait */
    int64_t had_ns;
    int64_t given_ns; /* when it began to give it back */
    const struct hgi_slot *slot;
    int64_t last_given_ns; /* of the connection's holder before; 0: there was none */
};

static _Atomic bool stop;

static void ping(struct hgi_conn *conn)
{
    static const char command[] = "*1\r\n$4\r\nPING\r\n";
    redisReply *reply = NULL;
    struct hgi_span span = { .end_ns = hgi_now_ns() + 60 * HGI_NS_PER_S };
    require(hgi_conn_send(conn, command, sizeof command - 1, &span).kind == HGI_IO_OK);
    require(hgi_conn_receive(conn, &reply, &span).kind == HGI_IO_OK);
    freeReplyObject(reply);
}

/* --- many callers: nobody is overtaken for longer than the setting says --- */

static struct taken *logs[CALLERS];
static uint32_t logged[CALLERS];

static void *caller_main(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint32_t count = 0;
    for (; count < LOG_SIZE && !atomic_load(&stop); count++) {
        struct taken *entry = &logs[me][count];
        struct hgi_take take;
        entry->arrived_ns = hgi_now_ns();
        require(take_one(&take, 60 * HGI_NS_PER_S) == HG_OK);
        entry->had_ns = hgi_now_ns();
        entry->queued_ns = take.queued_ns;
        entry->slot = take.slot;
        ping(take.slot->conn);
        entry->given_ns = hgi_now_ns();
        give_back(take.slot);
    }
    logged[me] = count;
    return NULL;
}

static int by_had(const void *a, const void *b)
{
    int64_t x = ((const struct taken *)a)->had_ns;
    int64_t y = ((const struct taken *)b)->had_ns;
    return (x > y) - (x < y);
}

/* All takes in the order in which the connections were had. */
static struct taken *sorted_log(size_t *count)
{
    *count = 0;
    for (unsigned i = 0; i < CALLERS; i++)
        *count += logged[i];
    struct taken *all = calloc(*count, sizeof *all);
    require(all != NULL);
    size_t at = 0;
    for (unsigned i = 0; i < CALLERS; i++)
        for (uint32_t j = 0; j < logged[i]; j++)
            all[at++] = logs[i][j];
    qsort(all, *count, sizeof *all, by_had);
    for (size_t i = 0; i < *count; i++) {
        uint32_t slot = (uint32_t)(all[i].slot - pool->slots);
        static int64_t last_given_ns[CONNECTIONS];
        if (i == 0)
            memset(last_given_ns, 0, sizeof last_given_ns);
        require(slot < CONNECTIONS);
        require(all[i].had_ns >= last_given_ns[slot]); /* one holder at a time */
        all[i].last_given_ns = last_given_ns[slot];
        last_given_ns[slot] = all[i].given_ns;
    }
    return all;
}

/* How many waiters were overtaken by one who arrived `limit_ns` after they had queued, or later. */
static unsigned overtaken(const struct taken *all, size_t count, int64_t limit_ns)
{
    /* latest[i]: the latest arrival among the first i takes. */
    int64_t *latest = calloc(count + 1, sizeof *latest);
    require(latest != NULL);
    for (size_t i = 0; i < count; i++)
        latest[i + 1] = all[i].arrived_ns > latest[i] ? all[i].arrived_ns : latest[i];
    unsigned found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct taken *waiter = &all[i];
        if (waiter->queued_ns == 0 || waiter->last_given_ns == 0)
            continue;
        size_t low = 0; /* how many had theirs before the waiter can have been served */
        for (size_t high = count; low < high;) {
            size_t middle = low + (high - low) / 2;
            if (all[middle].had_ns < waiter->last_given_ns)
                low = middle + 1;
            else
                high = middle;
        }
        if (latest[low] > waiter->queued_ns + limit_ns)
            found++;
    }
    free(latest);
    return found;
}

/* Run the callers under a setting; how many were overtaken after limit_ns. */
static unsigned run_callers(const char *fairness, int64_t limit_ns)
{
    pthread_t threads[CALLERS];
    pool = open_fair(fairness, CONNECTIONS);
    wait_for(so_many_idle, (void *)(uintptr_t)CONNECTIONS, "all connections stand");
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < CALLERS; i++)
        require(pthread_create(&threads[i], NULL, caller_main, (void *)i) == 0);
    hgi_sleep_until(hgi_now_ns() + run_ns);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    size_t count;
    struct taken *all = sorted_log(&count);
    unsigned found = overtaken(all, count, limit_ns);
    unsigned waited = 0;
    for (size_t i = 0; i < count; i++)
        waited += all[i].queued_ns != 0;
    struct hg_pool_stats stats = stats_now();
    printf("  %s: %zu takes, %u waited, %" PRIu64 " handed over, %u overtaken after %.1f ms\n",
           fairness, count, waited, stats.handed, found, (double)limit_ns / 1e6);
    require(waited > 0);
    require(stats.waiting == 0 && stats.leased == 0 && stats.dials == CONNECTIONS);
    free(all);
    close_pool(pool);
    return found;
}

static void fifo_overtakes_nobody(void)
{
    require(run_callers("\"fairness\": \"fifo\"", 0) == 0);
}

static void bounded_overtakes_nobody_after_the_limit(void)
{
    /* that there is if nothing else is said */
    require(run_callers("\"fairness\": \"bounded\"", HGI_NS_PER_MS) == 0);
}

static void bounded_with_a_short_limit(void)
{
    require(run_callers("\"fairness\": \"bounded\", \"barging_limit\": \"100us\"",
                        HGI_NS_PER_MS / 10) == 0);
}

/* The same measure finds what is there to be found. */
static void barging_overtakes(void)
{
    run_callers("\"fairness\": \"barging\"", HGI_NS_PER_MS);
}

/* --- one connection: order is exact, for whoever holds it draws a ticket --- */

static _Atomic unsigned next_ticket;

static void *ticket_main(void *arg)
{
    struct hgi_take take;
    require(take_one(&take, 60 * HGI_NS_PER_S) == HG_OK);
    *(unsigned *)arg = atomic_fetch_add(&next_ticket, 1);
    give_back(take.slot);
    return NULL;
}

/* A queues; then B comes, just as the connection is given back. */
static void later_comer_is_later(const char *fairness, unsigned rounds, unsigned wait_ms)
{
    pool = open_fair(fairness, 1);
    for (unsigned i = 0; i < rounds; i++) {
        unsigned ticket_a = 0, ticket_b = 0;
        struct hgi_take take;
        pthread_t a, b;
        require(take_one(&take, 60 * HGI_NS_PER_S) == HG_OK);
        require(pthread_create(&a, NULL, ticket_main, &ticket_a) == 0);
        wait_for(so_many_wait, (void *)(uintptr_t)1, "A is in the queue");
        sleep_ms(wait_ms);
        require(pthread_create(&b, NULL, ticket_main, &ticket_b) == 0);
        for (unsigned yields = random_below(&seed, 4); yields > 0; yields--)
            sched_yield();
        give_back(take.slot);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
        require(ticket_a < ticket_b);
    }
    close_pool(pool);
}

static void who_queued_before_is_served_before(void)
{
    later_comer_is_later("\"fairness\": \"fifo\"", 500, 0);
    later_comer_is_later("\"fairness\": \"bounded\", \"barging_limit\": \"1ms\"", 100, 2);
}

static _Atomic bool a_is_done;

static void *wait_main(void *arg)
{
    (void)arg;
    struct hgi_take take;
    require(take_one(&take, 60 * HGI_NS_PER_S) == HG_OK);
    atomic_store(&a_is_done, true);
    give_back(take.slot);
    return NULL;
}

/* The thread that runs takes the connection again before the one that sleeps has woken: some day. */
static void a_running_thread_may_overtake(const char *fairness)
{
    bool overtook = false;
    pool = open_fair(fairness, 1);
    for (int64_t end_ns = hgi_now_ns() + 60 * HGI_NS_PER_S; !overtook && hgi_now_ns() < end_ns;) {
        struct hgi_take take;
        pthread_t a;
        atomic_store(&a_is_done, false);
        require(take_one(&take, 60 * HGI_NS_PER_S) == HG_OK);
        require(pthread_create(&a, NULL, wait_main, NULL) == 0);
        wait_for(so_many_wait, (void *)(uintptr_t)1, "A is in the queue");
        give_back(take.slot);
        require(take_one(&take, 60 * HGI_NS_PER_S) == HG_OK);
        overtook = !atomic_load(&a_is_done);
        give_back(take.slot);
        pthread_join(a, NULL);
        require(atomic_load(&a_is_done));
    }
    require(overtook);
    close_pool(pool);
}

static void barging_serves_whoever_runs(void)
{
    a_running_thread_may_overtake("\"fairness\": \"barging\"");
    a_running_thread_may_overtake("\"fairness\": \"bounded\", \"barging_limit\": \"60s\"");
}

int main(void)
{
    static const struct named_test tests[] = {
        { "who queued before is served before", who_queued_before_is_served_before },
        { "barging serves whoever runs", barging_serves_whoever_runs },
        { "fifo overtakes nobody", fifo_overtakes_nobody },
        { "bounded overtakes nobody after the limit", bounded_overtakes_nobody_after_the_limit },
        { "bounded overtakes nobody after a short limit", bounded_with_a_short_limit },
        { "barging overtakes, and the measure shows it", barging_overtakes },
    };
    for (unsigned i = 0; i < CALLERS; i++)
        require((logs[i] = calloc(LOG_SIZE, sizeof **logs)) != NULL);
    run_tests(tests, sizeof tests / sizeof tests[0]);
    for (unsigned i = 0; i < CALLERS; i++)
        free(logs[i]);
    return 0;
}
