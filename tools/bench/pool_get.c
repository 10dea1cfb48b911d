/* GET of a value of 64 bytes, end to end: a raw hiredis connection for each thread, hiredis connections
 * behind a mutex and a condition, and the library; all with a timeout.
 *
 * The server has a processor of its own and the threads have the others (layout.h), the same for every
 * contender. Left to the scheduler, a machine of few processors settles now on one placement of server
 * and threads and now on another, with half or twice the throughput, and which of them a lap of 200 ms
 * meets has more to do with the lap before it than with the contender. Apart, the threads are what there
 * is too little of, and throughput is what a call costs them: the ratio is the library's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <herdgate/herdgate.h>

#include "tools/bench/pool_bench.h"
#include "tools/bench/pools.h"

enum { FEW = 8, MANY = 64, THREADS_MAX = 64 };

static bool is_value(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STRING && reply->len == 64;
}

static redisContext *dial(struct hgi_problem *problem)
{
    redisContext *context = redisConnectUnix(hgi_bench_socket());
    /* A reply is not waited for without a limit, as the library does not and no server should; the
     * kernel's timer for it is a part of the price. */
    const struct timeval timeout = { .tv_sec = 5 };
    if (context && !context->err && redisSetTimeout(context, timeout) == REDIS_OK)
        return context;
    hgi_problem_set(problem, "cannot connect: %s", context ? context->errstr : "out of memory");
    redisFree(context);
    return NULL;
}

static bool get_raw(redisContext *context)
{
    redisReply *reply = redisCommand(context, "GET %s", "herdgate:bench");
    bool well = is_value(reply);
    freeReplyObject(reply);
    return well;
}

/* --- a connection for each thread --- */

struct raw {
    redisContext *of_thread[THREADS_MAX];
};

static void close_raw(void *shared)
{
    struct raw *raw = shared;
    for (int i = 0; i < THREADS_MAX; i++)
        if (raw->of_thread[i])
            redisFree(raw->of_thread[i]);
    free(raw);
}

static void *open_raw(struct hgi_problem *problem)
{
    struct raw *raw = calloc(1, sizeof *raw);
    if (!raw) {
        hgi_problem_set(problem, "out of memory");
        return NULL;
    }
    for (int i = 0; i < THREADS_MAX; i++) {
        raw->of_thread[i] = dial(problem);
        if (!raw->of_thread[i]) {
            close_raw(raw);
            return NULL;
        }
    }
    return raw;
}

static bool run_raw(void *shared, uint32_t thread, uint64_t count)
{
    struct raw *raw = shared;
    for (uint64_t i = 0; i < count; i++)
        if (!get_raw(raw->of_thread[thread]))
            return false;
    return true;
}

/* --- behind a mutex --- */

static void close_mutex(void *shared)
{
    for (uint32_t left = hgi_mutex_pool_count(shared); left > 0; left--)
        redisFree(hgi_mutex_pool_take(shared));
    hgi_mutex_pool_free(shared);
}

static void *open_mutex(uint32_t connections, struct hgi_problem *problem)
{
    struct hgi_mutex_pool *pool = hgi_mutex_pool_new();
    if (!pool) {
        hgi_problem_set(problem, "out of memory");
        return NULL;
    }
    for (uint32_t i = 0; i < connections; i++) {
        redisContext *context = dial(problem);
        if (!context) {
            close_mutex(pool);
            return NULL;
        }
        hgi_mutex_pool_give(pool, context);
    }
    return pool;
}

static void *open_mutex_few(struct hgi_problem *problem)
{
    return open_mutex(FEW, problem);
}

static void *open_mutex_many(struct hgi_problem *problem)
{
    return open_mutex(MANY, problem);
}

static bool run_mutex(void *shared, uint32_t thread, uint64_t count)
{
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        redisContext *context = hgi_mutex_pool_take(shared);
        bool well = get_raw(context);
        hgi_mutex_pool_give(shared, context);
        if (!well)
            return false;
    }
    return true;
}

/* --- the library --- */

static void *open_few(struct hgi_problem *problem)
{
    return hgi_bench_open_pool(FEW, "", problem);
}

static void *open_many(struct hgi_problem *problem)
{
    return hgi_bench_open_pool(MANY, "", problem);
}

static void close_pool(void *shared)
{
    hg_pool_close(shared, -1, NULL);
}

static bool run_pool(void *shared, uint32_t thread, uint64_t count)
{
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        redisReply *reply;
        bool well = hg_command(shared, &reply, NULL, "GET %s", "herdgate:bench") == HG_OK &&
                    is_value(reply);
        freeReplyObject(reply);
        if (!well)
            return false;
    }
    return true;
}

enum { RAW, MUTEX, POOL, CONTENDERS };

static const struct hgi_contender few[CONTENDERS] = {
    [RAW] = { "raw", "raw hiredis, one for each thread", open_raw, close_raw, run_raw },
    [MUTEX] = { "mutex", "hiredis behind mutex and condition", open_mutex_few, close_mutex,
                run_mutex },
    [POOL] = { "pool", "herdgate", open_few, close_pool, run_pool },
};

static const struct hgi_contender many[CONTENDERS] = {
    [RAW] = { "raw", "raw hiredis, one for each thread", open_raw, close_raw, run_raw },
    [MUTEX] = { "mutex", "hiredis behind mutex and condition", open_mutex_many, close_mutex,
                run_mutex },
    [POOL] = { "pool", "herdgate", open_many, close_pool, run_pool },
};

static const uint32_t few_threads[] = { 4, 16, 64 };
static const uint32_t many_threads[] = { 64 };

static const struct hgi_promise few_promises[] = {
    { "pool_by_mutex", "throughput / the mutex pool's", MUTEX, POOL, false, 1, true, 0.95 },
};

static const struct hgi_promise many_promises[] = {
    { "pool_by_mutex", "throughput / the mutex pool's", MUTEX, POOL, false, 1, true, 0.95 },
    { "pool_by_raw", "throughput / raw hiredis's", RAW, POOL, false, 1, true, 0.95 },
};

const struct hgi_bench hgi_bench_get_few = {
    .key = "get_8",
    .title = "GET, 64 bytes, 8 connections",
    .contenders = few,
    .count = CONTENDERS,
    .threads = few_threads,
    .columns = sizeof few_threads / sizeof few_threads[0],
    .promises = few_promises,
    .promise_count = sizeof few_promises / sizeof few_promises[0],
};

const struct hgi_bench hgi_bench_get_many = {
    .key = "get_64",
    .title = "GET, 64 bytes, 64 connections",
    .contenders = many,
    .count = CONTENDERS,
    .threads = many_threads,
    .columns = sizeof many_threads / sizeof many_threads[0],
    .promises = many_promises,
    .promise_count = sizeof many_promises / sizeof many_promises[0],
};

void hgi_bench_print_get(const struct hgi_bench *bench, bool colour)
{
    hgi_bench_print(bench, stdout, colour);
    hgi_bench_print_cpu(bench, stdout, colour);
    hgi_bench_print_promises(bench, stdout, colour);
}
