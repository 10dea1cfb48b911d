/* What users do wrong, and what is done to them: leases used after their end, threads cancelled in the
 * middle of a call, leases held for long, a name server that does not answer while the pool closes. */
#include <criterion/criterion.h>

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "pool/exchange.h"
#include "tests/pool/one_pool.h"

/* The log hook: how often each kind came, and the last text. */
static _Atomic unsigned logged[16];
static char last_text[256];

static void note(void *arg, const struct hg_log_event *event)
{
    (void)arg;
    snprintf(last_text, sizeof last_text, "%s", event->text);
    atomic_fetch_add(&logged[event->kind], 1);
}

static void open_logged(const char *json)
{
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    options.log = note;
    pool = open_pool_with(&options, json);
}

TestSuite(safety, .init = set_up_server, .fini = tear_down_server, .timeout = 120);

/* --- leases end once --- */

Test(safety, a_lease_that_has_ended_is_refused_whoever_has_its_connection_now)
{
    open_logged("{\"pool\": {\"max_size\": 1}, " PATIENT "}");
    hg_lease *first = acquire();
    hg_release(first, HG_OK);
    hg_lease *second = acquire(); /* the same connection */
    cr_assert_neq(first, second);
    struct hg_error err = HG_ERROR_INIT;
    redisReply *reply;
    cr_assert_eq(hg_lease_command(first, &reply, &err, "SET mine x"), HG_ERR_VALIDATION);
    cr_assert_null(reply);
    cr_assert_not_null(strstr(err.message, "given back before"), "%s", err.message);
    const char *argv[] = { "SET", "mine", "x" };
    cr_assert_eq(hg_lease_command_argv(first, NULL, &err, 3, argv, NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_lease_append(first, &err, "SET mine x"), HG_ERR_VALIDATION);
    cr_assert_eq(hg_lease_append_argv(first, &err, 3, argv, NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_lease_reply(first, NULL, &err), HG_ERR_VALIDATION);
    cr_assert_null(hg_lease_context(first));
    cr_assert_eq(hg_lease_command(second, &reply, &err, "GET mine"), HG_OK, "%s", err.message);
    cr_assert_eq(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    hg_release(second, HG_OK);
    close_pool(pool);
}

static void release_twice(void)
{
    open_logged("{\"pool\": {\"max_size\": 1}, " PATIENT "}");
    hg_lease *first = acquire();
    hg_release(first, HG_OK);
    hg_lease *second = acquire();
    hg_release(first, HG_OK);
    cr_assert_eq(atomic_load(&logged[HG_LOG_LEASE_MISUSE]), 1);
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    cr_assert_eq(stats.leased, 1); /* the second is still leased */
    cr_assert_eq(hg_lease_command(second, NULL, NULL, "PING"), HG_OK);
    hg_release(second, HG_OK);
    close_pool(pool);
}

static hg_status release_inside(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    (void)arg;
    hg_release(lease, HG_OK);
    return hg_lease_command(lease, NULL, attempt->error, "PING");
}

static void release_what_hg_call_releases(void)
{
    open_logged("{\"pool\": {\"max_size\": 1}, " PATIENT "}");
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_call(pool, NULL, release_inside, NULL, &err), HG_OK, "%s", err.message);
    cr_assert_eq(atomic_load(&logged[HG_LOG_LEASE_MISUSE]), 1);
    close_pool(pool);
}

#ifdef NDEBUG
Test(safety, a_lease_released_twice_is_told_and_harms_nobody)
{
    release_twice();
}

Test(safety, a_lease_of_hg_call_released_inside_it_is_told_and_harms_nobody)
{
    release_what_hg_call_releases();
}
#else
Test(safety, a_lease_released_twice_aborts, .signal = SIGABRT)
{
    release_twice();
}

Test(safety, a_lease_of_hg_call_released_inside_it_aborts, .signal = SIGABRT)
{
    release_what_hg_call_releases();
}
#endif

/* --- a lease held for long is told of, once --- */

static bool warned(void *arg)
{
    (void)arg;
    return atomic_load(&logged[HG_LOG_LEASE_WARNING]) > 0;
}

Test(safety, a_lease_held_for_long_is_warned_of_once)
{
    open_logged("{\"pool\": {\"max_size\": 2, \"lease_warning\": \"40ms\"}, " PATIENT "}");
    hg_lease *lease = acquire();
    wait_for(warned, NULL, "the warning");
    char holder[32];
    snprintf(holder, sizeof holder, "thread %d has held", (int)hgi_thread_id());
    cr_assert_not_null(strstr(last_text, holder), "%s", last_text);
    sleep_ms(200); /* several sweeps */
    cr_assert_eq(atomic_load(&logged[HG_LOG_LEASE_WARNING]), 1);
    hg_release(lease, HG_OK);
    close_pool(pool);
}

static bool one_waits_in_the_server(void *arg)
{
    (void)arg;
    return atomic_load(&pool->slots[0].waits);
}

static void *pop_main(void *arg)
{
    *(hg_status *)arg = hg_command(pool, NULL, NULL, "BLPOP empty 2");
    return NULL;
}

#define PATIENT_WAITING "\"classes\": {\"blocking\": " PATIENT_CLASS "}"

Test(safety, a_command_that_waits_in_the_server_is_not_warned_of)
{
    pthread_t thread;
    hg_status status = HG_ERR_CLOSED;
    open_logged("{\"pool\": {\"max_size\": 1, \"lease_warning\": \"500ms\"}, " PATIENT_WAITING "}");
    cr_assert_eq(pthread_create(&thread, NULL, pop_main, &status), 0);
    wait_for(one_waits_in_the_server, NULL, "BLPOP");
    unsigned before = atomic_load(&logged[HG_LOG_LEASE_WARNING]);
    pthread_join(thread, NULL);
    cr_assert_eq(status, HG_OK);
    cr_assert_eq(atomic_load(&logged[HG_LOG_LEASE_WARNING]), before, "%s", last_text);
    close_pool(pool);
}

Test(safety, a_lease_that_is_held_behind_such_a_command_is_warned_of)
{
    open_logged("{\"pool\": {\"max_size\": 1, \"lease_warning\": \"40ms\"}, " PATIENT "}");
    hg_lease *lease = acquire();
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_lease_command(lease, NULL, &err, "BLPOP empty 0.01"), HG_OK, "%s", err.message);
    wait_for(warned, NULL, "the warning");
    hg_release(lease, HG_OK);
    close_pool(pool);
}

/* --- cancellation waits for the end of a call --- */

struct victim {
    pthread_t thread;
    bool by_lease;
    _Atomic bool began, got_reply, went_on;
};

static void *victim_main(void *arg)
{
    struct victim *victim = arg;
    redisReply *reply = NULL;
    atomic_store(&victim->began, true);
    if (victim->by_lease) {
        hg_lease *lease = acquire();
        if (hg_lease_command(lease, &reply, NULL, "BLPOP key 30") == HG_OK)
            atomic_store(&victim->got_reply, reply->type == REDIS_REPLY_ARRAY);
        hg_release(lease, HG_OK);
    } else if (hg_command(pool, &reply, NULL, "BLPOP key 30") == HG_OK) {
        atomic_store(&victim->got_reply, reply->type == REDIS_REPLY_ARRAY);
    }
    freeReplyObject(reply);
#ifdef __SANITIZE_ADDRESS__ /* it takes the unwinding of a stack for a fault */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return PTHREAD_CANCELED;
#endif
    pthread_testcancel();
    atomic_store(&victim->went_on, true);
    return NULL;
}

static bool client_is_blocked(void *arg)
{
    (void)arg;
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, "INFO %s", "clients");
    bool blocked = reply && strstr(reply->str, "blocked_clients:1") != NULL;
    freeReplyObject(reply);
    return blocked;
}

static void cancel_in_a_call(bool by_lease)
{
    struct victim victim = { .by_lease = by_lease };
    void *result;
    cr_assert_eq(pthread_create(&victim.thread, NULL, victim_main, &victim), 0);
    wait_for(client_is_blocked, NULL, "the command waits at the server");
    pthread_cancel(victim.thread);
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "LPUSH key x"), HG_OK, "%s", err.message);
    pthread_join(victim.thread, &result);
    cr_assert_eq(result, PTHREAD_CANCELED);
    cr_assert(victim.got_reply);
    cr_assert_not(victim.went_on);
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    cr_assert_eq(stats.leased, 0);
}

Test(safety, a_thread_is_cancelled_after_its_call_and_not_in_it)
{
    open_logged("{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    cancel_in_a_call(false);
    cancel_in_a_call(true);
    close_pool(pool);
}

static void resize_it(void)
{
    cr_assert_eq(hg_pool_resize(pool, 3, NULL), HG_OK);
}

static void suspend_it(void)
{
    cr_assert_eq(hg_pool_suspend(pool, NULL), HG_OK);
}

static void resume_it(void)
{
    cr_assert_eq(hg_pool_resume(pool, NULL), HG_OK);
}

static void reload_it(void)
{
    hg_policy *policy = parse_policy("{\"pool\": {\"max_size\": 4}, " PATIENT "}");
    cr_assert_eq(hg_pool_reload(pool, policy, NULL), HG_OK);
    hg_policy_drop(policy);
}

static void lease_it(void)
{
    hg_lease *lease = acquire();
    cr_assert_not_null(hg_lease_context(lease)); /* so it is closed when it comes back */
    hg_release(lease, HG_OK);
}

/* What it does has been asked to end before it begins. */
static void *doomed_main(void *arg)
{
    void (*const *what)(void) = arg;
    pthread_cancel(pthread_self());
    (*what)();
#ifdef __SANITIZE_ADDRESS__ /* as above */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return PTHREAD_CANCELED;
#endif
    pthread_testcancel();
    return NULL;
}

Test(safety, a_thread_that_is_cancelled_leaves_nothing_of_what_it_did_to_the_pool_half_done)
{
    static void (*const things[])(void) = { resize_it, suspend_it, resume_it, reload_it, lease_it };
    open_logged("{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        pthread_t thread;
        void *result;
        cr_assert_eq(pthread_create(&thread, NULL, doomed_main, (void *)(uintptr_t)&things[i]), 0);
        pthread_join(thread, &result);
        cr_assert_eq(result, PTHREAD_CANCELED);
        cr_assert(hgi_nobody_inside(pool), "thing %zu is still inside", i);
    }
    cr_assert_eq(stats_now().max_size, 4);
    close_pool(pool);
}

/* --- suspend and resume --- */

static void *call_main(void *arg)
{
    struct hg_error err = HG_ERROR_INIT;
    *(hg_status *)arg = hg_command(pool, NULL, &err, "SET suspended no");
    return NULL;
}

static bool nothing_is_connected(void *arg)
{
    (void)arg;
    struct hg_pool_stats stats = stats_now();
    return stats.idle + stats.leased + stats.dialing + stats.mending == 0;
}

Test(safety, a_suspended_pool_keeps_its_callers_waiting_until_it_goes_on)
{
    open_logged("{\"pool\": {\"max_size\": 3, \"min_idle\": 2}, " PATIENT "}");
    hg_lease *lease = acquire();
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_pool_suspend(pool, &err), HG_OK, "%s", err.message);
    cr_assert_eq(hg_lease_command(lease, NULL, &err, "PING"), HG_OK, "%s", err.message);
    pthread_t threads[2];
    hg_status statuses[2] = { HG_ERR_CLOSED, HG_ERR_CLOSED };
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, call_main, &statuses[i]), 0);
    wait_for(so_many_wait, SO_MANY(2), "both wait");
    hg_release(lease, HG_OK);
    wait_for(nothing_is_connected, NULL, "the connections are gone");
    uint64_t dials = stats_now().dials;
    cr_assert_eq(hg_pool_resize(pool, 2, &err), HG_OK); /* for later */
    sleep_ms(50);
    cr_assert_eq(stats_now().dials, dials);
    cr_assert(so_many_wait(SO_MANY(2)));
    cr_assert_eq(hg_pool_resume(pool, &err), HG_OK);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(statuses[0], HG_OK);
    cr_assert_eq(statuses[1], HG_OK);
    cr_assert_eq(stats_now().max_size, 2);
    cr_assert_eq(hg_pool_suspend(pool, &err), HG_OK);
    close_pool(pool);
}

/* --- closing while a name server does not answer --- */

static _Atomic bool name_server_hangs, name_is_asked;

/* In place of the system's: the program's own definition is the one that is linked. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    (void)name, (void)service, (void)req, (void)pai;
    atomic_store(&name_is_asked, true);
    while (atomic_load(&name_server_hangs))
        sleep_ms(5);
    return EAI_AGAIN;
}

static bool asked(void *arg)
{
    (void)arg;
    return atomic_load(&name_is_asked);
}

static unsigned threads_now(void)
{
    char line[64];
    unsigned threads = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "Threads: %u", &threads) == 1)
            break;
    fclose(status);
    return threads;
}

static bool so_many_threads(void *arg)
{
    return threads_now() == *(unsigned *)arg;
}

Test(safety, closing_ends_at_its_deadline_while_a_dialer_waits_for_a_name)
{
    unsigned threads = threads_now();
    atomic_store(&name_server_hangs, true);
    pool = open_pool("redis://host.invalid:6379", "{}");
    wait_for(asked, NULL, "a dialer asks for the name");
    struct hg_error err = HG_ERROR_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    const char *argv[] = { "PING" };
    options.deadline_ns = 50 * HGI_NS_PER_MS;
    int64_t began_ns = hgi_now_ns();
    cr_assert_lt(hg_command_argv(pool, &options, NULL, &err, 1, argv, NULL), 0);
    cr_assert_lt(hgi_now_ns() - began_ns, 20 * HGI_NS_PER_S); /* it hangs for longer than that */
    cr_assert_eq(hg_pool_close(pool, 50 * HGI_NS_PER_MS, &err), HG_ERR_TIMEOUT);
    cr_assert_not_null(strstr(err.message, "last call or dial"), "%s", err.message);
    atomic_store(&name_server_hangs, false);
    wait_for(so_many_threads, &threads, "the keeper frees the pool and ends");
}
