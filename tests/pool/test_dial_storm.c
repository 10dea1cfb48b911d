/* All connections are cut at once, under the eyes of 500 threads: no storm of dials follows.
 *
 * A plain program, so that it also runs under ThreadSanitizer. A watcher counts, without a pause, the
 * sockets that the process has open and the dials that are under way, while the server cuts every
 * connection again and again. */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "tests/pool/support.h"
#include "tools/common/wire.h"

enum { CALLERS = 500, CONNECTIONS = 8, CONNECTING = 2, CUTS = 10 };

/* Without a breaker: it would hold most of the callers back. */
#define POLICY(max_connecting)                                                                  \
    "{\"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 8, \"connect_timeout\": "     \
    "\"20s\","                                                                                  \
    " \"max_connecting\": " max_connecting "}, \"classes\": {\"read\": {\"deadline\": \"60s\"," \
    " \"attempt_timeout\": \"20s\"}}}"

static hg_pool *pool;
static _Atomic bool stop;
static _Atomic unsigned well[CALLERS]; /* written by the caller; calls that went well */
static uint32_t other_sockets;         /* that were there before the pool */
static uint32_t most_sockets, most_dialing;
static uint64_t looks;

static void *caller_main(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    while (!atomic_load(&stop))
        if (hg_command(pool, NULL, NULL, "GET k") == HG_OK)
            atomic_fetch_add(&well[me], 1);
    return NULL;
}

static uint32_t open_sockets(void)
{
    uint32_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    require(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[300], target[64] = "";
        snprintf(name, sizeof name, "/proc/self/fd/%s", entry->d_name);
        if (readlink(name, target, sizeof target - 1) > 0)
            count += strncmp(target, "socket:", 7) == 0;
    }
    closedir(folder);
    return count;
}

static void *watcher_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        struct hg_pool_stats stats = HG_POOL_STATS_INIT;
        hg_pool_read_stats(pool, &stats);
        uint32_t sockets = open_sockets() - other_sockets;
        if (sockets > most_sockets)
            most_sockets = sockets;
        if (stats.dialing > most_dialing)
            most_dialing = stats.dialing;
        looks++;
    }
    return NULL;
}

static unsigned before[CALLERS];

static bool all_went_on(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < CALLERS; i++)
        if (atomic_load(&well[i]) == before[i])
            return false;
    return true;
}

static void wait_until_all_go_on(const char *what)
{
    for (unsigned i = 0; i < CALLERS; i++)
        before[i] = atomic_load(&well[i]);
    wait_for(all_went_on, NULL, what);
}

static void cut_all(struct hgi_wire *wire)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_wire_command(wire, &problem, "CLIENT KILL TYPE normal SKIPME yes");
    require(reply && reply->type == REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
}

int main(void)
{
    static pthread_t callers[CALLERS];
    pthread_t watcher;
    pthread_attr_t small;
    struct hgi_problem problem;
    struct hgi_private_server *server = start_server();
    struct hgi_wire *wire =
        hgi_wire_open_unix(hgi_private_server_socket(server), 60 * HGI_NS_PER_S, &problem);
    require(wire != NULL);
    other_sockets = open_sockets();
    /* First with more dialers than may dial then: what holds them back is the limit of today. */
    pool = open_pool(hgi_private_server_url(server), POLICY("8"));
    hg_policy *policy = parse_policy(POLICY("2"));
    require(hg_pool_reload(pool, policy, NULL) == HG_OK);
    hg_policy_drop(policy);
    require(pthread_attr_init(&small) == 0);
    require(pthread_attr_setstacksize(&small, 512 * 1024) == 0);
    require(pthread_create(&watcher, NULL, watcher_main, NULL) == 0);
    for (uintptr_t i = 0; i < CALLERS; i++)
        require(pthread_create(&callers[i], &small, caller_main, (void *)i) == 0);
    wait_until_all_go_on("every caller has made a call");
    for (int i = 0; i < CUTS; i++) {
        cut_all(wire);
        wait_until_all_go_on("every caller goes on after the cut");
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    pthread_join(watcher, NULL);
    pthread_attr_destroy(&small);
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    printf(
        "%d callers, %d cuts: %llu dials, at most %u at a time; at most %u sockets (%llu looks)\n",
        CALLERS, CUTS, (unsigned long long)stats.dials, (unsigned)most_dialing,
        (unsigned)most_sockets, (unsigned long long)looks);
    require(stats.dials > CONNECTIONS); /* the cuts were felt */
    require(most_dialing <= CONNECTING);
    require(most_sockets <= CONNECTIONS);
    require(stats.idle + stats.leased + stats.dialing + stats.mending <= CONNECTIONS);
    close_pool(pool);
    hgi_wire_close(wire);
    hgi_private_server_free(server);
    return 0;
}
