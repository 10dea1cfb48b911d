/* fork(): a child never touches its parent's sockets, and can use its copy of a pool at once.
 *
 * Around fork() the handlers below hold every mutex of every pool, so that the child's copy is whole.
 * In the child, where only the forking thread exists, each pool is prepared: our descriptors are
 * closed with close() and nothing else (no QUIT, no shutdown, no goodbye of TLS: the parent goes on
 * talking on the same sockets), the queue is emptied, leases and calls of the parent are set aside. That
 * allocates nothing and starts nothing, because most children exec at once. The first call into the
 * pool then revives it: slots, descriptors and threads of its own, and a snapshot in which no call of
 * the parent is counted.
 *
 * A handshake of TLS takes locks that are not ours, and that nobody frees in a child: fork() waits for the
 * step that is under way, which is never longer than OpenSSL computes.
 *
 * A lookup of a name takes locks of the C library, too (that of the host's own addresses, which glibc 2.36
 * does not free in a child: of a parent that looks for "localhost" all the time, one child in a thousand
 * never finds it). fork() waits for lookups as well, but only for as long as one takes that waits for
 * nothing, because a name server may be silent.
 *
 * So that the child finds every descriptor and never one too many, making or closing one and noting it
 * is one step under the lock that fork() takes as well.
 *
 * A child that was made without handlers (_Fork(), a bare clone) is known by a page that the kernel
 * wipes in children; it is prepared by its first call, from whatever state the parent was in.
 *
 * The parent's slots stay as they are, with their connections' memory: the forking thread may be
 * inside a call and hold a lease, whose handle must lead to something that says no.
 *
 * Invariants: locks are taken in this order: that of the handshakes, `naming`, the registry's mutex, a
 * pool's; `closing` is HGI_FORKED from the preparation to the revival, and no call is inside meanwhile.
 */
#include "pool/fork.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/internal.h"

enum { MARK_WIPED = 0, MARK_PREPARED = 1, MARK_BEING_PREPARED = 2 };

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER; /* guards `pools` and the notes */
/* Read-locked in steps of handshakes, write-locked by fork(), which they do not keep waiting. */
static const pthread_rwlock_t unlocked = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static pthread_rwlock_t handshakes = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER; /* guards the next two */
static uint32_t lookups;                                   /* under way */
static bool fork_waits;                                    /* for them: none begins */
int64_t hgi_lookup_patience_ns = 20 * HGI_NS_PER_MS;
static pthread_cond_t named; /* both wait here; made under `watch_once` */
static hg_pool *pools;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static _Atomic uint32_t plain_mark = MARK_PREPARED; /* where the kernel wipes no pages */
_Atomic uint32_t *hgi_process_mark = &plain_mark;

void hgi_descriptors_lock(void)
{
    pthread_mutex_lock(&registry);
}

void hgi_descriptors_unlock(void)
{
    pthread_mutex_unlock(&registry);
}

void hgi_handshake_step_begin(void)
{
    pthread_rwlock_rdlock(&handshakes);
}

void hgi_handshake_step_end(void)
{
    pthread_rwlock_unlock(&handshakes);
}

void hgi_lookup_begin(void)
{
    pthread_mutex_lock(&naming);
    while (fork_waits)
        pthread_cond_wait(&named, &naming);
    lookups++;
    pthread_mutex_unlock(&naming);
}

void hgi_lookup_end(void)
{
    pthread_mutex_lock(&naming);
    lookups--;
    pthread_cond_broadcast(&named);
    pthread_mutex_unlock(&naming);
}

int hgi_socket_open(int family, int type, hgi_descriptor_note *note)
{
    hgi_descriptors_lock();
    int fd = socket(family, type, 0);
    if (fd == 0) { /* hiredis 0.14 takes descriptor 0 for none and would never close it */
        fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
        close(0);
    }
    if (fd >= 0)
        hgi_descriptor_note_down(note, fd);
    hgi_descriptors_unlock();
    return fd;
}

void hgi_socket_close(int fd, hgi_descriptor_note *note)
{
    hgi_descriptors_lock();
    hgi_descriptor_note_down(note, -1);
    close(fd);
    hgi_descriptors_unlock();
}

/* --- preparing a child's copy; one thread exists --- */

static void close_all(hg_pool *pool)
{
    for (uint32_t i = 0; i < hgi_size_reached(pool); i++) {
        struct hgi_slot *slot = &pool->slots[i];
        /* relaxed: no other thread exists. */
        int32_t noted = atomic_load_explicit(&slot->descriptor, memory_order_relaxed);
        if (noted > 0)
            close(noted - 1);
        atomic_store_explicit(&slot->descriptor, 0, memory_order_relaxed);
        slot->inherited = true;
    }
    if (pool->epoll_fd >= 0)
        close(pool->epoll_fd);
    if (pool->wake_fd >= 0)
        close(pool->wake_fd);
    pool->epoll_fd = pool->wake_fd = -1;
}

static void prepare_pool(hg_pool *pool)
{
    close_all(pool);
    /* Held by the forking thread, or, without handlers, perhaps by a thread that is not here. */
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_mutex_init(&pool->changing, NULL);
    hgi_cond_init(&pool->dial_wanted);
    hgi_cond_init(&pool->quiet_now);
    hgi_gate_forget(&pool->gate);
    if (pool->breaker)
        hgi_breaker_forget_threads(pool->breaker);
    hgi_queue_forget(pool);
    pool->connected = pool->dialing = pool->spoiled = 0;
    pool->dial_failures_in_a_row = 0;
    pool->dial_not_before_ns = 0;
    pool->dial_urgent = false;
    pool->dialer_count = 0;
    pool->has_threads = pool->parts_are_own = false;
    pool->quiet = pool->abandoned = false;
    /* relaxed, all: no other thread exists, and those to come are made by this one. */
    atomic_store_explicit(&pool->size, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->reached, 0, memory_order_relaxed);
    if (atomic_load_explicit(&pool->closing, memory_order_relaxed) != HGI_CLOSING)
        atomic_store_explicit(&pool->closing, HGI_FORKED, memory_order_relaxed);
}

static void prepare_all(void)
{
    pthread_mutex_init(&registry, NULL);
    handshakes = unlocked;
    pthread_mutex_init(&naming, NULL);
    hgi_cond_init(&named);
    lookups = 0;
    fork_waits = false;
    hgi_thread_id_forget();
    for (hg_pool *pool = pools; pool; pool = pool->next_pool)
        prepare_pool(pool);
}

void hgi_fork_prepare_late(void)
{
    uint32_t wiped = MARK_WIPED;
    /* relaxed: what is prepared is told by [K1]. */
    if (atomic_compare_exchange_strong_explicit(hgi_process_mark, &wiped, MARK_BEING_PREPARED,
                                                memory_order_relaxed, memory_order_relaxed)) {
        prepare_all();
        /* [K1] release: the pools; pairs with [K1] in hgi_fork_check() and below. */
        atomic_store_explicit(hgi_process_mark, MARK_PREPARED, memory_order_release);
    }
    /* [K1] acquire: as in hgi_fork_check(). Ends: preparing does not block. */
    while (atomic_load_explicit(hgi_process_mark, memory_order_acquire) != MARK_PREPARED)
        sched_yield();
}

/* --- the handlers --- */

/* Until no lookup is under way, or for as long as one takes that waits for nothing. `naming` is held
 * afterwards. */
static void await_lookups(void)
{
    const int64_t end_ns = hgi_now_ns() + hgi_lookup_patience_ns;
    const struct timespec end = hgi_timespec(end_ns);
    pthread_mutex_lock(&naming);
    fork_waits = true;
    while (lookups > 0 && hgi_now_ns() < end_ns)
        pthread_cond_timedwait(&named, &naming, &end);
}

static void before_fork(void)
{
    pthread_rwlock_wrlock(&handshakes);
    await_lookups();
    pthread_mutex_lock(&registry);
    for (hg_pool *pool = pools; pool; pool = pool->next_pool) {
        pthread_mutex_lock(&pool->mutex);
        pthread_mutex_lock(&pool->gate.mutex);
    }
}

static void after_fork_in_parent(void)
{
    for (hg_pool *pool = pools; pool; pool = pool->next_pool) {
        pthread_mutex_unlock(&pool->gate.mutex);
        pthread_mutex_unlock(&pool->mutex);
    }
    pthread_mutex_unlock(&registry);
    fork_waits = false;
    pthread_cond_broadcast(&named);
    pthread_mutex_unlock(&naming);
    pthread_rwlock_unlock(&handshakes);
}

static void after_fork_in_child(void)
{
    prepare_all();
    /* relaxed: no other thread exists. */
    atomic_store_explicit(hgi_process_mark, MARK_PREPARED, memory_order_relaxed);
}

static bool handlers_are_there;

static void watch_forks(void)
{
    const long page = sysconf(_SC_PAGESIZE);
    const bool has_cond = hgi_cond_init(&named) == 0;
    void *mark =
        mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mark != MAP_FAILED && madvise(mark, (size_t)page, MADV_WIPEONFORK) != 0) {
        munmap(mark, (size_t)page); /* a kernel before 4.14: bare clones are not noticed */
        mark = MAP_FAILED;
    }
    if (mark != MAP_FAILED) {
        hgi_process_mark = mark;
        atomic_init(hgi_process_mark, MARK_PREPARED);
    }
    handlers_are_there =
        has_cond && pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

bool hgi_fork_watch(hg_pool *pool)
{
    pthread_once(&watch_once, watch_forks);
    if (!handlers_are_there)
        return false;
    hgi_fork_check();
    pthread_mutex_lock(&registry);
    pool->next_pool = pools;
    pools = pool;
    pthread_mutex_unlock(&registry);
    return true;
}

void hgi_fork_unwatch(hg_pool *pool)
{
    pthread_mutex_lock(&registry);
    hg_pool **link = &pools;
    while (*link && *link != pool)
        link = &(*link)->next_pool;
    if (*link)
        *link = pool->next_pool;
    pthread_mutex_unlock(&registry);
}

/* --- reviving --- */

/* What a child keeps of its parent's pool, for handles and calls that the forking thread still has. */
struct hgi_inherited {
    void *slots_memory;
    struct hgi_snapshot *snapshots;
    struct hgi_inherited *older;
};

void hgi_fork_free(hg_pool *pool)
{
    while (pool->inherited) {
        struct hgi_inherited *each = pool->inherited;
        pool->inherited = each->older;
        hgi_snapshots_free(each->snapshots);
        free(each->slots_memory);
        free(each);
    }
}

/* Exchange the parent's slots and snapshots for own ones. */
static bool exchange_parts(hg_pool *pool)
{
    struct hgi_snapshot *snapshots = pool->snapshots;
    struct hgi_inherited *inherited = malloc(sizeof *inherited);
    void *memory;
    struct hgi_slot *slots = hgi_slots_allocate(&memory);
    pool->snapshots = NULL;
    if (!inherited || !slots || !hgi_snapshot_publish(pool, hgi_snapshot_now(pool)->policy)) {
        pool->snapshots = snapshots;
        free(memory);
        free(inherited);
        return false;
    }
    *inherited = (struct hgi_inherited) { .slots_memory = pool->slots_memory,
                                          .snapshots = snapshots,
                                          .older = pool->inherited };
    pool->inherited = inherited;
    pool->slots_memory = memory;
    pool->slots = slots;
    pool->parts_are_own = true;
    return true;
}

/* With `changing` held. */
static hg_status revive(hg_pool *pool, struct hg_error *err)
{
    if (!pool->parts_are_own && !exchange_parts(pool))
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for a pool in a child process");
    hg_status status = hgi_descriptors_open(pool, err);
    if (status != HG_OK)
        return status;
    hg_policy *policy = hgi_policy_hold(pool);
    pthread_mutex_lock(&pool->mutex);
    /* [K2] release: all of the above; pairs with [K2] in hgi_call_enter(). */
    atomic_store_explicit(&pool->closing, HGI_OPEN, memory_order_seq_cst);
    hgi_resize_now(pool);
    pthread_mutex_unlock(&pool->mutex);
    status = hgi_threads_start(pool, policy->settings.pool.max_connecting, err);
    if (status != HG_OK) {
        /* relaxed: those who found it open have been told that it is closing. */
        atomic_store_explicit(&pool->closing, HGI_FORKED, memory_order_relaxed);
        hgi_descriptors_close(pool);
    }
    hg_policy_drop(policy);
    return status;
}

/* The copy of a half-open breaker may await probes that are the parent's, and would await them until
 * their lease ends. One that is shared is no copy: the parent's probes end there. */
static void forget_probes(hg_pool *pool)
{
    hg_policy *policy = hgi_policy_hold(pool);
    const bool is_copy = pool->own_breaker && policy->settings.breaker_shared[0] == '\0';
    hg_policy_drop(policy);
    if (!is_copy)
        return;
    struct hg_breaker_snapshot seen = { .size = sizeof seen };
    hg_breaker_take_snapshot(pool->breaker, &seen);
    if (seen.state == HG_BREAKER_HALF_OPEN && seen.probes_issued > seen.probes_succeeded)
        hg_breaker_reset(pool->breaker);
}

hg_status hgi_fork_revive(hg_pool *pool, struct hg_error *err)
{
    hg_status status = HG_OK;
    int cancel = hgi_cancel_off();
    pthread_mutex_lock(&pool->changing);
    /* relaxed: it changes from HGI_FORKED under `changing` only. */
    const bool is_mine = atomic_load_explicit(&pool->closing, memory_order_relaxed) == HGI_FORKED;
    if (is_mine)
        status = revive(pool, err);
    pthread_mutex_unlock(&pool->changing);
    if (is_mine && status == HG_OK)
        forget_probes(pool); /* with no lock held: its listeners may come back into the pool */
    hgi_cancel_restore(cancel);
    return status;
}
