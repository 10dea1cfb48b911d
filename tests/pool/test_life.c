/* The life of connections on a real server: how many stand, when they go and why, what the server's end
 * of them does to calls, and what they cost, signals among it. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "pool/internal.h"
#include "tests/pool/one_pool.h"

TestSuite(life, .init = set_up_server, .fini = tear_down_both, .timeout = 250);

static void use(void)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "GET k"), HG_OK, "%s", err.message);
}

static uint64_t retired(hg_retirement why)
{
    return atomic_load(&pool->counters.retired[why]);
}

static bool three_were_closed_by_the_server(void *arg)
{
    (void)arg;
    return retired(HG_RETIRED_BY_SERVER) >= 3 && stats_now().closed_by_server >= 3;
}

static bool three_went_idle(void *arg)
{
    (void)arg;
    return retired(HG_RETIRED_IDLE) >= 3;
}

static bool one_retired(void *arg)
{
    return retired(*(hg_retirement *)arg) >= 1;
}

/* Have `count` connections, all idle. */
static void warm_up(uint32_t count)
{
    hg_lease *leases[260];
    cr_assert_leq(count, 260);
    for (uint32_t i = 0; i < count; i++)
        leases[i] = acquire();
    for (uint32_t i = 0; i < count; i++)
        hg_release(leases[i], HG_OK);
}

Test(life, min_idle_connections_stand_unasked_and_are_replaced)
{
    struct hgi_problem problem;
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 5, \"min_idle\": 3}, " PATIENT "}");
    wait_for(so_many_idle, SO_MANY(3), "three connections stand");
    freeReplyObject(hgi_private_server_command(server, &problem, "CLIENT KILL TYPE %s", "normal"));
    wait_for(three_were_closed_by_the_server, NULL, "the closed ones are gone");
    wait_for(so_many_idle, SO_MANY(3), "three connections stand again");
    use();
    cr_assert_eq(stats_now().failures, 0); /* nobody borrowed a dead one */
}

Test(life, idle_connections_above_min_idle_go_after_their_time)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 4, \"min_idle\": 1, \"idle_timeout\": "
                     "\"150ms\"}, " PATIENT "}");
    warm_up(4);
    wait_for(three_went_idle, NULL, "the others are gone");
    sleep_ms(400);
    wait_for(so_many_idle, SO_MANY(1), "one is left");
    cr_assert_eq(retired(HG_RETIRED_IDLE), 3);
    use();
}

Test(life, no_connection_outlives_its_lifetime)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1, \"max_lifetime\": \"100ms\"}, " PATIENT "}");
    use();
    hg_retirement why = HG_RETIRED_LIFETIME;
    wait_for(one_retired, &why, "the old one is gone");
    use();
    cr_assert_geq(stats_now().dials, 2);
    cr_assert_eq(stats_now().failures, 0);
}

Test(life, a_silent_server_is_found_by_keepalive_and_a_well_one_keeps_its_connections)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1, \"keepalive\": \"80ms\", \"connect_timeout\": "
                     "\"6s\"}, " PATIENT "}");
    use();
    sleep_ms(600); /* several PINGs */
    cr_assert_eq(stats_now().retired, 0);
    hgi_private_server_pause(server);
    hg_retirement why = HG_RETIRED_SILENT;
    wait_for(one_retired, &why, "the silent one is gone");
    hgi_private_server_resume(server);
    use();
}

static bool keeper_has_one(void *arg)
{
    (void)arg;
    for (int i = 0; i < 8; i++)
        if (atomic_load(&pool->slots[i].state) == HGI_SLOT_KEEPER)
            return true;
    return false;
}

static bool keeper_asks(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++, sleep_ms(5)) /* it only looks at one that has been used of late */
        if (!keeper_has_one(NULL))
            return false;
    return true;
}

Test(life, closing_does_not_wait_for_the_answer_of_a_silent_server_on_each_connection)
{
    struct hg_error err = HG_ERROR_INIT;
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 8, \"min_idle\": 8, \"keepalive\": \"200ms\", "
                     "\"connect_timeout\": \"4s\"}, " PATIENT "}");
    warm_up(8);
    hgi_private_server_pause(server);
    wait_for(keeper_asks, NULL, "the keeper waits for an answer");
    hg_pool *closing = pool;
    pool = NULL;
    cr_assert_eq(hg_pool_close(closing, 20 * HGI_NS_PER_S, &err), HG_OK, "%s", err.message);
    hgi_private_server_resume(server);
}

Test(life, a_read_only_server_ends_the_epoch_of_all_connections)
{
    struct hgi_problem problem;
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 3}, \"classes\": {\"write\": {\"retry\": \"none\", "
                     "\"deadline\": \"100s\", \"attempt_timeout\": \"60s\"}}}");
    warm_up(3);
    freeReplyObject(hgi_private_server_command(server, &problem, "REPLICAOF 127.0.0.1 %s", "1"));
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k v"), HG_ERR_UNAVAILABLE, "%s", err.message);
    cr_assert_str_eq(err.server_code, "READONLY");
    freeReplyObject(hgi_private_server_command(server, &problem, "REPLICAOF %s ONE", "NO"));
    warm_up(3);
    cr_assert_geq(retired(HG_RETIRED_OUTDATED) + retired(HG_RETIRED_FAILED), 3);
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k v"), HG_OK, "%s", err.message);
}

/* --- cost --- */

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    cr_assert_not_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* Bytes in use. A sanitizer has an allocator of its own, and this stays 0. */
static size_t heap(void)
{
    return mallinfo2().uordblks;
}

static void connect_and_close(unsigned cycles)
{
    for (unsigned i = 0; i < cycles; i++) {
        hg_lease *lease = acquire();
        cr_assert_not_null(hg_lease_context(lease)); /* so it is closed when it comes back */
        hg_release(lease, HG_OK);
    }
}

static void use_sockets(void)
{
    for (int i = 0; i < 3; i++) {
        hg_lease *lease = acquire();
        cr_assert_gt(pool->slots[0].conn->context->fd, 2);
        cr_assert_not_null(hg_lease_context(lease));
        hg_release(lease, HG_OK);
    }
}

/* Its number is the next that the system gives, and to hiredis 0.14 it means none. */
Test(life, a_socket_is_never_standard_input)
{
    static const char json[] = "{\"pool\": {\"max_size\": 1, \"min_idle\": 0}, " PATIENT "}";
    close(
        STDIN_FILENO); /* the first that the pool opens for itself has it then, and is no socket */
    pool = open_pool(hgi_private_server_url(server), json);
    use_sockets();
    close_pool(pool);
    cr_assert_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
    cr_assert_eq(open("/dev/null", O_RDONLY), STDIN_FILENO);
    pool = open_pool(hgi_private_server_url(server), json);
    close(STDIN_FILENO);
    unsigned before = descriptors();
    use_sockets();
    cr_assert_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
    cr_assert_leq(descriptors(), before + 1); /* one may be being closed */
}

/* HERDGATE_CYCLES=100000 for the whole length. */
Test(life, descriptors_and_memory_are_flat_over_connect_and_close)
{
    const char *given = getenv("HERDGATE_CYCLES");
    unsigned cycles = given ? (unsigned)atoi(given) : 1500;
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1, \"min_idle\": 0}, " PATIENT "}");
    connect_and_close(200);
    unsigned descriptors_before = descriptors();
    size_t heap_before = heap();
    connect_and_close(cycles);
    cr_assert_leq(descriptors(), descriptors_before + 1); /* one may be being closed */
    cr_assert_leq(heap(), heap_before + 32 * 1024, "%zu bytes grew to %zu", heap_before, heap());
}

Test(life, an_idle_connection_costs_what_hiredis_costs_and_512_bytes)
{
    enum { COUNT = 256 };
    redisContext *contexts[COUNT];
    size_t before = heap();
    for (int i = 0; i < COUNT; i++) {
        contexts[i] = redisConnectUnix(hgi_private_server_socket(server));
        freeReplyObject(redisCommand(contexts[i], "PING"));
    }
    size_t hiredis = (heap() - before) / COUNT;
    for (int i = 0; i < COUNT; i++)
        redisFree(contexts[i]);

    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 260, \"min_idle\": 0}, " PATIENT "}");
    warm_up(4);
    before = heap();
    warm_up(4 + COUNT);
    cr_assert_eq(stats_now().idle, 4 + COUNT);
    size_t ours = (heap() - before) / COUNT + sizeof(struct hgi_slot);
    printf("a connection: hiredis %zu bytes, ours %zu with %zu of slot\n", hiredis, ours,
           sizeof(struct hgi_slot));
    if (hiredis > 0)
        cr_assert_leq(ours, hiredis + 512, "hiredis %zu, ours %zu", hiredis, ours);
}

/* --- signals --- */

/* A mask of /proc/self/task/THREAD/status. */
static uint64_t mask_of(const char *thread, const char *name)
{
    char path[64];
    char line[256];
    uint64_t mask = 0;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", thread);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    bool found = false;
    while (!found && fgets(line, sizeof line, file))
        found = strncmp(line, name, strlen(name)) == 0 &&
                sscanf(line + strlen(name), "%" SCNx64, &mask) == 1;
    fclose(file);
    cr_assert(found, "%s has no %s", path, name);
    return mask;
}

enum { THREADS_MAX = 64 };

struct threads {
    unsigned count;
    char id[THREADS_MAX][24];
};

static void list_threads(struct threads *threads)
{
    threads->count = 0;
    DIR *folder = opendir("/proc/self/task");
    cr_assert_not_null(folder);
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        cr_assert_lt(threads->count, THREADS_MAX);
        snprintf(threads->id[threads->count++], sizeof threads->id[0], "%.20s", entry->d_name);
    }
    closedir(folder);
}

static bool is_among(const struct threads *threads, const char *id)
{
    for (unsigned i = 0; i < threads->count; i++)
        if (strcmp(threads->id[i], id) == 0)
            return true;
    return false;
}

static void takes_no_signal(const char *thread)
{
    static const int signals[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2,
                                   SIGPIPE, SIGALRM, SIGTERM, SIGCHLD };
    const uint64_t blocked = mask_of(thread, "SigBlk:");
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        cr_assert(blocked >> (signals[i] - 1) & 1, "signal %d may be delivered to thread %s",
                  signals[i], thread);
}

Test(life, signals_are_handled_as_before_and_by_the_programs_own_threads)
{
    char self[24];
    snprintf(self, sizeof self, "%d", (int)gettid());
    const uint64_t handled = mask_of(self, "SigCgt:");
    const uint64_t ignored = mask_of(self, "SigIgn:");
    const uint64_t blocked = mask_of(self, "SigBlk:");
    struct threads before, now;
    unsigned of_the_pool = 0;
    list_threads(&before); /* the test runner has some */
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}}");
    use();
    list_threads(&now);
    for (unsigned i = 0; i < now.count; i++) {
        if (is_among(&before, now.id[i]))
            continue;
        takes_no_signal(now.id[i]);
        of_the_pool++;
    }
    cr_assert_gt(of_the_pool, 0);
    /* What writes to a connection that is gone gets no SIGPIPE, by its own doing. */
    hgi_private_server_kill(server);
    cr_assert_lt(hg_command(pool, NULL, NULL, "GET k"), 0);
    cr_assert_eq(mask_of(self, "SigCgt:"), handled);
    cr_assert_eq(mask_of(self, "SigIgn:"), ignored);
    cr_assert_eq(mask_of(self, "SigBlk:"), blocked);
}
