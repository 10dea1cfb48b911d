/* Small reproducible random numbers: splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
#ifndef HERDGATE_TOOLS_COMMON_RANDOM_H
#define HERDGATE_TOOLS_COMMON_RANDOM_H

#include <stdint.h>

/* A well mixed function of x. */
static inline uint64_t random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The next number of a generator; any seed will do. */
static inline uint64_t random_next(uint64_t *state)
{
    return random_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* Uniform in 0 to below - 1; below is not 0. */
static inline uint32_t random_below(uint64_t *state, uint32_t below)
{
    return (uint32_t)(((random_next(state) >> 32) * below) >> 32);
}

/* Uniform in [0, 1). */
static inline double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

#endif
