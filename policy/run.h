/* The attempt loop: one call under a policy. hg_run() and every call of a pool are thin users of it. */
#ifndef HERDGATE_POLICY_RUN_H
#define HERDGATE_POLICY_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "policy/classify.h"
#include "policy/gate.h"
#include "policy/settings.h"

/* Time and chance, so that tests can bring their own. */
struct hgi_env {
    int64_t (*now)(void *arg);
    void (*sleep_until)(void *arg, int64_t when_ns);
    double (*unit)(void *arg); /* uniform in [0, 1) */
    void *arg;
};

/* The real ones. */
extern const struct hgi_env hgi_env_real;

/* For what is filled field by field, because to clear all of it would cost each call more than to fill
 * it: in debug builds it is garbage before, so that a field that was forgotten is found. */
static inline void hgi_fields_begin(void *fields, size_t size)
{
#ifndef NDEBUG
    memset(fields, 0xa5, size);
#else
    (void)fields;
    (void)size;
#endif
}

/* One attempt. The loop fills the first part, the attempt's function the second, on success or not as
 * far as it has something to say. What begins as 0 lies together, for begin_attempt() of run.c. */
struct hgi_attempt {
    uint32_t number; /* 1 for the first */
    uint32_t max_attempts;
    int64_t began_ns;         /* when the loop looked at the clock: just now */
    int64_t call_deadline_ns; /* absolute */
    int64_t timeout_ns;       /* the class's attempt_timeout; < 0: none */
    struct hg_error *error;   /* to be set on failure; not initialised before */
    hg_permit permit;         /* of the breaker, if the call has one; the loop reports it */
    bool is_probe;
    bool may_run_later; /* some earlier attempt left and was not answered */

    bool nil;               /* HG_OK with a nil reply */
    bool keeps_permit;      /* the permit is reported later, by the owner of the function */
    bool fenced;            /* UNKNOWN: the next attempt can keep this one from running later */
    bool refused;           /* by pool or validation: it ends the call, whatever the policy says */
    hg_status status;       /* HG_OK or a failure */
    int64_t retry_after_ns; /* a hint; 0: none */
    int64_t queue_ns;
    int64_t dial_ns;
    int64_t server_ns;
    int64_t ended_ns; /* when the function looked at the clock, last of all; 0: it did not */
    struct hgi_verdict verdict; /* of a failure; its view also of a refusal */
};

typedef void (*hgi_attempt_fn)(void *arg, struct hgi_attempt *attempt);

/* What the loop counts, for statistics; called by the calling thread. */
enum hgi_run_count { HGI_COUNT_RETRY, HGI_COUNT_IGNORED, HGI_COUNT_BUDGET, HGI_COUNT_BREAKER };

/* One call. Everything is borrowed until hgi_run_loop() returns. */
struct hgi_call {
    const struct hgi_env *env;
    const struct hgi_settings *settings;
    const struct hgi_class *op_class;
    const char *operation;
    const char *key; /* may be NULL */
    size_t key_length;
    bool untold;          /* nobody reads the record unless the call fails */
    const char *endpoint; /* may be NULL */
    hg_breaker *breaker;  /* may be NULL */
    hg_budget *budget;    /* may be NULL */
    int64_t deadline_ns;  /* from the start of the call; 0: the class's; < 0: none */
    struct hgi_gate *gate;
    hg_condition_fn condition;
    void *condition_arg;
    struct hg_trace *trace;
    hg_log_fn log;
    void *log_arg;
    void (*count)(void *arg, enum hgi_run_count what); /* may be NULL */
    void *count_arg;
};

/* Run the attempts. The status, and *err, which is not NULL, of the whole call. */
hg_status hgi_run_loop(const struct hgi_call *call, hgi_attempt_fn fn, void *arg,
                       struct hg_error *err);

#endif
