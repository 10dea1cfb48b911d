/* Depth-first search through the choices of a scheduler; see scheduler.h.
 *
 * `path` is the run of now: whom each step was given to, and who else could have had it and has not
 * yet. After a run the deepest step with such an alternative is given to it, and the run is replayed up
 * to there. Operations on anything but a point are taken together with the point before them: nobody
 * else could tell the difference.
 */
#include "tests/breaker/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/breaker/coroutine.h"
#include "tests/breaker/fixture.h"
#include "tests/breaker/interleave.h"

#undef calloc
#undef free

enum { STEPS_MAX = 1024, BLOCKS = 8, BLOCK_BYTES = 128 };

struct thread {
    struct coroutine coroutine;
    uint64_t seen; /* a hash of all that it was answered, and where */
    void (*begins)(void);
    uint32_t taken; /* of the blocks, a bit each */
    _Alignas(16) char block[BLOCKS][BLOCK_BYTES];
};

static const struct schedule *schedule;
static struct thread threads[SCHEDULER_THREADS];
static struct thread *running; /* NULL: the scheduler */

static struct {
    uint8_t thread;
    uint8_t others; /* a bit for each that has not been tried here */
} path[STEPS_MAX];
static uint32_t depth;

/* The states that were seen: hashes, 0 for none. */
static uint64_t *table;
static size_t table_size;
static size_t table_used;

static void forget_states(void)
{
    if (table_size == 0) {
        table_size = 1 << 12;
        table = calloc(table_size, sizeof *table);
        REQUIRE(table);
    }
    memset(table, 0, table_size * sizeof *table);
    table_used = 0;
}

static uint64_t *place_of(uint64_t state)
{
    size_t place = (size_t)state & (table_size - 1);
    while (table[place] != 0 && table[place] != state)
        place = (place + 1) & (table_size - 1);
    return &table[place];
}

/* False: it is known. */
static bool is_new_state(uint64_t state)
{
    state |= UINT64_C(1) << 63;
    if (2 * table_used >= table_size) {
        uint64_t *old = table;
        size_t size = table_size;
        table_size *= 2;
        table = calloc(table_size, sizeof *table);
        REQUIRE(table);
        for (size_t i = 0; i < size; i++)
            if (old[i] != 0)
                *place_of(old[i]) = old[i];
        free(old);
    }
    uint64_t *place = place_of(state);
    if (*place == state)
        return false;
    *place = state;
    table_used++;
    return true;
}

void hgi_interleave_point(const volatile void *address)
{
    if (!running || !schedule->is_point(address))
        return;
    scheduler_saw((uint64_t)(uintptr_t)address);
    schedule->stepped();
    coroutine_give_way();
    scheduler_disarm();
}

void hgi_interleave_loaded(uint64_t answer)
{
    if (running)
        scheduler_saw(answer);
}

void hgi_interleave_fetched(const volatile void *address, uint64_t answer)
{
    if (running && schedule->is_point(address) && !schedule->is_count(address))
        scheduler_saw(answer);
}

void *hgi_interleave_calloc(size_t count, size_t size)
{
    if (!running)
        return calloc(count, size);
    REQUIRE(count * size <= BLOCK_BYTES && running->taken != (1U << BLOCKS) - 1);
    uint32_t block = (uint32_t)__builtin_ctz(~running->taken);
    running->taken |= 1U << block;
    return memset(running->block[block], 0, BLOCK_BYTES);
}

void hgi_interleave_free(void *memory)
{
    for (uint32_t t = 0; t < SCHEDULER_THREADS; t++) {
        for (uint32_t block = 0; block < BLOCKS; block++) {
            if (memory != threads[t].block[block])
                continue;
            REQUIRE(threads[t].taken & 1U << block);
            threads[t].taken &= ~(1U << block);
            return;
        }
    }
    free(memory);
}

uint32_t scheduler_thread(void)
{
    return running ? (uint32_t)(running - threads) : 0;
}

void scheduler_saw(uint64_t value)
{
    running->seen = scheduler_mix(running->seen, value);
}

void scheduler_forget(uint64_t kept)
{
    running->seen = kept;
}

void scheduler_arm(void (*begins)(void))
{
    running->begins = begins;
}

void scheduler_disarm(void)
{
    if (running->begins)
        running->begins();
    running->begins = NULL;
}

void scheduler_print(void)
{
    fprintf(stderr, "the steps were given to threads ");
    for (uint32_t i = 0; i < depth; i++)
        fprintf(stderr, "%d", path[i].thread);
    fprintf(stderr, "\n");
}

static void enter(void)
{
    schedule->thread(scheduler_thread());
    schedule->stepped();
}

/* Let a thread run to its next point. */
static void step(uint32_t thread)
{
    running = &threads[thread];
    coroutine_go_on(&running->coroutine);
    running = NULL;
}

static void begin_run(void)
{
    schedule->begin();
    for (uint32_t t = 0; t < schedule->threads; t++) {
        struct thread *thread = &threads[t];
        coroutine_begin(&thread->coroutine, enter);
        thread->seen = 0;
        thread->begins = NULL;
        thread->taken = 0;
        step(t); /* to its first point, where nothing is shared yet */
    }
}

static uint64_t hash_block(uint64_t hash, const char *block)
{
    for (size_t i = 0; i < BLOCK_BYTES; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, block + i, sizeof word);
        hash = scheduler_mix(hash, word);
    }
    return scheduler_mix(hash, (uint64_t)(uintptr_t)block);
}

static uint64_t state_now(void)
{
    uint64_t hash = schedule->shared();
    for (uint32_t t = 0; t < schedule->threads; t++) {
        const struct thread *thread = &threads[t];
        hash = scheduler_mix(hash, thread->seen + thread->coroutine.ended);
        for (uint32_t taken = thread->taken; taken != 0; taken &= taken - 1)
            hash = hash_block(hash, thread->block[__builtin_ctz(taken)]);
    }
    return hash;
}

/* A run: the first `replayed` steps as they were, then on for as long as the states are new. */
static void run(uint32_t replayed, struct explored *explored)
{
    depth = 0;
    begin_run();
    for (;;) {
        uint8_t alive = 0;
        for (uint32_t t = 0; t < schedule->threads; t++)
            alive |= (uint8_t)(!threads[t].coroutine.ended << t);
        if (depth >= replayed) {
            if (!is_new_state(state_now()))
                return;
            explored->states++;
            if (alive == 0)
                break;
            REQUIRE(depth < STEPS_MAX);
            path[depth].thread = (uint8_t)__builtin_ctz(alive);
            path[depth].others = (uint8_t)(alive & ~(1U << path[depth].thread));
        }
        explored->steps++;
        step(path[depth++].thread);
    }
    explored->runs++;
    schedule->end();
}

void scheduler_explore(const struct schedule *what, struct explored *explored)
{
    uint32_t replayed = 0;
    schedule = what;
    forget_states();
    for (;;) {
        run(replayed, explored);
        while (depth > 0 && path[depth - 1].others == 0)
            depth--;
        if (depth == 0)
            return;
        uint8_t others = path[depth - 1].others;
        path[depth - 1].thread = (uint8_t)__builtin_ctz(others);
        path[depth - 1].others = (uint8_t)(others & (others - 1));
        replayed = depth;
    }
}
