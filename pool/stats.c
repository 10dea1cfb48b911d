/* The pool as numbers: gauges by looking at the slots, counters by summing them up. */
#include <herdgate/stats.h>

#include <string.h>

#include "pool/internal.h"

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed); /* relaxed: a number for people */
}

static void add_slot(struct hg_pool_stats *stats, const struct hgi_slot *slot)
{
    switch (atomic_load_explicit(&slot->state, memory_order_relaxed)) { /* relaxed: as above */
    case HGI_SLOT_FREE:
    case HGI_SLOT_KEEPER:
        stats->idle++;
        break;
    case HGI_SLOT_LEASED:
        stats->leased++;
        break;
    case HGI_SLOT_DIALING:
        stats->dialing++;
        break;
    case HGI_SLOT_SPOILED:
    case HGI_SLOT_MENDING:
        stats->mending++;
        break;
    case HGI_SLOT_EMPTY:
    default:
        break;
    }
    stats->acquired += read_counter(&slot->counters.acquired);
    stats->attempts += read_counter(&slot->counters.attempts);
    stats->failures += read_counter(&slot->counters.failures);
}

static void add_calls(struct hg_pool_stats *stats, const struct hgi_tally *tally)
{
    for (uint32_t kind = 0; kind < HGI_CLASS_KINDS; kind++) {
        const uint64_t failed = read_counter(&tally->calls_failed[kind]);
        stats->calls +=
            read_counter(&tally->well[kind]) + read_counter(&tally->calls_ignored[kind]) + failed;
        stats->calls_failed += failed;
    }
}

/* Under the mutex, without which a dial that ends and the next one, in a slot looked at later, would
 * both be counted as under way. */
static void add_slots(struct hg_pool_stats *stats, hg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++)
        add_slot(stats, &pool->slots[i]);
    stats->suspended = pool->suspended;
    pthread_mutex_unlock(&pool->mutex);
}

void hg_pool_read_stats(hg_pool *pool, struct hg_pool_stats *stats)
{
    if (!pool || !stats || stats->size < sizeof stats->size)
        return;
    hgi_fork_check();
    const struct hgi_pool_counters *counters = &pool->counters;
    struct hg_pool_stats full = {
        .size = stats->size < sizeof full ? stats->size : sizeof full,
        .max_size = hgi_size_now(pool),
        .waiting =
            atomic_load_explicit(&pool->waiting, memory_order_relaxed), /* relaxed: as above */
        .queued = read_counter(&counters->queued),
        .pool_timeouts = read_counter(&counters->pool_timeouts),
        .retries = read_counter(&counters->retries),
        .ignored = read_counter(&counters->ignored),
        .budget_refused = read_counter(&counters->budget_refused),
        .breaker_refused = read_counter(&counters->breaker_refused),
        .dials = read_counter(&counters->dials),
        .dial_failures = read_counter(&counters->dial_failures),
        .closed_by_server = read_counter(&counters->closed_by_server),
        .closed_unclean = read_counter(&counters->closed_unclean),
        .mended = read_counter(&counters->mended),
        .handed = read_counter(&counters->handed),
    };
    for (uint32_t i = 0; i < HGI_RETIRED_REASONS; i++)
        full.retired += read_counter(&counters->retired[i]);
    for (uint32_t i = 0; i < HGI_TALLIES; i++)
        add_calls(&full, &pool->tallies[i]);
    add_slots(&full, pool);
    memcpy(stats, &full, full.size);
}
