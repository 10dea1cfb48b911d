/* The pool: many threads, few connections, every call under a policy and behind a breaker.
 *
 *     hg_pool *pool;
 *     redisReply *reply;
 *     struct hg_error err = HG_ERROR_INIT;
 *     if (hg_pool_open(&pool, NULL, policy, &err) < 0)
 *         return 1;
 *     if (hg_command(pool, &reply, &err, "HGET %s %s", "user:7", "name") < 0)
 *         fprintf(stderr, "%s\n", err.message);
 *     else if (reply->type == REDIS_REPLY_STRING)
 *         printf("%s\n", reply->str);
 *     freeReplyObject(reply);
 *     hg_pool_close(pool, -1, NULL);
 *
 * Callers wait for the pool and for replies, never for a connection to be made: threads of the pool
 * do that. No call outlives its deadline. A connection is with one thread at a time, and one that
 * may still owe a reply is never used again. A thread is not cancelled (pthread_cancel) inside a call
 * or a lease's command, but after it.
 *
 * In the child of a fork(), a pool starts empty: it makes connections and threads of its own when it is
 * first used, and leases of the parent are refused there. Threads of the parent are not disturbed.
 */
#ifndef HERDGATE_POOL_H
#define HERDGATE_POOL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include <herdgate/breaker.h>
#include <herdgate/error.h>
#include <herdgate/export.h>
#include <herdgate/policy.h>

struct cJSON;

HG_BEGIN_DECLS

typedef struct hg_pool hg_pool;
typedef struct hg_lease hg_lease; /* the right to one connection, for one thread at a time */

/* Whom to log in as. Comes filled with what the policy says. */
struct hg_credentials {
    size_t size;
    char username[128]; /* terminated; empty: the default user */
    char password[512]; /* terminated; empty: no AUTH */
};

/* Asked before each connection is made, so that credentials can be rotated: change what differs and
 * return HG_OK, or a failure (below 0), and the dial fails. When an answer is another one than the
 * last, connections that logged in before retire as they come back. Called on a thread of the pool,
 * several at a time, with no lock held; callers wait meanwhile, so let it be quick. */
typedef hg_status (*hg_credentials_fn)(void *arg, struct hg_credentials *credentials);

/* Why the pool closed a connection. */
typedef enum hg_retirement {
    HG_RETIRED_NONE = 0,      /* it did not */
    HG_RETIRED_FAILED = 1,    /* an exchange on it failed */
    HG_RETIRED_BY_SERVER = 2, /* the server had closed it */
    HG_RETIRED_UNCLEAN = 3,   /* something was left on it that nobody else may meet */
    HG_RETIRED_OUTDATED = 4,  /* made for another server, user or policy, or before a failover */
    HG_RETIRED_SURPLUS = 5,   /* the pool was made smaller, or suspended */
    HG_RETIRED_IDLE = 6,      /* not needed for pool.idle_timeout */
    HG_RETIRED_LIFETIME = 7,  /* older than pool.max_lifetime */
    HG_RETIRED_SILENT = 8,    /* it did not answer PING */
    HG_RETIRED_CLOSING = 9    /* the pool was closed */
} hg_retirement;

/* What happens to a pool. */
typedef enum hg_pool_event_kind {
    HG_EVENT_CONNECTED = 0,   /* a connection stands; elapsed_ns: the dial */
    HG_EVENT_DIAL_FAILED = 1, /* error; elapsed_ns: the dial; delay_ns: at least until the next */
    HG_EVENT_RETIRED = 2,     /* a connection was closed; retirement; elapsed_ns: its age */
    HG_EVENT_MENDED =
        3, /* one that came back unclean is clean again; elapsed_ns: how long it took */
    HG_EVENT_POOL_TIMEOUT = 4, /* a caller got no connection: error; elapsed_ns: its wait */
    HG_EVENT_BREAKER = 5,      /* breaker */
    HG_EVENT_SUSPENDED = 6,
    HG_EVENT_RESUMED = 7,
    HG_EVENT_RESIZED = 8,  /* by hg_pool_resize(); max_size */
    HG_EVENT_RELOADED = 9, /* another policy holds; max_size */
    HG_EVENT_CLOSED = 10   /* the last event: nothing of the pool is left */
} hg_pool_event_kind;

/* One of them. Pointers are borrowed for the length of the call; what a kind does not name is 0. */
struct hg_pool_event {
    size_t size;
    hg_pool_event_kind kind;
    uint32_t connection; /* of CONNECTED, RETIRED, MENDED: its number, from 1, like no other's */
    hg_retirement retirement; /* RETIRED: why */
    uint32_t max_size;        /* how many connections there may be */
    int64_t elapsed_ns;
    int64_t delay_ns;
    const struct hg_error *error;           /* DIAL_FAILED, POOL_TIMEOUT */
    const struct hg_breaker_event *breaker; /* BREAKER */
};

/* The event hook: for programs what the log hook is for people. Every event is told once. A connection
 * is CONNECTED before anybody gets it, and RETIRED once and later; the breaker's transitions come in
 * their order; between threads there is no other. In the child of a fork() the parent's connections
 * end unsaid, and the child's own are told there.
 *
 * Threads    the one it happens on: a caller's inside of a call, or one of the pool's; several at a time.
 *            No lock is held and the thread is not cancelled meanwhile.
 * Calls      may call everything but hg_pool_close() of this pool (in CLOSED: nothing of it), and is then
 *            called again from inside of itself for what that does. The threads of the pool make
 *            connections: a hook that waits for one on CONNECTED, DIAL_FAILED or MENDED may wait for its
 *            own thread, until its deadline. Be quick: the call, or the dial, waits for it. */
typedef void (*hg_pool_event_fn)(void *arg, const struct hg_pool_event *event);

/* What the policy file does not say. `struct hg_pool_options o = HG_POOL_OPTIONS_INIT;` */
struct hg_pool_options {
    size_t size;     /* sizeof(struct hg_pool_options); herdgate.h says why */
    const char *url; /* instead of the policy's server.url; copied; NULL: the policy's */
    /* What follows is borrowed until HG_EVENT_CLOSED: if hg_pool_close() gave up waiting, until the
     * last lease has been given back and the last dial has ended. */
    hg_breaker *breaker; /* share this one; NULL: its own */
    hg_log_fn log;       /* told of retries, breaker transitions, lost connections; may be NULL */
    void *log_arg;
    hg_credentials_fn credentials; /* instead of the policy's user and password; may be NULL */
    void *credentials_arg;
    hg_pool_event_fn event; /* told of what happens to the pool; may be NULL */
    void *event_arg;
};

/* How one call differs from what the policy says for it. Pointers are borrowed for the length of the
 * call. Zero means the default. `struct hg_call_options o = HG_CALL_OPTIONS_INIT;` */
struct hg_call_options {
    size_t size;               /* sizeof(struct hg_call_options); herdgate.h says why */
    const char *op_class;      /* NULL: by the command; for hg_call(): "write_once" */
    int64_t deadline_ns;       /* for the whole call, from its start; 0: the class's; < 0: none */
    const char *key;           /* for messages; NULL: the command's first key */
    uint32_t flags;            /* none yet: 0 */
    hg_condition_fn condition; /* of wait_and_retry; NULL: the pool asks the server with PING */
    void *condition_arg;
    struct hg_trace *trace; /* filled when the call returns; NULL: none */
};

#define HG_POOL_OPTIONS_INIT HG_INIT_STRUCT(hg_pool_options)
#define HG_CALL_OPTIONS_INIT HG_INIT_STRUCT(hg_call_options)

/* Open a pool. Never waits for the server: it opens also while the server is down, and connects when
 * it can.
 *
 * Ownership  *out is the caller's, for hg_pool_close(). The policy is retained.
 * Threads    any. Starts the pool's own threads, which block all signals.
 * Errors     HG_ERR_VALIDATION, HG_ERR_NO_MEMORY; *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_pool_open(hg_pool **out, const struct hg_pool_options *options,
                              hg_policy *policy, struct hg_error *err);

/* Close it: waiters are refused with HG_ERR_CLOSED, running calls may finish until the drain timeout
 * has passed (nanoseconds; < 0: the policy's pool.drain_timeout), then all connections are closed.
 *
 * No call may begin, or be about to, once this has returned: that is the caller's to see to, as
 * with anything that is freed. NULL does nothing and is HG_OK.
 * Errors     HG_ERR_TIMEOUT: leases were still out; the message says whose. Their connections are
 *            closed and the memory freed as they come back.
 * Threads    one. Blocks.
 * Since      0.1 */
HG_API hg_status hg_pool_close(hg_pool *pool, int64_t drain_timeout_ns, struct hg_error *err);

/* Exchange the policy of an open pool. Calls that run finish under the one they began under, calls
 * that begin after this has returned are under the new one. Nothing is lost and nothing starts anew:
 * breaker, retry budget, connections and the queue keep their state.
 *
 * A pool whose server, user, password, database or client name is another one replaces its
 * connections as they come back. What belongs to a connection (tcp_user_timeout, max_lifetime,
 * max_reply_bytes, max_reply_depth) holds for connections made from now on. A new max_size is that of hg_pool_resize().
 * The settings of a breaker that is the pool's own cannot be changed, nor those of hg_pool_options;
 * of a breaker that was given, the policy says nothing.
 *
 * Ownership  the policy is retained; the old one is dropped when no call is under it any more.
 * Threads    any. Does not block for calls or for the server.
 * Errors     HG_ERR_VALIDATION: NULL, or another breaker; HG_ERR_CLOSED, HG_ERR_NO_MEMORY. The pool
 *            is as it was.
 * Since      0.1 */
HG_API hg_status hg_pool_reload(hg_pool *pool, hg_policy *policy, struct hg_error *err);

/* Change pool.max_size until the next reload says it again. A larger pool connects as callers need
 * it; a smaller one closes what is idle at once, and what is leased as it comes back.
 *
 * Threads    any. Does not block.
 * Errors     HG_ERR_VALIDATION: not from 1 to 1,024; HG_ERR_CLOSED.
 * Since      0.1 */
HG_API hg_status hg_pool_resize(hg_pool *pool, uint32_t max_size, struct hg_error *err);

/* Give out no connection until hg_pool_resume(): while the server is moved or replaced. Callers wait,
 * as long as their deadlines let them. Leases that are out go on; connections close as they come
 * back, idle ones at once, and none is made. After resuming, new ones are. Suspending twice is
 * suspending once; closing a suspended pool is allowed.
 *
 * Threads    any. Does not block.
 * Errors     HG_ERR_CLOSED.
 * Since      0.1 */
HG_API hg_status hg_pool_suspend(hg_pool *pool, struct hg_error *err);
HG_API hg_status hg_pool_resume(hg_pool *pool, struct hg_error *err);

/* Run one command: everything done. The format is that of redisCommand(): %s a C string, %b a
 * pointer and a size_t.
 *
 * HG_OK      the server answered and not with an error. *reply is the answer; a nil reply is HG_OK
 *            too, with err->type HG_ERR_NOT_FOUND.
 * HG_IGNORED it failed and the policy says to go on: *reply is NULL, *err says what happened.
 * below 0    it failed: *reply is NULL. If err->outcome is UNKNOWN, a write may have run, or may
 *            still run later.
 *
 * Ownership  *reply is the caller's, for freeReplyObject(), which takes NULL too. reply NULL: it is
 *            thrown away.
 * Threads    any. Blocks until the deadline at the latest.
 * Errors     HG_ERR_VALIDATION also for a command that changes the connection (SELECT, MULTI, AUTH,
 *            SUBSCRIBE, ...): use hg_call() or hg_acquire() for these.
 * Since      0.1 */
HG_API hg_status hg_command(hg_pool *pool, redisReply **reply, struct hg_error *err,
                            const char *format, ...);
HG_API hg_status hg_vcommand(hg_pool *pool, redisReply **reply, struct hg_error *err,
                             const char *format, va_list arguments);
/* The same from a vector; lengths NULL: C strings. options NULL: none. */
HG_API hg_status hg_command_argv(hg_pool *pool, const struct hg_call_options *options,
                                 redisReply **reply, struct hg_error *err, int argc,
                                 const char **argv, const size_t *lengths);

/* The caller's own function, with a connection: for pipelines, transactions, scripts. Use the lease's
 * own commands below; return HG_OK, or what went wrong (the status, below 0, that a lease's command gave;
 * any other number is taken for HG_OK). */
typedef hg_status (*hg_call_fn)(hg_lease *lease, void *arg, struct hg_attempt *attempt);

/* Run it under the policy. It is run again only if nothing of what it sent can have run, unless its
 * class (options->op_class) says that it may, or it sets attempt->outcome itself.
 *
 * Ownership  the lease is the function's until it returns.
 * Threads    any. Blocks. Errors as for hg_command(), and what the function returned.
 * Since      0.1 */
HG_API hg_status hg_call(hg_pool *pool, const struct hg_call_options *options, hg_call_fn fn,
                         void *arg, struct hg_error *err);

/* Take a connection by hand, waiting until the deadline at most; give it back with hg_release().
 * One attempt, no retry. The breaker is asked here and told in hg_release().
 *
 * A thread that holds a lease and asks for another may wait for itself: when all connections are held
 * by threads that wait, the last of them is refused at once. A lease that was handed to another thread
 * is that thread's from its first use there.
 *
 * Ownership  *out is leased to the calling thread.
 * Threads    any. Blocks until the deadline at the latest.
 * Errors     HG_ERR_POOL_TIMEOUT (the message says who holds the connections), HG_ERR_CIRCUIT_OPEN,
 *            HG_ERR_CONNECTION, HG_ERR_CLOSED, HG_ERR_VALIDATION; *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_acquire(hg_pool *pool, hg_lease **out, const struct hg_call_options *options,
                            struct hg_error *err);

/* Give it back. how_it_went is what the breaker is told: HG_OK, or the failure. A connection that is
 * not clean meets nobody else: a transaction left open, watches, another database or user are undone by
 * the pool's own threads where the server knows RESET (Redis 6.2); after anything else (replies
 * outstanding, a subscription, the raw context used, a timeout) it is closed. NULL does nothing.
 *
 * A lease ends once. What is done with it afterwards is HG_ERR_VALIDATION; to release it again (or one
 * of hg_call(), which ends by itself) tells the log hook and aborts, or, in a library built with NDEBUG,
 * tells the log hook and does nothing.
 *
 * Ownership  the lease is the pool's again.
 * Threads    any, also another one than took it. Does not block.
 * Since      0.1 */
HG_API void hg_release(hg_lease *lease, hg_status how_it_went);

/* One command on the lease: sent, and its reply read, before the lease's deadline. A reply that is
 * an error is a failure, as for hg_command(). What changes the connection is allowed here. err->endpoint
 * says where; the message does not repeat it.
 *
 * Ownership  *reply is the caller's, for freeReplyObject(); reply NULL: it is thrown away. The rest is
 *            borrowed for the call.
 * Threads    the one that uses the lease: one at a time. Blocks until the class's attempt_timeout has
 *            passed (for a command that blocks, its own timeout and that), or the attempt of hg_call().
 * Errors     those of an attempt of hg_command(); HG_ERR_VALIDATION also: the lease has ended, an earlier
 *            command failed on it, or replies are outstanding. *reply is NULL.
 * Since      0.1 */
HG_API hg_status hg_lease_command(hg_lease *lease, redisReply **reply, struct hg_error *err,
                                  const char *format, ...);
HG_API hg_status hg_lease_vcommand(hg_lease *lease, redisReply **reply, struct hg_error *err,
                                   const char *format, va_list arguments);
HG_API hg_status hg_lease_command_argv(hg_lease *lease, redisReply **reply, struct hg_error *err,
                                       int argc, const char **argv, const size_t *lengths);

/* A pipeline: append commands, then read as many replies, in order. Appended commands are sent with
 * the first hg_lease_reply(), which has the time of one command; each further reply has its own.
 *
 * Ownership  and Threads as above; appending does not block, and copies the command.
 * Errors     as above; HG_ERR_NO_MEMORY, and nothing was appended; HG_ERR_VALIDATION also: no reply is
 *            outstanding.
 * Since      0.1 */
HG_API hg_status hg_lease_append(hg_lease *lease, struct hg_error *err, const char *format, ...);
HG_API hg_status hg_lease_append_argv(hg_lease *lease, struct hg_error *err, int argc,
                                      const char **argv, const size_t *lengths);
HG_API hg_status hg_lease_reply(hg_lease *lease, redisReply **reply, struct hg_error *err);

/* The raw connection: the way out of everything above. From then on the outcome is UNKNOWN and the
 * connection is closed when the lease is given back. Do not free it, and do not reconnect it.
 *
 * Built with hiredis 1.x, hiredis's own calls on it keep what ours do: no SIGPIPE, and one deadline however
 * bytes drip. Each command, and each further reply of a pipeline, may take the class's attempt_timeout, or
 * what redisSetTimeout() says (0: no limit), and none outlasts the attempt of hg_call(). What is late
 * fails with REDIS_ERR_TIMEOUT. Make it non-blocking, and it is hiredis's own again.
 *
 * Built with hiredis 0.14, each single wait of a read or a write ends after that time instead, so that
 * bytes that drip, and signals, stretch it; and SIGPIPE is the caller's own affair.
 *
 * NULL: the lease has ended. Since 0.1 */
HG_API redisContext *hg_lease_context(hg_lease *lease);

/* A cached JSON value: GET and parse. The caller links cJSON too (<cjson/cJSON.h>, -lcjson).
 *
 * Ownership  *out is the caller's, for cJSON_Delete().
 * Threads    any. Blocks until the deadline of reads at the latest.
 * Errors     HG_ERR_NOT_FOUND: a miss; HG_ERR_SERIALIZATION: the value is not JSON (or there was no memory
 *            to parse it), with the byte offset in the message; and those of hg_command(). *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_json_get(hg_pool *pool, const char *key, struct cJSON **out,
                             struct hg_error *err);

/* Print (without white space) and SET, with a time to live in nanoseconds, rounded up to 1 ms; 0: no
 * expiry.
 *
 * Ownership  the value is borrowed for the call.
 * Threads    any. Blocks until the deadline of writes at the latest.
 * Errors     HG_ERR_SERIALIZATION: it cannot be printed; HG_ERR_VALIDATION: ttl_ns below 0; and those of
 *            hg_command().
 * Since      0.1 */
HG_API hg_status hg_json_set(hg_pool *pool, const char *key, const struct cJSON *value,
                             int64_t ttl_ns, struct hg_error *err);

/* The names, in static storage, as in the metrics: "closed_by_server"; "pool_timeout". A number that is
 * none of the enum's gives "?". Any thread, async-signal-safe. Since 0.1 */
HG_API const char *hg_retirement_name(hg_retirement retirement);
HG_API const char *hg_pool_event_name(hg_pool_event_kind kind);

/* The pool's breaker, borrowed, valid until the pool is closed. NULL: it has none (breaker.enabled is
 * false), or pool is NULL; breaker.h says what takes that. Any thread. Since 0.1 */
HG_API hg_breaker *hg_pool_breaker(hg_pool *pool);

HG_END_DECLS
#endif
