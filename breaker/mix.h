/* SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014): each bit of the value changes half of the
 * bits that come out, and no two values give the same. */
#ifndef HERDGATE_BREAKER_MIX_H
#define HERDGATE_BREAKER_MIX_H

#include <stdint.h>

/* What a counter grows by between two values, so that these differ in many bits. */
#define HGI_MIX_STEP UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t hgi_mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

#endif
