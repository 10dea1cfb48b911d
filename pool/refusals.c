/* Why a caller got no connection: who holds them, how the last dial went, how long the queue is.
 *
 * A hopeless wait is one whose end can be foreseen: the caller's place in the queue, times the measured
 * time of a lease, divided by the connections that serve the queue, is later than its deadline. That is
 * the wait of a queue that nobody overtakes, so where barging is allowed it is the least there can be.
 */
#include "pool/refusals.h"

#include <stdio.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/queue.h"

static hg_status not_sent(struct hg_error *err, hg_status status)
{
    if (err)
        err->outcome = HG_OUTCOME_NOT_SENT;
    return status;
}

/* --- before the wait --- */

/* The mean time of a lease, over the connections that had one; 0: not known yet. */
static int64_t mean_lease_ns(const hg_pool *pool)
{
    int64_t sum_ns = 0;
    int64_t known = 0;
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        /* relaxed: an estimate. */
        int64_t each_ns =
            atomic_load_explicit(&pool->slots[i].usual_lease_ns, memory_order_relaxed);
        if (each_ns > 0) {
            sum_ns += each_ns;
            known++;
        }
    }
    return known > 0 ? sum_ns / known : 0;
}

static hg_status hopeless(const hg_pool *pool, int64_t left_ns, struct hg_error *err)
{
    const uint32_t place = hgi_queue_length(pool) + 1;
    const int64_t lease_ns = mean_lease_ns(pool);
    if (pool->connected == 0 || lease_ns == 0)
        return HG_OK; /* waiting for a dial */
    /* In double: a lease of days times a long queue is beyond 64 bits. */
    double turn_ns = (double)place * (double)lease_ns / (double)pool->connected;
    if (turn_ns < (double)left_ns)
        return HG_OK;
    return hgi_error_set(err, HG_ERR_POOL_TIMEOUT,
                         "place %u in the queue for %u connections comes up in about %.1f ms, and "
                         "%.1f ms are left; refused at once, as pool.refuse_hopeless says",
                         (unsigned)place, (unsigned)pool->connected, turn_ns / 1e6,
                         (double)(left_ns > 0 ? left_ns : 0) / 1e6);
}

hg_status hgi_refuse_waiter(hg_pool *pool, const struct hgi_pool_settings *settings,
                            int64_t left_ns, struct hg_error *err)
{
    const uint32_t waiting = hgi_queue_length(pool);
    hg_status status = HG_OK;
    /* relaxed: set under the mutex that is held. */
    if (atomic_load_explicit(&pool->closing, memory_order_relaxed))
        return hgi_refused_by_closing(err);
    if (waiting >= settings->max_waiters)
        status = hgi_error_set(err, HG_ERR_POOL_TIMEOUT,
                               "%u callers wait for a connection already; the limit is "
                               "pool.max_waiters",
                               (unsigned)waiting);
    else if (settings->refuse_hopeless)
        status = hopeless(pool, left_ns, err);
    hgi_count(status == HG_OK ? &pool->counters.queued : &pool->counters.pool_timeouts);
    return status == HG_OK ? status : not_sent(err, status);
}

/* --- after it --- */

/* Who holds the connections. */
static void describe_holders(const hg_pool *pool, int64_t now_ns, char *text, size_t size)
{
    const unsigned places = hgi_size_now(pool);
    uint32_t leased = 0;
    int64_t longest_ns = 0;
    int32_t holder = 0;
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        const struct hgi_slot *slot = &pool->slots[i];
        /* [P8] acquire: as in warn_of_lease(); pairs with [P8] in hgi_lease_begin(). */
        int32_t thread = atomic_load_explicit(&slot->holder, memory_order_acquire);
        /* relaxed: a picture for people. */
        int64_t since_ns = atomic_load_explicit(&slot->leased_ns, memory_order_relaxed);
        if (thread == 0)
            continue;
        leased++;
        if (now_ns - since_ns > longest_ns) {
            longest_ns = now_ns - since_ns;
            holder = thread;
        }
    }
    if (leased == 0)
        snprintf(text, size, "none of %u leased", places);
    else
        snprintf(text, size, "%u of %u leased, the longest for %.1f ms by thread %d",
                 (unsigned)leased, places, (double)longest_ns / 1e6, (int)holder);
}

/* How the last dial went, where one more connection would help, and what to do about it all. */
static const char *describe_dials(const hg_pool *pool, char *text, size_t size)
{
    text[0] = '\0';
    if (pool->suspended)
        return "the pool is suspended; hg_pool_resume() lets callers go on";
    if (pool->connected < hgi_size_now(pool) && pool->dial_failures_in_a_row > 0) {
        snprintf(text, size, "; the last dial failed: %.120s", pool->dial_text);
        return "look at the server and at server.url";
    }
    if (pool->dialing > 0) {
        snprintf(text, size, "; %u being dialled", (unsigned)pool->dialing);
        return "give it more time, or look why the server is slow to let connections in";
    }
    return "raise pool.max_size or hold leases for less long";
}

hg_status hgi_waited_in_vain(hg_pool *pool, int64_t began_ns, struct hg_error *err)
{
    int64_t now_ns = hgi_now_ns();
    char holders[96];
    char dial[160];
    describe_holders(pool, now_ns, holders, sizeof holders);
    pthread_mutex_lock(&pool->mutex);
    const char *advice = describe_dials(pool, dial, sizeof dial);
    pthread_mutex_unlock(&pool->mutex);
    hgi_count(&pool->counters.pool_timeouts);
    hgi_error_set(err, HG_ERR_POOL_TIMEOUT, "no connection came free within %.1f ms (%s%s); %s",
                  (double)(now_ns - began_ns) / 1e6, holders, dial, advice);
    return not_sent(err, HG_ERR_POOL_TIMEOUT);
}

hg_status hgi_refused_by_deadlock(hg_pool *pool, struct hg_error *err)
{
    char holders[96];
    describe_holders(pool, hgi_now_ns(), holders, sizeof holders);
    hgi_count(&pool->counters.pool_timeouts);
    hgi_error_set(err, HG_ERR_POOL_TIMEOUT,
                  "no connection could come free (%s): all who hold one wait for another, this "
                  "thread too; refused at once, so that the others go on: release a lease before "
                  "you ask for the next",
                  holders);
    return not_sent(err, HG_ERR_POOL_TIMEOUT);
}

hg_status hgi_refused_by_dial(hg_pool *pool, struct hgi_take *take, struct hg_error *err)
{
    pthread_mutex_lock(&pool->mutex);
    const hg_status status = pool->dial_verdict.type;
    take->dial_failed = true;
    if (take->verdict)
        *take->verdict = pool->dial_verdict;
    take->dial_ns = pool->last_dial_took_ns;
    hgi_error_set(err, status, "%s", pool->dial_text);
    if (err)
        err->sys_errno = pool->dial_errno;
    pthread_mutex_unlock(&pool->mutex);
    if (take->dial_ns > take->queue_ns)
        take->dial_ns = take->queue_ns;
    return status;
}

hg_status hgi_refused_by_breaker(const hg_pool *pool, struct hg_error *err)
{
    int64_t retry_after_ns = hg_breaker_retry_after(pool->breaker);
    hgi_error_set(err, HG_ERR_CIRCUIT_OPEN,
                  "the circuit breaker opened while the call waited for a connection; ask again in "
                  "%.0f ms",
                  (double)retry_after_ns / 1e6);
    if (err) {
        err->stop_reason = HG_STOP_BREAKER;
        err->retry_after_ns = retry_after_ns;
    }
    return not_sent(err, HG_ERR_CIRCUIT_OPEN);
}

hg_status hgi_refused_by_closing(struct hg_error *err)
{
    hgi_error_set(err, HG_ERR_CLOSED, "the pool is closing; the call had no connection yet");
    return not_sent(err, HG_ERR_CLOSED);
}
