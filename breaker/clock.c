/* The one clock of the library; see clock.h. */
#include "breaker/clock.h"

#include <errno.h>

int64_t hgi_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * HGI_NS_PER_S + now.tv_nsec;
}

int64_t hgi_coarse_now_ns(void)
{
    struct timespec now;
#ifdef CLOCK_MONOTONIC_COARSE
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (int64_t)now.tv_sec * HGI_NS_PER_S + now.tv_nsec;
}

int64_t hgi_wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * HGI_NS_PER_S + now.tv_nsec;
}

struct timespec hgi_timespec(int64_t ns)
{
    return (struct timespec) { .tv_sec = (time_t)(ns / HGI_NS_PER_S),
                               .tv_nsec = (long)(ns % HGI_NS_PER_S) };
}

void hgi_sleep_until(int64_t when_ns)
{
    struct timespec when = hgi_timespec(when_ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        continue;
}
