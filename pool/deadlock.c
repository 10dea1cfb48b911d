/* The last caller that would close a circle gets an error.
 *
 * A thread that holds a lease and asks for another waits for a thread like itself. If every connection
 * there may be is held so, nobody can give one back: a deadlock, which only deadlines would end. It is
 * seen when it closes: whoever holds a lease and queues marks its slots under the mutex; if then all
 * slots are marked by their holders, this one does not queue.
 *
 * Threads that hold nothing pay one look at a thread's own counter. That counter is only a hint to
 * look at the slots: a lease released on another thread leaves it too high here, which costs time, and too
 * low there, so that a circle through that thread may be left to the deadlines.
 *
 * Invariant: `stuck` of a slot is the thread that holds it and waits; a holder that changed since, by
 * use on another thread, is not the one who waits.
 */
#include "pool/deadlock.h"

static _Thread_local uint32_t held;

void hgi_deadlock_holds_more(void)
{
    held++;
}

void hgi_deadlock_holds_fewer(void)
{
    if (held > 0)
        held--;
}

static int32_t holder_of(const struct hgi_slot *slot)
{
    return atomic_load_explicit(&slot->holder,
                                memory_order_relaxed); /* relaxed: an own mark apart */
}

static void mark(hg_pool *pool)
{
    const int32_t me = hgi_thread_id();
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++)
        if (holder_of(&pool->slots[i]) == me)
            pool->slots[i].stuck = me;
}

/* By the mark and not by the holder: a lease may have gone to another thread meanwhile, and come back
 * one day. */
void hgi_deadlock_unmark(hg_pool *pool)
{
    const int32_t me = hgi_thread_id();
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++)
        if (pool->slots[i].stuck == me)
            pool->slots[i].stuck = 0;
}

/* Is the connection of this slot with somebody who waits, so that it cannot come free? */
static bool is_stuck(const struct hgi_slot *slot)
{
    const int32_t holder = holder_of(slot);
    /* relaxed: between leases the holder is 0 before the state changes. */
    uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    return state == HGI_SLOT_LEASED && holder != 0 && slot->stuck == holder;
}

bool hgi_deadlock_would_close(hg_pool *pool)
{
    if (held == 0)
        return false;
    mark(pool);
    if (pool->suspended || pool->connected < hgi_size_now(pool))
        return false; /* a connection may yet be made */
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        /* relaxed: EMPTY is entered and left under the mutex, which is held. */
        if (atomic_load_explicit(&pool->slots[i].state, memory_order_relaxed) != HGI_SLOT_EMPTY &&
            !is_stuck(&pool->slots[i]))
            return false;
    }
    hgi_deadlock_unmark(pool);
    return true;
}

void hgi_deadlock_left(hg_pool *pool)
{
    if (held == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    hgi_deadlock_unmark(pool);
    pthread_mutex_unlock(&pool->mutex);
}
