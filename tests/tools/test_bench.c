/* The frame of herdgate-bench, on contenders of the tests' own. No figure is held against a time. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/bench/layout.h"
#include "tools/common/timing.h"

/* The breaker's program is not part of this test. */
int hgi_bench_breaker_main(int count, char *const *arguments, const char *command)
{
    (void)count;
    (void)arguments;
    (void)command;
    return 3;
}

static _Atomic uint64_t calls;
static _Atomic uint32_t threads_seen; /* a bit for each number */
static int open_count;

static void *open_shared(struct hgi_problem *problem)
{
    (void)problem;
    open_count++;
    return &open_count;
}

static void *cannot_open(struct hgi_problem *problem)
{
    hgi_problem_set(problem, "no luck");
    return NULL;
}

static void close_shared(void *shared)
{
    cr_assert_eq(shared, &open_count);
    open_count--;
}

static bool run_well(void *shared, uint32_t thread, uint64_t count)
{
    (void)shared;
    atomic_fetch_add(&calls, count);
    atomic_fetch_or(&threads_seen, 1U << thread);
    return true;
}

static bool run_ill_on_the_third_thread(void *shared, uint32_t thread, uint64_t count)
{
    return run_well(shared, thread, count) && thread != 2;
}

static const uint32_t threads[] = { 1, 4 };

static struct hgi_bench bench_of(const struct hgi_contender *contenders, uint32_t count)
{
    return (struct hgi_bench) { .key = "k",
                                .title = "t",
                                .contenders = contenders,
                                .count = count,
                                .threads = threads,
                                .columns = 2,
                                .rounds = 3,
                                .slice_ns = 2 * NS_PER_MS };
}

Test(bench, every_contender_is_measured_with_every_number_of_threads)
{
    static const struct hgi_contender two[] = { { "a", "A", open_shared, close_shared, run_well },
                                                { "b", "B", NULL, NULL, run_well } };
    struct hgi_bench bench = bench_of(two, 2);
    struct hgi_problem problem;
    cr_assert(hgi_bench_run(&bench, true, &problem), "%s", problem.text);
    for (int i = 0; i < 2; i++)
        for (int c = 0; c < 2; c++)
            cr_expect_gt(bench.ns[i][c], 0);
    cr_expect_gt(atomic_load(&calls), 0);
    cr_expect_eq(atomic_load(&threads_seen), 0xf);
    cr_expect_eq(open_count, 0, "what was opened is closed");
}

Test(bench, a_call_that_did_something_else_voids_the_measurement)
{
    static const struct hgi_contender two[] = { { "a", "A", open_shared, close_shared, run_well },
                                                { "b", "Bad", NULL, NULL,
                                                  run_ill_on_the_third_thread } };
    struct hgi_bench bench = bench_of(two, 2);
    struct hgi_problem problem;
    cr_assert_not(hgi_bench_run(&bench, true, &problem));
    cr_expect(strstr(problem.text, "Bad"), "%s", problem.text);
    cr_expect_eq(open_count, 0);
}

Test(bench, a_contender_that_cannot_be_made_is_an_error)
{
    static const struct hgi_contender two[] = { { "a", "A", open_shared, close_shared, run_well },
                                                { "b", "B", cannot_open, NULL, run_well } };
    struct hgi_bench bench = bench_of(two, 2);
    struct hgi_problem problem;
    cr_assert_not(hgi_bench_run(&bench, true, &problem));
    cr_expect_str_eq(problem.text, "no luck");
    cr_expect_eq(open_count, 0);
}

Test(bench, a_promise_is_kept_where_it_holds_and_not_elsewhere)
{
    struct hgi_bench bench = bench_of(NULL, 2);
    struct hgi_promise promise = { .above = 1, .below = 0, .from_threads = 1, .limit = 2 };
    const double ns[2][2] = { { 10, 20 }, { 20, 50 } };
    memcpy(bench.ns[0], ns[0], sizeof ns[0]);
    memcpy(bench.ns[1], ns[1], sizeof ns[1]);
    cr_expect_eq(hgi_bench_ratio(&bench, &promise, 0), 2);
    cr_expect_eq(hgi_bench_ratio(&bench, &promise, 1), 2.5);
    cr_expect_not(hgi_bench_keeps(&bench, &promise), "not with four threads");
    promise.limit = 2.5;
    cr_expect(hgi_bench_keeps(&bench, &promise));
    promise.at_least = true;
    cr_expect_not(hgi_bench_keeps(&bench, &promise), "not with one thread");
    promise.from_threads = 4;
    cr_expect(hgi_bench_keeps(&bench, &promise), "which it is not about");
    promise.below_alone = true;
    cr_expect_eq(hgi_bench_ratio(&bench, &promise, 1), 5, "to one thread's figure");
}

static cpu_set_t set_of(pid_t process)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    cr_assert_eq(sched_getaffinity(process, sizeof set, &set), 0);
    return set;
}

Test(bench, a_server_apart_shares_no_processor_with_its_callers_and_all_is_put_back)
{
    struct hgi_layout layout;
    const cpu_set_t all = set_of(0);
    pid_t server = fork();
    cr_assert_geq(server, 0);
    if (server == 0) {
        pause();
        _exit(0);
    }
    hgi_layout_part(&layout, server);
    const cpu_set_t callers = set_of(0);
    const cpu_set_t servers = set_of(server);
    cr_assert_eq(layout.processors, (uint32_t)CPU_COUNT(&callers));
    if (layout.apart) {
        cpu_set_t both;
        CPU_AND(&both, &callers, &servers);
        cr_assert_eq(CPU_COUNT(&both), 0);
        cr_assert_eq(CPU_COUNT(&servers), 1);
        cr_assert(CPU_ISSET((size_t)layout.server, &servers));
        cr_assert_eq(CPU_COUNT(&callers), CPU_COUNT(&all) - 1);
    } else {
        cr_assert(CPU_EQUAL(&callers, &all) && CPU_EQUAL(&servers, &all));
        cr_assert_lt(CPU_COUNT(&all), 2, "there are processors enough");
    }
    hgi_layout_join(&layout, server);
    const cpu_set_t callers_after = set_of(0);
    const cpu_set_t server_after = set_of(server);
    cr_assert(CPU_EQUAL(&callers_after, &all) && CPU_EQUAL(&server_after, &all));
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

Test(bench, a_server_that_has_gone_leaves_its_callers_where_they_are)
{
    struct hgi_layout layout;
    const cpu_set_t all = set_of(0);
    pid_t server = fork();
    cr_assert_geq(server, 0);
    if (server == 0)
        _exit(0);
    waitpid(server, NULL, 0);
    hgi_layout_part(&layout, server);
    cr_assert_not(layout.apart);
    const cpu_set_t after = set_of(0);
    cr_assert(CPU_EQUAL(&after, &all));
}
