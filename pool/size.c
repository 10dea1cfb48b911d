/* How many connections there may be: live resize, suspend and resume.
 *
 * The size is one number that takers, givers and dialers look at. A slot at or above it is given to
 * nobody; its connection closes as soon as it is nobody's. A suspended pool is one of size 0 that
 * remembers its own.
 */
#include "breaker/error.h"
#include "pool/cancel.h"
#include "pool/internal.h"

static void set_size(hg_pool *pool, uint32_t size)
{
    /* relaxed, both: a slot's own state says what may be done with it; see hgi_size_now(). */
    if (size > hgi_size_reached(pool))
        atomic_store_explicit(&pool->reached, size, memory_order_relaxed);
    atomic_store_explicit(&pool->size, size, memory_order_relaxed);
    pthread_cond_broadcast(&pool->dial_wanted);
}

void hgi_resize_now(hg_pool *pool)
{
    set_size(pool, pool->suspended ? 0 : pool->wanted_size);
}

void hgi_resize(hg_pool *pool, uint32_t size)
{
    pool->wanted_size = size;
    hgi_resize_now(pool);
}

hg_status hg_pool_resize(hg_pool *pool, uint32_t max_size, struct hg_error *err)
{
    if (!pool)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_pool_resize: pool is NULL; give one");
    if (max_size < 1 || max_size > HGI_POOL_SIZE_MAX)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "hg_pool_resize: max_size is %u; it must be from 1 to %d",
                             (unsigned)max_size, HGI_POOL_SIZE_MAX);
    struct hgi_snapshot *snapshot;
    hg_status status = hgi_call_enter(pool, &snapshot, err);
    if (status != HG_OK)
        return status;
    int cancel = hgi_cancel_off();
    pthread_mutex_lock(&pool->mutex);
    hgi_resize(pool, max_size);
    pthread_mutex_unlock(&pool->mutex);
    hgi_pool_tell(pool, (struct hg_pool_event) { .kind = HG_EVENT_RESIZED });
    hgi_serve_queue(pool); /* slots may be in use again that stayed free */
    hgi_keeper_wake(pool); /* what is idle and too many goes now */
    hgi_call_leave(snapshot);
    hgi_cancel_restore(cancel);
    hgi_error_clear(err);
    return HG_OK;
}

static hg_status set_suspended(hg_pool *pool, const char *name, bool suspended,
                               struct hg_error *err)
{
    if (!pool)
        return hgi_error_set(err, HG_ERR_VALIDATION, "%s: pool is NULL; give one", name);
    struct hgi_snapshot *snapshot;
    hg_status status = hgi_call_enter(pool, &snapshot, err);
    if (status != HG_OK)
        return status;
    int cancel = hgi_cancel_off();
    pthread_mutex_lock(&pool->mutex);
    const bool changed = pool->suspended != suspended;
    if (changed) {
        pool->suspended = suspended;
        hgi_resize_now(pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (changed)
        hgi_pool_tell(pool, (struct hg_pool_event) { .kind = suspended ? HG_EVENT_SUSPENDED
                                                                       : HG_EVENT_RESUMED });
    hgi_serve_queue(pool); /* slots may be in use again that stayed free */
    hgi_keeper_wake(pool);
    hgi_call_leave(snapshot);
    hgi_cancel_restore(cancel);
    hgi_error_clear(err);
    return HG_OK;
}

hg_status hg_pool_suspend(hg_pool *pool, struct hg_error *err)
{
    return set_suspended(pool, "hg_pool_suspend", true, err);
}

hg_status hg_pool_resume(hg_pool *pool, struct hg_error *err)
{
    return set_suspended(pool, "hg_pool_resume", false, err);
}
