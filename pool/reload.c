/* The policy of an open pool: which one a call is under, and how it is exchanged.
 *
 * A snapshot is a policy and the calls that began under it, counted in stripes. Entering counts the
 * call in the current snapshot and then looks whether it is still the current one; if not, the call
 * counts itself out and tries the new one. So one locked addition to a line that few threads share is
 * all that a call pays, and it would pay that anyway: closing counts the same way.
 *
 * A policy that is no longer current is let go of when nobody is counted in its snapshot any more. An
 * entering call counts itself and then reads `current`; a reload writes `current` and then reads the
 * counts: all four are seq_cst, so one of the two sees the other [R2]. After that the counts of an
 * outdated snapshot only fall, but for callers that come too late and go at once; a sum of 0 is
 * therefore final although the stripes are read one by one, and although a lease may be counted in on
 * one stripe and out on another.
 *
 * Snapshots are memory of the pool until its end, so a late caller counts in memory that is there. One
 * that is empty serves the next reload: there are never more than calls that run under different
 * policies, plus one.
 *
 * Invariants: what a snapshot says of a policy changes only under the mutex, while it is not current
 * and nobody is counted in it; breaker, budget and connections keep their state.
 */
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "policy/budget.h"
#include "pool/internal.h"
#include "pool/setup.h"

/* --- a call's view --- */

static _Atomic int64_t *stripe_of_this_thread(struct hgi_snapshot *snapshot)
{
    return &snapshot->calls[(uint32_t)hgi_thread_id() % HGI_CALL_STRIPES].running;
}

hg_status hgi_call_enter(hg_pool *pool, struct hgi_snapshot **out, struct hg_error *err)
{
    /* [R1] acquire: counters that were zeroed; pairs with [R1] in hgi_snapshot_publish(). */
    struct hgi_snapshot *snapshot = atomic_load_explicit(&pool->current, memory_order_acquire);
    hgi_fork_check();
    for (;;) {
        /* [R2] seq_cst: counted before `current` is read again; pairs with [R2] in
         * hgi_snapshot_publish() and nobody_in(). [P2] seq_cst: and before `closing` is read; pairs
         * with [P2] in hgi_threads_stop(), which sets it before the counts are read. */
        atomic_fetch_add_explicit(stripe_of_this_thread(snapshot), 1, memory_order_seq_cst);
        struct hgi_snapshot *now = atomic_load_explicit(&pool->current, memory_order_seq_cst);
        if (now == snapshot)
            break;
        hgi_call_leave(snapshot); /* each turn is a reload of another thread's */
        snapshot = now;
    }
    /* [K2] acquire: a revived pool; pairs with [K2] in revive(). */
    uint32_t closing = atomic_load_explicit(&pool->closing, memory_order_seq_cst);
    *out = snapshot;
    if (closing == HGI_OPEN)
        return HG_OK;
    hgi_call_leave(snapshot);
    *out = NULL;
    if (closing == HGI_FORKED) {
        hg_status status = hgi_fork_revive(pool, err);
        return status == HG_OK ? hgi_call_enter(pool, out, err) : status;
    }
    hgi_error_set(err, HG_ERR_CLOSED, "the pool is closing; no new call may begin");
    return HG_ERR_CLOSED;
}

void hgi_call_leave(struct hgi_snapshot *snapshot)
{
    /* [P3] release: all that this call did to the pool, and read of the policy, happens before either
     * is freed; pairs with [P3] in nobody_in(). */
    atomic_fetch_sub_explicit(stripe_of_this_thread(snapshot), 1, memory_order_release);
}

static bool nobody_in(const struct hgi_snapshot *snapshot)
{
    int64_t running = 0;
    /* [R2] seq_cst, [P2] seq_cst: after `current` or `closing` was written; pairs with both in
     * hgi_call_enter(). [P3] acquire: what the calls did, before anything is freed; pairs with [P3] in
     * hgi_call_leave(). */
    for (uint32_t i = 0; i < HGI_CALL_STRIPES; i++)
        running += atomic_load_explicit(&snapshot->calls[i].running, memory_order_seq_cst);
    return running == 0;
}

bool hgi_nobody_inside(const hg_pool *pool)
{
    for (const struct hgi_snapshot *each = pool->snapshots; each; each = each->older)
        if (!nobody_in(each))
            return false;
    return true;
}

hg_policy *hgi_policy_hold(hg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    hg_policy *policy = hg_policy_retain(hgi_snapshot_now(pool)->policy);
    pthread_mutex_unlock(&pool->mutex);
    return policy;
}

/* --- exchanging it --- */

static struct hgi_snapshot *empty_snapshot(hg_pool *pool)
{
    for (struct hgi_snapshot *each = pool->snapshots; each; each = each->older)
        if (!each->policy)
            return each;
    struct hgi_snapshot *made = aligned_alloc(HGI_CACHE_LINE, sizeof *made);
    if (!made)
        return NULL;
    memset(made, 0, sizeof *made);
    made->older = pool->snapshots;
    pool->snapshots = made;
    return made;
}

bool hgi_snapshot_publish(hg_pool *pool, hg_policy *policy)
{
    struct hgi_snapshot *snapshot = empty_snapshot(pool);
    if (!snapshot)
        return false;
    snapshot->policy = hg_policy_retain(policy);
    snapshot->settings = &policy->settings;
    snapshot->endpoint = pool->has_endpoint ? &pool->endpoint : &policy->settings.server;
    /* [R1] release: what the snapshot is comes with it; pairs with [R1] in hgi_call_enter(). [R2]
     * seq_cst: and it is current before the counts of the
     * last one are read; pairs with [R2] in hgi_call_enter(). */
    atomic_store_explicit(&pool->current, snapshot, memory_order_seq_cst);
    return true;
}

void hgi_snapshots_free(struct hgi_snapshot *snapshots)
{
    while (snapshots) {
        struct hgi_snapshot *each = snapshots;
        snapshots = each->older;
        hg_policy_drop(each->policy);
        free(each);
    }
}

void hgi_snapshots_collect(hg_pool *pool)
{
    hg_policy *outdated;
    do {
        outdated = NULL;
        pthread_mutex_lock(&pool->mutex);
        for (struct hgi_snapshot *each = pool->snapshots; each && !outdated; each = each->older) {
            if (!each->policy || each == hgi_snapshot_now(pool) || !nobody_in(each))
                continue;
            outdated = each->policy;
            each->policy = NULL;
        }
        pthread_mutex_unlock(&pool->mutex);
        hg_policy_drop(outdated);
    } while (outdated); /* ends: each turn empties a snapshot */
}

/* --- what a reload may change --- */

struct breaker_field {
    const char *name;
    size_t offset;
    size_t size;
};

#define FIELD(name, member)                                  \
    {                                                        \
        name, offsetof(struct hg_breaker_options, member),   \
            sizeof(((struct hg_breaker_options *)0)->member) \
    }

static const struct breaker_field breaker_fields[] = {
    FIELD("failure_threshold", failure_threshold),
    FIELD("half_open_max_calls", half_open_max_calls),
    FIELD("success_threshold", success_threshold),
    FIELD("recovery_timeout", recovery_timeout_ns),
    FIELD("recovery_multiplier", recovery_multiplier),
    FIELD("recovery_timeout_max", recovery_timeout_max_ns),
    FIELD("recovery_jitter", recovery_jitter),
    FIELD("probe_lease", probe_lease_ns),
    FIELD("window/length", window_length_ns),
    FIELD("window/min_calls", window_min_calls),
    FIELD("window/failure_rate", window_failure_rate),
    FIELD("window/slow_call", window_slow_call_ns),
    FIELD("window/slow_rate", window_slow_rate),
};

static hg_status breaker_differs(const char *name, struct hg_error *err)
{
    return hgi_error_set(err, HG_ERR_VALIDATION,
                         "/breaker/%s differs from what the open pool has; the breaker keeps its "
                         "settings as it keeps its state: leave it as it was, or open a new pool",
                         name);
}

static hg_status check_breaker(const struct hgi_settings *now, const struct hgi_settings *next,
                               struct hg_error *err)
{
    if (now->breaker_enabled != next->breaker_enabled)
        return breaker_differs("enabled", err);
    if (!now->breaker_enabled)
        return HG_OK;
    if (strcmp(now->breaker_shared, next->breaker_shared) != 0)
        return breaker_differs("shared", err);
    for (size_t i = 0; i < sizeof breaker_fields / sizeof breaker_fields[0]; i++) {
        const struct breaker_field *field = &breaker_fields[i];
        if (memcmp((const char *)&now->breaker + field->offset,
                   (const char *)&next->breaker + field->offset, field->size) != 0)
            return breaker_differs(field->name, err);
    }
    return HG_OK;
}

/* Would a connection be set up differently under `next`? Then those that stand retire. */
static bool set_up_differs(const struct hgi_snapshot *now, const struct hgi_endpoint *next,
                           const struct hgi_settings *settings)
{
    const struct hgi_endpoint *old = now->endpoint;
    return old->transport != next->transport || old->tls != next->tls ||
           strcmp(old->host, next->host) != 0 || strcmp(old->path, next->path) != 0 ||
           old->port != next->port || old->database != next->database ||
           strcmp(old->username, next->username) != 0 ||
           strcmp(old->password, next->password) != 0 ||
           strcmp(now->settings->client_name, settings->client_name) != 0 ||
           memcmp(&now->settings->tls, &settings->tls, sizeof settings->tls) != 0 ||
           now->settings->proxy != settings->proxy || now->settings->resp != settings->resp ||
           now->settings->setup_count != settings->setup_count ||
           memcmp(now->settings->setup, settings->setup, sizeof settings->setup) != 0;
}

/* With `changing` held, which lets no other reload in between. */
static hg_status reload(hg_pool *pool, hg_policy *policy, struct hg_error *err)
{
    const struct hgi_settings *next = &policy->settings;
    hg_status status = hgi_dialers_start(pool, next->pool.max_connecting, err);
    if (status != HG_OK)
        return status;
    pthread_mutex_lock(&pool->mutex);
    const struct hgi_snapshot *now = hgi_snapshot_now(pool);
    bool retire = set_up_differs(now, pool->has_endpoint ? &pool->endpoint : &next->server, next);
    if (hgi_snapshot_publish(pool, policy)) {
        hgi_budget_configure(pool->budget, &next->budget, hgi_now_ns());
        hgi_resize(pool, next->pool.max_size);
        /* relaxed: a connection that is borrowed once more is one of the old policy's calls. */
        if (retire)
            atomic_fetch_add_explicit(&pool->epoch, 1, memory_order_relaxed);
    } else {
        status = hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for another policy");
    }
    pthread_mutex_unlock(&pool->mutex);
    return status;
}

hg_status hg_pool_reload(hg_pool *pool, hg_policy *policy, struct hg_error *err)
{
    if (!pool || !policy)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_pool_reload: %s is NULL; give one",
                             pool ? "policy" : "pool");
    struct hgi_snapshot *snapshot;
    hg_status status = hgi_call_enter(pool, &snapshot, err);
    if (status != HG_OK)
        return status;
    int cancel = hgi_cancel_off();
    pthread_mutex_lock(&pool->changing);
    status = HG_OK;
    if (pool->own_breaker || !pool->breaker)
        status = check_breaker(snapshot->settings, &policy->settings, err);
    if (status == HG_OK)
        status =
            hgi_setup_is_possible(pool->has_endpoint ? &pool->endpoint : &policy->settings.server,
                                  &policy->settings, err);
    if (status == HG_OK)
        status = reload(pool, policy, err);
    pthread_mutex_unlock(&pool->changing);
    if (status == HG_OK) {
        hgi_error_clear(err);
        hgi_pool_tell(pool, (struct hg_pool_event) { .kind = HG_EVENT_RELOADED });
        hgi_serve_queue(pool); /* slots may be in use again that stayed free */
        hgi_keeper_wake(pool); /* what has become too many, too old or outdated goes now */
    }
    hgi_call_leave(snapshot);
    hgi_cancel_restore(cancel);
    return status;
}
