/* The attempt loop: deadline, then { budget, breaker, attempt }, then backoff, and again.
 *
 * The thin shell around loop.c: it reads the clock, asks budget and breaker, runs the attempt, waits.
 * One absolute deadline covers everything. A refusal by breaker, budget, pool or deadline ends the
 * call; only a failed attempt can lead to another.
 *
 * The budget is asked before a backoff and not after it: who is refused would have waited for nothing,
 * and the log have told of a retry that never comes. Who waits for the server to be well (wait_and_retry)
 * asks when it is: that wait is long and costs the server nothing, time has filled the bucket until then,
 * and tokens held so long would be missed by others.
 *
 * Invariants: every admitted permit is reported or cancelled exactly once; a token of the budget is held
 * from the decision to retry until the retry was made, and given back if it is not; the record of the
 * last failure is the one the caller gets, with the context of the whole call added; once an attempt
 * may have run, the call's outcome is UNKNOWN, however the later ones failed, unless one of them is
 * known to have run.
 */
#include "policy/run.h"

#include <stdio.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/hints.h"
#include "breaker/probe.h"
#include "policy/account.h"
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

static void count(const struct hgi_run *run, enum hgi_run_count what)
{
    if (run->call->count)
        run->call->count(run->call->count_arg, what);
}

/* Ask the budget for a retry. False: it is not to be; the status is the last attempt's. */
static bool is_afforded(struct hgi_run *run, int64_t now_ns)
{
    hg_budget *budget = run->call->budget;
    if (!budget)
        return true;
    run->has_token = hgi_budget_take(budget, now_ns);
    if (!run->has_token) {
        count(run, HGI_COUNT_BUDGET);
        run->record->stop_reason = HG_STOP_BUDGET;
    }
    return run->has_token;
}

/* Ask the breaker. True: go on, with a permit if there is one. */
static bool admitted(const struct hgi_run *run, struct hgi_attempt *attempt, hg_status *status)
{
    const struct hgi_call *call = run->call;
    if (call->breaker && !hg_breaker_admit(call->breaker, &attempt->permit)) {
        count(run, HGI_COUNT_BREAKER);
        *status = hgi_account_breaker(run);
        return false;
    }
    attempt->is_probe = call->breaker && hgi_permit_is_probe(attempt->permit);
    return true;
}

/* How long the breaker will let nobody pass, in nanoseconds; 0: it may let some, or there is none. */
static int64_t open_for(const struct hgi_run *run)
{
    return run->call->breaker ? hg_breaker_retry_after(run->call->breaker) : 0;
}

/* A breaker that stays open for longer than the call may last has refused it. */
static bool is_shut_out(const struct hgi_run *run, int64_t now_ns, int64_t open_ns)
{
    return open_ns > 0 && hgi_deadline_after(now_ns, open_ns) >= run->plan.deadline_ns;
}

/* Wait for the gate. True: go on. False: *status is the call's. */
static bool wait_for_condition(const struct hgi_run *run, int64_t not_before_ns, hg_status *status)
{
    const struct hgi_call *call = run->call;
    struct hgi_gate_wait wait = { .condition = call->condition,
                                  .arg = call->condition_arg,
                                  .poll_ns = call->settings->condition_poll_ns,
                                  .ramp_ns = call->settings->release_ramp_ns,
                                  .deadline_ns = run->plan.deadline_ns };
    int64_t release_ns;
    if (!hgi_gate_wait(call->gate, &wait, &release_ns)) {
        *status = hgi_account_deadline(run);
        return false;
    }
    int64_t now_ns = hgi_run_now(run);
    int64_t open_ns = open_for(run);
    if (is_shut_out(run, now_ns, open_ns)) {
        *status = hgi_account_breaker(run);
        return false;
    }
    if (release_ns < now_ns + open_ns)
        release_ns = now_ns + open_ns;
    if (release_ns < not_before_ns)
        release_ns = not_before_ns;
    call->env->sleep_until(call->env->arg, release_ns);
    return true;
}

/* Wait until the next attempt may begin. True: make it. False: *status is the call's. */
static bool wait_for_retry(struct hgi_run *run, const struct hgi_step *step,
                           const struct hgi_verdict *verdict, int64_t now_ns, hg_status *status)
{
    const struct hgi_env *env = run->call->env;
    bool goes_on = true;
    if (step->kind == HGI_STEP_WAIT) {
        hgi_account_log(run, HG_LOG_WAITING, step->delay_ns);
        goes_on = wait_for_condition(run, step->when_ns, status);
    } else {
        hgi_account_log(run, HG_LOG_RETRY, step->delay_ns);
        run->progress.previous_delay_ns = step->delay_ns;
        env->sleep_until(env->arg, step->when_ns);
    }
    int64_t waited_ns = hgi_run_now(run) - now_ns;
    run->backoff_ns += waited_ns;
    hgi_account_retry(run, verdict, step->kind == HGI_STEP_WAIT ? waited_ns : step->delay_ns);
    return goes_on;
}

static hg_status stop_as_decided(const struct hgi_run *run, const struct hgi_step *step,
                                 int64_t now_ns, int64_t open_ns)
{
    if (step->reason == HG_STOP_DEADLINE)
        return is_shut_out(run, now_ns, open_ns) ? hgi_account_breaker(run)
                                                 : hgi_account_deadline(run);
    char what[64];
    snprintf(what, sizeof what, "all %u attempts failed", (unsigned)run->plan.max_attempts);
    return hgi_account_stop(run, step->status, step->reason,
                            step->status == HG_ERR_RETRY_EXHAUSTED ? what : NULL);
}

/* After a failed attempt. True: make another. False: *status is the call's. */
static bool recover(struct hgi_run *run, const struct hgi_attempt *attempt, hg_status *status)
{
    const struct hgi_call *call = run->call;
    const struct hgi_verdict *verdict = &attempt->verdict;
    int64_t now_ns = hgi_run_now(run);
    int64_t open_ns = open_for(run);
    int64_t floor_ns = attempt->retry_after_ns > open_ns ? attempt->retry_after_ns : open_ns;
    struct hgi_step step = hgi_loop_decide(&run->plan, &run->progress, verdict, floor_ns, now_ns,
                                           call->env->unit(call->env->arg));
    if (step.trip && call->breaker)
        hg_breaker_trip(call->breaker);
    switch (step.kind) {
    case HGI_STEP_IGNORE:
        run->record->stop_reason = HG_STOP_NONE;
        count(run, HGI_COUNT_IGNORED);
        hgi_account_log(run, HG_LOG_IGNORED, 0);
        *status = HG_IGNORED;
        return false;
    case HGI_STEP_STOP:
        *status = stop_as_decided(run, &step, now_ns, open_ns);
        return false;
    case HGI_STEP_WAIT:
        *status = run->cause;
        return wait_for_retry(run, &step, verdict, now_ns, status) &&
               is_afforded(run, hgi_run_now(run));
    case HGI_STEP_RETRY:
    default:
        *status = run->cause;
        return is_afforded(run, now_ns) && wait_for_retry(run, &step, verdict, now_ns, status);
    }
}

/* An attempt that begins now. Field by field, in the order in which they lie, and of the verdict's text the
 * first byte alone: to clear a struct of this size costs as much as all the rest of the loop. */
static void begin_attempt(const struct hgi_run *run, int64_t now_ns, struct hgi_attempt *attempt)
{
    hgi_fields_begin(attempt, sizeof *attempt);
    attempt->number = run->progress.attempts + 1;
    attempt->max_attempts = run->plan.max_attempts;
    attempt->began_ns = now_ns;
    attempt->call_deadline_ns = run->plan.deadline_ns;
    attempt->timeout_ns = run->plan.op_class->attempt_timeout_ns;
    attempt->error = run->record;
    attempt->permit = (hg_permit) { 0 };
    attempt->may_run_later = run->may_have_run;
    attempt->is_probe = attempt->nil = false;
    attempt->keeps_permit = attempt->fenced = attempt->refused = false;
    attempt->status = HG_OK;
    attempt->retry_after_ns = attempt->queue_ns = attempt->dial_ns = 0;
    attempt->server_ns = attempt->ended_ns = 0;
    attempt->verdict.type = HG_OK;
    attempt->verdict.severity = HG_SEVERITY_LOW;
    attempt->verdict.recovery = HG_RECOVERY_FAIL;
    attempt->verdict.outcome = HG_OUTCOME_UNKNOWN;
    attempt->verdict.view = HGI_VIEW_NOTHING;
    attempt->verdict.fate = HGI_FATE_KEEP;
    attempt->verdict.delay_ns = 0;
    attempt->verdict.code[0] = '\0';
}

/* An attempt has ended. What was refused is none, and counts as nothing but the time it took. */
static inline void note_end(struct hgi_run *run, const struct hgi_attempt *attempt)
{
    run->queue_ns += attempt->queue_ns;
    run->dial_ns += attempt->dial_ns;
    run->server_ns += attempt->server_ns;
    run->ended_ns = attempt->ended_ns;
    if (attempt->refused)
        return;
    run->progress.attempts++;
    if (attempt->number > 1) {
        count(run, HGI_COUNT_RETRY);
        run->has_token = false; /* the retry is made */
    }
}

/* Tell the breaker how an admitted attempt failed. */
static void report_failure(hg_breaker *breaker, const struct hgi_attempt *attempt)
{
    if (attempt->verdict.view == HGI_VIEW_NOTHING)
        hg_breaker_cancel(breaker, attempt->permit);
    else
        hg_breaker_report(breaker, attempt->permit,
                          attempt->verdict.view == HGI_VIEW_SUCCESS ? HG_RESULT_SUCCESS
                                                                    : HG_RESULT_FAILURE,
                          attempt->server_ns);
}

/* The attempt has failed, or was refused. True: make another. False: *status is the call's. */
static HGI_OUTLINED bool fail(struct hgi_run *run, struct hgi_attempt *attempt, hg_status *status)
{
    const struct hgi_call *call = run->call;
    if (!attempt->refused)
        hgi_classify_in_class(call->settings, call->op_class, &attempt->verdict);
    if (call->breaker && !attempt->keeps_permit)
        report_failure(call->breaker, attempt);
    note_end(run, attempt);
    if (attempt->refused) {
        if (run->cause != HG_OK)
            run->record->cause = run->cause;
        *status = attempt->status;
        return false;
    }
    if (attempt->verdict.outcome == HG_OUTCOME_UNKNOWN) {
        run->may_have_run = true;
        run->plan.fenced &= attempt->fenced;
    }
    run->has_run |= attempt->verdict.outcome == HG_OUTCOME_EXECUTED;
    hgi_account_attempt(run, attempt);
    return recover(run, attempt, status);
}

/* HG_OK, HG_ERR_NOT_FOUND for the success of an attempt with a nil reply, or how the call failed. */
static hg_status run_attempts(struct hgi_run *run, hgi_attempt_fn fn, void *arg)
{
    const struct hgi_call *call = run->call;
    hg_status status;
    for (;;) {
        /* The call has just begun, or has waited. */
        int64_t now_ns = run->progress.attempts == 0 ? run->started_ns : hgi_run_now(run);
        if (now_ns >= run->plan.deadline_ns)
            return hgi_account_deadline(run);
        struct hgi_attempt attempt;
        begin_attempt(run, now_ns, &attempt);
        if (!admitted(run, &attempt, &status))
            return status;
        if (attempt.number > 1)
            HGI_PROBE4(retry, call->operation, attempt.number, (int)run->cause,
                       run->progress.previous_delay_ns);
        HGI_PROBE2(attempt__begin, call->operation, attempt.number);
        fn(arg, &attempt);
        HGI_PROBE4(attempt__end, call->operation, attempt.number, (int)attempt.status,
                   attempt.server_ns);
        if (attempt.status == HG_OK) {
            if (call->breaker && !attempt.keeps_permit)
                hg_breaker_report(call->breaker, attempt.permit, HG_RESULT_SUCCESS,
                                  attempt.server_ns);
            note_end(run, &attempt);
            return attempt.nil ? HG_ERR_NOT_FOUND : HG_OK;
        }
        if (!fail(run, &attempt, &status))
            return status;
    }
}

hg_status hgi_run_loop(const struct hgi_call *call, hgi_attempt_fn fn, void *arg,
                       struct hg_error *err)
{
    const struct hgi_class *op_class = call->op_class;
    struct hgi_run run;
    hgi_fields_begin(&run, sizeof run);
    run.call = call;
    run.record = err;
    run.progress = (struct hgi_progress) { 0 };
    run.queue_ns = run.dial_ns = run.server_ns = run.backoff_ns = 0;
    run.ended_ns = 0;
    run.may_have_run = run.has_run = run.has_token = false;
    run.cause = HG_OK;
    run.started_ns = hgi_run_now(&run);
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
    if (run.has_token)
        hgi_budget_give_back(call->budget);
    bool well = status == HG_OK || status == HG_ERR_NOT_FOUND;
    if (well && call->untold && !call->trace)
        return HG_OK;
    int64_t now_ns = well && run.ended_ns != 0 ? run.ended_ns : hgi_run_now(&run);
    if (!well)
        hgi_account_failed(&run, now_ns);
    else if (!call->untold)
        hgi_account_success(&run, status, now_ns);
    hgi_account_trace(&run, now_ns);
    return well ? HG_OK : status;
}
