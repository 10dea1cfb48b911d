/* Which cell a thread writes.
 *
 * A bitmap of the indices that are taken; a thread takes the lowest free one at its first count and
 * gives it back when it ends, through a thread-specific key's destructor. Whoever takes it next goes
 * on from the counts that it finds there. Invariant: no index below HGI_OWN_CELLS is with two live
 * threads. A thread that found none free stays with a striped cell.
 */
#include "breaker/cells.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "breaker/hints.h"

static_assert(HGI_OWN_CELLS == 64, "one bit of `taken` each");

enum { NOT_YET = 0 }; /* `mine` is the index + 1, so that a new thread's zero means none */

static _Atomic uint64_t taken;   /* written by threads as they begin and end */
static _Atomic uint32_t used;    /* written as `taken` grows: the highest index ever taken, + 1 */
static _Atomic uint32_t striped; /* written by threads that found all taken: the next stripe */
static _Atomic uint32_t salt;    /* written once in each process: its own first stripe */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;
static bool has_key; /* written under `once` only */

/* Initial-exec: one instruction to reach, also from a shared library. */
static _Thread_local uint32_t mine __attribute__((tls_model("initial-exec")));

static void thread_ends(void *value)
{
    (void)value;
    if (mine == NOT_YET || mine > HGI_OWN_CELLS)
        return;
    uint64_t bit = UINT64_C(1) << (mine - 1);
    mine = HGI_OWN_CELLS + 1; /* later destructors of this thread count in a striped cell */
    /* [C1] release: the counts that this thread stored; pairs with [C1] in take(). */
    atomic_fetch_and_explicit(&taken, ~bit, memory_order_release);
}

/* The other threads are not in the child; their cells are free there. */
static void forked(void)
{
    uint64_t bit = mine != NOT_YET && mine <= HGI_OWN_CELLS ? UINT64_C(1) << (mine - 1) : 0;
    /* relaxed: a forked child has one thread. */
    atomic_store_explicit(&taken, bit, memory_order_relaxed);
    atomic_store_explicit(&salt, (uint32_t)getpid(), memory_order_relaxed);
}

static void prepare(void)
{
    /* relaxed: any value serves. */
    atomic_store_explicit(&salt, (uint32_t)getpid(), memory_order_relaxed);
    has_key = pthread_key_create(&at_thread_end, thread_ends) == 0 &&
              pthread_atfork(NULL, NULL, forked) == 0;
}

/* Once in a thread's life. */
static HGI_OUTLINED uint32_t take(void)
{
    pthread_once(&once, prepare);
    /* relaxed: the exchange below decides. */
    uint64_t seen = atomic_load_explicit(&taken, memory_order_relaxed);
    while (has_key && ~seen != 0) {
        uint32_t index = (uint32_t)__builtin_ctzll(~seen);
        /* [C1] acquire: goes on from the counts of the index's last owner; pairs with [C1] in
         * thread_ends(). */
        if (!atomic_compare_exchange_weak_explicit(&taken, &seen, seen | UINT64_C(1) << index,
                                                   memory_order_acquire, memory_order_relaxed))
            continue;
        mine = index + 1;
        /* relaxed: raised before this thread counts; who must see the count sees this before it. */
        uint32_t known = atomic_load_explicit(&used, memory_order_relaxed);
        while (known < index + 1 &&
               !atomic_compare_exchange_weak_explicit(&used, &known, index + 1,
                                                      memory_order_relaxed, memory_order_relaxed))
            continue;
        if (pthread_setspecific(at_thread_end, &mine) == 0)
            return index;
        thread_ends(NULL);
        break;
    }
    /* relaxed: spreads threads, no more. Wraps after 2^32 threads, to no harm. */
    uint32_t next = atomic_fetch_add_explicit(&striped, 1, memory_order_relaxed);
    mine = HGI_OWN_CELLS + 1 + next % HGI_STRIPED_CELLS;
    return mine - 1;
}

uint32_t hgi_cells_used(uint32_t own)
{
    /* relaxed: see take(). */
    uint32_t now = atomic_load_explicit(&used, memory_order_relaxed);
    return now < own ? now : own;
}

struct hgi_cell hgi_cell_mine(uint32_t own)
{
    uint32_t index = mine == NOT_YET ? take() : mine - 1;
    if (index < own)
        return (struct hgi_cell) { index, 1 };
    /* relaxed: any value serves. */
    uint32_t spread = index + atomic_load_explicit(&salt, memory_order_relaxed);
    return (struct hgi_cell) { own + spread % HGI_STRIPED_CELLS, 0 };
}
