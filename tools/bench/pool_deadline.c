/* How long a call with a deadline of 50 ms takes while the server cannot be had: names are not answered,
 * connections wait to be accepted, the server is stopped, its replies drip.
 *
 * In each round twice as many threads as there are connections make two calls each, so that in every
 * trouble some have a connection, some wait for one, and some find that there is none to come. A call
 * that goes well, or calls that mostly end early, mean that the trouble was not there: then nothing is
 * told but that. Names are asked in a child, which leaves the system's for its own; see unreachable.h.
 */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <herdgate/herdgate.h>

#include "tools/bench/pool_bench.h"
#include "tools/common/private_server.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/common/unreachable.h"
#include "tools/stress/proxy.h"

enum { CONNECTIONS = 8, CALLERS = 2 * CONNECTIONS, CALLS_EACH = 2 };

#define DEADLINE_NS (50 * NS_PER_MS)
#define AIM_NS (DEADLINE_NS + 20 * NS_PER_MS)

/* --- the calls ------------------------------------------------------------------------------------ */

struct caller {
    hg_pool *pool;
    pthread_t thread;
    int64_t took_ns[CALLS_EACH];
    uint32_t well; /* calls that went well */
};

static void *call_main(void *arg)
{
    static const char *words[] = { "GET", "herdgate:bench" };
    struct caller *caller = arg;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = DEADLINE_NS;
    for (uint32_t i = 0; i < CALLS_EACH; i++) {
        redisReply *reply = NULL;
        int64_t began_ns = monotonic_ns();
        hg_status status = hg_command_argv(caller->pool, &options, &reply, NULL, 2, words, NULL);
        caller->took_ns[i] = monotonic_ns() - began_ns;
        caller->well += status >= 0;
        freeReplyObject(reply);
    }
    return NULL;
}

/* The calls of one round. */
static bool call_all(hg_pool *pool, struct hgi_deadline_case *result, struct hgi_problem *problem)
{
    struct caller callers[CALLERS];
    uint32_t well = 0;
    for (uint32_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller) { .pool = pool };
        if (pthread_create(&callers[i].thread, NULL, call_main, &callers[i]) != 0) {
            while (i-- > 0)
                pthread_join(callers[i].thread, NULL);
            return hgi_problem_set(problem, "a thread could not be started");
        }
    }
    for (uint32_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        well += callers[i].well;
        for (uint32_t n = 0; n < CALLS_EACH; n++) {
            hgi_histogram_add(&result->took, callers[i].took_ns[n]);
            result->early += callers[i].took_ns[n] < DEADLINE_NS;
        }
    }
    return well == 0 || hgi_problem_set(problem, "%s: %u calls went well, so that was not measured",
                                        result->name, well);
}

/* --- the troubles --------------------------------------------------------------------------------- */

struct trouble {
    hg_pool *pool;
    struct hgi_private_server *server;
    struct hgi_proxy *proxy;
    struct hgi_full_line line;
};

static hg_pool *open_pool(const char *url, struct hgi_problem *problem)
{
    static const char json[] = "{\"pool\": {\"max_size\": 8, \"min_idle\": 8},"
                               " \"breaker\": {\"enabled\": false}}"; /* it would refuse at once */
    static_assert(CONNECTIONS == 8, "as the text above has it");
    hg_policy *policy = NULL;
    hg_pool *pool = NULL;
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = url;
    if (hg_policy_parse(&policy, json, sizeof json - 1, "bench", &err) < 0 ||
        hg_pool_open(&pool, &options, policy, &err) < 0)
        hgi_problem_set(problem, "%s", err.message);
    hg_policy_drop(policy);
    return pool;
}

static bool open_names(struct trouble *trouble, struct hgi_problem *problem)
{
    trouble->pool = open_pool(HGI_SILENT_URL, problem);
    return trouble->pool != NULL;
}

static bool open_line(struct trouble *trouble, struct hgi_problem *problem)
{
    return hgi_full_line_open(&trouble->line, problem) &&
           (trouble->pool = open_pool(trouble->line.url, problem)) != NULL;
}

/* A server with a value of 64 bytes: dripping, its reply takes most of a second. */
static bool start_server(struct trouble *trouble, struct hgi_problem *problem)
{
    if (!hgi_private_server_start(&trouble->server, NULL, problem))
        return false;
    redisReply *reply =
        hgi_private_server_command(trouble->server, problem, "SET herdgate:bench %064d", 0);
    freeReplyObject(reply);
    return reply != NULL;
}

static bool open_server(struct trouble *trouble, struct hgi_problem *problem)
{
    return start_server(trouble, problem) &&
           (trouble->pool = open_pool(hgi_private_server_url(trouble->server), problem)) != NULL;
}

static bool stop_server(struct trouble *trouble, bool on, struct hgi_problem *problem)
{
    (void)problem;
    if (on)
        hgi_private_server_pause(trouble->server);
    else
        hgi_private_server_resume(trouble->server);
    return true;
}

static bool open_proxy(struct trouble *trouble, struct hgi_problem *problem)
{
    struct hgi_target target;
    char url[160];
    if (!start_server(trouble, problem) ||
        !hgi_target_parse(&target, hgi_private_server_url(trouble->server), problem) ||
        !hgi_proxy_start(&trouble->proxy, &(struct hgi_proxy_options) { .target = &target },
                         problem))
        return false;
    snprintf(url, sizeof url, "unix://%s", hgi_proxy_socket(trouble->proxy));
    trouble->pool = open_pool(url, problem);
    return trouble->pool != NULL;
}

static bool let_drip(struct trouble *trouble, bool on, struct hgi_problem *problem)
{
    struct hgi_toxics toxics = { .seed = 1 };
    if (!hgi_toxics_parse(&toxics, on ? "slow=10ms" : "none", problem))
        return false;
    hgi_proxy_set(trouble->proxy, &toxics);
    return true;
}

static void close_all(struct trouble *trouble)
{
    hg_pool_close(trouble->pool, -1, NULL);
    hgi_proxy_stop(trouble->proxy);
    hgi_private_server_free(trouble->server);
    hgi_full_line_close(&trouble->line);
}

static const struct kind {
    const char *key;
    const char *name;
    bool apart; /* in a child with silent name servers */
    bool (*open)(struct trouble *trouble, struct hgi_problem *problem);
    /* Begin and end it, with all connections open before; NULL: it is always there. */
    bool (*set)(struct trouble *trouble, bool on, struct hgi_problem *problem);
} kinds[HGI_DEADLINE_CASES] = {
    { "names", "the name server is silent", true, open_names, NULL },
    { "accept", "connections wait to be accepted", false, open_line, NULL },
    { "stopped", "the server is stopped", false, open_server, stop_server },
    { "drip", "replies drip, a byte each 10 ms", false, open_proxy, let_drip },
};

static bool run_rounds(const struct kind *kind, struct trouble *trouble, uint32_t rounds,
                       struct hgi_deadline_case *result, struct hgi_problem *problem)
{
    bool well = true;
    for (uint32_t i = 0; i < rounds && well; i++) {
        if (kind->set)
            well = (hgi_bench_all_open(trouble->pool, CONNECTIONS) ||
                    hgi_problem_set(problem, "the pool's connections could not be made")) &&
                   kind->set(trouble, true, problem);
        well = well && call_all(trouble->pool, result, problem);
        if (kind->set)
            well = kind->set(trouble, false, problem) && well;
    }
    if (well && result->early > result->took.total / 2)
        well = hgi_problem_set(problem,
                               "%s: most calls ended before their deadline, so that was "
                               "not measured",
                               result->name);
    return well;
}

static bool run_here(const struct kind *kind, uint32_t rounds, struct hgi_deadline_case *result,
                     struct hgi_problem *problem)
{
    struct trouble trouble = { .line.listener = -1 };
    bool well =
        kind->open(&trouble, problem) && run_rounds(kind, &trouble, rounds, result, problem);
    close_all(&trouble);
    return well;
}

/* --- in a child ----------------------------------------------------------------------------------- */

struct shared {
    struct hgi_deadline_case result;
    struct hgi_problem problem;
    bool cannot; /* and `problem` says why */
    bool well;
};

static void child_main(const struct kind *kind, uint32_t rounds, struct shared *shared)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared->cannot = !hgi_names_silence(&shared->problem);
    if (shared->cannot)
        return;
    /* Not closed at the end: its dialers are looking up a name, and end with the process. */
    struct trouble trouble = { .line.listener = -1 };
    shared->well = kind->open(&trouble, &shared->problem) &&
                   run_rounds(kind, &trouble, rounds, &shared->result, &shared->problem);
}

static bool run_apart(const struct kind *kind, uint32_t rounds, struct hgi_deadline_case *result,
                      struct hgi_problem *problem)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return hgi_problem_set(problem, "out of memory");
    shared->result = *result;
    hgi_problem_set(&shared->problem, "%s: the process that measures it ended", result->name);
    pid_t child = fork();
    if (child == 0) {
        child_main(kind, rounds, shared);
        _exit(0);
    }
    bool well = child > 0 || hgi_problem_set(problem, "no process could be started");
    if (well) {
        int status;
        while (waitpid(child, &status, 0) < 0)
            continue;
        *result = shared->result;
        *problem = shared->problem;
        well = shared->well || shared->cannot;
        if (shared->cannot)
            snprintf(result->skipped, sizeof result->skipped, "%s", shared->problem.text);
    }
    munmap(shared, sizeof *shared);
    return well;
}

bool hgi_deadline_run(struct hgi_deadline *deadline, bool quiet, struct hgi_problem *problem)
{
    struct hgi_progress progress;
    bool well = true;
    hgi_progress_begin(&progress, quiet);
    for (uint32_t i = 0; i < HGI_DEADLINE_CASES && well; i++) {
        const struct kind *kind = &kinds[i];
        struct hgi_deadline_case *result = &deadline->of[i];
        result->key = kind->key;
        result->name = kind->name;
        if (hgi_progress_due(&progress, monotonic_ns()))
            hgi_progress_line(&progress, "deadline: %s", kind->name);
        well = kind->apart ? run_apart(kind, deadline->rounds, result, problem)
                           : run_here(kind, deadline->rounds, result, problem);
    }
    hgi_progress_end(&progress);
    return well;
}

/* --- what it comes to ----------------------------------------------------------------------------- */

static int64_t percentile(const struct hgi_deadline_case *result, double percent)
{
    /* The longest is known exactly. */
    return percent < 100 ? hgi_histogram_percentile(&result->took, percent) : result->took.max;
}

bool hgi_deadline_keeps(const struct hgi_deadline_case *result)
{
    return result->skipped[0] != '\0' || result->took.max <= AIM_NS;
}

void hgi_deadline_print(const struct hgi_deadline *deadline, bool colour)
{
    static const double percents[] = { 50, 99, 100 };
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    static const char *const heads[] = { "calls", "p50", "p99", "p100", "limit", "kept" };
    hgi_table_set(table, 0, 0, "calls with a deadline of 50 ms took, while");
    hgi_table_style(table, 0, 0, HGI_STYLE_BOLD);
    for (size_t c = 0; c < sizeof heads / sizeof heads[0]; c++)
        hgi_table_set(table, 0, c + 1, "%s", heads[c]);
    for (uint32_t i = 0; i < HGI_DEADLINE_CASES; i++) {
        const struct hgi_deadline_case *result = &deadline->of[i];
        hgi_table_set(table, i + 1, 0, "%s", result->name);
        if (result->skipped[0]) {
            hgi_table_set(table, i + 1, 1, "skipped");
            continue;
        }
        hgi_table_set(table, i + 1, 1, "%llu", (unsigned long long)result->took.total);
        for (size_t n = 0; n < 3; n++)
            hgi_table_set(table, i + 1, n + 2, "%.1f ms",
                          (double)percentile(result, percents[n]) / NS_PER_MS);
        bool kept = hgi_deadline_keeps(result);
        hgi_table_set(table, i + 1, 5, "<= %.0f ms", (double)AIM_NS / NS_PER_MS);
        hgi_table_set(table, i + 1, 6, "%s", kept ? "yes" : "no");
        hgi_table_style(table, i + 1, 6, kept ? HGI_STYLE_GOOD : HGI_STYLE_BAD);
    }
    hgi_table_print(table, stdout, colour);
    free(table);
    for (uint32_t i = 0; i < HGI_DEADLINE_CASES; i++)
        if (deadline->of[i].skipped[0])
            printf("Skipped: %s: %s.\n", deadline->of[i].name, deadline->of[i].skipped);
    putchar('\n');
}

cJSON *hgi_deadline_json(const struct hgi_deadline *deadline)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "deadline_ns", (double)DEADLINE_NS);
    cJSON_AddNumberToObject(json, "most_ns", (double)AIM_NS);
    cJSON *array = cJSON_AddArrayToObject(json, "while");
    for (uint32_t i = 0; i < HGI_DEADLINE_CASES; i++) {
        const struct hgi_deadline_case *result = &deadline->of[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "key", result->key);
        cJSON_AddStringToObject(row, "name", result->name);
        if (result->skipped[0]) {
            cJSON_AddStringToObject(row, "skipped", result->skipped);
        } else {
            cJSON_AddNumberToObject(row, "calls", (double)result->took.total);
            cJSON_AddNumberToObject(row, "p50_ns", (double)percentile(result, 50));
            cJSON_AddNumberToObject(row, "p99_ns", (double)percentile(result, 99));
            cJSON_AddNumberToObject(row, "p100_ns", (double)percentile(result, 100));
            cJSON_AddBoolToObject(row, "kept", hgi_deadline_keeps(result));
        }
        cJSON_AddItemToArray(array, row);
    }
    return json;
}
