/* The simulation of contending clients, against what is known of it. */
#include <criterion/criterion.h>
#include <stdatomic.h>

#include "tools/common/timing.h"
#include "tools/stress/contention.h"

static struct hgi_contention settings(uint32_t clients)
{
    return (struct hgi_contention) { .clients = clients,
                                     .rounds = 100,
                                     .base_ns = 5 * NS_PER_MS,
                                     .cap_ns = 2 * NS_PER_S,
                                     .network_mean_ns = 10 * NS_PER_MS,
                                     .network_deviation_ns = 2 * NS_PER_MS,
                                     .seed = 7 };
}

static struct hgi_contention_result run(enum hgi_backoff_kind kind, uint32_t clients)
{
    struct hgi_contention s = settings(clients);
    struct hgi_contention_result result;
    cr_assert(hgi_contention_run(&result, &s, kind));
    return result;
}

Test(contention, a_lone_client_writes_once_in_four_messages)
{
    for (int kind = 0; kind < HGI_BACKOFF_KINDS; kind++) {
        struct hgi_contention_result r = run((enum hgi_backoff_kind)kind, 1);
        cr_assert_eq(r.calls, 1);
        cr_assert_float_eq(r.time_ns, 40e6, 1e6, "%f", r.time_ns);
    }
}

Test(contention, the_same_seed_gives_the_same_result_and_another_one_another)
{
    struct hgi_contention s = settings(30);
    struct hgi_contention_result first, again, other;
    cr_assert(hgi_contention_run(&first, &s, HGI_BACKOFF_FULL));
    cr_assert(hgi_contention_run(&again, &s, HGI_BACKOFF_FULL));
    s.seed++;
    cr_assert(hgi_contention_run(&other, &s, HGI_BACKOFF_FULL));
    cr_assert(first.calls == again.calls && first.time_ns == again.time_ns);
    cr_assert(first.time_ns != other.time_ns);
}

/* The order that "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015) published. */
Test(contention, the_kinds_of_backoff_keep_their_published_order)
{
    for (uint32_t clients = 100; clients <= 200; clients += 50) {
        struct hgi_contention_result none = run(HGI_BACKOFF_NONE, clients);
        struct hgi_contention_result plain = run(HGI_BACKOFF_EXPONENTIAL, clients);
        struct hgi_contention_result full = run(HGI_BACKOFF_FULL, clients);
        struct hgi_contention_result equal = run(HGI_BACKOFF_EQUAL, clients);
        struct hgi_contention_result decorrelated = run(HGI_BACKOFF_DECORRELATED, clients);
        cr_expect_lt(full.calls, plain.calls / 2);
        cr_expect_lt(full.time_ns, plain.time_ns / 5);
        cr_expect_gt(equal.time_ns, full.time_ns);
        cr_expect_float_eq(equal.calls, full.calls, full.calls / 10);
        cr_expect_gt(decorrelated.calls, full.calls);
        cr_expect(none.time_ns < full.time_ns && none.time_ns < decorrelated.time_ns &&
                  none.time_ns < equal.time_ns && none.time_ns < plain.time_ns);
        cr_expect(none.calls > plain.calls && none.calls > decorrelated.calls);
    }
}

Test(contention, a_run_that_is_interrupted_ends_and_has_no_result)
{
    atomic_bool interrupted = true;
    struct hgi_contention s = settings(10000); /* which would take minutes */
    struct hgi_contention_result result = { -1, -1 };
    s.interrupted = &interrupted;
    s.rounds = 100000;
    cr_assert(hgi_contention_run(&result, &s, HGI_BACKOFF_NONE));
    cr_assert(result.calls == -1 && result.time_ns == -1);
}
