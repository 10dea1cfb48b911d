/* herdgate-stress concurrency: many threads share few connections, and every reply is checked. From
 * the command line to table, JSON and page. */
#include "tools/stress/concurrency.h"

#include <stdlib.h>
#include <unistd.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/exits.h"
#include "tools/stress/herd.h"
#include "tools/stress/publish.h"
#include "tools/stress/recipe.h"

struct concurrency_options {
    struct hgi_concurrency_settings settings;
    struct hgi_target_flags server;
    struct hgi_outputs outputs;
    const char *only;
    bool help;
};

static const char about[] =
    "herdgate-stress concurrency: many threads, few connections, every reply checked\n"
    "\n"
    "Threads SET and GET values that say which key and nonce they belong to, ECHO, INCR counters\n"
    "of their own, send pipelines through hg_call and take leases by hand. Whoever holds a\n"
    "connection marks it, so that a second holder is found. Afterwards the pool is closed, and\n"
    "connections, descriptors and memory that are left over are counted.\n"
    "\n"
    "usage: herdgate-stress concurrency [options]\n";

static const char examples[] =
    "\nExamples:\n"
    "  herdgate-stress concurrency -t 64 -c 8 -d 1..1MiB --duration 30s --report=run.html\n"
    "  herdgate-stress concurrency -h 127.0.0.1 -p 6379 --duration 5s\n"
    "  herdgate-stress concurrency --policy herdgate.json --json -q\n"
    "\nWithout a server it starts a redis-server of its own on a temporary unix socket. On a "
    "given\n"
    "one every key has a prefix of the run's own, expires, and is deleted at the end.\n"
    "\nExit: 0 pass, 1 an --assert does not hold, 2 usage or policy, 3 environment, 4 an\n"
    "invariant is broken, 130 interrupted (what was measured is still written). See\n"
    "herdgate-stress(1).\n";

static bool parse(struct concurrency_options *o, int count, char *const *arguments,
                  struct hgi_problem *problem)
{
    struct hgi_concurrency_settings *s = &o->settings;
    const struct hgi_option table[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Load", 0, 0 },
        { 't', "threads", HGI_OPTION_COUNT, &s->threads, "N", "calling threads (64)", 1, 4096 },
        { 'c', "connections", HGI_OPTION_COUNT, &s->connections, "N",
          "connections of the pool (the policy's, else 8)", 1, 1024 },
        { 'd', "data-size", HGI_OPTION_SIZE_SPAN, &s->sizes, "N|A..B", "bytes of a value (64)", 1,
          8 << 20 },
        { 0, "only", HGI_OPTION_TEXT, &o->only, "LIST",
          "of set,get,echo,incr,pipeline,lease (all of them)", 0, 0 },
        { 0, "duration", HGI_OPTION_DURATION, &s->length_ns, "TIME", "of the load (10s)",
          100 * NS_PER_MS, 24 * 3600 * NS_PER_S },
        { 0, "seed", HGI_OPTION_NUMBER, &s->seed, "N", "of the random choices", 0, 0 },
        { 0, "policy", HGI_OPTION_TEXT, &s->policy, "FILE", "of the library; JSON", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Server (none: one of the tool's own)", 0, 0 },
        { 'h', "host", HGI_OPTION_TEXT, &o->server.host, "HOST", "its name (127.0.0.1)", 0, 0 },
        { 'p', "port", HGI_OPTION_COUNT, &o->server.port, "PORT", "its port (6379)", 1, 65535 },
        { 's', "socket", HGI_OPTION_TEXT, &o->server.socket, "PATH", "a unix socket", 0, 0 },
        { 'u', "url", HGI_OPTION_TEXT, &o->server.url, "URL", "redis://..., unix://...", 0, 0 },
        { 0, "user", HGI_OPTION_TEXT, &o->server.user, "NAME", "to log in as", 0, 0 },
        { 'a', "pass", HGI_OPTION_TEXT, &o->server.password, "PASSWORD",
          "better in $REDISCLI_AUTH, where no one sees it", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Output", 0, 0 },
        { 0, "report", HGI_OPTION_TEXT, &o->outputs.report, "F.html", "write a page with pictures",
          0, 0 },
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &o->outputs.json, "[=F]",
          "results as JSON, to stdout instead of the table, or to F", 0, 0 },
        { 0, "csv", HGI_OPTION_TEXT, &o->outputs.csv, "DIR",
          "every latency and the series over time, as files in DIR", 0, 0 },
        { 0, "hgrm", HGI_OPTION_TEXT, &o->outputs.hgrm, "F",
          "the latencies as HdrHistogram's plotter reads them", 0, 0 },
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
    s->quiet = o->outputs.quiet;
    s->plain = o->outputs.plain;
    s->record = o->outputs.csv != NULL;
    if (o->only && !hgi_ops_parse(&s->only, o->only, problem))
        return false;
    return hgi_target_from_flags(&s->target, &o->server, problem);
}

static const struct hgi_forms forms = { hgi_concurrency_table,   hgi_concurrency_json,
                                        hgi_concurrency_html,    hgi_concurrency_figures,
                                        hgi_concurrency_latency, hgi_concurrency_recording,
                                        hgi_concurrency_series };

static int fail(int code, const char *text)
{
    fprintf(stderr, "herdgate-stress: %s\n", text);
    return code;
}

static int run(const struct concurrency_options *o, cJSON *policy, const char *command)
{
    char broken[400];
    struct hgi_problem problem = { .text = "out of memory" };
    struct hgi_concurrency_results *results = calloc(1, sizeof *results);
    if (!results)
        return fail(HGI_EXIT_ENVIRONMENT, problem.text);
    int code = HGI_EXIT_PASS;
    results->settings = o->settings;
    results->command = command;
    if (!hgi_assertions_check(&o->outputs, &forms, results, &problem)) {
        free(results);
        return fail(HGI_EXIT_USAGE, problem.text);
    }
    bool well = hgi_concurrency_run(results, policy, hgi_interrupted(), &problem);
    bool measured = results->took_ns > 0;
    hgi_concurrency_broken(broken, sizeof broken, results);
    well = (!measured || hgi_publish(&o->outputs, &forms, results, well ? &problem : NULL)) && well;
    if (broken[0]) {
        fprintf(stderr, "herdgate-stress: broken: %s\n", broken);
        code = HGI_EXIT_BROKEN;
    } else if (!well) {
        code = fail(HGI_EXIT_ENVIRONMENT, problem.text);
    } else if (results->sum.failed > 0) {
        code = fail(HGI_EXIT_ENVIRONMENT, "calls failed; the server, the policy's deadlines or its "
                                          "limits did not let them through");
    } else if (results->interrupted) {
        code = HGI_EXIT_INTERRUPTED;
    } else if (!hgi_assertions_hold(&o->outputs, &forms, results)) {
        code = HGI_EXIT_ASSERTION;
    }
    hgi_recording_free(&results->sum.recording);
    free(results);
    return code;
}

int hgi_concurrency_main(int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "" };
    uint64_t random = (uint64_t)monotonic_ns() ^ ((uint64_t)getpid() << 32);
    struct concurrency_options o = { .settings = { .threads = 64,
                                                   .sizes = { 64, 64 },
                                                   .length_ns = 10 * NS_PER_S,
                                                   .seed = random_next(&random) >> 32 } };
    if (!parse(&o, count, arguments, &problem))
        return fail(HGI_EXIT_USAGE, problem.text);
    if (o.help)
        return HGI_EXIT_PASS;
    cJSON *policy = NULL;
    struct hgi_recipe recipe = { .path = o.settings.policy, .connections = o.settings.connections };
    bool well =
        hgi_recipe_read(&policy, &recipe, &problem) && hgi_recipe_try(policy, &recipe, &problem);
    int code = well ? run(&o, policy, command) : fail(HGI_EXIT_USAGE, problem.text);
    cJSON_Delete(policy);
    return code;
}
