/* Throughput and the tail over barging_limit, with strict order and free barging at the ends: many
 * threads on few connections, every setting in turn in every round. Told are medians of the rounds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/herdgate.h>

#include "tools/bench/pool_bench.h"
#include "tools/common/histogram.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"

enum { THREADS_MAX = HGI_BENCH_THREADS_MAX };

#define SHARE_OF_BARGING 0.85

#define BOUNDED(text, ns)                                                          \
    {                                                                              \
        .name = "bounded, " text, .limit_ns = (ns),                                \
        .fairness = ", \"fairness\": \"bounded\", \"barging_limit\": \"" text "\"" \
    }

static const struct hgi_curve_point settings[HGI_CURVE_SETTINGS] = {
    { .name = "fifo", .fairness = ", \"fairness\": \"fifo\"" },
    BOUNDED("200us", 200 * NS_PER_US),
    BOUNDED("500us", 500 * NS_PER_US),
    BOUNDED("1ms", NS_PER_MS),
    BOUNDED("2ms", 2 * NS_PER_MS),
    BOUNDED("3ms", 3 * NS_PER_MS),
    BOUNDED("5ms", 5 * NS_PER_MS),
    BOUNDED("10ms", 10 * NS_PER_MS),
    BOUNDED("20ms", 20 * NS_PER_MS),
    BOUNDED("50ms", 50 * NS_PER_MS),
    { .name = "barging", .fairness = ", \"fairness\": \"barging\"" },
};

struct lap {
    hg_pool *pool;
    pthread_barrier_t all_here;
    atomic_bool stop;   /* written by the one who measures */
    atomic_bool failed; /* written by a thread whose call failed */
};

struct caller {
    struct lap *lap;
    struct hgi_histogram histogram;
};

static void *call_main(void *arg)
{
    struct caller *caller = arg;
    struct lap *lap = caller->lap;
    pthread_barrier_wait(&lap->all_here);
    /* relaxed: flags. */
    while (!atomic_load_explicit(&lap->stop, memory_order_relaxed)) {
        redisReply *reply;
        int64_t began_ns = monotonic_ns();
        if (hg_command(lap->pool, &reply, NULL, "GET %s", "herdgate:bench") != HG_OK)
            atomic_store_explicit(&lap->failed, true, memory_order_relaxed);
        hgi_histogram_add(&caller->histogram, monotonic_ns() - began_ns);
        freeReplyObject(reply);
    }
    return NULL;
}

struct sample {
    double per_second, p50_ns, p99_ns, p999_ns;
};

static bool run_lap(const struct hgi_curve *curve, hg_pool *pool, struct caller *callers,
                    struct sample *sample, struct hgi_problem *problem)
{
    struct lap lap = { .pool = pool };
    pthread_t id[THREADS_MAX];
    if (pthread_barrier_init(&lap.all_here, NULL, curve->threads + 1) != 0)
        return hgi_problem_set(problem, "a barrier could not be made");
    for (uint32_t i = 0; i < curve->threads; i++) {
        memset(&callers[i], 0, sizeof callers[i]);
        callers[i].lap = &lap;
        if (pthread_create(&id[i], NULL, call_main, &callers[i]) != 0) {
            /* Those that are there wait for all, and would for ever: end with the process. */
            fprintf(stderr, "herdgate-bench: only %u of %u threads could be started\n", i,
                    curve->threads);
            exit(3);
        }
    }
    pthread_barrier_wait(&lap.all_here);
    int64_t began_ns = monotonic_ns();
    sleep_until_ns(began_ns + curve->slice_ns);
    atomic_store_explicit(&lap.stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < curve->threads; i++)
        pthread_join(id[i], NULL);
    int64_t took_ns = monotonic_ns() - began_ns;
    pthread_barrier_destroy(&lap.all_here);
    for (uint32_t i = 1; i < curve->threads; i++)
        hgi_histogram_merge(&callers[0].histogram, &callers[i].histogram);
    const struct hgi_histogram *all = &callers[0].histogram;
    *sample = (struct sample) { .per_second = (double)all->total * 1e9 / (double)took_ns,
                                .p50_ns = (double)hgi_histogram_percentile(all, 50),
                                .p99_ns = (double)hgi_histogram_percentile(all, 99),
                                .p999_ns = (double)hgi_histogram_percentile(all, 99.9) };
    return !atomic_load_explicit(&lap.failed, memory_order_relaxed) ||
           hgi_problem_set(problem, "a call failed");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of one figure of a setting's samples, which stand `offset` bytes into them. */
static double median(const struct sample *samples, uint32_t count, size_t offset)
{
    double value[HGI_BENCH_ROUNDS_MAX];
    for (uint32_t i = 0; i < count; i++)
        memcpy(&value[i], (const char *)&samples[i] + offset, sizeof value[i]);
    qsort(value, count, sizeof value[0], compare);
    return (value[(count - 1) / 2] + value[count / 2]) / 2;
}

void hgi_curve_begin(struct hgi_curve *curve)
{
    memcpy(curve->point, settings, sizeof settings);
    if (curve->threads > THREADS_MAX)
        curve->threads = THREADS_MAX;
}

static bool run_rounds(const struct hgi_curve *curve, hg_pool **pools,
                       struct sample (*samples)[HGI_BENCH_ROUNDS_MAX], bool quiet,
                       struct hgi_problem *problem)
{
    struct hgi_progress progress;
    struct caller *callers = calloc(curve->threads, sizeof *callers);
    bool well = true;
    if (!callers)
        return hgi_problem_set(problem, "out of memory");
    hgi_progress_begin(&progress, quiet);
    for (uint32_t round = 0; round < curve->rounds && well; round++) {
        if (hgi_progress_due(&progress, monotonic_ns()))
            hgi_progress_line(&progress, "fairness: round %u of %u", round + 1, curve->rounds);
        for (uint32_t n = 0; n < HGI_CURVE_SETTINGS && well; n++) {
            uint32_t i = (n + round) % HGI_CURVE_SETTINGS;
            well = run_lap(curve, pools[i], callers, &samples[i][round], problem);
        }
    }
    hgi_progress_end(&progress);
    free(callers);
    return well;
}

bool hgi_curve_run(struct hgi_curve *curve, bool quiet, struct hgi_problem *problem)
{
    hg_pool *pools[HGI_CURVE_SETTINGS] = { NULL };
    struct sample(*samples)[HGI_BENCH_ROUNDS_MAX] = calloc(HGI_CURVE_SETTINGS, sizeof *samples);
    bool well = samples != NULL || hgi_problem_set(problem, "out of memory");
    for (uint32_t i = 0; i < HGI_CURVE_SETTINGS && well; i++)
        well = (pools[i] = hgi_bench_open_pool(curve->connections, curve->point[i].fairness,
                                               problem)) != NULL;
    well = well && run_rounds(curve, pools, samples, quiet, problem);
    for (uint32_t i = 0; i < HGI_CURVE_SETTINGS; i++) {
        struct hgi_curve_point *point = &curve->point[i];
        hg_pool_close(pools[i], -1, NULL);
        if (!well)
            continue;
        const struct sample *of = samples[i];
        point->per_second = median(of, curve->rounds, offsetof(struct sample, per_second));
        point->p50_ns = median(of, curve->rounds, offsetof(struct sample, p50_ns));
        point->p99_ns = median(of, curve->rounds, offsetof(struct sample, p99_ns));
        point->p999_ns = median(of, curve->rounds, offsetof(struct sample, p999_ns));
    }
    free(samples);
    return well;
}

const struct hgi_curve_point *hgi_curve_choice(const struct hgi_curve *curve)
{
    double least = SHARE_OF_BARGING * curve->point[HGI_CURVE_SETTINGS - 1].per_second;
    for (uint32_t i = 1; i < HGI_CURVE_SETTINGS - 1; i++)
        if (curve->point[i].per_second >= least)
            return &curve->point[i];
    return NULL;
}

static void set_latency(struct hgi_table *table, size_t row, size_t column, double ns)
{
    char text[32];
    hgi_table_set(table, row, column, "%s", hgi_format_latency(text, sizeof text, (int64_t)ns));
}

void hgi_curve_print(const struct hgi_curve *curve, bool colour)
{
    const struct hgi_curve_point *barging = &curve->point[HGI_CURVE_SETTINGS - 1];
    const struct hgi_curve_point *choice = hgi_curve_choice(curve);
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    static const char *const heads[] = { "GET/s", "of barging's", "p50",
                                         "p99",   "p99.9",        "of barging's" };
    hgi_table_set(table, 0, 0, "%u threads, %u connections", curve->threads, curve->connections);
    hgi_table_style(table, 0, 0, HGI_STYLE_BOLD);
    for (size_t c = 0; c < sizeof heads / sizeof heads[0]; c++)
        hgi_table_set(table, 0, c + 1, "%s", heads[c]);
    for (uint32_t i = 0; i < HGI_CURVE_SETTINGS; i++) {
        const struct hgi_curve_point *point = &curve->point[i];
        char text[32];
        hgi_table_set(table, i + 1, 0, "%s", point->name);
        hgi_table_set(table, i + 1, 1, "%s",
                      hgi_format_count(text, sizeof text, (uint64_t)point->per_second));
        hgi_table_set(table, i + 1, 2, "%.2f", point->per_second / barging->per_second);
        set_latency(table, i + 1, 3, point->p50_ns);
        set_latency(table, i + 1, 4, point->p99_ns);
        set_latency(table, i + 1, 5, point->p999_ns);
        hgi_table_set(table, i + 1, 6, "%.2f", point->p999_ns / barging->p999_ns);
        if (point == choice)
            hgi_table_style(table, i + 1, 0, HGI_STYLE_GOOD);
    }
    hgi_table_print(table, stdout, colour);
    free(table);
    if (choice)
        printf("The shortest limit with %.0f %% of barging's throughput: %s.\n\n",
               100 * SHARE_OF_BARGING, choice->name);
    else
        printf("No limit has %.0f %% of barging's throughput.\n\n", 100 * SHARE_OF_BARGING);
}

cJSON *hgi_curve_json(const struct hgi_curve *curve)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "threads", curve->threads);
    cJSON_AddNumberToObject(json, "connections", curve->connections);
    cJSON *array = cJSON_AddArrayToObject(json, "settings");
    for (uint32_t i = 0; i < HGI_CURVE_SETTINGS; i++) {
        const struct hgi_curve_point *point = &curve->point[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "setting", point->name);
        cJSON_AddNumberToObject(row, "limit_ns", (double)point->limit_ns);
        cJSON_AddNumberToObject(row, "per_second", point->per_second);
        cJSON_AddNumberToObject(row, "p50_ns", point->p50_ns);
        cJSON_AddNumberToObject(row, "p99_ns", point->p99_ns);
        cJSON_AddNumberToObject(row, "p99.9_ns", point->p999_ns);
        cJSON_AddItemToArray(array, row);
    }
    return json;
}
