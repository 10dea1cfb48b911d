/* Every interleaving of a few threads, one after the other.
 *
 * The threads are coroutines that give way at each point (interleave.h). A run is replayed from its
 * beginning up to the point where it shall go another way; a state that an earlier run has been in is
 * not gone on from. A state is the memory that the threads share and, of each thread, all that it has
 * seen: what it does next is a function of these.
 */
#ifndef HERDGATE_TESTS_BREAKER_SCHEDULER_H
#define HERDGATE_TESTS_BREAKER_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

enum { SCHEDULER_THREADS = 3 };

struct schedule {
    uint32_t threads;
    void (*begin)(void);                            /* before each run: everything as it was */
    void (*thread)(uint32_t thread);                /* a coroutine's function */
    uint64_t (*shared)(void);                       /* a hash of what they share */
    bool (*is_point)(const volatile void *address); /* shared, and written in here */
    bool (*is_count)(
        const volatile void *address); /* nobody looks at what a fetch-and-add found there */
    void (*stepped)(void);             /* after each step, on the coroutine that made it */
    void (*end)(void);                 /* after a run that went to its end: check it */
};

struct explored {
    uint64_t runs;   /* to their end */
    uint64_t states; /* different ones */
    uint64_t steps;  /* from one to another */
};

/* Add what was explored to *explored. */
void scheduler_explore(const struct schedule *what, struct explored *explored);

/* Inside a coroutine. The number of it; add to what it has seen; and forget all of that but `kept`,
 * where nothing else has a bearing on what it will do. */
uint32_t scheduler_thread(void);
void scheduler_saw(uint64_t value);
void scheduler_forget(uint64_t kept);

/* `begins` is called when the thread goes on from its next point: the latest moment at which an
 * operation can begin. Or now, where there was no point since it was armed. */
void scheduler_arm(void (*begins)(void));
void scheduler_disarm(void);

/* Which thread made each step of this run, for a message. */
void scheduler_print(void);

static inline uint64_t scheduler_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

#endif
