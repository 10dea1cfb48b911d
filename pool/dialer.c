/* The dialers: the only threads that make connections, at most max_connecting at once.
 *
 * A dial begins when a caller waits whom no free connection and no dial under way will serve, or when
 * fewer connections stand than min_idle; never sooner than the back-off after a failed one, except for
 * a probe of the breaker. What was wanted when a dialer was woken is looked at again when its turn
 * comes, so a dial that a returned connection made superfluous is not begun. A new connection goes to
 * the first waiter. A failed dial is one failure for the breaker, and if no connection stands at all,
 * its error goes to all who wait, at once.
 *
 * Slow start: after a failure one dial is made at a time, and each that succeeds doubles how many may
 * be, up to max_connecting: a server that has just come back is not met by all at once.
 *
 * Invariants, under the mutex: a slot is DIALING while exactly one dialer owns it; slots that are not
 * EMPTY are at most `size` when a dial begins; dialing <= max_connecting, where a connection counts
 * until it has been given to somebody, so that no other dial is begun for the same waiter. While it is
 * given it counts as connected, too: the two together are never fewer than the slots that are used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/probe.h"
#include "policy/random.h"
#include "pool/dial.h"
#include "pool/internal.h"
#include "pool/mend.h"

/* A tenth either way, so that connections made together do not end together. */
static int64_t jittered_end(int64_t made_ns, int64_t lifetime_ns)
{
    if (lifetime_ns < 0)
        return HGI_NEVER;
    double factor = 0.9 + 0.2 * hgi_random_unit();
    return hgi_deadline_after(made_ns, (int64_t)((double)lifetime_ns * factor));
}

/* Connections that are free for those who wait; more than so many do not matter. */
static uint32_t count_free(const hg_pool *pool, uint32_t waiting)
{
    uint32_t count = 0;
    /* relaxed: a waiter who finds that one is not free any more looks at this again. */
    for (uint32_t i = 0; i < hgi_size_now(pool) && count < waiting; i++)
        count += atomic_load_explicit(&pool->slots[i].state, memory_order_relaxed) == HGI_SLOT_FREE;
    return count;
}

bool hgi_dial_is_wanted(const hg_pool *pool)
{
    const struct hgi_pool_settings *settings = &hgi_snapshot_now(pool)->settings->pool;
    uint32_t at_once = settings->max_connecting;
    if (pool->slow_start > 0 && pool->slow_start < at_once)
        at_once = pool->slow_start;
    /* relaxed: both are written under the mutex, which the caller holds. */
    if (atomic_load_explicit(&pool->closing, memory_order_relaxed) ||
        pool->connected + pool->dialing >= hgi_size_now(pool) || pool->dialing >= at_once)
        return false;
    uint32_t waiting = atomic_load_explicit(&pool->waiting, memory_order_relaxed);
    return waiting > pool->dialing + count_free(pool, waiting) ||
           pool->connected + pool->dialing < settings->min_idle;
}

static struct hgi_slot *own_empty_slot(hg_pool *pool)
{
    for (uint32_t i = 0; i < hgi_size_now(pool); i++) {
        struct hgi_slot *slot = &pool->slots[i];
        /* relaxed: EMPTY is entered and left under the mutex, which is held. */
        if (atomic_load_explicit(&slot->state, memory_order_relaxed) == HGI_SLOT_EMPTY) {
            atomic_store_explicit(&slot->state, HGI_SLOT_DIALING, memory_order_relaxed);
            return slot;
        }
    }
    return NULL;
}

/* Sleep, with the mutex given up, until a dial is due or a connection is to be mended. False: the pool
 * is closing. */
static bool wait_until_due(hg_pool *pool)
{
    for (;;) {
        /* relaxed: set under the mutex that is held. */
        if (atomic_load_explicit(&pool->closing, memory_order_relaxed))
            return false;
        if (pool->spoiled > 0)
            return true;
        if (!hgi_dial_is_wanted(pool)) {
            pthread_cond_wait(&pool->dial_wanted, &pool->mutex);
        } else if (pool->dial_urgent || hgi_now_ns() >= pool->dial_not_before_ns) {
            return true;
        } else {
            struct timespec due = hgi_timespec(pool->dial_not_before_ns);
            pthread_cond_timedwait(&pool->dial_wanted, &pool->mutex, &due);
        }
    }
}

/* Put the next dial off: exponential, with full jitter, as the settings say. Mutex held. */
static int64_t back_off(hg_pool *pool, int64_t now_ns)
{
    const struct hgi_pool_settings *settings = &hgi_snapshot_now(pool)->settings->pool;
    const struct hg_retry retry = { .size = sizeof retry,
                                    .max_attempts = UINT32_MAX,
                                    .jitter = HG_JITTER_FULL,
                                    .initial_delay_ns = settings->dial_backoff_initial_ns,
                                    .max_delay_ns = settings->dial_backoff_max_ns,
                                    .multiplier = 2.0 };
    int64_t delay_ns =
        hg_retry_delay_jittered(&retry, pool->dial_failures_in_a_row, 0, hgi_random_unit());
    if (pool->dial_failures_in_a_row < UINT32_MAX)
        pool->dial_failures_in_a_row++;
    pool->slow_start = 1;
    pool->dial_not_before_ns = now_ns + delay_ns;
    return delay_ns;
}

/* What a dial is made under: as it was when it began. */
struct dial_terms {
    hg_policy *policy; /* retained */
    const struct hgi_endpoint *endpoint;
    uint32_t epoch;
    bool admitted; /* `permit` is to be reported */
    hg_permit permit;
};

/* A dial failed: tell the waiters, and then, with no lock held, breaker and log. Mutex held at entry
 * and return. */
static void dial_failed(hg_pool *pool, struct hgi_slot *slot, const struct dial_terms *terms,
                        const struct hgi_fault *fault, const char *text, int64_t took_ns)
{
    pool->dialing--;
    int64_t delay_ns = back_off(pool, hgi_now_ns());
    hgi_classify(&terms->policy->settings, fault, &pool->dial_verdict);
    pool->dial_errno = fault->sys_errno;
    pool->last_dial_took_ns = took_ns;
    hgi_copy_text(pool->dial_text, sizeof pool->dial_text, text);
    /* relaxed: EMPTY is seen under the mutex only. */
    atomic_store_explicit(&slot->state, HGI_SLOT_EMPTY, memory_order_relaxed);
    struct hgi_verdict verdict = pool->dial_verdict;
    bool nothing_left = pool->connected == 0;
    pthread_mutex_unlock(&pool->mutex);

    if (nothing_left)
        hgi_wake_all(pool, HGI_WAKE_DIAL_FAILED);
    hgi_count(&pool->counters.dial_failures);
    if (verdict.recovery == HG_RECOVERY_CIRCUIT_BREAKER && pool->breaker)
        hg_breaker_trip(pool->breaker);
    if (terms->admitted)
        hg_breaker_report(pool->breaker, terms->permit, HG_RESULT_FAILURE, took_ns);
    struct hg_error error;
    hgi_error_set(&error, verdict.type, "%s: %s", terms->endpoint->text, text);
    error.severity = verdict.severity;
    error.recovery = verdict.recovery;
    error.outcome = HG_OUTCOME_NOT_SENT;
    error.sys_errno = fault->sys_errno;
    error.timestamp_ns = hgi_wall_ns();
    error.elapsed_ns = error.dial_ns = took_ns;
    hgi_copy_text(error.operation, sizeof error.operation, "connect");
    hgi_copy_text(error.endpoint, sizeof error.endpoint, terms->endpoint->text);
    hgi_copy_text(error.server_code, sizeof error.server_code, verdict.code);
    hgi_pool_log(pool, HG_LOG_DIAL_FAILED, delay_ns, &error, NULL, error.message);
    hgi_pool_tell(pool, (struct hg_pool_event) { .kind = HG_EVENT_DIAL_FAILED,
                                                 .elapsed_ns = took_ns,
                                                 .delay_ns = delay_ns,
                                                 .error = &error });
    hg_policy_drop(terms->policy);
    pthread_mutex_lock(&pool->mutex);
}

/* Hand a new connection over. Mutex held at entry and return. */
static void dial_succeeded(hg_pool *pool, struct hgi_slot *slot, const struct dial_terms *terms,
                           struct hgi_conn *conn, int64_t took_ns)
{
    pool->dial_failures_in_a_row = 0;
    pool->dial_not_before_ns = 0;
    if (pool->slow_start >= HGI_CONNECTING_MAX)
        pool->slow_start = 0;
    pool->slow_start *= 2;
    pool->connected++;
    conn->id = ++pool->next_conn_id;
    if (conn->id == 0) /* 0 means none; an id is met again after 2^32 dials, its events long gone */
        conn->id = ++pool->next_conn_id;
    pthread_mutex_unlock(&pool->mutex);

    if (terms->admitted)
        hg_breaker_cancel(pool->breaker,
                          terms->permit); /* only calls say that the server is well */
    conn->epoch = terms->epoch;
    conn->dial_ns = took_ns;
    hgi_tally_time(&pool->counters.dial_time, took_ns, false);
    conn->made_ns = hgi_now_ns();
    conn->expires_ns = jittered_end(conn->made_ns, terms->policy->settings.pool.max_lifetime_ns);
    slot->conn = conn;
    hgi_pool_tell(pool, (struct hg_pool_event) { .kind = HG_EVENT_CONNECTED,
                                                 .connection = conn->id,
                                                 .elapsed_ns = took_ns });
    hgi_keeper_watch(pool, slot);
    /* relaxed: a DIALING slot is looked at by its dialer only; giving it publishes it. */
    atomic_store_explicit(&slot->state, HGI_SLOT_LEASED, memory_order_relaxed);
    hgi_give_new(pool, slot);
    hg_policy_drop(terms->policy);
    pthread_mutex_lock(&pool->mutex);
    pool->dialing--;
}

/* recv may block for this long in the kernel before the deadline is looked at: half of what a read is
 * allowed, so that the usual call costs one recv. */
static int64_t receive_slice(const struct hgi_settings *settings)
{
    int64_t timeout_ns = settings->classes[HGI_CLASS_READ].attempt_timeout_ns;
    int64_t slice_ns = timeout_ns < 0 ? HGI_NS_PER_S : timeout_ns / 2;
    return slice_ns > HGI_NS_PER_MS ? slice_ns : HGI_NS_PER_MS;
}

/* Whom to log in as, if a callback says it. False: *fault and `text` say why the dial ends here. */
static bool ask_credentials(hg_pool *pool, struct hgi_endpoint *endpoint, struct dial_terms *terms,
                            struct hgi_fault *fault, char *text, size_t size)
{
    if (!pool->credentials || hgi_credentials_ask(pool, endpoint, &terms->epoch, text, size))
        return true;
    *fault = (struct hgi_fault) { .kind = HGI_FAULT_DIAL,
                                  .in_setup = true,
                                  .class_kind = HGI_CLASS_CONNECTION };
    return false;
}

static void dial_once(hg_pool *pool)
{
    struct hgi_slot *slot = own_empty_slot(pool);
    if (!slot) {
        fprintf(stderr, "herdgate: fewer connections than slots, and no slot is empty\n");
        abort();
    }
    pool->dialing++;
    pool->dial_urgent = false;
    if (hgi_dial_is_wanted(pool)) /* one more: another dialer's */
        pthread_cond_signal(&pool->dial_wanted);
    const struct hgi_snapshot *snapshot = hgi_snapshot_now(pool);
    struct dial_terms terms = {
        .policy = hg_policy_retain(snapshot->policy),
        .endpoint = snapshot->endpoint,
        /* relaxed: a reload writes it together with the endpoint, under the mutex that is held. */
        .epoch = atomic_load_explicit(&pool->epoch, memory_order_relaxed),
    };
    pthread_mutex_unlock(&pool->mutex);

    const struct hgi_settings *settings = &terms.policy->settings;
    terms.admitted =
        pool->breaker && hgi_breaker_admit(pool->breaker, HGI_ADMIT_NO_PROBE, &terms.permit);
    hgi_count(&pool->counters.dials);
    int64_t began_ns = hgi_now_ns();
    HGI_PROBE2(dial__begin, pool, (uint32_t)(slot - pool->slots));
    struct hgi_endpoint endpoint = *terms.endpoint;
    struct hgi_dial_request request = {
        .endpoint = &endpoint,
        .descriptor = &slot->descriptor,
        .settings = settings,
        .no_info = &pool->no_info,
        .deadline_ns = hgi_deadline_after(began_ns, settings->pool.connect_timeout_ns),
        .slice_ns = receive_slice(settings),
    };
    struct hgi_conn *conn;
    struct hgi_fault fault;
    char text[160];
    bool well = ask_credentials(pool, &endpoint, &terms, &fault, text, sizeof text) &&
                hgi_dial(&request, &conn, &fault, text, sizeof text);
    explicit_bzero(&endpoint, sizeof endpoint);
    int64_t took_ns = hgi_now_ns() - began_ns;
    HGI_PROBE4(dial__end, pool, (uint32_t)(slot - pool->slots), (int)well, took_ns);

    pthread_mutex_lock(&pool->mutex);
    if (well)
        dial_succeeded(pool, slot, &terms, conn, took_ns);
    else
        dial_failed(pool, slot, &terms, &fault, text, took_ns);
}

void *hgi_dialer_main(void *argument)
{
    hg_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    while (wait_until_due(pool)) {
        if (pool->spoiled > 0)
            hgi_mend_one(pool);
        else
            dial_once(pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}
