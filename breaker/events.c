/* Delivery of transitions.
 *
 * Makers push nodes on a stack. One thread at a time delivers: it takes the stack, sorts it by
 * generation and calls the listeners. A hole in the generations means that a thread of ours is between
 * its exchange and its push (then `makers` is not 0, and that thread will deliver when it is through),
 * or, with `makers` 0, that the transition was not made here or had no memory: `missed` says how many.
 *
 * Why `makers` 0 is proof: a maker counts itself before its exchange; the word's exchanges are
 * acquire and release, so whoever pushed a later generation, and we who took it, see that count, and
 * when we see it gone again we see the push before it.
 *
 * Bound: the order is that of 16 bits, so a listener that holds up 32,767 transitions (a minute and a
 * half at the shortest legal open period, hours by default) loses some.
 *
 * A listener may call anything: a transition made inside it is pushed and delivered after it returns.
 */
#include "breaker/events.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/machine.h"

enum place { PLACE_FREE, PLACE_LISTENING, PLACE_LEAVING };

/* Its address is this thread's mark. */
static _Thread_local char mark;

hg_status hgi_events_init(struct hgi_events *events, uint32_t generation, hg_breaker_state state,
                          struct hg_error *err)
{
    memset(events, 0, sizeof *events);
    events->last_generation = generation;
    events->last_state = state;
    if (pthread_mutex_init(&events->mutex, NULL) != 0)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "a mutex could not be made");
    return HG_OK;
}

void hgi_events_destroy(struct hgi_events *events)
{
    /* relaxed: nobody else uses the breaker any more. */
    struct hgi_event_node *lists[] = {
        events->pending, atomic_load_explicit(&events->pushed, memory_order_relaxed)
    };
    for (size_t i = 0; i < 2; i++) {
        for (struct hgi_event_node *node = lists[i]; node;) {
            struct hgi_event_node *next = node->next;
            free(node);
            node = next;
        }
    }
    pthread_mutex_destroy(&events->mutex);
}

struct hgi_event_node *hgi_events_begin(struct hgi_events *events)
{
    /* relaxed: the exchange of the word that follows publishes it (see [B1] in breaker.c). */
    atomic_fetch_add_explicit(&events->makers, 1, memory_order_relaxed);
    return calloc(1, sizeof(struct hgi_event_node));
}

static void push(struct hgi_events *events, struct hgi_event_node *node)
{
    /* relaxed: the exchange below publishes the node. */
    node->next = atomic_load_explicit(&events->pushed, memory_order_relaxed);
    /* [E1] release: the node's content; pairs with [E1] in take(). */
    while (!atomic_compare_exchange_weak_explicit(&events->pushed, &node->next, node,
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

/* How far a generation is past the next that is due; from 32,768 on it is an old one. */
static uint32_t distance(const struct hgi_events *events, const struct hgi_event_node *node)
{
    return (node->event.generation - events->last_generation - 1) & HGI_GENERATION_MAX;
}

static void take(struct hgi_events *events)
{
    /* [E1] acquire: the nodes' content; pairs with [E1] in push(). */
    struct hgi_event_node *node =
        atomic_exchange_explicit(&events->pushed, NULL, memory_order_acquire);
    while (node) {
        struct hgi_event_node *next = node->next;
        struct hgi_event_node **at = &events->pending;
        while (*at && distance(events, *at) < distance(events, node))
            at = &(*at)->next;
        node->next = *at;
        *at = node;
        node = next;
    }
}

static void tell(struct hgi_events *events, const struct hg_breaker_event *event)
{
    for (size_t i = 0; i < HGI_LISTENERS_MAX; i++) {
        struct hgi_listener *listener = &events->listeners[i];
        /* [E2] seq_cst: busy is stored before state is loaded, and hgi_events_unlisten() stores state
         * before it loads busy: one of the two sees the other. */
        atomic_store_explicit(&listener->busy, 1, memory_order_seq_cst);
        /* [E3] acquire, within seq_cst: fn and arg; pairs with [E3] in hgi_events_listen(). */
        if (atomic_load_explicit(&listener->state, memory_order_seq_cst) == PLACE_LISTENING)
            listener->fn(listener->arg, event);
        /* [E4] release: fn has returned; pairs with [E4] in hgi_events_unlisten(). */
        atomic_store_explicit(&listener->busy, 0, memory_order_release);
    }
}

/* Deliver the first pending node. */
static void deliver_first(struct hgi_events *events)
{
    struct hgi_event_node *node = events->pending;
    events->pending = node->next;
    if (distance(events, node) <= HGI_GENERATION_MAX / 2) {
        node->event.missed = distance(events, node);
        if (node->event.elsewhere)
            node->event.from = events->last_state;
        events->last_generation = node->event.generation;
        events->last_state = node->event.to;
        tell(events, &node->event);
    }
    free(node);
}

static void deliver_all(struct hgi_events *events)
{
    for (;;) {
        take(events);
        if (!events->pending)
            return;
        if (distance(events, events->pending) != 0 || events->pending->event.elsewhere) {
            /* [E5] acquire: a maker that is gone has pushed; pairs with [E5] in hgi_events_end(). */
            if (atomic_load_explicit(&events->makers, memory_order_acquire) != 0)
                return;
            take(events);
        }
        deliver_first(events);
    }
}

/* Each call leaves a unit of work; who finds none before it delivers until all units are done. */
static void deliver(struct hgi_events *events)
{
    /* [E6] acquire: the last deliverer's fields, release: for the deliverer, what was pushed; pairs
     * with [E6] below. */
    if (atomic_fetch_add_explicit(&events->work, 1, memory_order_acq_rel) != 0)
        return;
    uint32_t done = 1;
    do {
        /* relaxed: only compared with the reader's own mark, which only the reader itself stores. */
        atomic_store_explicit(&events->deliverer, (uintptr_t)&mark, memory_order_relaxed);
        deliver_all(events);
        atomic_store_explicit(&events->deliverer, 0, memory_order_relaxed);
        /* [E6] release: this deliverer's fields, acquire: new work; pairs with [E6] above. */
        done = atomic_fetch_sub_explicit(&events->work, done, memory_order_acq_rel) - done;
    } while (done != 0);
}

void hgi_events_end(struct hgi_events *events, struct hgi_event_node *node, bool made)
{
    if (made && node)
        push(events, node);
    else
        free(node);
    /* [E5] release: the push; pairs with [E5] in deliver_all(). */
    atomic_fetch_sub_explicit(&events->makers, 1, memory_order_release);
    deliver(events);
}

hg_status hgi_events_listen(struct hgi_events *events, hg_breaker_listener_fn fn, void *arg,
                            struct hg_error *err)
{
    if (!fn)
        return hgi_error_set(err, HG_ERR_VALIDATION, "a listener's function is NULL");
    hg_status status = HG_ERR_VALIDATION;
    pthread_mutex_lock(&events->mutex);
    for (size_t i = 0; i < HGI_LISTENERS_MAX && status != HG_OK; i++) {
        struct hgi_listener *listener = &events->listeners[i];
        /* [E7] acquire: its last user is out of it; pairs with [E7] in hgi_events_unlisten(). */
        if (atomic_load_explicit(&listener->state, memory_order_acquire) != PLACE_FREE)
            continue;
        listener->fn = fn;
        listener->arg = arg;
        /* [E3] release: fn and arg; pairs with [E3] in tell(). */
        atomic_store_explicit(&listener->state, PLACE_LISTENING, memory_order_release);
        status = HG_OK;
    }
    pthread_mutex_unlock(&events->mutex);
    if (status < 0)
        return hgi_error_set(err, status, "a breaker has at most %d listeners", HGI_LISTENERS_MAX);
    hgi_error_clear(err);
    return HG_OK;
}

static struct hgi_listener *mark_leaving(struct hgi_events *events, hg_breaker_listener_fn fn,
                                         void *arg)
{
    struct hgi_listener *found = NULL;
    pthread_mutex_lock(&events->mutex);
    for (size_t i = 0; i < HGI_LISTENERS_MAX && !found; i++) {
        struct hgi_listener *listener = &events->listeners[i];
        /* relaxed: the places change under the mutex but for [E7], which is no LISTENING. */
        if (atomic_load_explicit(&listener->state, memory_order_relaxed) == PLACE_LISTENING &&
            listener->fn == fn && listener->arg == arg)
            found = listener;
    }
    if (found) /* [E2] seq_cst: stored before busy is loaded; pairs with [E2] in tell(). */
        atomic_store_explicit(&found->state, PLACE_LEAVING, memory_order_seq_cst);
    pthread_mutex_unlock(&events->mutex);
    return found;
}

void hgi_events_unlisten(struct hgi_events *events, hg_breaker_listener_fn fn, void *arg)
{
    struct hgi_listener *listener = mark_leaving(events, fn, arg);
    if (!listener)
        return;
    /* [E4] acquire, within seq_cst: fn has returned; pairs with [E4] in tell(). The wait is as long as
     * the listener's own function takes. relaxed: see deliver(). */
    while (atomic_load_explicit(&listener->busy, memory_order_seq_cst) != 0 &&
           atomic_load_explicit(&events->deliverer, memory_order_relaxed) != (uintptr_t)&mark)
        hgi_sleep_until(hgi_now_ns() + 50 * HGI_NS_PER_US);
    /* [E7] release: nobody is in it; pairs with [E7] in hgi_events_listen(). */
    atomic_store_explicit(&listener->state, PLACE_FREE, memory_order_release);
}
