/* The pool's own threads: one keeper and some dialers.
 *
 * They start with every signal blocked, because signals are the host's. Dialers are only ever added:
 * one that a smaller max_connecting leaves without work sleeps until the pool closes.
 */
#include <signal.h>
#include <string.h>

#include "breaker/error.h"
#include "pool/internal.h"

void hgi_threads_stop(hg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    /* [P2] seq_cst: set before the calls are counted; pairs with [P2] in hgi_call_enter(). */
    atomic_store_explicit(&pool->closing, HGI_CLOSING, memory_order_seq_cst);
    pthread_cond_broadcast(&pool->dial_wanted);
    pthread_mutex_unlock(&pool->mutex);
    hgi_wake_all(pool, HGI_WAKE_CLOSED);
    hgi_keeper_wake(pool);
}

static int start(pthread_t *thread, void *(*body)(void *), hg_pool *pool, const char *name)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, body, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        pthread_setname_np(*thread, name);
    return error;
}

static hg_status cannot_start(int error, struct hg_error *err)
{
    hgi_error_set(err, HG_ERR_NO_MEMORY, "cannot start the pool's threads: %s; is a limit reached?",
                  strerrordesc_np(error));
    if (err)
        err->sys_errno = error;
    return HG_ERR_NO_MEMORY;
}

hg_status hgi_dialers_start(hg_pool *pool, uint32_t dialers, struct hg_error *err)
{
    while (pool->dialer_count < dialers) {
        int error = start(&pool->dialers[pool->dialer_count], hgi_dialer_main, pool, "hg-dialer");
        if (error)
            return cannot_start(error, err);
        pool->dialer_count++;
    }
    return HG_OK;
}

hg_status hgi_threads_start(hg_pool *pool, uint32_t dialers, struct hg_error *err)
{
    hg_status status = hgi_dialers_start(pool, dialers, err);
    if (status == HG_OK) {
        int error = start(&pool->keeper, hgi_keeper_main, pool, "hg-keeper");
        if (!error) {
            pool->has_threads = true;
            return HG_OK;
        }
        status = cannot_start(error, err);
    }
    hgi_threads_stop(pool);
    for (uint32_t i = 0; i < pool->dialer_count; i++)
        pthread_join(pool->dialers[i], NULL);
    pool->dialer_count = 0;
    return status;
}
