/* Many threads on few connections, on a real server: a reply belongs to its command, waiters are
 * served in order, connections never exceed their limit, closing waits for those inside. A plain
 * program, so that it also runs under ThreadSanitizer. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "tests/pool/one_pool.h"
#include "tools/common/wire.h"

enum { THREADS = 16, CONNECTIONS = 4 };

static void run_threads(unsigned count, void *(*main)(void *))
{
    pthread_t threads[64];
    require(count <= 64);
    for (unsigned i = 0; i < count; i++)
        require(pthread_create(&threads[i], NULL, main, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* --- every reply is the reply to its command --- */

static void *echo_main(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < 400; i++) {
        char nonce[48];
        snprintf(nonce, sizeof nonce, "%u-%u", me, i);
        redisReply *reply;
        struct hg_error err = HG_ERROR_INIT;
        hg_status status = hg_command(pool, &reply, &err, "ECHO %s", nonce);
        if (status != HG_OK)
            fprintf(stderr, "%s\n", err.message);
        require(status == HG_OK);
        require(strcmp(reply->str, nonce) == 0);
        freeReplyObject(reply);
    }
    return NULL;
}

static void replies_belong_to_their_commands(void)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 4}, " PATIENT "}");
    run_threads(THREADS, echo_main);
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    require(stats.attempts == THREADS * 400);
    require(stats.dials <= CONNECTIONS);
    require(stats.leased == 0 && stats.waiting == 0);
    close_pool(pool);
}

/* --- a connection is with one thread at a time --- */

static _Atomic int owner[1 << 16];

static void *lease_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 200; i++) {
        hg_lease *lease;
        require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
        redisReply *reply;
        require(hg_lease_command(lease, &reply, NULL, "CLIENT ID") == HG_OK);
        int id = (int)reply->integer;
        freeReplyObject(reply);
        require(atomic_fetch_add(&owner[id], 1) == 0);
        require(hg_lease_command(lease, NULL, NULL, "PING") == HG_OK);
        require(atomic_fetch_sub(&owner[id], 1) == 1);
        hg_release(lease, HG_OK);
    }
    return NULL;
}

static void a_connection_is_with_one_thread_at_a_time(void)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 4}, " PATIENT "}");
    run_threads(THREADS, lease_main);
    close_pool(pool);
}

/* --- waiters are served in order --- */

static _Atomic unsigned served;
static unsigned order[THREADS];

static void *queue_main(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    hg_lease *lease;
    require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
    order[atomic_fetch_add(&served, 1)] = me;
    hg_release(lease, HG_OK);
    return NULL;
}

static void waiters_are_served_in_order(void)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1}, \"classes\": {\"write_once\": {\"deadline\": "
                     "\"60s\"}}}");
    hg_lease *lease;
    pthread_t threads[THREADS];
    require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
    for (uintptr_t i = 0; i < THREADS; i++) {
        require(pthread_create(&threads[i], NULL, queue_main, (void *)i) == 0);
        wait_for(so_many_wait, (void *)(i + 1), "the thread is in the queue");
    }
    hg_release(lease, HG_OK);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++)
        require(order[i] == i);
    close_pool(pool);
}

/* --- an opening breaker and a closing pool wake all who wait --- */

static _Atomic int statuses[THREADS];

static void *refused_main(void *arg)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_lease *lease;
    statuses[(uintptr_t)arg] = (int)hg_acquire(pool, &lease, NULL, &err);
    return NULL;
}

static void with_all_waiting(hg_status expected, void (*act)(void))
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1}, \"classes\": {\"write_once\": {\"deadline\": "
                     "\"60s\"}}}");
    hg_lease *lease;
    pthread_t threads[THREADS];
    require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, refused_main, (void *)i) == 0);
    wait_for(so_many_wait, (void *)(uintptr_t)THREADS, "all are in the queue");
    act();
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++)
        require(statuses[i] == (int)expected);
    hg_release(lease, HG_OK);
}

static void trip(void)
{
    hg_breaker_trip(hg_pool_breaker(pool));
}

static void close_too_early(void)
{
    struct hg_error err = HG_ERROR_INIT;
    require(hg_pool_close(pool, 0, &err) == HG_ERR_TIMEOUT);
    require(strstr(err.message, "1 lease") != NULL);
}

static void an_opening_breaker_wakes_all_waiters(void)
{
    with_all_waiting(HG_ERR_CIRCUIT_OPEN, trip);
    close_pool(pool);
}

static void a_closing_pool_wakes_all_waiters_and_a_late_lease_still_comes_home(void)
{
    with_all_waiting(HG_ERR_CLOSED, close_too_early); /* the release after it frees the pool */
}

/* --- calls while the pool is being closed end well or as CLOSED --- */

static _Atomic bool stop;

static void *call_until_closed_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        struct hg_error err = HG_ERROR_INIT;
        hg_status status = hg_command(pool, NULL, &err, "PING");
        require(status == HG_OK || status == HG_ERR_CLOSED);
        if (status == HG_ERR_CLOSED)
            break;
    }
    return NULL;
}

static void calls_end_while_the_pool_closes(void)
{
    for (int round = 0; round < 20; round++) {
        pool =
            open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
        hg_lease *lease; /* keeps the pool open until every thread has seen that it closes */
        require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            require(pthread_create(&threads[i], NULL, call_until_closed_main, NULL) == 0);
        sleep_ms(2);
        require(hg_pool_close(pool, 0, NULL) == HG_ERR_TIMEOUT);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        hg_release(lease, HG_OK);
    }
}

/* --- the server goes away and comes back under load --- */

static _Atomic unsigned well, not_well[16]; /* by type */
static pthread_mutex_t sample_mutex = PTHREAD_MUTEX_INITIALIZER;
static char sample[400]; /* guarded by it: one error of this fault, as a user sees it */

static void check_error(const struct hg_error *err)
{
    char endpoint[160];
    snprintf(endpoint, sizeof endpoint, "%s: ", err->endpoint);
    require(err->type < 0 && strcmp(hg_status_name(err->type), "?") != 0);
    require(strcmp(err->operation, "ECHO") == 0);
    require(strncmp(err->endpoint, "unix:/", 6) == 0);
    require(strncmp(err->message, endpoint, strlen(endpoint)) == 0);
    require(err->max_attempts > 0 && err->attempt <= err->max_attempts);
    /* Without an attempt: refused by the breaker, or no connection came in time. */
    require(err->attempt > 0 || err->type == HG_ERR_CIRCUIT_OPEN ||
            err->type == HG_ERR_POOL_TIMEOUT);
    atomic_fetch_add(&not_well[-err->type], 1);
    pthread_mutex_lock(&sample_mutex);
    if (!sample[0] && err->attempt > 0)
        snprintf(sample, sizeof sample, "%s at attempt %u of %u: %.300s", hg_status_name(err->type),
                 (unsigned)err->attempt, (unsigned)err->max_attempts, err->message);
    pthread_mutex_unlock(&sample_mutex);
}

static void *storm_main(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        char nonce[48];
        snprintf(nonce, sizeof nonce, "%u-%u", me, i);
        redisReply *reply;
        struct hg_error err = HG_ERROR_INIT;
        if (hg_command(pool, &reply, &err, "ECHO %s", nonce) == HG_OK) {
            require(strcmp(reply->str, nonce) == 0);
            atomic_fetch_add(&well, 1);
        } else {
            require(reply == NULL);
            check_error(&err);
            sleep_ms(1);
        }
        freeReplyObject(reply);
        struct hg_pool_stats stats = HG_POOL_STATS_INIT;
        hg_pool_read_stats(pool, &stats);
        require(stats.idle + stats.leased + stats.dialing + stats.mending <= CONNECTIONS);
    }
    return NULL;
}

static bool enough_well(void *arg)
{
    return atomic_load(&well) >= (unsigned)(uintptr_t)arg;
}

static void kill_and_restart(void)
{
    struct hgi_problem problem;
    hgi_private_server_kill(server);
    sleep_ms(500);
    require(hgi_private_server_restart(server, &problem));
}

static void stop_for_3_s(void)
{
    hgi_private_server_pause(server);
    sleep_ms(3000);
    hgi_private_server_resume(server);
}

static void ask(struct hgi_wire *wire, const char *command)
{
    redisReply *reply = hgi_wire_command(wire, NULL, command);
    require(reply && reply->type != REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static struct hgi_wire *connect_beside_the_pool(void)
{
    struct hgi_problem problem;
    struct hgi_wire *wire =
        hgi_wire_open_unix(hgi_private_server_socket(server), 20 * HGI_NS_PER_S, &problem);
    require(wire != NULL);
    return wire;
}

static void cut_all_clients(void)
{
    struct hgi_wire *wire = connect_beside_the_pool();
    for (int i = 0; i < 20; i++) {
        ask(wire, "CLIENT KILL TYPE normal");
        sleep_ms(20);
    }
    hgi_wire_close(wire);
}

/* One of the two is taken here. */
static void leave_two_places(void)
{
    struct hgi_wire *wire = connect_beside_the_pool();
    ask(wire, "CONFIG SET maxclients 2");
    ask(wire, "CLIENT KILL TYPE normal");
    sleep_ms(500);
    ask(wire, "CONFIG SET maxclients 100");
    hgi_wire_close(wire);
}

static void print_storm(const char *name)
{
    printf("  %s:", name);
    for (int type = 1; type < 16; type++) {
        unsigned count = atomic_exchange(&not_well[type], 0);
        if (count > 0)
            printf(" %u %s", count, hg_status_name((hg_status)-type));
    }
    printf("\n    %s\n", sample[0] ? sample : "no error after a first attempt");
    pthread_mutex_lock(&sample_mutex);
    sample[0] = '\0';
    pthread_mutex_unlock(&sample_mutex);
}

static void all_faults(void)
{
    static const struct {
        const char *name;
        void (*happens)(void);
    } faults[] = { { "kill -9 and a restart", kill_and_restart },
                   { "SIGSTOP for 3 s", stop_for_3_s },
                   { "CLIENT KILL TYPE normal, 20 times", cut_all_clients },
                   { "maxclients 2", leave_two_places } };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        unsigned before = atomic_load(&well);
        wait_for(enough_well, (void *)(uintptr_t)(before + 200), "calls go well");
        faults[i].happens();
        print_storm(faults[i].name);
    }
    unsigned before = atomic_load(&well);
    wait_for(enough_well, (void *)(uintptr_t)(before + 200), "calls go well again");
    atomic_store(&stop, true);
}

static void the_pool_outlives_what_happens_to_the_server(void)
{
    atomic_store(&stop, false);
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 4, \"connect_timeout\": \"1s\"},"
                     " \"breaker\": {\"recovery_timeout\": \"200ms\"}}");
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, storm_main, (void *)i) == 0);
    all_faults(); /* on this thread: the server dies with the thread that starts it */
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    close_pool(pool);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "replies belong to their commands", replies_belong_to_their_commands },
        { "a connection is with one thread at a time", a_connection_is_with_one_thread_at_a_time },
        { "waiters are served in order", waiters_are_served_in_order },
        { "an opening breaker wakes all waiters", an_opening_breaker_wakes_all_waiters },
        { "a closing pool wakes all waiters and a late lease still comes home",
          a_closing_pool_wakes_all_waiters_and_a_late_lease_still_comes_home },
        { "calls end while the pool closes", calls_end_while_the_pool_closes },
        { "the pool outlives what happens to the server",
          the_pool_outlives_what_happens_to_the_server },
    };
    signal(SIGPIPE, SIG_DFL); /* one that reached us would end the program */
    run_named_tests(tests, sizeof tests / sizeof tests[0]);
    return 0;
}
