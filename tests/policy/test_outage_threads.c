/* What a total outage costs, with real threads and the real clock: a thousand calls of many threads,
 * none of which can succeed, share a retry budget and have no breaker. A plain program, for
 * ThreadSanitizer; the bound grows with the time that it takes, so a slow machine cannot fail it. */
#include <herdgate/policy.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "breaker/clock.h"
#include "tests/tools/check.h"

enum { THREADS = 50, CALLS_EACH = 20, CALLS = THREADS * CALLS_EACH, ATTEMPTS = 7 };

static const char text[] =
    "{\"classes\": {\"read\": {\"deadline\": \"1h\", \"retry\": {\"extends\": "
    "\"aggressive\", \"initial_delay\": \"1ms\", \"max_delay\": \"2ms\"}}}}";

static hg_policy *policy;
static hg_budget *budget;
static _Atomic unsigned attempts;
static pthread_barrier_t barrier;

static hg_status refuse(void *arg, struct hg_attempt *attempt)
{
    (void)arg;
    atomic_fetch_add(&attempts, 1);
    attempt->outcome = HG_OUTCOME_NOT_SENT;
    return HG_ERR_CONNECTION;
}

static void *call(void *arg)
{
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    (void)arg;
    options.op_class = "read";
    options.budget = budget;
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < CALLS_EACH; i++)
        CHECK(hg_run(policy, &options, refuse, NULL, NULL) < 0);
    return NULL;
}

/* The attempts that all calls came to. */
static unsigned outage(void)
{
    pthread_t thread[THREADS];
    atomic_store(&attempts, 0);
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, call, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    CHECK(pthread_barrier_destroy(&barrier) == 0);
    return atomic_load(&attempts);
}

static void retries_are_a_tenth_of_the_calls_and_ten_a_second_and_ten(void)
{
    int64_t began_ns = hgi_now_ns();
    CHECK(hg_budget_new(&budget, policy, NULL) == HG_OK);
    unsigned made = outage();
    double seconds = (double)(hgi_now_ns() - began_ns) / (double)HGI_NS_PER_S;
    double bound = 1.1 * CALLS + 10 * seconds + 10;
    printf("  %d calls in %.2f s: %u attempts, at most %.1f\n", CALLS, seconds, made, bound);
    CHECK(made <= bound);
    CHECK(made > CALLS + CALLS / 20); /* and it does retry */
    hg_budget_free(budget);
    budget = NULL;
}

static void without_a_budget_they_are_all_that_the_class_allows(void)
{
    CHECK(outage() == CALLS * ATTEMPTS);
}

int main(void)
{
    struct hg_error err = HG_ERROR_INIT;
    if (hg_policy_parse(&policy, text, strlen(text), "outage", &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    RUN(retries_are_a_tenth_of_the_calls_and_ten_a_second_and_ten);
    RUN(without_a_budget_they_are_all_that_the_class_allows);
    hg_policy_drop(policy);
    return 0;
}
