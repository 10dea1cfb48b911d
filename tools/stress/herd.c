/* herdgate-stress herd: its options, its trials one after the other, and what its results are asked for. */
#include "tools/stress/herd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/path.h"
#include "tools/stress/report.h"
#include "tools/stress/stage.h"
#include "tools/stress/subcommand.h"

struct herd {
    struct hgi_herd_results results;
    struct hgi_trial
        *planned[HGI_STRATEGIES]; /* those of the results are the ones that were begun */
    size_t count;
    const char *compare;
    const char *fault; /* NULL: not said */
    const char *capacity;
    const char *toxics;
    bool quiet;
    bool plain;
};

static const char about[] =
    "herdgate-stress herd: a herd of callers, and a server that goes and comes back\n"
    "\n"
    "A redis-server of the tool's own (on a temporary unix socket) is killed and\n"
    "restarted while many threads call it. The same trial is run under several ways\n"
    "to retry, side by side: naive (a connection per thread, 7 attempts at once),\n"
    "backoff, jitter, budget, breaker (naive with that part), and all (herdgate, with\n"
    "everything).\n";

static const char examples[] =
    "\n"
    "Examples:\n"
    "  herdgate-stress herd --report=herd.html\n"
    "  herdgate-stress herd -t 400 --compare naive,all --fault stop --outage 1s..4s\n"
    "  herdgate-stress herd -t 400 -R 1600 --capacity 2000/s --report=metastable.html\n"
    "  herdgate-stress herd --policy herdgate.json --compare all --json=out.json -q\n";

static void begin(void *state, uint64_t seed)
{
    struct herd *h = state;
    h->compare = "naive,backoff,jitter,budget,breaker,all";
    h->results.settings = (struct hgi_herd_settings) { .threads = 200,
                                                       .length_ns = 7 * NS_PER_S,
                                                       .outage = { NS_PER_S, 3 * NS_PER_S },
                                                       .sizes = { 64, 64 },
                                                       .seed = seed };
}

static void options(void *state, struct hgi_rows *rows)
{
    struct herd *h = state;
    struct hgi_herd_settings *s = &h->results.settings;
    const struct hgi_option own[] = {
        { 0, "think", HGI_OPTION_DURATION, &s->think_ns, "TIME",
          "closed loop: mean pause of a caller between calls (100ms)", NS_PER_US, 10 * NS_PER_S },
        { 'R', "rate", HGI_OPTION_COUNT, &s->rate, "N",
          "open loop: calls per second of all threads together, whatever became of the last", 1,
          10000000 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Outage", 0, 0 },
        { 0, "outage", HGI_OPTION_DURATION_SPAN, &s->outage, "A..B",
          "the server is down from A to B (1s..3s)", 1, 3600 * NS_PER_S },
        { 0, "fault", HGI_OPTION_TEXT, &h->fault, "WAY",
          "kill (-9), stop (SIGSTOP: it hangs) or shutdown (kill; with --capacity stop)", 0, 0 },
        { 0, "capacity", HGI_OPTION_TEXT, &h->capacity, "N/s",
          "connections and commands that the server serves (what it can)", 0, 0 },
        { 0, "toxic", HGI_OPTION_TEXT, &h->toxics, "LIST",
          "faults between callers and server: latency=50ms,jitter=20ms@1s..3s", 0, 0 },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Ways to retry", 0, 0 },
        { 0, "compare", HGI_OPTION_TEXT, &h->compare, "LIST",
          "of naive,backoff,jitter,budget,breaker,all", 0, 0 },
        { 0 },
    };
    hgi_rows_load(rows, &(struct hgi_load_rows) { .threads = &s->threads,
                                                  .threads_help = "calling threads (200)",
                                                  .connections = &s->connections,
                                                  .sizes = &s->sizes,
                                                  .sizes_most = 1 << 20,
                                                  .length_ns = &s->length_ns,
                                                  .length_help = "of each trial (7s)",
                                                  .length_least_ns = NS_PER_S,
                                                  .length_most_ns = 3600 * NS_PER_S,
                                                  .seed = &s->seed,
                                                  .attempt_timeout_ns = &s->attempt_timeout_ns,
                                                  .deadline_ns = &s->deadline_ns });
    hgi_rows_add(rows, own);
}

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

/* A trial for each strategy, with nothing measured yet. */
static bool plan(struct herd *h, struct hgi_problem *problem)
{
    enum hgi_strategy strategies[HGI_STRATEGIES];
    size_t count;
    if (!hgi_strategies_parse(strategies, &count, h->compare, problem))
        return hgi_problem_of(problem, "--compare");
    for (; h->count < count; h->count++) {
        struct hgi_trial *trial = calloc(1, sizeof *trial);
        if (!trial)
            return hgi_problem_set(problem, "out of memory");
        trial->strategy = strategies[h->count];
        h->planned[h->count] = trial;
        h->results.trial[h->count] = trial;
        h->results.count = h->count + 1;
    }
    return true;
}

static bool read(void *state, const struct hgi_asked *asked, struct hgi_problem *problem)
{
    struct herd *h = state;
    struct hgi_herd_settings *s = &h->results.settings;
    h->quiet = asked->outputs.quiet;
    h->plain = asked->outputs.plain;
    s->record = asked->outputs.csv != NULL;
    s->toxics.seed = s->seed;
    if (h->capacity && !parse_capacity(&s->capacity_per_s, h->capacity, problem))
        return false;
    if (h->toxics && !hgi_toxics_parse(&s->toxics, h->toxics, problem))
        return hgi_problem_of(problem, "--toxic");
    if (s->rate && s->think_ns)
        return hgi_problem_set(problem, "--think is the pause of a closed loop, and -R makes an "
                                        "open one, where nobody waits for a call; leave one out");
    if (!s->think_ns)
        s->think_ns = 100 * NS_PER_MS;
    if (!h->fault)
        h->fault = s->capacity_per_s ? "stop" : "kill";
    if (s->outage.high > s->length_ns)
        return hgi_problem_set(problem, "--outage ends after the trial does (--duration)");
    return hgi_outage_parse(&s->way, h->fault, problem) && plan(h, problem);
}

static void settle(void *state, cJSON *policy, struct hgi_recipe *recipe)
{
    struct hgi_herd_settings *s = &((struct herd *)state)->results.settings;
    recipe->connections = s->connections;
    recipe->attempt_timeout_ns = s->attempt_timeout_ns;
    recipe->deadline_ns = s->deadline_ns;
    hgi_recipe_settle_connections(&s->connections, policy, 8);
    hgi_recipe_settle_time(&s->attempt_timeout_ns, policy, "attempt_timeout", 250 * NS_PER_MS);
    hgi_recipe_settle_time(&s->deadline_ns, policy, "deadline", 2 * NS_PER_S);
}

static void announce(const struct herd *h)
{
    char cost[200];
    const struct hgi_herd_results *results = &h->results;
    const struct hgi_herd_settings *s = &results->settings;
    fprintf(stderr,
            "%zu trials of %.3g s: %" PRIu32
            " threads call a redis-server %s that is down from %.3g s to %.3g s (%s), seed %" PRIu64
            "\n",
            h->count, (double)s->length_ns / 1e9, s->threads, results->stamp.server,
            (double)s->outage.low / 1e9, (double)s->outage.high / 1e9, hgi_herd_load(s), s->seed);
    if (!results->proxy_cost.known)
        return;
    hgi_proxy_cost_text(cost, sizeof cost, &results->proxy_cost);
    fprintf(stderr, "The proxy before the server adds %s.\n", cost);
}

static bool run_trials(struct herd *h, const cJSON *policy, struct hgi_private_server *server,
                       const atomic_bool *interrupted, struct hgi_problem *problem)
{
    bool well = true;
    struct hgi_herd_results *r = &h->results;
    struct hgi_screen screen;
    hgi_screen_begin(&screen, h->quiet, h->plain);
    r->stamp.began_ns = monotonic_ns();
    while (r->count < h->count && well && !*interrupted) {
        struct hgi_trial *trial = h->planned[r->count++];
        well = hgi_trial_run(trial, &r->settings, policy, server, interrupted, &screen, problem);
        if (trial->mismatches > 0)
            break;
    }
    hgi_screen_end(&screen);
    r->stamp.took_ns = monotonic_ns() - r->stamp.began_ns;
    r->stamp.interrupted = *interrupted;
    return well;
}

static bool run(void *state, cJSON *policy, const atomic_bool *interrupted,
                struct hgi_problem *problem)
{
    struct herd *h = state;
    struct hgi_herd_results *r = &h->results;
    struct hgi_stage stage;
    r->count = 0;
    bool well = hgi_stage_open(&stage, NULL, NULL, r->settings.seed, &r->stamp, problem) &&
                hgi_path_cost(&r->proxy_cost, &r->settings, stage.own, problem);
    if (well) {
        if (!h->quiet)
            announce(h);
        well = run_trials(h, policy, stage.own, interrupted, problem);
    }
    return hgi_stage_close(&stage, &r->stamp, problem) && well;
}

static bool load(void *state, const struct hgi_saved *saved)
{
    struct herd *h = state;
    bool well = hgi_report_load(&h->results, saved);
    memcpy(h->planned, h->results.trial, sizeof h->planned);
    h->count = h->results.count;
    return well;
}

static void broken(char *out, size_t size, const void *state)
{
    hgi_herd_broken(out, size, state);
}

static void end(void *state)
{
    struct herd *h = state;
    for (size_t i = 0; i < h->count; i++)
        hgi_trial_free(h->planned[i]);
}

static const struct hgi_forms forms = { .table = hgi_report_table,
                                        .json = hgi_report_json,
                                        .page = hgi_report_html,
                                        .figures = hgi_report_figures,
                                        .part = hgi_report_part,
                                        .latency = hgi_report_latency,
                                        .recording = hgi_report_recording,
                                        .series = hgi_report_series };

const struct hgi_subcommand hgi_herd = { .name = "herd",
                                         .about = about,
                                         .examples = examples,
                                         .size = sizeof(struct herd),
                                         .forms = &forms,
                                         .begin = begin,
                                         .options = options,
                                         .read = read,
                                         .settle = settle,
                                         .run = run,
                                         .load = load,
                                         .broken = broken,
                                         .end = end };
