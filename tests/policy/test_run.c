/* The attempt loop with a clock and chance of the test's own: no real waiting. */
#include <criterion/criterion.h>

#include <string.h>

#include "breaker/clock.h"
#include "policy/budget.h"
#include "policy/run.h"
#include "tests/policy/run_setting.h"

Test(run, a_success_at_the_first_attempt_waits_for_nothing)
{
    struct setting s;
    set_up(&s, "read", 0);
    cr_assert_eq(run(&s), HG_OK);
    cr_assert_eq(s.err.type, HG_OK);
    cr_assert_eq(s.err.attempt, 1);
    cr_assert_eq(s.world.sleeps, 0);
    cr_assert_eq(s.trace.attempts, 1);
    cr_assert_eq(s.trace.retries, 0);
    cr_assert_eq(s.trace.elapsed_ns, 10 * MS);
}

Test(run, the_trace_says_what_a_call_went_through_that_ended_well)
{
    struct setting s;
    set_up(&s, "read", 2);
    cr_assert_eq(run(&s), HG_OK);
    cr_assert_eq(s.trace.attempts, 3);
    cr_assert_eq(s.trace.retries, 2);
    cr_assert_eq(s.trace.retry[0].cause, HG_ERR_CONNECTION);
    /* fast: 25 ms and 62.5 ms, and with the additive jitter of 0.5 each 5 % more */
    cr_assert_eq(s.trace.retry[0].delay_ns, 26250000);
    cr_assert_eq(s.trace.retry[1].delay_ns, 65625000);
    cr_assert_eq(s.trace.backoff_ns, 26250000 + 65625000);
    cr_assert_eq(s.trace.server_ns, 30 * MS);
    cr_assert_eq(s.trace.elapsed_ns, s.trace.backoff_ns + s.trace.server_ns);
}

Test(run, all_attempts_used_is_retry_exhausted_with_the_last_cause_and_full_context)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.script.takes_ns = 0;
    cr_assert_eq(run(&s), HG_ERR_RETRY_EXHAUSTED);
    cr_assert_eq(s.script.calls, 5);
    cr_assert_eq(s.err.cause, HG_ERR_CONNECTION);
    cr_assert_eq(s.err.attempt, 5);
    cr_assert_eq(s.err.max_attempts, 5);
    cr_assert_eq(s.err.stop_reason, HG_STOP_ATTEMPTS);
    cr_assert(hg_error_is(&s.err, HG_ERR_CONNECTION));
    cr_assert(hg_error_is(&s.err, HG_ERR_RETRY_EXHAUSTED));
    cr_assert_str_eq(s.err.operation, "GET");
    cr_assert_str_eq(s.err.key, "k");
    cr_assert_str_eq(s.err.endpoint, "here:1");
    cr_assert_gt(s.err.timestamp_ns, 0);
    cr_assert_eq(s.err.elapsed_ns, s.world.slept_ns);
    cr_assert_str_eq(s.err.message,
                     "here:1: all 5 attempts failed; the last attempt: it did not work");
}

Test(run, no_call_outlives_its_deadline)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.call.deadline_ns = 100 * MS;
    cr_assert_eq(run(&s), HG_ERR_TIMEOUT);
    cr_assert_eq(s.err.stop_reason, HG_STOP_DEADLINE);
    cr_assert_eq(s.err.cause, HG_ERR_CONNECTION);
    cr_assert_lt(s.world.now_ns, 1100 * MS);
    cr_assert_eq(s.script.calls, 2); /* 10 + 26.25 + 10, and the next delay of 65.6 would pass it */
}

Test(run, write_once_that_may_have_run_is_returned_as_such_and_never_repeated)
{
    struct setting s;
    set_up(&s, "write_once", 100);
    s.script.verdict.outcome = HG_OUTCOME_UNKNOWN;
    cr_assert_eq(run(&s), HG_ERR_CONNECTION);
    cr_assert_eq(s.script.calls, 1);
    cr_assert_eq(s.err.outcome, HG_OUTCOME_UNKNOWN);
    cr_assert_eq(s.err.stop_reason, HG_STOP_OUTCOME);
}

/* The first attempt times out, the second never leaves. */
static void second_never_leaves(void *arg, struct hgi_attempt *attempt)
{
    struct script *script = arg;
    scripted_attempt(arg, attempt);
    attempt->verdict.outcome = script->calls == 1 ? HG_OUTCOME_UNKNOWN : script->verdict.outcome;
    attempt->fenced = true;
    cr_assert_eq(attempt->may_run_later, script->calls > 1, "attempt %u", script->calls);
}

Test(run, once_an_attempt_may_have_run_the_calls_outcome_is_unknown)
{
    const hg_outcome last[] = { HG_OUTCOME_NOT_SENT, HG_OUTCOME_REJECTED, HG_OUTCOME_EXECUTED };
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) {
        struct setting s;
        set_up(&s, "write", 99);
        s.script.verdict.outcome = last[i];
        hgi_run_loop(&s.call, second_never_leaves, &s.script, &s.err);
        cr_assert_gt(s.err.attempt, 1);
        cr_assert_eq(s.err.outcome, last[i] == HG_OUTCOME_EXECUTED ? last[i] : HG_OUTCOME_UNKNOWN,
                     "after a last attempt %s", hg_outcome_name(last[i]));
    }
}

/* The first attempt runs and fails, the second never leaves. */
static void first_has_run(void *arg, struct hgi_attempt *attempt)
{
    const struct script *script = arg;
    scripted_attempt(arg, attempt);
    attempt->verdict.outcome = script->calls == 1 ? HG_OUTCOME_EXECUTED : HG_OUTCOME_NOT_SENT;
}

Test(run, a_later_attempt_that_never_left_does_not_hide_that_one_has_run)
{
    struct setting s;
    set_up(&s, "write", 99);
    hgi_run_loop(&s.call, first_has_run, &s.script, &s.err);
    cr_assert_eq(s.err.attempt, 5);
    cr_assert_eq(s.err.outcome, HG_OUTCOME_EXECUTED);
}

/* All time out; one of them cannot be fenced off. */
static void third_cannot_be_fenced(void *arg, struct hgi_attempt *attempt)
{
    const struct script *script = arg;
    scripted_attempt(arg, attempt);
    attempt->verdict.outcome = HG_OUTCOME_UNKNOWN;
    attempt->fenced = script->calls != 3;
}

Test(run, a_write_is_sent_again_only_while_all_that_left_can_be_fenced_off)
{
    struct setting s;
    set_up(&s, "write", 99);
    hgi_run_loop(&s.call, third_cannot_be_fenced, &s.script, &s.err);
    cr_assert_eq(s.script.calls, 3);
    cr_assert_eq(s.err.stop_reason, HG_STOP_OUTCOME);
    cr_assert_eq(s.err.outcome, HG_OUTCOME_UNKNOWN);

    set_up(&s, "read", 99);
    hgi_run_loop(&s.call, third_cannot_be_fenced, &s.script, &s.err);
    cr_assert_eq(s.script.calls, s.err.max_attempts, "a read needs no fence");
}

/* The first attempt times out, for the second the pool has no connection. */
static void second_is_refused(void *arg, struct hgi_attempt *attempt)
{
    struct script *script = arg;
    scripted_attempt(arg, attempt);
    attempt->refused = script->calls > 1;
    if (attempt->refused)
        attempt->error->outcome = HG_OUTCOME_NOT_SENT;
}

Test(run, a_later_refusal_does_not_hide_that_an_attempt_may_have_run)
{
    struct setting s;
    set_up(&s, "read", 99);
    s.script.verdict.outcome = HG_OUTCOME_UNKNOWN;
    hgi_run_loop(&s.call, second_is_refused, &s.script, &s.err);
    cr_assert_eq(s.script.calls, 2);
    cr_assert_eq(s.err.outcome, HG_OUTCOME_UNKNOWN);
}

Test(run, a_retry_that_the_pool_refuses_costs_no_token_and_is_none)
{
    struct setting s;
    set_up(&s, "read", 99);
    struct hg_budget budget;
    hgi_budget_init(&budget, &s.settings.budget, s.world.now_ns);
    s.call.budget = &budget;
    uint64_t before = hgi_budget_tokens(&budget, s.world.now_ns);
    hgi_run_loop(&s.call, second_is_refused, &s.script, &s.err);
    cr_assert_eq(s.script.calls, 2);
    cr_assert_geq(hgi_budget_tokens(&budget, s.world.now_ns), before);
    cr_assert_eq(s.trace.attempts, 1);
    cr_assert_eq(s.trace.retries, 0);
}

Test(run, a_refusal_is_never_retried)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.script.refuse = true;
    s.script.verdict.type = HG_ERR_POOL_TIMEOUT;
    cr_assert_eq(run(&s), HG_ERR_POOL_TIMEOUT);
    cr_assert_eq(s.script.calls, 1);
    cr_assert_eq(s.err.attempt, 0);
}

Test(run, ignore_gives_ignored_and_the_error)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.script.verdict.recovery = HG_RECOVERY_IGNORE;
    cr_assert_eq(run(&s), HG_IGNORED);
    cr_assert_eq(s.err.type, HG_ERR_CONNECTION);
    cr_assert_str_eq(s.err.message, "here:1: it did not work");
}

Test(run, a_classes_own_word_on_a_failure_holds_in_it_alone)
{
    struct hgi_error_rule rules[] = { { .type = HG_ERR_CONNECTION,
                                        .has_recovery = true,
                                        .recovery = HG_RECOVERY_FAIL,
                                        .delay_ns = -1 } };
    static const char *const names[] = { "read", "write_once" };
    for (size_t i = 0; i < 2; i++) {
        struct setting s;
        set_up(&s, names[i], 99);
        s.settings.class_rules = rules;
        s.settings.class_rule_count = 1;
        s.settings.classes[HGI_CLASS_WRITE_ONCE].rule_count = 1;
        cr_assert_eq(run(&s), i == 1 ? HG_ERR_CONNECTION : HG_ERR_RETRY_EXHAUSTED);
        cr_assert_eq(s.script.calls, i == 1 ? 1 : 5);
    }
}

Test(run, fixed_delay_waits_the_same_each_time)
{
    struct setting s;
    set_up(&s, "read", 3);
    s.script.verdict.recovery = HG_RECOVERY_RETRY_WITH_DELAY;
    s.script.verdict.delay_ns = 40 * MS;
    cr_assert_eq(run(&s), HG_OK);
    cr_assert_eq(s.world.slept_ns, 120 * MS);
}

Test(run, circuit_breaker_recovery_opens_the_breaker_for_the_next_call)
{
    struct setting s;
    set_up(&s, "read", 1);
    s.script.verdict.recovery = HG_RECOVERY_CIRCUIT_BREAKER;
    cr_assert_eq(hg_breaker_new(&s.call.breaker, NULL, NULL), HG_OK);
    cr_assert_eq(run(&s), HG_ERR_CONNECTION);
    cr_assert_eq(hg_breaker_state_now(s.call.breaker), HG_BREAKER_OPEN);
    cr_assert_eq(run(&s), HG_ERR_CIRCUIT_OPEN);
    cr_assert_eq(s.script.calls, 1);
    cr_assert_gt(s.err.retry_after_ns, 0);
    cr_assert_eq(s.err.stop_reason, HG_STOP_BREAKER);
    cr_assert_eq(s.err.outcome, HG_OUTCOME_NOT_SENT);
    cr_assert_eq(s.err.attempt, 0);
    hg_breaker_free(s.call.breaker);
}

Test(run, failures_are_told_to_the_breaker_and_open_it)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.call.deadline_ns = -1;
    cr_assert_eq(hg_breaker_new(&s.call.breaker, NULL, NULL), HG_OK);
    cr_assert_eq(run(&s), HG_ERR_RETRY_EXHAUSTED);
    cr_assert_eq(hg_breaker_state_now(s.call.breaker), HG_BREAKER_OPEN);
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(s.call.breaker, &snapshot);
    cr_assert_eq(snapshot.failed, 5);
    hg_breaker_free(s.call.breaker);
}

Test(run, the_budget_stops_retries_and_the_last_type_is_returned)
{
    struct setting s;
    set_up(&s, "read", 1000000);
    hg_policy policy = { .owners = 1 };
    hgi_settings_defaults(&policy.settings);
    cr_assert_eq(hg_budget_new(&s.call.budget, &policy, NULL), HG_OK);
    unsigned stopped = 0;
    for (int i = 0; i < 200; i++) {
        s.script.takes_ns = 0;
        int64_t now_ns = s.world.now_ns;
        hg_status status = run(&s);
        s.world.now_ns = now_ns; /* all in the same instant */
        if (s.err.stop_reason == HG_STOP_BUDGET) {
            cr_assert_eq(status, HG_ERR_CONNECTION);
            stopped++;
        }
    }
    cr_assert_gt(stopped, 150);
    hg_budget_free(s.call.budget);
}

/* Calls of no length, so that time is what passes between them and the budget is all that ends them. */
Test(run, a_total_outage_costs_a_tenth_more_attempts_than_calls_and_ten_a_second)
{
    enum { CALLS = 1000, INITIAL = 10 };
    static const int seconds[] = { 0, 1, 10, 60 };
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        struct setting s;
        struct hg_budget budget;
        set_up(&s, "read", UINT32_MAX);
        s.script.takes_ns = 0;
        s.settings.classes[HGI_CLASS_READ].retry.initial_delay_ns = 0;
        hgi_budget_init(&budget, &s.settings.budget, s.world.now_ns);
        s.call.budget = &budget;
        int64_t began_ns = s.world.now_ns;
        for (int call = 0; call < CALLS; call++) {
            s.world.now_ns = began_ns + seconds[i] * HGI_NS_PER_S / CALLS * (call + 1);
            cr_assert_lt(run(&s), 0);
        }
        double bound = 1.1 * CALLS + 10.0 * seconds[i] + INITIAL;
        cr_expect_leq(s.script.calls, bound, "%d s: %u", seconds[i], s.script.calls);
        /* nor is it stricter, but for what a full bucket could not take and a tick not yet over */
        cr_expect_geq(s.script.calls, bound - 2, "%d s: %u", seconds[i], s.script.calls);
    }
}

Test(run, a_server_hint_is_the_earliest_time_of_the_retry)
{
    struct setting s;
    set_up(&s, "read", 1);
    s.script.hint_ns = 700 * MS;
    cr_assert_eq(run(&s), HG_OK);
    cr_assert_eq(s.world.slept_ns, 700 * MS);
}

struct seen {
    unsigned retries;
    int64_t delay_ns;
    hg_status type;
};

static void on_log(void *arg, const struct hg_log_event *event)
{
    struct seen *seen = arg;
    if (event->kind == HG_LOG_RETRY) {
        seen->retries++;
        seen->delay_ns = event->delay_ns;
        seen->type = event->error->type;
    }
}

Test(run, the_log_hook_gets_every_retry_with_its_delay_and_cause)
{
    struct setting s;
    struct seen seen = { 0 };
    set_up(&s, "read", 2);
    s.call.log = on_log;
    s.call.log_arg = &seen;
    cr_assert_eq(run(&s), HG_OK);
    cr_assert_eq(seen.retries, 2);
    cr_assert_eq(seen.delay_ns, 65625000);
    cr_assert_eq(seen.type, HG_ERR_CONNECTION);
}

Test(run, a_call_whose_time_is_over_before_it_begins_makes_no_attempt)
{
    struct setting s;
    set_up(&s, "read", 0);
    s.script.takes_ns = 0;
    struct hgi_class op_class = *s.call.op_class;
    op_class.deadline_ns = 0; /* zero time: over at once */
    s.call.op_class = &op_class;
    s.call.deadline_ns = 0;
    cr_assert_eq(run(&s), HG_ERR_TIMEOUT);
    cr_assert_eq(s.script.calls, 0);
    cr_assert_eq(s.err.outcome, HG_OUTCOME_NOT_SENT);
}

Test(run, a_breaker_that_stays_open_for_longer_than_the_call_may_last_has_refused_it)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.call.deadline_ns = 300 * MS; /* the first open period is 800 ms at the least */
    s.script.takes_ns = 0;
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.failure_threshold = 2;
    cr_assert_eq(hg_breaker_new(&s.call.breaker, &options, NULL), HG_OK);
    cr_assert_eq(run(&s), HG_ERR_CIRCUIT_OPEN);
    cr_assert_eq(s.script.calls, 2);
    cr_assert_eq(s.err.cause, HG_ERR_CONNECTION);
    cr_assert_eq(s.err.stop_reason, HG_STOP_BREAKER);
    cr_assert_gt(s.err.retry_after_ns, 0);
    cr_assert_lt(s.world.now_ns, 1300 * MS);
    hg_breaker_free(s.call.breaker);
}

Test(run, a_breaker_that_is_open_for_less_than_the_backoff_has_not_refused_the_call)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.call.deadline_ns = 20 * MS; /* the delay is 25 ms at the least, the open period 10 at most */
    s.script.takes_ns = 0;
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.failure_threshold = 1;
    options.recovery_timeout_ns = 10 * MS;
    cr_assert_eq(hg_breaker_new(&s.call.breaker, &options, NULL), HG_OK);
    cr_assert_eq(run(&s), HG_ERR_TIMEOUT);
    cr_assert_eq(s.err.stop_reason, HG_STOP_DEADLINE);
    hg_breaker_free(s.call.breaker);
}
