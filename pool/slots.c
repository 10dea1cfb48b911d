/* Slots: who may use which connection.
 *
 * A slot's state is a word on a line of its own. Taking it is one CAS, giving it back one exchange; no
 * list and no bitmap is shared, so threads that use different slots touch no common line. A thread
 * begins at the slot it used last, which is nearly always free, since it was this thread that freed it.
 *
 * Invariants: a slot has one owner (see internal.h); a slot that is FREE holds a connection that was
 * fit for use when it was given back; `connected` counts the slots that hold one.
 */
#include "pool/slots.h"

#include <unistd.h>

#include "breaker/clock.h"

static _Thread_local int32_t own_id __attribute__((tls_model("initial-exec")));

int32_t hgi_thread_id(void)
{
    if (own_id == 0)
        own_id = (int32_t)gettid();
    return own_id;
}

void hgi_thread_id_forget(void)
{
    own_id = 0;
}

/* The slot that this thread used last, of whatever pool: a place to begin, no more. */
static _Thread_local uint32_t hint __attribute__((tls_model("initial-exec")));

void hgi_slot_remember(const hg_pool *pool, const struct hgi_slot *slot)
{
    hint = (uint32_t)(slot - pool->slots);
}

struct hgi_slot *hgi_slot_own_free(hg_pool *pool)
{
    const uint32_t size = hgi_size_now(pool);
    uint32_t index = hint < size ? hint : 0;
    for (uint32_t i = 0; i < size; i++) {
        struct hgi_slot *slot = &pool->slots[index];
        uint32_t expected = HGI_SLOT_FREE;
        /* [P1] seq_cst: a waiter looks at the slots after it has queued, or after it has taken back
         * that it will look; pairs with [P1] in hgi_slot_free(). [P4] acquire: the connection as its
         * last owner left it; pairs with [P4] there. */
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

bool hgi_slot_is_fit(const hg_pool *pool, const struct hgi_slot *slot)
{
    return hgi_conn_is_clean(slot->conn) && hgi_slot_is_current(pool, slot);
}

static hg_retirement reason_of(const hg_pool *pool, const struct hgi_slot *slot)
{
    const struct hgi_conn *conn = slot->conn;
    if (conn->retired_as != HG_RETIRED_NONE)
        return conn->retired_as;
    if (conn->broken)
        return HG_RETIRED_FAILED;
    /* relaxed, both: for statistics. */
    if (atomic_load_explicit(&slot->hung_up, memory_order_relaxed) == conn->id)
        return HG_RETIRED_BY_SERVER;
    if (!hgi_conn_is_clean(conn))
        return HG_RETIRED_UNCLEAN;
    if (atomic_load_explicit(&pool->epoch, memory_order_relaxed) != conn->epoch)
        return HG_RETIRED_OUTDATED;
    return HG_RETIRED_SURPLUS;
}

void hgi_discard(hg_pool *pool, struct hgi_slot *slot)
{
    struct hg_pool_event event = { .kind = HG_EVENT_RETIRED,
                                   .connection = slot->conn->id,
                                   .retirement = reason_of(pool, slot),
                                   .elapsed_ns =
                                       pool->event ? hgi_now_ns() - slot->conn->made_ns : 0 };
    hgi_count(&pool->counters.retired[event.retirement]);
    hgi_conn_close(slot->conn);
    slot->conn = NULL;
    pthread_mutex_lock(&pool->mutex);
    /* relaxed: dialers take EMPTY slots under the mutex only. */
    atomic_store_explicit(&slot->state, HGI_SLOT_EMPTY, memory_order_relaxed);
    pool->connected--;
    if (hgi_dial_is_wanted(pool))
        pthread_cond_signal(&pool->dial_wanted);
    pthread_mutex_unlock(&pool->mutex);
    hgi_pool_tell(pool, event);
}
