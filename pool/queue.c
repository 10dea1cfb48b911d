/* The queue: callers in the order in which they came, each asleep on a word of its own.
 *
 * A waiter's word says NOT_YET until somebody changes it. LOOK asks it to try for a free slot: it keeps
 * its place, sets the word back and looks. Everything else is an answer: it was taken out of the queue
 * under the mutex by the one who answers. All changes of a word are exchanges, so LOOK is met by
 * exactly one: the waiter, which then looks, or the one who answers or the waiter as it leaves, who
 * then sees to it that somebody else does (take.c). So a slot that was left free for a waiter that had
 * been asked is not forgotten.
 *
 * At most one waiter is asked at a time (`asked`), so that sleepers are not woken to find nothing.
 *
 * Nodes belong to the pool, so that a late futex wake meets memory that is there. Spare ones are a
 * stack: any thread pushes, only a thread with the mutex pops, hence no ABA.
 *
 * Invariants: `waiting` is the length of the list; `strict_from_ns` is the first one's, HGI_NEVER if
 * there is none; a node is in the list, or with the thread that waits, or spare.
 */
#include "pool/queue.h"

#include <stdlib.h>

#include "breaker/clock.h"
#include "pool/deadlock.h"
#include "pool/park.h"

/* The queue has changed: `length` wait, and `first` of them is the first. */
static void publish(hg_pool *pool, uint32_t length)
{
    /* relaxed: read after `waiting`, which is stored after it. */
    atomic_store_explicit(&pool->strict_from_ns,
                          pool->first ? pool->first->strict_from_ns : HGI_NEVER,
                          memory_order_relaxed);
    /* [P1] seq_cst: the queue's length before the look at the slots; pairs with [P1] in
     * hgi_queue_length(). */
    atomic_store_explicit(&pool->waiting, length, memory_order_seq_cst);
}

static uint32_t length_now(const hg_pool *pool)
{
    /* relaxed: written under the mutex that is held. */
    return atomic_load_explicit(&pool->waiting, memory_order_relaxed);
}

static struct hgi_waiter *pop_spare(hg_pool *pool)
{
    /* [P6] acquire: the node's `next`; pairs with [P6] in hgi_queue_recycle(). */
    struct hgi_waiter *top = atomic_load_explicit(&pool->spare, memory_order_acquire);
    while (top && !atomic_compare_exchange_weak_explicit(
                      &pool->spare, &top, top->next, memory_order_acquire, memory_order_acquire))
        continue;
    return top;
}

void hgi_queue_recycle(hg_pool *pool, struct hgi_waiter *waiter)
{
    /* relaxed: the exchange decides. */
    waiter->next = atomic_load_explicit(&pool->spare, memory_order_relaxed);
    /* [P6] release: `next`; pairs with [P6] in pop_spare(). */
    while (!atomic_compare_exchange_weak_explicit(&pool->spare, &waiter->next, waiter,
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

/* From when on a waiter may not be overtaken. */
static int64_t strict_from(const struct hgi_pool_settings *settings, int64_t now_ns)
{
    switch (settings->fairness) {
    case HGI_FAIRNESS_FIFO:
        return 0;
    case HGI_FAIRNESS_BARGING:
        return HGI_NEVER;
    case HGI_FAIRNESS_BOUNDED:
    default:
        return hgi_deadline_after(now_ns, settings->barging_limit_ns);
    }
}

struct hgi_waiter *hgi_queue_join(hg_pool *pool, const struct hgi_take *take, int64_t now_ns)
{
    struct hgi_waiter *waiter = pop_spare(pool);
    if (!waiter) {
        waiter = aligned_alloc(HGI_CACHE_LINE, sizeof *waiter);
        if (!waiter)
            return NULL;
        waiter->older = pool->all;
        pool->all = waiter;
    }
    /* relaxed: nobody else knows of the node yet; the mutex publishes it. */
    atomic_store_explicit(&waiter->word, HGI_WAKE_NOT_YET, memory_order_relaxed);
    waiter->is_probe = take->is_probe;
    waiter->strict_from_ns = strict_from(&take->settings->pool, now_ns);
    waiter->slot = NULL;
    waiter->next = NULL;
    waiter->previous = pool->last;
    if (pool->last)
        pool->last->next = waiter;
    else
        pool->first = waiter;
    pool->last = waiter;
    waiter->holds = hgi_deadlock_mark(pool);
    publish(pool, length_now(pool) + 1);
    return waiter;
}

static void unlink_waiter(hg_pool *pool, struct hgi_waiter *waiter)
{
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        pool->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        pool->last = waiter->previous;
    if (waiter->holds != 0)
        hgi_deadlock_unmark(pool, waiter->holds);
    publish(pool, length_now(pool) - 1);
}

static void set_asked(hg_pool *pool, uint32_t asked)
{
    /* [P7] seq_cst: taken back before the slots are looked at; pairs with [P7] in hgi_queue_asked(). */
    atomic_store_explicit(&pool->asked, asked, memory_order_seq_cst);
}

/* Change a waiter's word for the last time. True: it had been asked to look, and now will not. */
static bool conclude(hg_pool *pool, struct hgi_waiter *waiter, enum hgi_wake why)
{
    /* [P5] release: the slot that it was granted; pairs with [P5] in wait_for_answer(). */
    bool looked =
        atomic_exchange_explicit(&waiter->word, why, memory_order_acq_rel) == HGI_WAKE_LOOK;
    if (looked)
        set_asked(pool, 0);
    return looked;
}

bool hgi_queue_leave(hg_pool *pool, struct hgi_waiter *waiter)
{
    unlink_waiter(pool, waiter);
    return conclude(pool, waiter, HGI_WAKE_LEFT);
}

struct hgi_waiter *hgi_queue_hand(hg_pool *pool, struct hgi_slot *slot, bool *looked)
{
    struct hgi_waiter *waiter = pool->first;
    if (!waiter)
        return NULL;
    /* relaxed: the state may have been KEEPER; the new owner learns of it by [P5]. */
    atomic_store_explicit(&slot->state, HGI_SLOT_LEASED, memory_order_relaxed);
    waiter->slot = slot;
    unlink_waiter(pool, waiter);
    *looked = conclude(pool, waiter, HGI_WAKE_GRANTED);
    hgi_count(&pool->counters.handed);
    return waiter;
}

struct hgi_waiter *hgi_queue_ask(hg_pool *pool)
{
    struct hgi_waiter *waiter = pool->first;
    if (!waiter || hgi_queue_asked(pool))
        return NULL;
    set_asked(pool, 1);
    /* relaxed: it brings nothing. The word was NOT_YET: no other is asked, and answers come under the
     * mutex. */
    atomic_store_explicit(&waiter->word, HGI_WAKE_LOOK, memory_order_relaxed);
    return waiter;
}

bool hgi_queue_takes_up(hg_pool *pool, struct hgi_waiter *waiter)
{
    uint32_t expected = HGI_WAKE_LOOK;
    /* relaxed: LOOK brings nothing. */
    if (!atomic_compare_exchange_strong_explicit(&waiter->word, &expected, HGI_WAKE_NOT_YET,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    set_asked(pool, 0);
    return true;
}

/* Answer up to `size` waiters; their words go to `words`. Mutex held. */
static uint32_t answer_some(hg_pool *pool, enum hgi_wake why, _Atomic uint32_t **words,
                            uint32_t size, bool *looked)
{
    uint32_t count = 0;
    struct hgi_waiter *next;
    for (struct hgi_waiter *waiter = pool->first; waiter && count < size; waiter = next) {
        next = waiter->next;
        if (why == HGI_WAKE_BREAKER && waiter->is_probe)
            continue;
        unlink_waiter(pool, waiter);
        *looked |= conclude(pool, waiter, why);
        words[count++] = &waiter->word;
    }
    return count;
}

void hgi_wake_all(hg_pool *pool, enum hgi_wake why)
{
    enum { AT_ONCE = 64 };
    _Atomic uint32_t *words[AT_ONCE];
    bool looked = false;
    uint32_t count;
    /* Who comes to wait after the first turn finds out by itself, or is told here too. */
    uint32_t turns = hgi_queue_length(pool) / AT_ONCE + 1;
    do {
        pthread_mutex_lock(&pool->mutex);
        count = answer_some(pool, why, words, AT_ONCE, &looked);
        pthread_mutex_unlock(&pool->mutex);
        for (uint32_t i = 0; i < count; i++)
            hgi_unpark(words[i]);
    } while (count == AT_ONCE && --turns > 0);
    if (looked)
        hgi_serve_queue(pool);
}

void hgi_queue_forget(hg_pool *pool)
{
    pool->first = pool->last = NULL;
    publish(pool, 0);
    /* relaxed, all: no other thread exists. Those who waited are not in this process. */
    atomic_store_explicit(&pool->asked, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->spare, NULL, memory_order_relaxed);
    for (struct hgi_waiter *each = pool->all; each; each = each->older)
        hgi_queue_recycle(pool, each);
}
