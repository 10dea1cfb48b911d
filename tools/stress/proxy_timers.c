/* A binary heap of timers, each of which knows its place; see proxy_timers.h. */
#include "tools/stress/proxy_timers.h"

#include <stdlib.h>

void hgi_timers_free(struct hgi_timers *timers)
{
    free(timers->heap);
    *timers = (struct hgi_timers) { 0 };
}

bool hgi_timers_reserve(struct hgi_timers *timers, size_t count)
{
    if (count <= timers->size)
        return true;
    size_t size = 2 * count;
    struct hgi_timer **heap = realloc(timers->heap, size * sizeof(struct hgi_timer *));
    if (!heap)
        return false;
    timers->heap = heap;
    timers->size = size;
    return true;
}

static void put(struct hgi_timers *timers, size_t at, struct hgi_timer *timer)
{
    timers->heap[at] = timer;
    timer->place = at + 1;
}

/* Move the timer from `at` to where it belongs. */
static void settle(struct hgi_timers *timers, size_t at, struct hgi_timer *timer)
{
    while (at > 0 && timers->heap[(at - 1) / 2]->when_ns > timer->when_ns) {
        put(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->when_ns < timers->heap[child]->when_ns)
            child++;
        if (child >= timers->count || timers->heap[child]->when_ns >= timer->when_ns)
            break;
        put(timers, at, timers->heap[child]);
        at = child;
    }
    put(timers, at, timer);
}

static void take_out(struct hgi_timers *timers, struct hgi_timer *timer)
{
    size_t at = timer->place - 1;
    struct hgi_timer *last = timers->heap[--timers->count];
    timer->place = 0;
    if (last != timer)
        settle(timers, at, last);
}

void hgi_timers_set(struct hgi_timers *timers, struct hgi_timer *timer, int64_t when_ns)
{
    if (when_ns == HGI_TIMER_NEVER) {
        if (timer->place)
            take_out(timers, timer);
        return;
    }
    timer->when_ns = when_ns;
    settle(timers, timer->place ? timer->place - 1 : timers->count++, timer);
}

int64_t hgi_timers_next(const struct hgi_timers *timers)
{
    return timers->count ? timers->heap[0]->when_ns : HGI_TIMER_NEVER;
}

void *hgi_timers_pop(struct hgi_timers *timers, int64_t now_ns)
{
    if (hgi_timers_next(timers) > now_ns || timers->count == 0)
        return NULL;
    struct hgi_timer *timer = timers->heap[0];
    take_out(timers, timer);
    return timer->owner;
}
