/* The attempt loop: deadline, then { budget, breaker, attempt }, then backoff, and again.
 *
 * The thin shell around loop.c: it reads the clock, asks budget and breaker, runs the attempt, waits.
 * One absolute deadline covers everything. A refusal by breaker, budget, pool or deadline ends the
 * call; only a failed attempt can lead to another.
 *
 * Invariants: every admitted permit is reported or cancelled exactly once; a token of the budget is
 * given back when breaker or pool refuse the retry it was for; the record of the last failure is the one
 * the caller gets, with the context of the whole call added; once an attempt may have run, the call's
 * outcome is UNKNOWN, however the later ones failed, unless one of them is known to have run.
 */
#include "policy/run.h"

#include <stdio.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/probe.h"
#include "policy/budget.h"
#include "policy/loop.h"
#include "policy/random.h"

static int64_t real_now(void *arg)
{
    (void)arg;
    return hgi_now_ns();
}

static void real_sleep_until(void *arg, int64_t when_ns)
{
    (void)arg;
    hgi_sleep_until(when_ns);
}

static double real_unit(void *arg)
{
    (void)arg;
    return hgi_random_unit();
}

const struct hgi_env hgi_env_real = { real_now, real_sleep_until, real_unit, NULL };

/* One running call. */
struct run {
    const struct hgi_call *call;
    struct hgi_plan plan;
    struct hgi_progress progress;
    int64_t started_ns;
    int64_t ended_ns; /* of the last attempt; 0: not known */
    int64_t queue_ns, dial_ns, server_ns, backoff_ns;
    bool may_have_run; /* an attempt left and was not answered */
    bool has_run;      /* an attempt is known to have run, and failed */
    hg_status cause;   /* of the last failed attempt; HG_OK: none failed */
    struct hg_error *record;
};

static int64_t now_of(const struct run *run)
{
    return run->call->env->now(run->call->env->arg);
}

static void count(const struct run *run, enum hgi_run_count what)
{
    if (run->call->count)
        run->call->count(run->call->count_arg, what);
}

/* Add to the record what is known of the call as a whole. */
static void add_context(const struct run *run, int64_t now_ns)
{
    const struct hgi_call *call = run->call;
    struct hg_error *record = run->record;
    record->attempt = run->progress.attempts;
    record->max_attempts = run->plan.max_attempts;
    record->elapsed_ns = now_ns - run->started_ns;
    record->timestamp_ns = hgi_wall_ns();
    record->queue_ns = run->queue_ns;
    record->dial_ns = run->dial_ns;
    record->server_ns = run->server_ns;
    record->backoff_ns = run->backoff_ns;
    hgi_copy_text(record->operation, sizeof record->operation, call->operation);
    if (call->key)
        hgi_error_set_key(record, call->key, call->key_length);
    if (call->endpoint)
        hgi_copy_text(record->endpoint, sizeof record->endpoint, call->endpoint);
}

/* Say where, in front of what: the record's message stands alone in a log. */
static void say_where(const struct run *run, char *text, size_t size)
{
    text[0] = '\0';
    if (run->call->endpoint) {
        hgi_append_text(text, size, run->call->endpoint);
        hgi_append_text(text, size, ": ");
    }
    hgi_append_text(text, size, run->record->message);
}

static void log_event(const struct run *run, hg_log_kind kind, int64_t delay_ns)
{
    const struct hgi_call *call = run->call;
    if (!call->log)
        return;
    char text[sizeof run->record->message];
    say_where(run, text, sizeof text);
    add_context(run, now_of(run));
    struct hg_log_event event = {
        .size = sizeof event, .kind = kind, .delay_ns = delay_ns, .error = run->record, .text = text
    };
    call->log(call->log_arg, &event);
}

/* Fill the caller's trace. */
static void trace_end(const struct run *run, int64_t now_ns)
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
}

static void trace_retry(const struct run *run, const struct hgi_verdict *verdict, int64_t delay_ns)
{
    struct hg_trace *trace = run->call->trace;
    if (!trace)
        return;
    uint32_t made = run->progress.attempts - 1; /* this one may be refused yet */
    if (made < HG_TRACE_RETRIES) {
        struct hg_trace_retry *entry = &trace->retry[made];
        entry->cause = verdict->type;
        entry->delay_ns = delay_ns;
        hgi_copy_text(entry->server_code, sizeof entry->server_code, verdict->code);
    }
}

/* A success writes what tells it from a failure; it does not clear a kilobyte or read the clock. */
static void record_success(const struct run *run, hg_status type, int64_t now_ns)
{
    struct hg_error *record = run->record;
    record->size = sizeof *record;
    record->type = type;
    record->cause = HG_OK;
    record->severity = HG_SEVERITY_LOW;
    record->recovery = hg_status_recovery(type);
    record->outcome = HG_OUTCOME_EXECUTED;
    record->stop_reason = HG_STOP_NONE;
    record->attempt = run->progress.attempts;
    record->max_attempts = run->plan.max_attempts;
    record->sys_errno = record->hiredis_err = 0;
    record->key_truncated = record->message_truncated = false;
    record->elapsed_ns = now_ns - run->started_ns;
    record->timestamp_ns = record->retry_after_ns = 0;
    record->operation[0] = record->key[0] = record->endpoint[0] = '\0';
    record->server_code[0] = record->message[0] = '\0';
    if (type == HG_ERR_NOT_FOUND)
        add_context(run, now_ns);
}

/* End the call with `status`. `what` says in which way the call as a whole failed, if that has a name
 * of its own: then the record of the last attempt stays the base, its text the second half. */
static hg_status finish(const struct run *run, hg_status status, hg_stop_reason reason,
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

static hg_status stop_for_deadline(const struct run *run)
{
    return finish(run, HG_ERR_TIMEOUT, HG_STOP_DEADLINE,
                  run->cause == HG_OK
                      ? "the deadline passed before the first attempt; allow more time"
                      : "no time was left for another attempt");
}

static hg_status stop_for_breaker(const struct run *run)
{
    int64_t retry_after_ns = hg_breaker_retry_after(run->call->breaker);
    char what[128];
    if (retry_after_ns > 0)
        snprintf(what, sizeof what, "the circuit breaker is open; ask again in %.0f ms",
                 (double)retry_after_ns / (double)HGI_NS_PER_MS);
    else
        snprintf(what, sizeof what, "the circuit breaker is %s and admits no further call now",
                 hg_breaker_state_name(hg_breaker_state_now(run->call->breaker)));
    finish(run, HG_ERR_CIRCUIT_OPEN, HG_STOP_BREAKER, what);
    run->record->retry_after_ns = retry_after_ns;
    return HG_ERR_CIRCUIT_OPEN;
}

/* Tell the breaker how an admitted attempt went. */
static void report(const struct run *run, const struct hgi_attempt *attempt)
{
    hg_breaker *breaker = run->call->breaker;
    if (!breaker || attempt->keeps_permit)
        return;
    enum hgi_breaker_view view =
        attempt->status == HG_OK ? HGI_VIEW_SUCCESS : attempt->verdict.view;
    if (view == HGI_VIEW_NOTHING)
        hg_breaker_cancel(breaker, attempt->permit);
    else
        hg_breaker_report(breaker, attempt->permit,
                          view == HGI_VIEW_SUCCESS ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE,
                          attempt->server_ns);
}

/* Budget and breaker. True: go on, with a permit if there is a breaker. */
static bool admitted(const struct run *run, struct hgi_attempt *attempt, hg_status *status)
{
    const struct hgi_call *call = run->call;
    bool is_retry = run->progress.attempts > 0;
    if (is_retry && call->budget && !hgi_budget_take(call->budget, now_of(run))) {
        count(run, HGI_COUNT_BUDGET);
        *status = run->cause;
        run->record->stop_reason = HG_STOP_BUDGET;
        return false;
    }
    if (call->breaker && !hg_breaker_admit(call->breaker, &attempt->permit)) {
        if (is_retry && call->budget)
            hgi_budget_give_back(call->budget);
        count(run, HGI_COUNT_BREAKER);
        *status = stop_for_breaker(run);
        return false;
    }
    attempt->is_probe = call->breaker && hgi_permit_is_probe(attempt->permit);
    return true;
}

/* Wait for the gate. True: go on. */
static bool wait_for_condition(struct run *run, int64_t not_before_ns)
{
    const struct hgi_call *call = run->call;
    struct hgi_gate_wait wait = { .condition = call->condition,
                                  .arg = call->condition_arg,
                                  .poll_ns = call->settings->condition_poll_ns,
                                  .ramp_ns = call->settings->release_ramp_ns,
                                  .deadline_ns = run->plan.deadline_ns };
    int64_t release_ns;
    if (!hgi_gate_wait(call->gate, &wait, &release_ns))
        return false;
    int64_t floor_ns =
        hgi_deadline_after(now_of(run), call->breaker ? hg_breaker_retry_after(call->breaker) : 0);
    if (release_ns < floor_ns)
        release_ns = floor_ns;
    if (release_ns < not_before_ns)
        release_ns = not_before_ns;
    if (release_ns >= run->plan.deadline_ns)
        return false;
    call->env->sleep_until(call->env->arg, release_ns);
    return true;
}

/* After a failed attempt. True: make another. False: *status is the call's. */
static bool recover(struct run *run, const struct hgi_attempt *attempt, hg_status *status)
{
    const struct hgi_call *call = run->call;
    const struct hgi_verdict *verdict = &attempt->verdict;
    int64_t now_ns = now_of(run);
    int64_t floor_ns = attempt->retry_after_ns;
    int64_t open_ns = call->breaker ? hg_breaker_retry_after(call->breaker) : 0;
    if (floor_ns < open_ns)
        floor_ns = open_ns;
    struct hgi_step step = hgi_loop_decide(&run->plan, &run->progress, verdict, floor_ns, now_ns,
                                           call->env->unit(call->env->arg));
    if (step.trip && call->breaker)
        hg_breaker_trip(call->breaker);
    switch (step.kind) {
    case HGI_STEP_IGNORE:
        run->record->stop_reason = HG_STOP_NONE;
        count(run, HGI_COUNT_IGNORED);
        log_event(run, HG_LOG_IGNORED, 0);
        *status = HG_IGNORED;
        return false;
    case HGI_STEP_STOP: {
        if (step.reason == HG_STOP_DEADLINE) {
            /* A breaker that stays open for longer than the call may last has refused it. */
            bool by_breaker =
                open_ns > 0 && hgi_deadline_after(now_ns, open_ns) >= run->plan.deadline_ns;
            *status = by_breaker ? stop_for_breaker(run) : stop_for_deadline(run);
            return false;
        }
        char what[64];
        snprintf(what, sizeof what, "all %u attempts failed", (unsigned)run->plan.max_attempts);
        *status = finish(run, step.status, step.reason,
                         step.status == HG_ERR_RETRY_EXHAUSTED ? what : NULL);
        return false;
    }
    case HGI_STEP_WAIT:
        log_event(run, HG_LOG_WAITING, step.delay_ns);
        if (!wait_for_condition(run, step.when_ns)) {
            run->backoff_ns += now_of(run) - now_ns;
            *status = stop_for_deadline(run);
            return false;
        }
        break;
    case HGI_STEP_RETRY:
    default:
        log_event(run, HG_LOG_RETRY, step.delay_ns);
        run->progress.previous_delay_ns = step.delay_ns;
        call->env->sleep_until(call->env->arg, step.when_ns);
        break;
    }
    int64_t waited_ns = now_of(run) - now_ns;
    run->backoff_ns += waited_ns;
    trace_retry(run, verdict, step.kind == HGI_STEP_WAIT ? waited_ns : step.delay_ns);
    return true;
}

/* Fill the record's verdict after a failed attempt. */
static void note_failure(struct run *run, const struct hgi_attempt *attempt)
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

/* An attempt that begins now. Field by field, and of the verdict only what is read without a failure:
 * to clear a struct of this size costs as much as all the rest of the loop. */
static void begin_attempt(const struct run *run, int64_t now_ns, struct hgi_attempt *attempt)
{
    hgi_fields_begin(attempt, sizeof *attempt);
    attempt->number = run->progress.attempts + 1;
    attempt->max_attempts = run->plan.max_attempts;
    attempt->began_ns = now_ns;
    attempt->call_deadline_ns = run->plan.deadline_ns;
    attempt->timeout_ns = run->plan.op_class->attempt_timeout_ns;
    attempt->permit = (hg_permit) { 0 };
    attempt->is_probe = false;
    attempt->may_run_later = run->may_have_run;
    attempt->error = run->record;
    attempt->status = HG_OK;
    attempt->nil = attempt->keeps_permit = attempt->fenced = attempt->refused = false;
    attempt->verdict.type = HG_OK;
    attempt->verdict.severity = HG_SEVERITY_LOW;
    attempt->verdict.recovery = HG_RECOVERY_FAIL;
    attempt->verdict.outcome = HG_OUTCOME_UNKNOWN;
    attempt->verdict.view = HGI_VIEW_NOTHING;
    attempt->verdict.fate = HGI_FATE_KEEP;
    attempt->verdict.delay_ns = 0;
    attempt->verdict.code[0] = '\0';
    attempt->retry_after_ns = 0;
    attempt->queue_ns = attempt->dial_ns = attempt->server_ns = attempt->ended_ns = 0;
}

/* HG_OK, HG_ERR_NOT_FOUND for the success of an attempt with a nil reply, or how the call failed. */
static hg_status run_attempts(struct run *run, hgi_attempt_fn fn, void *arg)
{
    hg_status status;
    for (;;) {
        /* The call has just begun, or has waited. */
        int64_t now_ns = run->progress.attempts == 0 ? run->started_ns : now_of(run);
        if (now_ns >= run->plan.deadline_ns)
            return stop_for_deadline(run);
        struct hgi_attempt attempt;
        begin_attempt(run, now_ns, &attempt);
        if (!admitted(run, &attempt, &status))
            return status;
        if (attempt.number > 1) {
            count(run, HGI_COUNT_RETRY);
            HGI_PROBE4(retry, run->call->operation, attempt.number, (int)run->cause,
                       run->progress.previous_delay_ns);
        }
        HGI_PROBE2(attempt__begin, run->call->operation, attempt.number);
        fn(arg, &attempt);
        HGI_PROBE4(attempt__end, run->call->operation, attempt.number, (int)attempt.status,
                   attempt.server_ns);
        if (attempt.status < 0 && !attempt.refused)
            hgi_classify_in_class(run->call->settings, run->call->op_class, &attempt.verdict);
        report(run, &attempt);
        run->queue_ns += attempt.queue_ns;
        run->dial_ns += attempt.dial_ns;
        run->server_ns += attempt.server_ns;
        run->ended_ns = attempt.ended_ns;
        if (attempt.refused) {
            if (attempt.number > 1 && run->call->budget)
                hgi_budget_give_back(run->call->budget);
            if (run->cause != HG_OK)
                run->record->cause = run->cause;
            return attempt.status;
        }
        run->progress.attempts++;
        if (attempt.status == HG_OK)
            return attempt.nil ? HG_ERR_NOT_FOUND : HG_OK;
        if (attempt.verdict.outcome == HG_OUTCOME_UNKNOWN) {
            run->may_have_run = true;
            run->plan.fenced &= attempt.fenced;
        }
        run->has_run |= attempt.verdict.outcome == HG_OUTCOME_EXECUTED;
        note_failure(run, &attempt);
        if (!recover(run, &attempt, &status))
            return status;
    }
}

hg_status hgi_run_loop(const struct hgi_call *call, hgi_attempt_fn fn, void *arg,
                       struct hg_error *err)
{
    struct hg_error local;
    const struct hgi_class *op_class = call->op_class;
    struct run run;
    hgi_fields_begin(&run, sizeof run);
    run.call = call;
    run.record = err ? err : &local;
    run.progress = (struct hgi_progress) { 0 };
    run.ended_ns = run.queue_ns = run.dial_ns = run.server_ns = run.backoff_ns = 0;
    run.may_have_run = run.has_run = false;
    run.cause = HG_OK;
    run.started_ns = now_of(&run);
    run.plan = (struct hgi_plan) {
        .op_class = op_class,
        .deadline_ns = hgi_deadline_after(
            run.started_ns, call->deadline_ns ? call->deadline_ns : op_class->deadline_ns),
        .max_attempts = op_class->retry.max_attempts,
        .fenced = true, /* until an attempt leaves that cannot be fenced off */
    };
    if (call->trace)
        *call->trace = (struct hg_trace) { .size = sizeof *call->trace };
    if (call->budget)
        hgi_budget_on_call(call->budget, run.started_ns);

    hg_status status = run_attempts(&run, fn, arg);
    bool well = status == HG_OK || status == HG_ERR_NOT_FOUND;
    bool is_read = err && !call->untold;
    int64_t now_ns = run.started_ns; /* right if nobody asks how long it took */
    if (well && run.ended_ns != 0)
        now_ns = run.ended_ns;
    else if (!well || is_read || call->trace)
        now_ns = now_of(&run);
    if (well) {
        if (is_read)
            record_success(&run, status, now_ns);
        status = HG_OK;
    } else {
        char text[sizeof run.record->message];
        say_where(&run, text, sizeof text);
        hgi_error_message(run.record, "%s", text);
        if (run.has_run)
            run.record->outcome = HG_OUTCOME_EXECUTED;
        else if (run.may_have_run)
            run.record->outcome = HG_OUTCOME_UNKNOWN;
        add_context(&run, now_ns);
    }
    trace_end(&run, now_ns);
    return status;
}
