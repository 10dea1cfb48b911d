/* herdgate-stress concurrency: many threads share few connections, and every reply is checked.
 *
 * Each thread owns a few keys and a counter, so it knows every byte that a reply may have: a value
 * says which key and nonce it belongs to (value.h), an INCR gives exactly one more. Every eighth round
 * goes over a lease, whose connection no other thread may hold meanwhile (owners.h). At the end the
 * pool is closed, and what is left over is counted: connections at the server, descriptors, memory.
 */
#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/histogram.h"
#include "tools/common/output.h"
#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/exits.h"
#include "tools/stress/herd.h"
#include "tools/stress/owners.h"
#include "tools/stress/value.h"

enum { KEYS_OF_A_THREAD = 4, LEASE_EVERY = 8 };

/* Left over in memory: what an allocator and a C library keep for themselves after the first run is
 * below this; a leak of one connection or value per call is far above it. */
static const int64_t memory_slack = 4 << 20;

struct concurrency_options {
    uint32_t threads;
    uint32_t connections;
    struct hgi_span sizes;
    int64_t duration_ns;
    uint64_t seed;
    const char *policy;
    const char *json;
    bool quiet;
    bool help;
};

struct shared {
    const struct concurrency_options *options;
    hg_pool *pool;
    struct hgi_owners *owners;
    _Atomic bool stop;         /* written by the main thread */
    _Atomic uint64_t commands; /* by the workers; a sum for the progress line */
    _Atomic uint64_t mismatches;
    _Atomic uint64_t doubled;
    _Atomic uint64_t failed;
    pthread_mutex_t mutex; /* guards `first` */
    char first[300];       /* the first thing that was wrong */
};

struct worker {
    struct shared *shared;
    pthread_t thread;
    uint32_t number;
    uint64_t nonce;
    uint64_t rounds;
    int64_t counter;
    unsigned char *value;
    struct hgi_histogram latency;
};

/* What was there before, to be there again after. */
struct footing {
    int64_t descriptors;
    int64_t memory;
    int64_t clients;
};

static void wrong(struct shared *shared, _Atomic uint64_t *counter, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void wrong(struct shared *shared, _Atomic uint64_t *counter, const char *format, ...)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); /* relaxed: a sum */
    pthread_mutex_lock(&shared->mutex);
    if (!shared->first[0]) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(shared->first, sizeof shared->first, format, arguments);
        va_end(arguments);
    }
    pthread_mutex_unlock(&shared->mutex);
}

static bool failed(struct worker *worker, hg_status status, const struct hg_error *err)
{
    if (status == HG_OK)
        return false;
    wrong(worker->shared, &worker->shared->failed, "%s %s: %s", err->operation, err->key,
          err->message);
    return true;
}

static void count_command(struct worker *worker, int64_t began_ns)
{
    hgi_histogram_add(&worker->latency, monotonic_ns() - began_ns);
    /* relaxed: a sum. */
    atomic_fetch_add_explicit(&worker->shared->commands, 1, memory_order_relaxed);
}

/* SET and GET of one key; the reply must be the value, to the byte. */
static void exchange_value(struct worker *worker, uint64_t key)
{
    struct shared *shared = worker->shared;
    const struct hgi_span sizes = shared->options->sizes;
    uint64_t nonce = ++worker->nonce;
    size_t length = hgi_value_length(key, nonce, sizes);
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    hgi_value_make(worker->value, length, key, nonce);
    int64_t began_ns = monotonic_ns();
    hg_status status = hg_command(shared->pool, NULL, &err, "SET herdgate-stress:%llu %b",
                                  (unsigned long long)key, worker->value, length);
    count_command(worker, began_ns);
    if (failed(worker, status, &err))
        return;
    began_ns = monotonic_ns();
    status =
        hg_command(shared->pool, &reply, &err, "GET herdgate-stress:%llu", (unsigned long long)key);
    count_command(worker, began_ns);
    if (failed(worker, status, &err))
        return;
    if (reply->type != REDIS_REPLY_STRING ||
        !hgi_value_is(reply->str, reply->len, key, nonce, sizes)) {
        char what[120] = "no string";
        if (reply->type == REDIS_REPLY_STRING)
            hgi_value_describe(what, sizeof what, reply->str, reply->len);
        wrong(shared, &shared->mismatches,
              "GET of key %" PRIu64 " must give nonce %" PRIu64 " and gave %s", key, nonce, what);
    }
    freeReplyObject(reply);
}

static void exchange_counter(struct worker *worker)
{
    struct shared *shared = worker->shared;
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    int64_t began_ns = monotonic_ns();
    hg_status status = hg_command(shared->pool, &reply, &err, "INCR herdgate-stress:counter:%u",
                                  (unsigned)worker->number);
    count_command(worker, began_ns);
    if (failed(worker, status, &err))
        return;
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer != ++worker->counter)
        wrong(shared, &shared->mismatches, "INCR must give %" PRId64 " and gave %lld",
              worker->counter, reply->integer);
    freeReplyObject(reply);
}

/* A pipeline of echoes over a lease that nobody else may hold. */
static void exchange_over_lease(struct worker *worker)
{
    struct shared *shared = worker->shared;
    hg_lease *lease;
    redisReply *reply = NULL;
    uint32_t place;
    struct hg_error err = HG_ERROR_INIT;
    if (failed(worker, hg_acquire(shared->pool, &lease, NULL, &err), &err))
        return;
    hg_status status = hg_lease_command(lease, &reply, &err, "CLIENT ID");
    bool held = status == HG_OK &&
                hgi_owners_take(shared->owners, reply->integer, worker->number + 1, &place);
    if (status == HG_OK && !held)
        wrong(shared, &shared->doubled, "connection %lld is leased to two threads", reply->integer);
    freeReplyObject(reply);
    for (unsigned i = 0; i < 4 && status == HG_OK; i++)
        status = hg_lease_append(lease, &err, "ECHO %u-%" PRIu64 "-%u", (unsigned)worker->number,
                                 worker->nonce, i);
    for (unsigned i = 0; i < 4 && status == HG_OK; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "%u-%" PRIu64 "-%u", (unsigned)worker->number,
                 worker->nonce, i);
        status = hg_lease_reply(lease, &reply, &err);
        if (status == HG_OK && strcmp(reply->str, expected) != 0)
            wrong(shared, &shared->mismatches, "ECHO must give %s and gave %s", expected,
                  reply->str);
        if (status == HG_OK)
            freeReplyObject(reply);
    }
    if (held && !hgi_owners_give(shared->owners, place, worker->number + 1))
        wrong(shared, &shared->doubled, "a connection was leased to another thread meanwhile");
    hg_release(lease, status);
    (void)failed(worker, status, &err);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    /* relaxed: only ends the loop. */
    while (!atomic_load_explicit(&worker->shared->stop, memory_order_relaxed)) {
        uint64_t key =
            (uint64_t)worker->number * KEYS_OF_A_THREAD + worker->rounds % KEYS_OF_A_THREAD;
        exchange_value(worker, key);
        exchange_counter(worker);
        if (worker->rounds++ % LEASE_EVERY == 0)
            exchange_over_lease(worker);
    }
    return NULL;
}

/* --- what is left over --- */

static int64_t count_descriptors(void)
{
    int64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder)) /* NOLINT(concurrency-mt-unsafe): a stream of its own */
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static int64_t count_clients(struct hgi_private_server *server)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, "INFO clients");
    const char *at = reply && reply->str ? strstr(reply->str, "connected_clients:") : NULL;
    int64_t count = at ? strtoll(at + strlen("connected_clients:"), NULL, 10) : -1;
    freeReplyObject(reply);
    return count;
}

static struct footing look(struct hgi_private_server *server)
{
    return (struct footing) { .clients = count_clients(server),
                              .descriptors = count_descriptors(),
                              .memory = (int64_t)mallinfo2().uordblks };
}

/* Look until nothing is left over, for at most 5 s: the server learns of closed connections late. */
static struct footing look_after(struct hgi_private_server *server, const struct footing *before)
{
    int64_t end_ns = monotonic_ns() + 5 * NS_PER_S;
    struct footing after = look(server);
    while (after.clients > before->clients && monotonic_ns() < end_ns) {
        usleep(20000);
        after = look(server);
    }
    return after;
}

/* --- the run --- */

static bool open_pool(struct shared *shared, struct hgi_private_server *server, cJSON *json,
                      struct hgi_problem *problem)
{
    hg_policy *policy;
    struct hgi_recipe recipe = { .client_name = "herdgate-stress",
                                 .connections = shared->options->connections,
                                 .attempt_timeout_ns = 30 * NS_PER_S,
                                 .deadline_ns = 60 * NS_PER_S };
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    if (!hgi_recipe_policy(&policy, json, &recipe, problem))
        return false;
    options.url = hgi_private_server_url(server);
    bool well = hg_pool_open(&shared->pool, &options, policy, &err) == HG_OK;
    hg_policy_drop(policy);
    return well || hgi_problem_set(problem, "%s", err.message);
}

static uint32_t start_workers(struct shared *shared, struct worker *workers)
{
    uint32_t started = 0;
    for (; started < shared->options->threads; started++) {
        struct worker *worker = &workers[started];
        worker->shared = shared;
        worker->number = started;
        worker->nonce = shared->options->seed;
        worker->value = malloc((size_t)shared->options->sizes.high);
        if (!worker->value || pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            free(worker->value);
            break;
        }
    }
    return started;
}

static void wait_for_end(struct shared *shared, const atomic_bool *interrupted)
{
    struct hgi_progress progress;
    int64_t began_ns = monotonic_ns();
    int64_t now_ns = began_ns;
    hgi_progress_begin(&progress, shared->options->quiet);
    /* relaxed: only ends the loop. */
    while (now_ns - began_ns < shared->options->duration_ns &&
           !atomic_load_explicit(interrupted, memory_order_relaxed)) {
        usleep(50000);
        now_ns = monotonic_ns();
        if (hgi_progress_due(&progress, now_ns))
            hgi_progress_line(
                &progress, "%.0f of %.0f s: %" PRIu64 " commands, every reply checked",
                (double)(now_ns - began_ns) / 1e9, (double)shared->options->duration_ns / 1e9,
                atomic_load_explicit(&shared->commands, memory_order_relaxed));
    }
    hgi_progress_end(&progress);
    atomic_store_explicit(&shared->stop, true, memory_order_relaxed);
}

struct results {
    uint64_t commands;
    int64_t took_ns;
    struct hgi_histogram latency;
    struct hg_pool_stats stats;
    struct footing left; /* after, less before */
};

static void print_table(const struct shared *shared, const struct results *results)
{
    struct hgi_table *table = calloc(1, sizeof *table);
    char text[4][HGI_CELL_SIZE];
    if (!table)
        return;
    static const double percents[] = { 50, 99, 99.9, 100 };
    static const char *const heads[] = { "commands", "per second", "p50",     "p99",   "p99.9",
                                         "longest",  "mismatched", "doubled", "failed" };
    for (size_t i = 0; i < 9; i++)
        hgi_table_set(table, 0, i, "%s", heads[i]);
    hgi_table_set(table, 1, 0, "%s", hgi_format_count(text[0], HGI_CELL_SIZE, results->commands));
    hgi_table_set(
        table, 1, 1, "%s",
        hgi_format_count(text[1], HGI_CELL_SIZE,
                         (uint64_t)((double)results->commands * 1e9 / (double)results->took_ns)));
    for (size_t i = 0; i < 4; i++)
        hgi_table_set(table, 1, 2 + i, "%s",
                      hgi_format_latency(text[2], HGI_CELL_SIZE,
                                         hgi_histogram_percentile(&results->latency, percents[i])));
    hgi_table_set(table, 1, 6, "%" PRIu64, shared->mismatches);
    hgi_table_set(table, 1, 7, "%" PRIu64, shared->doubled);
    hgi_table_set(table, 1, 8, "%" PRIu64, shared->failed);
    hgi_table_print(table, stdout, hgi_terminal_colour(stdout));
    free(table);
    printf("\nLeft over after closing: %" PRId64 " connections, %" PRId64
           " descriptors, %s of memory."
           " Connections made in all: %" PRIu64 ".\n",
           results->left.clients, results->left.descriptors,
           hgi_format_bytes(text[3], HGI_CELL_SIZE,
                            (uint64_t)(results->left.memory > 0 ? results->left.memory : 0)),
           results->stats.dials);
}

static cJSON *as_json(const struct shared *shared, const struct results *results,
                      const char *command)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", "herdgate-stress concurrency");
    cJSON_AddNumberToObject(json, "version", 1);
    cJSON_AddStringToObject(json, "command", command);
    cJSON_AddNumberToObject(json, "threads", shared->options->threads);
    cJSON_AddNumberToObject(json, "connections", results->stats.max_size);
    cJSON_AddNumberToObject(json, "commands", (double)results->commands);
    cJSON_AddNumberToObject(json, "took_ns", (double)results->took_ns);
    cJSON_AddNumberToObject(json, "p50_ns",
                            (double)hgi_histogram_percentile(&results->latency, 50));
    cJSON_AddNumberToObject(json, "p99_ns",
                            (double)hgi_histogram_percentile(&results->latency, 99));
    cJSON_AddNumberToObject(json, "p999_ns",
                            (double)hgi_histogram_percentile(&results->latency, 99.9));
    cJSON_AddNumberToObject(json, "mismatched", (double)shared->mismatches);
    cJSON_AddNumberToObject(json, "doubled", (double)shared->doubled);
    cJSON_AddNumberToObject(json, "failed", (double)shared->failed);
    cJSON_AddNumberToObject(json, "connections_left", (double)results->left.clients);
    cJSON_AddNumberToObject(json, "descriptors_left", (double)results->left.descriptors);
    cJSON_AddNumberToObject(json, "memory_left", (double)results->left.memory);
    return json;
}

/* Print, and say how it ended. */
static int conclude(const struct shared *shared, const struct results *results, const char *command,
                    bool interrupted)
{
    const struct concurrency_options *o = shared->options;
    struct hgi_problem problem;
    bool json_to_stdout = o->json && (!*o->json || strcmp(o->json, "-") == 0);
    if (!o->quiet && !json_to_stdout)
        print_table(shared, results);
    if (o->json) {
        cJSON *json = as_json(shared, results, command);
        bool well = json && hgi_output_json(o->json, json, &problem);
        cJSON_Delete(json);
        if (!well) {
            fprintf(stderr, "herdgate-stress: %s\n", problem.text);
            return HGI_EXIT_ENVIRONMENT;
        }
    }
    bool left = results->left.clients > 0 || results->left.descriptors > 0 ||
                results->left.memory > memory_slack;
    if (shared->mismatches || shared->doubled || shared->failed || left) {
        fprintf(stderr, "herdgate-stress: broken: %s\n",
                shared->first[0] ? shared->first
                                 : "something is left over after closing; see above");
        return HGI_EXIT_BROKEN;
    }
    if (!o->quiet && !json_to_stdout)
        printf(
            "Every reply belonged to its command, no lease was doubled, nothing is left over.\n");
    return interrupted ? HGI_EXIT_INTERRUPTED : HGI_EXIT_PASS;
}

/* The threads' part of a run, on an open pool. False: they could not all be started. */
static bool load(struct shared *shared, struct results *results, const atomic_bool *interrupted)
{
    struct worker *workers = calloc(shared->options->threads, sizeof *workers);
    if (!workers)
        return false;
    int64_t began_ns = monotonic_ns();
    uint32_t started = start_workers(shared, workers);
    bool well = started == shared->options->threads;
    if (well)
        wait_for_end(shared, interrupted);
    atomic_store_explicit(&shared->stop, true, memory_order_relaxed); /* relaxed: see worker_main */
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        hgi_histogram_merge(&results->latency, &workers[i].latency);
        free(workers[i].value);
    }
    results->took_ns = monotonic_ns() - began_ns;
    results->commands = shared->commands;
    free(workers);
    return well;
}

static int run(const struct concurrency_options *o, cJSON *policy, const char *command)
{
    struct hgi_problem problem = { .text = "out of memory or threads" };
    struct hgi_private_server *server;
    const atomic_bool *interrupted = hgi_interrupted();
    struct shared shared = { .options = o, .mutex = PTHREAD_MUTEX_INITIALIZER };
    struct results *results = calloc(1, sizeof *results);
    shared.owners = calloc(1, sizeof *shared.owners);
    int code = HGI_EXIT_ENVIRONMENT;
    if (!results || !shared.owners || !hgi_private_server_start(&server, NULL, &problem)) {
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
        goto out;
    }
    if (!o->quiet)
        fprintf(stderr,
                "%u threads on a redis-server of the tool's own, values of %" PRId64 "..%" PRId64
                " bytes (closed loop: not corrected)\n",
                (unsigned)o->threads, o->sizes.low, o->sizes.high);
    struct footing before = look(server);
    bool well = open_pool(&shared, server, policy, &problem) && load(&shared, results, interrupted);
    if (shared.pool) {
        results->stats = (struct hg_pool_stats)HG_POOL_STATS_INIT;
        hg_pool_read_stats(shared.pool, &results->stats);
        struct hg_error err = HG_ERROR_INIT;
        if (hg_pool_close(shared.pool, 10 * NS_PER_S, &err) < 0)
            wrong(&shared, &shared.failed, "%s", err.message);
    }
    struct footing after = look_after(server, &before);
    results->left = (struct footing) { .clients = after.clients - before.clients,
                                       .descriptors = after.descriptors - before.descriptors,
                                       .memory = after.memory - before.memory };
    if (well)
        code = conclude(&shared, results, command,
                        atomic_load_explicit(interrupted, memory_order_relaxed));
    else
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
    hgi_private_server_free(server);
out:
    free(shared.owners);
    free(results);
    return code;
}

static const char about[] =
    "herdgate-stress concurrency: many threads, few connections, every reply checked\n"
    "\n"
    "Threads SET and GET values that say which key and nonce they belong to, INCR counters of\n"
    "their own, and send pipelines over leases. Afterwards the pool is closed and what is left\n"
    "over is counted. The redis-server is the tool's own, on a temporary unix socket.\n"
    "\n"
    "usage: herdgate-stress concurrency [options]\n";

static bool parse(struct concurrency_options *o, int count, char *const *arguments,
                  struct hgi_problem *problem)
{
    const struct hgi_option table[] = {
        { 't', "threads", HGI_OPTION_COUNT, &o->threads, "N", "calling threads (64)", 1, 4096 },
        { 'c', "connections", HGI_OPTION_COUNT, &o->connections, "N",
          "connections of the pool (the policy's, else 8)", 1, 1024 },
        { 'd', "data-size", HGI_OPTION_SIZE_SPAN, &o->sizes, "N|A..B", "bytes of a value (64)", 1,
          8 << 20 },
        { 0, "duration", HGI_OPTION_DURATION, &o->duration_ns, "TIME", "of the load (10s)",
          10 * NS_PER_MS, 24 * 3600 * NS_PER_S },
        { 0, "seed", HGI_OPTION_NUMBER, &o->seed, "N", "where the nonces begin", 0, 0 },
        { 0, "policy", HGI_OPTION_TEXT, &o->policy, "FILE", "of the library; JSON", 0, 0 },
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &o->json, "[=F]",
          "results as JSON, to stdout instead of the table, or to F", 0, 0 },
        { 'q', "quiet", HGI_OPTION_FLAG, &o->quiet, NULL, "no progress and no table", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &o->help, NULL, "this text", 0, 0 },
        { 0 },
    };
    if (!hgi_options_parse(table, count, arguments, problem))
        return false;
    if (o->help) {
        fputs(about, stdout);
        hgi_options_help(table, stdout);
        fputs("\nExit: 0 pass, 2 usage or policy, 3 environment, 4 an invariant is broken.\n",
              stdout);
    }
    return true;
}

int hgi_concurrency_main(int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "" };
    struct concurrency_options o = { .threads = 64,
                                     .sizes = { 64, 64 },
                                     .duration_ns = 10 * NS_PER_S };
    if (!parse(&o, count, arguments, &problem)) {
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
        return HGI_EXIT_USAGE;
    }
    if (o.help)
        return HGI_EXIT_PASS;
    cJSON *policy = NULL;
    struct hgi_recipe recipe = { .path = o.policy, .connections = o.connections };
    int code = HGI_EXIT_USAGE;
    if (hgi_recipe_read(&policy, &recipe, &problem))
        code = run(&o, policy, command);
    else
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
    cJSON_Delete(policy);
    return code;
}
