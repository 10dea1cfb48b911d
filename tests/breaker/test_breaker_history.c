/* Real threads on a real breaker; what each of them was answered, and when, is held against the machine.
 *
 * Many short histories, each from a seed: settings, a beginning, and what two to four threads do are
 * drawn from it. The clock is the tests' own and moves; reading it is where a thread now and then lets
 * another one pass, because that is between the load of the word and the exchange. A history that no
 * order explains is printed with its seed. Under ThreadSanitizer, races are found too: also those of
 * what one thread wrote before a transition and another one reads after it has met the new state.
 *
 *     HERDGATE_SEED=7      the first seed
 *     HERDGATE_HISTORIES=7 so many, and not 60,000
 *     HERDGATE_LONG=1      as many as ten minutes hold, and not half of one at the most
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "breaker/core.h"
#include "tests/breaker/fixture.h"
#include "tests/breaker/linear.h"

enum { BAG = 8, HISTORIES = 60000, PRELUDE = 6 };

#define TIME_LIMIT_NS (25 * HGI_NS_PER_S)
#define LONG_TIME_LIMIT_NS (600 * HGI_NS_PER_S)

/* One thread, and what it holds. */
struct caller {
    uint32_t thread;
    uint64_t random;
    hg_permit bag[BAG]; /* permits to report; used ones stay, and are reported again now and then */
    uint32_t held;
};

struct heard {
    uint64_t count;
    struct hg_breaker_event last;
};

static struct test_clock now;
static hg_breaker *breaker;
static struct linear_history history;
static struct caller callers[LINEAR_THREADS];
static struct heard heard;
static pthread_barrier_t begins;
static pthread_barrier_t ends;
static bool no_more; /* guarded by the barriers, as all of the above */

static _Thread_local uint32_t last_tick; /* of the last reading, which is the one that decided */
static _Thread_local uint64_t pauses;    /* random */

static int64_t read_clock(void *arg)
{
    int64_t now_ns = test_clock_now(arg);
    last_tick = hgi_tick(now_ns);
    uint64_t choice = test_random(&pauses) % 16;
    if (choice < 3)
        sched_yield();
    else if (choice < 6)
        for (uint64_t i = choice * 20; i > 0; i--)
            test_random(&pauses);
    return now_ns;
}

static uint64_t late_count(void)
{
    struct hgi_cell cell = hgi_cell_mine(HGI_OWN_CELLS);
    /* relaxed: this thread's own cell. */
    return atomic_load_explicit(&hgi_local_of(breaker)->counters[cell.index].value[HGI_COUNT_LATE],
                                memory_order_relaxed);
}

static void keep(struct caller *caller, hg_permit permit)
{
    if (caller->held < BAG)
        caller->bag[caller->held++] = permit;
    else
        caller->bag[test_random(&caller->random) % BAG] = permit;
}

static void ask(struct caller *caller, struct linear_operation *operation, bool plain)
{
    hg_permit permit;
    operation->event = plain ? HGI_ADMIT_PLAIN : HGI_ADMIT;
    bool admitted = hgi_breaker_admit(breaker, plain ? HGI_ADMIT_NO_PROBE : 0, &permit);
    operation->answer = permit.opaque;
    REQUIRE(admitted == (permit.opaque != 0));
    if (admitted)
        keep(caller, permit);
}

static void give_back(struct caller *caller, struct linear_operation *operation, uint64_t choice)
{
    hg_permit *place = &caller->bag[choice % caller->held];
    hg_permit permit = *place;
    operation->permit = permit.opaque;
    if (choice >> 8 & 7) { /* mostly it is gone then */
        caller->held--;
        *place = caller->bag[caller->held];
    }
    uint64_t late_before = late_count();
    if ((choice >> 16) % 8 == 0) {
        operation->event = HGI_CANCEL;
        hg_breaker_cancel(breaker, permit);
        return;
    }
    bool well = choice >> 24 & 1;
    operation->event = well ? HGI_SUCCESS : HGI_FAILURE;
    hg_breaker_report(breaker, permit, well ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE, 0);
    operation->answer = late_count() - late_before;
}

static void command(struct linear_operation *operation, uint64_t choice)
{
    static const struct {
        enum hgi_event event;
        void (*give)(hg_breaker *);
    } commands[] = {
        { HGI_RESET, hg_breaker_reset },           { HGI_TRIP_NOW, hg_breaker_trip },
        { HGI_FORCE_OPEN, hg_breaker_force_open }, { HGI_FORCE_CLOSE, hg_breaker_force_close },
        { HGI_DISABLE, hg_breaker_disable },       { HGI_RESET, hg_breaker_reset }
    };
    size_t which = choice % (sizeof commands / sizeof commands[0]);
    operation->event = (int)commands[which].event;
    commands[which].give(breaker);
}

static void look(struct linear_operation *operation)
{
    operation->event = LINEAR_LOOK;
    operation->answer = atomic_load_explicit(&breaker->word, memory_order_acquire);
}

/* One operation, chosen and noted. */
static void act(struct caller *caller, struct linear_operation *operation)
{
    uint64_t choice = test_random(&caller->random);
    uint64_t kind = choice % 64;
    if (kind < 8)
        test_clock_pass(&now, (int64_t)(choice >> 32) % (3 * HGI_TICK_NS));
    choice >>= 8;
    *operation = (struct linear_operation) { .began = hgi_now_ns() };
    if (kind < 2)
        command(operation, choice);
    else if (kind < 9)
        look(operation);
    else if (kind < 36 && caller->held > 0)
        give_back(caller, operation, choice);
    else
        ask(caller, operation, kind < 12);
    operation->ended = hgi_now_ns();
    operation->tick = last_tick;
}

static void *run(void *arg)
{
    struct caller *caller = arg;
    hgi_cell_mine(HGI_OWN_CELLS);
    for (;;) {
        pthread_barrier_wait(&begins);
        if (no_more)
            return NULL;
        pauses = caller->random;
        if (caller->thread < history.threads) {
            struct linear_operation *operation;
            while ((operation = linear_add(&history, caller->thread)))
                act(caller, operation);
        }
        pthread_barrier_wait(&ends);
    }
}

/* Each generation once, in order. */
static void hear(void *arg, const struct hg_breaker_event *event)
{
    struct heard *all = arg;
    REQUIRE(event->missed == 0);
    REQUIRE(event->generation == ((all->last.generation + 1) & HGI_GENERATION_MAX));
    REQUIRE(event->from == all->last.to);
    all->last = *event;
    all->count++;
}

/* A breaker whose generation is about to come round: what follows a transition must not care. */
static void set_generation(uint32_t generation)
{
    struct hgi_events *events = &hgi_local_of(breaker)->events;
    atomic_store(&breaker->word, (uint64_t)generation << HGI_GENERATION_SHIFT);
    atomic_store(&events->seen, generation);
    events->last_order = generation;
    heard.last.generation = generation;
}

static void begin_history(uint64_t seed)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    atomic_store(&now.now_ns, 1000 * HGI_NS_PER_S);
    options.failure_threshold = 1 + (uint32_t)(test_random(&random) % 3);
    options.half_open_max_calls = 1 + (uint32_t)(test_random(&random) % 3);
    options.success_threshold = 1 + (uint32_t)(test_random(&random) % options.half_open_max_calls);
    options.recovery_timeout_ns = 10 * HGI_NS_PER_MS;
    options.recovery_timeout_max_ns = 20 * HGI_NS_PER_MS;
    options.probe_lease_ns = 10 * HGI_NS_PER_MS;
    options.count_calls = test_random(&random) & 1;
    options.seed = seed | 1;
    REQUIRE(hgi_breaker_new_with_clock(&breaker, &options, read_clock, &now, NULL) == HG_OK);
    heard = (struct heard) { .count = 0 };
    if (test_random(&random) & 1)
        set_generation(HGI_GENERATION_MAX - 1);
    REQUIRE(hg_breaker_listen(breaker, hear, &heard, NULL) == HG_OK);
    memset(&history, 0, sizeof history);
    history.threads = 2 + (uint32_t)(test_random(&random) % (LINEAR_THREADS - 1));
    history.machine = &breaker->machine;
    for (uint32_t t = 0; t < LINEAR_THREADS; t++) {
        struct linear_operation unused;
        callers[t] = (struct caller) { .thread = t, .random = test_random(&random) };
        /* In turn, so that the threads begin in any state, with permits of any age. */
        for (uint64_t i = test_random(&random) % PRELUDE; i > 0; i--)
            act(&callers[t], &unused);
    }
    history.first = atomic_load(&breaker->word);
}

static void end_history(uint64_t seed, uint64_t *looked)
{
    history.last = atomic_load(&breaker->word);
    if (!linear_is_possible(&history, looked)) {
        fprintf(stderr, "HERDGATE_SEED=%llu\n", (unsigned long long)seed);
        linear_print(&history);
        abort();
    }
    REQUIRE(heard.count == atomic_load(&breaker->transitions));
    REQUIRE(heard.last.generation == hgi_word_generation(history.last));
    hg_breaker_free(breaker);
}

static void histories_have_an_order(void)
{
    pthread_t threads[LINEAR_THREADS];
    uint64_t first = test_seed();
    uint64_t wanted = test_number("HERDGATE_HISTORIES", test_rounds(HISTORIES, UINT64_MAX));
    int64_t end_ns = hgi_now_ns() + (int64_t)test_rounds(TIME_LIMIT_NS, LONG_TIME_LIMIT_NS);
    uint64_t looked = 0;
    uint64_t overlaps = 0;
    uint64_t transitions = 0;
    uint64_t done = 0;
    REQUIRE(pthread_barrier_init(&begins, NULL, LINEAR_THREADS + 1) == 0);
    REQUIRE(pthread_barrier_init(&ends, NULL, LINEAR_THREADS + 1) == 0);
    for (uint32_t t = 0; t < LINEAR_THREADS; t++)
        REQUIRE(pthread_create(&threads[t], NULL, run, &callers[t]) == 0);
    for (; done < wanted && hgi_now_ns() < end_ns; done++) {
        begin_history(first + done);
        pthread_barrier_wait(&begins);
        pthread_barrier_wait(&ends);
        overlaps += linear_overlaps(&history);
        transitions += heard.count;
        end_history(first + done, &looked);
    }
    no_more = true;
    pthread_barrier_wait(&begins);
    for (uint32_t t = 0; t < LINEAR_THREADS; t++)
        pthread_join(threads[t], NULL);
    pthread_barrier_destroy(&begins);
    pthread_barrier_destroy(&ends);
    printf("%llu histories of 2 to 4 threads have an order: %llu pairs of operations overlapped, "
           "%llu transitions, %llu states searched\n",
           (unsigned long long)done, (unsigned long long)overlaps, (unsigned long long)transitions,
           (unsigned long long)looked);
    REQUIRE(done > 0 && overlaps > 0 && transitions > 0);
}

/* --- what was written before a transition ----------------------------------------------------- */

enum { HANDOVERS = 2000 };

static uint64_t written; /* handed over by the word alone: no lock, no atomic */

/* Wait for a state, as a caller meets it. */
static void wait_until(bool admitted)
{
    hg_permit permit;
    while (hg_breaker_admit(breaker, &permit) != admitted)
        sched_yield();
}

static void *answer(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < HANDOVERS; i++) {
        wait_until(false);
        REQUIRE(written == 2 * i + 1);
        written = 2 * i + 2;
        hg_breaker_reset(breaker);
    }
    return NULL;
}

static void a_state_brings_with_it_what_was_written_before(void)
{
    pthread_t thread;
    REQUIRE(hg_breaker_new(&breaker, NULL, NULL) == HG_OK);
    REQUIRE(pthread_create(&thread, NULL, answer, NULL) == 0);
    for (uint64_t i = 0; i < HANDOVERS; i++) {
        wait_until(true);
        REQUIRE(written == 2 * i);
        written = 2 * i + 1;
        hg_breaker_force_open(breaker);
    }
    pthread_join(thread, NULL);
    hg_breaker_free(breaker);
}

int main(void)
{
    histories_have_an_order();
    a_state_brings_with_it_what_was_written_before();
    return 0;
}
