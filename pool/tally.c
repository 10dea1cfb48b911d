/* Counting calls, attempts, failures and times.
 *
 * One place sees them all: the attempt function of every call is wrapped, and what it says of an
 * attempt afterwards is what is counted. Each thread counts in a cell of its own (breaker/cells.h), so
 * that no line is shared and no instruction locked on the way of a call; the sums are made by who reads
 * them. What happens rarely (dials, transitions, retirements) is counted on shared lines instead, where
 * it happens.
 */
#include "pool/tally.h"

#include <stdlib.h>

#include "breaker/error.h"
#include "pool/internal.h"

const int64_t hgi_tally_bounds_ns[HGI_TALLY_BUCKETS - 1] = {
    50000,     100000,     250000,     500000,     1000000,     2500000,
    5000000,   10000000,   25000000,   50000000,   100000000,   250000000,
    500000000, 1000000000, 2500000000, 5000000000, 10000000000,
};

/* Where a thread counts. */
struct counting {
    struct hgi_tally *tally;
    bool alone;
};

static struct counting mine(hg_pool *pool)
{
    struct hgi_cell cell = hgi_cell_mine(HGI_OWN_CELLS);
    return (struct counting) { &pool->tallies[cell.index], cell.alone };
}

/* Most of the cells are never used: calloc() writes nothing into pages that are new. */
struct hgi_tally *hgi_tallies_allocate(void **memory)
{
    *memory = calloc(1, HGI_TALLIES * sizeof(struct hgi_tally) + HGI_LINE);
    if (!*memory)
        return NULL;
    size_t past_line = (uintptr_t)*memory % HGI_LINE;
    return (struct hgi_tally *)(void *)((char *)*memory + HGI_LINE - past_line);
}

static void add(_Atomic uint64_t *counter, uint64_t number, bool alone)
{
    /* relaxed: a number for people, nothing hangs on it. */
    if (alone)
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + number,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(counter, number, memory_order_relaxed);
}

void hgi_tally_time(struct hgi_histogram *histogram, int64_t elapsed_ns, bool alone)
{
    uint32_t i = 0;
    while (i < HGI_TALLY_BUCKETS - 1 && elapsed_ns > hgi_tally_bounds_ns[i])
        i++;
    add(&histogram->bucket[i], 1, alone);
    /* It wraps after 584 years of waiting. */
    add(&histogram->sum_ns, (uint64_t)(elapsed_ns > 0 ? elapsed_ns : 0), alone);
}

static void count_failure(_Atomic uint64_t (*failures)[HGI_TALLY_SEVERITIES], hg_status type,
                          hg_severity severity, bool alone)
{
    uint32_t index = (uint32_t) - (int)type;
    if (index < HGI_TALLY_TYPES && (uint32_t)severity < HGI_TALLY_SEVERITIES)
        add(&failures[index][severity], 1, alone);
}

/* A call's attempts, and whose they are. */
struct counted {
    struct counting counting;
    enum hgi_class_kind kind;
    hgi_attempt_fn fn;
    void *arg;
};

static hg_outcome outcome_of(const struct hgi_attempt *attempt)
{
    return attempt->status == HG_OK ? HG_OUTCOME_EXECUTED : attempt->verdict.outcome;
}

static void count_failed_attempt(const struct counted *counted, const struct hgi_attempt *attempt)
{
    struct hgi_tally *tally = counted->counting.tally;
    bool alone = counted->counting.alone;
    if (attempt->refused) {
        count_failure(tally->failed_attempts, attempt->status, hg_status_severity(attempt->status),
                      alone);
        return;
    }
    add(&tally->attempts[counted->kind][outcome_of(attempt)], 1, alone);
    count_failure(tally->failed_attempts, attempt->verdict.type, attempt->verdict.severity, alone);
}

static void counted_attempt(void *arg, struct hgi_attempt *attempt)
{
    const struct counted *counted = arg;
    struct hgi_tally *tally = counted->counting.tally;
    bool alone = counted->counting.alone;
    counted->fn(counted->arg, attempt);
    if (attempt->queue_ns > 0)
        hgi_tally_time(&tally->wait, attempt->queue_ns, alone);
    if (attempt->server_ns > 0)
        hgi_tally_time(&tally->use, attempt->server_ns, alone);
    if (attempt->number > 1 && !attempt->refused)
        add(&tally->retries[counted->kind][outcome_of(attempt)], 1, alone);
    if (attempt->status != HG_OK)
        count_failed_attempt(counted, attempt);
}

static void count_failed_call(const struct counted *counted, hg_status status,
                              const struct hg_error *record)
{
    struct hgi_tally *tally = counted->counting.tally;
    bool alone = counted->counting.alone;
    add(&tally->calls_failed[counted->kind], 1, alone);
    count_failure(tally->failed_calls, status, record->severity, alone);
    if (record->attempt > 0 && (uint32_t)record->stop_reason < HGI_TALLY_STOPS)
        add(&tally->stops[record->stop_reason], 1, alone);
}

hg_status hgi_run_counted(hg_pool *pool, struct hgi_call *call, hgi_attempt_fn fn, void *arg,
                          struct hg_error *err)
{
    struct hg_error local;
    struct hg_error *record = err ? err : &local;
    struct counted counted = {
        .counting = mine(pool), .kind = call->op_class->kind, .fn = fn, .arg = arg
    };
    call->untold = !err;
    hg_status status = hgi_run_loop(call, counted_attempt, &counted, record);
    struct hgi_tally *tally = counted.counting.tally;
    if (status == HG_OK)
        add(&tally->well[counted.kind], 1, counted.counting.alone);
    else if (status == HG_IGNORED)
        add(&tally->calls_ignored[counted.kind], 1, counted.counting.alone);
    else
        count_failed_call(&counted, status, record);
    return status;
}

void hgi_tally_lease(hg_pool *pool, int64_t used_ns)
{
    struct counting counting = mine(pool);
    hgi_tally_time(&counting.tally->use, used_ns, counting.alone);
}
