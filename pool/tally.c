/* Counting calls, attempts, failures and times.
 *
 * One place sees them all: the attempt function of every call is wrapped, and what it says of an
 * attempt afterwards is what is counted. Counters lie in stripes by thread, like the counts of calls,
 * so that busy threads do not write one line; the sums are made by who reads them. What happens
 * rarely (dials, transitions, retirements) is counted on shared lines instead, where it happens.
 */
#include "pool/tally.h"

#include "breaker/error.h"
#include "pool/internal.h"

const int64_t hgi_tally_bounds_ns[HGI_TALLY_BUCKETS - 1] = {
    50000,     100000,     250000,     500000,     1000000,     2500000,
    5000000,   10000000,   25000000,   50000000,   100000000,   250000000,
    500000000, 1000000000, 2500000000, 5000000000, 10000000000,
};

static struct hgi_tally *mine(hg_pool *pool)
{
    return &pool->tallies[(uint32_t)hgi_thread_id() % HGI_CALL_STRIPES];
}

void hgi_tally_time(struct hgi_histogram *histogram, int64_t elapsed_ns)
{
    uint32_t i = 0;
    while (i < HGI_TALLY_BUCKETS - 1 && elapsed_ns > hgi_tally_bounds_ns[i])
        i++;
    hgi_count(&histogram->bucket[i]);
    /* relaxed: a number for people. It wraps after 584 years of waiting. */
    atomic_fetch_add_explicit(&histogram->sum_ns, (uint64_t)(elapsed_ns > 0 ? elapsed_ns : 0),
                              memory_order_relaxed);
}

static void count_failure(_Atomic uint64_t (*failures)[HGI_TALLY_SEVERITIES], hg_status type,
                          hg_severity severity)
{
    uint32_t index = (uint32_t) - (int)type;
    if (index < HGI_TALLY_TYPES && (uint32_t)severity < HGI_TALLY_SEVERITIES)
        hgi_count(&failures[index][severity]);
}

/* A call's attempts, and whose they are. */
struct counted {
    hg_pool *pool;
    enum hgi_class_kind kind;
    hgi_attempt_fn fn;
    void *arg;
};

static void counted_attempt(void *arg, struct hgi_attempt *attempt)
{
    const struct counted *counted = arg;
    struct hgi_tally *tally = mine(counted->pool);
    counted->fn(counted->arg, attempt);
    if (attempt->queue_ns > 0)
        hgi_tally_time(&tally->wait, attempt->queue_ns);
    if (attempt->server_ns > 0)
        hgi_tally_time(&tally->use, attempt->server_ns);
    if (attempt->refused) {
        count_failure(tally->failed_attempts, attempt->status, hg_status_severity(attempt->status));
        return;
    }
    bool well = attempt->status == HG_OK;
    hg_outcome outcome = well ? HG_OUTCOME_EXECUTED : attempt->verdict.outcome;
    hgi_count(&tally->attempts[counted->kind][outcome]);
    if (attempt->number > 1)
        hgi_count(&tally->retries[counted->kind]);
    if (!well)
        count_failure(tally->failed_attempts, attempt->verdict.type, attempt->verdict.severity);
}

hg_status hgi_run_counted(hg_pool *pool, const struct hgi_call *call, hgi_attempt_fn fn, void *arg,
                          struct hg_error *err)
{
    struct hg_error local;
    const struct hg_error *record = err ? err : &local;
    struct counted counted = { .pool = pool, .kind = call->op_class->kind, .fn = fn, .arg = arg };
    hg_status status = hgi_run_loop(call, counted_attempt, &counted, err ? err : &local);
    struct hgi_tally *tally = mine(pool);
    uint32_t result = status == HG_OK ? 0 : status == HG_IGNORED ? 1 : 2;
    hgi_count(&tally->calls[counted.kind][result]);
    if (status < 0) {
        count_failure(tally->failed_calls, status, record->severity);
        if (record->attempt > 0 && (uint32_t)record->stop_reason < HGI_TALLY_STOPS)
            hgi_count(&tally->stops[record->stop_reason]);
    }
    return status;
}

void hgi_tally_lease(hg_pool *pool, int64_t used_ns)
{
    hgi_tally_time(&mine(pool)->use, used_ns);
}
