/* Pools whose policy shares a breaker: what one has learnt of the server, all know. */
#include <criterion/criterion.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "tests/pool/support.h"

static struct hgi_private_server *server;
static char name[48];
static _Atomic int logged[16];
static char adopted[512];

static void log_event(void *arg, const struct hg_log_event *event)
{
    (void)arg;
    atomic_fetch_add(&logged[event->kind], 1);
    if (event->kind == HG_LOG_BREAKER_ADOPTED)
        snprintf(adopted, sizeof adopted, "%s", event->text);
}

static void set_up(void)
{
    server = start_server();
    snprintf(name, sizeof name, "/test.pool.%d.%lld", (int)getpid(), (long long)hgi_now_ns());
}

static void tear_down(void)
{
    hg_breaker_unlink_shared(name, NULL);
    hgi_private_server_free(server);
}

TestSuite(shared_breaker, .init = set_up, .fini = tear_down, .timeout = 120);

/* Deadlines are long: time is not what is tested here. */
static hg_status opened(hg_pool **pool, uint32_t threshold, const char *rest, struct hg_error *err)
{
    char json[512];
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    options.log = log_event;
    snprintf(json, sizeof json,
             "{\"breaker\": {\"shared\": \"%s\", \"failure_threshold\": %u, \"recovery_timeout\": "
             "\"1h\", \"recovery_timeout_max\": \"1h\"%s}, \"classes\": {\"read\": {\"deadline\": "
             "\"60s\", \"attempt_timeout\": \"60s\"}}}",
             name, threshold, rest);
    hg_policy *policy = parse_policy(json);
    hg_status status = hg_pool_open(pool, &options, policy, err);
    hg_policy_drop(policy);
    return status;
}

static hg_pool *pool_of(uint32_t threshold)
{
    hg_pool *pool;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(opened(&pool, threshold, "", &err), HG_OK, "%s", err.message);
    return pool;
}

Test(shared_breaker, what_one_pool_opens_refuses_the_calls_of_another)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_pool *first = pool_of(2);
    hg_pool *second = pool_of(2);
    cr_assert_eq(hg_command(first, NULL, &err, "GET k"), HG_OK, "%s", err.message);
    cr_assert_eq(hg_command(second, NULL, &err, "GET k"), HG_OK, "%s", err.message);
    cr_assert_eq(atomic_load(&logged[HG_LOG_BREAKER_ADOPTED]), 0);
    hg_breaker_trip(hg_pool_breaker(first));
    cr_assert_eq(hg_command(second, NULL, &err, "GET k"), HG_ERR_CIRCUIT_OPEN);
    cr_assert_gt(err.retry_after_ns, 0);
    cr_assert_eq(atomic_load(&logged[HG_LOG_BREAKER]), 2); /* each pool's listener heard it */
    hg_breaker_reset(hg_pool_breaker(second));
    cr_assert_eq(hg_command(first, NULL, &err, "GET k"), HG_OK, "%s", err.message);
    close_pool(first);
    close_pool(second);
}

Test(shared_breaker, a_pool_with_other_settings_adopts_those_that_hold_and_logs_it)
{
    hg_pool *first = pool_of(2);
    hg_pool *second = pool_of(9);
    cr_assert_eq(atomic_load(&logged[HG_LOG_BREAKER_ADOPTED]), 1);
    cr_assert(strstr(adopted, "failure_threshold is 2, not 9"), "%s", adopted);
    close_pool(first);
    close_pool(second);
}

Test(shared_breaker, a_pool_that_insists_on_its_settings_is_not_opened)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_pool *first = pool_of(2);
    hg_pool *second;
    cr_assert_eq(opened(&second, 9, ", \"on_mismatch\": \"refuse\"", &err), HG_ERR_VALIDATION);
    cr_assert_null(second);
    cr_assert(strstr(err.message, "failure_threshold is 2, not 9"), "%s", err.message);
    cr_assert_eq(opened(&second, 2, ", \"on_mismatch\": \"refuse\"", &err), HG_OK, "%s",
                 err.message);
    close_pool(first);
    close_pool(second);
}
