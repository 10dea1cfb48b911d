/* Functions with a connection, and leases by hand.
 *
 * Both hold a slot for longer than one command. What is sent goes through exchange.c, which counts
 * what left, so that the outcome of a function is known without its help: nothing left whole, and it
 * may run again; one command failed, and its verdict is the function's; anything more is UNKNOWN.
 */
#include <herdgate/pool.h>

#include <stdio.h>
#include <string.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/call.h"
#include "pool/deadlock.h"
#include "pool/exchange.h"
#include "pool/lease.h"

/* --- hg_call() --- */

struct function_call {
    hg_pool *pool;
    struct hgi_snapshot *snapshot;
    const struct hgi_class *op_class;
    hg_call_fn fn;
    void *arg;
    struct hgi_fence fence;
};

/* What is known of a function that failed. */
static hg_outcome outcome_of(const struct hg_lease *lease)
{
    if (lease->slot->conn->is_raw)
        return HG_OUTCOME_UNKNOWN;
    if (lease->frames == 0)
        return HG_OUTCOME_NOT_SENT;
    /* The one command that left is the one that failed, unless that one is known not to have left. */
    bool is_that_one =
        lease->frames == 1 && lease->failed && lease->verdict.outcome != HG_OUTCOME_NOT_SENT;
    return is_that_one ? lease->verdict.outcome : HG_OUTCOME_UNKNOWN;
}

/* Judge a status that the user gave: as the lease's own failure if it is that one. */
static void judge_status(const struct hg_lease *lease, hg_status status,
                         struct hgi_verdict *verdict)
{
    if (lease->failed && lease->verdict.type == status)
        *verdict = lease->verdict;
    else
        hgi_classify_status(lease->snapshot->settings, status, "", verdict);
}

static void run_function(const struct function_call *call, struct hg_lease *lease,
                         struct hgi_attempt *attempt)
{
    struct hg_attempt view = { .size = sizeof view,
                               .number = attempt->number,
                               .max_attempts = attempt->max_attempts,
                               .deadline_ns = lease->deadline_ns,
                               .error = attempt->error };
    hgi_deadlock_holds_more();
    hg_status status = call->fn(hgi_lease_handle(lease), call->arg, &view);
    hgi_deadlock_holds_fewer();
    if (status < 0) {
        attempt->status = status;
        attempt->retry_after_ns = view.retry_after_ns;
        judge_status(lease, status, &attempt->verdict);
        attempt->verdict.outcome =
            view.outcome != HG_OUTCOME_UNKNOWN ? view.outcome : outcome_of(lease);
        if (!attempt->error->message[0])
            hgi_error_message(attempt->error, "the function returned %s (%d)",
                              hg_status_name(status), (int)status);
    }
}

static void function_attempt(void *arg, struct hgi_attempt *attempt)
{
    struct function_call *call = arg;
    struct hgi_take take = { .settings = call->snapshot->settings,
                             .now_ns = attempt->began_ns,
                             .deadline_ns = attempt->call_deadline_ns,
                             .verdict = &attempt->verdict,
                             .is_probe = attempt->is_probe };
    hg_status status = hgi_take(call->pool, &take, attempt->error);
    if (status != HG_OK) {
        hgi_take_failed(&take, status, attempt);
        return;
    }
    attempt->queue_ns = take.queue_ns;
    attempt->dial_ns = take.dial_ns;
    const int64_t began_ns = take.now_ns;
    struct hg_lease *lease =
        hgi_lease_begin(call->pool, call->snapshot, take.slot, call->op_class, began_ns);
    struct hgi_span span = hgi_attempt_span(attempt, attempt->timeout_ns, began_ns);
    lease->call_deadline_ns = attempt->call_deadline_ns;
    lease->deadline_ns = span.end_ns;
    lease->full = span.full;
    lease->record = attempt->error;
    hgi_error_clear(attempt->error);
    if (hgi_attempt_fence(&call->fence, lease, &span, attempt)) {
        run_function(call, lease, attempt);
        hgi_attempt_note(&call->fence, lease, attempt);
    }
    attempt->keeps_permit = take.slot->inherited; /* in a child that it forked: the parent tells */
    attempt->ended_ns = hgi_now_ns();
    attempt->server_ns = attempt->ended_ns - began_ns;
    hgi_lease_end(lease, attempt->ended_ns);
}

hg_status hg_call(hg_pool *pool, const struct hg_call_options *options, hg_call_fn fn, void *arg,
                  struct hg_error *err)
{
    if (!pool || !fn)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_call: %s is NULL; give one",
                             pool ? "fn" : "pool");
    struct hgi_snapshot *snapshot;
    hg_status status = hgi_call_enter(pool, &snapshot, err);
    if (status != HG_OK)
        return status;
    int cancel = hgi_cancel_off();
    struct hg_call_options given;
    const struct hgi_class *op_class = &snapshot->settings->classes[HGI_CLASS_WRITE_ONCE];
    status = hgi_call_options_read(&given, options, snapshot->settings, &op_class, err);
    if (status == HG_OK) {
        struct function_call function;
        function.pool = pool;
        function.snapshot = snapshot;
        function.op_class = op_class;
        function.fn = fn;
        function.arg = arg;
        function.fence.count = 0;
        struct hgi_call call;
        hgi_call_prepare(&call, pool, snapshot, &given);
        call.op_class = op_class;
        call.operation = "call";
        call.key = given.key;
        call.key_length = given.key ? strlen(given.key) : 0;
        status = hgi_run_counted(pool, &call, function_attempt, &function, err);
    }
    hgi_call_leave(snapshot);
    hgi_cancel_restore(cancel);
    return status;
}

/* --- leases by hand --- */

struct acquire_call {
    hg_pool *pool;
    struct hgi_snapshot *snapshot;
    const struct hgi_class *op_class;
    struct hg_lease *lease;
};

static void acquire_attempt(void *arg, struct hgi_attempt *attempt)
{
    struct acquire_call *call = arg;
    struct hgi_take take = { .settings = call->snapshot->settings,
                             .now_ns = attempt->began_ns,
                             .deadline_ns = attempt->call_deadline_ns,
                             .verdict = &attempt->verdict,
                             .is_probe = attempt->is_probe };
    hg_status status = hgi_take(call->pool, &take, attempt->error);
    if (status != HG_OK) {
        hgi_take_failed(&take, status, attempt);
        return;
    }
    attempt->queue_ns = take.queue_ns;
    attempt->dial_ns = take.dial_ns;
    call->lease =
        hgi_lease_begin(call->pool, call->snapshot, take.slot, call->op_class, take.now_ns);
    call->lease->call_deadline_ns = HGI_NEVER;
    call->lease->permit = attempt->permit;
    call->lease->by_hand = true;
    hgi_deadlock_holds_more();
    attempt->keeps_permit = true;
}

hg_status hg_acquire(hg_pool *pool, hg_lease **out, const struct hg_call_options *options,
                     struct hg_error *err)
{
    if (out)
        *out = NULL;
    if (!pool || !out)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_acquire: %s is NULL; give one",
                             pool ? "out" : "pool");
    struct hgi_snapshot *snapshot;
    hg_status status = hgi_call_enter(pool, &snapshot, err);
    if (status != HG_OK)
        return status;
    struct hg_call_options given;
    const struct hgi_class *op_class = &snapshot->settings->classes[HGI_CLASS_WRITE_ONCE];
    status = hgi_call_options_read(&given, options, snapshot->settings, &op_class, err);
    if (status == HG_OK) {
        struct hgi_class once = *op_class;
        once.retry.max_attempts = 1;
        struct acquire_call acquire = { .pool = pool, .snapshot = snapshot, .op_class = op_class };
        struct hgi_call call;
        hgi_call_prepare(&call, pool, snapshot, &given);
        call.op_class = &once;
        call.operation = "acquire";
        call.key = given.key;
        call.key_length = given.key ? strlen(given.key) : 0;
        int cancel = pool->log ? hgi_cancel_off() : -1; /* only a user's hook could be cancelled */
        status = hgi_run_counted(pool, &call, acquire_attempt, &acquire, err);
        if (pool->log)
            hgi_cancel_restore(cancel);
        *out = acquire.lease ? hgi_lease_handle(acquire.lease) : NULL;
    }
    if (status != HG_OK)
        hgi_call_leave(snapshot); /* else hg_release() does */
    return status;
}

static void report(const struct hg_lease *lease, hg_status how_it_went, int64_t elapsed_ns)
{
    hg_breaker *breaker = lease->pool->breaker;
    if (!breaker || !lease->by_hand)
        return;
    struct hgi_verdict verdict = { .view = HGI_VIEW_SUCCESS };
    if (how_it_went < 0)
        judge_status(lease, how_it_went, &verdict);
    if (verdict.view == HGI_VIEW_NOTHING)
        hg_breaker_cancel(breaker, lease->permit);
    else
        hg_breaker_report(breaker, lease->permit,
                          verdict.view == HGI_VIEW_SUCCESS ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE,
                          elapsed_ns);
}

/* Given back twice, or a lease that is hg_call()'s to give back. Whoever does it would have handed
 * another thread's connection on, and will do it again. */
static void released_wrongly(const hg_lease *handle)
{
    char text[128];
    bool stale = hgi_handle_is_stale(handle);
    snprintf(text, sizeof text, "thread %d released a lease %s", (int)hgi_thread_id(),
             stale ? "that had ended before" : "that hg_call() ends by itself");
    hgi_pool_log(hgi_slot_of_handle(handle)->lease.pool, HG_LOG_LEASE_MISUSE, 0, NULL, NULL, text);
#ifndef NDEBUG
    fprintf(stderr, "herdgate: %s\n", text);
    abort();
#endif
}

void hg_release(hg_lease *handle, hg_status how_it_went)
{
    if (!handle)
        return;
    struct hg_lease *lease = hgi_lease_of(handle);
    if (!lease && hgi_slot_of_handle(handle)->inherited)
        return; /* the parent gives it back */
    if (!lease || !lease->by_hand) {
        released_wrongly(handle);
        return;
    }
    hg_pool *pool = lease->pool;
    struct hgi_snapshot *snapshot = lease->snapshot;
    const int64_t now_ns = hgi_now_ns();
    report(lease, how_it_went, now_ns - lease->began_ns);
    hgi_tally_lease(pool, now_ns - lease->began_ns);
    hgi_lease_end(lease, now_ns);
    hgi_deadlock_holds_fewer();
    hgi_call_leave(snapshot);
}
