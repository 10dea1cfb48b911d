/* Paired measurements: contenders take turns in every round, and what is told is the median of the
 * rounds and its ratio to another contender's of the same run.
 *
 *     static const struct hgi_contender contenders[] = { { "floor", ... }, { "breaker", ... } };
 *     struct hgi_bench bench = { .contenders = contenders, .count = 2, .rounds = 11, ... };
 *     if (!hgi_bench_run(&bench, quiet, &problem))
 *         return fail(problem.text);
 *     hgi_bench_print(&bench, stdout, colour);
 *
 * What a call costs, `ns`: elapsed time, times the processors that the threads can use, by the calls
 * of all threads. It hides nothing: where threads wait for each other, asleep or not, the time of the
 * processors that lie idle meanwhile is part of the price; and where they do not, it is the same for
 * any number of threads. Beside it `cpu_ns`, the processor time that the threads themselves used.
 */
#ifndef HERDGATE_TOOLS_BENCH_BENCH_H
#define HERDGATE_TOOLS_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "tools/common/problem.h"

enum {
    HGI_BENCH_CONTENDERS = 16,
    HGI_BENCH_COLUMNS = 8,
    HGI_BENCH_THREADS_MAX = 256,
    HGI_BENCH_ROUNDS_MAX = 101
};

struct hgi_contender {
    const char *key; /* in JSON */
    const char *name;
    /* Make what the threads share. NULL: it failed, *problem says. May be NULL itself: nothing is shared. */
    void *(*open)(struct hgi_problem *problem);
    void (*close)(void *shared);
    /* Make `count` calls on thread number `thread`, from 0. False: one of them did not do what is
     * measured, and the figures would mean nothing. */
    bool (*run)(void *shared, uint32_t thread, uint64_t count);
};

/* What the project promises of the figures: a ratio of two contenders, and its limit. */
struct hgi_promise {
    const char *key;
    const char *text;
    uint32_t above; /* contenders, by index */
    uint32_t below;
    bool below_alone;      /* `below` with the first column's threads, in every column */
    uint32_t from_threads; /* holds with so many threads and more */
    bool at_least;         /* the limit is a lower one */
    double limit;
};

struct hgi_bench {
    const char *key;
    const char *title;
    const struct hgi_contender *contenders;
    uint32_t count;          /* at most HGI_BENCH_CONTENDERS */
    const uint32_t *threads; /* how many in each column, ascending */
    uint32_t columns;        /* at most HGI_BENCH_COLUMNS */
    bool pinned;             /* each thread stays on a processor, which they take in turn */
    const struct hgi_promise *promises;
    uint32_t promise_count;
    uint32_t rounds;  /* at most HGI_BENCH_ROUNDS_MAX */
    int64_t slice_ns; /* of one contender, with one number of threads, in one round */
    /* Results: medians. */
    double ns[HGI_BENCH_CONTENDERS][HGI_BENCH_COLUMNS];
    double cpu_ns[HGI_BENCH_CONTENDERS][HGI_BENCH_COLUMNS];
};

/* The processors that this process may run on. */
uint32_t hgi_bench_processors(void);

/* Measure. False: a contender could not be made or did something else, or threads not be started;
 * *problem says. */
bool hgi_bench_run(struct hgi_bench *bench, bool quiet, struct hgi_problem *problem);

/* The ratio of a promise in a column, and whether all its columns keep the limit. */
double hgi_bench_ratio(const struct hgi_bench *bench, const struct hgi_promise *promise,
                       uint32_t column);
bool hgi_bench_keeps(const struct hgi_bench *bench, const struct hgi_promise *promise);

/* Tables: the times; the times as multiples of contender `base`'s, under `title`; the processor time of
 * the calling threads; the promises. */
void hgi_bench_print(const struct hgi_bench *bench, FILE *out, bool colour);
void hgi_bench_print_multiples(const struct hgi_bench *bench, uint32_t base, const char *title,
                               FILE *out, bool colour);
void hgi_bench_print_cpu(const struct hgi_bench *bench, FILE *out, bool colour);
void hgi_bench_print_promises(const struct hgi_bench *bench, FILE *out, bool colour);

/* All of it as one object; the caller deletes it. */
cJSON *hgi_bench_json(const struct hgi_bench *bench);

int hgi_bench_breaker_main(int count, char *const *arguments, const char *command);
int hgi_bench_pool_main(int count, char *const *arguments, const char *command);

#endif
