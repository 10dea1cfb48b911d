/* The retry budget under threads: no token is made from nothing, none is lost, none is below zero. A
 * plain program, for ThreadSanitizer. The clock is the test's own. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "breaker/clock.h"
#include "policy/budget.h"
#include "tests/tools/check.h"

enum { THREADS = 8, CALLS = 20000, INITIAL = 1000 };

static struct hg_budget budget;
static _Atomic int64_t clock_ns; /* advanced by all threads in the second test */
static int64_t step_ns;          /* by this much for each call */
static pthread_barrier_t barrier;

struct tally {
    pthread_t thread;
    uint64_t taken, given_back, most_seen;
};

static void *call_and_retry(void *arg)
{
    struct tally *tally = arg;
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < CALLS; i++) {
        int64_t now_ns = atomic_fetch_add(&clock_ns, step_ns);
        hgi_budget_on_call(&budget, now_ns);
        for (int retry = 0; retry < 2; retry++)
            tally->taken += hgi_budget_take(&budget, now_ns);
        if (i % 7 == 0 && tally->taken > tally->given_back) {
            hgi_budget_give_back(&budget);
            tally->given_back++;
        }
        uint64_t seen = hgi_budget_tokens(&budget, now_ns);
        if (seen > tally->most_seen)
            tally->most_seen = seen;
    }
    return NULL;
}

/* Run all threads. Retries taken and kept. */
static uint64_t run_threads(uint64_t capacity)
{
    struct tally tallies[THREADS] = { 0 };
    uint64_t kept = 0;
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&tallies[i].thread, NULL, call_and_retry, &tallies[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(tallies[i].thread, NULL) == 0);
        CHECK(tallies[i].most_seen <= capacity); /* one below zero would look like very many */
        kept += tallies[i].taken - tallies[i].given_back;
    }
    CHECK(pthread_barrier_destroy(&barrier) == 0);
    return kept;
}

/* Time stands still and the bucket is never full: the sum comes out to the last token. */
static void tokens_are_neither_made_nor_lost(void)
{
    struct hgi_budget_settings settings = {
        .enabled = true,
        .ratio = 0.25,
        .min_per_second = 1000.0,
        .window_ns = 600 * HGI_NS_PER_S,
        .initial = INITIAL,
    };
    uint64_t capacity = 600000;
    atomic_store(&clock_ns, HGI_NS_PER_S);
    step_ns = 0;
    hgi_budget_init(&budget, &settings, atomic_load(&clock_ns));
    uint64_t kept = run_threads(capacity);
    uint64_t left = hgi_budget_tokens(&budget, atomic_load(&clock_ns));
    printf("  %llu retries, %llu tokens left\n", (unsigned long long)kept,
           (unsigned long long)left);
    CHECK(kept + left == INITIAL + (uint64_t)THREADS * CALLS / 4);
}

/* Time runs, and every thread's clock is a little late: retries are at most what was earned. */
static void time_is_credited_once(void)
{
    struct hgi_budget_settings settings = {
        .enabled = true,
        .ratio = 0.0,
        .min_per_second = 100.0,
        .window_ns = 10 * HGI_NS_PER_S,
        .initial = INITIAL,
    };
    int64_t began_ns = 77 * HGI_NS_PER_S;
    atomic_store(&clock_ns, began_ns);
    step_ns = 5 * HGI_NS_PER_MS;
    hgi_budget_init(&budget, &settings, began_ns);
    uint64_t kept = run_threads(1000);
    uint64_t seconds = (uint64_t)((atomic_load(&clock_ns) - began_ns) / HGI_NS_PER_S);
    uint64_t earned = INITIAL + 100 * seconds;
    printf("  %llu retries of %llu\n", (unsigned long long)kept, (unsigned long long)earned);
    CHECK(kept <= earned);
    CHECK(kept >=
          earned - 100 - THREADS); /* all were asked for; what is left is less than a second's */
}

/* While settings change to and fro, the bounds of the larger ones hold. */
static void *reload(void *arg)
{
    struct hgi_budget_settings settings = *(const struct hgi_budget_settings *)arg;
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < CALLS; i++) {
        settings.window_ns = (i % 2 ? 1 : 10) * HGI_NS_PER_S;
        hgi_budget_configure(&budget, &settings, atomic_load(&clock_ns));
    }
    return NULL;
}

static void a_reload_meanwhile_makes_no_tokens(void)
{
    struct hgi_budget_settings settings = {
        .enabled = true,
        .ratio = 0.5,
        .min_per_second = 100.0,
        .window_ns = 10 * HGI_NS_PER_S,
        .initial = INITIAL,
    };
    struct tally tally = { 0 };
    pthread_t reloader;
    atomic_store(&clock_ns, HGI_NS_PER_S);
    step_ns = 0;
    hgi_budget_init(&budget, &settings, atomic_load(&clock_ns));
    settings.initial = 0;
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(pthread_create(&tally.thread, NULL, call_and_retry, &tally) == 0);
    CHECK(pthread_create(&reloader, NULL, reload, &settings) == 0);
    CHECK(pthread_join(tally.thread, NULL) == 0);
    CHECK(pthread_join(reloader, NULL) == 0);
    CHECK(pthread_barrier_destroy(&barrier) == 0);
    CHECK(tally.taken - tally.given_back <= INITIAL + CALLS / 2);
}

int main(void)
{
    RUN(tokens_are_neither_made_nor_lost);
    RUN(time_is_credited_once);
    RUN(a_reload_meanwhile_makes_no_tokens);
    return 0;
}
