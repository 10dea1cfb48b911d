/* The way of a transition to the listeners: each once, in order of generation, with no lock held.
 *
 * hgi_events_begin() comes before the exchange that may make a transition, hgi_events_end() after it,
 * whether it did or not. A transition that another process made is found in the word of a shared
 * breaker, between the same two.
 *
 * Generations have 16 bits and come round; `order` is the generation drawn out to 64 bits, which only
 * this process keeps: its low 16 bits are the generation, and it only grows.
 */
#ifndef HERDGATE_BREAKER_EVENTS_H
#define HERDGATE_BREAKER_EVENTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/breaker.h>

enum { HGI_LISTENERS_MAX = 8 };

/* One transition on its way. */
struct hgi_event_node {
    struct hgi_event_node *next;
    uint64_t order;
    bool anew; /* nothing of its segment was told before: what lies between is no gap */
    struct hg_breaker_event event;
};

/* A listener's place. */
struct hgi_listener {
    _Atomic uint32_t state; /* enum place in events.c; written under `mutex` and by unlisten */
    _Atomic uint32_t busy;  /* written by the thread that delivers: it is inside fn */
    hg_breaker_listener_fn fn;
    void *arg;
};

struct hgi_events {
    _Atomic(struct hgi_event_node *)
        pushed;              /* written by makers (push) and by who delivers (take) */
    _Atomic uint32_t makers; /* written by threads between begin and end: their count */
    _Atomic uint32_t work;   /* written by threads that ask for delivery; not 0: someone delivers */
    _Atomic uint64_t seen;   /* written by makers and finders: the highest order on its way */
    _Atomic uintptr_t deliverer; /* written by who delivers: its thread's mark */
    /* Of the thread that delivers; handed on through `work`. */
    struct hgi_event_node *pending; /* by order, one's own before another process's */
    uint64_t last_order;
    hg_breaker_state last_state;
    struct hgi_listener listeners[HGI_LISTENERS_MAX];
    pthread_mutex_t mutex; /* guards the places against two who add or remove at once */
};

/* `generation`, `state`: where the breaker is now. */
hg_status hgi_events_init(struct hgi_events *events, uint32_t generation, hg_breaker_state state,
                          struct hg_error *err);
void hgi_events_destroy(struct hgi_events *events);

/* In a child of a fork: nobody makes, delivers or hears a transition now. Listeners stay. */
void hgi_events_forget_threads(struct hgi_events *events, uint32_t generation,
                               hg_breaker_state state);

/* A node for a transition that may come; NULL: out of memory, the event will be marked as missed. */
struct hgi_event_node *hgi_events_begin(struct hgi_events *events);

/* The order of a generation that is `seen` or later; `seen` was loaded before the word. */
static inline uint64_t hgi_events_order(uint64_t seen, uint32_t generation)
{
    return seen + ((generation - seen) & UINT16_MAX);
}

/* `seen`, for hgi_events_order(). */
uint64_t hgi_events_seen(struct hgi_events *events);

/* A transition of this order was made here: nobody need look for it in the word. */
void hgi_events_made(struct hgi_events *events, uint64_t order);

/* Take a transition on that was found in the word. False: *seen is another one now; look again. */
bool hgi_events_found(struct hgi_events *events, uint64_t *seen, uint64_t order);

/* The transition was made: node's event is filled; or it was not: made is false. Then deliver what
 * can be delivered, unless another thread is at it. */
void hgi_events_end(struct hgi_events *events, struct hgi_event_node *node, bool made);

hg_status hgi_events_listen(struct hgi_events *events, hg_breaker_listener_fn fn, void *arg,
                            struct hg_error *err);
void hgi_events_unlisten(struct hgi_events *events, hg_breaker_listener_fn fn, void *arg);

/* In a child of fork(), before it runs: what other threads of the parent were at is the parent's. */
void hgi_events_forked(struct hgi_events *events);

#endif
