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
