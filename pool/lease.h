/* The handle of a lease: what users hold instead of its address.
 *
 * A lease lives in its slot, and slots lie on cache lines, so the low bits of a slot's address are 0.
 * A handle has the number of the lease there. Each lease of a slot has the next number, so a handle
 * whose lease has ended is told from that of the slot's next user: but for one lease in 64, which is
 * what a mistake may hope for, and a pool is not asked for more memory than that.
 */
#ifndef HERDGATE_POOL_LEASE_H
#define HERDGATE_POOL_LEASE_H

#include "pool/deadlock.h"
#include "pool/internal.h"

static inline uint32_t hgi_lease_number(const struct hgi_slot *slot)
{
    /* relaxed: whoever holds the lease wrote it, or was handed it; for others it is a picture. */
    return atomic_load_explicit(&slot->lease_number, memory_order_relaxed) % HGI_CACHE_LINE;
}

static inline hg_lease *hgi_lease_handle(const struct hg_lease *lease)
{
    return (hg_lease *)(void *)((char *)lease->slot + hgi_lease_number(lease->slot));
}

/* The slot of a handle, and whether its lease is still the slot's. */
static inline struct hgi_slot *hgi_slot_of_handle(const hg_lease *handle)
{
    return (struct hgi_slot *)(void *)((char *)handle - (uintptr_t)handle % HGI_CACHE_LINE);
}

static inline bool hgi_handle_is_stale(const hg_lease *handle)
{
    return hgi_lease_number(hgi_slot_of_handle(handle)) != (uintptr_t)handle % HGI_CACHE_LINE;
}

/* The lease of a handle; NULL: it has ended, or is a parent process's, or handle is NULL. */
static inline struct hg_lease *hgi_lease_of(const hg_lease *handle)
{
    hgi_fork_check();
    if (!handle || hgi_handle_is_stale(handle) || hgi_slot_of_handle(handle)->inherited)
        return NULL;
    struct hgi_slot *slot = hgi_slot_of_handle(handle);
    /* relaxed: for messages and deadlock.c. Who uses a lease holds it, whoever took it. */
    if (atomic_load_explicit(&slot->holder, memory_order_relaxed) != hgi_thread_id())
        hgi_deadlock_holds_it_now(slot);
    return &slot->lease;
}

#endif
