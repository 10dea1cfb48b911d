/* A pool's life: open, its own threads, close.
 *
 * Closing has three steps: the door shuts (no new call, waiters are told), those inside finish, the
 * memory goes. If they do not finish before the drain timeout, the keeper stays behind to do the last
 * step, so that a lease that comes back late still finds the pool it belongs to.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/internal.h"

void hgi_pool_log(const hg_pool *pool, hg_log_kind kind, int64_t delay_ns,
                  const struct hg_error *error, const struct hg_breaker_event *breaker,
                  const char *text)
{
    if (!pool->log)
        return;
    struct hg_log_event event = { .size = sizeof event,
                                  .kind = kind,
                                  .delay_ns = delay_ns,
                                  .error = error,
                                  .breaker = breaker,
                                  .text = text };
    pool->log(pool->log_arg, &event);
}

static void on_breaker_event(void *arg, const struct hg_breaker_event *event)
{
    hg_pool *pool = arg;
    if (event->to == HG_BREAKER_OPEN || event->to == HG_BREAKER_FORCED_OPEN) {
        pthread_mutex_lock(&pool->mutex);
        hgi_fail_waiters(pool, HGI_WAKE_BREAKER);
        pthread_mutex_unlock(&pool->mutex);
    }
    char text[96];
    snprintf(text, sizeof text, "the circuit breaker went from %s to %s",
             hg_breaker_state_name(event->from), hg_breaker_state_name(event->to));
    hgi_pool_log(pool, HG_LOG_BREAKER, event->retry_after_ns, NULL, event, text);
}

void hgi_pool_free(hg_pool *pool)
{
    for (uint32_t i = 0; pool->slots && i < pool->size; i++)
        hgi_conn_close(pool->slots[i].conn);
    if (pool->breaker) {
        hg_breaker_unlisten(pool->breaker, on_breaker_event, pool);
        if (pool->own_breaker)
            hg_breaker_free(pool->breaker);
    }
    while (pool->all) {
        struct hgi_waiter *waiter = pool->all;
        pool->all = waiter->older;
        free(waiter);
    }
    if (pool->epoll_fd >= 0)
        close(pool->epoll_fd);
    if (pool->wake_fd >= 0)
        close(pool->wake_fd);
    hgi_gate_destroy(&pool->gate);
    pthread_cond_destroy(&pool->quiet_now);
    pthread_cond_destroy(&pool->dial_wanted);
    pthread_mutex_destroy(&pool->mutex);
    hg_budget_free(pool->budget);
    hg_policy_drop(pool->policy);
    free(pool->slots);
    free(pool);
}

static int init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error)
        return error;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    error = pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return error;
}

/* Memory and locks. NULL: out of memory. */
static hg_pool *allocate(hg_policy *policy)
{
    hg_pool *pool = aligned_alloc(HGI_CACHE_LINE, sizeof *pool);
    if (!pool)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pool->policy = hg_policy_retain(policy);
    pool->settings = &policy->settings;
    pool->endpoint = policy->settings.server;
    pool->size = policy->settings.pool.max_size;
    pool->epoll_fd = pool->wake_fd = -1;
    if (pthread_mutex_init(&pool->mutex, NULL) != 0 || init_cond(&pool->dial_wanted) != 0 ||
        init_cond(&pool->quiet_now) != 0 || hgi_gate_init(&pool->gate) != 0) {
        hg_policy_drop(policy);
        free(pool);
        return NULL;
    }
    size_t size = pool->size * sizeof *pool->slots;
    pool->slots = aligned_alloc(HGI_CACHE_LINE, size);
    if (!pool->slots) {
        hgi_pool_free(pool);
        return NULL;
    }
    memset(pool->slots, 0, size);
    return pool;
}

/* recv may block for this long in the kernel before the deadline is looked at: half of what a read is
 * allowed, so that the usual call costs one recv. */
static int64_t receive_slice(const struct hgi_settings *settings)
{
    int64_t timeout_ns = settings->classes[HGI_CLASS_READ].attempt_timeout_ns;
    int64_t slice_ns = timeout_ns < 0 ? HGI_NS_PER_S : timeout_ns / 2;
    return slice_ns > HGI_NS_PER_MS ? slice_ns : HGI_NS_PER_MS;
}

static hg_status make_breaker(hg_pool *pool, hg_breaker *given, struct hg_error *err)
{
    hg_status status = HG_OK;
    if (given) {
        pool->breaker = given;
    } else if (pool->settings->breaker_enabled) {
        status = hg_breaker_new(&pool->breaker, &pool->settings->breaker, err);
        pool->own_breaker = status == HG_OK;
    }
    if (status == HG_OK && pool->breaker)
        status = hg_breaker_listen(pool->breaker, on_breaker_event, pool, err);
    return status;
}

static hg_status make_parts(hg_pool *pool, const struct hg_pool_options *options,
                            struct hg_error *err)
{
    hg_status status = HG_OK;
    pool->log = options->log;
    pool->log_arg = options->log_arg;
    pool->slice_ns = receive_slice(pool->settings);
    if (options->url)
        status = hgi_endpoint_parse(&pool->endpoint, options->url, err);
    if (status == HG_OK)
        status = hg_budget_new(&pool->budget, pool->policy, err);
    if (status == HG_OK)
        status = make_breaker(pool, options->breaker, err);
    if (status != HG_OK)
        return status;
    pool->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pool->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->epoll_fd < 0 || pool->wake_fd < 0) {
        int error = errno;
        hgi_error_set(err, HG_ERR_NO_MEMORY,
                      "the pool's keeper needs two descriptors: %s; raise the limit (ulimit -n)",
                      strerrordesc_np(error));
        if (err)
            err->sys_errno = error;
        return HG_ERR_NO_MEMORY;
    }
    return HG_OK;
}

static void stop_threads(hg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    /* [P2] seq_cst: set before the calls are counted; pairs with [P2] in hgi_call_enter(). */
    atomic_store_explicit(&pool->closing, 1, memory_order_seq_cst);
    hgi_fail_waiters(pool, HGI_WAKE_CLOSED);
    pthread_cond_broadcast(&pool->dial_wanted);
    pthread_mutex_unlock(&pool->mutex);
    hgi_keeper_wake(pool);
}

static hg_status cannot_start(int error, struct hg_error *err)
{
    hgi_error_set(err, HG_ERR_NO_MEMORY, "cannot start the pool's threads: %s; is a limit reached?",
                  strerrordesc_np(error));
    if (err)
        err->sys_errno = error;
    return HG_ERR_NO_MEMORY;
}

/* Start keeper and dialers with all signals blocked: signals are the host's. */
hg_status hgi_threads_start(hg_pool *pool, struct hg_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    uint32_t wanted = pool->settings->pool.max_connecting;
    for (uint32_t i = 0; i < wanted && !error; i++) {
        error = pthread_create(&pool->dialers[i], NULL, hgi_dialer_main, pool);
        if (!error) {
            pthread_setname_np(pool->dialers[i], "hg-dialer");
            pool->dialer_count++;
        }
    }
    if (!error) {
        error = pthread_create(&pool->keeper, NULL, hgi_keeper_main, pool);
        if (!error)
            pthread_setname_np(pool->keeper, "hg-keeper");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        return HG_OK;
    stop_threads(pool);
    for (uint32_t i = 0; i < pool->dialer_count; i++)
        pthread_join(pool->dialers[i], NULL);
    return cannot_start(error, err);
}

hg_status hg_pool_open(hg_pool **out, const struct hg_pool_options *options, hg_policy *policy,
                       struct hg_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !policy)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_pool_open: %s is NULL; give one",
                             out ? "policy" : "out");
    struct hg_pool_options given = HG_POOL_OPTIONS_INIT;
    if (options && options->size >= sizeof options->size)
        memcpy(&given, options, options->size < sizeof given ? options->size : sizeof given);
    hg_pool *pool = allocate(policy);
    if (!pool)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for a pool");
    hg_status status = make_parts(pool, &given, err);
    if (status == HG_OK)
        status = hgi_threads_start(pool, err);
    if (status != HG_OK) {
        hgi_pool_free(pool);
        return status;
    }
    hgi_error_clear(err);
    *out = pool;
    return HG_OK;
}

static hg_status drained_too_late(const hg_pool *pool, struct hg_error *err)
{
    uint32_t leases = 0;
    int32_t holder = 0;
    for (uint32_t i = 0; i < pool->size; i++) {
        /* relaxed: a picture for people. */
        int32_t thread = atomic_load_explicit(&pool->slots[i].holder, memory_order_relaxed);
        if (thread != 0) {
            leases++;
            holder = thread;
        }
    }
    if (leases == 0)
        return hgi_error_set(
            err, HG_ERR_TIMEOUT,
            "the pool's last call or dial did not end before the drain timeout; its "
            "memory is freed when it does");
    return hgi_error_set(err, HG_ERR_TIMEOUT,
                         "%u lease(s) were not given back before the drain timeout, one of them by "
                         "thread %d; the memory is freed when they are",
                         (unsigned)leases, (int)holder);
}

/* With the mutex held. */
static void wait_until_quiet(hg_pool *pool, int64_t deadline_ns)
{
    const struct timespec deadline = hgi_timespec(deadline_ns);
    while (!pool->quiet && hgi_now_ns() < deadline_ns)
        pthread_cond_timedwait(&pool->quiet_now, &pool->mutex, &deadline);
}

hg_status hg_pool_close(hg_pool *pool, int64_t drain_timeout_ns, struct hg_error *err)
{
    hgi_error_clear(err);
    if (!pool)
        return HG_OK;
    if (drain_timeout_ns < 0)
        drain_timeout_ns = pool->settings->pool.drain_timeout_ns;
    int64_t deadline_ns = hgi_deadline_after(hgi_now_ns(), drain_timeout_ns);
    stop_threads(pool);

    pthread_t keeper = pool->keeper;
    hg_status status = HG_OK;
    pthread_mutex_lock(&pool->mutex);
    wait_until_quiet(pool, deadline_ns);
    if (!pool->quiet && hgi_nobody_inside(pool)) /* only our own threads, which need a moment */
        wait_until_quiet(pool, hgi_deadline_after(hgi_now_ns(), HGI_NS_PER_S));
    if (!pool->quiet) {
        status = drained_too_late(pool, err);
        pool->abandoned = true;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (status != HG_OK) {
        pthread_detach(keeper);
        return status;
    }
    pthread_join(keeper, NULL);
    hgi_pool_free(pool);
    return HG_OK;
}

hg_breaker *hg_pool_breaker(hg_pool *pool)
{
    return pool->breaker;
}
