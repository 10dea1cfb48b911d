/* Sleeping on a word until another thread changes it: the futex of Linux, and nothing else. */
#ifndef HERDGATE_POOL_PARK_H
#define HERDGATE_POOL_PARK_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleep while *word == expected, until deadline_ns (CLOCK_MONOTONIC, absolute) at the latest. May
 * return early for no reason: look at the word again. */
void hgi_park(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns);

/* Wake the thread that sleeps on it, after the word was changed. */
void hgi_unpark(_Atomic uint32_t *word);

#endif
