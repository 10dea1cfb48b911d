/* The keeper: one thread that looks after connections nobody uses.
 *
 * It sleeps in epoll. Every connection is registered once, edge-triggered and for the server's end of
 * it only, so replies never wake it; a connection that the server closed is gone before anyone borrows
 * it. Once per sweep it owns each free slot for a moment, by the same CAS as a caller, and closes what
 * is too old, idle for too long, above the recent peak of use, or has bytes nobody asked for, pings
 * what has long been silent, and warns of leases that are held for long.
 *
 * It is also the last one out: when the pool closes, it waits until calls, leases and dialers are gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/internal.h"

enum { EVENTS_AT_ONCE = 64 };

static const uint64_t wake_mark =
    UINT64_MAX; /* epoll data of the eventfd; no slot has this index */

void hgi_keeper_watch(hg_pool *pool, const struct hgi_slot *slot)
{
    uint64_t index = (uint64_t)(slot - pool->slots);
    struct epoll_event event = { .events = EPOLLRDHUP | EPOLLET,
                                 .data.u64 = index << 32 | slot->conn->id };
    /* Without it the connection still works; its end is noticed by its next user. */
    (void)epoll_ctl(pool->epoll_fd, EPOLL_CTL_ADD, slot->conn->context->fd, &event);
}

static bool is_closing(const hg_pool *pool)
{
    /* relaxed: the eventfd that is written after it wakes us to look again. */
    return atomic_load_explicit(&pool->closing, memory_order_relaxed) != 0;
}

void hgi_keeper_wake(hg_pool *pool)
{
    const uint64_t one = 1;
    ssize_t written;
    do
        written = write(pool->wake_fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
}

/* Own a FREE slot as the keeper. */
static bool own_idle(struct hgi_slot *slot)
{
    uint32_t expected = HGI_SLOT_FREE;
    /* [P4] acquire: the connection as its last owner left it; pairs with [P4] in hgi_slot_free(). */
    return atomic_compare_exchange_strong_explicit(&slot->state, &expected, HGI_SLOT_KEEPER,
                                                   memory_order_acquire, memory_order_relaxed);
}

static void log_lost(const hg_pool *pool, const char *text)
{
    hgi_pool_log(pool, HG_LOG_CONNECTION_LOST, 0, NULL, NULL, text);
}

/* The server ended connection `id` of this slot. Its holder, or its next one, reads the mark; if
 * nobody has it, it goes now. */
static void on_hang_up(hg_pool *pool, struct hgi_slot *slot, uint32_t id)
{
    /* relaxed: a hint that saves the next user a failure; the failure itself would be handled. */
    atomic_store_explicit(&slot->hung_up, id, memory_order_relaxed);
    if (!own_idle(slot))
        return;
    if (slot->conn->id != id) {
        hgi_give(pool, slot, hgi_now_ns());
        return;
    }
    hgi_discard(pool, slot);
    hgi_count(&pool->counters.closed_by_server);
    log_lost(pool, "the server closed an idle connection; it is replaced when needed");
}

/* PING on an owned connection that has been silent for long. An error is an answer, too; anything else
 * was meant for somebody else. */
static bool answers_ping(const struct hgi_pool_settings *settings, struct hgi_conn *conn)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    struct hgi_span span = { .now_ns = hgi_now_ns() };
    span.end_ns = hgi_deadline_after(span.now_ns, settings->connect_timeout_ns);
    redisReply *reply = NULL;
    struct hgi_io io = hgi_conn_send(conn, ping, sizeof ping - 1, &span);
    if (io.kind == HGI_IO_OK)
        io = hgi_conn_receive(conn, &reply, &span);
    const bool answered = io.kind == HGI_IO_OK &&
                          (reply->type == REDIS_REPLY_ERROR ||
                           (reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0));
    freeReplyObject(reply);
    return answered;
}

static bool passed(int64_t now_ns, int64_t since_ns, int64_t limit_ns)
{
    return limit_ns >= 0 && now_ns - since_ns >= limit_ns;
}

/* Look at one idle connection. */
static void inspect_idle(hg_pool *pool, const struct hgi_pool_settings *settings,
                         struct hgi_slot *slot, int64_t now_ns, uint32_t *spare, uint32_t *unused)
{
    if (!own_idle(slot))
        return;
    struct hgi_conn *conn = slot->conn;
    int64_t used_ns = conn->used_ns ? conn->used_ns : conn->made_ns;
    const char *why = NULL;
    if (now_ns >= conn->expires_ns || !hgi_slot_is_fit(pool, slot)) {
        if (hgi_slot_is_fit(pool, slot))
            conn->retired_as = HG_RETIRED_LIFETIME;
        hgi_discard(pool, slot);
        return;
    }
    /* relaxed: as in mend.c. */
    if (conn->unsettled && !atomic_load_explicit(&pool->cannot_mend, memory_order_relaxed)) {
        conn->altered = true;
        hgi_give(pool, slot, now_ns);
        return;
    }
    if (*spare > 0 && (*unused > 0 || passed(now_ns, used_ns, settings->idle_timeout_ns))) {
        (*spare)--;
        *unused -= *unused > 0;
        conn->retired_as = HG_RETIRED_IDLE;
        hgi_discard(pool, slot);
        return;
    }
    if (passed(now_ns, used_ns, HGI_NS_PER_S) && hgi_conn_has_stray_bytes(conn)) {
        why = "an idle connection had ended or held bytes nobody asked for; it was closed";
        conn->retired_as = HG_RETIRED_UNCLEAN;
        hgi_count(&pool->counters.closed_unclean);
    } else if (passed(now_ns, used_ns, settings->keepalive_ns)) {
        if (answers_ping(settings, conn)) {
            conn->used_ns = hgi_now_ns();
        } else {
            why = "an idle connection did not answer PING; it was closed";
            conn->retired_as = HG_RETIRED_SILENT;
        }
    }
    if (why) {
        hgi_discard(pool, slot);
        log_lost(pool, why);
    } else {
        hgi_give(pool, slot, hgi_now_ns());
    }
}

static void warn_of_lease(hg_pool *pool, const struct hgi_pool_settings *settings,
                          struct hgi_slot *slot, int64_t now_ns)
{
    /* [P8] acquire: a holder's own beginning, not that of the lease before; pairs with [P8] in
     * hgi_lease_begin(). */
    int32_t holder = atomic_load_explicit(&slot->holder, memory_order_acquire);
    /* relaxed: a picture for people. */
    int64_t since_ns = atomic_load_explicit(&slot->leased_ns, memory_order_relaxed);
    if (holder == 0 || slot->warned_ns == since_ns ||
        !passed(now_ns, since_ns, settings->lease_warning_ns) ||
        /* relaxed: a command that waits in the server, for as long as it was told to, is well. */
        atomic_load_explicit(&slot->waits, memory_order_relaxed))
        return;
    slot->warned_ns = since_ns;
    char text[128];
    snprintf(text, sizeof text, "thread %d has held a lease for %.1f s; is hg_release() missing?",
             (int)holder, (double)(now_ns - since_ns) / 1e9);
    hgi_pool_log(pool, HG_LOG_LEASE_WARNING, 0, NULL, NULL, text);
}

/* How many connections have not been needed for idle_timeout, whichever they are. */
static uint32_t look_at_usage(hg_pool *pool, const struct hgi_pool_settings *settings,
                              int64_t now_ns, uint32_t connected)
{
    uint32_t in_use = 0;
    if (settings->idle_timeout_ns < 0)
        return 0;
    /* relaxed, both: a sample. */
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++)
        in_use +=
            atomic_load_explicit(&pool->slots[i].state, memory_order_relaxed) == HGI_SLOT_LEASED;
    uint64_t queued = atomic_load_explicit(&pool->counters.queued, memory_order_relaxed);
    hgi_usage_note(&pool->usage, now_ns, settings->idle_timeout_ns, connected, in_use, queued);
    return hgi_usage_spare(&pool->usage, connected);
}

static void sweep(hg_pool *pool, const struct hgi_pool_settings *settings)
{
    int64_t now_ns = hgi_now_ns();
    pthread_mutex_lock(&pool->mutex);
    uint32_t floor = settings->min_idle;
    uint32_t connected = pool->connected;
    pthread_mutex_unlock(&pool->mutex);
    uint32_t spare = connected > floor ? connected - floor : 0;
    uint32_t unused = look_at_usage(pool, settings, now_ns, connected);
    /* A server that says nothing is awaited once for each connection; closing awaits one of them. */
    for (uint32_t i = 0; i < hgi_size_reached(pool) && !is_closing(pool); i++) {
        inspect_idle(pool, settings, &pool->slots[i], now_ns, &spare, &unused);
        warn_of_lease(pool, settings, &pool->slots[i], now_ns);
    }
    hgi_snapshots_collect(pool);
}

/* How long between sweeps: a quarter of the shortest limit there is, between 20 ms and 1 s. */
static int64_t sweep_interval(const struct hgi_pool_settings *settings)
{
    const int64_t limits[] = { settings->idle_timeout_ns, settings->max_lifetime_ns,
                               settings->keepalive_ns, settings->lease_warning_ns };
    int64_t shortest_ns = 4 * HGI_NS_PER_S;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (limits[i] >= 0 && limits[i] < shortest_ns)
            shortest_ns = limits[i];
    int64_t interval_ns = shortest_ns / 4;
    return interval_ns > 20 * HGI_NS_PER_MS ? interval_ns : 20 * HGI_NS_PER_MS;
}

/* True: somebody wants it to look around now. */
static bool handle_events(hg_pool *pool, const struct epoll_event *events, int count)
{
    bool woken = false;
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == wake_mark) {
            uint64_t ignored;
            (void)!read(pool->wake_fd, &ignored, sizeof ignored);
            woken = true;
        } else {
            on_hang_up(pool, &pool->slots[events[i].data.u64 >> 32], (uint32_t)events[i].data.u64);
        }
    }
    return woken;
}

/* The pool is closing: wait for the last, then let close know, or finish in its place. */
static void see_everybody_out(hg_pool *pool)
{
    int64_t pause_ns = HGI_NS_PER_MS / 8;
    pthread_mutex_lock(&pool->mutex);
    while (!hgi_nobody_inside(pool)) {
        pthread_mutex_unlock(&pool->mutex);
        hgi_sleep_until(hgi_now_ns() + pause_ns);
        if (pause_ns < 10 * HGI_NS_PER_MS)
            pause_ns *= 2;
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    /* After the last call: a reload may have started one. */
    for (uint32_t i = 0; i < pool->dialer_count; i++)
        pthread_join(pool->dialers[i], NULL);
    pthread_mutex_lock(&pool->mutex);
    pool->quiet = true;
    bool abandoned = pool->abandoned;
    pthread_cond_signal(&pool->quiet_now);
    pthread_mutex_unlock(&pool->mutex);
    if (abandoned)
        hgi_pool_free(pool);
}

/* One sweep under the policy of today; how long until the next one. */
static int64_t look_around(hg_pool *pool)
{
    hg_policy *policy = hgi_policy_hold(pool);
    const struct hgi_pool_settings *settings = &policy->settings.pool;
    sweep(pool, settings);
    int64_t interval_ns = sweep_interval(settings);
    hg_policy_drop(policy);
    return interval_ns;
}

void *hgi_keeper_main(void *argument)
{
    hg_pool *pool = argument;
    int64_t next_ns = hgi_now_ns();
    struct epoll_event wake = { .events = EPOLLIN, .data.u64 = wake_mark };
    if (epoll_ctl(pool->epoll_fd, EPOLL_CTL_ADD, pool->wake_fd, &wake) != 0) {
        fprintf(stderr, "herdgate: the keeper cannot watch its own eventfd\n");
        abort();
    }
    while (!is_closing(pool)) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int64_t left_ns = next_ns - hgi_now_ns();
        int timeout_ms = left_ns > 0 ? (int)(left_ns / HGI_NS_PER_MS) + 1 : 0;
        int count = epoll_wait(pool->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
        bool woken = handle_events(pool, events, count);
        if (woken || hgi_now_ns() >= next_ns)
            next_ns = hgi_deadline_after(hgi_now_ns(), look_around(pool));
    }
    see_everybody_out(pool);
    return NULL;
}
