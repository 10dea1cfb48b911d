/* herdgate-stress herd: from the command line to table, JSON and page. */
#include "tools/stress/herd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/exits.h"
#include "tools/stress/path.h"
#include "tools/stress/publish.h"
#include "tools/stress/report.h"
#include "tools/stress/stamp.h"

struct herd_options {
    struct hgi_herd_settings settings;
    const char *compare;
    const char *fault; /* NULL: not said */
    const char *policy;
    const char *capacity;
    const char *toxics;
    struct hgi_outputs outputs;
    bool help;
    enum hgi_strategy strategies[HGI_STRATEGIES];
    size_t count;
};

static const char about[] =
    "herdgate-stress herd: what a herd of callers does to a server that goes away and comes back\n"
    "\n"
    "A redis-server of the tool's own (on a temporary unix socket) is killed and restarted while\n"
    "many threads call it. The same trial is run under several ways to retry, side by side:\n"
    "naive (a connection per thread, 7 attempts at once), backoff, jitter, budget, breaker (naive\n"
    "with that part), and all (herdgate, with everything).\n"
    "\n"
    "usage: herdgate-stress herd [options]\n";

static const char examples[] =
    "\nExamples:\n"
    "  herdgate-stress herd --report=herd.html\n"
    "  herdgate-stress herd -t 400 --compare naive,all --fault stop --outage 1s..4s\n"
    "  herdgate-stress herd -t 400 -R 1600 --capacity 2000/s --report=metastable.html\n"
    "  herdgate-stress herd --policy herdgate.json --compare all --json=result.json -q\n"
    "\nExit: 0 pass, 1 an --assert does not hold, 2 usage or policy, 3 environment, 4 an\n"
    "invariant is broken, 130 interrupted (what was measured is still written). See\n"
    "herdgate-stress(1).\n";

/* "2000/s", or "2000". */
static bool parse_capacity(uint32_t *out, const char *text, struct hgi_problem *problem)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    bool number = end != text && *text != '-' && n >= 1 && n <= 1000000;
    if (!number || (*end && strcmp(end, "/s") != 0))
        return hgi_problem_set(problem, "--capacity: '%s' is no rate from 1/s to 1000000/s", text);
    *out = (uint32_t)n;
    return true;
}

/* The words of the command line that have a grammar of their own. */
static bool read_words(struct herd_options *o, struct hgi_problem *problem)
{
    static const char *const ways[] = { "kill", "stop", "shutdown" };
    struct hgi_herd_settings *s = &o->settings;
    s->toxics.seed = s->seed;
    if ((o->capacity && !parse_capacity(&s->capacity_per_s, o->capacity, problem)) ||
        (o->toxics && !hgi_toxics_parse(&s->toxics, o->toxics, problem)))
        return false;
    if (!o->fault)
        o->fault = s->capacity_per_s ? "stop" : "kill";
    for (int i = 0; i < 3; i++) {
        if (strcmp(o->fault, ways[i]) == 0) {
            s->way = (enum hgi_outage_way)i;
            return hgi_strategies_parse(o->strategies, &o->count, o->compare, problem) &&
                   (s->outage.high <= s->length_ns ||
                    hgi_problem_set(problem, "--outage ends after the trial does (--duration)"));
        }
    }
    return hgi_problem_set(problem, "--fault: '%s' is none of kill, stop, shutdown", o->fault);
}

static bool parse(struct herd_options *o, int count, char *const *arguments,
                  struct hgi_problem *problem)
{
    struct hgi_herd_settings *s = &o->settings;
    const struct hgi_option table[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Load", 0, 0 },
        { 't', "threads", HGI_OPTION_COUNT, &s->threads, "N", "calling threads (200)", 1, 4096 },
        { 'c', "connections", HGI_OPTION_COUNT, &s->connections, "N",
          "connections of the pool (the policy's, else 8)", 1, 1024 },
        { 'd', "data-size", HGI_OPTION_SIZE_SPAN, &s->sizes, "N|A..B", "bytes of a value (64)", 1,
          1 << 20 },
        { 0, "think", HGI_OPTION_DURATION, &s->think_ns, "TIME",
          "closed loop: mean pause of a caller between calls (100ms)", NS_PER_US, 10 * NS_PER_S },
        { 'R', "rate", HGI_OPTION_COUNT, &s->rate, "N",
          "open loop: calls per second of all threads together, whatever became of the last", 1,
          10000000 },
        { 0, "duration", HGI_OPTION_DURATION, &s->length_ns, "TIME", "of each trial (7s)", NS_PER_S,
          3600 * NS_PER_S },
        { 0, "seed", HGI_OPTION_NUMBER, &s->seed, "N", "of the random choices", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Outage", 0, 0 },
        { 0, "outage", HGI_OPTION_DURATION_SPAN, &s->outage, "A..B",
          "the server is down from A to B (1s..3s)", 1, 3600 * NS_PER_S },
        { 0, "fault", HGI_OPTION_TEXT, &o->fault, "WAY",
          "kill (-9), stop (SIGSTOP: it hangs) or shutdown (kill; with --capacity stop)", 0, 0 },
        { 0, "capacity", HGI_OPTION_TEXT, &o->capacity, "N/s",
          "connections and commands that the server serves (what it can)", 0, 0 },
        { 0, "toxic", HGI_OPTION_TEXT, &o->toxics, "LIST",
          "faults between callers and server: latency=50ms,jitter=20ms@1s..3s", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Policies", 0, 0 },
        { 0, "compare", HGI_OPTION_TEXT, &o->compare, "LIST",
          "of naive,backoff,jitter,budget,breaker,all", 0, 0 },
        { 0, "policy", HGI_OPTION_TEXT, &o->policy, "FILE", "of the library; JSON", 0, 0 },
        { 0, "attempt-timeout", HGI_OPTION_DURATION, &s->attempt_timeout_ns, "TIME",
          "of every policy (the file's, else 250ms)", NS_PER_MS, 3600 * NS_PER_S },
        { 0, "deadline", HGI_OPTION_DURATION, &s->deadline_ns, "TIME",
          "of every policy (the file's, else 2s)", NS_PER_MS, 3600 * NS_PER_S },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Output", 0, 0 },
        { 0, "report", HGI_OPTION_TEXT, &o->outputs.report, "F.html", "write a page with pictures",
          0, 0 },
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &o->outputs.json, "[=F]",
          "results as JSON, to stdout instead of the table, or to F", 0, 0 },
        { 0, "assert", HGI_OPTION_TEXTS, &o->outputs.assertions, "EXPR",
          "exit with 1 unless it holds: 'p99<5ms'; may be repeated", 0, 0 },
        { 0, "no-color", HGI_OPTION_FLAG, &o->outputs.plain, NULL, "as with NO_COLOR set", 0, 0 },
        { 'q', "quiet", HGI_OPTION_FLAG, &o->outputs.quiet, NULL, "no progress and no table", 0,
          0 },
        { 0, "help", HGI_OPTION_FLAG, &o->help, NULL, "this text", 0, 0 },
        { 0 },
    };
    if (!hgi_options_parse(table, count, arguments, problem))
        return false;
    if (o->help) {
        fputs(about, stdout);
        hgi_options_help(table, stdout);
        fputs(examples, stdout);
        return true;
    }
    return read_words(o, problem);
}

/* What neither the command line nor the file says. */
static void complete(struct hgi_herd_settings *s, const cJSON *policy)
{
    if (!s->connections)
        s->connections = hgi_recipe_connections(policy);
    if (!s->connections)
        s->connections = 8;
    if (!s->attempt_timeout_ns)
        s->attempt_timeout_ns = hgi_recipe_time(policy, "attempt_timeout");
    if (!s->attempt_timeout_ns)
        s->attempt_timeout_ns = 250 * NS_PER_MS;
    if (!s->deadline_ns)
        s->deadline_ns = hgi_recipe_time(policy, "deadline");
    if (!s->deadline_ns)
        s->deadline_ns = 2 * NS_PER_S;
}

static void note_server(struct hgi_herd_results *results, struct hgi_private_server *server)
{
    redisReply *reply = hgi_private_server_command(server, NULL, "INFO server");
    hgi_stamp_version(results->server, reply);
    freeReplyObject(reply);
    hgi_stamp_time(results->began_at);
}

static void announce(const struct herd_options *o, const struct hgi_herd_results *results)
{
    char cost[200];
    const struct hgi_herd_settings *s = &results->settings;
    fprintf(stderr,
            "%zu trials of %.3g s: %" PRIu32
            " threads call a redis-server %s that is down from %.3g s to %.3g s (%s), seed %" PRIu64
            "\n",
            o->count, (double)s->length_ns / 1e9, s->threads, results->server,
            (double)s->outage.low / 1e9, (double)s->outage.high / 1e9, hgi_herd_load(s), s->seed);
    if (!results->proxy_cost.known)
        return;
    hgi_proxy_cost_text(cost, sizeof cost, &results->proxy_cost);
    fprintf(stderr, "The proxy before the server adds %s.\n", cost);
}

static bool run_trials(struct hgi_herd_results *results, const struct herd_options *o,
                       const cJSON *policy, struct hgi_private_server *server,
                       const atomic_bool *interrupted, struct hgi_problem *problem)
{
    bool well = true;
    struct hgi_screen screen;
    hgi_screen_begin(&screen, o->outputs.quiet, o->outputs.plain);
    for (size_t i = 0; i < o->count && well && !*interrupted; i++) {
        struct hgi_trial *trial = calloc(1, sizeof *trial);
        if (!trial)
            return hgi_problem_set(problem, "out of memory");
        trial->strategy = o->strategies[i];
        results->trial[results->count++] = trial;
        well =
            hgi_trial_run(trial, &results->settings, policy, server, interrupted, &screen, problem);
        if (trial->mismatches > 0)
            break;
    }
    hgi_screen_end(&screen);
    results->interrupted = *interrupted;
    return well;
}

static const struct hgi_forms forms = {
    hgi_report_table, hgi_report_json, hgi_report_html, hgi_report_figures, NULL, NULL, NULL
};

static int run(const struct herd_options *o, cJSON *policy, const char *command)
{
    char broken[400];
    struct hgi_problem problem = { .text = "" };
    struct hgi_private_server *server;
    struct hgi_herd_results results = { .settings = o->settings, .command = command };
    const atomic_bool *interrupted = hgi_interrupted();
    complete(&results.settings, policy);
    if (!hgi_private_server_start(&server, NULL, &problem)) {
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
        return HGI_EXIT_ENVIRONMENT;
    }
    note_server(&results, server);
    bool well = hgi_path_cost(&results.proxy_cost, &results.settings, server, &problem);
    if (!o->outputs.quiet)
        announce(o, &results);
    well = well && run_trials(&results, o, policy, server, interrupted, &problem);
    hgi_private_server_free(server);
    well = hgi_publish(&o->outputs, &forms, &results, well ? &problem : NULL) && well;
    hgi_herd_broken(broken, sizeof broken, &results);
    int code = HGI_EXIT_PASS;
    if (broken[0]) {
        fprintf(stderr, "herdgate-stress: broken: %s\n", broken);
        code = HGI_EXIT_BROKEN;
    } else if (!well) {
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
        code = HGI_EXIT_ENVIRONMENT;
    } else if (results.interrupted) {
        code = HGI_EXIT_INTERRUPTED;
    } else if (!hgi_assertions_hold(&o->outputs, &forms, &results)) {
        code = HGI_EXIT_ASSERTION;
    }
    for (size_t i = 0; i < results.count; i++)
        hgi_trial_free(results.trial[i]);
    return code;
}

/* Are the assertions of figures that this run will have? */
static bool check_assertions(const struct herd_options *o, struct hgi_problem *problem)
{
    struct hgi_herd_results empty = { .settings = o->settings };
    bool well = true;
    while (well && empty.count < o->count) {
        struct hgi_trial *trial = calloc(1, sizeof *trial);
        if (trial) {
            trial->strategy = o->strategies[empty.count];
            empty.trial[empty.count++] = trial;
        } else {
            well = hgi_problem_set(problem, "out of memory");
        }
    }
    well = well && hgi_assertions_check(&o->outputs, &forms, &empty, problem);
    for (size_t i = 0; i < empty.count; i++)
        hgi_trial_free(empty.trial[i]);
    return well;
}

int hgi_herd_main(int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "" };
    uint64_t random = (uint64_t)monotonic_ns() ^ ((uint64_t)getpid() << 32);
    struct herd_options o = {
        .settings = { .threads = 200,
                      .length_ns = 7 * NS_PER_S,
                      .outage = { NS_PER_S, 3 * NS_PER_S },
                      .think_ns = 100 * NS_PER_MS,
                      .sizes = { 64, 64 },
                      .seed = random_next(&random) >> 32 },
        .compare = "naive,backoff,jitter,budget,breaker,all",
    };
    cJSON *policy = NULL;
    struct hgi_recipe recipe = { 0 };
    if (!parse(&o, count, arguments, &problem)) {
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
        return HGI_EXIT_USAGE;
    }
    if (o.help)
        return HGI_EXIT_PASS;
    recipe.path = o.policy;
    recipe.connections = o.settings.connections;
    recipe.attempt_timeout_ns = o.settings.attempt_timeout_ns;
    recipe.deadline_ns = o.settings.deadline_ns;
    bool well = check_assertions(&o, &problem) && hgi_recipe_read(&policy, &recipe, &problem) &&
                hgi_recipe_try(policy, &recipe, &problem);
    int code = HGI_EXIT_USAGE;
    if (well)
        code = run(&o, policy, command);
    else
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
    cJSON_Delete(policy);
    return code;
}
