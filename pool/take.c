/* Connections to callers and back.
 *
 * The fast path is one CAS on a free slot and one exchange to give it back (slots.c). When nothing is
 * free, a caller queues (queue.c). What a connection that comes free is then used for depends on
 * whether the queue is strict, that is, whether its first caller has waited for as long as it may be
 * overtaken: never under "barging", from the start under "fifo", after barging_limit under "bounded".
 *
 *   strict      it is handed to the first waiter, and is never free in between; newcomers queue.
 *   not strict  it becomes free for any thread that runs, and the first waiter is asked to look, unless
 *               one that was asked is still on its way: sleepers are not woken to find nothing.
 *
 * No connection is forgotten between the two: a giver makes its slot FREE and then looks at the length
 * of the queue and at `asked`; a waiter makes the queue longer, or takes `asked` back, and then looks
 * at the slots. All of these are seq_cst, so one of the two sees the other [P1][P7]. Whoever takes
 * `asked` back in another's place serves the queue.
 *
 * Invariants: whoever is answered was taken out of the queue under the mutex, so a hand-off is used or
 * passed on, never lost; while the queue is strict, a newcomer does not take a free slot.
 */
#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/probe.h"
#include "pool/deadlock.h"
#include "pool/internal.h"
#include "pool/mend.h"
#include "pool/park.h"
#include "pool/queue.h"
#include "pool/refusals.h"
#include "pool/slots.h"

/* --- giving --- */

/* Hand an owned slot to the first waiter. False: nobody waits. */
static bool hand_over(hg_pool *pool, struct hgi_slot *slot, bool *looked)
{
    pthread_mutex_lock(&pool->mutex);
    struct hgi_waiter *waiter = hgi_queue_hand(pool, slot, looked);
    pthread_mutex_unlock(&pool->mutex);
    if (!waiter)
        return false;
    HGI_PROBE2(hand__off, pool, (uint32_t)(slot - pool->slots));
    hgi_unpark(&waiter->word);
    return true;
}

static void ask_first(hg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    struct hgi_waiter *waiter = hgi_queue_ask(pool);
    pthread_mutex_unlock(&pool->mutex);
    if (waiter)
        hgi_unpark(&waiter->word);
}

/* Give an owned slot with a fit connection on. True: it was handed to a waiter, and *looked is set if
 * that one had been asked to look. False: it is free, and whoever waits will look. */
static bool pass_on(hg_pool *pool, struct hgi_slot *slot, int64_t now_ns, bool *looked)
{
    for (;;) {
        if (hgi_queue_length(pool) > 0 && hgi_queue_is_strict(pool, now_ns) &&
            hand_over(pool, slot, looked))
            return true;
        hgi_slot_free(slot);
        if (hgi_queue_length(pool) == 0)
            return false;
        if (!hgi_queue_is_strict(pool, now_ns)) {
            if (!hgi_queue_asked(pool))
                ask_first(pool);
            return false;
        }
        /* Somebody queued meanwhile who may not be overtaken. */
        if (!hgi_slot_own_again(slot))
            return false;
    }
}

void hgi_give(hg_pool *pool, struct hgi_slot *slot, int64_t now_ns)
{
    bool looked = false;
    if (hgi_slot_is_fit(pool, slot))
        pass_on(pool, slot, now_ns, &looked);
    else
        hgi_give_unfit(pool, slot);
    if (looked)
        hgi_serve_queue(pool);
}

void hgi_give_new(hg_pool *pool, struct hgi_slot *slot)
{
    bool looked = false;
    if (!hgi_slot_is_fit(pool, slot) || hgi_queue_length(pool) == 0 ||
        !hand_over(pool, slot, &looked))
        hgi_give(pool, slot, hgi_now_ns());
    if (looked)
        hgi_serve_queue(pool);
}

/* Own a free slot whose connection may be used, or NULL. Ends: what is not fit becomes EMPTY. */
static struct hgi_slot *own_fit(hg_pool *pool)
{
    struct hgi_slot *slot;
    while ((slot = hgi_slot_own_free(pool)) && !hgi_slot_is_current(pool, slot))
        hgi_discard(pool, slot);
    return slot;
}

void hgi_serve_queue(hg_pool *pool)
{
    struct hgi_slot *slot;
    bool looked; /* whoever was asked and is served here need not be followed: this goes on */
    while (hgi_queue_length(pool) > 0 && (slot = own_fit(pool)) &&
           pass_on(pool, slot, hgi_now_ns(), &looked))
        continue;
}

/* --- waiting --- */

/* Into the queue. HG_OK with *waiter, or why not. */
static hg_status queue_up(hg_pool *pool, const struct hgi_take *take, int64_t now_ns,
                          int64_t deadline_ns, struct hgi_waiter **waiter, struct hg_error *err)
{
    pthread_mutex_lock(&pool->mutex);
    hg_status status = hgi_refuse_waiter(pool, &take->settings->pool, deadline_ns - now_ns, err);
    if (status == HG_OK && hgi_deadlock_would_close(pool))
        status = hgi_refused_by_deadlock(pool, err);
    if (status == HG_OK && !(*waiter = hgi_queue_join(pool, take, now_ns)))
        status = hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for a place in the queue");
    if (status == HG_OK) {
        if (take->is_probe)
            pool->dial_urgent = true;
        if (hgi_dial_is_wanted(pool))
            pthread_cond_signal(&pool->dial_wanted);
    }
    pthread_mutex_unlock(&pool->mutex);
    return status;
}

/* Out of the queue unless it was answered. False: it was, and take->slot may hold a connection. */
static bool leave(hg_pool *pool, struct hgi_waiter *waiter)
{
    bool looked = false;
    pthread_mutex_lock(&pool->mutex);
    /* relaxed: answers are given under the mutex that is held. */
    uint32_t word = atomic_load_explicit(&waiter->word, memory_order_relaxed);
    bool waits = word == HGI_WAKE_NOT_YET || word == HGI_WAKE_LOOK;
    if (waits)
        looked = hgi_queue_leave(pool, waiter);
    pthread_mutex_unlock(&pool->mutex);
    if (looked)
        hgi_serve_queue(pool);
    return waits;
}

static void want_dial(hg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    if (hgi_dial_is_wanted(pool))
        pthread_cond_signal(&pool->dial_wanted);
    pthread_mutex_unlock(&pool->mutex);
}

/* Look for a free slot while queued. True: out of the queue, with take->slot. */
static bool look(hg_pool *pool, struct hgi_waiter *waiter, struct hgi_take *take)
{
    struct hgi_slot *slot = own_fit(pool);
    if (!slot) {
        want_dial(pool); /* none was begun, perhaps, because one was free */
        return false;
    }
    const int64_t now_ns = hgi_now_ns();
    bool mine = !hgi_queue_is_strict(pool, now_ns) && leave(pool, waiter);
    if (mine)
        take->slot = slot;
    else
        hgi_give(pool, slot, now_ns); /* if strict to the first, which this waiter may be */
    hgi_serve_queue(pool);            /* others may have been left free for the one who looks */
    return mine;
}

/* Sleep until answered, or until a look finds something, or the deadline; then the waiter is out of the
 * queue. Returns the answer; LEFT for none. */
static enum hgi_wake wait_for_answer(hg_pool *pool, struct hgi_waiter *waiter, int64_t deadline_ns,
                                     struct hgi_take *take)
{
    for (;;) {
        /* [P5] acquire: what was granted; pairs with [P5] in conclude(). */
        uint32_t word = atomic_load_explicit(&waiter->word, memory_order_acquire);
        if (word == HGI_WAKE_LOOK) {
            if (hgi_queue_takes_up(pool, waiter) && look(pool, waiter, take))
                return HGI_WAKE_GRANTED;
        } else if (word != HGI_WAKE_NOT_YET) {
            take->slot = waiter->slot;
            return (enum hgi_wake)word;
        } else if (hgi_now_ns() < deadline_ns) {
            hgi_park(&waiter->word, HGI_WAKE_NOT_YET, deadline_ns);
        } else if (leave(pool, waiter)) {
            return HGI_WAKE_LEFT;
        }
    }
}

static bool breaker_refuses(const hg_pool *pool)
{
    if (!pool->breaker)
        return false;
    hg_breaker_state state = hg_breaker_state_now(pool->breaker);
    return state == HG_BREAKER_OPEN || state == HG_BREAKER_FORCED_OPEN;
}

/* The waiter got a connection: is there time left to use it? */
static hg_status granted(hg_pool *pool, struct hgi_take *take, int64_t deadline_ns,
                         struct hg_error *err)
{
    hgi_slot_remember(pool, take->slot);
    if (take->slot->conn->used_ns == 0)
        take->dial_ns = take->slot->conn->dial_ns;
    if (take->dial_ns > take->queue_ns)
        take->dial_ns = take->queue_ns;
    if (take->now_ns < deadline_ns)
        return HG_OK;
    hgi_give(pool, take->slot, take->now_ns); /* too late for this caller */
    take->slot = NULL;
    return hgi_waited_in_vain(pool, take->queued_ns, err);
}

static hg_status wait_in_queue(hg_pool *pool, struct hgi_take *take, struct hg_error *err)
{
    const int64_t began_ns = take->now_ns;
    int64_t deadline_ns = hgi_deadline_after(began_ns, take->settings->pool.acquire_timeout_ns);
    if (deadline_ns > take->deadline_ns)
        deadline_ns = take->deadline_ns;
    struct hgi_waiter *waiter = NULL;
    hg_status status = queue_up(pool, take, began_ns, deadline_ns, &waiter, err);
    if (status != HG_OK)
        return status;
    take->queued_ns = hgi_now_ns();

    /* Look again, now that givers can see the queue. */
    enum hgi_wake why = HGI_WAKE_GRANTED;
    bool refused = false;
    if (!look(pool, waiter, take)) {
        refused = !take->is_probe && breaker_refuses(pool);
        why = wait_for_answer(pool, waiter, refused ? 0 : deadline_ns, take);
    }
    hgi_queue_recycle(pool, waiter);
    take->now_ns = hgi_now_ns();
    take->queue_ns = take->now_ns - began_ns;
    switch (why) {
    case HGI_WAKE_GRANTED:
        return granted(pool, take, deadline_ns, err);
    case HGI_WAKE_DIAL_FAILED:
        return hgi_refused_by_dial(pool, take, err);
    case HGI_WAKE_BREAKER:
        return hgi_refused_by_breaker(pool, err);
    case HGI_WAKE_CLOSED:
        return hgi_refused_by_closing(err);
    default:
        return refused ? hgi_refused_by_breaker(pool, err)
                       : hgi_waited_in_vain(pool, take->queued_ns, err);
    }
}

/* --- taking --- */

hg_status hgi_take(hg_pool *pool, struct hgi_take *take, struct hg_error *err)
{
    take->slot = NULL;
    take->dial_failed = false;
    take->queued_ns = take->queue_ns = take->dial_ns = 0;
    if (hgi_queue_length(pool) == 0 || !hgi_queue_is_strict(pool, take->now_ns))
        take->slot = own_fit(pool);
    hg_status status = HG_OK;
    if (!take->slot) {
        HGI_PROBE2(wait__begin, pool, hgi_queue_length(pool));
        status = wait_in_queue(pool, take, err);
        HGI_PROBE3(wait__end, pool, (int)status, take->queue_ns);
    }
    if (take->slot)
        HGI_PROBE2(take, pool, (uint32_t)(take->slot - pool->slots));
    if (status == HG_ERR_POOL_TIMEOUT && err)
        hgi_pool_tell(pool, (struct hg_pool_event) { .kind = HG_EVENT_POOL_TIMEOUT,
                                                     .elapsed_ns = take->queue_ns,
                                                     .error = err });
    return status;
}
