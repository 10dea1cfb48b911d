/* herdgate-stress concurrency: many threads share few connections, and every reply is checked. Its options,
 * and what its results are asked for. */
#include "tools/stress/concurrency.h"

#include "tools/common/timing.h"
#include "tools/stress/subcommand.h"

struct concurrency {
    struct hgi_concurrency_results results;
    const char *only;
};

static const char about[] =
    "herdgate-stress concurrency: many threads, few connections, every reply checked\n"
    "\n"
    "Threads SET and GET values that say which key and nonce they belong to, ECHO,\n"
    "INCR counters of their own, send pipelines through hg_call and take leases by\n"
    "hand. Whoever holds a connection marks it, so that a second holder is found.\n"
    "Afterwards the pool is closed, and connections, descriptors and memory that are\n"
    "left over are counted.\n";

static const char examples[] =
    "\n"
    "Examples:\n"
    "  herdgate-stress concurrency -t 64 -c 8 -d 1..1MiB --report=run.html\n"
    "  herdgate-stress concurrency -h 127.0.0.1 -p 6379 --duration 5s\n"
    "  herdgate-stress concurrency --policy herdgate.json --json -q\n"
    "\n"
    "Without a server it starts a redis-server of its own on a temporary unix socket.\n"
    "On a given one every key has a prefix of the run's own, expires, and is deleted\n"
    "at the end.\n";

static void begin(void *state, uint64_t seed)
{
    struct concurrency *c = state;
    c->results.settings = (struct hgi_concurrency_settings) {
        .threads = 64, .sizes = { 64, 64 }, .length_ns = 10 * NS_PER_S, .seed = seed
    };
}

static void options(void *state, struct hgi_rows *rows)
{
    struct concurrency *c = state;
    struct hgi_concurrency_settings *s = &c->results.settings;
    const struct hgi_option own[] = {
        { 0, "only", HGI_OPTION_TEXT, &c->only, "LIST",
          "of set,get,echo,incr,pipeline,lease (all of them)", 0, 0 },
        { 0 },
    };
    hgi_rows_load(rows, &(struct hgi_load_rows) { .threads = &s->threads,
                                                  .threads_help = "calling threads (64)",
                                                  .connections = &s->connections,
                                                  .sizes = &s->sizes,
                                                  .sizes_most = 8 << 20,
                                                  .length_ns = &s->length_ns,
                                                  .length_help = "of the load (10s)",
                                                  .length_least_ns = 100 * NS_PER_MS,
                                                  .length_most_ns = 24 * 3600 * NS_PER_S,
                                                  .seed = &s->seed });
    hgi_rows_add(rows, own);
}

static bool read(void *state, const struct hgi_asked *asked, struct hgi_problem *problem)
{
    struct concurrency *c = state;
    struct hgi_concurrency_settings *s = &c->results.settings;
    s->target = asked->target;
    s->policy = asked->policy;
    s->quiet = asked->outputs.quiet;
    s->plain = asked->outputs.plain;
    s->record = asked->outputs.csv != NULL;
    return !c->only || hgi_ops_parse(&s->only, c->only, problem) ||
           hgi_problem_of(problem, "--only");
}

/* The run itself makes up for what is not said: without a policy it is more patient than the library. */
static void settle(void *state, cJSON *policy, struct hgi_recipe *recipe)
{
    (void)policy;
    recipe->connections = ((const struct concurrency *)state)->results.settings.connections;
}

static bool run(void *state, cJSON *policy, const atomic_bool *interrupted,
                struct hgi_problem *problem)
{
    struct hgi_concurrency_results *results = state;
    return hgi_concurrency_run(results, policy, interrupted, problem) &&
           (results->sum.failed == 0 ||
            hgi_problem_set(problem, "calls failed; the server, the policy's deadlines or its "
                                     "limits did not let them through"));
}

static void broken(char *out, size_t size, const void *state)
{
    hgi_concurrency_broken(out, size, state);
}

static void end(void *state)
{
    hgi_recording_free(&((struct hgi_concurrency_results *)state)->sum.recording);
}

static const struct hgi_forms forms = { .table = hgi_concurrency_table,
                                        .json = hgi_concurrency_json,
                                        .page = hgi_concurrency_html,
                                        .figures = hgi_concurrency_figures,
                                        .latency = hgi_concurrency_latency,
                                        .recording = hgi_concurrency_recording,
                                        .series = hgi_concurrency_series };

const struct hgi_subcommand hgi_concurrency = { .name = "concurrency",
                                                .about = about,
                                                .examples = examples,
                                                .size = sizeof(struct concurrency),
                                                .takes_server = true,
                                                .forms = &forms,
                                                .begin = begin,
                                                .options = options,
                                                .read = read,
                                                .settle = settle,
                                                .run = run,
                                                .load = hgi_concurrency_load,
                                                .broken = broken,
                                                .end = end };
