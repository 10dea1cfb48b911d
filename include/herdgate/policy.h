/* The policy: how often, how long and how patiently to try. A JSON file, and the loop that obeys it.
 *
 *     static hg_status fetch(void *arg, struct hg_attempt *attempt) {
 *         struct job *job = arg;
 *         return job_send(job, attempt->deadline_ns) ? HG_OK : HG_ERR_TIMEOUT;
 *     }
 *
 *     hg_policy *policy;
 *     struct hg_error err = HG_ERROR_INIT;
 *     struct hg_run_options options = HG_RUN_OPTIONS_INIT;
 *     options.op_class = "read";
 *     if (hg_policy_load(&policy, "herdgate.json", &err) < 0 ||
 *         hg_run(policy, &options, fetch, &job, &err) < 0)
 *         fprintf(stderr, "%s\n", err.message);
 *     hg_policy_drop(policy);
 */
#ifndef HERDGATE_POLICY_H
#define HERDGATE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/breaker.h>
#include <herdgate/error.h>
#include <herdgate/export.h>

HG_BEGIN_DECLS

/* An immutable, counted set of settings. Any number of threads, pools and runs may use one. */
typedef struct hg_policy hg_policy;

/* Read a policy file; *out is the caller's, for hg_policy_drop().
 *
 * hg_policy_load() reads `path` (borrowed); hg_policy_parse() reads `length` bytes at `json`
 * (borrowed), and calls them `name` in messages. What the file does not say has its default; "{}" is
 * a policy of defaults. Secrets named by the file are read from the environment or from their own
 * files at this moment.
 *
 * Threads    any; parsing takes a lock of the library's own, because cJSON writes a global. A host
 *            that parses with cJSON on other threads at the same time shares that global with it.
 * Errors     HG_ERR_VALIDATION: cannot be read, not JSON, or not a policy. The message begins
 *            file:line:column and has the JSON pointer. HG_ERR_NO_MEMORY. *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_policy_load(hg_policy **out, const char *path, struct hg_error *err);
HG_API hg_status hg_policy_parse(hg_policy **out, const char *json, size_t length, const char *name,
                                 struct hg_error *err);

/* Count one more owner, or one fewer; the last drop frees it, and wipes its secrets. Retaining gives what it
 * was given. NULL does nothing. Any thread that owns it. Since 0.1 */
HG_API hg_policy *hg_policy_retain(hg_policy *policy);
HG_API void hg_policy_drop(hg_policy *policy);

typedef enum hg_jitter {
    HG_JITTER_NONE = 0,
    HG_JITTER_ADDITIVE = 1,    /* delay + random(0, ratio * delay): can pass max_delay by that */
    HG_JITTER_FULL = 2,        /* random(0, delay) */
    HG_JITTER_EQUAL = 3,       /* delay / 2 + random(0, delay / 2) */
    HG_JITTER_DECORRELATED = 4 /* random(initial_delay, min(max_delay, 3 * previous delay)) */
} hg_jitter;

/* How to retry. Before jitter, the delay before retry n (0 is the first) is
 * min(initial_delay * multiplier^n, max_delay). Full, equal and decorrelated jitter are those of
 * M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, but that decorrelated
 * jitter draws inside the cap: cut off after the draw, most long delays would be the same one.
 * `struct hg_retry retry = HG_RETRY_INIT;` */
struct hg_retry {
    size_t size; /* sizeof(struct hg_retry); of one that is filled, as much as is filled */
    uint32_t max_attempts; /* the first one included; 1: no retry */
    hg_jitter jitter;
    int64_t initial_delay_ns;
    int64_t max_delay_ns;
    double multiplier;
    double jitter_ratio; /* of additive jitter */
};

#define HG_RETRY_INIT HG_INIT_STRUCT(hg_retry)

/* Fill *out with a built-in preset: "conservative", "aggressive", "fast" or "none". Any thread.
 * Errors     HG_ERR_VALIDATION: no such preset; *out is as it was. Since 0.1 */
HG_API hg_status hg_retry_preset(struct hg_retry *out, const char *name, struct hg_error *err);

/* Fill *out with what `policy` does for `op_class` (NULL: "write_once", the class of what is not
 * known). Any thread.
 * Errors     HG_ERR_VALIDATION: no such class; *out is as it was. Since 0.1 */
HG_API hg_status hg_policy_retry(const hg_policy *policy, const char *op_class,
                                 struct hg_retry *out, struct hg_error *err);

/* The delay before retry n, in nanoseconds, without jitter. Pure; no overflow for any settings: it
 * saturates at max_delay. Any thread. Since 0.1 */
HG_API int64_t hg_retry_delay(const struct hg_retry *retry, uint32_t n);

/* The same with jitter. `unit` is a random number in [0, 1); `previous_ns` is what the last call
 * gave (0 for the first), used by decorrelated jitter only. Pure. Any thread. Since 0.1 */
HG_API int64_t hg_retry_delay_jittered(const struct hg_retry *retry, uint32_t n,
                                       int64_t previous_ns, double unit);

/* One retry of a call, as the trace keeps it. */
struct hg_trace_retry {
    hg_status cause;      /* how the attempt before it failed */
    char server_code[20]; /* the server's code, or empty */
    int64_t delay_ns;     /* waited before it */
};

#define HG_TRACE_RETRIES 16

/* What a call went through, also when it ended well. Caller-owned, filled when the call returns.
 * `struct hg_trace trace = HG_TRACE_INIT;` */
struct hg_trace {
    size_t size;        /* sizeof(struct hg_trace); of one that is filled, as much as is filled */
    uint32_t attempts;  /* attempts begun */
    uint32_t retries;   /* retries made; the first HG_TRACE_RETRIES of them are in `retry` */
    int64_t elapsed_ns; /* the whole call */
    int64_t queue_ns;   /* of it: waiting in the pool */
    int64_t dial_ns;    /* of queue_ns: while a connection was being made for the pool */
    int64_t server_ns; /* of it: sending and waiting for replies; under hg_run(): in the function */
    int64_t backoff_ns; /* of it: waiting before retries */
    struct hg_trace_retry retry[HG_TRACE_RETRIES];
};

#define HG_TRACE_INIT HG_INIT_STRUCT(hg_trace)

typedef enum hg_log_kind {
    HG_LOG_RETRY = 0,       /* an attempt failed; another follows after delay_ns, if the breaker
                               lets it pass then. The budget has been asked before */
    HG_LOG_IGNORED = 1,     /* a failure was ignored, as the policy says */
    HG_LOG_WAITING = 2,     /* wait_and_retry: the call waits for its condition */
    HG_LOG_BREAKER = 3,     /* the breaker changed its state; see `breaker` */
    HG_LOG_DIAL_FAILED = 4, /* the pool could not make a connection; next try after delay_ns */
    HG_LOG_CONNECTION_LOST =
        5,                    /* an idle connection was closed by the server, or a bad one by us */
    HG_LOG_LEASE_WARNING = 6, /* a lease is held for long, and not by BLPOP and its like */
    HG_LOG_LEASE_MISUSE = 7,  /* a lease was given back that had ended */
    HG_LOG_BREAKER_ADOPTED =
        8 /* the shared breaker has other settings than the policy, and they hold; see `text` */
} hg_log_kind;

/* Something worth a line in a log. All pointers are borrowed for the length of the call. */
struct hg_log_event {
    size_t size;
    hg_log_kind kind;
    int64_t delay_ns; /* RETRY, WAITING, DIAL_FAILED: until the next; BREAKER: it stays open */
    const struct hg_error *error;           /* RETRY, IGNORED, WAITING, DIAL_FAILED; else NULL */
    const struct hg_breaker_event *breaker; /* HG_LOG_BREAKER, else NULL */
    const char *text;                       /* one line, no newline, no secret */
};

/* The log hook. Called on the thread that the event happens on (a caller's, or one of the pool's),
 * with no lock held. It may use the pool, with the care that recursion needs. */
typedef void (*hg_log_fn)(void *arg, const struct hg_log_event *event);

/* The condition of wait_and_retry: true when it makes sense to try again. Called by one thread at a
 * time, with no lock held and the thread's cancellation put off; it should answer within the poll
 * interval, and has to return. */
typedef bool (*hg_condition_fn)(void *arg);

/* A retry budget that several runs share; see hg_budget_new(). */
typedef struct hg_budget hg_budget;

/* Make a retry budget with the settings of `policy`, which is not kept, or free one that nobody uses any
 * more (NULL does nothing). Calls and time fill it. A retry takes a token when it is decided on (under
 * wait_and_retry: when that wait is over), holds it while it waits, and gives it back if it is refused by
 * others then. Pools have their own.
 *
 * Ownership  *out is the caller's, for hg_budget_free().
 * Threads    any; any number of runs may share one.
 * Errors     HG_ERR_VALIDATION: NULL; HG_ERR_NO_MEMORY; *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_budget_new(hg_budget **out, const hg_policy *policy, struct hg_error *err);
HG_API void hg_budget_free(hg_budget *budget);

/* One attempt, as the function that makes it sees it. */
struct hg_attempt {
    size_t size;
    uint32_t number; /* 1 for the first */
    uint32_t max_attempts;
    int64_t deadline_ns;    /* the attempt ends by then: absolute, CLOCK_MONOTONIC, nanoseconds */
    hg_outcome outcome;     /* set it when it failed and you know; else it stays UNKNOWN */
    int64_t retry_after_ns; /* set it to a hint of the server: no retry sooner than this */
    struct hg_error *error; /* fill message, server_code, sys_errno if you like; never NULL */
};

/* One attempt at the user's operation: HG_OK, or the type of what went wrong. */
typedef hg_status (*hg_run_fn)(void *arg, struct hg_attempt *attempt);

/* Options of hg_run(). `struct hg_run_options o = HG_RUN_OPTIONS_INIT;` Pointers are borrowed for
 * the length of the call. Zero means the default. */
struct hg_run_options {
    size_t size; /* sizeof(struct hg_run_options); herdgate.h says why */
    const char
        *op_class; /* a class of the policy; NULL: "write_once", not repeated if it may have run */
    const char *operation;     /* a name for messages; NULL: "run" */
    const char *key;           /* for messages; may be NULL */
    hg_breaker *breaker;       /* asked before each attempt, told after it; NULL: none */
    hg_budget *budget;         /* asked before each backoff, and after wait_and_retry; NULL: none */
    int64_t deadline_ns;       /* for the whole call, from its start; 0: the class's; < 0: none */
    hg_condition_fn condition; /* of wait_and_retry; NULL: it waits one poll interval */
    void *condition_arg;
    struct hg_trace *trace; /* filled when hg_run() returns; NULL: none */
    hg_log_fn log;          /* told of retries and what was ignored; NULL: nobody */
    void *log_arg;
};

#define HG_RUN_OPTIONS_INIT HG_INIT_STRUCT(hg_run_options)

/* Run `fn` under the policy: the recovery manager. Attempts, backoff, deadline, breaker, budget and
 * the six recovery strategies as for a pool's commands; what is run is the caller's own.
 *
 * Each attempt gets the class's attempt_timeout or what is left of the deadline, whichever is less;
 * `fn` must keep attempt->deadline_ns itself. After a failure whose outcome is UNKNOWN, a class that
 * must not run twice is not tried again.
 *
 * Ownership  everything is borrowed until it returns.
 * Threads    any. Blocks: runs fn and waits between attempts on the calling thread, which must not be
 *            cancelled (pthread_cancel) inside.
 * Errors     what fn returned; HG_ERR_RETRY_EXHAUSTED, HG_ERR_CIRCUIT_OPEN, HG_ERR_TIMEOUT,
 *            HG_ERR_VALIDATION. HG_IGNORED if the policy ignores the failure, as it does of
 *            HG_ERR_NOT_FOUND if nothing else is said.
 * Since      0.1 */
HG_API hg_status hg_run(hg_policy *policy, const struct hg_run_options *options, hg_run_fn fn,
                        void *arg, struct hg_error *err);

HG_END_DECLS
#endif
