/* A clock that tests set, and small settings. */
#ifndef HERDGATE_TESTS_BREAKER_FIXTURE_H
#define HERDGATE_TESTS_BREAKER_FIXTURE_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/machine.h"

/* A time that only the test moves. */
struct test_clock {
    _Atomic int64_t now_ns; /* written by the test */
};

static inline int64_t test_clock_now(void *arg)
{
    return atomic_load(&((struct test_clock *)arg)->now_ns);
}

static inline void test_clock_pass(struct test_clock *clock, int64_t ns)
{
    atomic_fetch_add(&clock->now_ns, ns);
}

#define TEST_CLOCK_INIT          \
    {                            \
        1000 * HGI_NS_PER_S + 17 \
    }

/* A number from the environment, or its default. */
static inline uint64_t test_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* `quick` runs, or as many more as HERDGATE_LONG=1 asks for. */
static inline uint64_t test_rounds(uint64_t quick, uint64_t thorough)
{
    return test_number("HERDGATE_LONG", 0) ? thorough : quick;
}

static inline uint64_t test_seed(void)
{
    uint64_t seed = test_number("HERDGATE_SEED", (uint64_t)hgi_now_ns());
    printf("HERDGATE_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

/* xorshift64*: enough to choose with. */
static inline uint64_t test_random(uint64_t *state)
{
    if (*state == 0)
        *state = 88172645463325252U;
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

#define REQUIRE(condition)                                                                 \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

#endif
