/* The rounds of a paired measurement; see bench.h.
 *
 * A lap is one contender with one number of threads. They call in chunks, and look at the clock after
 * each; the window that counts begins when every thread has made a chunk, and lasts a slice. The chunk
 * that is under way when the window begins is counted and the one at its end is not, so nothing is
 * gained or lost on the whole, and no thread waits for another at the end. In a round every contender
 * has one lap with every number of threads, and who begins turns from round to round, so that whatever
 * else the machine does falls on all of them.
 */
#include "tools/bench/bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"

#define CHUNK_NS (20 * NS_PER_US)

struct lap {
    const struct hgi_contender *contender;
    void *shared;
    uint64_t chunk; /* calls */
    int64_t slice_ns;
    uint32_t threads;
    bool pinned;
    pthread_barrier_t all_here;
    _Atomic uint32_t warm;    /* written by threads that have made their first chunk */
    _Atomic int64_t began_ns; /* written by the last of them; 0: not yet */
    atomic_bool failed;       /* written by a thread whose contender failed */
};

struct runner {
    struct lap *lap;
    uint32_t thread;
    uint64_t calls; /* results */
    int64_t cpu_ns;
};

static int64_t thread_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint32_t hgi_bench_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1; /* more than CPU_SETSIZE of them, and then the threads are the limit */
    return (uint32_t)CPU_COUNT(&set);
}

/* Move the calling thread to the processor that is its turn. Where it may not, it stays where it is. */
static void pin(uint32_t thread)
{
    cpu_set_t all;
    cpu_set_t one;
    if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) == 0)
        return;
    uint32_t turn = thread % (uint32_t)CPU_COUNT(&all);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || turn-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/* The time at which the window began; 0: not yet. */
static int64_t began(struct lap *lap)
{
    /* relaxed, here and below: a time by itself, and flags. */
    return atomic_load_explicit(&lap->began_ns, memory_order_relaxed);
}

static void *run_lap(void *arg)
{
    struct runner *runner = arg;
    struct lap *lap = runner->lap;
    int64_t cpu_ns = 0;
    bool warm = false;
    if (lap->pinned)
        pin(runner->thread);
    pthread_barrier_wait(&lap->all_here);
    for (;;) {
        if (!lap->contender->run(lap->shared, runner->thread, lap->chunk))
            atomic_store_explicit(&lap->failed, true, memory_order_relaxed);
        if (atomic_load_explicit(&lap->failed, memory_order_relaxed))
            return NULL;
        int64_t now_ns = monotonic_ns();
        if (!warm &&
            atomic_fetch_add_explicit(&lap->warm, 1, memory_order_relaxed) + 1 == lap->threads)
            atomic_store_explicit(&lap->began_ns, now_ns, memory_order_relaxed);
        warm = true;
        int64_t began_ns = began(lap);
        if (began_ns == 0)
            continue;
        if (now_ns >= began_ns + lap->slice_ns)
            break;
        if (runner->calls == 0)
            cpu_ns = thread_time_ns();
        runner->calls += lap->chunk;
    }
    runner->cpu_ns = runner->calls ? thread_time_ns() - cpu_ns : 0;
    return NULL;
}

struct sample {
    double ns;
    double cpu_ns;
};

/* One lap; who began its window has counted a chunk. False: the contender failed. */
static bool run_threads(struct lap *lap, struct sample *sample, struct hgi_problem *problem)
{
    pthread_t id[HGI_BENCH_THREADS_MAX];
    struct runner runner[HGI_BENCH_THREADS_MAX];
    uint64_t calls = 0;
    int64_t cpu_ns = 0;
    if (pthread_barrier_init(&lap->all_here, NULL, lap->threads) != 0)
        return hgi_problem_set(problem, "a barrier could not be made");
    for (uint32_t i = 0; i < lap->threads; i++) {
        runner[i] = (struct runner) { .lap = lap, .thread = i };
        if (pthread_create(&id[i], NULL, run_lap, &runner[i]) != 0) {
            /* Those that are there wait for all, and would for ever: end with the process. */
            fprintf(stderr, "herdgate-bench: only %u of %u threads could be started\n", i,
                    lap->threads);
            exit(3);
        }
    }
    for (uint32_t i = 0; i < lap->threads; i++) {
        pthread_join(id[i], NULL);
        calls += runner[i].calls;
        cpu_ns += runner[i].cpu_ns;
    }
    pthread_barrier_destroy(&lap->all_here);
    if (atomic_load_explicit(&lap->failed, memory_order_relaxed))
        return hgi_problem_set(problem, "%s: a call did not do what is measured",
                               lap->contender->name);
    uint32_t processors = hgi_bench_processors();
    uint32_t used = lap->threads < processors ? lap->threads : processors;
    sample->ns = (double)lap->slice_ns * used / (double)calls;
    sample->cpu_ns = (double)cpu_ns / (double)calls;
    return true;
}

/* Calls that take one thread about CHUNK_NS; 0: the contender failed. */
static uint64_t fit(const struct hgi_contender *contender, void *shared)
{
    for (uint64_t count = 1;; count *= 2) {
        int64_t began_ns = monotonic_ns();
        if (!contender->run(shared, 0, count))
            return 0;
        int64_t took_ns = monotonic_ns() - began_ns;
        if (took_ns >= 10 * CHUNK_NS || count > UINT64_C(1) << 40)
            return 1 + (uint64_t)((double)count * (double)CHUNK_NS / (double)(took_ns + 1));
    }
}

struct state {
    void *shared[HGI_BENCH_CONTENDERS];
    uint64_t chunk[HGI_BENCH_CONTENDERS];
    struct sample sample[HGI_BENCH_CONTENDERS][HGI_BENCH_COLUMNS][HGI_BENCH_ROUNDS_MAX];
};

static bool open_all(const struct hgi_bench *bench, struct state *state,
                     struct hgi_problem *problem)
{
    for (uint32_t i = 0; i < bench->count; i++) {
        const struct hgi_contender *contender = &bench->contenders[i];
        if (contender->open && !(state->shared[i] = contender->open(problem)))
            return false;
        state->chunk[i] = fit(contender, state->shared[i]);
        if (state->chunk[i] == 0)
            return hgi_problem_set(problem, "%s: a call did not do what is measured",
                                   contender->name);
    }
    return true;
}

static bool run_round(const struct hgi_bench *bench, struct state *state, uint32_t round,
                      struct hgi_problem *problem)
{
    for (uint32_t column = 0; column < bench->columns; column++) {
        for (uint32_t n = 0; n < bench->count; n++) {
            uint32_t i = (n + round) % bench->count;
            struct lap lap = { .contender = &bench->contenders[i],
                               .shared = state->shared[i],
                               .chunk = state->chunk[i],
                               .slice_ns = bench->slice_ns,
                               .threads = bench->threads[column],
                               .pinned = bench->pinned };
            if (!run_threads(&lap, &state->sample[i][column][round], problem))
                return false;
        }
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct sample *sample, uint32_t count, bool cpu)
{
    double value[HGI_BENCH_ROUNDS_MAX];
    for (uint32_t i = 0; i < count; i++)
        value[i] = cpu ? sample[i].cpu_ns : sample[i].ns;
    qsort(value, count, sizeof value[0], compare);
    return (value[(count - 1) / 2] + value[count / 2]) / 2;
}

bool hgi_bench_run(struct hgi_bench *bench, bool quiet, struct hgi_problem *problem)
{
    struct hgi_progress progress;
    struct state *state = calloc(1, sizeof *state);
    if (!state)
        return hgi_problem_set(problem, "out of memory");
    hgi_progress_begin(&progress, quiet);
    bool well = open_all(bench, state, problem);
    for (uint32_t round = 0; round < bench->rounds && well; round++) {
        if (hgi_progress_due(&progress, monotonic_ns()))
            hgi_progress_line(&progress, "%s: round %u of %u", bench->title, round + 1,
                              bench->rounds);
        well = run_round(bench, state, round, problem);
    }
    hgi_progress_end(&progress);
    for (uint32_t i = 0; i < bench->count; i++) {
        for (uint32_t column = 0; column < bench->columns && well; column++) {
            bench->ns[i][column] = median(state->sample[i][column], bench->rounds, false);
            bench->cpu_ns[i][column] = median(state->sample[i][column], bench->rounds, true);
        }
        if (state->shared[i])
            bench->contenders[i].close(state->shared[i]);
    }
    free(state);
    return well;
}
