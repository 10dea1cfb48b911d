/* The clock of the tools. Their own, because they link the library as any user does. */
#ifndef HERDGATE_TOOLS_COMMON_TIMING_H
#define HERDGATE_TOOLS_COMMON_TIMING_H

#include <errno.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* CLOCK_MONOTONIC, nanoseconds. */
static inline int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Sleep until an absolute CLOCK_MONOTONIC time; signals do not shorten it. */
static inline void sleep_until_ns(int64_t when_ns)
{
    struct timespec when = { .tv_sec = (time_t)(when_ns / NS_PER_S),
                             .tv_nsec = (long)(when_ns % NS_PER_S) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        continue;
}

#endif
