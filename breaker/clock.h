/* The one clock of the library: CLOCK_MONOTONIC in nanoseconds, and ways to wait on it.
 * Wall-clock time is read for the timestamp of an error and for nothing else. */
#ifndef HERDGATE_BREAKER_CLOCK_H
#define HERDGATE_BREAKER_CLOCK_H

#include <stdint.h>
#include <time.h>

#define HGI_NS_PER_US INT64_C(1000)
#define HGI_NS_PER_MS INT64_C(1000000)
#define HGI_NS_PER_S INT64_C(1000000000)

/* Later than any time that is reached: a deadline of "never". Half the range, so that adding a
 * duration to it does not overflow. */
#define HGI_NEVER (INT64_MAX / 2)

/* CLOCK_MONOTONIC, nanoseconds; about 27 ns a call through the vDSO. */
int64_t hgi_now_ns(void);

/* The same clock as of the last timer interrupt, 1 to 10 ms behind; about 7 ns a call. */
int64_t hgi_coarse_now_ns(void);

/* CLOCK_REALTIME, nanoseconds since 1970-01-01 UTC. */
int64_t hgi_wall_ns(void);

/* now + duration, never past HGI_NEVER; a negative duration is none: HGI_NEVER. */
static inline int64_t hgi_deadline_after(int64_t now_ns, int64_t duration_ns)
{
    if (duration_ns < 0 || duration_ns >= HGI_NEVER - now_ns)
        return HGI_NEVER;
    return now_ns + duration_ns;
}

/* Nanoseconds as a timespec, rounded down. */
struct timespec hgi_timespec(int64_t ns);

/* Sleep until an absolute CLOCK_MONOTONIC time; signals do not shorten it. */
void hgi_sleep_until(int64_t when_ns);

#endif
