/* A circuit breaker: lock-free, one 64-bit word of state, shared by all threads of a process, or by all
 * processes of a user on a host.
 *
 *     hg_breaker *breaker;
 *     hg_permit permit;
 *     if (hg_breaker_new(&breaker, NULL, NULL) < 0)
 *         return 1;
 *     if (hg_breaker_admit(breaker, &permit)) {
 *         int64_t began_ns = now_ns();
 *         bool well = talk_to_the_server();
 *         hg_breaker_report(breaker, permit, well ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE,
 *                           now_ns() - began_ns);
 *     }
 *     hg_breaker_free(breaker);
 *
 * Closed: calls pass, failures are counted. Open: calls are refused until the recovery timeout has
 * passed. Half-open: a few probes pass; enough successes close the breaker, one failure opens it
 * again, for longer. Pools and hg_run() use a breaker by themselves; this header is for those who
 * guard something else, share one between pools, or watch it.
 *
 * What looks at a breaker or operates it, and hg_breaker_free(), takes NULL too, as it comes from
 * hg_pool_breaker() where the policy has no breaker: that is one that is disabled and stays so. Admitting,
 * reporting and reading the options need one.
 */
#ifndef HERDGATE_BREAKER_H
#define HERDGATE_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/error.h>
#include <herdgate/export.h>

HG_BEGIN_DECLS

typedef struct hg_breaker hg_breaker;

typedef enum hg_breaker_state {
    HG_BREAKER_CLOSED = 0,
    HG_BREAKER_OPEN = 1,
    HG_BREAKER_HALF_OPEN = 2,
    HG_BREAKER_FORCED_OPEN = 3,   /* by an operator: refuses until told otherwise */
    HG_BREAKER_FORCED_CLOSED = 4, /* by an operator: admits all, counts, never trips */
    HG_BREAKER_DISABLED = 5       /* admits all and only counts */
} hg_breaker_state;

/* How an admitted call went, as far as the health of the server is concerned. */
typedef enum hg_result { HG_RESULT_SUCCESS = 0, HG_RESULT_FAILURE = 1 } hg_result;

/* The right to make one call. A plain value, copied freely; it counts once: give each permit to
 * hg_breaker_report() or hg_breaker_cancel(), once, on any thread. One that never comes back does
 * no harm: a probe's place is freed when its lease ends. */
typedef struct hg_permit {
    uint64_t opaque;
} hg_permit;

/* What hg_breaker_open_shared() does when the breaker is there with other settings than it was given. */
typedef enum hg_mismatch {
    HG_MISMATCH_ADOPT = 0, /* go on with those that are there; err->message says which differ */
    HG_MISMATCH_REFUSE = 1 /* fail with HG_ERR_VALIDATION */
} hg_mismatch;

/* Settings. Durations are nanoseconds. Start from HG_BREAKER_OPTIONS_INIT and change what you need.
 * hg_breaker_new() refuses what cannot work, with a message that names the field and its limits. */
struct hg_breaker_options {
    size_t size;                  /* sizeof(struct hg_breaker_options); herdgate.h says why */
    uint32_t failure_threshold;   /* failures in a row that open it; 0: only the window does */
    uint32_t half_open_max_calls; /* probes admitted while half-open */
    uint32_t success_threshold;   /* successful probes that close it; <= half_open_max_calls */
    int64_t recovery_timeout_ns;  /* the first open period, before jitter */
    double recovery_multiplier;   /* each opening in a row lasts this much longer; 1: no longer */
    int64_t recovery_timeout_max_ns; /* and no longer than this */
    double recovery_jitter;      /* a period is uniform in (1 - this) to 1 of its length; 0 to 1 */
    int64_t probe_lease_ns;      /* half-open with no result for this long: open again */
    uint64_t seed;               /* of the jitter; 0: taken from the process and the time */
    int64_t window_length_ns;    /* rates are taken over this long; 0: no window */
    uint32_t window_min_calls;   /* no rate is judged on fewer calls */
    double window_failure_rate;  /* this share of failed calls opens it; above 0 to 1 */
    int64_t window_slow_call_ns; /* a call that took this long or longer is slow; 0: none is */
    double window_slow_rate;     /* this share of slow calls opens it; above 0 to 1 */
    bool count_calls;            /* count also what costs nothing else: calls while closed */
    hg_mismatch on_mismatch;     /* for hg_breaker_open_shared() alone */
};

#define HG_BREAKER_OPTIONS_DEFAULTS                                                             \
    sizeof(struct hg_breaker_options), 5, 3, 2, INT64_C(1000000000), 2.0, INT64_C(10000000000), \
        0.2, INT64_C(5000000000), 0, 0, 20, 0.5, INT64_C(200000000), 1.0, false, HG_MISMATCH_ADOPT
#ifdef __cplusplus
#define HG_BREAKER_OPTIONS_INIT     \
    hg_breaker_options              \
    {                               \
        HG_BREAKER_OPTIONS_DEFAULTS \
    }
#else
#define HG_BREAKER_OPTIONS_INIT     \
    {                               \
        HG_BREAKER_OPTIONS_DEFAULTS \
    }
#endif

/* What it is and has done. The state, and all down to retry_after_ns, are of one moment and what the next
 * admit would meet: `generation` is that of `state`, though it may begin only with that admit. Counters
 * only grow and are exact once the threads are at rest. */
struct hg_breaker_snapshot {
    size_t size; /* sizeof(struct hg_breaker_snapshot), set before the call; then what was filled */
    hg_breaker_state state;
    uint32_t generation; /* grows by one with each transition, modulo 65,536 */
    uint32_t streak;     /* openings since it was last closed */
    uint32_t failures_in_a_row;
    uint32_t probes_issued; /* of this half-open period */
    uint32_t probes_succeeded;
    int64_t retry_after_ns; /* open: until the first probe may pass; else 0 */
    uint64_t admitted; /* 0, as are succeeded and slow, unless options.count_calls is set, there is
                               a window, or the breaker is shared */
    uint64_t refused;
    uint64_t succeeded;
    uint64_t failed;
    uint64_t slow;
    uint64_t late; /* results of an earlier generation, which changed nothing */
    uint64_t cancelled;
    uint64_t probes;
    uint64_t transitions;
    uint64_t opened;
};

/* One transition. `generation` is the one that began with it. */
struct hg_breaker_event {
    size_t size;
    hg_breaker_state from;
    hg_breaker_state to;
    uint32_t generation;
    int64_t at_ns;          /* CLOCK_MONOTONIC */
    int64_t retry_after_ns; /* to == OPEN: the length of the open period */
    uint32_t missed; /* transitions just before this one that could not be told: made by other
                               processes, or there was no memory for them */
    bool elsewhere; /* made by another process that shares the breaker, or by its being unlinked and
                               made anew; at_ns: seen here; `from`: the last that was told */
};

/* Called once for each transition, in order, on the thread that made it or on another one that is in
 * this breaker at that moment; with no lock held: it may call any function of the breaker. The thread is
 * not cancelled (pthread_cancel) in it. */
typedef void (*hg_breaker_listener_fn)(void *arg, const struct hg_breaker_event *event);

/* Make a breaker; options NULL: the defaults.
 *
 * Ownership  *out is the caller's, for hg_breaker_free(); options are copied.
 * Threads    any. Does not block.
 * Errors     HG_ERR_VALIDATION (the message names the field), HG_ERR_NO_MEMORY; *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_breaker_new(hg_breaker **out, const struct hg_breaker_options *options,
                                struct hg_error *err);

/* Open a breaker that all processes of this user on this host share: make it, or attach to the one that
 * is there. It is the file herdgate.NAME in the shared-memory file system (/dev/shm), mode 0600, of one
 * page; name "/orders" is herdgate.orders. It stays when its processes end, until it is unlinked or the
 * host restarts.
 *
 * The first one's settings hold for all. Who comes with others adopts them and is told (status HG_OK,
 * err->message not empty), or is refused; see options->on_mismatch. hg_breaker_read_options() gives those
 * that hold.
 *
 * No lock lies in the memory: a process that is killed anywhere holds nobody up; a probe that it had is
 * given back by the probe lease. Everything works on it as on any breaker, calls are always counted, for
 * all processes together, and listeners hear also what other processes do, when this one next uses the
 * breaker: `elsewhere` is set, and `missed` counts what could not be told.
 *
 * Once it is unlinked (hg_breaker_unlink_shared()), each process opens the name again by itself, at its
 * next call, and makes it anew if need be, with the settings it gave here; what others made meanwhile is
 * adopted. A result of a call that began before is late there, but by a chance of 1 in 65,536. Works on
 * across fork(). Who writes to the file, truncates or removes it by other means breaks it for all.
 *
 * Ownership  *out is the caller's, for hg_breaker_free(), which leaves the breaker to the others; name
 *            and options are copied.
 * Threads    any. Does not block but for the file system and, at most 5 s, for another one who removes
 *            the name.
 * Errors     HG_ERR_VALIDATION: the name, an option, or the file: another user's, another mode, not a
 *            breaker, damaged, another version's, of another time namespace. HG_ERR_NO_MEMORY: no memory,
 *            or the file system is full (err->sys_errno is ENOSPC). HG_ERR_TIMEOUT: another one
 *            has been removing it for 5 s, or others make and remove it all the time. *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_breaker_open_shared(hg_breaker **out, const char *name,
                                        const struct hg_breaker_options *options,
                                        struct hg_error *err);

/* Attach to a shared breaker that is there, whatever its settings, and never make one: for who looks on
 * or operates. After an unlink it waits for others to make it anew.
 *
 * Ownership  as above.
 * Errors     HG_ERR_NOT_FOUND: there is none; the others as above; *out is NULL.
 * Since      0.1 */
HG_API hg_status hg_breaker_attach_shared(hg_breaker **out, const char *name, struct hg_error *err);

/* Retire a shared breaker and remove its name. Processes that have it open go over to a new one.
 *
 * Threads    any. Waits at most 5 s for another one who removes it.
 * Errors     HG_ERR_NOT_FOUND: there is none; the others as above.
 * Since      0.1 */
HG_API hg_status hg_breaker_unlink_shared(const char *name, struct hg_error *err);

/* Free a breaker that nobody uses any more, nor a listener of it is inside of. NULL does nothing. One
 * thread. Since 0.1 */
HG_API void hg_breaker_free(hg_breaker *breaker);

/* Ask to make a call. True: make it, then report or cancel the permit. False: do not make it;
 * *permit is not to be reported.
 *
 * Threads    any, also a listener's. Lock-free, and no system call (the clock is read through the
 *            vDSO), but for two rare calls: that which makes a transition and tells the listeners of it,
 *            and that which opens a shared breaker again that was unlinked. Not async-signal-safe; all
 *            this holds for hg_breaker_cancel() and the two that report, too.
 * Since      0.1 */
HG_API bool hg_breaker_admit(hg_breaker *breaker, hg_permit *permit);

/* The call never went out: give the permit back. A probe's place is free again. Any thread. Since 0.1 */
HG_API void hg_breaker_cancel(hg_breaker *breaker, hg_permit permit);

/* Say how the call went and how long it took, in nanoseconds (0: not measured, never slow). Late
 * results, of a generation that has ended, change nothing. Neither does one of a call so long that the
 * generation, of 16 bits, could have come round: 21,000 times the shortest open period, which is more
 * than four hours by default and nearly three minutes at the least; of a call that was not measured this
 * is not seen. Any thread. Since 0.1 */
HG_API void hg_breaker_report(hg_breaker *breaker, hg_permit permit, hg_result result,
                              int64_t elapsed_ns);

/* The same, with the times at which the call began and ended, CLOCK_MONOTONIC in nanoseconds: whoever
 * has them anyway spares a breaker with a window a reading of the clock. Times of another clock make
 * the window worthless, and nothing else. Any thread. Since 0.1 */
HG_API void hg_breaker_report_times(hg_breaker *breaker, hg_permit permit, hg_result result,
                                    int64_t began_ns, int64_t ended_ns);

/* The state now: what the next admit would meet. Any thread. Since 0.1 */
HG_API hg_breaker_state hg_breaker_state_now(hg_breaker *breaker);

/* The state's name: "closed", "open", "half-open", "forced open", "forced closed", "disabled". */
HG_API const char *hg_breaker_state_name(hg_breaker_state state);

/* Open: how long until a probe may pass, in nanoseconds, at least 1. Otherwise 0. Any thread. Since 0.1 */
HG_API int64_t hg_breaker_retry_after(hg_breaker *breaker);

/* Fill *snapshot, as much of it as snapshot->size says. Any thread. Since 0.1 */
HG_API void hg_breaker_take_snapshot(hg_breaker *breaker, struct hg_breaker_snapshot *snapshot);

/* Fill *options, as much of it as options->size says, with the settings that hold: defaults filled in, and
 * for a shared breaker those of the segment. Any thread. Since 0.1 */
HG_API void hg_breaker_read_options(hg_breaker *breaker, struct hg_breaker_options *options);

/* Open it now, as if it had counted enough failures: for a failure that leaves no doubt. Does nothing
 * unless it is closed or half-open. Any thread. Since 0.1 */
HG_API void hg_breaker_trip(hg_breaker *breaker);

/* An operator's handles. reset closes it and forgets the streak, also after force and disable. On a
 * shared breaker that is unlinked at that moment a command may be lost: it goes with the old one, or
 * changes nothing while there is no new one. Whoever must be sure looks at the state afterwards. Any
 * thread. Since 0.1 */
HG_API void hg_breaker_force_open(hg_breaker *breaker);
HG_API void hg_breaker_force_close(hg_breaker *breaker);
HG_API void hg_breaker_disable(hg_breaker *breaker);
HG_API void hg_breaker_reset(hg_breaker *breaker);

/* Add a listener; at most 8. There is no order between listeners of one breaker.
 *
 * Ownership  arg is borrowed until hg_breaker_unlisten() or hg_breaker_free().
 * Threads    any, also a listener's. Blocks for others who add or remove one.
 * Errors     HG_ERR_VALIDATION: no breaker, a NULL function, or all places taken.
 * Since      0.1 */
HG_API hg_status hg_breaker_listen(hg_breaker *breaker, hg_breaker_listener_fn fn, void *arg,
                                   struct hg_error *err);

/* Remove it; what was never added is none. When this returns, no call of fn with arg is running or will
 * begin, but for one that the calling thread itself is inside of.
 *
 * Threads    any, also a listener's. Blocks for as long as fn takes that is running.
 * Since      0.1 */
HG_API void hg_breaker_unlisten(hg_breaker *breaker, hg_breaker_listener_fn fn, void *arg);

HG_END_DECLS
#endif
