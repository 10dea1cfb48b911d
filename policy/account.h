/* What a running call tells of itself: to its caller's record and trace, and to the log hook. */
#ifndef HERDGATE_POLICY_ACCOUNT_H
#define HERDGATE_POLICY_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/loop.h"
#include "policy/run.h"

/* One running call. */
struct hgi_run {
    const struct hgi_call *call;
    struct hg_error *record;
    struct hgi_plan plan;
    int64_t started_ns;
    struct hgi_progress progress; /* this and all that follows begins as 0 */
    int64_t queue_ns, dial_ns, server_ns, backoff_ns;
    int64_t ended_ns;  /* of the last attempt; 0: not known */
    bool may_have_run; /* an attempt left and was not answered */
    bool has_run;      /* an attempt is known to have run, and failed */
    bool has_token;    /* of the budget, for a retry not made yet */
    hg_status cause;   /* of the last failed attempt; HG_OK: none failed */
};

static inline int64_t hgi_run_now(const struct hgi_run *run)
{
    return run->call->env->now(run->call->env->arg);
}

/* An attempt failed, as `attempt` says: the record says so, too. */
void hgi_account_attempt(struct hgi_run *run, const struct hgi_attempt *attempt);

/* Tell the log hook, if there is one. */
void hgi_account_log(const struct hgi_run *run, hg_log_kind kind, int64_t delay_ns);

/* A retry was waited for, because of `verdict`: a line of the trace. */
void hgi_account_retry(const struct hgi_run *run, const struct hgi_verdict *verdict,
                       int64_t delay_ns);

/* The call ends with `status`, which is returned. `what` says in which way the call as a whole failed, if
 * that has a name of its own: then the record of the last attempt stays the base, its text the second
 * half. The other two: for want of time, and because the breaker refuses. */
hg_status hgi_account_stop(const struct hgi_run *run, hg_status status, hg_stop_reason reason,
                           const char *what);
hg_status hgi_account_deadline(const struct hgi_run *run);
hg_status hgi_account_breaker(const struct hgi_run *run);

/* The record of the whole call: it went well (type: HG_OK, or HG_ERR_NOT_FOUND for a nil reply), or it
 * failed, or was ignored, and what is there already gets its context. */
void hgi_account_success(const struct hgi_run *run, hg_status type, int64_t now_ns);
void hgi_account_failed(const struct hgi_run *run, int64_t now_ns);

/* Fill the caller's trace, if there is one. */
void hgi_account_trace(const struct hgi_run *run, int64_t now_ns);

#endif
