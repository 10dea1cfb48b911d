/* A random number generator per thread.
 *
 * SplitMix64 of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014),
 * written from the paper: a counter with an odd step, mixed by a finaliser. Its state is one word, no
 * state of it is bad, and 2^64 numbers pass before it repeats: right for jitter.
 *
 * Each thread's counter starts at 64 bits from the kernel, mixed with what is the thread's own. A child
 * of fork() starts again, or it would wait exactly as long as its parent: the handler below makes a
 * new epoch, and a counter of an older epoch is not used. A child made without fork handlers (a bare
 * clone system call) goes on with its parent's numbers.
 */
#include "policy/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/mix.h"

struct generator {
    uint64_t counter;
    uint32_t epoch; /* the one that it was seeded in; 0: not yet */
};

static _Thread_local struct generator own;

/* Written by a child's only thread, in its fork handler. A wrap takes 2^32 generations of children. */
static _Atomic uint32_t current_epoch = 1;

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void on_fork_in_child(void)
{
    /* relaxed: the child has one thread, and those that it starts see what it did before. */
    atomic_fetch_add_explicit(&current_epoch, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    /* Fails for want of memory only: children would draw their parent's numbers, nothing worse. */
    (void)pthread_atfork(NULL, NULL, on_fork_in_child);
}

static uint32_t epoch_now(void)
{
    /* relaxed: see on_fork_in_child(). */
    return atomic_load_explicit(&current_epoch, memory_order_relaxed);
}

/* What differs between threads, processes and moments also where the kernel gives nothing (a sandbox
 * without getrandom, a machine that is still booting). */
static uint64_t own_circumstances(void)
{
    uint64_t bits = hgi_mix((uint64_t)syscall(SYS_gettid));
    bits = hgi_mix(bits ^ (uint64_t)hgi_now_ns());
    bits = hgi_mix(bits ^ (uint64_t)hgi_wall_ns());
    return hgi_mix(bits ^ (uint64_t)(uintptr_t)&own);
}

static void seed_afresh(void)
{
    int saved_errno = errno;
    uint64_t bits = 0;
    (void)pthread_once(&watch_once, watch_forks);
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        bits = 0;
    own.counter = bits ^ own_circumstances();
    own.epoch = epoch_now();
    errno = saved_errno;
}

uint64_t hgi_random_u64(void)
{
    if (own.epoch != epoch_now())
        seed_afresh();
    own.counter += HGI_MIX_STEP;
    return hgi_mix(own.counter);
}

double hgi_random_unit(void)
{
    return (double)(hgi_random_u64() >> 11) * 0x1p-53;
}

void hgi_random_seed(uint64_t seed)
{
    (void)pthread_once(&watch_once, watch_forks);
    own = (struct generator) { .counter = seed, .epoch = epoch_now() };
}
