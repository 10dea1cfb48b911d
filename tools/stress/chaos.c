/* herdgate-stress chaos and soak: faults of every kind from a seed, and everything promised is checked
 * meanwhile. Their options, and what their results are asked for. */
#include "tools/stress/chaos.h"

#include "tools/common/timing.h"
#include "tools/stress/subcommand.h"

struct chaos {
    struct hgi_chaos_results results;
    const char *toxics;
    const char *server_faults;
};

#define ON_A_GIVEN_SERVER                                                              \
    "\nOn a given server only the proxy makes faults; every key has a prefix of the\n" \
    "run's own, expires, and is deleted at the end.\n"

static const char about_chaos[] =
    "herdgate-stress chaos: faults of every kind, every promise checked meanwhile\n"
    "\n"
    "Threads use one pool in every way there is while a schedule, drawn from the seed\n"
    "or given, makes faults: in a proxy between pool and server latency, slow bytes,\n"
    "stalls, resets, half replies, garbage, little bandwidth, closed and refused\n"
    "connections; and on a server of the tool's own kill -9, SIGSTOP, maxclients, a\n"
    "script that does not end, loading, no memory, and being a replica. Checked are\n"
    "every reply, that no INCR ran twice, every deadline, the pool's sockets, and\n"
    "what the breaker promises. The first broken invariant ends the run with status 4\n"
    "and prints the command that does it again.\n";

static const char about_soak[] =
    "herdgate-stress soak: chaos for hours, a line a minute, and nothing may grow\n"
    "\n"
    "Rounds of chaos, each with a schedule of its own from the seed. Each line has\n"
    "the calls since the one before, their p99, resident memory, descriptors and\n"
    "threads; at the end the growth of these over the second half is printed and\n"
    "judged. A broken invariant ends the run with status 4 and prints the command\n"
    "that does its round again.\n";

static const char examples_chaos[] =
    "\n"
    "Examples:\n"
    "  herdgate-stress chaos --seed 7 --report=chaos.html\n"
    "  herdgate-stress chaos --toxic latency=50ms --server-fault kill@3s..4s\n"
    "  herdgate-stress chaos -h 127.0.0.1 -p 6379 --toxic reset,toxicity=0.01\n"
    "  herdgate-stress chaos --toxic forgery,toxicity=0.001   it must exit with "
    "4\n" ON_A_GIVEN_SERVER;

static const char examples_soak[] =
    "\nExamples:\n"
    "  herdgate-stress soak --duration 8h --json=night.json\n"
    "  herdgate-stress soak --duration 10m --round 30s -t 64\n" ON_A_GIVEN_SERVER;

static void begin_either(struct chaos *c, uint64_t seed, bool soak)
{
    c->results.settings = (struct hgi_chaos_settings) { .soak = soak,
                                                        .threads = 32,
                                                        .sizes = { 64, 64 },
                                                        .pause_ns = 5 * NS_PER_MS,
                                                        .length_ns = (soak ? 3600 : 30) * NS_PER_S,
                                                        .round_ns = 60 * NS_PER_S,
                                                        .sample_ns = 60 * NS_PER_S,
                                                        .seed = seed };
}

static void begin_chaos(void *state, uint64_t seed)
{
    begin_either(state, seed, false);
}

static void begin_soak(void *state, uint64_t seed)
{
    begin_either(state, seed, true);
}

static void options(void *state, struct hgi_rows *rows)
{
    struct chaos *c = state;
    struct hgi_chaos_settings *s = &c->results.settings;
    const struct hgi_option faults[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Faults (none: all, from the seed)", 0, 0 },
        { 0, "toxic", HGI_OPTION_TEXT, &c->toxics, "LIST",
          "in the proxy: latency=50ms,jitter=20ms@1s..3s", 0, 0 },
        { 0, "server-fault", HGI_OPTION_TEXT, &c->server_faults, "LIST",
          "on the tool's own server: kill@1s..2s,stop@3s..4s", 0, 0 },
        { 0 },
    };
    const struct hgi_option rounds[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Soak", 0, 0 },
        { 0, "round", HGI_OPTION_DURATION, &s->round_ns, "TIME", "of a schedule (1m)", NS_PER_S,
          3600 * NS_PER_S },
        { 0, "every", HGI_OPTION_DURATION, &s->sample_ns, "TIME", "a line (1m)", 100 * NS_PER_MS,
          3600 * NS_PER_S },
        { 0 },
    };
    hgi_rows_load(rows, &(struct hgi_load_rows) { .threads = &s->threads,
                                                  .threads_help = "calling threads (32)",
                                                  .connections = &s->connections,
                                                  .sizes = &s->sizes,
                                                  .sizes_most = 8 << 20,
                                                  .pause_ns = &s->pause_ns,
                                                  .length_ns = &s->length_ns,
                                                  .length_help = s->soak ? "of all rounds (1h)"
                                                                         : "of the run (30s)",
                                                  .length_least_ns = NS_PER_S,
                                                  .length_most_ns = 1000 * 3600 * NS_PER_S,
                                                  .seed = &s->seed,
                                                  .attempt_timeout_ns = &s->attempt_timeout_ns,
                                                  .deadline_ns = &s->deadline_ns });
    hgi_rows_add(rows, faults);
    if (s->soak)
        hgi_rows_add(rows, rounds);
}

static bool read_faults(struct chaos *c, struct hgi_problem *problem)
{
    struct hgi_chaos_settings *s = &c->results.settings;
    s->drawn = !c->toxics && !c->server_faults;
    s->toxics.seed = s->seed;
    if (c->toxics && !hgi_toxics_parse(&s->toxics, c->toxics, problem))
        return hgi_problem_of(problem, "--toxic");
    if (c->server_faults && !hgi_server_faults_parse(&s->server_faults, c->server_faults, problem))
        return hgi_problem_of(problem, "--server-fault");
    if (s->target.given && s->server_faults.count > 0)
        return hgi_problem_set(problem, "--server-fault is for the tool's own server, and one is "
                                        "given; --toxic makes faults before any server");
    for (uint32_t i = 0; i < s->server_faults.count; i++) {
        if (s->server_faults.fault[i].until_ns > s->round_ns)
            return hgi_problem_set(problem, "--server-fault: %s ends after %s does",
                                   hgi_server_fault_name(s->server_faults.fault[i].kind),
                                   s->soak ? "a round (--round)" : "the run (--duration)");
    }
    return true;
}

static bool read(void *state, const struct hgi_asked *asked, struct hgi_problem *problem)
{
    struct chaos *c = state;
    struct hgi_chaos_settings *s = &c->results.settings;
    s->target = asked->target;
    if (s->target.given)
        hgi_target_words(s->server_words, sizeof s->server_words, &s->target);
    s->policy = asked->policy;
    s->quiet = asked->outputs.quiet;
    s->plain = asked->outputs.plain;
    s->record = asked->outputs.csv != NULL;
    if (!s->soak)
        s->round_ns = s->length_ns;
    return read_faults(c, problem);
}

/* Without a file the breaker is quick to recover, so that there are calls between two faults. */
static void settle(void *state, cJSON *policy, struct hgi_recipe *recipe)
{
    struct hgi_chaos_settings *s = &((struct chaos *)state)->results.settings;
    hgi_recipe_settle_time(&s->attempt_timeout_ns, policy, "attempt_timeout", 250 * NS_PER_MS);
    hgi_recipe_settle_time(&s->deadline_ns, policy, "deadline", 2 * NS_PER_S);
    recipe->connections = s->connections;
    recipe->attempt_timeout_ns = s->attempt_timeout_ns;
    recipe->deadline_ns = s->deadline_ns;
    if (s->policy)
        return;
    cJSON *breaker = cJSON_AddObjectToObject(policy, "breaker");
    cJSON_AddStringToObject(breaker, "recovery_timeout", "100ms");
    cJSON_AddStringToObject(breaker, "recovery_timeout_max", "400ms");
}

static bool run(void *state, cJSON *policy, const atomic_bool *interrupted,
                struct hgi_problem *problem)
{
    return hgi_chaos_run(state, policy, interrupted, problem);
}

static bool load_chaos(void *state, const struct hgi_saved *saved)
{
    return hgi_chaos_load(state, saved);
}

static bool load_soak(void *state, const struct hgi_saved *saved)
{
    ((struct hgi_chaos_results *)state)->settings.soak = true;
    return hgi_chaos_load(state, saved);
}

static void broken(char *out, size_t size, const void *state)
{
    hgi_chaos_broken(out, size, state);
}

static void replay(char *out, size_t size, const void *state)
{
    hgi_chaos_replay(out, size, state);
}

static void end(void *state)
{
    hgi_recording_free(&((struct hgi_chaos_results *)state)->sum.recording);
}

static const struct hgi_forms forms = { .table = hgi_chaos_table,
                                        .json = hgi_chaos_json,
                                        .page = hgi_chaos_html,
                                        .figures = hgi_chaos_figures,
                                        .latency = hgi_chaos_latency,
                                        .recording = hgi_chaos_recording,
                                        .series = hgi_chaos_series };

/* What chaos and soak share. */
#define CHAOS                                                                                \
    .size = sizeof(struct chaos), .takes_server = true, .forms = &forms, .options = options, \
    .read = read, .settle = settle, .run = run, .broken = broken, .replay = replay, .end = end

const struct hgi_subcommand hgi_chaos = { .name = "chaos",
                                          .about = about_chaos,
                                          .examples = examples_chaos,
                                          .begin = begin_chaos,
                                          .load = load_chaos,
                                          CHAOS };

const struct hgi_subcommand hgi_soak = { .name = "soak",
                                         .about = about_soak,
                                         .examples = examples_soak,
                                         .begin = begin_soak,
                                         .load = load_soak,
                                         CHAOS };
