/* The window under threads: it never says more than was added, says all of it once they rest, and no
 * breaker opens below its rate. More threads than own cells, so that striped cells are met too, and
 * threads that end, so that cells change hands. */
#include <pthread.h>

#include "breaker/core.h"
#include "tests/breaker/fixture.h"

enum { THREADS = 70, WAVES = 3 };

static struct test_clock now = TEST_CLOCK_INIT;
static hg_breaker *breaker;
static uint64_t calls_each;
static _Atomic uint64_t began[2]; /* raised before a call is reported: the truth is not above it */
static _Atomic uint64_t ended[2]; /* raised after it: the truth is not below it */
static _Atomic int running;
static pthread_barrier_t all_here;

static void *call(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    hgi_cell_mine(HGI_OWN_CELLS);
    pthread_barrier_wait(&all_here);
    for (uint64_t i = 0; i < calls_each; i++) {
        hg_permit permit;
        /* A failure in four at the most, in every prefix of this thread's calls. */
        int failed = i % 4 == 3 && test_random(&random) % 2;
        REQUIRE(hg_breaker_admit(breaker, &permit));
        atomic_fetch_add(&began[failed], 1);
        hg_breaker_report(breaker, permit, failed ? HG_RESULT_FAILURE : HG_RESULT_SUCCESS, 0);
        atomic_fetch_add(&ended[failed], 1);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void look(bool at_rest)
{
    struct hgi_window *window = hgi_local_of(breaker)->window;
    uint64_t failed = atomic_load(&ended[1]);
    uint64_t succeeded = atomic_load(&ended[0]);
    struct hgi_window_sums sums = hgi_window_sum(window, 0, test_clock_now(&now));
    REQUIRE(sums.failed >= failed && sums.succeeded >= succeeded);
    REQUIRE(sums.failed <= atomic_load(&began[1]) && sums.succeeded <= atomic_load(&began[0]));
    if (at_rest)
        REQUIRE(sums.failed == failed && sums.succeeded == succeeded);
}

int main(void)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    uint64_t random = test_seed();
    calls_each = test_rounds(1000, 100000);
    options.failure_threshold = 0;
    options.window_length_ns = 600 * HGI_NS_PER_S; /* nothing grows old in here */
    options.window_failure_rate = 0.26;
    REQUIRE(hgi_breaker_new_with_clock(&breaker, &options, test_clock_now, &now, NULL) == HG_OK);
    for (int wave = 0; wave < WAVES; wave++) {
        pthread_t threads[THREADS];
        atomic_store(&running, THREADS);
        REQUIRE(pthread_barrier_init(&all_here, NULL, THREADS) == 0);
        for (int i = 0; i < THREADS; i++)
            REQUIRE(pthread_create(&threads[i], NULL, call, (void *)(test_random(&random) | 1)) ==
                    0);
        while (atomic_load(&running) > 0) {
            look(false);
            test_clock_pass(&now, HGI_NS_PER_MS);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        look(true);
        pthread_barrier_destroy(&all_here);
    }
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    printf("%llu calls, %llu failed, in %u own cells and the striped ones\n",
           (unsigned long long)snapshot.admitted, (unsigned long long)snapshot.failed,
           hgi_cells_used(HGI_OWN_CELLS));
    REQUIRE(hgi_cells_used(HGI_OWN_CELLS) == HGI_OWN_CELLS);
    REQUIRE(snapshot.state == HG_BREAKER_CLOSED);
    REQUIRE(snapshot.admitted == THREADS * WAVES * calls_each);
    REQUIRE(snapshot.succeeded == atomic_load(&ended[0]));
    REQUIRE(snapshot.failed == atomic_load(&ended[1]));
    hg_breaker_free(breaker);
    return 0;
}
