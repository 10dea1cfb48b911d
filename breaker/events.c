/* Delivery of transitions.
 *
 * Makers push nodes on a stack. One thread at a time delivers: it takes the stack, sorts it by order
 * and calls the listeners. A hole in the orders means that a thread of ours is between its exchange and
 * its push (then `makers` is not 0, and that thread will deliver when it is through), or, with `makers`
 * 0, that the transition was not made here or had no memory: `missed` says how many.
 *
 * Why `makers` 0 is proof: a maker counts itself before its exchange; the word's exchanges are
 * acquire and release, so whoever pushed a later generation, and we who took it, see that count, and
 * when we see it gone again we see the push before it. The same goes for a finder and `seen`.
 *
 * What one thread finds in the word may be what another one of ours has just made and not pushed yet:
 * both then push the same order, and the found one is delivered only if no made one is there.
 *
 * Bound: 65,536 transitions that other processes made while this one did not look at the breaker (three
 * minutes at the shortest legal open period, hours by default) are not among those missed.
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
#include "breaker/probe.h"

enum place { PLACE_FREE, PLACE_LISTENING, PLACE_LEAVING };

/* Its address is this thread's mark. */
static _Thread_local char mark;

hg_status hgi_events_init(struct hgi_events *events, uint32_t generation, hg_breaker_state state,
                          struct hg_error *err)
{
    memset(events, 0, sizeof *events);
    events->last_order = generation;
    events->last_state = state;
    /* relaxed: nobody else has the breaker yet. */
    atomic_store_explicit(&events->seen, generation, memory_order_relaxed);
    if (pthread_mutex_init(&events->mutex, NULL) != 0)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "a mutex could not be made");
    return HG_OK;
}

static void free_nodes(struct hgi_event_node *node)
{
    while (node) {
        struct hgi_event_node *next = node->next;
        free(node);
        node = next;
    }
}

void hgi_events_destroy(struct hgi_events *events)
{
    free_nodes(events->pending);
    /* relaxed: nobody else uses the breaker any more. */
    free_nodes(atomic_load_explicit(&events->pushed, memory_order_relaxed));
    pthread_mutex_destroy(&events->mutex);
}

void hgi_events_forget_threads(struct hgi_events *events, uint32_t generation,
                               hg_breaker_state state)
{
    /* relaxed, all: no other thread exists. The lists may be half done, and are left alone. */
    atomic_store_explicit(&events->pushed, NULL, memory_order_relaxed);
    atomic_store_explicit(&events->makers, 0, memory_order_relaxed);
    atomic_store_explicit(&events->work, 0, memory_order_relaxed);
    atomic_store_explicit(&events->deliverer, 0, memory_order_relaxed);
    events->pending = NULL;
    events->last_order = hgi_events_order(events->last_order, generation);
    events->last_state = state;
    atomic_store_explicit(&events->seen, events->last_order, memory_order_relaxed);
    for (size_t i = 0; i < HGI_LISTENERS_MAX; i++) {
        struct hgi_listener *listener = &events->listeners[i];
        atomic_store_explicit(&listener->busy, 0, memory_order_relaxed);
        if (atomic_load_explicit(&listener->state, memory_order_relaxed) == PLACE_LEAVING)
            atomic_store_explicit(&listener->state, PLACE_FREE, memory_order_relaxed);
    }
    pthread_mutex_init(&events->mutex, NULL);
}

struct hgi_event_node *hgi_events_begin(struct hgi_events *events)
{
    /* relaxed: the exchange of the word that follows publishes it (see [B1] in breaker.c). */
    atomic_fetch_add_explicit(&events->makers, 1, memory_order_relaxed);
    return calloc(1, sizeof(struct hgi_event_node));
}

uint64_t hgi_events_seen(struct hgi_events *events)
{
    /* [E8] acquire: the word as it was when `seen` was read from it, or a later one, will be read next,
     * and a finder of before has counted itself; pairs with [E8] in the two that follow. */
    return atomic_load_explicit(&events->seen, memory_order_acquire);
}

void hgi_events_made(struct hgi_events *events, uint64_t order)
{
    /* relaxed: the exchange below decides. */
    uint64_t seen = atomic_load_explicit(&events->seen, memory_order_relaxed);
    /* [E8] release: what this thread knows of the word; pairs with [E8] in hgi_events_seen(). */
    while (seen < order &&
           !atomic_compare_exchange_weak_explicit(&events->seen, &seen, order, memory_order_release,
                                                  memory_order_relaxed))
        continue;
}

bool hgi_events_found(struct hgi_events *events, uint64_t *seen, uint64_t order)
{
    /* [E8] release: that this thread counts among `makers`, and what it knows of the word; acquire:
     * what those before it did; pairs with [E8] in hgi_events_seen() and with itself. */
    return atomic_compare_exchange_strong_explicit(&events->seen, seen, order, memory_order_acq_rel,
                                                   memory_order_acquire);
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

/* Whether a goes before b. */
static bool is_before(const struct hgi_event_node *a, const struct hgi_event_node *b)
{
    if (a->order != b->order)
        return a->order < b->order;
    return !a->event.elsewhere && b->event.elsewhere;
}

static void take(struct hgi_events *events)
{
    /* [E1] acquire: the nodes' content; pairs with [E1] in push(). */
    struct hgi_event_node *node =
        atomic_exchange_explicit(&events->pushed, NULL, memory_order_acquire);
    while (node) {
        struct hgi_event_node *next = node->next;
        struct hgi_event_node **at = &events->pending;
        while (*at && is_before(*at, node))
            at = &(*at)->next;
        node->next = *at;
        *at = node;
        node = next;
    }
}

/* A listener is the host's code, which may be a cancellation point; a thread that was cancelled in it
 * would be the deliverer for ever. */
static void call(const struct hgi_listener *listener, const struct hg_breaker_event *event)
{
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    listener->fn(listener->arg, event);
    pthread_setcancelstate(cancel, NULL);
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
            call(listener, event);
        /* [E4] release: fn has returned; pairs with [E4] in hgi_events_unlisten(). */
        atomic_store_explicit(&listener->busy, 0, memory_order_release);
    }
}

/* Deliver the first pending node. */
static void deliver_first(struct hgi_events *events)
{
    struct hgi_event_node *node = events->pending;
    struct hg_breaker_event *event = &node->event;
    events->pending = node->next;
    if (node->order > events->last_order) {
        uint64_t missed = node->anew ? 0 : node->order - events->last_order - 1;
        event->missed = missed < UINT32_MAX ? (uint32_t)missed : UINT32_MAX;
        if (event->elsewhere)
            event->from = events->last_state;
        events->last_order = node->order;
        events->last_state = event->to;
        HGI_PROBE3(breaker, (int)event->from, (int)event->to, event->generation);
        tell(events, event);
    }
    free(node);
}

static void deliver_all(struct hgi_events *events)
{
    for (;;) {
        take(events);
        const struct hgi_event_node *first = events->pending;
        if (!first)
            return;
        if (first->order > events->last_order + 1 || first->event.elsewhere) {
            /* [E5] acquire: a maker that is gone has pushed; pairs with [E5] in hgi_events_end().
             * C11 alone asks for it: what follows here, and what went before there, are
             * read-modify-writes of `pushed`, which find the last value, and a processor makes neither
             * before it knows the branch that it hangs on. So no test sees this one. */
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

void hgi_events_forked(struct hgi_events *events)
{
    /* relaxed, all: a forked child has one thread. */
    bool inside =
        atomic_load_explicit(&events->deliverer, memory_order_relaxed) == (uintptr_t)&mark;
    /* The parent delivers these. */
    free_nodes(atomic_exchange_explicit(&events->pushed, NULL, memory_order_relaxed));
    atomic_store_explicit(&events->makers, 0, memory_order_relaxed);
    for (size_t i = 0; i < HGI_LISTENERS_MAX; i++) {
        struct hgi_listener *listener = &events->listeners[i];
        if (!inside)
            atomic_store_explicit(&listener->busy, 0, memory_order_relaxed);
        if (atomic_load_explicit(&listener->state, memory_order_relaxed) == PLACE_LEAVING)
            atomic_store_explicit(&listener->state, PLACE_FREE, memory_order_relaxed);
    }
    pthread_mutex_init(&events->mutex, NULL);
    if (inside) { /* a listener forked: it goes on, and so does this thread's delivery */
        free_nodes(events->pending);
        events->pending = NULL;
        return;
    }
    events->pending = NULL; /* another thread may have been at it: not to be touched, nor freed */
    atomic_store_explicit(&events->work, 0, memory_order_relaxed);
    atomic_store_explicit(&events->deliverer, 0, memory_order_relaxed);
}
