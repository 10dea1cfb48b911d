/* Chance, for jitter: a generator per thread, no lock, no system call but the first of each thread. Not
 * for secrets. */
#ifndef HERDGATE_POLICY_RANDOM_H
#define HERDGATE_POLICY_RANDOM_H

#include <stdint.h>

/* 64 random bits. Any thread; a forked child draws numbers of its own. */
uint64_t hgi_random_u64(void);

/* Uniform in [0, 1), a multiple of 2^-53. */
double hgi_random_unit(void);

/* Make what this thread draws from now on a function of `seed`: for tests and simulations. Holds until
 * the next call, or until a fork for the child. */
void hgi_random_seed(uint64_t seed);

#endif
