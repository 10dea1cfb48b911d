/* herdgate-stress chaos and soak: faults of every kind from a seed, and everything promised is checked
 * meanwhile. From the command line to table, JSON and page. */
#include "tools/stress/chaos.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/exits.h"
#include "tools/stress/herd.h"
#include "tools/stress/publish.h"
#include "tools/stress/recipe.h"

struct chaos_options {
    struct hgi_chaos_settings settings;
    struct hgi_target_flags server;
    struct hgi_outputs outputs;
    const char *toxics;
    const char *server_faults;
    bool help;
};

static const char about_chaos[] =
    "herdgate-stress chaos: faults of every kind, and what is promised is checked meanwhile\n"
    "\n"
    "Threads use one pool in every way there is while a schedule, drawn from the seed or given,\n"
    "makes faults: in a proxy between pool and server latency, slow bytes, stalls, resets, half\n"
    "replies, garbage, little bandwidth, closed and refused connections; and on a server of the\n"
    "tool's own kill -9, SIGSTOP, maxclients, a script that does not end, loading, no memory, and\n"
    "being a replica. Checked are every reply, that no INCR ran twice, every deadline, the pool's\n"
    "sockets, and what the breaker promises. The first broken invariant ends the run with status "
    "4\n"
    "and prints the command that does it again.\n"
    "\n"
    "usage: herdgate-stress chaos [options]\n";

static const char about_soak[] =
    "herdgate-stress soak: chaos for hours, a line a minute, and nothing may grow\n"
    "\n"
    "Rounds of chaos, each with a schedule of its own from the seed. Each line has the calls "
    "since\n"
    "the one before, their p99, resident memory, descriptors and threads; at the end the growth "
    "of\n"
    "these over the second half is printed and judged. A broken invariant ends the run with "
    "status\n"
    "4 and prints the command that does its round again.\n"
    "\n"
    "usage: herdgate-stress soak [options]\n";

static const char examples_chaos[] =
    "\nExamples:\n"
    "  herdgate-stress chaos --seed 7 --report=chaos.html\n"
    "  herdgate-stress chaos --toxic latency=50ms,jitter=20ms --server-fault kill@3s..4s\n"
    "  herdgate-stress chaos -h 127.0.0.1 -p 6379 --toxic reset,toxicity=0.01 --assert "
    "'failed<100'\n"
    "  herdgate-stress chaos --toxic forgery,toxicity=0.001   it must exit with 4\n";

static const char examples_soak[] = "\nExamples:\n"
                                    "  herdgate-stress soak --duration 8h --json=night.json\n"
                                    "  herdgate-stress soak --duration 10m --round 30s -t 64\n";

static const char endnote[] =
    "\nOn a given server only the proxy makes faults; every key has a prefix of the run's own,\n"
    "expires, and is deleted at the end.\n"
    "\nExit: 0 pass, 1 an --assert does not hold, 2 usage or policy, 3 environment, 4 an\n"
    "invariant is broken, 130 interrupted (what was measured is still written). See\n"
    "herdgate-stress(1).\n";

enum { TABLE_MAX = 40 };

static size_t add(struct hgi_option *into, size_t at, const struct hgi_option *from)
{
    for (; from->kind != HGI_OPTION_END; from++)
        into[at++] = *from;
    into[at] = *from;
    return at;
}

static void make_table(struct hgi_option table[TABLE_MAX], struct chaos_options *o)
{
    struct hgi_chaos_settings *s = &o->settings;
    const struct hgi_option load[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Load", 0, 0 },
        { 't', "threads", HGI_OPTION_COUNT, &s->threads, "N", "calling threads (32)", 1, 4096 },
        { 'c', "connections", HGI_OPTION_COUNT, &s->connections, "N",
          "connections of the pool (the policy's, else 8)", 1, 1024 },
        { 'd', "data-size", HGI_OPTION_SIZE_SPAN, &s->sizes, "N|A..B", "bytes of a value (64)", 1,
          8 << 20 },
        { 0, "pause", HGI_OPTION_DURATION, &s->pause_ns, "TIME",
          "of a thread between calls, at most (5ms)", 0, 10 * NS_PER_S },
        { 0, "duration", HGI_OPTION_DURATION, &s->length_ns, "TIME",
          s->soak ? "of all rounds (1h)" : "of the run (30s)", NS_PER_S, 1000 * 3600 * NS_PER_S },
        { 0, "seed", HGI_OPTION_NUMBER, &s->seed, "N", "of the schedule and the choices", 0, 0 },
        { 0, "policy", HGI_OPTION_TEXT, &s->policy, "FILE", "of the library; JSON", 0, 0 },
        { 0, "attempt-timeout", HGI_OPTION_DURATION, &s->attempt_timeout_ns, "TIME",
          "of every call (the file's, else 250ms)", NS_PER_MS, 3600 * NS_PER_S },
        { 0, "deadline", HGI_OPTION_DURATION, &s->deadline_ns, "TIME",
          "of every call (the file's, else 2s)", NS_PER_MS, 3600 * NS_PER_S },
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Faults (none: all, from the seed)", 0, 0 },
        { 0, "toxic", HGI_OPTION_TEXT, &o->toxics, "LIST",
          "in the proxy: latency=50ms,jitter=20ms@1s..3s", 0, 0 },
        { 0, "server-fault", HGI_OPTION_TEXT, &o->server_faults, "LIST",
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
    const struct hgi_option record[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Record", 0, 0 },
        { 0, "csv", HGI_OPTION_TEXT, &o->outputs.csv, "DIR",
          "every latency and the series over time, as files in DIR", 0, 0 },
        { 0 },
    };
    const struct hgi_option rest[] = {
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
    size_t at = add(table, 0, load);
    at = add(table, at, s->soak ? rounds : record);
    add(table, at, rest);
}

static bool read_faults(struct chaos_options *o, struct hgi_problem *problem)
{
    struct hgi_chaos_settings *s = &o->settings;
    s->drawn = !o->toxics && !o->server_faults;
    s->toxics.seed = s->seed;
    if ((o->toxics && !hgi_toxics_parse(&s->toxics, o->toxics, problem)) ||
        (o->server_faults &&
         !hgi_server_faults_parse(&s->server_faults, o->server_faults, problem)))
        return false;
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

static bool parse(struct chaos_options *o, int count, char *const *arguments,
                  struct hgi_problem *problem)
{
    struct hgi_option table[TABLE_MAX];
    make_table(table, o);
    if (!hgi_options_parse(table, count, arguments, problem))
        return false;
    if (o->help) {
        fputs(o->settings.soak ? about_soak : about_chaos, stdout);
        hgi_options_help(table, stdout);
        fputs(o->settings.soak ? examples_soak : examples_chaos, stdout);
        fputs(endnote, stdout);
        return true;
    }
    o->settings.quiet = o->outputs.quiet;
    o->settings.plain = o->outputs.plain;
    o->settings.record = o->outputs.csv != NULL;
    if (!o->settings.soak)
        o->settings.round_ns = o->settings.length_ns;
    return hgi_target_from_flags(&o->settings.target, &o->server, problem) &&
           read_faults(o, problem);
}

/* What neither the command line nor the file says. Without a file the breaker is quick to recover, so that
 * there are calls between two faults. */
static void complete(struct hgi_chaos_settings *s, cJSON *policy)
{
    if (!s->attempt_timeout_ns)
        s->attempt_timeout_ns = hgi_recipe_time(policy, "attempt_timeout");
    if (!s->attempt_timeout_ns)
        s->attempt_timeout_ns = 250 * NS_PER_MS;
    if (!s->deadline_ns)
        s->deadline_ns = hgi_recipe_time(policy, "deadline");
    if (!s->deadline_ns)
        s->deadline_ns = 2 * NS_PER_S;
    if (!s->policy) {
        cJSON *breaker = cJSON_AddObjectToObject(policy, "breaker");
        cJSON_AddStringToObject(breaker, "recovery_timeout", "100ms");
        cJSON_AddStringToObject(breaker, "recovery_timeout_max", "400ms");
    }
}

static const struct hgi_forms forms = { hgi_chaos_table,   hgi_chaos_json,    hgi_chaos_html,
                                        hgi_chaos_figures, hgi_chaos_latency, hgi_chaos_recording,
                                        hgi_chaos_series };

static int fail(int code, const char *text)
{
    fprintf(stderr, "herdgate-stress: %s\n", text);
    return code;
}

static int run(const struct chaos_options *o, cJSON *policy, const char *command)
{
    char broken[400], replay[8192];
    struct hgi_problem problem = { .text = "out of memory" };
    struct hgi_chaos_results *results = calloc(1, sizeof *results);
    if (!results)
        return fail(HGI_EXIT_ENVIRONMENT, problem.text);
    int code = HGI_EXIT_PASS;
    results->settings = o->settings;
    results->command = command;
    if (!hgi_assertions_check(&o->outputs, &forms, results, &problem)) {
        free(results);
        return fail(HGI_EXIT_USAGE, problem.text);
    }
    bool well = hgi_chaos_run(results, policy, hgi_interrupted(), &problem);
    bool measured = results->took_ns > 0;
    well = (!measured || hgi_publish(&o->outputs, &forms, results, well ? &problem : NULL)) && well;
    hgi_chaos_broken(broken, sizeof broken, results);
    if (broken[0]) {
        hgi_chaos_replay(replay, sizeof replay, results);
        fprintf(stderr, "herdgate-stress: broken: %s\nDo it again: %s\n", broken, replay);
        code = HGI_EXIT_BROKEN;
    } else if (!well) {
        code = fail(HGI_EXIT_ENVIRONMENT, problem.text);
    } else if (results->interrupted) {
        code = HGI_EXIT_INTERRUPTED;
    } else if (!hgi_assertions_hold(&o->outputs, &forms, results)) {
        code = HGI_EXIT_ASSERTION;
    }
    hgi_recording_free(&results->sum.recording);
    free(results);
    return code;
}

static int run_either(bool soak, int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "" };
    uint64_t random = (uint64_t)monotonic_ns() ^ ((uint64_t)getpid() << 32);
    struct chaos_options o = { .settings = { .soak = soak,
                                             .threads = 32,
                                             .sizes = { 64, 64 },
                                             .pause_ns = 5 * NS_PER_MS,
                                             .length_ns = (soak ? 3600 : 30) * NS_PER_S,
                                             .round_ns = 60 * NS_PER_S,
                                             .sample_ns = 60 * NS_PER_S,
                                             .seed = random_next(&random) >> 32 } };
    if (!parse(&o, count, arguments, &problem))
        return fail(HGI_EXIT_USAGE, problem.text);
    if (o.help)
        return HGI_EXIT_PASS;
    cJSON *policy = NULL;
    struct hgi_recipe recipe = { .path = o.settings.policy, .connections = o.settings.connections };
    bool well = hgi_recipe_read(&policy, &recipe, &problem);
    if (well) {
        complete(&o.settings, policy);
        recipe.attempt_timeout_ns = o.settings.attempt_timeout_ns;
        recipe.deadline_ns = o.settings.deadline_ns;
        well = hgi_recipe_try(policy, &recipe, &problem);
    }
    int code = well ? run(&o, policy, command) : fail(HGI_EXIT_USAGE, problem.text);
    cJSON_Delete(policy);
    return code;
}

int hgi_chaos_main(int count, char *const *arguments, const char *command)
{
    return run_either(false, count, arguments, command);
}

int hgi_soak_main(int count, char *const *arguments, const char *command)
{
    return run_either(true, count, arguments, command);
}
