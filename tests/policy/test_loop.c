/* What to do after a failed attempt: every recovery, outcome and limit, without a clock. */
#include <criterion/criterion.h>

#include "breaker/clock.h"
#include "policy/loop.h"

#define MS HGI_NS_PER_MS

static const struct hgi_class read_class = {
    .name = "read",
    .kind = HGI_CLASS_READ,
    .retry = { .max_attempts = 3,
               .jitter = HG_JITTER_NONE,
               .initial_delay_ns = 100 * MS,
               .max_delay_ns = 1000 * MS,
               .multiplier = 2.0 },
    .retry_unknown = true,
};

static struct hgi_class class_of(enum hgi_class_kind kind, bool retry_unknown, bool retry_unfenced)
{
    struct hgi_class made = read_class;
    made.kind = kind;
    made.retry_unknown = retry_unknown;
    made.retry_unfenced = retry_unfenced;
    return made;
}

static struct hgi_plan plan_of(const struct hgi_class *op_class, int64_t deadline_ns)
{
    return (struct hgi_plan) { .op_class = op_class,
                               .deadline_ns = deadline_ns,
                               .max_attempts = op_class->retry.max_attempts };
}

static struct hgi_verdict verdict_of(hg_recovery recovery, hg_outcome outcome)
{
    return (struct hgi_verdict) {
        .type = HG_ERR_CONNECTION, .recovery = recovery, .outcome = outcome, .delay_ns = 70 * MS
    };
}

static struct hgi_step decide(const struct hgi_plan *plan, uint32_t attempts,
                              struct hgi_verdict verdict, int64_t floor_ns)
{
    struct hgi_progress progress = { .attempts = attempts };
    return hgi_loop_decide(plan, &progress, &verdict, floor_ns, 1000 * MS, 0.5);
}

Test(loop, fail_stops_at_once_with_the_type_itself)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    struct hgi_step step = decide(&plan, 1, verdict_of(HG_RECOVERY_FAIL, HG_OUTCOME_NOT_SENT), 0);
    cr_assert_eq(step.kind, HGI_STEP_STOP);
    cr_assert_eq(step.status, HG_ERR_CONNECTION);
    cr_assert_eq(step.reason, HG_STOP_FAIL);
    cr_assert_not(step.trip);
}

Test(loop, ignore_goes_on)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    cr_assert_eq(decide(&plan, 1, verdict_of(HG_RECOVERY_IGNORE, HG_OUTCOME_UNKNOWN), 0).kind,
                 HGI_STEP_IGNORE);
}

Test(loop, circuit_breaker_trips_and_does_not_retry)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    struct hgi_step step =
        decide(&plan, 1, verdict_of(HG_RECOVERY_CIRCUIT_BREAKER, HG_OUTCOME_NOT_SENT), 0);
    cr_assert(step.trip);
    cr_assert_eq(step.kind, HGI_STEP_STOP);
    cr_assert_eq(step.status, HG_ERR_CONNECTION);
}

Test(loop, backoff_grows_with_each_attempt)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    struct hgi_verdict verdict = verdict_of(HG_RECOVERY_RETRY_WITH_BACKOFF, HG_OUTCOME_NOT_SENT);
    cr_assert_eq(decide(&plan, 1, verdict, 0).delay_ns, 100 * MS);
    cr_assert_eq(decide(&plan, 2, verdict, 0).delay_ns, 200 * MS);
    cr_assert_eq(decide(&plan, 2, verdict, 0).when_ns, 1200 * MS);
}

Test(loop, fixed_delay_is_the_verdicts_each_time)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    struct hgi_verdict verdict = verdict_of(HG_RECOVERY_RETRY_WITH_DELAY, HG_OUTCOME_NOT_SENT);
    cr_assert_eq(decide(&plan, 1, verdict, 0).delay_ns, 70 * MS);
    cr_assert_eq(decide(&plan, 2, verdict, 0).delay_ns, 70 * MS);
}

Test(loop, a_hint_is_a_floor_and_never_a_ceiling)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    struct hgi_verdict verdict = verdict_of(HG_RECOVERY_RETRY_WITH_BACKOFF, HG_OUTCOME_NOT_SENT);
    cr_assert_eq(decide(&plan, 1, verdict, 5000 * MS).delay_ns, 5000 * MS);
    cr_assert_eq(decide(&plan, 1, verdict, 1).delay_ns, 100 * MS);
}

Test(loop, wait_and_retry_waits)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    struct hgi_step step =
        decide(&plan, 1, verdict_of(HG_RECOVERY_WAIT_AND_RETRY, HG_OUTCOME_REJECTED), 0);
    cr_assert_eq(step.kind, HGI_STEP_WAIT);
    cr_assert_eq(step.when_ns, 1000 * MS);
}

Test(loop, retry_exhausted_only_when_more_than_one_was_allowed)
{
    struct hgi_plan plan = plan_of(&read_class, HGI_NEVER);
    struct hgi_verdict verdict = verdict_of(HG_RECOVERY_RETRY_WITH_BACKOFF, HG_OUTCOME_NOT_SENT);
    cr_assert_eq(decide(&plan, 2, verdict, 0).kind, HGI_STEP_RETRY);
    struct hgi_step step = decide(&plan, 3, verdict, 0);
    cr_assert_eq(step.status, HG_ERR_RETRY_EXHAUSTED);
    cr_assert_eq(step.reason, HG_STOP_ATTEMPTS);
    plan.max_attempts = 1;
    step = decide(&plan, 1, verdict, 0);
    cr_assert_eq(step.status, HG_ERR_CONNECTION);
    cr_assert_eq(step.reason, HG_STOP_ATTEMPTS);
}

Test(loop, an_attempt_that_would_begin_at_or_after_the_deadline_is_not_begun)
{
    struct hgi_verdict verdict = verdict_of(HG_RECOVERY_RETRY_WITH_BACKOFF, HG_OUTCOME_NOT_SENT);
    struct hgi_plan plan = plan_of(&read_class, 1100 * MS);
    struct hgi_step step = decide(&plan, 1, verdict, 0);
    cr_assert_eq(step.kind, HGI_STEP_STOP);
    cr_assert_eq(step.status, HG_ERR_TIMEOUT);
    cr_assert_eq(step.reason, HG_STOP_DEADLINE);
    plan.deadline_ns = 1100 * MS + 1;
    cr_assert_eq(decide(&plan, 1, verdict, 0).kind, HGI_STEP_RETRY);
    cr_assert_eq(decide(&plan, 1, verdict, INT64_MAX).reason, HG_STOP_DEADLINE);
}

/* The rule stated a second time, as the design words it. */
static bool may_run_again(enum hgi_class_kind kind, bool retry_unknown, bool fenced, bool unfenced,
                          hg_outcome outcome)
{
    bool proven_not_run = outcome == HG_OUTCOME_NOT_SENT || outcome == HG_OUTCOME_REJECTED;
    if (proven_not_run)
        return true;
    if (kind == HGI_CLASS_READ)
        return retry_unknown;
    return retry_unknown && (fenced || unfenced);
}

Test(loop, what_may_have_run_is_repeated_only_as_its_class_allows)
{
    unsigned checked = 0;
    for (int kind = 0; kind < HGI_CLASS_KINDS; kind++)
        for (int outcome = 0; outcome < 4; outcome++)
            for (unsigned bits = 0; bits < 8; bits++)
                for (int recovery = HG_RECOVERY_RETRY_WITH_BACKOFF;
                     recovery <= HG_RECOVERY_WAIT_AND_RETRY; recovery++) {
                    if (recovery == HG_RECOVERY_CIRCUIT_BREAKER)
                        continue;
                    struct hgi_class op_class =
                        class_of((enum hgi_class_kind)kind, bits & 1, bits & 2);
                    struct hgi_plan plan = plan_of(&op_class, HGI_NEVER);
                    plan.fenced = bits & 4;
                    struct hgi_step step =
                        decide(&plan, 1, verdict_of((hg_recovery)recovery, (hg_outcome)outcome), 0);
                    bool again = step.kind == HGI_STEP_RETRY || step.kind == HGI_STEP_WAIT;
                    cr_assert_eq(again,
                                 may_run_again((enum hgi_class_kind)kind, bits & 1, bits & 4,
                                               bits & 2, (hg_outcome)outcome),
                                 "class %d, outcome %d, bits %u, recovery %d", kind, outcome, bits,
                                 recovery);
                    if (!again)
                        cr_assert_eq(step.reason, HG_STOP_OUTCOME);
                    checked++;
                }
    cr_assert_eq(checked, HGI_CLASS_KINDS * 4u * 8u * 3u);
}
