/* The memory model, as an operation on views; see weak_memory.h.
 *
 * A view says of each object up to which of its values a thread knows them: the older ones it cannot
 * find any more. A release leaves the thread's view with the value, an acquire joins that to its own. A
 * read-modify-write finds the last value, and hands on what was left with it. A seq_cst load finds no
 * value older than the last seq_cst store.
 */
#include "tests/breaker/weak.h"

#include <string.h>

#include "tests/breaker/coroutine.h"
#include "tests/breaker/fixture.h"
#include "tests/breaker/weak_memory.h"

#undef pthread_mutex_lock
#undef pthread_mutex_unlock

enum { OBJECTS = 64, VALUES = 256 };

struct view {
    uint16_t known[OBJECTS];
};

struct stored {
    uint64_t value;
    struct view left;
};

struct object {
    const volatile void *address;
    size_t size;
    uint16_t count;
    uint16_t strict; /* the last value that was stored with seq_cst */
    struct stored at[VALUES];
};

static struct object objects[OBJECTS];
static uint32_t object_count;

static const struct weak_run *now;
static uint64_t *chance;
static struct coroutine threads[WEAK_THREADS];
static struct view views[WEAK_THREADS];
static uint32_t running;
static bool is_running;

uint32_t weak_thread(void)
{
    return running;
}

/* --- memory --- */

static uint64_t read_memory(const volatile void *at, size_t size)
{
    uint32_t half;
    uint64_t whole;
    if (size == sizeof half) {
        memcpy(&half, (const void *)at, sizeof half);
        return half;
    }
    REQUIRE(size == sizeof whole);
    memcpy(&whole, (const void *)at, sizeof whole);
    return whole;
}

void hgi_weak_write(volatile void *at, size_t size, uint64_t bits)
{
    uint32_t half = (uint32_t)bits;
    if (size == sizeof half)
        memcpy((void *)at, &half, sizeof half);
    else
        memcpy((void *)at, &bits, sizeof bits);
}

static struct object *object_at(const volatile void *at, size_t size)
{
    uint32_t i = 0;
    while (i < object_count && objects[i].address != at)
        i++;
    struct object *object = &objects[i];
    if (i == object_count) {
        REQUIRE(object_count < OBJECTS);
        object_count++;
        object->address = at;
        object->size = size;
        object->count = 1;
        object->strict = 0;
        object->at[0].value = read_memory(at, size);
        memset(&object->at[0].left, 0, sizeof object->at[0].left);
    }
    REQUIRE(object->size == size);
    return object;
}

static void join(struct view *view, const struct view *other)
{
    for (uint32_t i = 0; i < object_count; i++)
        if (view->known[i] < other->known[i])
            view->known[i] = other->known[i];
}

static bool acquires(memory_order order)
{
    return order == memory_order_acquire || order == memory_order_acq_rel ||
           order == memory_order_seq_cst;
}

static bool releases(memory_order order)
{
    return order == memory_order_release || order == memory_order_acq_rel ||
           order == memory_order_seq_cst;
}

/* This thread finds a value. */
static uint64_t find(struct object *object, uint16_t which, memory_order order)
{
    struct view *mine = &views[running];
    uint16_t *known = &mine->known[object - objects];
    if (*known < which)
        *known = which;
    if (acquires(order))
        join(mine, &object->at[which].left);
    return object->at[which].value;
}

/* This thread stores one, with what `before` had, if it is a read-modify-write of that. */
static void add(struct object *object, const struct stored *before, uint64_t value,
                memory_order order)
{
    REQUIRE(object->count < VALUES);
    uint16_t which = object->count++;
    size_t index = (size_t)(object - objects);
    struct stored *stored = &object->at[which];
    struct view *mine = &views[running];
    mine->known[index] = which;
    memset(&stored->left, 0, sizeof stored->left);
    stored->left.known[index] = which;
    stored->value = value;
    if (releases(order))
        stored->left = *mine;
    if (before)
        join(&stored->left, &before->left);
    if (order == memory_order_seq_cst)
        object->strict = which;
}

/* Any value that this thread may find but the last, or the last, which is as likely as all others. */
static uint16_t choose(const struct object *object, memory_order order)
{
    uint16_t oldest = views[running].known[object - objects];
    uint16_t last = object->count - 1;
    if (order == memory_order_seq_cst && oldest < object->strict)
        oldest = object->strict;
    if (test_random(chance) % 2 == 0)
        return last;
    return (uint16_t)(oldest + test_random(chance) % (uint64_t)(last - oldest + 1));
}

/* --- what the code under test calls --- */

/* Whether the model is at work; another thread may go first. */
static bool at_point(void)
{
    if (is_running)
        coroutine_give_way();
    return is_running;
}

/* Each coroutine's thread-local is at the same address: with it goes whose it is. */
static uint64_t mark(const volatile void *at, uint64_t value, bool stores)
{
    const uint64_t whose = (uint64_t)(running + 1) << 56;
    if (!now->is_mark || !now->is_mark(at) || value == 0)
        return value;
    return stores || value >> 56 == running + 1 ? value ^ whose : value;
}

uint64_t hgi_weak_load(const volatile void *at, size_t size, memory_order order)
{
    if (!at_point())
        return read_memory(at, size);
    struct object *object = object_at(at, size);
    return mark(at, find(object, choose(object, order), order), false);
}

void hgi_weak_store(volatile void *at, size_t size, uint64_t value, memory_order order)
{
    if (at_point()) {
        struct object *object = object_at(at, size);
        value = mark(at, value, true);
        add(object, NULL, value, order);
    }
    hgi_weak_write(at, size, value);
}

uint64_t hgi_weak_change(volatile void *at, size_t size, enum hgi_weak_change how, uint64_t operand,
                         memory_order order)
{
    bool modelled = at_point();
    uint64_t before = read_memory(at, size);
    uint64_t after = how == HGI_WEAK_EXCHANGE ? operand
                     : how == HGI_WEAK_ADD    ? before + operand
                                              : before & operand;
    if (size == sizeof(uint32_t))
        after = (uint32_t)after;
    if (modelled) {
        struct object *object = object_at(at, size);
        uint16_t last = object->count - 1;
        find(object, last, order);
        add(object, &object->at[last], after, order);
    }
    hgi_weak_write(at, size, after);
    return before;
}

bool hgi_weak_compare_exchange(volatile void *at, size_t size, uint64_t *expected, uint64_t value,
                               memory_order well, memory_order ill)
{
    bool modelled = at_point();
    uint64_t before = read_memory(at, size);
    struct object *object = modelled ? object_at(at, size) : NULL;
    uint16_t last = modelled ? object->count - 1 : 0;
    uint16_t found = modelled ? choose(object, ill) : 0;
    /* An older value that is the expected one makes no difference, and is not the last. */
    if (modelled && object->at[found].value == *expected)
        found = last;
    if (modelled && found != last) {
        *expected = find(object, found, ill);
        return false;
    }
    if (before != *expected) {
        *expected = modelled ? find(object, last, ill) : before;
        return false;
    }
    if (modelled) {
        find(object, last, well);
        add(object, &object->at[last], value, well);
    }
    hgi_weak_write(at, size, value);
    return true;
}

void hgi_weak_wait(void)
{
    at_point();
}

void hgi_weak_lock(pthread_mutex_t *mutex)
{
    uint64_t nobody = 0;
    if (!is_running) {
        pthread_mutex_lock(mutex);
        return;
    }
    while (!hgi_weak_compare_exchange(mutex, sizeof nobody, &nobody, 1, memory_order_acquire,
                                      memory_order_relaxed))
        nobody = 0;
}

void hgi_weak_unlock(pthread_mutex_t *mutex)
{
    if (is_running)
        hgi_weak_store(mutex, sizeof(uint64_t), 0, memory_order_release);
    else
        pthread_mutex_unlock(mutex);
}

/* --- a run --- */

static bool is_within(const struct object *object, const void *from, size_t size)
{
    return (uintptr_t)object->address - (uintptr_t)from < size;
}

void weak_forget(const void *from, size_t size)
{
    for (uint32_t i = 0; i < object_count; i++)
        if (is_within(&objects[i], from, size))
            objects[i].address = NULL;
}

void weak_remapped(const void *from, size_t size)
{
    for (uint32_t i = 0; i < object_count; i++)
        if (is_within(&objects[i], from, size))
            add(&objects[i], NULL, read_memory(objects[i].address, objects[i].size),
                memory_order_seq_cst);
    /* Each processor is interrupted for it. */
    for (uint32_t t = 0; is_running && t < now->threads; t++)
        join(&views[t], &views[running]);
}

static void run_thread(void)
{
    now->thread(running);
}

void weak_run(const struct weak_run *what, uint64_t *random)
{
    now = what;
    chance = random;
    object_count = 0;
    memset(views, 0, sizeof views);
    for (uint32_t t = 0; t < what->threads; t++)
        coroutine_begin(&threads[t], run_thread);
    for (uint32_t alive = what->threads; alive > 0;) {
        do
            running = (uint32_t)(test_random(random) % what->threads);
        while (threads[running].ended);
        is_running = true;
        if (what->goes_on)
            what->goes_on(running);
        coroutine_go_on(&threads[running]);
        if (what->gives_way)
            what->gives_way(running);
        is_running = false;
        alive -= threads[running].ended;
    }
}
