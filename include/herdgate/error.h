/* What can go wrong, and everything that is known about it when it does.
 *
 *     struct hg_error err = HG_ERROR_INIT;
 *     if (hg_command(pool, &reply, &err, "INCR %s", "hits") < 0 && err.outcome == HG_OUTCOME_UNKNOWN)
 *         log_warn("%s %s at %s may or may not have run: %s", err.operation, err.key, err.endpoint,
 *                  err.message);
 *
 * A status below 0 is a failure. One channel: the status says that and what, the caller's
 * struct hg_error says the rest. Every `struct hg_error *` parameter of the library may be NULL.
 */
#ifndef HERDGATE_ERROR_H
#define HERDGATE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/export.h>

HG_BEGIN_DECLS

/* The result of a call, and the type of an error. The numbers never change. */
typedef enum hg_status {
    HG_IGNORED = 1,              /* it failed, and the policy says to go on: no acknowledgement */
    HG_OK = 0,                   /* done; for a command: the server answered, not with an error */
    HG_ERR_CONNECTION = -1,      /* refused, reset, closed, unreachable, name not found */
    HG_ERR_TIMEOUT = -2,         /* no connection, reply or attempt in time */
    HG_ERR_VALIDATION = -3,      /* the caller's mistake: NULL, bad format, not allowed here */
    HG_ERR_NOT_FOUND = -4,       /* a nil reply: a cache miss */
    HG_ERR_SERIALIZATION = -5,   /* a value is not the JSON that it should be */
    HG_ERR_RETRY_EXHAUSTED = -6, /* all attempts failed; hg_error.cause says how the last one did */
    HG_ERR_CIRCUIT_OPEN = -7,    /* the breaker refused; hg_error.retry_after_ns says when to ask */
    HG_ERR_UNAVAILABLE = -8,     /* the server says "not now": LOADING, BUSY, CLUSTERDOWN, ... */
    HG_ERR_POOL_TIMEOUT = -9,    /* no connection came free in time */
    HG_ERR_SERVER = -10,         /* the server refused for good: WRONGTYPE, NOPERM, syntax, ... */
    HG_ERR_AUTH = -11,           /* NOAUTH, WRONGPASS, DENIED */
    HG_ERR_PROTOCOL = -12,       /* the answer is not RESP */
    HG_ERR_CLOSED = -13,         /* the pool is closing */
    HG_ERR_NO_MEMORY = -14       /* an allocation failed */
} hg_status;

/* How much a failure matters to whoever watches the service. */
typedef enum hg_severity {
    HG_SEVERITY_LOW = 0,
    HG_SEVERITY_MEDIUM = 1,
    HG_SEVERITY_HIGH = 2,
    HG_SEVERITY_CRITICAL = 3
} hg_severity;

/* What the policy does about a failure. */
typedef enum hg_recovery {
    HG_RECOVERY_FAIL = 0,               /* return it at once */
    HG_RECOVERY_IGNORE = 1,             /* tell the log hook, return HG_IGNORED */
    HG_RECOVERY_RETRY_WITH_BACKOFF = 2, /* again, after exponentially growing delays */
    HG_RECOVERY_RETRY_WITH_DELAY = 3,   /* again, after the same fixed delay each time */
    HG_RECOVERY_CIRCUIT_BREAKER = 4,    /* not again; open the breaker at once */
    HG_RECOVERY_WAIT_AND_RETRY = 5      /* again, when a condition holds */
} hg_recovery;

/* What is known of whether a failed command ran. It decides whether it may be sent again. */
typedef enum hg_outcome {
    HG_OUTCOME_UNKNOWN = 0,  /* it left whole and no answer came: it may have run, or run later */
    HG_OUTCOME_NOT_SENT = 1, /* proven: its last byte never left */
    HG_OUTCOME_REJECTED = 2, /* the server said no before running it */
    HG_OUTCOME_EXECUTED = 3  /* it ran */
} hg_outcome;

/* Why no further attempt was made. */
typedef enum hg_stop_reason {
    HG_STOP_NONE = 0,     /* it was not stopped: the call went well */
    HG_STOP_ATTEMPTS = 1, /* all attempts that the policy allows were made */
    HG_STOP_DEADLINE = 2, /* no time was left for another */
    HG_STOP_BUDGET = 3,   /* the retry budget was used up; the type is the last attempt's */
    HG_STOP_BREAKER = 4,  /* the circuit breaker refused */
    HG_STOP_OUTCOME = 5,  /* it may have run, and its class must not run twice */
    HG_STOP_FAIL = 6      /* trying again cannot help, or the policy says not to */
} hg_stop_reason;

/* Everything known about one failed call. Caller-owned, filled in place, nothing to free. Text is
 * always terminated; what did not fit is cut. Arguments other than the key never appear. */
struct hg_error {
    size_t size;     /* sizeof(struct hg_error); HG_ERROR_INIT sets it */
    hg_status type;  /* what failed; always written; HG_OK after a success */
    hg_status cause; /* the last attempt's type, where `type` is about the whole call */
    hg_severity severity;
    hg_recovery recovery; /* what the policy does about this type or server code */
    hg_outcome outcome;   /* of all attempts together: UNKNOWN if one of them may have run */
    hg_stop_reason stop_reason;
    uint32_t attempt;       /* attempts made, the first is 1; 0: none was begun */
    uint32_t max_attempts;  /* attempts allowed */
    int32_t sys_errno;      /* errno of the failed system call, or 0 */
    int32_t hiredis_err;    /* REDIS_ERR_* of hiredis, or 0 */
    bool key_truncated;     /* `key` is cut */
    bool message_truncated; /* `message` is cut */
    int64_t elapsed_ns;     /* from the start of the call to its end */
    int64_t timestamp_ns;   /* wall clock at its end, nanoseconds since 1970-01-01 UTC */
    int64_t retry_after_ns; /* a retry sooner than this is pointless; 0: not known */
    int64_t queue_ns;       /* of elapsed_ns: waiting in the pool for a connection */
    int64_t dial_ns;        /* of queue_ns: while a connection was being made for the pool */
    int64_t server_ns;      /* of elapsed_ns: sending and waiting for replies */
    int64_t backoff_ns;     /* of elapsed_ns: waiting before a retry */
    char server_code[32];   /* first word of the server's error, "LOADING"; or empty */
    char operation[32];     /* the command's name, "GET" */
    char key[128];          /* its key, unprintable bytes as \xNN */
    char endpoint[128];     /* the server, "127.0.0.1:6379" or "unix:/run/redis.sock" */
    char message[384];      /* one line: what was wrong, where, and what to do */
    unsigned char reserved[208];
};

#define HG_ERROR_SIZE 1024

/* `struct hg_error err = HG_ERROR_INIT;` The library fills it however it was initialised. */
#define HG_ERROR_INIT HG_INIT_STRUCT(hg_error)

/* The names, in static storage: "TIMEOUT", "high", "retry_with_backoff", "not_sent", "deadline".
 * A number that is none of the enum's gives "?". Any thread, async-signal-safe. Since 0.1 */
HG_API const char *hg_status_name(hg_status status);
HG_API const char *hg_severity_name(hg_severity severity);
HG_API const char *hg_recovery_name(hg_recovery recovery);
HG_API const char *hg_outcome_name(hg_outcome outcome);
HG_API const char *hg_stop_reason_name(hg_stop_reason reason);

/* What a type means by default, before a policy file says otherwise. Any thread. Since 0.1 */
HG_API hg_severity hg_status_severity(hg_status status);
HG_API hg_recovery hg_status_recovery(hg_status status);

/* True if the call failed with `type`, or failed as a whole (RETRY_EXHAUSTED, CIRCUIT_OPEN, TIMEOUT)
 * with `type` as its last attempt's cause. `err` NULL: false. Any thread. Since 0.1 */
HG_API bool hg_error_is(const struct hg_error *err, hg_status type);

HG_END_DECLS
#endif
