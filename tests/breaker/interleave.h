/* Put before breaker/breaker.c and its neighbours when they are compiled for test_breaker_interleavings:
 * every atomic operation of theirs is a point at which the scheduler may let another thread go on, and
 * what it answered is noted. Threads are coroutines there, so plain accesses do for atomic ones. The
 * rest of the source is as it is. */
#ifndef HERDGATE_TESTS_BREAKER_INTERLEAVE_H
#define HERDGATE_TESTS_BREAKER_INTERLEAVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* About to operate on this address; and what was answered there, to a load or to what changed it. */
void hgi_interleave_point(const volatile void *address);
void hgi_interleave_loaded(uint64_t answer);
void hgi_interleave_fetched(const volatile void *address, uint64_t answer);

/* Memory at the same addresses in every run. */
void *hgi_interleave_calloc(size_t count, size_t size);
void hgi_interleave_free(void *memory);

#define INTERLEAVE_LOADED(value) hgi_interleave_loaded((uint64_t)(uintptr_t)(value))

/* Of the value: the comma takes _Atomic away. */
#define INTERLEAVE_TYPE(at) __typeof__((void)0, *(at))

#undef atomic_load_explicit
#define atomic_load_explicit(at, order)    \
    __extension__({                        \
        hgi_interleave_point(at);          \
        INTERLEAVE_TYPE(at) i_now = *(at); \
        INTERLEAVE_LOADED(i_now);          \
        i_now;                             \
    })

#undef atomic_store_explicit
#define atomic_store_explicit(at, value, order) \
    __extension__({                             \
        hgi_interleave_point(at);               \
        *(at) = (value);                        \
    })

#undef atomic_exchange_explicit
#define atomic_exchange_explicit(at, value, order) \
    __extension__({                                \
        hgi_interleave_point(at);                  \
        INTERLEAVE_TYPE(at) i_old = *(at);         \
        *(at) = (value);                           \
        INTERLEAVE_LOADED(i_old);                  \
        i_old;                                     \
    })

#define INTERLEAVE_FETCH(at, operator, value) \
    __extension__({                           \
        hgi_interleave_point(at);             \
        INTERLEAVE_TYPE(at) i_old = *(at);    \
        *(at) = i_old operator(value);        \
        hgi_interleave_fetched(at, i_old);    \
        i_old;                                \
    })

#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(at, value, order) INTERLEAVE_FETCH(at, +, value)
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(at, value, order) INTERLEAVE_FETCH(at, -, value)

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(at, expected, value, well, ill) \
    __extension__({                                                             \
        hgi_interleave_point(at);                                               \
        INTERLEAVE_TYPE(at) i_old = *(at);                                      \
        bool i_done = i_old == *(expected);                                     \
        if (i_done)                                                             \
            *(at) = (value);                                                    \
        else                                                                    \
            *(expected) = i_old;                                                \
        INTERLEAVE_LOADED(i_old);                                               \
        i_done;                                                                 \
    })
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#define calloc(count, size) hgi_interleave_calloc(count, size)
#define free(memory) hgi_interleave_free(memory)

#endif
