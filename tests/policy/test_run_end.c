/* The end of a call: when it was, who is told, and for what reason. */
#include <criterion/criterion.h>

#include "tests/policy/run_setting.h"

/* Its function looked at the clock last of all; what came after is not the call's. */
static void ends_before_it_returns(void *arg, struct hgi_attempt *attempt)
{
    struct script *script = arg;
    const int64_t now_ns = script->world->now_ns;
    cr_assert_eq(attempt->began_ns, now_ns);
    scripted_attempt(arg, attempt);
    attempt->ended_ns = script->world->now_ns;
    script->world->now_ns += 3 * MS;
}

Test(run_end, a_call_ends_when_its_last_attempt_says_that_it_did)
{
    struct setting s;
    set_up(&s, "read", 0);
    cr_assert_eq(hgi_run_loop(&s.call, ends_before_it_returns, &s.script, &s.err), HG_OK);
    cr_assert_eq(s.err.elapsed_ns, 10 * MS);
    cr_assert_eq(s.trace.elapsed_ns, 10 * MS);
    set_up(&s, "read", 100);
    s.script.verdict.recovery = HG_RECOVERY_FAIL;
    cr_assert_eq(hgi_run_loop(&s.call, ends_before_it_returns, &s.script, &s.err),
                 HG_ERR_CONNECTION);
    cr_assert_eq(s.err.elapsed_ns, 13 * MS); /* a failed one may have waited after it */
}

Test(run_end, a_record_that_nobody_reads_is_filled_by_failures_only)
{
    struct setting s;
    set_up(&s, "read", 0);
    s.call.untold = true;
    s.err.attempt = 77;
    cr_assert_eq(run(&s), HG_OK);
    cr_assert_eq(s.err.attempt, 77);
    set_up(&s, "read", 100);
    s.call.untold = true;
    cr_assert_eq(run(&s), HG_ERR_RETRY_EXHAUSTED);
    cr_assert_eq(s.err.attempt, 5);
    cr_assert_eq(s.err.severity, HG_SEVERITY_HIGH);
}

/* Field by field: what lies between them is nobody's, and of a text what is behind its end. */
static void expect_same(const struct hg_error *is, const struct hg_error *wanted)
{
#define SAME(field) cr_expect_eq(is->field, wanted->field, #field)
    SAME(size);
    SAME(type);
    SAME(cause);
    SAME(severity);
    SAME(recovery);
    SAME(outcome);
    SAME(stop_reason);
    SAME(attempt);
    SAME(max_attempts);
    SAME(sys_errno);
    SAME(hiredis_err);
    SAME(key_truncated);
    SAME(message_truncated);
    SAME(elapsed_ns);
    SAME(timestamp_ns);
    SAME(retry_after_ns);
    SAME(queue_ns);
    SAME(dial_ns);
    SAME(server_ns);
    SAME(backoff_ns);
#undef SAME
    cr_expect_str_eq(is->server_code, wanted->server_code);
    cr_expect_str_eq(is->operation, wanted->operation);
    cr_expect_str_eq(is->key, wanted->key);
    cr_expect_str_eq(is->endpoint, wanted->endpoint);
    cr_expect_str_eq(is->message, wanted->message);
}

/* A record is used again and again: nothing of an older failure may be taken for this call's. */
Test(run_end, a_success_leaves_nothing_of_an_older_failure_in_the_record)
{
    struct setting s;
    for (int nil = 0; nil < 2; nil++) {
        set_up(&s, "read", 0);
        memset(&s.err, 0xa5, sizeof s.err);
        s.script.nil = nil;
        cr_assert_eq(run(&s), HG_OK);
        struct hg_error wanted = HG_ERROR_INIT;
        if (nil) { /* which is told more of, because callers log it */
            wanted.type = HG_ERR_NOT_FOUND;
            wanted.recovery = HG_RECOVERY_IGNORE;
            wanted.timestamp_ns = s.err.timestamp_ns;
            cr_expect_gt(s.err.timestamp_ns, 0);
            strcpy(wanted.operation, "GET");
            strcpy(wanted.key, "k");
            strcpy(wanted.endpoint, "here:1");
        }
        wanted.outcome = HG_OUTCOME_EXECUTED;
        wanted.attempt = 1;
        wanted.max_attempts = 5;
        wanted.elapsed_ns = wanted.server_ns = 10 * MS;
        expect_same(&s.err, &wanted);
    }
}

Test(run_end, a_call_that_fails_as_a_whole_has_that_types_weight_and_the_last_ones_code)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.script.verdict.type = HG_ERR_UNAVAILABLE;
    s.script.verdict.severity = HG_SEVERITY_LOW;
    strcpy(s.script.verdict.code, "CLUSTERDOWN");
    cr_assert_eq(run(&s), HG_ERR_RETRY_EXHAUSTED);
    cr_expect_eq(s.err.severity, HG_SEVERITY_HIGH);
    cr_expect_eq(s.err.recovery, HG_RECOVERY_FAIL);
    cr_expect_eq(s.err.cause, HG_ERR_UNAVAILABLE);
    cr_expect_str_eq(s.err.server_code, "CLUSTERDOWN");
    cr_expect_str_eq(s.trace.retry[3].server_code, "CLUSTERDOWN");
}

/* A breaker that admits calls has not refused one, nor has one that there is not. */
Test(run_end, an_attempt_that_took_all_the_time_is_a_timeout_with_and_without_a_breaker)
{
    for (int with = 0; with < 2; with++) {
        struct setting s;
        set_up(&s, "read", 100);
        s.call.deadline_ns = 50 * MS;
        s.script.takes_ns = 50 * MS;
        if (with)
            cr_assert_eq(hg_breaker_new(&s.call.breaker, NULL, NULL), HG_OK);
        cr_assert_eq(run(&s), HG_ERR_TIMEOUT);
        cr_assert_eq(s.script.calls, 1);
        cr_assert_eq(s.err.stop_reason, HG_STOP_DEADLINE);
        hg_breaker_free(s.call.breaker);
    }
}
