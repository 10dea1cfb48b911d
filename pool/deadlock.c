/* The last caller that would close a circle gets an error.
 *
 * A thread that holds a lease and asks for another waits for a thread like itself. If every connection
 * there may be is held so, nobody can give one back: a deadlock, which only deadlines would end. It is
 * seen when it closes: whoever holds a lease and queues marks its slots, and whoever takes it out of the
 * queue takes the marks back, in one step with it under the mutex; who finds that all slots are marked
 * by their holders, or its own, does not queue.
 *
 * Threads that hold nothing pay one look at a thread's own counter. That counter is only a hint to look
 * at the slots. A lease that goes to another thread counts there from its first use on; it counts here
 * as well for ever, because no thread can reach another's counter, which costs looks and nothing else.
 *
 * Invariants: `stuck` of a slot is a thread in the queue that held the slot when it queued; it means
 * something while that thread is the holder: a lease used on another thread since is that one's, and
 * its holder does not wait. Only one who holds a connection is ever refused.
 */
#include "pool/deadlock.h"

static _Thread_local uint64_t held; /* once a nanosecond it would take centuries to wrap */

void hgi_deadlock_holds_more(void)
{
    held++;
}

void hgi_deadlock_holds_fewer(void)
{
    if (held > 0)
        held--;
}

void hgi_deadlock_holds_it_now(struct hgi_slot *slot)
{
    /* relaxed: for messages and for what is below, which is told apart by an own mark. */
    atomic_store_explicit(&slot->holder, hgi_thread_id(), memory_order_relaxed);
    hgi_deadlock_holds_more();
}

static int32_t holder_of(const struct hgi_slot *slot)
{
    /* relaxed: as above. */
    return atomic_load_explicit(&slot->holder, memory_order_relaxed);
}

/* Is the connection of this slot with somebody who waits, so that it cannot come free? */
static bool is_stuck(const struct hgi_slot *slot, int32_t holder)
{
    /* relaxed: between leases the holder is 0 before the state changes. */
    uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    return state == HGI_SLOT_LEASED && holder != 0 && slot->stuck == holder;
}

bool hgi_deadlock_would_close(const hg_pool *pool)
{
    const int32_t me = hgi_thread_id();
    bool holds_one = false;
    if (held == 0)
        return false;
    if (pool->suspended || pool->connected < hgi_size_now(pool))
        return false; /* a connection may yet be made */
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        const struct hgi_slot *slot = &pool->slots[i];
        const int32_t holder = holder_of(slot);
        holds_one |= holder == me;
        /* relaxed: EMPTY is entered and left under the mutex, which is held. */
        if (atomic_load_explicit(&slot->state, memory_order_relaxed) != HGI_SLOT_EMPTY &&
            holder != me && !is_stuck(slot, holder))
            return false;
    }
    return holds_one;
}

int32_t hgi_deadlock_mark(hg_pool *pool)
{
    const int32_t me = hgi_thread_id();
    bool marked = false;
    if (held == 0)
        return 0;
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        if (holder_of(&pool->slots[i]) == me) {
            pool->slots[i].stuck = me;
            marked = true;
        }
    }
    return marked ? me : 0;
}

/* By the mark and not by the holder: a lease may have gone to another thread meanwhile, and come back
 * one day. */
void hgi_deadlock_unmark(hg_pool *pool, int32_t thread)
{
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++)
        if (pool->slots[i].stuck == thread)
            pool->slots[i].stuck = 0;
}
