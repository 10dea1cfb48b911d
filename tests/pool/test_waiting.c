/* Waiting for a connection, and not waiting in vain: the queue's limits and its refusals. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>

#include "breaker/clock.h"
#include "tests/pool/one_pool.h"

TestSuite(waiting, .init = set_up_server, .fini = tear_down_both, .timeout = 120);

static hg_status acquire_within(hg_lease **lease, int64_t deadline_ns, struct hg_error *err)
{
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = deadline_ns;
    return hg_acquire(pool, lease, &options, err);
}

static void *wait_main(void *arg)
{
    hg_lease *lease;
    *(hg_status *)arg = acquire_within(&lease, 60 * HGI_NS_PER_S, NULL);
    hg_release(lease, HG_OK);
    return NULL;
}

struct late {
    struct hg_error *err;
    hg_status status;
};

static void *late_main(void *arg)
{
    struct late *late = arg;
    hg_lease *lease;
    late->status = acquire_within(&lease, 80 * HGI_NS_PER_MS, late->err);
    hg_release(lease, late->status);
    return NULL;
}

/* One connection, leases of it that last 50 ms or longer, one held now, one caller in the queue; then
 * one more that has 80 ms. Its status. */
static hg_status second_in_the_queue(const char *json, struct hg_error *err)
{
    hg_lease *held;
    pthread_t waiter;
    hg_status waited = HG_ERR_CLOSED;
    pool = open_pool(hgi_private_server_url(server), json);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(acquire_within(&held, 60 * HGI_NS_PER_S, NULL), HG_OK);
        sleep_ms(50);
        hg_release(held, HG_OK);
    }
    cr_assert_eq(acquire_within(&held, 60 * HGI_NS_PER_S, NULL), HG_OK);
    cr_assert_eq(pthread_create(&waiter, NULL, wait_main, &waited), 0);
    wait_for(so_many_wait, SO_MANY(1), "a caller waits");
    struct late late = { .err = err };
    pthread_t second; /* not this thread, which holds the connection and would wait for itself */
    cr_assert_eq(pthread_create(&second, NULL, late_main, &late), 0);
    pthread_join(second, NULL);
    hg_release(held, HG_OK);
    pthread_join(waiter, NULL);
    cr_assert_eq(waited, HG_OK);
    return late.status;
}

Test(waiting, a_hopeless_wait_is_refused_at_once_when_switched_on)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = second_in_the_queue(
        "{\"pool\": {\"max_size\": 1, \"refuse_hopeless\": true, \"lease_warning\": \"off\"}}",
        &err);
    cr_assert_eq(status, HG_ERR_POOL_TIMEOUT, "%s", err.message);
    cr_assert_not_null(strstr(err.message, "place 2 in the queue"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "pool.refuse_hopeless"), "%s", err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_NOT_SENT);
    cr_assert_eq(stats_now().pool_timeouts, 1);
}

Test(waiting, a_hopeless_wait_is_waited_when_not)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = second_in_the_queue("{\"pool\": {\"max_size\": 1}}", &err);
    cr_assert_eq(status, HG_ERR_POOL_TIMEOUT, "%s", err.message);
    cr_assert_not_null(strstr(err.message, "no connection came free"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "raise pool.max_size"), "%s", err.message);
    cr_assert_eq(stats_now().pool_timeouts, 1);
}

Test(waiting, nobody_is_refused_before_a_lease_was_measured)
{
    hg_lease *lease;
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1, \"min_idle\": 0, \"refuse_hopeless\": true}}");
    cr_assert_eq(acquire_within(&lease, 20 * HGI_NS_PER_S, NULL), HG_OK);
    hg_release(lease, HG_OK);
}

Test(waiting, a_full_queue_refuses_and_says_so)
{
    hg_lease *held, *lease;
    struct hg_error err = HG_ERROR_INIT;
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1, \"max_waiters\": 1}}");
    pthread_t waiter;
    hg_status waited = HG_ERR_CLOSED;
    cr_assert_eq(acquire_within(&held, 60 * HGI_NS_PER_S, NULL), HG_OK);
    cr_assert_eq(pthread_create(&waiter, NULL, wait_main, &waited), 0);
    wait_for(so_many_wait, SO_MANY(1), "a caller waits");
    cr_assert_eq(acquire_within(&lease, 60 * HGI_NS_PER_S, &err), HG_ERR_POOL_TIMEOUT);
    cr_assert_not_null(strstr(err.message, "pool.max_waiters"), "%s", err.message);
    hg_release(held, HG_OK);
    pthread_join(waiter, NULL);
    cr_assert_eq(waited, HG_OK);
}

/* More connections would change nothing there, and to raise pool.max_size is no advice. */
Test(waiting, who_waited_for_a_suspended_pool_is_told_to_resume_it)
{
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    pool = open_pool(hgi_private_server_url(server), "{}");
    cr_assert_eq(hg_pool_suspend(pool, NULL), HG_OK);
    cr_assert_eq(acquire_within(&lease, 20 * HGI_NS_PER_MS, &err), HG_ERR_POOL_TIMEOUT);
    cr_assert_not_null(strstr(err.message, "hg_pool_resume()"), "%s", err.message);
    cr_assert_null(strstr(err.message, "max_size"), "%s", err.message);
    cr_assert_eq(hg_pool_resume(pool, NULL), HG_OK);
}
