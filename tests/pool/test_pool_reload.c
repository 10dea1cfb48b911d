/* An open pool gets another policy, or another size, while threads use it: nothing is lost, nothing
 * starts anew, and what an old policy was needed for keeps it. A plain program, so that it also runs
 * under ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool/internal.h"
#include "tests/pool/one_pool.h"

/* Time is not what is tested here, and the machine may be slow. */

static void reload(hg_policy *policy)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = hg_pool_reload(pool, policy, &err);
    if (status != HG_OK)
        fprintf(stderr, "%s\n", err.message);
    require(status == HG_OK);
}

static void reload_from(const char *json)
{
    hg_policy *policy = parse_policy(json);
    reload(policy);
    hg_policy_drop(policy);
}

/* --- a thousand reloads under load --- */

enum { CALLERS = 6, RELOADS = 1000 };

static _Atomic bool stop;
static _Atomic unsigned calls, increments;

static void *call_main(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        char nonce[48];
        snprintf(nonce, sizeof nonce, "%u-%u", me, i);
        redisReply *reply;
        struct hg_error err = HG_ERROR_INIT;
        hg_status status = hg_command(pool, &reply, &err, "ECHO %s", nonce);
        if (status != HG_OK)
            fprintf(stderr, "%s\n", err.message);
        require(status == HG_OK && strcmp(reply->str, nonce) == 0);
        freeReplyObject(reply);
        require(hg_command(pool, NULL, NULL, "INCR reloads") == HG_OK);
        atomic_fetch_add(&increments, 1);
        hg_lease *lease = acquire();
        require(hg_lease_command(lease, NULL, NULL, "PING") == HG_OK);
        hg_release(lease, HG_OK);
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

static bool so_many_calls(void *arg)
{
    return atomic_load(&calls) >= (unsigned)(uintptr_t)arg;
}

static void a_thousand_reloads_lose_nothing_and_reset_nothing(void)
{
    static const char first[] = "{\"pool\": {\"max_size\": 3}, " PATIENT "}";
    static const char second[] =
        "{\"pool\": {\"max_size\": 3, \"keepalive\": \"30s\"}, " PATIENT "}";
    hg_policy *policies[] = { parse_policy(first), parse_policy(second) };
    pthread_t threads[CALLERS];
    pool = open_pool(hgi_private_server_url(server), first);
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < CALLERS; i++)
        require(pthread_create(&threads[i], NULL, call_main, (void *)i) == 0);
    for (unsigned i = 0; i < RELOADS; i++) {
        if (i % 20 == 0)
            wait_for(so_many_calls, (void *)(uintptr_t)(atomic_load(&calls) + 1), "calls go on");
        reload(policies[i % 2]);
    }
    wait_for(so_many_calls, (void *)(uintptr_t)(atomic_load(&calls) + CALLERS), "calls go on");
    atomic_store(&stop, true);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);

    redisReply *reply;
    require(hg_command(pool, &reply, NULL, "GET reloads") == HG_OK);
    require((unsigned)atoi(reply->str) == atomic_load(&increments));
    freeReplyObject(reply);
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    hg_breaker_take_snapshot(hg_pool_breaker(pool), &breaker);
    require(breaker.transitions == 0 && breaker.failed == 0);
    struct hg_pool_stats stats = stats_now();
    require(stats.dials <= 3 && stats.failures == 0 && stats.retries == 0);
    require(stats.attempts >= 3 * atomic_load(&calls));
    close_pool(pool);
    for (unsigned i = 0; i < 2; i++) {
        require(atomic_load(&policies[i]->owners) == 1); /* the pool has let go of both */
        hg_policy_drop(policies[i]);
    }
    printf("  %u calls during %d reloads\n", atomic_load(&calls), RELOADS);
}

/* --- whoever enters is under a policy that is there --- */

static void *enter_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        struct hgi_snapshot *snapshot;
        require(hgi_call_enter(pool, &snapshot, NULL) == HG_OK);
        require(snapshot->policy && &snapshot->policy->settings == snapshot->settings);
        require(snapshot->settings->pool.max_waiters == 77);
        hgi_call_leave(snapshot);
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

static void whoever_enters_is_under_a_policy_that_is_there(void)
{
    static const char policy[] = "{\"pool\": {\"max_waiters\": 77}}";
    pthread_t threads[CALLERS];
    pool = open_pool(hgi_private_server_url(server), policy);
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < CALLERS; i++)
        require(pthread_create(&threads[i], NULL, enter_main, NULL) == 0);
    for (unsigned i = 0; i < 3000; i++) {
        reload_from(policy);
        hgi_snapshots_collect(pool);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    unsigned snapshots = 0;
    for (const struct hgi_snapshot *each = pool->snapshots; each; each = each->older)
        snapshots++;
    require(snapshots <= CALLERS + 2); /* those of callers, the current one, the next one */
    close_pool(pool);
}

/* --- a call keeps the policy that it began under --- */

static hg_severity severity_of_wrong_type(hg_lease *lease)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = lease ? hg_lease_command(lease, NULL, &err, "LPUSH text x")
                             : hg_command(pool, NULL, &err, "LPUSH text x");
    require(status == HG_ERR_SERVER && strcmp(err.server_code, "WRONGTYPE") == 0);
    return err.severity;
}

static bool only_ours_is_left(void *arg)
{
    return atomic_load(&((hg_policy *)arg)->owners) == 1;
}

static void a_call_keeps_the_policy_that_it_began_under(void)
{
    static const char critical[] =
        "{\"pool\": {\"lease_warning\": \"80ms\"}, " PATIENT ", "
        "\"errors\": {\"server:WRONGTYPE\": {\"severity\": \"critical\"}}}";
    hg_policy *old = parse_policy(critical);
    pool = open_pool(hgi_private_server_url(server), "{" PATIENT "}");
    require(hg_command(pool, NULL, NULL, "SET text t") == HG_OK);
    reload(old);
    hg_lease *lease = acquire();
    require(severity_of_wrong_type(lease) == HG_SEVERITY_CRITICAL);
    for (int i = 0; i < 50; i++)
        reload_from("{\"pool\": {\"lease_warning\": \"80ms\"}, " PATIENT "}");
    require(severity_of_wrong_type(NULL) == HG_SEVERITY_LOW);
    require(severity_of_wrong_type(lease) == HG_SEVERITY_CRITICAL);
    require(atomic_load(&old->owners) == 2);
    hg_release(lease, HG_OK);
    wait_for(only_ours_is_left, old, "the pool lets go of the old policy");
    hg_policy_drop(old);
    close_pool(pool);
}

/* --- breaker and budget are as they were --- */

static void failures_counted_before_a_reload_count_after_it(void)
{
    static const char policy[] = "{\"breaker\": {\"failure_threshold\": 3}, " PATIENT "}";
    pool = open_pool(hgi_private_server_url(server), policy);
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    for (int i = 0; i < 3; i++) {
        hg_release(acquire(), HG_ERR_CONNECTION);
        hg_breaker_take_snapshot(hg_pool_breaker(pool), &breaker);
        require((breaker.state == HG_BREAKER_CLOSED) == (i < 2));
        reload_from(policy);
    }
    hg_breaker_take_snapshot(hg_pool_breaker(pool), &breaker);
    require(breaker.state != HG_BREAKER_CLOSED && breaker.opened == 1);
    close_pool(pool);
}

/* --- what cannot be changed is refused, and nothing changes --- */

static void a_refused_reload_changes_nothing(void)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    hg_policy *policy =
        parse_policy("{\"pool\": {\"max_size\": 5}, \"breaker\": {\"failure_threshold\": 7}}");
    struct hg_error err = HG_ERROR_INIT;
    require(hg_pool_reload(pool, policy, &err) == HG_ERR_VALIDATION);
    require(strstr(err.message, "/breaker/failure_threshold") != NULL);
    require(stats_now().max_size == 2);
    require(atomic_load(&policy->owners) == 1);
    require(hg_pool_reload(pool, NULL, &err) == HG_ERR_VALIDATION);
    require(hg_pool_reload(NULL, policy, &err) == HG_ERR_VALIDATION);
    hg_policy_drop(policy);
    require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
    close_pool(pool);
}

/* --- another database: connections retire as they return --- */

static const char *with_database(char *json, size_t size, int database)
{
    snprintf(json, size,
             "{\"server\": {\"url\": \"unix://%s?db=%d\"}, \"pool\": {\"max_size\": 2}, " PATIENT
             "}",
             hgi_private_server_socket(server), database);
    return json;
}

static bool in_database_0(hg_lease *lease)
{
    redisReply *reply;
    require(hg_lease_command(lease, &reply, NULL, "GET only-in-0") == HG_OK);
    bool found = reply->type == REDIS_REPLY_STRING;
    freeReplyObject(reply);
    return found;
}

static void connections_set_up_for_another_server_retire_as_they_return(void)
{
    char json[1024];
    pool = open_pool(NULL, with_database(json, sizeof json, 0));
    require(hg_command(pool, NULL, NULL, "SET only-in-0 x") == HG_OK);
    hg_lease *lease = acquire();
    hg_lease *other = acquire();
    hg_release(other, HG_OK);
    reload_from(with_database(json, sizeof json, 3));
    for (int i = 0; i < 20; i++) {
        hg_lease *new = acquire();
        require(!in_database_0(new));
        hg_release(new, HG_OK);
    }
    require(in_database_0(lease));
    hg_release(lease, HG_OK);
    lease = acquire();
    other = acquire();
    require(!in_database_0(lease) && !in_database_0(other));
    hg_release(lease, HG_OK);
    hg_release(other, HG_OK);
    uint64_t dials = stats_now().dials;
    reload_from(with_database(json, sizeof json, 3)); /* the same again: nothing to replace */
    require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
    require(stats_now().dials == dials);
    close_pool(pool);
}

/* --- the size changes while leases are out --- */

static void *acquire_main(void *arg)
{
    (void)arg;
    return acquire();
}

static bool somebody_waits(void *arg)
{
    (void)arg;
    return stats_now().waiting > 0;
}

static bool one_is_left(void *arg)
{
    (void)arg;
    struct hg_pool_stats stats = stats_now();
    return stats.idle + stats.leased + stats.dialing + stats.mending <= 1;
}

static void a_pool_grows_and_shrinks_while_leases_are_out(void)
{
    enum { LARGE = 9 };
    hg_lease *leases[LARGE];
    pthread_t waiter;
    void *found;
    struct hg_error err = HG_ERROR_INIT;
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 1}, " PATIENT "}");
    leases[0] = acquire();
    require(pthread_create(&waiter, NULL, acquire_main, NULL) == 0);
    wait_for(somebody_waits, NULL, "the second caller waits");
    require(hg_pool_resize(pool, LARGE, &err) == HG_OK);
    pthread_join(waiter, &found);
    leases[1] = found;
    for (unsigned i = 2; i < LARGE; i++)
        leases[i] = acquire();
    require(stats_now().leased == LARGE && stats_now().max_size == LARGE);

    require(hg_pool_resize(pool, 1, &err) == HG_OK);
    for (unsigned i = 0; i < LARGE; i++) {
        require(hg_lease_command(leases[i], NULL, NULL, "PING") == HG_OK); /* still theirs */
        hg_release(leases[i], HG_OK);
    }
    wait_for(one_is_left, NULL, "the surplus connections go");
    require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
    require(one_is_left(NULL));

    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = 300000000;
    hg_lease *surplus;
    leases[0] = acquire();
    require(hg_acquire(pool, &surplus, &options, &err) == HG_ERR_POOL_TIMEOUT);
    require(strstr(err.message, "1 of 1 leased") != NULL);
    hg_release(leases[0], HG_OK);
    require(hg_pool_resize(pool, 0, &err) == HG_ERR_VALIDATION);
    require(hg_pool_resize(pool, HGI_POOL_SIZE_MAX + 1, &err) == HG_ERR_VALIDATION);
    close_pool(pool);
}

static void *work_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

static void calls_go_well_while_the_size_changes(void)
{
    static const uint32_t sizes[] = { 1, 16, 2, 5, 1, 7, 3 };
    pthread_t threads[CALLERS];
    pool = open_pool(hgi_private_server_url(server), "{" PATIENT "}");
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < CALLERS; i++)
        require(pthread_create(&threads[i], NULL, work_main, NULL) == 0);
    for (unsigned i = 0; i < 10 * sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t size = sizes[i % (sizeof sizes / sizeof sizes[0])];
        require(hg_pool_resize(pool, size, NULL) == HG_OK);
        wait_for(so_many_calls, (void *)(uintptr_t)(atomic_load(&calls) + 20), "calls go on");
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    close_pool(pool);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "a thousand reloads lose nothing and reset nothing",
          a_thousand_reloads_lose_nothing_and_reset_nothing },
        { "whoever enters is under a policy that is there",
          whoever_enters_is_under_a_policy_that_is_there },
        { "a call keeps the policy that it began under",
          a_call_keeps_the_policy_that_it_began_under },
        { "failures counted before a reload count after it",
          failures_counted_before_a_reload_count_after_it },
        { "a refused reload changes nothing", a_refused_reload_changes_nothing },
        { "connections set up for another server retire as they return",
          connections_set_up_for_another_server_retire_as_they_return },
        { "a pool grows and shrinks while leases are out",
          a_pool_grows_and_shrinks_while_leases_are_out },
        { "calls go well while the size changes", calls_go_well_while_the_size_changes },
    };
    run_named_tests(tests, sizeof tests / sizeof tests[0]);
    return 0;
}
