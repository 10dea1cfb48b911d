/* Histories of a breaker under threads, and whether the machine could have made them.
 *
 * An operation has a beginning and an end, and takes effect at one moment between them. A history is
 * right if such moments can be found for all of its operations: an order of them in which none comes
 * before one that had ended when it began, and in which the machine, taking one step after the other,
 * answers each as it was answered. The machine is the specification; it knows no threads.
 */
#ifndef HERDGATE_TESTS_BREAKER_LINEAR_H
#define HERDGATE_TESTS_BREAKER_LINEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "breaker/machine.h"

enum {
    LINEAR_THREADS = 4,
    LINEAR_OPERATIONS = 32,  /* of a thread */
    LINEAR_LOOK = HGI_EVENTS /* an event of its own: the word was read */
};

struct linear_operation {
    int event; /* enum hgi_event, or LINEAR_LOOK */
    uint32_t tick;
    uint64_t permit; /* given: of a result */
    /* What came of it: an admission's permit, 0 if it was refused; of a result 1 if it was counted as
     * late, else 0; the word that was seen. Of other events nothing. */
    uint64_t answer;
    int64_t began;
    int64_t ended;
};

struct linear_history {
    const struct hgi_machine *machine;
    uint64_t first; /* the word before and after */
    uint64_t last;
    uint32_t threads;
    uint32_t count[LINEAR_THREADS];
    struct linear_operation operation[LINEAR_THREADS][LINEAR_OPERATIONS];
};

/* Add an operation to the history of a thread; NULL: there is no more room. */
struct linear_operation *linear_add(struct linear_history *history, uint32_t thread);

/* Whether there is such an order. *looked is raised by the states that the search has been in. */
bool linear_is_possible(const struct linear_history *history, uint64_t *looked);

/* Pairs of operations of different threads that overlapped. */
uint64_t linear_overlaps(const struct linear_history *history);

/* For people, on stderr. */
void linear_print(const struct linear_history *history);

#endif
