/* The pools that herdgate's is measured against; see pools.h. The one behind a mutex is meant to be as
 * quick as its kind can be: one lock for each call, and a signal only if somebody waits. */
#include "tools/bench/pools.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct hgi_mutex_pool {
    alignas(64) pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t returned;
    uint32_t waiting;
    uint32_t count;
    void *thing[64];
};

static _Thread_local struct {
    uint32_t taken;
} own __attribute__((tls_model("initial-exec")));

void *hgi_local_take(void)
{
    if (own.taken)
        return NULL;
    own.taken = 1;
    return &own;
}

void hgi_local_give(void *taken)
{
    (void)taken;
    own.taken = 0;
}

bool hgi_line_take(struct hgi_line *line)
{
    uint32_t expected = 0;
    /* acquire and release: what a pool needs to hand on what was done with the thing. */
    return atomic_compare_exchange_strong_explicit(&line->taken, &expected, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

void hgi_line_give(struct hgi_line *line)
{
    atomic_store_explicit(&line->taken, 0, memory_order_release);
}

struct hgi_mutex_pool *hgi_mutex_pool_new(void)
{
    struct hgi_mutex_pool *pool = aligned_alloc(64, sizeof *pool);
    if (!pool)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->returned, NULL);
    return pool;
}

void hgi_mutex_pool_free(struct hgi_mutex_pool *pool)
{
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

uint32_t hgi_mutex_pool_count(struct hgi_mutex_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    uint32_t count = pool->count;
    pthread_mutex_unlock(&pool->mutex);
    return count;
}

void *hgi_mutex_pool_take(struct hgi_mutex_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->count == 0) {
        pool->waiting++;
        pthread_cond_wait(&pool->returned, &pool->mutex);
        pool->waiting--;
    }
    void *thing = pool->thing[--pool->count];
    pthread_mutex_unlock(&pool->mutex);
    return thing;
}

void hgi_mutex_pool_give(struct hgi_mutex_pool *pool, void *thing)
{
    pthread_mutex_lock(&pool->mutex);
    pool->thing[pool->count++] = thing;
    bool signal = pool->waiting > 0;
    pthread_mutex_unlock(&pool->mutex);
    if (signal)
        pthread_cond_signal(&pool->returned);
}
