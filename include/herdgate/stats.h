/* What a pool is doing, as numbers.
 *
 *     struct hg_pool_stats stats = HG_POOL_STATS_INIT;
 *     hg_pool_read_stats(pool, &stats);
 *     printf("%u of %u connections busy, %u callers waiting\n", stats.leased, stats.max_size,
 *            stats.waiting);
 */
#ifndef HERDGATE_STATS_H
#define HERDGATE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include <herdgate/breaker.h>
#include <herdgate/export.h>
#include <herdgate/pool.h>

HG_BEGIN_DECLS

/* Gauges are of the moment; counters are from the opening of the pool and only grow. Each number is
 * right by itself; they are not read at one instant. */
struct hg_pool_stats {
    size_t size; /* sizeof(struct hg_pool_stats), set before the call */
    /* gauges */
    uint32_t max_size;
    uint32_t idle;    /* connected and free */
    uint32_t leased;  /* with a caller */
    uint32_t dialing; /* being made */
    uint32_t waiting; /* callers in the queue */
    /* counters */
    uint64_t acquired;      /* leases granted */
    uint64_t queued;        /* of these and of the refused: had to wait */
    uint64_t pool_timeouts; /* callers that waited in vain */
    uint64_t attempts;      /* commands and functions begun on a connection */
    uint64_t retries;       /* attempts after the first */
    uint64_t failures;      /* attempts that failed */
    uint64_t ignored;
    uint64_t budget_refused;
    uint64_t breaker_refused;
    uint64_t dials; /* connections begun */
    uint64_t dial_failures;
    uint64_t closed_by_server; /* idle connections found closed */
    uint64_t closed_unclean;   /* given back in a state that nobody else may meet */
    uint64_t handed;           /* connections handed to a waiter without being free in between */
    uint64_t mended;           /* given back with something on them, and clean again */
};

#define HG_POOL_STATS_INIT HG_INIT_STRUCT(hg_pool_stats)

/* Fill *stats, as much of it as stats->size says. Any thread. Does not block. Since 0.1 */
HG_API void hg_pool_read_stats(hg_pool *pool, struct hg_pool_stats *stats);

HG_END_DECLS
#endif
