/* Mending in the background: RESET, and the whole set-up again.
 *
 * A connection comes back clean or not at all. What a user leaves on it that RESET takes away (an open
 * transaction, watches, another database or user) is mended by a dialer, never by the caller, if the
 * server knows RESET (Redis 6.2); until then the slot is nobody's. RESET also logs out, so the set-up
 * follows in the same pipeline. Everything else is closed: replies that are outstanding, because RESET
 * does not take them back; subscriptions and MONITOR, whose messages come unasked; what herdgate has
 * not seen being done (a raw context). One that a busy server could not set up whole comes here as well.
 *
 * Invariants, under the mutex: pool->spoiled slots are SPOILED; such a slot counts as connected.
 */
#include "pool/mend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "pool/setup.h"
#include "pool/slots.h"

static bool hand_to_dialers(hg_pool *pool, struct hgi_slot *slot)
{
    pthread_mutex_lock(&pool->mutex);
    /* relaxed: closing and SPOILED are looked at under the mutex that is held. */
    bool well = !atomic_load_explicit(&pool->closing, memory_order_relaxed) &&
                !hgi_snapshot_now(pool)->settings->proxy;
    if (well) {
        atomic_store_explicit(&slot->state, HGI_SLOT_SPOILED, memory_order_relaxed);
        pool->spoiled++;
        pthread_cond_signal(&pool->dial_wanted);
    }
    pthread_mutex_unlock(&pool->mutex);
    return well;
}

void hgi_give_unfit(hg_pool *pool, struct hgi_slot *slot)
{
    /* relaxed: that the server has no RESET may be learnt twice. */
    if (hgi_conn_can_be_mended(slot->conn) && hgi_slot_is_current(pool, slot) &&
        !atomic_load_explicit(&pool->cannot_mend, memory_order_relaxed) &&
        hand_to_dialers(pool, slot))
        return;
    if (!hgi_conn_is_clean(slot->conn))
        hgi_count(&pool->counters.closed_unclean);
    hgi_discard(pool, slot);
}

static struct hgi_slot *own_spoiled_slot(hg_pool *pool)
{
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        struct hgi_slot *slot = &pool->slots[i];
        /* relaxed: SPOILED is entered and left under the mutex, which is held. */
        if (atomic_load_explicit(&slot->state, memory_order_relaxed) == HGI_SLOT_SPOILED) {
            atomic_store_explicit(&slot->state, HGI_SLOT_MENDING, memory_order_relaxed);
            pool->spoiled--;
            return slot;
        }
    }
    fprintf(stderr, "herdgate: a spoiled connection is counted, and no slot has it\n");
    abort();
}

/* RESET and set-up, as of today. */
static bool mend(hg_pool *pool, struct hgi_conn *conn, struct hgi_endpoint *endpoint,
                 const struct hgi_settings *settings)
{
    char text[160];
    struct hgi_fault fault = { .kind = HGI_FAULT_DIAL };
    struct hgi_dial_failure failure = { .fault = &fault, .text = text, .text_size = sizeof text };
    const struct hgi_setup setup = {
        .endpoint = endpoint,
        .settings = settings,
        .no_info = &pool->no_info,
        .deadline_ns = hgi_deadline_after(hgi_now_ns(), settings->pool.connect_timeout_ns),
    };
    if (hgi_conn_has_stray_bytes(conn) ||
        (pool->credentials &&
         !hgi_credentials_ask(pool, endpoint, &conn->epoch, text, sizeof text)))
        return false;
    bool knows_reset;
    bool well = hgi_set_up_again(conn, &setup, &failure, &knows_reset);
    if (!knows_reset) /* relaxed: as in hgi_give_unfit() */
        atomic_store_explicit(&pool->cannot_mend, true, memory_order_relaxed);
    return well;
}

void hgi_mend_one(hg_pool *pool)
{
    struct hgi_slot *slot = own_spoiled_slot(pool);
    const struct hgi_snapshot *snapshot = hgi_snapshot_now(pool);
    hg_policy *policy = hg_policy_retain(snapshot->policy);
    struct hgi_endpoint endpoint = *snapshot->endpoint;
    bool current = hgi_slot_is_current(pool, slot); /* under the mutex: of this endpoint */
    pthread_mutex_unlock(&pool->mutex);
    const int64_t began_ns = hgi_now_ns();
    if (current && mend(pool, slot->conn, &endpoint, &policy->settings)) {
        hgi_count(&pool->counters.mended);
        slot->conn->used_ns = hgi_now_ns();
        hgi_pool_tell(pool,
                      (struct hg_pool_event) { .kind = HG_EVENT_MENDED,
                                               .connection = slot->conn->id,
                                               .elapsed_ns = slot->conn->used_ns - began_ns });
        hgi_give_new(pool, slot);
    } else {
        hgi_count(&pool->counters.closed_unclean);
        hgi_discard(pool, slot);
    }
    explicit_bzero(&endpoint, sizeof endpoint);
    hg_policy_drop(policy);
    pthread_mutex_lock(&pool->mutex);
}
