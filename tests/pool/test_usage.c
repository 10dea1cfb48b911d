/* The recent peak of use: what is spare, and when; and a pool that lets go of it. */
#include <criterion/criterion.h>

#include "pool/slots.h"
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

/* --- on a real server: one call at a time, and all connections take their turns --- */

enum { CONNECTIONS = 4 };

static hg_pool *pool;

static uint32_t connections_now(void)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    return stats.idle + stats.leased + stats.dialing + stats.mending;
}

/* A call by each connection, as if by a thread of its own, which begins at the slot it used last. */
static bool one_is_left_after_a_call_by_each(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        hgi_slot_remember(pool, &pool->slots[i]);
        cr_assert_eq(hg_command(pool, NULL, NULL, "GET k"), HG_OK);
    }
    return connections_now() == 1;
}

Test(usage, connections_above_the_recent_peak_go_although_all_of_them_are_used, .timeout = 120)
{
    struct hgi_private_server *server = start_server();
    hg_lease *leases[CONNECTIONS];
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 4, \"min_idle\": 0, \"idle_timeout\": \"400ms\"},"
                     " \"classes\": {\"read\": {\"attempt_timeout\": \"20s\", \"deadline\": "
                     "\"60s\"}, \"write_once\": {\"deadline\": \"60s\"}}}");
    for (int i = 0; i < CONNECTIONS; i++)
        cr_assert_eq(hg_acquire(pool, &leases[i], NULL, NULL), HG_OK);
    for (int i = 0; i < CONNECTIONS; i++)
        hg_release(leases[i], HG_OK);
    wait_for(one_is_left_after_a_call_by_each, NULL, "three connections are let go of");
    close_pool(pool);
    hgi_private_server_free(server);
}
