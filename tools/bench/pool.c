/* herdgate-bench pool: what a connection from the pool costs, who waits how long.
 *
 * It starts a redis-server of its own, on a temporary unix socket. Four parts: taking and giving back
 * alone, GET end to end, throughput against the tail over the settings of fairness, and how long a call
 * with a deadline takes while the server cannot be had. For GET the server has a processor of its own;
 * layout.h says why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/herdgate.h>

#include "tools/bench/layout.h"
#include "tools/bench/pool_bench.h"
#include "tools/common/options.h"
#include "tools/common/output.h"
#include "tools/common/private_server.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"

/* --- what the parts share -------------------------------------------------------------------- */

static const struct hgi_private_server *the_server;

void hgi_bench_use_server(const struct hgi_private_server *server)
{
    the_server = server;
}

const char *hgi_bench_url(void)
{
    return hgi_private_server_url(the_server);
}

const char *hgi_bench_socket(void)
{
    return hgi_private_server_socket(the_server);
}

bool hgi_bench_all_open(hg_pool *pool, uint32_t connections)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    int64_t end_ns = monotonic_ns() + 20 * NS_PER_S;
    do {
        sleep_until_ns(monotonic_ns() + NS_PER_MS);
        hg_pool_read_stats(pool, &stats);
    } while (stats.idle < connections && monotonic_ns() < end_ns);
    return stats.idle >= connections;
}

hg_pool *hgi_bench_open_pool(uint32_t connections, const char *fairness,
                             struct hgi_problem *problem)
{
    char json[320];
    hg_policy *policy = NULL;
    hg_pool *pool = NULL;
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_bench_url();
    /* The defaults, but that a busy machine does not look like a slow server. */
    snprintf(json, sizeof json,
             "{\"pool\": {\"max_size\": %u, \"min_idle\": %u%s},"
             " \"classes\": {\"read\": {\"attempt_timeout\": \"5s\", \"deadline\": \"30s\"},"
             " \"write_once\": {\"deadline\": \"30s\"}}}",
             (unsigned)connections, (unsigned)connections, fairness);
    hg_policy_parse(&policy, json, strlen(json), "bench", &err);
    if (err.type == HG_OK && hg_pool_open(&pool, &options, policy, &err) == HG_OK &&
        !hgi_bench_all_open(pool, connections)) {
        hg_pool_close(pool, -1, NULL);
        pool = NULL;
        hgi_problem_set(problem, "the pool's connections could not be made");
    }
    hg_policy_drop(policy);
    if (err.type != HG_OK)
        hgi_problem_set(problem, "%s", err.message);
    return pool;
}

/* --- what is measured ------------------------------------------------------------------------- */

enum { TAKING, GET_FEW, GET_MANY, PARTS };

struct results {
    bool wanted[PARTS];
    bool no_pin;
    struct hgi_layout layout; /* of GET */
    bool curve_wanted;
    bool deadline_wanted;
    struct hgi_bench part[PARTS];
    struct hgi_curve curve;
    struct hgi_deadline deadline;
};

static void print_layout(const struct results *results)
{
    const struct hgi_layout *layout = &results->layout;
    if (layout->apart)
        printf("GET: the server has processor %d to itself, the threads have the other %u.\n",
               layout->server, layout->processors);
    else
        printf("GET: the scheduler places server and threads%s; the ratios say little.\n",
               results->no_pin ? "" : ", for want of processors or of permission");
}

static cJSON *layout_json(const struct hgi_layout *layout)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddBoolToObject(json, "server_apart", layout->apart);
    if (layout->apart)
        cJSON_AddNumberToObject(json, "server_processor", layout->server);
    cJSON_AddNumberToObject(json, "thread_processors", layout->processors);
    return json;
}

static void print_results(const struct results *results)
{
    bool colour = hgi_terminal_colour(stdout);
    if (results->wanted[TAKING])
        hgi_bench_print_taking(&results->part[TAKING], colour);
    if (results->wanted[GET_FEW])
        hgi_bench_print_get(&results->part[GET_FEW], colour);
    if (results->wanted[GET_MANY])
        hgi_bench_print_get(&results->part[GET_MANY], colour);
    if (results->curve_wanted)
        hgi_curve_print(&results->curve, colour);
    if (results->deadline_wanted)
        hgi_deadline_print(&results->deadline, colour);
    if (results->wanted[GET_FEW])
        print_layout(results);
    if (results->wanted[TAKING] || results->wanted[GET_FEW] || results->curve_wanted)
        printf(
            "A call's time is elapsed time x processors in use / calls: what threads wait for each "
            "other is in\n"
            "it. Medians of %u rounds, on %u processors.\n",
            results->curve.rounds, hgi_bench_processors());
}

static cJSON *as_json(const struct results *results, const char *command)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", "herdgate-bench");
    cJSON_AddNumberToObject(json, "version", 1);
    cJSON_AddStringToObject(json, "subcommand", "pool");
    cJSON_AddStringToObject(json, "herdgate", hg_version());
    cJSON_AddStringToObject(json, "command", command);
    cJSON_AddNumberToObject(json, "processors", hgi_bench_processors());
    cJSON_AddNumberToObject(json, "rounds", results->curve.rounds);
    cJSON *array = cJSON_AddArrayToObject(json, "parts");
    for (size_t i = 0; i < PARTS; i++)
        if (results->wanted[i])
            cJSON_AddItemToArray(array, hgi_bench_json(&results->part[i]));
    if (results->wanted[GET_FEW])
        cJSON_AddItemToObject(json, "get_layout", layout_json(&results->layout));
    if (results->curve_wanted)
        cJSON_AddItemToObject(json, "fairness", hgi_curve_json(&results->curve));
    if (results->deadline_wanted)
        cJSON_AddItemToObject(json, "deadline", hgi_deadline_json(&results->deadline));
    return json;
}

static bool keeps_all(const struct results *results)
{
    bool kept = true;
    for (size_t i = 0; i < PARTS; i++) {
        const struct hgi_bench *part = &results->part[i];
        for (uint32_t p = 0; results->wanted[i] && p < part->promise_count; p++) {
            if (hgi_bench_keeps(part, &part->promises[p]))
                continue;
            fprintf(stderr, "herdgate-bench: not kept: %s: %s\n", part->key,
                    part->promises[p].text);
            kept = false;
        }
    }
    for (size_t i = 0; results->deadline_wanted && i < HGI_DEADLINE_CASES; i++) {
        const struct hgi_deadline_case *each = &results->deadline.of[i];
        if (hgi_deadline_keeps(each))
            continue;
        fprintf(stderr, "herdgate-bench: not kept: deadline: while %s\n", each->name);
        kept = false;
    }
    return kept;
}

/* GET, with the server apart. */
static bool measure_get(struct results *results, pid_t server, bool quiet,
                        struct hgi_problem *problem)
{
    if (results->no_pin)
        results->layout = (struct hgi_layout) { .processors = hgi_bench_processors() };
    else
        hgi_layout_part(&results->layout, server);
    bool well = hgi_bench_run(&results->part[GET_FEW], quiet, problem) &&
                hgi_bench_run(&results->part[GET_MANY], quiet, problem);
    hgi_layout_join(&results->layout, server);
    return well;
}

static bool measure(struct results *results, bool quiet, struct hgi_problem *problem)
{
    struct hgi_private_server *server;
    /* First, while this process has no thread: names are asked in a child of it. */
    if (results->deadline_wanted && !hgi_deadline_run(&results->deadline, quiet, problem))
        return false;
    if (!hgi_private_server_start(&server, NULL, problem))
        return false;
    hgi_bench_use_server(server);
    char value[65];
    memset(value, 'v', 64);
    value[64] = '\0';
    redisReply *reply = hgi_private_server_command(server, problem, "SET herdgate:bench %s", value);
    bool well = reply != NULL;
    freeReplyObject(reply);
    if (well && results->wanted[TAKING])
        well = hgi_bench_run(&results->part[TAKING], quiet, problem);
    if (well && results->wanted[GET_FEW])
        well = measure_get(results, hgi_private_server_pid(server), quiet, problem);
    if (well && results->curve_wanted)
        well = hgi_curve_run(&results->curve, quiet, problem);
    hgi_private_server_free(server);
    return well;
}

/* --- the command line ---------------------------------------------------------------------------- */

static const char about[] =
    "herdgate-bench pool: what a connection from the pool costs, who waits how long\n"
    "\n"
    "taking: take and give back, no command in between, on 1 to 32 threads and 8\n"
    "connections. get: GET of 64 bytes, against raw hiredis with a connection for\n"
    "each thread and against hiredis behind a mutex; the server has a processor of\n"
    "its own, the threads the others. fairness: throughput and the tail over\n"
    "barging_limit, with fifo and barging. deadline: how long calls with a deadline\n"
    "of 50 ms take while names are not answered, connections not accepted, the server\n"
    "is stopped, or its replies drip. On a redis-server of its own. Contenders take\n"
    "turns; told are medians, and ratios within this run.\n"
    "\n"
    "usage: herdgate-bench pool [options]\n";

static int fail(int code, const struct hgi_problem *problem)
{
    fprintf(stderr, "herdgate-bench: %s\n", problem->text);
    return code;
}

/* False: there is no such part. */
static bool choose(struct results *results, const char *only)
{
    bool all = !only;
    results->wanted[TAKING] = all || strcmp(only, "taking") == 0;
    results->wanted[GET_FEW] = results->wanted[GET_MANY] = all || strcmp(only, "get") == 0;
    results->curve_wanted = all || strcmp(only, "fairness") == 0;
    results->deadline_wanted = all || strcmp(only, "deadline") == 0;
    return results->wanted[TAKING] || results->wanted[GET_FEW] || results->curve_wanted ||
           results->deadline_wanted;
}

static void prepare(struct results *results, uint32_t rounds, int64_t slice_ns)
{
    results->part[TAKING] = hgi_bench_taking;
    results->part[GET_FEW] = hgi_bench_get_few;
    results->part[GET_MANY] = hgi_bench_get_many;
    for (size_t i = 0; i < PARTS; i++) {
        results->part[i].rounds = rounds;
        results->part[i].slice_ns = i == TAKING ? slice_ns : 20 * slice_ns;
    }
    results->curve.rounds = rounds;
    results->deadline.rounds = rounds;
    results->curve.slice_ns = 20 * slice_ns;
    hgi_curve_begin(&results->curve);
}

static int run(struct results *results, bool quiet, bool check, const char *json,
               const char *command)
{
    struct hgi_problem problem = { .text = "out of memory" };
    bool json_to_stdout = json && (!*json || strcmp(json, "-") == 0);
    if (!measure(results, quiet, &problem))
        return fail(3, &problem);
    if (!json_to_stdout && !quiet)
        print_results(results);
    if (json) {
        cJSON *object = as_json(results, command);
        bool well = hgi_output_json(json, object, &problem);
        cJSON_Delete(object);
        if (!well)
            return fail(3, &problem);
    }
    return check && !keeps_all(results) ? 1 : 0;
}

int hgi_bench_pool_main(int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "out of memory" };
    uint32_t rounds = 9;
    int64_t slice_ns = 20 * NS_PER_MS;
    const char *json = NULL;
    const char *only = NULL;
    bool quiet = false;
    bool check = false;
    bool help = false;
    struct results *results = calloc(1, sizeof *results);
    if (!results)
        return fail(3, &problem);
    results->curve.threads = 64;
    results->curve.connections = 8;
    const struct hgi_option table[] = {
        { 0, "only", HGI_OPTION_TEXT, &only, "PART", "taking, get, fairness or deadline (all)", 0,
          0 },
        { 0, "rounds", HGI_OPTION_COUNT, &rounds, "N", "told is the median of so many (9)", 1,
          HGI_BENCH_ROUNDS_MAX },
        { 0, "slice", HGI_OPTION_DURATION, &slice_ns, "TIME",
          "of a contender of taking in a round (20ms); of get and fairness 20 times that",
          NS_PER_MS, 10 * NS_PER_S },
        { 't', "threads", HGI_OPTION_COUNT, &results->curve.threads, "N", "of fairness (64)", 1,
          HGI_BENCH_THREADS_MAX },
        { 'c', "connections", HGI_OPTION_COUNT, &results->curve.connections, "N", "of fairness (8)",
          1, 1024 },
        { 0, "no-pin", HGI_OPTION_FLAG, &results->no_pin, NULL,
          "get: let the scheduler place server and threads", 0, 0 },
        { 0, "check", HGI_OPTION_FLAG, &check, NULL, "exit with 1 if a promise is not kept", 0, 0 },
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &json, "[=F]",
          "results as JSON, to stdout instead of the tables, or to F", 0, 0 },
        { 'q', "quiet", HGI_OPTION_FLAG, &quiet, NULL, "no progress and no tables", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &help, NULL, "this text", 0, 0 },
        { 0 },
    };
    int code;
    if (!hgi_options_parse(table, count, arguments, &problem)) {
        code = fail(2, &problem);
    } else if (help) {
        fputs(about, stdout);
        hgi_options_help(table, stdout);
        code = 0;
    } else if (!choose(results, only)) {
        hgi_problem_set(&problem, "--only %s: there is taking, get, fairness and deadline", only);
        code = fail(2, &problem);
    } else {
        prepare(results, rounds, slice_ns);
        code = run(results, quiet, check, json, command);
    }
    free(results);
    return code;
}
