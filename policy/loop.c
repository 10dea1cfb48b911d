/* What to do after a failed attempt.
 *
 * A function of its arguments alone: no clock, no randomness, no waiting. The order of the questions
 * is the order of what they protect: what the policy says of this failure, then whether the call may
 * run twice at all, then whether an attempt is left, then whether time is.
 */
#include "policy/loop.h"

#include "breaker/clock.h"

bool hgi_loop_repeatable(const struct hgi_plan *plan, hg_outcome outcome)
{
    const struct hgi_class *op_class = plan->op_class;
    if (outcome == HG_OUTCOME_NOT_SENT || outcome == HG_OUTCOME_REJECTED)
        return true;
    if (!op_class->retry_unknown)
        return false;
    return op_class->kind == HGI_CLASS_READ || plan->fenced || op_class->retry_unfenced;
}

static struct hgi_step stop(hg_status status, hg_stop_reason reason)
{
    return (struct hgi_step) { .kind = HGI_STEP_STOP, .status = status, .reason = reason };
}

static int64_t delay_of(const struct hgi_plan *plan, const struct hgi_progress *progress,
                        const struct hgi_verdict *verdict, double unit)
{
    if (verdict->recovery == HG_RECOVERY_RETRY_WITH_DELAY)
        return verdict->delay_ns;
    if (verdict->recovery == HG_RECOVERY_WAIT_AND_RETRY)
        return 0;
    return hg_retry_delay_jittered(&plan->op_class->retry, progress->attempts - 1,
                                   progress->previous_delay_ns, unit);
}

struct hgi_step hgi_loop_decide(const struct hgi_plan *plan, const struct hgi_progress *progress,
                                const struct hgi_verdict *verdict, int64_t floor_ns, int64_t now_ns,
                                double unit)
{
    struct hgi_step step;
    switch (verdict->recovery) {
    case HG_RECOVERY_IGNORE:
        return (struct hgi_step) { .kind = HGI_STEP_IGNORE };
    case HG_RECOVERY_CIRCUIT_BREAKER:
        step = stop(verdict->type, HG_STOP_FAIL);
        step.trip = true;
        return step;
    case HG_RECOVERY_RETRY_WITH_BACKOFF:
    case HG_RECOVERY_RETRY_WITH_DELAY:
    case HG_RECOVERY_WAIT_AND_RETRY:
        break;
    case HG_RECOVERY_FAIL:
    default:
        return stop(verdict->type, HG_STOP_FAIL);
    }
    if (!hgi_loop_repeatable(plan, verdict->outcome))
        return stop(verdict->type, HG_STOP_OUTCOME);
    if (progress->attempts >= plan->max_attempts)
        return stop(plan->max_attempts > 1 ? HG_ERR_RETRY_EXHAUSTED : verdict->type,
                    HG_STOP_ATTEMPTS);

    int64_t delay_ns = delay_of(plan, progress, verdict, unit);
    if (delay_ns < floor_ns)
        delay_ns = floor_ns;
    int64_t when_ns = hgi_deadline_after(now_ns, delay_ns);
    if (when_ns >= plan->deadline_ns)
        return stop(HG_ERR_TIMEOUT, HG_STOP_DEADLINE);
    return (struct hgi_step) {
        .kind = verdict->recovery == HG_RECOVERY_WAIT_AND_RETRY ? HGI_STEP_WAIT : HGI_STEP_RETRY,
        .delay_ns = delay_ns,
        .when_ns = when_ns,
    };
}
