/* Threads that hold a connection and ask for another: the last that would close a circle of waiting is
 * refused, and nobody else is. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "pool/internal.h"
#include "pool/queue.h"
#include "tests/pool/one_pool.h"
#include "tools/common/wire.h"

TestSuite(holding, .init = set_up_server, .fini = tear_down_server, .timeout = 120);

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
    wait_for(so_many_wait, SO_MANY(1), "the one who took it waits");
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

/* --- the marks of those who wait --- */

struct borrower {
    pthread_barrier_t step;
    hg_lease *first;
};

static void *borrower_main(void *arg)
{
    struct borrower *borrower = arg;
    borrower->first = acquire();
    pthread_barrier_wait(&borrower->step);
    hg_lease *second = acquire(); /* waits for the other's, and has marked the first meanwhile */
    pthread_barrier_wait(&borrower->step);
    pthread_barrier_wait(&borrower->step);
    hg_lease *again = acquire(); /* the connection of the first */
    hg_release(second, HG_OK);
    pthread_barrier_wait(&borrower->step);
    wait_for(so_many_wait, SO_MANY(1), "the other waits");
    hg_release(again, HG_OK);
    return NULL;
}

Test(holding, a_mark_goes_with_who_waited_also_if_the_lease_was_used_elsewhere)
{
    struct borrower borrower;
    pthread_t thread;
    struct hg_error err = HG_ERROR_INIT;
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    pthread_barrier_init(&borrower.step, NULL, 2);
    hg_lease *mine = acquire();
    cr_assert_eq(pthread_create(&thread, NULL, borrower_main, &borrower), 0);
    pthread_barrier_wait(&borrower.step);
    wait_for(so_many_wait, SO_MANY(1), "the borrower waits");
    cr_assert_eq(hg_lease_command(borrower.first, NULL, NULL, "PING"), HG_OK);
    hg_release(mine, HG_OK);
    pthread_barrier_wait(&borrower.step);
    hg_release(borrower.first, HG_OK);
    pthread_barrier_wait(&borrower.step);
    pthread_barrier_wait(&borrower.step);
    mine = acquire();
    hg_lease *other;
    cr_assert_eq(hg_acquire(pool, &other, NULL, &err), HG_OK, "%s", err.message);
    hg_release(other, HG_OK);
    hg_release(mine, HG_OK);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&borrower.step);
    close_pool(pool);
}

/* A place in the queue for this thread, left again in one of the ways there are. */
static void queue_and(void (*leave)(struct hgi_waiter *waiter))
{
    struct hgi_take take = { .settings = hgi_snapshot_now(pool)->settings };
    pthread_mutex_lock(&pool->mutex);
    struct hgi_waiter *waiter = hgi_queue_join(pool, &take, hgi_now_ns());
    cr_assert_eq(pool->slots[0].stuck, hgi_thread_id());
    pthread_mutex_unlock(&pool->mutex);
    leave(waiter);
    cr_assert_eq(pool->slots[0].stuck, 0);
    hgi_queue_recycle(pool, waiter);
}

static void of_itself(struct hgi_waiter *waiter)
{
    pthread_mutex_lock(&pool->mutex);
    hgi_queue_leave(pool, waiter);
    pthread_mutex_unlock(&pool->mutex);
}

static void answered(struct hgi_waiter *waiter)
{
    (void)waiter;
    hgi_wake_all(pool, HGI_WAKE_BREAKER);
}

static void handed(struct hgi_waiter *waiter)
{
    bool looked;
    pthread_mutex_lock(&pool->mutex);
    cr_assert_eq(hgi_queue_hand(pool, &pool->slots[0], &looked), waiter);
    pthread_mutex_unlock(&pool->mutex);
}

/* In one step: an instant between the two would refuse others who may well wait. */
Test(holding, whoever_leaves_the_queue_takes_its_marks_along)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1, \"fairness\": \"fifo\"}, " PATIENT "}");
    hg_lease *lease = acquire();
    queue_and(of_itself);
    queue_and(answered);
    queue_and(handed);
    hg_release(lease, HG_OK);
    close_pool(pool);
}

/* In place of the C library's: a place in the queue may find no memory. */
static _Thread_local bool no_memory;
/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return no_memory ? NULL : __real_aligned_alloc(alignment, size);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

Test(holding, who_found_no_place_in_the_queue_does_not_count_as_waiting)
{
    pthread_barrier_t all_hold;
    pthread_t thread;
    struct hog hog = { .all_hold = &all_hold };
    pthread_barrier_init(&all_hold, NULL, 2);
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 2, \"min_idle\": 2}, " PATIENT "}");
    wait_for(so_many_idle, SO_MANY(2), "nobody has to queue for the first connections");
    hg_lease *mine = acquire();
    cr_assert_eq(pthread_create(&thread, NULL, hog_main, &hog), 0);
    wait_for(so_many_leased, SO_MANY(2), "the other holds one, too");
    hg_lease *other;
    struct hg_error err = HG_ERROR_INIT;
    no_memory = true;
    cr_assert_eq(hg_acquire(pool, &other, NULL, &err), HG_ERR_NO_MEMORY, "%s", err.message);
    no_memory = false;
    pthread_barrier_wait(&all_hold);
    wait_for(so_many_wait, SO_MANY(1), "the other waits for this one");
    hg_release(mine, HG_OK);
    pthread_join(thread, NULL);
    cr_assert_eq(hog.status, HG_OK, "%s", hog.message);
    pthread_barrier_destroy(&all_hold);
    close_pool(pool);
}

/* --- leases that go from hand to hand --- */

static void *heir_main(void *arg)
{
    hg_lease *lease = arg;
    struct hg_error err = HG_ERROR_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    hg_lease *second;
    options.deadline_ns = 5 * HGI_NS_PER_S;
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "PING"), HG_OK);
    wait_for(so_many_wait, SO_MANY(1), "the one who took it waits");
    cr_assert_eq(hg_acquire(pool, &second, &options, &err), HG_ERR_POOL_TIMEOUT);
    cr_assert_not_null(strstr(err.message, "all who hold one wait"), "%s", err.message);
    hg_release(lease, HG_OK);
    return NULL;
}

Test(holding, a_circle_through_a_lease_that_another_thread_took_is_seen)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    hg_lease *mine = acquire();
    hg_lease *given = acquire();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, heir_main, given), 0);
    while (atomic_load(&pool->slots[0].holder) == atomic_load(&pool->slots[1].holder))
        sleep_ms(1);
    hg_lease *other;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &other, NULL, &err), HG_OK, "%s", err.message);
    hg_release(other, HG_OK);
    hg_release(mine, HG_OK);
    pthread_join(thread, NULL);
    close_pool(pool);
}

static void *release_main(void *arg)
{
    hg_release(arg, HG_OK);
    return NULL;
}

static void limit_clients(struct hgi_wire *wire, const char *limit)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_wire_command(wire, &problem, "CONFIG SET maxclients %s", limit);
    cr_assert(reply && reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
}

static bool a_dial_has_failed(void *arg)
{
    (void)arg;
    return stats_now().dial_failures > 0 && stats_now().dialing == 0;
}

Test(holding, who_holds_none_is_never_the_one_that_is_refused)
{
    enum { HOGS = 2 };
    pthread_barrier_t all_hold;
    struct hog hogs[HOGS];
    pthread_t threads[HOGS], thread;
    struct hgi_problem problem;
    struct hgi_wire *wire =
        hgi_wire_open_unix(hgi_private_server_socket(server), 60 * HGI_NS_PER_S, &problem);
    cr_assert_not_null(wire);
    pthread_barrier_init(&all_hold, NULL, HOGS + 1);
    pool = open_pool(hgi_private_server_url(server),
                     "{\"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 2, "
                     "\"dial_backoff\": {\"initial\": \"2s\", \"max\": \"2s\"}}, " PATIENT "}");
    /* This thread took one, and another gave it back: it seems to hold it still. */
    cr_assert_eq(pthread_create(&thread, NULL, release_main, acquire()), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < HOGS; i++) {
        hogs[i] = (struct hog) { .all_hold = &all_hold };
        cr_assert_eq(pthread_create(&threads[i], NULL, hog_main, &hogs[i]), 0);
    }
    wait_for(so_many_leased, SO_MANY(HOGS), "each holds one");
    /* Both hold one and wait for a third, which there will not be: a circle that nobody closed. */
    struct hg_error err = HG_ERROR_INIT;
    limit_clients(wire, "1");
    cr_assert_eq(hg_pool_resize(pool, 3, &err), HG_OK, "%s", err.message);
    pthread_barrier_wait(&all_hold);
    wait_for(so_many_wait, SO_MANY(2), "both wait");
    wait_for(a_dial_has_failed, NULL, "there is no third");
    cr_assert_eq(hg_pool_resize(pool, 2, &err), HG_OK, "%s", err.message);
    hg_lease *lease;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = 50 * HGI_NS_PER_MS;
    cr_assert_eq(hg_acquire(pool, &lease, &options, &err), HG_ERR_POOL_TIMEOUT);
    cr_assert_not_null(strstr(err.message, "came free"), "%s", err.message);
    limit_clients(wire, "100");
    cr_assert_eq(hg_pool_resize(pool, 3, &err), HG_OK, "%s", err.message);
    for (int i = 0; i < HOGS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(hogs[i].status, HG_OK, "%s", hogs[i].message);
    }
    pthread_barrier_destroy(&all_hold);
    hgi_wire_close(wire);
    close_pool(pool);
}
