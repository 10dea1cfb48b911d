/* Judges the operations of threads that a scheduler leads, as they go; no search is needed where each
 * step is seen.
 *
 * A step that changes the word changes it as the machine says of the operation that is at it, and an
 * operation changes it once at most. An operation is answered as the machine answers in the word that it
 * changed or, if it changed none, in one that stood while it ran: so it takes effect at one moment. And
 * it is counted once, as what it was.
 */
#ifndef HERDGATE_TESTS_BREAKER_JUDGE_H
#define HERDGATE_TESTS_BREAKER_JUDGE_H

#include <stdint.h>

#include <herdgate/breaker.h>

#include "breaker/machine.h"

/* A run begins; `how` prints what its threads do. */
void judge_begin_run(hg_breaker *of, uint32_t count, void (*how)(void));

/* On a thread: an operation begins and ends, with the permit that an admission gave; the clock was read;
 * a step was made. */
void judge_begin(enum hgi_event event, hg_permit permit);
void judge_end(uint64_t permit);
void judge_clock(uint32_t tick);
void judge_stepped(void);

/* What will be judged is part of the state. */
uint64_t judge_hash(uint64_t hash);

_Noreturn void judge_fail(const char *what);

#define MUST(condition)             \
    do {                            \
        if (!(condition))           \
            judge_fail(#condition); \
    } while (0)

#endif
