/* The threads of a process in a run of breaker: each asks the breaker before a call and tells it how the call
 * went, as any user would.
 *
 * Admissions while the breaker is not closed are few: each is noted, with the time before and after it was asked
 * for.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/common/wire.h"
#include "tools/stress/breaker_memory.h"

#define GLANCE_NS (100 * NS_PER_MS) /* at the flag that ends all */

struct caller {
    struct hgi_breaker_callers *all;
    struct hgi_breaker_tally *tally;
    pthread_t thread;
    uint64_t random;
    struct hgi_wire *wire;
};

struct hgi_breaker_callers {
    struct hgi_breaker_memory *memory;
    struct hgi_breaker_log *log;
    hg_breaker *breaker;
    uint32_t started;
    struct caller caller[];
};

static bool is_closed(hg_breaker *breaker)
{
    return hg_breaker_state_now(breaker) == HG_BREAKER_CLOSED;
}

/* The call itself: connect if need be, ask, look at the answer. */
static bool talk(struct caller *c)
{
    const struct hgi_breaker_memory *memory = c->all->memory;
    if (!c->wire)
        c->wire = hgi_wire_open_unix(memory->socket, memory->attempt_timeout_ns, NULL);
    redisReply *reply = c->wire ? hgi_wire_command(c->wire, NULL, "INCR herdgate:breaker") : NULL;
    bool well = reply && reply->type == REDIS_REPLY_INTEGER;
    freeReplyObject(reply);
    if (!well) {
        hgi_wire_close(c->wire);
        c->wire = NULL;
    }
    return well;
}

static void call(struct caller *c)
{
    hg_breaker *breaker = c->all->breaker;
    hg_permit permit;
    bool was_closed = is_closed(breaker);
    int64_t asked_ns = monotonic_ns();
    bool admitted = hg_breaker_admit(breaker, &permit);
    int64_t got_ns = monotonic_ns();
    /* relaxed: sums. */
    if (!admitted) {
        hgi_histogram_add(&c->tally->refusal, got_ns - asked_ns);
        atomic_fetch_add_explicit(&c->tally->refused, 1, memory_order_relaxed);
        hgi_wire_close(
            c->wire); /* it may be dead, and a probe over it would say nothing of the server */
        c->wire = NULL;
        return;
    }
    if (!was_closed || !is_closed(breaker))
        hgi_breaker_note_admission(c->all->log, asked_ns, got_ns);
    bool well = talk(c);
    hg_breaker_report(breaker, permit, well ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE,
                      monotonic_ns() - got_ns);
    atomic_fetch_add_explicit(well ? &c->tally->answered : &c->tally->failed, 1,
                              memory_order_relaxed);
}

/* Or until all is to end. */
static void pause_for(struct hgi_breaker_memory *memory, int64_t pause_ns)
{
    int64_t until_ns = monotonic_ns() + pause_ns;
    for (int64_t now_ns = monotonic_ns();
         now_ns < until_ns && !atomic_load_explicit(&memory->stop, memory_order_relaxed);
         now_ns = monotonic_ns())
        sleep_until_ns(until_ns - now_ns > GLANCE_NS ? now_ns + GLANCE_NS : until_ns);
}

static void *work(void *arg)
{
    struct caller *c = arg;
    struct hgi_breaker_memory *memory = c->all->memory;
    /* relaxed: a flag that is polled; the join orders the rest. */
    while (!atomic_load_explicit(&memory->stop, memory_order_relaxed)) {
        call(c);
        pause_for(memory, (int64_t)(random_unit(&c->random) * (double)memory->pause_ns));
    }
    hgi_wire_close(c->wire);
    return NULL;
}

struct hgi_breaker_callers *hgi_breaker_callers_start(struct hgi_breaker_memory *memory,
                                                      uint32_t which, hg_breaker *breaker,
                                                      struct hgi_problem *problem)
{
    struct hgi_breaker_callers *all =
        calloc(1, sizeof *all + memory->threads * sizeof(struct caller));
    if (!all) {
        hgi_problem_set(problem, "out of memory");
        return NULL;
    }
    all->memory = memory;
    all->log = hgi_breaker_memory_log(memory, which);
    all->breaker = breaker;
    for (uint32_t i = 0; i < memory->threads; i++, all->started++) {
        struct caller *c = &all->caller[i];
        c->all = all;
        c->tally = &all->log->tally[i];
        c->random = random_mix(memory->seed + which * (uint64_t)memory->threads + i);
        if (pthread_create(&c->thread, NULL, work, c) != 0) {
            hgi_problem_set(problem, "thread %" PRIu32 " could not be started; try a smaller -t",
                            i + 1);
            /* relaxed: only ends the loops; the joins order the rest. */
            atomic_store_explicit(&memory->stop, true, memory_order_relaxed);
            hgi_breaker_callers_join(all);
            return NULL;
        }
    }
    return all;
}

void hgi_breaker_callers_join(struct hgi_breaker_callers *callers)
{
    if (!callers)
        return;
    for (uint32_t i = 0; i < callers->started; i++)
        pthread_join(callers->caller[i].thread, NULL);
    free(callers);
}
