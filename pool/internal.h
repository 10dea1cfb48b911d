/* The pool as its own files see it: slots, waiters, dialers, and who may write what.
 *
 * A slot is a place for one connection. Its state word says who owns the rest of it:
 *
 *   EMPTY    nobody; a dialer takes it under the pool's mutex         -> DIALING
 *   DIALING  the dialer that took it                                  -> LEASED (then given back), EMPTY
 *   FREE     nobody; whoever moves it by CAS owns it                  -> LEASED, KEEPER
 *   LEASED   the thread that took it, or was handed it                -> FREE, LEASED (handed on), EMPTY,
 *                                                                        SPOILED
 *   SPOILED  nobody; a dialer takes it under the pool's mutex to mend -> MENDING
 *   MENDING  the dialer that took it                                  -> FREE, LEASED (handed on), EMPTY
 *   KEEPER   the keeper, looking after its connection                 -> FREE, LEASED (handed on), EMPTY,
 *                                                                        SPOILED
 *
 * So a connection is with one thread at a time, and a permit to use it IS the slot.
 */
#ifndef HERDGATE_POOL_INTERNAL_H
#define HERDGATE_POOL_INTERNAL_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/pool.h>
#include <herdgate/stats.h>

#include "policy/budget.h"
#include "policy/gate.h"
#include "policy/run.h"
#include "policy/settings.h"
#include "pool/cancel.h"
#include "pool/conn.h"
#include "pool/fork.h"
#include "pool/hooks.h"
#include "pool/tally.h"
#include "pool/usage.h"

enum { HGI_CACHE_LINE = 64, HGI_CALL_STRIPES = 16, HGI_CONNECTING_MAX = 64 };

enum hgi_slot_state {
    HGI_SLOT_EMPTY,
    HGI_SLOT_DIALING,
    HGI_SLOT_FREE,
    HGI_SLOT_LEASED,
    HGI_SLOT_SPOILED,
    HGI_SLOT_MENDING,
    HGI_SLOT_KEEPER
};

/* What a lease is: the right to one slot, and what was done with it. Lives in its slot. */
struct hg_lease {
    hg_pool *pool;
    struct hgi_slot *slot;
    struct hgi_snapshot *snapshot; /* the policy that the call began under */
    const struct hgi_class *op_class;
    int64_t began_ns;
    int64_t deadline_ns;      /* of the attempt; HGI_NEVER: each command has its attempt_timeout */
    bool full;                /* that deadline is all that the policy allows for an attempt */
    int64_t call_deadline_ns; /* of the call, for commands that block */
    hg_permit permit;
    bool by_hand;               /* from hg_acquire(): hg_release() tells the breaker */
    uint32_t frames;            /* commands whose last byte left */
    bool failed;                /* a command failed: `verdict` says how */
    struct hg_error *record;    /* of the attempt, or NULL */
    struct hgi_verdict verdict; /* last: no line that a success touches */
};

/* Counters of a slot: written by its owner only, read by anyone; each alone is right, so relaxed. */
struct hgi_slot_counters {
    _Atomic uint64_t acquired;
    _Atomic uint64_t attempts;
    _Atomic uint64_t failures;
};

struct hgi_slot {
    /* The line that takers touch. `state` is written by its owner, or by CAS from FREE. */
    _Alignas(HGI_CACHE_LINE) _Atomic uint32_t state;
    _Atomic uint32_t hung_up;  /* id of the connection the server closed; written by the keeper */
    struct hgi_conn *conn;     /* the owner's; NULL when EMPTY or DIALING */
    _Atomic int64_t leased_ns; /* since when; written by the holder */
    _Atomic int32_t holder;    /* its thread id; written by the holder, 0: not leased */
    int64_t warned_ns;         /* the lease of then was warned of; the keeper's */
    hgi_descriptor_note descriptor; /* of the connection, also while it is being made */
    int32_t stuck;      /* the thread that holds it and waits for another; the pool's mutex */
    bool inherited;     /* the parent process's; nothing here is ours */
    _Atomic bool waits; /* in the server, as its command says; written by the holder */
    _Atomic uint32_t lease_number;  /* of the lease that is, or is next; written by the holder */
    _Atomic int64_t usual_lease_ns; /* moving average of how long leases last; the holder's */
    struct hgi_slot_counters counters;
    struct hg_lease lease;
};

/* Why a waiter was woken. The word is a futex. */
enum hgi_wake {
    HGI_WAKE_NOT_YET,
    HGI_WAKE_LOOK, /* for a free slot; the waiter stays in the queue */
    HGI_WAKE_GRANTED,
    HGI_WAKE_DIAL_FAILED,
    HGI_WAKE_BREAKER,
    HGI_WAKE_CLOSED,
    HGI_WAKE_LEFT /* the waiter itself left */
};

/* A caller in the queue, on a line of its own. */
struct hgi_waiter {
    /* enum hgi_wake; written by its waiter, by who asks it to look, and once by who answers it */
    _Alignas(HGI_CACHE_LINE) _Atomic uint32_t word;
    bool is_probe;
    int32_t holds;          /* its thread, if that holds a connection of the pool; see deadlock.c */
    int64_t strict_from_ns; /* from then on nobody may overtake it */
    struct hgi_slot *slot;  /* GRANTED: written before the word */
    struct hgi_waiter *next; /* in the queue: the pool's mutex; or among the spare ones */
    struct hgi_waiter *previous;
    struct hgi_waiter *older; /* all nodes of the pool, for its end */
};

struct hgi_call_stripe {
    _Alignas(HGI_CACHE_LINE) _Atomic int64_t running; /* written by the calling threads */
};

/* A policy as the pool lives under it, and the calls that began under it; see reload.c. Belongs to its
 * pool until that is freed, so that a thread may count itself in before it knows that it is too late;
 * what it says of a policy changes only while nobody is counted. */
struct hgi_snapshot {
    hg_policy
        *policy; /* retained; NULL: nobody's, to be used again; these four: the pool's mutex */
    const struct hgi_settings *settings;
    const struct hgi_endpoint
        *endpoint;              /* the policy's, or the one given when the pool was opened */
    struct hgi_snapshot *older; /* all of the pool */
    struct hgi_call_stripe calls[HGI_CALL_STRIPES];
};

/* May calls begin? */
enum hgi_openness {
    HGI_OPEN,
    HGI_CLOSING,
    HGI_FORKED /* a child's copy that nobody has used yet: the first call revives it */
};

enum { HGI_BREAKER_STATES = HG_BREAKER_DISABLED + 1 };

/* What happens rarely enough for a shared line. */
struct hgi_pool_counters {
    _Atomic uint64_t queued, handed, pool_timeouts, retries, ignored, budget_refused,
        breaker_refused;
    _Atomic uint64_t dials, dial_failures, closed_by_server, closed_unclean, mended;
    _Atomic uint64_t transitions[HGI_BREAKER_STATES]; /* of the breaker, by the new state */
    _Atomic uint64_t retired[HGI_RETIRED_REASONS];
    struct hgi_histogram dial_time;
};

struct hg_pool {
    /* Read by every call, written only while opening, reloading, resizing and closing. */
    _Atomic(struct hgi_snapshot *) current; /* the policy of today; written under the mutex */
    hg_breaker *breaker;                    /* NULL: switched off */
    bool own_breaker;
    hg_log_fn log;
    void *log_arg;
    hg_pool_event_fn event; /* or NULL */
    void *event_arg;
    _Atomic uint32_t size;  /* slots in use are below it; written under the mutex */
    struct hgi_slot *slots; /* HGI_POOL_SIZE_MAX of them, memory only for those once reached */
    hg_credentials_fn credentials; /* or NULL */
    void *credentials_arg;
    struct hg_budget *budget;
    struct hgi_gate gate;
    _Atomic uint32_t closing; /* enum hgi_openness; written by close and by the child of a fork */
    _Atomic uint32_t epoch;   /* connections of an earlier one retire; written by any caller */
    _Atomic bool cannot_mend; /* the server has no RESET; written by the dialers */
    _Atomic bool no_info;     /* it does not know CLIENT SETINFO; the same */

    /* Written whenever somebody has to wait. */
    _Alignas(HGI_CACHE_LINE) _Atomic uint32_t waiting; /* length of the queue; under the mutex */
    _Atomic uint32_t asked;             /* 1: a waiter was asked to look; set under the mutex */
    _Atomic int64_t strict_from_ns;     /* of the first waiter; HGI_NEVER: none; under the mutex */
    _Atomic(struct hgi_waiter *) spare; /* pushed by any thread, popped under the mutex */
    pthread_mutex_t mutex;              /* guards all that follows up to `keeper` */
    struct hgi_waiter *first;
    struct hgi_waiter *last;
    struct hgi_waiter *all;
    struct hgi_snapshot *snapshots;
    uint32_t wanted_size; /* what `size` is while the pool is not suspended */
    bool suspended;       /* `size` is 0: nothing is given out, nothing is dialled */
    struct hg_credentials *last_credentials; /* what the callback gave; NULL: not asked yet */
    _Atomic uint32_t reached;   /* the largest size so far: slots from here on were never used */
    pthread_cond_t dial_wanted; /* dialers wait here */
    pthread_cond_t quiet_now;   /* close waits here for `quiet` */
    uint32_t connected;         /* slots neither EMPTY nor DIALING */
    uint32_t dialing;
    uint32_t spoiled; /* slots that are SPOILED */
    uint32_t next_conn_id;
    uint32_t dial_failures_in_a_row;
    uint32_t slow_start; /* dials at once after a failure; 0: as many as the policy says */
    int64_t dial_not_before_ns;
    int64_t last_dial_took_ns;
    bool dial_urgent;                /* a probe of the breaker waits: dial now */
    struct hgi_verdict dial_verdict; /* of the last failed dial */
    char dial_text[160];
    int dial_errno;
    bool quiet;     /* no call, lease or dialer any more */
    bool abandoned; /* close gave up waiting: the keeper frees the pool */

    pthread_mutex_t changing; /* one reload at a time; guards the dialers; taken before `mutex` */
    void *slots_memory;
    bool parts_are_own; /* in a child: slots and snapshots are not the parent's any more */
    bool has_threads;
    struct hgi_inherited *inherited; /* what is the parent's */
    hg_pool *next_pool;              /* of the process; the registry's mutex in fork.c */
    bool has_endpoint;               /* `endpoint` was given when it was opened, and stays */
    struct hgi_endpoint endpoint;
    pthread_t keeper;
    pthread_t dialers[HGI_CONNECTING_MAX];
    uint32_t dialer_count;
    struct hgi_usage usage; /* the keeper's */
    int epoll_fd;
    int wake_fd; /* eventfd: wakes the keeper */

    struct hgi_pool_counters counters;
    struct hgi_tally *tallies; /* HGI_TALLIES of them */
    void *tallies_memory;
};

/* --- reload.c: the policy of today, and calls under it --- */

/* Add a snapshot of a policy (retained) and make it the current one. With the mutex held, or before
 * the pool has threads. False: out of memory. */
bool hgi_snapshot_publish(hg_pool *pool, hg_policy *policy);

/* Let go of policies that no call is under any more. */
void hgi_snapshots_collect(hg_pool *pool);

/* A call begins: *out is the snapshot that it is counted in, valid until it leaves. Not HG_OK: CLOSED,
 * or why a child's pool cannot be used, and the call is not counted. A lease taken by hand counts as a
 * call until it is released, on whatever thread. */
hg_status hgi_call_enter(hg_pool *pool, struct hgi_snapshot **out, struct hg_error *err);
void hgi_call_leave(struct hgi_snapshot *snapshot);

/* True when no call is running and no lease is out, once the pool is closing. With the mutex held. */
bool hgi_nobody_inside(const hg_pool *pool);

/* The current snapshot, with the mutex held and until it is given up. */
static inline const struct hgi_snapshot *hgi_snapshot_now(const hg_pool *pool)
{
    /* relaxed: written under the mutex that is held. */
    return atomic_load_explicit(&pool->current, memory_order_relaxed);
}

/* Free a list of snapshots that no thread knows of. */
void hgi_snapshots_free(struct hgi_snapshot *snapshots);

/* The current policy, retained: for the pool's own threads, which are no calls. */
hg_policy *hgi_policy_hold(hg_pool *pool);

/* Change the number of connections; while the pool is suspended, what it will be. Mutex held. */
void hgi_resize(hg_pool *pool, uint32_t size);
void hgi_resize_now(hg_pool *pool); /* ... to what it is said to be */

/* How many slots may be in use, and how many may have been. relaxed: a slot that is looked at once too
 * often, or once too late, is in a state that says so. */
static inline uint32_t hgi_size_now(const hg_pool *pool)
{
    return atomic_load_explicit(&pool->size, memory_order_relaxed);
}

static inline uint32_t hgi_size_reached(const hg_pool *pool)
{
    return atomic_load_explicit(&pool->reached, memory_order_relaxed);
}

/* --- take.c, slots.c, queue.c: connections to callers and back --- */

/* What a caller wants, and what it got. Small: it is cleared for every call. */
struct hgi_take {
    const struct hgi_settings *settings;
    int64_t now_ns;              /* the time; afterwards: when the connection was had */
    int64_t deadline_ns;         /* of the call */
    struct hgi_verdict *verdict; /* the caller's, or NULL; filled if a dial failed */
    bool is_probe;
    bool dial_failed;      /* so it is no refusal of the pool's own, which is not tried again */
    struct hgi_slot *slot; /* the connection, on HG_OK */
    int64_t queued_ns;     /* from when on it was in the queue; 0: it never was */
    int64_t queue_ns;
    int64_t dial_ns;
};

/* Take a connection, waiting in the queue until the deadline. HG_OK, or the status with *err filled:
 * CONNECTION and others of a failed dial, POOL_TIMEOUT, CIRCUIT_OPEN, CLOSED, NO_MEMORY. */
hg_status hgi_take(hg_pool *pool, struct hgi_take *take, struct hg_error *err);

/* Give a slot back that the caller owns: on to the first waiter or to FREE, as take.c says; or, if its
 * connection is not fit for the next user, closed and EMPTY. now_ns may be a little old. */
void hgi_give(hg_pool *pool, struct hgi_slot *slot, int64_t now_ns);

/* The same for one that was just dialled: no thread that runs has it at hand, so it goes to the first
 * waiter, whatever the fairness. */
void hgi_give_new(hg_pool *pool, struct hgi_slot *slot);

/* Whoever ended a waiter that had been asked to look sees to it that free slots find those who wait. */
void hgi_serve_queue(hg_pool *pool);

/* Close the connection of a slot that the caller owns. */
void hgi_discard(hg_pool *pool, struct hgi_slot *slot);

/* True if the connection of an owned slot may be used by the next caller now. */
bool hgi_slot_is_fit(const hg_pool *pool, const struct hgi_slot *slot);

/* Wake everybody in the queue with `why`. When the breaker opened, its probes stay: they are how it
 * learns. Takes the mutex. */
void hgi_wake_all(hg_pool *pool, enum hgi_wake why);

/* The calling thread's number in the system; it is another one in the child of a fork. */
int32_t hgi_thread_id(void);
void hgi_thread_id_forget(void);

/* In the child of a fork: nobody waits any more. */
void hgi_queue_forget(hg_pool *pool);

/* --- threads.c, keeper.c, dialer.c: the pool's own threads --- */

/* Start the keeper and the dialers. On failure all are gone again. */
hg_status hgi_threads_start(hg_pool *pool, uint32_t dialers, struct hg_error *err);

/* Have at least so many dialers. With `changing` held. */
hg_status hgi_dialers_start(hg_pool *pool, uint32_t dialers, struct hg_error *err);

/* Shut the door: no new call, all who wait are told, dialers and keeper end. */
void hgi_threads_stop(hg_pool *pool);

/* With the mutex held: should another dial begin, the back-off aside? */
bool hgi_dial_is_wanted(const hg_pool *pool);

void *hgi_dialer_main(void *argument);
void *hgi_keeper_main(void *argument);

/* Have the keeper watch a new connection for the server's end of it. */
void hgi_keeper_watch(hg_pool *pool, const struct hgi_slot *slot);

/* Make the keeper look around now. */
void hgi_keeper_wake(hg_pool *pool);

/* --- credentials.c --- */

/* Put the user's own credentials of today into *endpoint. Others than last time: *epoch, that of the
 * dial, and the pool's move on. False: none are to be had, and `text` says so. */
bool hgi_credentials_ask(hg_pool *pool, struct hgi_endpoint *endpoint, uint32_t *epoch, char *text,
                         size_t size);

/* --- open.c --- */

/* Slots for the largest pool, empty, in memory to be freed; NULL: there is none. */
struct hgi_slot *hgi_slots_allocate(void **memory);

/* The keeper's own descriptors. */
hg_status hgi_descriptors_open(hg_pool *pool, struct hg_error *err);
void hgi_descriptors_close(hg_pool *pool);

int hgi_cond_init(pthread_cond_t *cond); /* with the monotonic clock; 0 or an errno */

/* Free what is left of a pool that nobody uses. */
void hgi_pool_free(hg_pool *pool);

/* One increment by the only writer of a counter: no locked instruction. */
static inline void hgi_bump(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* One increment by any thread. relaxed: a number for people, nothing hangs on it. */
static inline void hgi_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
