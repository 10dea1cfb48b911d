/* The queue of callers that wait for a connection: a list under the pool's mutex, and a word for each
 * waiter. What is done with it, and when, is take.c's. */
#ifndef HERDGATE_POOL_QUEUE_H
#define HERDGATE_POOL_QUEUE_H

#include "pool/internal.h"

/* --- with the pool's mutex held --- */

/* A new last waiter, or NULL: out of memory. */
struct hgi_waiter *hgi_queue_join(hg_pool *pool, const struct hgi_take *take, int64_t now_ns);

/* Take a waiter out of the queue without an answer: it leaves by itself. True: it had been asked to
 * look for a free slot and will not: hgi_queue_serve() then. */
bool hgi_queue_leave(hg_pool *pool, struct hgi_waiter *waiter);

/* Take the first waiter out of the queue and hand it an owned slot. NULL: nobody waits. The caller
 * unparks it with no lock held. *looked: it had been asked to look; as above. */
struct hgi_waiter *hgi_queue_hand(hg_pool *pool, struct hgi_slot *slot, bool *looked);

/* Ask the first waiter to look for a free slot. NULL: nobody waits, or one was asked already. */
struct hgi_waiter *hgi_queue_ask(hg_pool *pool);

/* --- by any thread, without it --- */

/* How many wait. */
static inline uint32_t hgi_queue_length(const hg_pool *pool)
{
    /* [P1] seq_cst: after the slot was made FREE; pairs with [P1] in publish(). */
    return atomic_load_explicit(&pool->waiting, memory_order_seq_cst);
}

/* True if at now_ns a free connection is for the first waiter only. */
static inline bool hgi_queue_is_strict(const hg_pool *pool, int64_t now_ns)
{
    /* relaxed: the caller has read `waiting`. */
    return now_ns >= atomic_load_explicit(&pool->strict_from_ns, memory_order_relaxed);
}

/* True while a waiter has been asked to look and has not done so. */
static inline bool hgi_queue_asked(const hg_pool *pool)
{
    /* [P7] seq_cst: after the slot was made FREE; pairs with [P7] in set_asked(). */
    return atomic_load_explicit(&pool->asked, memory_order_seq_cst) != 0;
}

/* A waiter that was asked: take it back, before it looks. False: it was answered instead. */
bool hgi_queue_takes_up(hg_pool *pool, struct hgi_waiter *waiter);

/* A waiter that has left, or was answered, and is needed no more. */
void hgi_queue_recycle(hg_pool *pool, struct hgi_waiter *waiter);

#endif
