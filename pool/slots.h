/* Owning slots: the step from FREE to owned and back, which is one CAS and one exchange. */
#ifndef HERDGATE_POOL_SLOTS_H
#define HERDGATE_POOL_SLOTS_H

#include "pool/internal.h"

/* Own a FREE slot, or NULL. Starts at the one that this thread used last. */
struct hgi_slot *hgi_slot_own_free(hg_pool *pool);

/* This thread was handed a slot: it begins there the next time. */
void hgi_slot_remember(const hg_pool *pool, const struct hgi_slot *slot);

/* Make an owned slot FREE, for anyone to take. Whoever calls this looks at the queue after it. */
static inline void hgi_slot_free(struct hgi_slot *slot)
{
    /* [P4] release: the connection as it is now; pairs with [P4] in hgi_slot_own_free(). [P1] seq_cst:
     * the slot is FREE before its giver looks at the queue; pairs with [P1] in hgi_slot_own_free(). */
    atomic_exchange_explicit(&slot->state, HGI_SLOT_FREE, memory_order_seq_cst);
}

/* Own it again, after making it FREE. False: somebody else has it. */
static inline bool hgi_slot_own_again(struct hgi_slot *slot)
{
    uint32_t expected = HGI_SLOT_FREE;
    /* [P4] acquire: somebody else may have had it in between; pairs with [P4] in hgi_slot_free(). */
    return atomic_compare_exchange_strong_explicit(&slot->state, &expected, HGI_SLOT_LEASED,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* True if the connection of an owned slot, which was clean when it was given back, has not been
 * overtaken by events since: all that a taker need look at. */
static inline bool hgi_slot_is_current(const hg_pool *pool, const struct hgi_slot *slot)
{
    const struct hgi_conn *conn = slot->conn;
    /* relaxed: a connection that ends just now is noticed by its user; this saves most of them that. */
    return atomic_load_explicit(&slot->hung_up, memory_order_relaxed) != conn->id &&
           atomic_load_explicit(&pool->epoch, memory_order_relaxed) == conn->epoch &&
           slot < &pool->slots[hgi_size_now(pool)];
}

#endif
