/* When which of many is to be woken: a heap that each is in once at most. Pure, but for memory. */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_TIMERS_H
#define HERDGATE_TOOLS_STRESS_PROXY_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HGI_TIMER_NEVER INT64_MAX

/* A member of what is to be woken; all zero: not set. */
struct hgi_timer {
    int64_t when_ns;
    size_t place; /* in the heap, from 1; 0: not in it */
    void *owner;  /* for who wakes */
};

struct hgi_timers {
    struct hgi_timer **heap; /* heap[0] is the next */
    size_t count;
    size_t size;
};

void hgi_timers_free(struct hgi_timers *timers);

/* Room for as many timers. False: no memory. */
bool hgi_timers_reserve(struct hgi_timers *timers, size_t count);

/* Set, set anew or, with HGI_TIMER_NEVER, take out. There must be room. */
void hgi_timers_set(struct hgi_timers *timers, struct hgi_timer *timer, int64_t when_ns);

/* When the next is due; HGI_TIMER_NEVER: none. */
int64_t hgi_timers_next(const struct hgi_timers *timers);

/* Take out one that is due at now_ns, and return its owner. NULL: none. */
void *hgi_timers_pop(struct hgi_timers *timers, int64_t now_ns);

#endif
