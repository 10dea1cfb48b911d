/* What the pool is measured against: ways to take something and give it back. In the shared library
 * with the other peers, so that a call costs what one into libherdgate.so costs. */
#ifndef HERDGATE_TOOLS_BENCH_POOLS_H
#define HERDGATE_TOOLS_BENCH_POOLS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/export.h>

/* Nothing shared: each thread has its own. */
HG_API void *hgi_local_take(void);
HG_API void hgi_local_give(void *taken);

/* One compare-and-swap and one store, on a line that is the thread's own. */
struct hgi_line {
    alignas(64) _Atomic uint32_t taken; /* 1: taken; written by its thread */
};

HG_API bool hgi_line_take(struct hgi_line *line);
HG_API void hgi_line_give(struct hgi_line *line);

/* What people write by hand: a stack of up to 64 things under a mutex, and a condition for those who
 * wait. NULL: out of memory. */
struct hgi_mutex_pool;

HG_API struct hgi_mutex_pool *hgi_mutex_pool_new(void);
HG_API void hgi_mutex_pool_free(struct hgi_mutex_pool *pool);
HG_API uint32_t hgi_mutex_pool_count(struct hgi_mutex_pool *pool);
HG_API void *hgi_mutex_pool_take(struct hgi_mutex_pool *pool);
HG_API void hgi_mutex_pool_give(struct hgi_mutex_pool *pool, void *thing);

#endif
