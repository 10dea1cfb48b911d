/* Take a connection and give it back, with no command in between: what the pool itself costs.
 *
 * The pool's inner pair is what every call pays for having a connection, with the lease's accounting
 * and statistics; hg_acquire() and hg_release() are what a user pays who takes one by hand, with policy,
 * breaker, clock and the counting of calls around the pair.
 */
#include <stdlib.h>
#include <string.h>

#include <herdgate/herdgate.h>

#include "tools/bench/pair.h"
#include "tools/bench/pool_bench.h"
#include "tools/bench/pools.h"
#include "tools/common/timing.h"

enum { CONNECTIONS = 8, THREADS_MAX = 32 };

static bool take_local(void *shared, uint32_t thread, uint64_t count)
{
    (void)shared;
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        void *taken = hgi_local_take();
        if (!taken)
            return false;
        hgi_local_give(taken);
    }
    return true;
}

static void *open_lines(struct hgi_problem *problem)
{
    struct hgi_line *lines = aligned_alloc(64, THREADS_MAX * sizeof *lines);
    if (lines)
        memset(lines, 0, THREADS_MAX * sizeof *lines);
    else
        hgi_problem_set(problem, "out of memory");
    return lines;
}

static bool take_line(void *shared, uint32_t thread, uint64_t count)
{
    struct hgi_line *line = (struct hgi_line *)shared + thread;
    for (uint64_t i = 0; i < count; i++) {
        if (!hgi_line_take(line))
            return false;
        hgi_line_give(line);
    }
    return true;
}

static void *open_pair(struct hgi_problem *problem)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hgi_pair *pair = hgi_pair_open(hgi_bench_url(), CONNECTIONS, &err);
    if (!pair)
        hgi_problem_set(problem, "%s", err.message);
    return pair;
}

static void close_pair(void *shared)
{
    hgi_pair_close(shared);
}

/* The clock is read once for some calls, so that it is not the clock that is measured. */
static bool take_pair(void *shared, uint32_t thread, uint64_t count)
{
    enum { CALLS_A_READING = 256 };
    (void)thread;
    for (uint64_t i = 0; i < count;) {
        int64_t now_ns = monotonic_ns();
        for (uint64_t end = i + CALLS_A_READING; i < count && i < end; i++) {
            hg_lease *lease = hgi_pair_take(shared, now_ns);
            if (!lease)
                return false;
            hgi_pair_give(lease, now_ns);
        }
    }
    return true;
}

static void *open_pool(struct hgi_problem *problem)
{
    return hgi_bench_open_pool(CONNECTIONS, "", problem);
}

static void close_pool(void *shared)
{
    hg_pool_close(shared, -1, NULL);
}

static bool take_lease(void *shared, uint32_t thread, uint64_t count)
{
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        hg_lease *lease;
        if (hg_acquire(shared, &lease, NULL, NULL) != HG_OK)
            return false;
        hg_release(lease, HG_OK);
    }
    return true;
}

static void *open_mutex(struct hgi_problem *problem)
{
    struct hgi_mutex_pool *pool = hgi_mutex_pool_new();
    if (!pool)
        hgi_problem_set(problem, "out of memory");
    for (int i = 0; pool && i < CONNECTIONS; i++)
        hgi_mutex_pool_give(pool, pool); /* any thing will do */
    return pool;
}

static void close_mutex(void *shared)
{
    hgi_mutex_pool_free(shared);
}

static bool take_mutex(void *shared, uint32_t thread, uint64_t count)
{
    (void)thread;
    for (uint64_t i = 0; i < count; i++)
        hgi_mutex_pool_give(shared, hgi_mutex_pool_take(shared));
    return true;
}

enum { LOCAL, LINE, PAIR, LEASE, MUTEX, CONTENDERS };

static const struct hgi_contender contenders[CONTENDERS] = {
    [LOCAL] = { "local", "thread-local, nothing shared", NULL, NULL, take_local },
    [LINE] = { "line", "a CAS and a store, own line (floor)", open_lines, free, take_line },
    [PAIR] = { "pair", "herdgate: take and give of a call", open_pair, close_pair, take_pair },
    [LEASE] = { "lease", "herdgate: hg_acquire, hg_release", open_pool, close_pool, take_lease },
    [MUTEX] = { "mutex", "a pool behind mutex and condition", open_mutex, close_mutex, take_mutex },
};

static const uint32_t threads[] = { 1, 2, 4, 8, 32 };

static const struct hgi_promise promises[] = {
    { "pair_to_floor", "take and give / floor", PAIR, LINE, false, 1, false, 6 },
    { "mutex_to_pair", "mutex / take and give", MUTEX, PAIR, false, 2, true, 5 },
};

const struct hgi_bench hgi_bench_taking = {
    .key = "taking",
    .title = "take and give back, 8 connections",
    .contenders = contenders,
    .count = CONTENDERS,
    .threads = threads,
    .columns = sizeof threads / sizeof threads[0],
    .pinned = true,
    .promises = promises,
    .promise_count = sizeof promises / sizeof promises[0],
};

void hgi_bench_print_taking(const struct hgi_bench *bench, bool colour)
{
    hgi_bench_print(bench, stdout, colour);
    hgi_bench_print_multiples(bench, LINE, "as multiples of the floor", stdout, colour);
    hgi_bench_print_multiples(bench, MUTEX, "as multiples of the mutex", stdout, colour);
    hgi_bench_print_promises(bench, stdout, colour);
}
