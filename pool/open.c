/* A pool's life: open, its own threads, close.
 *
 * Closing has three steps: the door shuts (no new call, waiters are told), those inside finish, the
 * memory goes. If they do not finish before the drain timeout, the keeper stays behind to do the last
 * step, so that a lease that comes back late still finds the pool it belongs to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/sized.h"
#include "pool/internal.h"
#include "pool/setup.h"

static void on_breaker_event(void *arg, const struct hg_breaker_event *event)
{
    hg_pool *pool = arg;
    if (event->to == HG_BREAKER_OPEN || event->to == HG_BREAKER_FORCED_OPEN)
        hgi_wake_all(pool, HGI_WAKE_BREAKER);
    if ((uint32_t)event->to < HGI_BREAKER_STATES)
        hgi_count(&pool->counters.transitions[event->to]);
    char text[96];
    snprintf(text, sizeof text, "the circuit breaker went from %s to %s%s",
             hg_breaker_state_name(event->from), hg_breaker_state_name(event->to),
             event->elsewhere ? ", by another process" : "");
    hgi_pool_log(pool, HG_LOG_BREAKER, event->retry_after_ns, NULL, event, text);
    hgi_pool_tell(pool, (struct hg_pool_event) { .kind = HG_EVENT_BREAKER, .breaker = event });
}

static void close_connections(hg_pool *pool)
{
    for (uint32_t i = 0; pool->slots && i < hgi_size_reached(pool); i++) {
        struct hgi_conn *conn = pool->slots[i].conn;
        if (!conn)
            continue;
        struct hg_pool_event event = { .kind = HG_EVENT_RETIRED,
                                       .connection = conn->id,
                                       .retirement = HG_RETIRED_CLOSING,
                                       .elapsed_ns = hgi_now_ns() - conn->made_ns };
        hgi_conn_close(conn);
        hgi_pool_tell(pool, event);
    }
}

void hgi_pool_free(hg_pool *pool)
{
    close_connections(pool);
    hgi_fork_unwatch(pool);
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
    hgi_descriptors_close(pool);
    hgi_gate_destroy(&pool->gate);
    pthread_cond_destroy(&pool->quiet_now);
    pthread_cond_destroy(&pool->dial_wanted);
    pthread_mutex_destroy(&pool->mutex);
    pthread_mutex_destroy(&pool->changing);
    hg_budget_free(pool->budget);
    hgi_snapshots_free(pool->snapshots);
    hgi_fork_free(pool);
    explicit_bzero(&pool->endpoint, sizeof pool->endpoint);
    if (pool->last_credentials)
        explicit_bzero(pool->last_credentials, sizeof *pool->last_credentials);
    free(pool->last_credentials);
    free(pool->slots_memory);
    free(pool->tallies_memory);
    hgi_pool_tell(pool, (struct hg_pool_event) { .kind = HG_EVENT_CLOSED });
    free(pool);
}

int hgi_cond_init(pthread_cond_t *cond)
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

/* Room for the largest pool, so that one can grow while callers look at its slots. It is address
 * space: memory comes with a slot's first use, because calloc() writes nothing into pages that are new. */
struct hgi_slot *hgi_slots_allocate(void **memory)
{
    *memory = calloc(1, HGI_POOL_SIZE_MAX * sizeof(struct hgi_slot) + HGI_CACHE_LINE);
    if (!*memory)
        return NULL;
    size_t past_line = (uintptr_t)*memory % HGI_CACHE_LINE;
    return (struct hgi_slot *)(void *)((char *)*memory + HGI_CACHE_LINE - past_line);
}

void hgi_descriptors_close(hg_pool *pool)
{
    hgi_descriptors_lock();
    if (pool->epoll_fd >= 0)
        close(pool->epoll_fd);
    if (pool->wake_fd >= 0)
        close(pool->wake_fd);
    pool->epoll_fd = pool->wake_fd = -1;
    hgi_descriptors_unlock();
}

hg_status hgi_descriptors_open(hg_pool *pool, struct hg_error *err)
{
    hgi_descriptors_lock();
    pool->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pool->wake_fd = pool->epoll_fd >= 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    int error = errno;
    bool well = pool->wake_fd >= 0;
    hgi_descriptors_unlock();
    if (well)
        return HG_OK;
    hgi_descriptors_close(pool);
    hgi_error_set(err, HG_ERR_NO_MEMORY,
                  "the pool's keeper needs two descriptors: %s; raise the limit (ulimit -n)",
                  strerrordesc_np(error));
    if (err)
        err->sys_errno = error;
    return HG_ERR_NO_MEMORY;
}

/* Memory and locks. NULL: out of memory. */
static hg_pool *allocate(uint32_t size)
{
    hg_pool *pool = aligned_alloc(HGI_CACHE_LINE, sizeof *pool);
    if (!pool)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pool->epoll_fd = pool->wake_fd = -1;
    if (pthread_mutex_init(&pool->mutex, NULL) != 0 ||
        pthread_mutex_init(&pool->changing, NULL) != 0 || hgi_cond_init(&pool->dial_wanted) != 0 ||
        hgi_cond_init(&pool->quiet_now) != 0 || hgi_gate_init(&pool->gate) != 0) {
        free(pool);
        return NULL;
    }
    pool->tallies = hgi_tallies_allocate(&pool->tallies_memory);
    pool->slots = hgi_slots_allocate(&pool->slots_memory);
    if (!pool->slots || !pool->tallies) {
        hgi_pool_free(pool);
        return NULL;
    }
    pool->wanted_size = size;
    atomic_init(&pool->size, size);
    atomic_init(&pool->reached, size);
    atomic_init(&pool->strict_from_ns, HGI_NEVER);
    return pool;
}

static hg_status open_shared_breaker(hg_pool *pool, const struct hgi_settings *settings,
                                     struct hg_error *err)
{
    struct hg_error told = HG_ERROR_INIT;
    hg_status status =
        hg_breaker_open_shared(&pool->breaker, settings->breaker_shared, &settings->breaker, &told);
    pool->own_breaker = status == HG_OK;
    if (status < 0 && err)
        *err = told;
    if (status == HG_OK && told.message[0] != '\0')
        hgi_pool_log(pool, HG_LOG_BREAKER_ADOPTED, 0, NULL, NULL, told.message);
    return status;
}

static hg_status make_breaker(hg_pool *pool, hg_breaker *given, const struct hgi_settings *settings,
                              struct hg_error *err)
{
    hg_status status = HG_OK;
    if (given) {
        pool->breaker = given;
    } else if (settings->breaker_enabled && settings->breaker_shared[0] != '\0') {
        status = open_shared_breaker(pool, settings, err);
    } else if (settings->breaker_enabled) {
        status = hg_breaker_new(&pool->breaker, &settings->breaker, err);
        pool->own_breaker = status == HG_OK;
    }
    if (status == HG_OK && pool->breaker)
        status = hg_breaker_listen(pool->breaker, on_breaker_event, pool, err);
    return status;
}

static hg_status make_parts(hg_pool *pool, const struct hg_pool_options *options, hg_policy *policy,
                            struct hg_error *err)
{
    hg_status status = HG_OK;
    pool->log = options->log;
    pool->log_arg = options->log_arg;
    pool->event = options->event;
    pool->event_arg = options->event_arg;
    pool->credentials = options->credentials;
    pool->credentials_arg = options->credentials_arg;
    pool->has_endpoint = options->url != NULL;
    if (options->url)
        status = hgi_endpoint_parse(&pool->endpoint, options->url, err);
    if (status == HG_OK)
        status =
            hgi_setup_is_possible(pool->has_endpoint ? &pool->endpoint : &policy->settings.server,
                                  &policy->settings, err);
    if (status == HG_OK && !hgi_snapshot_publish(pool, policy))
        status = hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for a pool");
    if (status == HG_OK)
        status = hg_budget_new(&pool->budget, policy, err);
    if (status == HG_OK)
        status = make_breaker(pool, options->breaker, &policy->settings, err);
    if (status == HG_OK)
        status = hgi_descriptors_open(pool, err);
    if (status == HG_OK && !hgi_fork_watch(pool))
        status = hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for the pool's fork handlers");
    return status;
}

hg_status hg_pool_open(hg_pool **out, const struct hg_pool_options *options, hg_policy *policy,
                       struct hg_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !policy)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_pool_open: %s is NULL; give one",
                             out ? "policy" : "out");
    static const struct hgi_sized form = { .known = sizeof *options,
                                           .least = sizeof options->size,
                                           .init = "HG_POOL_OPTIONS_INIT" };
    struct hg_pool_options given = HG_POOL_OPTIONS_INIT;
    hg_status status = hgi_sized_read(&given, options, &form, "hg_pool_open", err);
    if (status < 0)
        return status;
    hg_pool *pool = allocate(policy->settings.pool.max_size);
    if (!pool)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for a pool");
    int cancel = hgi_cancel_off();
    status = make_parts(pool, &given, policy, err);
    if (status == HG_OK)
        status = hgi_threads_start(pool, policy->settings.pool.max_connecting, err);
    if (status == HG_OK) {
        hgi_error_clear(err);
        *out = pool;
    } else {
        pool->event = NULL; /* of a pool that was never opened */
        hgi_pool_free(pool);
    }
    hgi_cancel_restore(cancel);
    return status;
}

static hg_status drained_too_late(const hg_pool *pool, struct hg_error *err)
{
    uint32_t leases = 0;
    int32_t holder = 0;
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
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
    hgi_fork_check();
    if (!pool->has_threads) { /* a child's copy that was never used: nobody is inside */
        hgi_pool_free(pool);
        return HG_OK;
    }
    if (drain_timeout_ns < 0) {
        hg_policy *policy = hgi_policy_hold(pool);
        drain_timeout_ns = policy->settings.pool.drain_timeout_ns;
        hg_policy_drop(policy);
    }
    int64_t deadline_ns = hgi_deadline_after(hgi_now_ns(), drain_timeout_ns);
    int cancel = hgi_cancel_off();
    hgi_threads_stop(pool);

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
    } else {
        pthread_join(keeper, NULL);
        hgi_pool_free(pool);
    }
    hgi_cancel_restore(cancel);
    return status;
}

hg_breaker *hg_pool_breaker(hg_pool *pool)
{
    return pool ? pool->breaker : NULL;
}
