/* When dials begin, and how many at once: the pause after a failure, the slow start after it, a probe's
 * right of way, and what a new socket is told. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "breaker/clock.h"
#include "pool/internal.h"
#include "tests/pool/one_pool.h"

TestSuite(dialing, .init = set_up_server, .fini = tear_down_both, .timeout = 120);

static void restart(void)
{
    struct hgi_problem problem;
    cr_assert(hgi_private_server_restart(server, &problem), "%s", problem.text);
}

/* --- the pause after a failure --- */

enum { FAILURES = 7 };

static int64_t pause_ns[FAILURES]; /* after each */
static int64_t last_ns;            /* when the last of them was told */
static _Atomic unsigned failures;

static void note(void *arg, const struct hg_pool_event *event)
{
    (void)arg;
    unsigned number = atomic_load(&failures);
    if (event->kind != HG_EVENT_DIAL_FAILED || number >= FAILURES)
        return;
    pause_ns[number] = event->delay_ns;
    last_ns = hgi_now_ns();
    atomic_store(&failures, number + 1);
}

static bool enough_failed(void *arg)
{
    (void)arg;
    return atomic_load(&failures) == FAILURES;
}

Test(dialing, a_failed_dial_is_followed_by_a_pause_that_grows_and_is_never_the_same)
{
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = "unix:///nonexistent/herdgate";
    options.event = note;
    const int64_t began_ns = hgi_now_ns();
    pool =
        open_pool_with(&options, "{\"pool\": {\"max_size\": 2, \"min_idle\": 1, \"dial_backoff\": "
                                 "{\"initial\": \"20ms\", \"max\": \"160ms\"}}, " PATIENT "}");
    wait_for(enough_failed, NULL, "so many dials fail, without a caller");
    int64_t limit_ns = 20 * HGI_NS_PER_MS;
    int64_t paused_ns = 0;
    unsigned same = 0;
    for (unsigned i = 0; i < FAILURES; i++) {
        cr_assert(pause_ns[i] >= 0 && pause_ns[i] <= limit_ns, "pause %u is %lld ns", i,
                  (long long)pause_ns[i]);
        limit_ns = limit_ns < 160 * HGI_NS_PER_MS ? 2 * limit_ns : limit_ns;
        same += pause_ns[i] == pause_ns[0];
        paused_ns += i + 1 < FAILURES ? pause_ns[i] : 0;
    }
    cr_assert_eq(same, 1);
    cr_assert_geq(last_ns - began_ns, paused_ns, "they were not waited for");
}

/* --- the slow start after it --- */

enum { CALLERS = 6, CONNECTING = 4 };

/* Together, so that each needs a connection of its own. */
struct caller {
    pthread_t thread;
    pthread_barrier_t *all_have_one;
};

static void *hold_main(void *arg)
{
    struct caller *caller = arg;
    hg_lease *lease = acquire();
    pthread_barrier_wait(caller->all_have_one);
    hg_release(lease, HG_OK);
    return NULL;
}

static bool so_many_dial(void *arg)
{
    return stats_now().dialing == (uint32_t)(uintptr_t)arg;
}

/* How many dials are under way when each of so many callers wants a connection, and none of them ends. */
static void expect_at_once(uint32_t dials)
{
    pthread_barrier_t all_have_one;
    struct caller callers[CALLERS];
    cr_assert_eq(pthread_barrier_init(&all_have_one, NULL, CALLERS), 0);
    hgi_private_server_pause(server);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].all_have_one = &all_have_one;
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, hold_main, &callers[i]), 0);
    }
    wait_for(so_many_wait, SO_MANY(CALLERS), "all want one");
    wait_for(so_many_dial, SO_MANY(dials), "so many are dialled");
    sleep_ms(100); /* for those that should not be */
    cr_assert_eq(stats_now().dialing, dials);
    hgi_private_server_resume(server);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
    pthread_barrier_destroy(&all_have_one);
}

static void open_slow(void)
{
    pool = open_pool(
        hgi_private_server_url(server),
        "{\"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 6, \"min_idle\": 0, "
        "\"max_connecting\": 4}, " PATIENT "}");
}

Test(dialing, at_first_as_many_dial_as_the_policy_says)
{
    open_slow();
    expect_at_once(CONNECTING);
    cr_assert_eq(stats_now().dials, CALLERS);
}

Test(dialing, after_a_failure_one_dials_at_a_time_until_one_has_succeeded)
{
    open_slow();
    hgi_private_server_kill(server);
    cr_assert_lt(hg_command(pool, NULL, NULL, "PING"), 0);
    restart();
    expect_at_once(1);
    cr_assert_eq(stats_now().idle, CALLERS);
}

/* --- a probe's right of way --- */

Test(dialing, a_probe_of_the_breaker_does_not_wait_for_the_pause)
{
    struct hg_error err = HG_ERROR_INIT;
    pool =
        open_pool(hgi_private_server_url(server),
                  "{\"breaker\": {\"failure_threshold\": 1, \"recovery_timeout\": \"10ms\", "
                  "\"success_threshold\": 1}, \"pool\": {\"min_idle\": 0, \"dial_backoff\": "
                  "{\"initial\": \"60s\", \"max\": \"60s\"}}, \"classes\": {\"read\": {\"retry\": "
                  "\"none\", \"deadline\": \"30s\", \"attempt_timeout\": \"30s\"}}}");
    hgi_private_server_kill(server);
    cr_assert_lt(hg_command(pool, NULL, NULL, "GET k"), 0);
    restart();
    pthread_mutex_lock(&pool->mutex);
    pool->dial_not_before_ns = HGI_NEVER; /* whatever the jitter made of it */
    pthread_mutex_unlock(&pool->mutex);
    while (hg_breaker_retry_after(hg_pool_breaker(pool)) > 0)
        sleep_ms(1);
    cr_assert_eq(hg_command(pool, NULL, &err, "GET k"), HG_OK, "%s", err.message);
    cr_assert_eq(hg_breaker_state_now(hg_pool_breaker(pool)), HG_BREAKER_CLOSED);
}

/* --- what is not wanted any more --- */

static void *take_one_main(void *arg)
{
    (void)arg;
    hg_release(acquire(), HG_OK);
    return NULL;
}

static bool a_dial_has_failed(void *arg)
{
    (void)arg;
    struct hg_pool_stats stats = stats_now();
    return stats.dial_failures > 0 && stats.dialing == 0;
}

Test(dialing, a_dial_is_not_begun_once_its_waiter_has_a_connection)
{
    char away[200];
    pthread_t waiter;
    pool = open_pool(
        hgi_private_server_url(server),
        "{\"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 2, \"min_idle\": 0, "
        "\"dial_backoff\": {\"initial\": \"100ms\", \"max\": \"100ms\"}}, " PATIENT "}");
    hg_lease *lease = acquire();
    const char *socket = hgi_private_server_socket(server);
    snprintf(away, sizeof away, "%s.away", socket);
    cr_assert_eq(rename(socket, away), 0); /* no dial reaches it; the connection stands */
    cr_assert_eq(pthread_create(&waiter, NULL, take_one_main, NULL), 0);
    wait_for(a_dial_has_failed, NULL, "the waiter's dial fails");
    hg_release(lease, HG_OK);
    pthread_join(waiter, NULL);
    cr_assert_eq(rename(away, socket), 0);
    wait_for(so_many_dial, SO_MANY(0), "one that was under way has ended");
    uint64_t dials = stats_now().dials;
    sleep_ms(300); /* past the pause, and twice */
    cr_assert_eq(stats_now().dials, dials);
}

/* --- sockets and lives --- */

static int option_of(int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    cr_assert_eq(getsockopt(pool->slots[0].conn->context->fd, level, name, &value, &length), 0);
    return value;
}

Test(dialing, a_tcp_socket_is_told_to_notice_a_peer_that_has_vanished)
{
    const struct hgi_private_server_options with_port = { .tcp = true };
    struct hgi_private_server *tcp;
    struct hgi_problem problem;
    cr_assert(hgi_private_server_start(&tcp, &with_port, &problem), "%s", problem.text);
    pool =
        open_pool(hgi_private_server_tcp_url(tcp),
                  "{\"pool\": {\"max_size\": 1, \"tcp_user_timeout\": \"12345ms\"}, " PATIENT "}");
    hg_lease *lease = acquire();
    cr_assert_neq(option_of(SOL_SOCKET, SO_KEEPALIVE), 0);
    cr_assert_eq(option_of(IPPROTO_TCP, TCP_KEEPIDLE), 60);
    cr_assert_eq(option_of(IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
    cr_assert_neq(option_of(IPPROTO_TCP, TCP_NODELAY), 0);
    hg_release(lease, HG_OK);
    close_pool(pool);
    pool = NULL;
    hgi_private_server_free(tcp);
}

Test(dialing, lives_that_begin_together_do_not_end_together)
{
    enum { COUNT = 12 };
    hg_lease *leases[COUNT];
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 12, \"max_lifetime\": \"1000s\"}, " PATIENT "}");
    for (int i = 0; i < COUNT; i++)
        leases[i] = acquire();
    unsigned same = 0;
    int64_t first_ns = pool->slots[0].conn->expires_ns - pool->slots[0].conn->made_ns;
    for (int i = 0; i < COUNT; i++) {
        const struct hgi_conn *conn = pool->slots[i].conn;
        int64_t life_ns = conn->expires_ns - conn->made_ns;
        cr_assert(life_ns >= 900 * HGI_NS_PER_S && life_ns <= 1100 * HGI_NS_PER_S, "%lld",
                  (long long)life_ns);
        same += life_ns == first_ns;
        hg_release(leases[i], HG_OK);
    }
    cr_assert_eq(same, 1);
}
