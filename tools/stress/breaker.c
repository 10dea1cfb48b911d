/* herdgate-stress breaker: trips, probes and recovery of a circuit breaker, counted against what it
 * promises. Its options, and what its results are asked for. */
#include "tools/stress/breaker.h"

#include "tools/common/timing.h"
#include "tools/stress/subcommand.h"

struct breaker {
    struct hgi_breaker_results results;
    const char *fault;
    bool shared;
    uint32_t processes; /* 0: not said */
};

static const char about[] =
    "herdgate-stress breaker: a breaker under load and outages, held to its promises\n"
    "\n"
    "Threads, each with a plain connection to a redis-server of the tool's own, ask\n"
    "one breaker before every call. The server goes away and comes back, several\n"
    "times. Counted are openings without cause, calls admitted while it was open\n"
    "(there must be none), probes of each half-open period (no more than it may), and\n"
    "the times to open and to close. With --shared the threads are of several\n"
    "processes, one of which is killed in each outage.\n";

static const char examples[] =
    "\nExamples:\n"
    "  herdgate-stress breaker\n"
    "  herdgate-stress breaker -t 200 --fault stop --outages 5 --outage 2s\n"
    "  herdgate-stress breaker --shared --processes 8 --report=shared.html\n"
    "  herdgate-stress breaker --policy herdgate.json --assert 'false_opens==0'\n";

static void begin(void *state, uint64_t seed)
{
    struct breaker *b = state;
    b->fault = "kill";
    b->results.settings = (struct hgi_breaker_settings) { .threads = 64,
                                                          .outages = 3,
                                                          .calm_ns = 500 * NS_PER_MS,
                                                          .outage_ns = 1500 * NS_PER_MS,
                                                          .pause_ns = 5 * NS_PER_MS,
                                                          .seed = seed };
}

static void options(void *state, struct hgi_rows *rows)
{
    struct breaker *b = state;
    struct hgi_breaker_settings *s = &b->results.settings;
    const struct hgi_option own[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Outages", 0, 0 },
        { 0, "outages", HGI_OPTION_COUNT, &s->outages, "N", "how many (3)", 1, HGI_OUTAGES_MAX },
        { 0, "outage", HGI_OPTION_DURATION, &s->outage_ns, "TIME", "how long each (1500ms)",
          NS_PER_MS, 3600 * NS_PER_S },
        { 0, "calm", HGI_OPTION_DURATION, &s->calm_ns, "TIME",
          "before each, with the breaker closed (500ms)", NS_PER_MS, 3600 * NS_PER_S },
        { 0, "fault", HGI_OPTION_TEXT, &b->fault, "WAY",
          "kill (-9), stop (SIGSTOP: it hangs) or shutdown (kill)", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Processes", 0, 0 },
        { 0, "shared", HGI_OPTION_FLAG, &b->shared, NULL,
          "several processes share the breaker, and one is killed (-9) in each outage", 0, 0 },
        { 0, "processes", HGI_OPTION_COUNT, &b->processes, "N", "so many (4); with --shared", 2,
          HGI_PROCESSES_MAX },
        { 0 },
    };
    hgi_rows_load(rows, &(struct hgi_load_rows) { .threads = &s->threads,
                                                  .threads_help = "calling threads (64)",
                                                  .pause_ns = &s->pause_ns,
                                                  .seed = &s->seed,
                                                  .attempt_timeout_ns = &s->attempt_timeout_ns });
    hgi_rows_add(rows, own);
}

static bool read(void *state, const struct hgi_asked *asked, struct hgi_problem *problem)
{
    struct breaker *b = state;
    b->results.settings.quiet = asked->outputs.quiet;
    b->results.settings.plain = asked->outputs.plain;
    b->results.settings.processes = b->shared ? (b->processes ? b->processes : 4) : 1;
    if (b->processes && !b->shared)
        return hgi_problem_set(problem, "--processes says how many share the breaker: give "
                                        "--shared too");
    if (b->results.settings.threads < b->results.settings.processes)
        return hgi_problem_set(problem, "-t %u: fewer threads than processes (--processes %u)",
                               b->results.settings.threads, b->results.settings.processes);
    return hgi_outage_parse(&b->results.settings.way, b->fault, problem);
}

static void settle(void *state, cJSON *policy, struct hgi_recipe *recipe)
{
    struct hgi_breaker_settings *s = &((struct breaker *)state)->results.settings;
    hgi_recipe_settle_time(&s->attempt_timeout_ns, policy, "attempt_timeout", 250 * NS_PER_MS);
    recipe->attempt_timeout_ns = s->attempt_timeout_ns;
    s->breaker = hgi_recipe_breaker(policy);
    s->breaker.seed = s->seed;
    /* Two open periods at their longest, and what probes and the calm take. */
    s->after_ns =
        2 * s->breaker.recovery_timeout_max_ns + 2 * s->breaker.probe_lease_ns + 2 * s->calm_ns;
}

static bool run(void *state, cJSON *policy, const atomic_bool *interrupted,
                struct hgi_problem *problem)
{
    (void)policy; /* it is in the settings */
    return hgi_breaker_run(state, interrupted, problem);
}

static void broken(char *out, size_t size, const void *state)
{
    hgi_breaker_broken(out, size, state);
}

static const struct hgi_forms forms = { .table = hgi_breaker_table,
                                        .json = hgi_breaker_json,
                                        .page = hgi_breaker_html,
                                        .figures = hgi_breaker_figures,
                                        .latency = hgi_breaker_latency,
                                        .series = hgi_breaker_series };

const struct hgi_subcommand hgi_breaker = { .name = "breaker",
                                            .about = about,
                                            .examples = examples,
                                            .size = sizeof(struct breaker),
                                            .forms = &forms,
                                            .begin = begin,
                                            .options = options,
                                            .read = read,
                                            .settle = settle,
                                            .run = run,
                                            .load = hgi_breaker_load,
                                            .broken = broken };
