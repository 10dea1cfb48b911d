/* Connections to callers and back.
 *
 * The fast path is one CAS on the word of a free slot, the one this thread used last if it can be had,
 * and one exchange to give it back. When nothing is free, callers queue in order; a connection that
 * comes back goes to the first of them directly, without being free in between.
 *
 * No connection is lost between the two: a giver makes its slot FREE and then looks at the length of
 * the queue; a waiter makes the queue longer and then looks at the slots. All four are seq_cst, so at
 * least one of the two sees the other [P1].
 *
 * Invariants: a slot has one owner (see internal.h); whoever is woken was taken out of the queue by
 * the one who wakes it, under the mutex, so a wake-up is used or passed on, never lost; while somebody
 * waits, a newcomer does not take a free slot.
 */
#include "pool/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/park.h"

int32_t hgi_thread_id(void)
{
    static _Thread_local int32_t id;
    if (id == 0)
        id = (int32_t)gettid();
    return id;
}

bool hgi_slot_is_fit(const hg_pool *pool, const struct hgi_slot *slot)
{
    const struct hgi_conn *conn = slot->conn;
    /* relaxed: a connection that ends just now is noticed by its user; this saves most of them that. */
    return hgi_conn_is_clean(conn) &&
           atomic_load_explicit(&slot->hung_up, memory_order_relaxed) != conn->id &&
           atomic_load_explicit(&pool->epoch, memory_order_relaxed) == conn->epoch &&
           slot < &pool->slots[hgi_size_now(pool)];
}

void hgi_discard(hg_pool *pool, struct hgi_slot *slot)
{
    hgi_conn_close(slot->conn);
    slot->conn = NULL;
    pthread_mutex_lock(&pool->mutex);
    /* relaxed: dialers take EMPTY slots under the mutex only. */
    atomic_store_explicit(&slot->state, HGI_SLOT_EMPTY, memory_order_relaxed);
    pool->connected--;
    if (hgi_dial_is_wanted(pool))
        pthread_cond_signal(&pool->dial_wanted);
    pthread_mutex_unlock(&pool->mutex);
}

/* Own a FREE slot, or NULL. Starts at the one that this thread used last. */
static struct hgi_slot *own_free_slot(hg_pool *pool)
{
    static _Thread_local uint32_t hint;
    const uint32_t size = hgi_size_now(pool);
    uint32_t index = hint < size ? hint : 0;
    for (uint32_t i = 0; i < size; i++) {
        struct hgi_slot *slot = &pool->slots[index];
        uint32_t expected = HGI_SLOT_FREE;
        /* [P4] acquire: the connection as its last owner left it; pairs with [P4] in make_free().
         * [P1] seq_cst: a waiter's look at the slots after it queued; pairs with [P1] there. */
        if (atomic_load_explicit(&slot->state, memory_order_seq_cst) == HGI_SLOT_FREE &&
            atomic_compare_exchange_strong_explicit(&slot->state, &expected, HGI_SLOT_LEASED,
                                                    memory_order_acquire, memory_order_relaxed)) {
            hint = index;
            return slot;
        }
        index = index + 1 < size ? index + 1 : 0;
    }
    return NULL;
}

/* --- the queue; all of these with the mutex held --- */

static void set_waiting(hg_pool *pool, uint32_t length)
{
    /* [P1] seq_cst: the queue's length before the look at the slots; pairs with [P1] in make_free(). */
    atomic_store_explicit(&pool->waiting, length, memory_order_seq_cst);
}

static uint32_t waiting_now(const hg_pool *pool)
{
    /* relaxed: written under the mutex that is held. */
    return atomic_load_explicit(&pool->waiting, memory_order_relaxed);
}

static struct hgi_waiter *enqueue(hg_pool *pool, bool is_probe)
{
    struct hgi_waiter *waiter = pool->spare;
    if (waiter) {
        pool->spare = waiter->next;
    } else {
        waiter = calloc(1, sizeof *waiter);
        if (!waiter)
            return NULL;
        waiter->older = pool->all;
        pool->all = waiter;
    }
    /* relaxed: nobody else knows of the node yet; the mutex publishes it. */
    atomic_store_explicit(&waiter->word, HGI_WAKE_NOT_YET, memory_order_relaxed);
    waiter->is_probe = is_probe;
    waiter->slot = NULL;
    waiter->next = NULL;
    waiter->previous = pool->last;
    if (pool->last)
        pool->last->next = waiter;
    else
        pool->first = waiter;
    pool->last = waiter;
    set_waiting(pool, waiting_now(pool) + 1);
    return waiter;
}

static void unlink_waiter(hg_pool *pool, struct hgi_waiter *waiter)
{
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        pool->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        pool->last = waiter->previous;
    set_waiting(pool, waiting_now(pool) - 1);
}

/* Take it out of the queue with an answer. The caller unparks it; its memory stays. */
static void answer(hg_pool *pool, struct hgi_waiter *waiter, enum hgi_wake why)
{
    unlink_waiter(pool, waiter);
    /* [P5] release: the slot that it was granted; pairs with [P5] in wait_for_answer(). */
    atomic_store_explicit(&waiter->word, why, memory_order_release);
}

void hgi_fail_waiters(hg_pool *pool, enum hgi_wake why)
{
    struct hgi_waiter *next;
    for (struct hgi_waiter *waiter = pool->first; waiter; waiter = next) {
        next = waiter->next;
        if (why == HGI_WAKE_BREAKER && waiter->is_probe)
            continue;
        answer(pool, waiter, why);
        hgi_unpark(&waiter->word);
    }
}

/* --- giving --- */

/* Make an owned slot FREE. True: nothing more to do. False: somebody came to wait meanwhile, and the
 * slot is owned again. */
static bool make_free(hg_pool *pool, struct hgi_slot *slot)
{
    /* [P4] release, and [P1] seq_cst: the slot is FREE before the queue is looked at; pairs with [P4]
     * and [P1] in own_free_slot() and [P1] in set_waiting(). */
    atomic_exchange_explicit(&slot->state, HGI_SLOT_FREE, memory_order_seq_cst);
    if (atomic_load_explicit(&pool->waiting, memory_order_seq_cst) == 0)
        return true;
    uint32_t expected = HGI_SLOT_FREE;
    return !atomic_compare_exchange_strong_explicit(&slot->state, &expected, HGI_SLOT_LEASED,
                                                    memory_order_acquire, memory_order_relaxed);
}

void hgi_give(hg_pool *pool, struct hgi_slot *slot)
{
    if (!hgi_slot_is_fit(pool, slot)) {
        hgi_discard(pool, slot);
        return;
    }
    for (;;) {
        /* relaxed: only saves the lock; make_free() looks again. */
        if (atomic_load_explicit(&pool->waiting, memory_order_relaxed) > 0) {
            pthread_mutex_lock(&pool->mutex);
            struct hgi_waiter *waiter = pool->first;
            if (waiter) {
                /* relaxed: the state may have been KEEPER; the new owner learns of it by [P5]. */
                atomic_store_explicit(&slot->state, HGI_SLOT_LEASED, memory_order_relaxed);
                waiter->slot = slot;
                answer(pool, waiter, HGI_WAKE_GRANTED);
            }
            pthread_mutex_unlock(&pool->mutex);
            if (waiter) {
                hgi_unpark(&waiter->word);
                return;
            }
        }
        if (make_free(pool, slot))
            return;
    }
}

/* --- taking --- */

/* Who holds the connections: for the message of a caller that waited in vain. */
static void describe_holders(const hg_pool *pool, int64_t now_ns, char *text, size_t size)
{
    const unsigned places = hgi_size_now(pool);
    uint32_t leased = 0;
    int64_t longest_ns = 0;
    int32_t holder = 0;
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        const struct hgi_slot *slot = &pool->slots[i];
        /* relaxed: a picture for people. */
        int32_t thread = atomic_load_explicit(&slot->holder, memory_order_relaxed);
        int64_t since_ns = atomic_load_explicit(&slot->leased_ns, memory_order_relaxed);
        if (thread == 0)
            continue;
        leased++;
        if (now_ns - since_ns > longest_ns) {
            longest_ns = now_ns - since_ns;
            holder = thread;
        }
    }
    if (leased == 0)
        snprintf(text, size, "none of %u leased", places);
    else
        snprintf(text, size, "%u of %u leased, the longest for %.1f ms by thread %d",
                 (unsigned)leased, places, (double)longest_ns / 1e6, (int)holder);
}

static hg_status waited_in_vain(hg_pool *pool, int64_t began_ns, struct hg_error *err)
{
    int64_t now_ns = hgi_now_ns();
    char holders[96];
    char dial[160] = "";
    describe_holders(pool, now_ns, holders, sizeof holders);
    pthread_mutex_lock(&pool->mutex);
    if (pool->connected < hgi_size_now(pool) && pool->dial_failures_in_a_row > 0)
        snprintf(dial, sizeof dial, "; the last dial failed: %.120s", pool->dial_text);
    else if (pool->dialing > 0)
        snprintf(dial, sizeof dial, "; %u being dialled", (unsigned)pool->dialing);
    pthread_mutex_unlock(&pool->mutex);
    hgi_count(&pool->counters.pool_timeouts);
    hgi_error_set(
        err, HG_ERR_POOL_TIMEOUT,
        "no connection came free within %.1f ms (%s%s); raise pool.max_size or hold leases "
        "for less long",
        (double)(now_ns - began_ns) / 1e6, holders, dial);
    if (err)
        err->outcome = HG_OUTCOME_NOT_SENT;
    return HG_ERR_POOL_TIMEOUT;
}

static hg_status refused_by_breaker(const hg_pool *pool, struct hg_error *err)
{
    int64_t retry_after_ns = hg_breaker_retry_after(pool->breaker);
    hgi_error_set(err, HG_ERR_CIRCUIT_OPEN,
                  "the circuit breaker opened while the call waited for a connection; ask again in "
                  "%.0f ms",
                  (double)retry_after_ns / 1e6);
    if (err) {
        err->stop_reason = HG_STOP_BREAKER;
        err->outcome = HG_OUTCOME_NOT_SENT;
        err->retry_after_ns = retry_after_ns;
    }
    return HG_ERR_CIRCUIT_OPEN;
}

static hg_status closed(struct hg_error *err)
{
    hgi_error_set(err, HG_ERR_CLOSED, "the pool is closing; the call had no connection yet");
    if (err)
        err->outcome = HG_OUTCOME_NOT_SENT;
    return HG_ERR_CLOSED;
}

static bool breaker_refuses(const hg_pool *pool)
{
    if (!pool->breaker)
        return false;
    hg_breaker_state state = hg_breaker_state_now(pool->breaker);
    return state == HG_BREAKER_OPEN || state == HG_BREAKER_FORCED_OPEN;
}

/* Sleep until answered or the deadline; then leave the queue. Returns the answer, NOT_YET for none. */
static enum hgi_wake wait_for_answer(hg_pool *pool, struct hgi_waiter *waiter, int64_t deadline_ns,
                                     struct hgi_take *take, struct hg_error *err)
{
    /* [P5] acquire: what was granted; pairs with [P5] in answer(). */
    while (atomic_load_explicit(&waiter->word, memory_order_acquire) == HGI_WAKE_NOT_YET &&
           hgi_now_ns() < deadline_ns)
        hgi_park(&waiter->word, HGI_WAKE_NOT_YET, deadline_ns);

    pthread_mutex_lock(&pool->mutex);
    /* relaxed: answers are given under the mutex that is held. */
    uint32_t word = atomic_load_explicit(&waiter->word, memory_order_relaxed);
    if (word == HGI_WAKE_NOT_YET)
        unlink_waiter(pool, waiter);
    take->slot = waiter->slot;
    if (word == HGI_WAKE_DIAL_FAILED) {
        take->dial_failed = true;
        take->verdict = pool->dial_verdict;
        take->dial_ns = pool->last_dial_took_ns;
        hgi_error_set(err, pool->dial_verdict.type, "%s", pool->dial_text);
        if (err)
            err->sys_errno = pool->dial_errno;
    }
    waiter->next = pool->spare;
    pool->spare = waiter;
    pthread_mutex_unlock(&pool->mutex);
    return (enum hgi_wake)word;
}

/* Into the queue. HG_OK with *waiter, or why not. */
static hg_status queue_up(hg_pool *pool, const struct hgi_take *take, struct hgi_waiter **waiter,
                          struct hg_error *err)
{
    hg_status status = HG_OK;
    pthread_mutex_lock(&pool->mutex);
    /* relaxed: set under the mutex that is held. */
    if (atomic_load_explicit(&pool->closing, memory_order_relaxed)) {
        status = closed(err);
    } else if (waiting_now(pool) >= take->settings->pool.max_waiters) {
        status = hgi_error_set(err, HG_ERR_POOL_TIMEOUT,
                               "%u callers wait for a connection already; the limit is "
                               "pool.max_waiters",
                               (unsigned)waiting_now(pool));
        if (err)
            err->outcome = HG_OUTCOME_NOT_SENT;
        hgi_count(&pool->counters.pool_timeouts);
    } else if (!(*waiter = enqueue(pool, take->is_probe))) {
        status = hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for a place in the queue");
    } else {
        hgi_count(&pool->counters.queued);
        if (take->is_probe)
            pool->dial_urgent = true;
        if (hgi_dial_is_wanted(pool))
            pthread_cond_signal(&pool->dial_wanted);
    }
    pthread_mutex_unlock(&pool->mutex);
    return status;
}

static hg_status wait_in_queue(hg_pool *pool, struct hgi_take *take, struct hg_error *err)
{
    const int64_t began_ns = hgi_now_ns();
    int64_t deadline_ns = hgi_deadline_after(began_ns, take->settings->pool.acquire_timeout_ns);
    if (deadline_ns > take->deadline_ns)
        deadline_ns = take->deadline_ns;
    struct hgi_waiter *waiter = NULL;
    hg_status status = queue_up(pool, take, &waiter, err);
    if (status != HG_OK)
        return status;

    /* Look again, now that givers can see the queue; what is found goes to the first in it. */
    struct hgi_slot *found = own_free_slot(pool);
    if (found)
        hgi_give(pool, found);
    bool refused = !take->is_probe && breaker_refuses(pool);
    enum hgi_wake why = wait_for_answer(pool, waiter, refused ? 0 : deadline_ns, take, err);
    const int64_t now_ns = hgi_now_ns();
    take->queue_ns = now_ns - began_ns;
    switch (why) {
    case HGI_WAKE_GRANTED:
        if (take->slot->conn->used_ns == 0)
            take->dial_ns = take->slot->conn->dial_ns;
        if (take->dial_ns > take->queue_ns)
            take->dial_ns = take->queue_ns;
        if (now_ns < deadline_ns)
            return HG_OK;
        hgi_give(pool, take->slot); /* too late for this caller */
        take->slot = NULL;
        return waited_in_vain(pool, began_ns, err);
    case HGI_WAKE_DIAL_FAILED:
        if (take->dial_ns > take->queue_ns)
            take->dial_ns = take->queue_ns;
        return take->verdict.type;
    case HGI_WAKE_BREAKER:
        return refused_by_breaker(pool, err);
    case HGI_WAKE_CLOSED:
        return closed(err);
    case HGI_WAKE_NOT_YET:
    default:
        return refused ? refused_by_breaker(pool, err) : waited_in_vain(pool, began_ns, err);
    }
}

hg_status hgi_take(hg_pool *pool, struct hgi_take *take, struct hg_error *err)
{
    take->slot = NULL;
    take->dial_failed = false;
    take->queue_ns = take->dial_ns = 0;
    /* relaxed: only decides whether to queue; who queues looks at the slots again. */
    while (atomic_load_explicit(&pool->waiting, memory_order_relaxed) == 0) {
        struct hgi_slot *slot = own_free_slot(pool);
        if (!slot)
            break;
        if (hgi_slot_is_fit(pool, slot)) {
            take->slot = slot;
            return HG_OK;
        }
        hgi_discard(pool, slot);
    }
    return wait_in_queue(pool, take, err);
}
