/* Put before breaker/ files when they are compiled for test_breaker_orders: their atomic operations have
 * the meaning of C11's memory model (weak.c), and not the stronger one of the processor that the test
 * runs on. Threads are coroutines. The rest of the source is as it is. */
#ifndef HERDGATE_TESTS_BREAKER_WEAK_H
#define HERDGATE_TESTS_BREAKER_WEAK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "breaker/clock.h"

uint64_t hgi_weak_load(const volatile void *at, size_t size, memory_order order);
void hgi_weak_store(volatile void *at, size_t size, uint64_t value, memory_order order);

/* What was there before: exchanged for, added to, masked with the operand. */
enum hgi_weak_change { HGI_WEAK_EXCHANGE, HGI_WEAK_ADD, HGI_WEAK_AND };
uint64_t hgi_weak_change(volatile void *at, size_t size, enum hgi_weak_change how, uint64_t operand,
                         memory_order order);

/* False: *expected is what was found instead. */
bool hgi_weak_compare_exchange(volatile void *at, size_t size, uint64_t *expected, uint64_t value,
                               memory_order well, memory_order ill);

/* In the place of waiting, of locks, and of the kernel's mapping of memory. */
void hgi_weak_wait(void);
void hgi_weak_lock(pthread_mutex_t *mutex);
void hgi_weak_unlock(pthread_mutex_t *mutex);

/* Of the value: the comma takes _Atomic away. */
#define WEAK_TYPE(at) __typeof__((void)0, *(at))
#define WEAK_SIZE(at) sizeof(WEAK_TYPE(at))
#define WEAK_BITS(value) ((uint64_t)(uintptr_t)(value))

/* Bits as what they are of: a pointer, or a number of either size. */
void hgi_weak_write(volatile void *at, size_t size, uint64_t bits);

#define WEAK_VALUE(at, bits)                             \
    __extension__({                                      \
        uint64_t w_bits = bits;                          \
        WEAK_TYPE(at) w_value;                           \
        hgi_weak_write(&w_value, WEAK_SIZE(at), w_bits); \
        w_value;                                         \
    })

#undef atomic_load_explicit
#define atomic_load_explicit(at, order) WEAK_VALUE(at, hgi_weak_load(at, WEAK_SIZE(at), order))

#undef atomic_store_explicit
#define atomic_store_explicit(at, value, order) \
    hgi_weak_store(at, WEAK_SIZE(at), WEAK_BITS(value), order)

#define WEAK_CHANGE(at, how, operand, order) \
    WEAK_VALUE(at, hgi_weak_change(at, WEAK_SIZE(at), how, WEAK_BITS(operand), order))

#undef atomic_exchange_explicit
#define atomic_exchange_explicit(at, value, order) WEAK_CHANGE(at, HGI_WEAK_EXCHANGE, value, order)
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(at, value, order) WEAK_CHANGE(at, HGI_WEAK_ADD, value, order)
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(at, value, order) \
    WEAK_CHANGE(at, HGI_WEAK_ADD, -WEAK_BITS(value), order)
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(at, value, order) WEAK_CHANGE(at, HGI_WEAK_AND, value, order)

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(at, expected, value, well, ill)                   \
    __extension__({                                                                               \
        uint64_t w_expected = WEAK_BITS(*(expected));                                             \
        bool w_done = hgi_weak_compare_exchange(at, WEAK_SIZE(at), &w_expected, WEAK_BITS(value), \
                                                well, ill);                                       \
        hgi_weak_write(expected, WEAK_SIZE(at), w_expected);                                      \
        w_done;                                                                                   \
    })
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#define hgi_sleep_until(time) hgi_weak_wait()
#define pthread_mutex_lock(mutex) hgi_weak_lock(mutex)
#define pthread_mutex_unlock(mutex) hgi_weak_unlock(mutex)

#endif
