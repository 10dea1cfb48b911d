/* What a running call tells of itself.
 *
 * A call that goes well tells little, and cheaply: its record is not cleared, no clock but the attempt's
 * is read, no text is made. A failed one tells all that is known. The record's message stands alone in a
 * log: where, what the call as a whole came to, and what its last attempt did.
 *
 * Invariant: nothing here changes what the loop does next.
 */
#include "policy/account.h"

#include <stdio.h>

#include "breaker/clock.h"
#include "breaker/error.h"

/* What is known of every call at its end, for nothing. */
static void add_figures(const struct hgi_run *run, int64_t now_ns)
{
    struct hg_error *record = run->record;
    record->attempt = run->progress.attempts;
    record->max_attempts = run->plan.max_attempts;
    record->elapsed_ns = now_ns - run->started_ns;
    record->queue_ns = run->queue_ns;
    record->dial_ns = run->dial_ns;
    record->server_ns = run->server_ns;
    record->backoff_ns = run->backoff_ns;
}

/* Add to the record what is known of the call as a whole. */
static void add_context(const struct hgi_run *run, int64_t now_ns)
{
    const struct hgi_call *call = run->call;
    struct hg_error *record = run->record;
    add_figures(run, now_ns);
    record->timestamp_ns = hgi_wall_ns();
    hgi_copy_text(record->operation, sizeof record->operation, call->operation);
    if (call->key)
        hgi_error_set_key(record, call->key, call->key_length);
    if (call->endpoint)
        hgi_copy_text(record->endpoint, sizeof record->endpoint, call->endpoint);
}

/* Say where, in front of what: the record's message stands alone in a log. */
static void say_where(const struct hgi_run *run, char *text, size_t size)
{
    text[0] = '\0';
    if (run->call->endpoint) {
        hgi_append_text(text, size, run->call->endpoint);
        hgi_append_text(text, size, ": ");
    }
    hgi_append_text(text, size, run->record->message);
}

void hgi_account_log(const struct hgi_run *run, hg_log_kind kind, int64_t delay_ns)
{
    const struct hgi_call *call = run->call;
    if (!call->log)
        return;
    char text[sizeof run->record->message];
    say_where(run, text, sizeof text);
    add_context(run, hgi_run_now(run));
    struct hg_log_event event = {
        .size = sizeof event, .kind = kind, .delay_ns = delay_ns, .error = run->record, .text = text
    };
    call->log(call->log_arg, &event);
}

/* Fill the caller's trace. */
void hgi_account_trace(const struct hgi_run *run, int64_t now_ns)
{
    struct hg_trace *trace = run->call->trace;
    if (!trace)
        return;
    trace->attempts = run->progress.attempts;
    trace->retries = trace->attempts > 0 ? trace->attempts - 1 : 0;
    trace->elapsed_ns = now_ns - run->started_ns;
    trace->queue_ns = run->queue_ns;
    trace->dial_ns = run->dial_ns;
    trace->server_ns = run->server_ns;
    trace->backoff_ns = run->backoff_ns;
    if (trace->retries < HG_TRACE_RETRIES) /* one that was waited for and not made is none */
        trace->retry[trace->retries] = (struct hg_trace_retry) { 0 };
}

void hgi_account_retry(const struct hgi_run *run, const struct hgi_verdict *verdict,
                       int64_t delay_ns)
{
    struct hg_trace *trace = run->call->trace;
    if (!trace)
        return;
    uint32_t made = run->progress.attempts - 1; /* before this one, which may be refused yet */
    if (made < HG_TRACE_RETRIES) {
        struct hg_trace_retry *entry = &trace->retry[made];
        entry->cause = verdict->type;
        entry->delay_ns = delay_ns;
        hgi_copy_text(entry->server_code, sizeof entry->server_code, verdict->code);
    }
}

/* A success writes each field, so that nothing of an older call's is taken for its own; but it clears no
 * text behind its first byte, and reads no clock. */
void hgi_account_success(const struct hgi_run *run, hg_status type, int64_t now_ns)
{
    struct hg_error *record = run->record;
    record->size = sizeof *record;
    record->type = type;
    record->cause = HG_OK;
    record->severity = HG_SEVERITY_LOW;
    record->recovery = hg_status_recovery(type);
    record->outcome = HG_OUTCOME_EXECUTED;
    record->stop_reason = HG_STOP_NONE;
    record->sys_errno = record->hiredis_err = 0;
    record->key_truncated = record->message_truncated = false;
    add_figures(run, now_ns);
    record->timestamp_ns = record->retry_after_ns = 0;
    record->operation[0] = record->key[0] = record->endpoint[0] = '\0';
    record->server_code[0] = record->message[0] = '\0';
    if (type == HG_ERR_NOT_FOUND)
        add_context(run, now_ns);
}

/* End the call with `status`. `what` says in which way the call as a whole failed, if that has a name
 * of its own: then the record of the last attempt stays the base, its text the second half. */
hg_status hgi_account_stop(const struct hgi_run *run, hg_status status, hg_stop_reason reason,
                           const char *what)
{
    struct hg_error *record = run->record;
    if (run->cause == HG_OK) {
        hgi_error_set(record, status, "%s", what);
        record->outcome = HG_OUTCOME_NOT_SENT;
    } else if (what) {
        char last[sizeof record->message];
        hgi_copy_text(last, sizeof last, record->message);
        hgi_error_message(record, "%s; the last attempt: %s", what, last);
        record->severity = hg_status_severity(status);
        record->recovery = hg_status_recovery(status);
        record->cause = run->cause;
    }
    record->type = status;
    record->stop_reason = reason;
    return status;
}

hg_status hgi_account_deadline(const struct hgi_run *run)
{
    return hgi_account_stop(run, HG_ERR_TIMEOUT, HG_STOP_DEADLINE,
                            run->cause == HG_OK
                                ? "the deadline passed before the first attempt; allow more time"
                                : "no time was left for another attempt");
}

hg_status hgi_account_breaker(const struct hgi_run *run)
{
    int64_t retry_after_ns = hg_breaker_retry_after(run->call->breaker);
    char what[128];
    if (retry_after_ns > 0)
        snprintf(what, sizeof what, "the circuit breaker is open; ask again in %.0f ms",
                 (double)retry_after_ns / (double)HGI_NS_PER_MS);
    else
        snprintf(what, sizeof what, "the circuit breaker is %s and admits no further call now",
                 hg_breaker_state_name(hg_breaker_state_now(run->call->breaker)));
    hgi_account_stop(run, HG_ERR_CIRCUIT_OPEN, HG_STOP_BREAKER, what);
    run->record->retry_after_ns = retry_after_ns;
    return HG_ERR_CIRCUIT_OPEN;
}

/* Fill the record's verdict after a failed attempt. */
void hgi_account_attempt(struct hgi_run *run, const struct hgi_attempt *attempt)
{
    struct hg_error *record = run->record;
    record->type = attempt->verdict.type;
    record->cause = HG_OK;
    record->severity = attempt->verdict.severity;
    record->recovery = attempt->verdict.recovery;
    record->outcome = attempt->verdict.outcome;
    record->retry_after_ns = attempt->retry_after_ns;
    if (attempt->verdict.code[0])
        hgi_copy_text(record->server_code, sizeof record->server_code, attempt->verdict.code);
    run->cause = attempt->verdict.type;
}

void hgi_account_failed(const struct hgi_run *run, int64_t now_ns)
{
    struct hg_error *record = run->record;
    char text[sizeof record->endpoint + sizeof record->message];
    bool was_cut = record->message_truncated;
    say_where(run, text, sizeof text);
    hgi_error_message(record, "%s", text);
    record->message_truncated |= was_cut;
    if (run->has_run)
        record->outcome = HG_OUTCOME_EXECUTED;
    else if (run->may_have_run)
        record->outcome = HG_OUTCOME_UNKNOWN;
    add_context(run, now_ns);
}
