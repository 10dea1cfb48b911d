/* The parts of herdgate-bench pool. */
#ifndef HERDGATE_TOOLS_BENCH_POOL_BENCH_H
#define HERDGATE_TOOLS_BENCH_POOL_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <herdgate/pool.h>

#include "tools/bench/bench.h"
#include "tools/common/histogram.h"
#include "tools/common/problem.h"

struct hgi_private_server;

/* The server of all contenders; set before any is opened. */
void hgi_bench_use_server(const struct hgi_private_server *server);
const char *hgi_bench_url(void);
const char *hgi_bench_socket(void);

/* A pool of the library as a program has it, with its connections open. `fairness` is the members of
 * the policy's "pool" that say it, or "". NULL: *problem says. */
hg_pool *hgi_bench_open_pool(uint32_t connections, const char *fairness,
                             struct hgi_problem *problem);

/* Wait until so many connections stand idle, 20 s at most. */
bool hgi_bench_all_open(hg_pool *pool, uint32_t connections);

/* Take and give back, no command in between. */
extern const struct hgi_bench hgi_bench_taking;
void hgi_bench_print_taking(const struct hgi_bench *bench, bool colour);

/* GET end to end: on 8 connections, and on 64. */
extern const struct hgi_bench hgi_bench_get_few, hgi_bench_get_many;
void hgi_bench_print_get(const struct hgi_bench *bench, bool colour);

/* --- throughput and the tail, by fairness --- */

enum { HGI_CURVE_SETTINGS = 11 };

struct hgi_curve_point {
    const char *name;
    const char *fairness; /* as above */
    int64_t limit_ns;     /* of bounded; else 0 */
    double per_second;    /* results: medians */
    double p50_ns, p99_ns, p999_ns;
};

struct hgi_curve {
    uint32_t threads;
    uint32_t connections;
    uint32_t rounds;
    int64_t slice_ns;
    struct hgi_curve_point point[HGI_CURVE_SETTINGS]; /* fifo first, barging last */
};

void hgi_curve_begin(struct hgi_curve *curve);
bool hgi_curve_run(struct hgi_curve *curve, bool quiet, struct hgi_problem *problem);

/* The smallest limit with 85 % of barging's throughput; NULL: none has it. */
const struct hgi_curve_point *hgi_curve_choice(const struct hgi_curve *curve);
void hgi_curve_print(const struct hgi_curve *curve, bool colour);
cJSON *hgi_curve_json(const struct hgi_curve *curve);

/* --- a caller's deadline while the server cannot be had --- */

enum { HGI_DEADLINE_CASES = 4 };

struct hgi_deadline_case {
    const char *key;
    const char *name;
    char skipped[512];         /* why it was not measured here; empty: it was */
    struct hgi_histogram took; /* results: of each call */
    uint64_t early;            /* calls that ended before their deadline */
};

struct hgi_deadline {
    uint32_t rounds;
    struct hgi_deadline_case of[HGI_DEADLINE_CASES];
};

/* Forks, so it is called before the process has threads. */
bool hgi_deadline_run(struct hgi_deadline *deadline, bool quiet, struct hgi_problem *problem);

/* Whether each of its calls ended in time; one that was not measured has not failed to. */
bool hgi_deadline_keeps(const struct hgi_deadline_case *result);
void hgi_deadline_print(const struct hgi_deadline *deadline, bool colour);
cJSON *hgi_deadline_json(const struct hgi_deadline *deadline);

#endif
