/* Threads that hold a connection and ask for another: the last that would close a circle of waiting is
 * refused, and nobody else is. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "pool/internal.h"
#include "tests/pool/support.h"

static struct hgi_private_server *server;
static hg_pool *pool;

static void set_up(void)
{
    server = start_server();
}

static void tear_down(void)
{
    hgi_private_server_free(server);
}

TestSuite(holding, .init = set_up, .fini = tear_down, .timeout = 120);

static hg_lease *acquire(void)
{
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    return lease;
}

static struct hg_pool_stats stats_now(void)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    return stats;
}

static bool one_is_waiting(void *arg)
{
    (void)arg;
    return stats_now().waiting == 1;
}

static bool is_held_elsewhere(void *arg)
{
    (void)arg;
    int32_t holder = atomic_load(&pool->slots[0].holder);
    return holder != 0 && holder != hgi_thread_id();
}

Test(holding, a_thread_that_would_wait_for_itself_is_refused_at_once)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    hg_lease *first = acquire();
    hg_lease *second = acquire();
    hg_lease *third;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &third, NULL, &err), HG_ERR_POOL_TIMEOUT);
    cr_assert_not_null(strstr(err.message, "2 of 2 leased"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "all who hold one wait"), "%s", err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_NOT_SENT);
    hg_release(second, HG_OK);
    cr_assert_eq(hg_command(pool, NULL, &err, "PING"), HG_OK, "%s", err.message);
    hg_release(first, HG_OK);
    close_pool(pool);
}

struct hog {
    pthread_barrier_t *all_hold;
    hg_status status;
    char message[400];
};

static void *hog_main(void *arg)
{
    struct hog *hog = arg;
    hg_lease *first = acquire();
    hg_lease *second;
    struct hg_error err = HG_ERROR_INIT;
    pthread_barrier_wait(hog->all_hold);
    hog->status = hg_acquire(pool, &second, NULL, &err);
    snprintf(hog->message, sizeof hog->message, "%s", err.message);
    hg_release(second, HG_OK);
    hg_release(first, HG_OK);
    return NULL;
}

Test(holding, of_holders_that_all_wait_the_last_is_refused_and_the_others_go_on)
{
    enum { HOGS = 5 };
    pthread_barrier_t all_hold;
    struct hog hogs[HOGS];
    pthread_t threads[HOGS];
    unsigned refused = 0;
    pthread_barrier_init(&all_hold, NULL, HOGS);
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 5}, " PATIENT "}");
    for (int i = 0; i < HOGS; i++) {
        hogs[i] = (struct hog) { .all_hold = &all_hold };
        cr_assert_eq(pthread_create(&threads[i], NULL, hog_main, &hogs[i]), 0);
    }
    for (int i = 0; i < HOGS; i++) {
        pthread_join(threads[i], NULL);
        if (hogs[i].status == HG_OK)
            continue;
        cr_assert_eq(hogs[i].status, HG_ERR_POOL_TIMEOUT);
        cr_assert_not_null(strstr(hogs[i].message, "all who hold one wait"), "%s", hogs[i].message);
        refused++;
    }
    cr_assert_eq(refused, 1);
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    cr_assert_eq(stats.leased, 0);
    pthread_barrier_destroy(&all_hold);
    close_pool(pool);
}

static void *give_back_main(void *arg)
{
    hg_lease *lease = arg;
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "PING"), HG_OK);
    wait_for(one_is_waiting, NULL, "the one who took it waits");
    hg_release(lease, HG_OK);
    return NULL;
}

Test(holding, a_lease_used_by_another_thread_is_waited_for)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 1}, " PATIENT "}");
    hg_lease *lease = acquire();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, give_back_main, lease), 0);
    wait_for(is_held_elsewhere, NULL, "the other thread uses it");
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "PING"), HG_OK, "%s", err.message);
    pthread_join(thread, NULL);
    close_pool(pool);
}
