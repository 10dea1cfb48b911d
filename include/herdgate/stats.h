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
 * right by itself; they are not read at one instant. Every connection is in one of idle, leased, dialing
 * and mending, so at rest their sum is the number of sockets open. */
struct hg_pool_stats {
    size_t size; /* sizeof(struct hg_pool_stats), set before the call; then what was filled */
    /* gauges */
    uint32_t max_size; /* 0 while suspended */
    uint32_t idle;     /* connected, and with no caller */
    uint32_t leased;   /* with a caller */
    uint32_t dialing;  /* being made */
    uint32_t waiting;  /* callers in the queue */
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
    uint64_t calls;            /* calls and acquisitions that ended */
    uint64_t calls_failed;     /* of these: failed */
    uint64_t retired;          /* connections closed, for whatever reason */
    /* gauges again: later fields come last */
    uint32_t mending;   /* connections that came back unclean, until they are clean or closed */
    uint32_t suspended; /* 1 from hg_pool_suspend() to hg_pool_resume(), else 0 */
};

#define HG_POOL_STATS_INIT HG_INIT_STRUCT(hg_pool_stats)

/* Fill *stats, as much of it as stats->size says. Any thread. Waits for nothing but other threads that
 * begin or end a dial, for as long as they count it. Since 0.1 */
HG_API void hg_pool_read_stats(hg_pool *pool, struct hg_pool_stats *stats);

/* Write all that is counted as OpenMetrics text 1.0 (application/openmetrics-text), for Prometheus and
 * its like: connections by state, callers that wait; calls, attempts and retries by class and outcome;
 * failures by type and severity; what the breaker and the budget refused; connections made and
 * retired, by reason; times of waiting, of making and of using a connection, in seconds. Names begin
 * with herdgate_, and the text ends with "# EOF".
 *
 * As with snprintf(), at most `size` bytes are written, the terminator included, and the length of the
 * whole text is returned: larger or equal, and it was cut. Counters grow between two calls, so give it
 * some room.
 *
 * Ownership  all borrowed for the call. name: the value of a label `pool` on every sample; NULL: none.
 *            buffer NULL: only the length. pool NULL: 0.
 * Threads    any. Waits for as long as hg_pool_read_stats() does.
 * Since      0.1 */
HG_API size_t hg_pool_write_metrics(hg_pool *pool, const char *name, char *buffer, size_t size);

HG_END_DECLS
#endif
