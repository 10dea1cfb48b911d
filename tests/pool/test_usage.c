/* The recent peak of use: what is spare, and when; and a pool that lets go of it. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>

#include "pool/usage.h"
#include "tests/pool/support.h"

enum { WINDOW = 1000 };

Test(usage, nothing_is_spare_before_a_whole_window_has_been_seen)
{
    struct hgi_usage usage = { 0 };
    for (int64_t now = 1; now < 1 + WINDOW; now += 100) {
        hgi_usage_note(&usage, now, WINDOW, 8, 1, 0);
        cr_assert_eq(hgi_usage_spare(&usage, 8), 0u);
    }
    hgi_usage_note(&usage, 1 + WINDOW, WINDOW, 8, 1, 0);
    cr_assert_eq(hgi_usage_spare(&usage, 8), 7u);
}

Test(usage, a_peak_counts_for_a_window_at_least_and_two_at_most)
{
    struct hgi_usage usage = { 0 };
    int64_t now = 1;
    for (; now <= 1 + 2 * WINDOW; now += 100)
        hgi_usage_note(&usage, now, WINDOW, 8, 2, 0);
    cr_assert_eq(hgi_usage_spare(&usage, 8), 6u);
    hgi_usage_note(&usage, now, WINDOW, 8, 5, 0);
    int64_t peak_at = now;
    bool gone = false;
    for (now += 100; now <= peak_at + 3 * WINDOW; now += 100) {
        hgi_usage_note(&usage, now, WINDOW, 8, 2, 0);
        if (now - peak_at < WINDOW)
            cr_assert_eq(hgi_usage_spare(&usage, 8), 3u);
        gone = hgi_usage_spare(&usage, 8) == 6;
        if (now - peak_at >= 2 * WINDOW)
            cr_assert(gone);
    }
}

Test(usage, who_had_to_queue_tells_that_all_were_in_use)
{
    struct hgi_usage usage = { 0 };
    hgi_usage_note(&usage, 1, WINDOW, 8, 1, 40);
    hgi_usage_note(&usage, 1 + WINDOW, WINDOW, 8, 1, 40);
    cr_assert_eq(hgi_usage_spare(&usage, 8), 7u);
    hgi_usage_note(&usage, 1 + WINDOW + 1, WINDOW, 8, 0, 41);
    cr_assert_eq(hgi_usage_spare(&usage, 8), 0u);
    cr_assert_eq(hgi_usage_spare(&usage, 9), 1u);
}

Test(usage, fewer_connections_than_the_peak_are_none_too_many)
{
    struct hgi_usage usage = { 0 };
    hgi_usage_note(&usage, 1, WINDOW, 8, 8, 0);
    hgi_usage_note(&usage, 1 + WINDOW, WINDOW, 8, 8, 0);
    cr_assert_eq(hgi_usage_spare(&usage, 3), 0u);
}

/* --- on a real server: threads that take turns, so that one connection would do --- */

enum { THREADS = 4 };

static hg_pool *pool;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool stop;
static pthread_barrier_t all_have_one;

static void *caller_main(void *arg)
{
    (void)arg;
    hg_lease *lease; /* each from then on begins at a slot of its own */
    cr_assert_eq(hg_acquire(pool, &lease, NULL, NULL), HG_OK);
    pthread_barrier_wait(&all_have_one);
    hg_release(lease, HG_OK);
    pthread_barrier_wait(&all_have_one);
    while (!atomic_load(&stop)) {
        pthread_mutex_lock(&turn);
        cr_assert_eq(hg_command(pool, NULL, NULL, "GET k"), HG_OK);
        pthread_mutex_unlock(&turn);
    }
    return NULL;
}

static bool one_is_left(void *arg)
{
    (void)arg;
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    return stats.idle + stats.leased + stats.dialing == 1;
}

Test(usage, connections_above_the_recent_peak_go_although_threads_use_them_all, .timeout = 120)
{
    struct hgi_private_server *server = start_server();
    pthread_t threads[THREADS];
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 4, \"min_idle\": 0, \"idle_timeout\": \"300ms\"},"
                     " \"classes\": {\"read\": {\"attempt_timeout\": \"20s\", \"deadline\": "
                     "\"60s\"}, \"write_once\": {\"deadline\": \"60s\"}}}");
    pthread_barrier_init(&all_have_one, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, caller_main, NULL), 0);
    wait_for(one_is_left, NULL, "three connections are let go of");
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_have_one);
    close_pool(pool);
    hgi_private_server_free(server);
}
