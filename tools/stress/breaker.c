/* herdgate-stress breaker: trips, probes and recovery of a circuit breaker, counted against what it
 * promises. From the command line to table and JSON. */
#include "tools/stress/breaker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/options.h"
#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/exits.h"
#include "tools/stress/herd.h"
#include "tools/stress/publish.h"
#include "tools/stress/recipe.h"

struct breaker_options {
    struct hgi_breaker_settings settings;
    struct hgi_outputs outputs;
    const char *fault;
    const char *policy;
    bool help;
};

static const char about[] =
    "herdgate-stress breaker: a circuit breaker under load and outages, held to what it promises\n"
    "\n"
    "Threads, each with a plain connection to a redis-server of the tool's own, ask one breaker\n"
    "before every call. The server goes away and comes back, several times. Counted are openings\n"
    "without cause, calls admitted while it was open (there must be none), probes of each "
    "half-open\n"
    "period (no more than it may), and the times to open and to close.\n"
    "\n"
    "usage: herdgate-stress breaker [options]\n";

static const char examples[] =
    "\nExamples:\n"
    "  herdgate-stress breaker\n"
    "  herdgate-stress breaker -t 200 --fault stop --outages 5 --outage 2s\n"
    "  herdgate-stress breaker --policy herdgate.json --assert 'false_opens==0'\n"
    "\nExit: 0 pass, 1 an --assert does not hold, 2 usage or policy, 3 environment, 4 a promise\n"
    "is broken, 130 interrupted (what was measured is still written). See herdgate-stress(1).\n";

static bool parse(struct breaker_options *o, int count, char *const *arguments,
                  struct hgi_problem *problem)
{
    static const char *const ways[] = { "kill", "stop", "shutdown" };
    struct hgi_breaker_settings *s = &o->settings;
    const struct hgi_option table[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Load", 0, 0 },
        { 't', "threads", HGI_OPTION_COUNT, &s->threads, "N", "calling threads (64)", 1, 4096 },
        { 0, "pause", HGI_OPTION_DURATION, &s->pause_ns, "TIME",
          "of a thread between calls, at most (5ms)", NS_PER_US, 10 * NS_PER_S },
        { 0, "attempt-timeout", HGI_OPTION_DURATION, &s->attempt_timeout_ns, "TIME",
          "of a call (250ms)", NS_PER_MS, 60 * NS_PER_S },
        { 0, "seed", HGI_OPTION_NUMBER, &s->seed, "N", "of the random choices, and the jitter", 0,
          0 },
        { 0, "policy", HGI_OPTION_TEXT, &o->policy, "FILE", "whose breaker it is; JSON", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Outages", 0, 0 },
        { 0, "outages", HGI_OPTION_COUNT, &s->outages, "N", "how many (3)", 1, HGI_OUTAGES_MAX },
        { 0, "outage", HGI_OPTION_DURATION, &s->outage_ns, "TIME", "how long each (1500ms)",
          NS_PER_MS, 3600 * NS_PER_S },
        { 0, "calm", HGI_OPTION_DURATION, &s->calm_ns, "TIME",
          "before each, with the breaker closed (500ms)", NS_PER_MS, 3600 * NS_PER_S },
        { 0, "fault", HGI_OPTION_TEXT, &o->fault, "WAY",
          "kill (-9), stop (SIGSTOP: it hangs) or shutdown (kill)", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Output", 0, 0 },
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &o->outputs.json, "[=F]",
          "results as JSON, to stdout instead of the table, or to F", 0, 0 },
        { 0, "assert", HGI_OPTION_TEXTS, &o->outputs.assertions, "EXPR",
          "exit with 1 unless it holds: 'closed_after<2s'; may be repeated", 0, 0 },
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
    for (int i = 0; i < 3; i++) {
        if (strcmp(o->fault, ways[i]) == 0) {
            s->way = (enum hgi_outage_way)i;
            return true;
        }
    }
    return hgi_problem_set(problem, "--fault: '%s' is none of kill, stop, shutdown", o->fault);
}

static const struct hgi_forms forms = {
    hgi_breaker_table, hgi_breaker_json, NULL, hgi_breaker_figures, NULL, NULL, NULL
};

static int fail(int code, const char *text)
{
    fprintf(stderr, "herdgate-stress: %s\n", text);
    return code;
}

static int run(const struct breaker_options *o, const char *command)
{
    char broken[300];
    struct hgi_problem problem = { .text = "out of memory" };
    struct hgi_breaker_results *results = calloc(1, sizeof *results);
    if (!results)
        return fail(HGI_EXIT_ENVIRONMENT, problem.text);
    int code = HGI_EXIT_PASS;
    results->settings = o->settings;
    results->command = command;
    if (!hgi_assertions_check(&o->outputs, &forms, results, &problem)) {
        free(results);
        return fail(HGI_EXIT_USAGE, problem.text);
    }
    bool well = hgi_breaker_run(results, hgi_interrupted(), &problem);
    bool measured = results->took_ns > 0;
    well = (!measured || hgi_publish(&o->outputs, &forms, results, well ? &problem : NULL)) && well;
    hgi_breaker_broken(broken, sizeof broken, results);
    if (broken[0]) {
        fprintf(stderr, "herdgate-stress: broken: %s\n", broken);
        code = HGI_EXIT_BROKEN;
    } else if (!well) {
        code = fail(HGI_EXIT_ENVIRONMENT, problem.text);
    } else if (results->interrupted) {
        code = HGI_EXIT_INTERRUPTED;
    } else if (!hgi_assertions_hold(&o->outputs, &forms, results)) {
        code = HGI_EXIT_ASSERTION;
    }
    free(results);
    return code;
}

int hgi_breaker_main(int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "" };
    uint64_t random = (uint64_t)monotonic_ns() ^ ((uint64_t)getpid() << 32);
    struct breaker_options o = { .settings = { .threads = 64,
                                               .outages = 3,
                                               .calm_ns = 500 * NS_PER_MS,
                                               .outage_ns = 1500 * NS_PER_MS,
                                               .attempt_timeout_ns = 250 * NS_PER_MS,
                                               .pause_ns = 5 * NS_PER_MS,
                                               .seed = random_next(&random) >> 32 },
                                 .fault = "kill" };
    if (!parse(&o, count, arguments, &problem))
        return fail(HGI_EXIT_USAGE, problem.text);
    if (o.help)
        return HGI_EXIT_PASS;
    cJSON *policy = NULL;
    struct hgi_recipe recipe = { .path = o.policy };
    if (!hgi_recipe_read(&policy, &recipe, &problem))
        return fail(HGI_EXIT_USAGE, problem.text);
    o.settings.breaker = hgi_recipe_breaker(policy);
    cJSON_Delete(policy);
    o.settings.breaker.seed = o.settings.seed;
    /* Two open periods at their longest, and what probes and the calm take. */
    o.settings.after_ns = 2 * o.settings.breaker.recovery_timeout_max_ns +
                          2 * o.settings.breaker.probe_lease_ns + 2 * o.settings.calm_ns;
    return run(&o, command);
}
