/* Threads that try to break what one thread cannot: too many probes, an event lost, doubled or out of
 * order, a count that is wrong. The clock is the test's own and moves fast, so that all states are
 * passed thousands of times. */
#include <pthread.h>
#include <sched.h>

#include "breaker/core.h"
#include "tests/breaker/fixture.h"

enum { THREADS = 4, MAX_CALLS = 3, GENERATIONS = 65536 };

static struct test_clock now = TEST_CLOCK_INIT;
static hg_breaker *breaker;
static uint64_t seed;
static uint64_t calls_each;

/* Probes out at once, by generation: never over the maximum. */
static _Atomic int32_t probes_out[GENERATIONS];

struct tally {
    uint64_t admitted, refused, succeeded, failed, cancelled, probes, late;
};

static uint32_t generation_of(hg_permit permit)
{
    return (uint32_t)(permit.opaque >> HGI_GENERATION_SHIFT) & HGI_GENERATION_MAX;
}

/* Here a second passes in microseconds. Transitions must not run ahead of their delivery by half a
 * turn of the generation, which no real clock lets them do. */
static _Atomic uint64_t told;

static void wait_for_delivery(void)
{
    while (atomic_load(&breaker->transitions) > atomic_load(&told) + 8192)
        sched_yield();
}

static void *run(void *arg)
{
    struct tally *tally = arg;
    uint64_t random = seed + (uintptr_t)arg;
    hg_permit kept = { 0 };
    for (uint64_t i = 0; i < calls_each; i++) {
        uint64_t choice = test_random(&random);
        if (choice % 512 == 1)
            wait_for_delivery();
        if (choice % 8 == 0)
            test_clock_pass(&now, (int64_t)(choice >> 8) % (8 * HGI_NS_PER_MS));
        hg_permit permit;
        if (!hg_breaker_admit(breaker, &permit)) {
            tally->refused++;
            continue;
        }
        tally->admitted++;
        bool probe = hgi_permit_is_probe(permit);
        _Atomic int32_t *out = &probes_out[generation_of(permit)];
        if (probe) {
            tally->probes++;
            REQUIRE(atomic_fetch_add(out, 1) < MAX_CALLS);
            if (choice % 64 == 7)
                continue; /* lost: its place stays taken until the lease ends */
            atomic_fetch_sub(out, 1);
        }
        if (choice >> 20 & 1 && !probe) {
            hg_permit swap = kept; /* report an older one instead, so that some are late */
            kept = permit;
            permit = swap;
            if (permit.opaque == 0)
                continue;
        }
        switch (choice >> 32 & 7) {
        case 0:
            hg_breaker_cancel(breaker, permit);
            tally->cancelled++;
            break;
        case 1:
        case 2:
        case 3:
            hg_breaker_report(breaker, permit, HG_RESULT_FAILURE, 0);
            tally->failed++;
            break;
        default:
            hg_breaker_report(breaker, permit, HG_RESULT_SUCCESS, 0);
            tally->succeeded++;
        }
        if ((choice >> 40) % 4096 == 5)
            hg_breaker_reset(breaker);
    }
    return NULL;
}

/* Each generation once, in order, from where the last one ended. Called by one thread at a time. */
struct heard {
    uint64_t count;
    struct hg_breaker_event last;
    bool inside;
};

static void hear(void *arg, const struct hg_breaker_event *event)
{
    struct heard *heard = arg;
    REQUIRE(!heard->inside);
    heard->inside = true;
    REQUIRE(event->missed == 0);
    REQUIRE(event->generation == ((heard->last.generation + 1) & HGI_GENERATION_MAX));
    REQUIRE(event->from == heard->last.to);
    /* The generation comes round: its probes of the turn before are lost or back. */
    atomic_store(&probes_out[(event->generation + GENERATIONS / 2) % GENERATIONS], 0);
    heard->last = *event;
    heard->count++;
    atomic_store(&told, heard->count);
    heard->inside = false;
}

int main(void)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    seed = test_seed();
    calls_each = test_rounds(1500000, 50000000);
    options.half_open_max_calls = MAX_CALLS;
    options.failure_threshold = 3;
    options.recovery_timeout_ns = 10 * HGI_NS_PER_MS;
    options.recovery_timeout_max_ns = 100 * HGI_NS_PER_MS;
    options.probe_lease_ns = 50 * HGI_NS_PER_MS;
    options.count_calls = true;
    options.seed = seed | 1;
    REQUIRE(hgi_breaker_new_with_clock(&breaker, &options, test_clock_now, &now, NULL) == HG_OK);
    struct heard heard = { .count = 0 };
    REQUIRE(hg_breaker_listen(breaker, hear, &heard, NULL) == HG_OK);

    pthread_t threads[THREADS];
    static struct tally tallies[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, run, &tallies[i]) == 0);
    struct tally all = { 0 };
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        all.admitted += tallies[i].admitted;
        all.refused += tallies[i].refused;
        all.succeeded += tallies[i].succeeded;
        all.failed += tallies[i].failed;
        all.cancelled += tallies[i].cancelled;
        all.probes += tallies[i].probes;
    }
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    printf("%llu calls, %llu transitions, %llu probes, %llu late\n",
           (unsigned long long)all.admitted, (unsigned long long)snapshot.transitions,
           (unsigned long long)all.probes, (unsigned long long)snapshot.late);
    REQUIRE(heard.count == snapshot.transitions);
    REQUIRE(heard.last.generation == snapshot.generation);
    REQUIRE(snapshot.admitted == all.admitted);
    REQUIRE(snapshot.refused == all.refused);
    REQUIRE(snapshot.probes == all.probes);
    REQUIRE(snapshot.cancelled == all.cancelled);
    REQUIRE(snapshot.succeeded + snapshot.failed + snapshot.late == all.succeeded + all.failed);
    REQUIRE(snapshot.transitions > 100 && snapshot.late > 0);
    hg_breaker_free(breaker);
    return 0;
}
