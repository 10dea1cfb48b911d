/* What to do after a failed attempt: the pure core of the attempt loop. */
#ifndef HERDGATE_POLICY_LOOP_H
#define HERDGATE_POLICY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/classify.h"
#include "policy/settings.h"

/* What stays the same for one call. */
struct hgi_plan {
    const struct hgi_class *op_class;
    int64_t deadline_ns;   /* absolute; HGI_NEVER: none */
    uint32_t max_attempts; /* at least 1 */
    bool fenced;           /* older attempts of a write can be kept from running later */
};

/* What changes from attempt to attempt. */
struct hgi_progress {
    uint32_t attempts;         /* begun so far */
    int64_t previous_delay_ns; /* before the last one; 0: none yet */
};

enum hgi_step_kind {
    HGI_STEP_RETRY,  /* at when_ns */
    HGI_STEP_WAIT,   /* until the condition holds, then again; not before when_ns */
    HGI_STEP_IGNORE, /* go on as if it had been well: HG_IGNORED */
    HGI_STEP_STOP    /* with status and reason */
};

struct hgi_step {
    enum hgi_step_kind kind;
    bool trip;             /* open the breaker at once */
    hg_status status;      /* STOP: the type of the whole call */
    hg_stop_reason reason; /* STOP */
    int64_t delay_ns;      /* RETRY: how long to wait */
    int64_t when_ns;       /* RETRY, WAIT: the earliest time of the next attempt */
};

/* Decide. floor_ns: no retry sooner than this from now (a server's hint, the breaker's word); unit: a
 * random number in [0, 1). Never gives RETRY or WAIT with when_ns at or after the deadline, nor to a
 * call that may have run and must not run twice. */
struct hgi_step hgi_loop_decide(const struct hgi_plan *plan, const struct hgi_progress *progress,
                                const struct hgi_verdict *verdict, int64_t floor_ns, int64_t now_ns,
                                double unit);

/* True if a call of this class whose last attempt had this outcome may be made again. */
bool hgi_loop_repeatable(const struct hgi_plan *plan, hg_outcome outcome);

#endif
