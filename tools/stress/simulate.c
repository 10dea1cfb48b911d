/* herdgate-stress simulate: what each kind of backoff costs clients that contend, on a virtual clock. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/version.h>

#include "tools/common/options.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/contention.h"
#include "tools/stress/saved.h"
#include "tools/stress/simulate.h"
#include "tools/stress/stamp.h"
#include "tools/stress/subcommand.h"

enum { COLUMNS_MAX = HGI_TABLE_COLUMNS - 1, CLIENTS_MAX = 10000 };

struct simulation {
    struct hgi_stamp stamp;
    struct hgi_contention settings; /* but for the clients */
    uint32_t count;
    uint32_t clients[COLUMNS_MAX];
    struct hgi_contention_result result[HGI_BACKOFF_KINDS][COLUMNS_MAX];
};

static const char about[] =
    "herdgate-stress simulate: what each kind of backoff costs, on a virtual clock\n"
    "\n"
    "Model lock: clients contend for one optimistic lock, all at once: each reads a\n"
    "version and writes under it, and begins again after a delay if another one wrote\n"
    "in between, until it has written once. The model is that of \"Exponential\n"
    "Backoff And Jitter\" (AWS Architecture Blog, 2015); the delays are the library's\n"
    "own.\n"
    "\n"
    "Model wave: callers fail in the same instant and try again, and breakers that\n"
    "opened together send their first probe: how many do so in the same 10 ms, by\n"
    "kind of jitter.\n"
    "\n"
    "Nothing is sent, and the same seed gives the same result.\n"
    "\n"
    "usage: herdgate-stress simulate [options]\n";

static bool parse_clients(struct simulation *s, const char *text, struct hgi_problem *problem)
{
    char *end = NULL;
    for (const char *at = text;; at = end + 1) {
        unsigned long n = strtoul(at, &end, 10);
        if (end == at || *at == '-' || n < 1 || n > CLIENTS_MAX || (*end && *end != ','))
            return hgi_problem_set(problem, "--clients: '%s' is no list of numbers from 1 to %d",
                                   text, CLIENTS_MAX);
        if (s->count == COLUMNS_MAX)
            return hgi_problem_set(problem, "--clients: more than %d numbers", COLUMNS_MAX);
        s->clients[s->count++] = (uint32_t)n;
        if (!*end)
            return true;
    }
}

static bool simulate(struct simulation *s, bool quiet, const atomic_bool *interrupted)
{
    struct hgi_progress progress;
    hgi_progress_begin(&progress, quiet);
    for (uint32_t c = 0; c < s->count; c++) {
        for (int kind = 0; kind < HGI_BACKOFF_KINDS && !s->stamp.interrupted; kind++) {
            struct hgi_contention settings = s->settings;
            settings.clients = s->clients[c];
            settings.seed += c; /* the same draws for every kind */
            settings.interrupted = interrupted;
            if (hgi_progress_due(&progress, monotonic_ns()))
                hgi_progress_line(&progress, "%" PRIu32 " clients, backoff %s", s->clients[c],
                                  hgi_backoff_name((enum hgi_backoff_kind)kind));
            if (!hgi_contention_run(&s->result[kind][c], &settings, (enum hgi_backoff_kind)kind))
                return false;
            /* relaxed: a flag that is polled. */
            s->stamp.interrupted = atomic_load_explicit(interrupted, memory_order_relaxed);
        }
    }
    hgi_progress_end(&progress);
    return true;
}

static void print_part(FILE *out, const struct simulation *s, bool time, bool colour)
{
    struct hgi_table *table = calloc(1, sizeof *table);
    char text[HGI_CELL_SIZE];
    if (!table)
        return;
    hgi_table_set(table, 0, 0, "%s", time ? "time to the end" : "calls in all");
    hgi_table_style(table, 0, 0, HGI_STYLE_BOLD);
    hgi_table_set(table, 1, 0, "clients");
    hgi_table_style(table, 1, 0, HGI_STYLE_DIM);
    for (uint32_t c = 0; c < s->count; c++) {
        hgi_table_set(table, 1, c + 1, "%" PRIu32, s->clients[c]);
        hgi_table_style(table, 1, c + 1, HGI_STYLE_DIM);
    }
    for (size_t kind = 0; kind < HGI_BACKOFF_KINDS; kind++) {
        hgi_table_set(table, kind + 2, 0, "%s", hgi_backoff_name((enum hgi_backoff_kind)kind));
        for (uint32_t c = 0; c < s->count; c++) {
            const struct hgi_contention_result *r = &s->result[kind][c];
            hgi_table_set(table, kind + 2, c + 1, "%s",
                          r->calls <= 0 ? "-" /* interrupted before */
                          : time        ? hgi_format_latency(text, sizeof text, (int64_t)r->time_ns)
                                 : hgi_format_count(text, sizeof text, (uint64_t)(r->calls + 0.5)));
        }
    }
    hgi_table_print(table, out, colour);
    free(table);
}

static void print_tables(FILE *out, const void *results, bool colour)
{
    const struct simulation *s = results;
    const uint32_t last = s->count - 1;
    const struct hgi_contention_result *plain = &s->result[HGI_BACKOFF_EXPONENTIAL][last];
    const struct hgi_contention_result *full = &s->result[HGI_BACKOFF_FULL][last];
    print_part(out, s, false, colour);
    fputc('\n', out);
    print_part(out, s, true, colour);
    if (plain->calls <= 0 || plain->time_ns <= 0)
        return;
    fputc('\n', out);
    hgi_text_print(out, colour, HGI_STYLE_BOLD,
                   "At %" PRIu32 " clients full jitter takes %.2f times the calls and %.2f times "
                   "the time of exponential delays without jitter.",
                   s->clients[last], full->calls / plain->calls, full->time_ns / plain->time_ns);
}

static const struct hgi_field clients_field[] = { { "clients", HGI_FIELD_U32, 0, 0, 0, 0 }, { 0 } };
static const struct hgi_field result_fields[] = {
    HGI_FIELD(struct hgi_contention_result, DOUBLE, "calls", calls),
    HGI_FIELD(struct hgi_contention_result, DOUBLE, "time_ns", time_ns),
    { 0 },
};

static cJSON *as_json(const void *results)
{
    const struct simulation *s = results;
    cJSON *json = hgi_json_begin("simulate", &s->stamp, "virtual clock");
    cJSON *settings = cJSON_AddObjectToObject(json, "settings");
    cJSON_AddNumberToObject(settings, "rounds", s->settings.rounds);
    cJSON_AddNumberToObject(settings, "base_ns", (double)s->settings.base_ns);
    cJSON_AddNumberToObject(settings, "cap_ns", (double)s->settings.cap_ns);
    cJSON_AddNumberToObject(settings, "network_mean_ns", (double)s->settings.network_mean_ns);
    cJSON_AddNumberToObject(settings, "network_deviation_ns",
                            (double)s->settings.network_deviation_ns);
    hgi_json_add_seed(settings, "seed", s->settings.seed);
    cJSON *rows = cJSON_AddArrayToObject(json, "results");
    for (uint32_t c = 0; c < s->count; c++) {
        for (size_t kind = 0; kind < HGI_BACKOFF_KINDS; kind++) {
            cJSON *row = cJSON_CreateObject();
            hgi_fields_write(row, clients_field, &s->clients[c]);
            cJSON_AddStringToObject(row, "backoff", hgi_backoff_name((enum hgi_backoff_kind)kind));
            hgi_fields_write(row, result_fields, &s->result[kind][c]);
            cJSON_AddItemToArray(rows, row);
        }
    }
    return json;
}

static void as_figures(struct hgi_figures *out, const void *results)
{
    const struct simulation *s = results;
    for (uint32_t c = 0; c < s->count; c++) {
        for (size_t kind = 0; kind < HGI_BACKOFF_KINDS; kind++) {
            char name[32];
            const struct hgi_contention_result *r = &s->result[kind][c];
            snprintf(name, sizeof name, "calls_%" PRIu32, s->clients[c]);
            hgi_figures_add(out, hgi_backoff_name((enum hgi_backoff_kind)kind), name,
                            HGI_FIGURE_NUMBER, r->calls > 0, r->calls);
            snprintf(name, sizeof name, "time_%" PRIu32, s->clients[c]);
            hgi_figures_add(out, hgi_backoff_name((enum hgi_backoff_kind)kind), name,
                            HGI_FIGURE_TIME, r->calls > 0, r->time_ns);
        }
    }
}

static const struct hgi_forms forms = { .table = print_tables,
                                        .json = as_json,
                                        .figures = as_figures };

/* What the command line says. */
struct simulate_options {
    struct simulation lock;
    struct hgi_wave wave;
    const char *model;
    const char *clients;
    struct hgi_asked asked;
    uint32_t attempts;
    bool real;
};

/* What is not said is 0. An option of the other model would change nothing: it is refused. */
static bool is_of_its_model(const struct simulate_options *o, bool wave,
                            struct hgi_problem *problem)
{
    const struct {
        const char *name;
        bool said;
        bool wave;
    } options[] = {
        { "network", o->lock.settings.network_mean_ns != 0, false },
        { "deviation", o->lock.settings.network_deviation_ns != 0, false },
        { "rounds", o->lock.settings.rounds != 0, false },
        { "attempts", o->attempts != 0, true },
        { "breakers", o->wave.breakers != 0, true },
        { "recovery", o->wave.recovery_ns != 0, true },
        { "real", o->real, true },
        { "report", o->asked.outputs.report != NULL, true },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].said && options[i].wave != wave)
            return hgi_problem_set(problem, "--%s is of --model %s", options[i].name,
                                   wave ? "lock" : "wave");
    return true;
}

static bool parse(struct simulate_options *o, int count, char *const *arguments,
                  struct hgi_problem *problem)
{
    struct hgi_contention *c = &o->lock.settings;
    const struct hgi_option table[] = {
        { 0, "model", HGI_OPTION_TEXT, &o->model, "M", "lock (the default) or wave", 0, 0 },
        { 0, "clients", HGI_OPTION_TEXT, &o->clients, "LIST",
          "10,20,50,100,150,200; of a wave one number (400)", 0, 0 },
        { 0, "base", HGI_OPTION_DURATION, &c->base_ns, "TIME",
          "the first delay (5ms; of a wave 400ms)", NS_PER_US, 3600 * NS_PER_S },
        { 0, "cap", HGI_OPTION_DURATION, &c->cap_ns, "TIME", "the longest delay (2s)", NS_PER_US,
          3600 * NS_PER_S },
        { 0, "network", HGI_OPTION_DURATION, &c->network_mean_ns, "TIME",
          "a message's mean time on its way (10ms)", NS_PER_US, 3600 * NS_PER_S },
        { 0, "deviation", HGI_OPTION_DURATION, &c->network_deviation_ns, "TIME",
          "the standard deviation of that (2ms)", NS_PER_US, 3600 * NS_PER_S },
        { 0, "rounds", HGI_OPTION_COUNT, &c->rounds, "N", "the mean of so many (100)", 1, 100000 },
        { 0, "attempts", HGI_OPTION_COUNT, &o->attempts, "N",
          "wave: of each caller, the first included (3)", 2, 16 },
        { 0, "breakers", HGI_OPTION_COUNT, &o->wave.breakers, "N", "wave: that open together (20)",
          1, 1000 },
        { 0, "recovery", HGI_OPTION_DURATION, &o->wave.recovery_ns, "TIME",
          "wave: of the breakers (1s)", 100 * NS_PER_MS, 60 * NS_PER_S },
        { 0, "real", HGI_OPTION_FLAG, &o->real, NULL,
          "wave: also with threads that sleep, on the real clock", 0, 0 },
        { 0, "seed", HGI_OPTION_NUMBER, &c->seed, "N", "of the random numbers (1)", 0, 0 },
        { 0 },
    };
    struct hgi_rows rows = { 0 };
    hgi_rows_add(&rows, table);
    hgi_rows_output(&rows, &o->asked, hgi_simulate_wave.forms); /* which has more of them */
    if (!hgi_options_parse(rows.row, count, arguments, problem))
        return false;
    if (o->asked.help) {
        fputs(about, stdout);
        hgi_options_help(rows.row, stdout);
    }
    return true;
}

static bool load(void *state, const struct hgi_saved *saved)
{
    struct simulation *s = state;
    struct hgi_saved list, at;
    int count;
    if (!hgi_saved_enter(&list, saved, "results") ||
        !hgi_saved_length(&count, &list, COLUMNS_MAX * HGI_BACKOFF_KINDS))
        return false;
    if (count == 0 || count % HGI_BACKOFF_KINDS != 0)
        return hgi_saved_wrong(&list, NULL, "does not have every kind of backoff");
    s->count = (uint32_t)(count / HGI_BACKOFF_KINDS);
    for (int i = 0; i < count; i++) {
        int kind = i % HGI_BACKOFF_KINDS, column = i / HGI_BACKOFF_KINDS;
        if (!hgi_saved_item(&at, &list, i) ||
            !hgi_fields_read(&s->clients[column], clients_field, &at) ||
            !hgi_fields_read(&s->result[kind][column], result_fields, &at))
            return false;
        const char *name = hgi_saved_text(&at, "backoff");
        if (!name || strcmp(name, hgi_backoff_name((enum hgi_backoff_kind)kind)) != 0)
            return name && hgi_saved_wrong(&at, "backoff", "is not the kind that comes here");
    }
    return true;
}

const struct hgi_subcommand hgi_simulate_lock = { .name = "simulate --model lock",
                                                  .size = sizeof(struct simulation),
                                                  .forms = &forms,
                                                  .load = load };

static int run_lock(struct simulate_options *o, struct hgi_problem *problem)
{
    struct simulation *s = &o->lock;
    struct hgi_contention *c = &s->settings;
    c->base_ns = c->base_ns ? c->base_ns : 5 * NS_PER_MS;
    c->network_mean_ns = c->network_mean_ns ? c->network_mean_ns : 10 * NS_PER_MS;
    c->network_deviation_ns = c->network_deviation_ns ? c->network_deviation_ns : 2 * NS_PER_MS;
    c->rounds = c->rounds ? c->rounds : 100;
    if (!parse_clients(s, o->clients ? o->clients : "10,20,50,100,150,200", problem) ||
        !hgi_assertions_check(&o->asked.outputs, &forms, s, problem))
        return hgi_fail(HGI_EXIT_USAGE, problem->text);
    if (!hgi_outputs_possible(&o->asked.outputs, problem))
        return hgi_fail(HGI_EXIT_ENVIRONMENT, problem->text);
    hgi_stamp_time(s->stamp.began_at);
    if (!simulate(s, o->asked.outputs.quiet, hgi_interrupted()) ||
        !hgi_publish(&o->asked.outputs, &forms, s, problem))
        return hgi_fail(HGI_EXIT_ENVIRONMENT, problem->text);
    if (s->stamp.interrupted)
        return HGI_EXIT_INTERRUPTED;
    return hgi_assertions_hold(&o->asked.outputs, &forms, s) ? HGI_EXIT_PASS : HGI_EXIT_ASSERTION;
}

static int run_wave(struct simulate_options *o, struct hgi_problem *problem)
{
    struct simulation *s = &o->lock; /* its settings are those of both */
    if (!parse_clients(s, o->clients ? o->clients : "400", problem))
        return hgi_fail(HGI_EXIT_USAGE, problem->text);
    if (s->count != 1) {
        hgi_problem_set(problem, "--clients: a wave has one number of them");
        return hgi_fail(HGI_EXIT_USAGE, problem->text);
    }
    o->wave.clients = s->clients[0];
    o->wave.breakers = o->wave.breakers ? o->wave.breakers : 20;
    o->wave.recovery_ns = o->wave.recovery_ns ? o->wave.recovery_ns : NS_PER_S;
    if (o->attempts)
        o->wave.retry.max_attempts = o->attempts;
    o->wave.seed = s->settings.seed;
    o->wave.retry.initial_delay_ns = s->settings.base_ns ? s->settings.base_ns : 400 * NS_PER_MS;
    o->wave.retry.max_delay_ns = s->settings.cap_ns;
    if (o->wave.retry.max_delay_ns < o->wave.retry.initial_delay_ns)
        o->wave.retry.max_delay_ns = o->wave.retry.initial_delay_ns;
    if (!hgi_wave_fits(&o->wave, problem))
        return hgi_fail(HGI_EXIT_USAGE, problem->text);
    int code = hgi_simulate_wave_run(&o->wave, o->real, &o->asked.outputs, &s->stamp, problem);
    if (code == HGI_EXIT_USAGE || code == HGI_EXIT_ENVIRONMENT)
        return hgi_fail(code, problem->text);
    return code;
}

int hgi_simulate_main(int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "out of memory" };
    struct simulate_options o = {
        .lock = { .settings = { .cap_ns = 2 * NS_PER_S, .seed = 1 },
                  .stamp = { .command = command, .herdgate = HG_VERSION, .server = "none" } },
        .model = "lock"
    };
    /* Three attempts, each delay twice the one before. */
    if (hg_retry_preset(&o.wave.retry, "conservative", NULL) < 0)
        return hgi_fail(HGI_EXIT_ENVIRONMENT, problem.text);
    if (!parse(&o, count, arguments, &problem))
        return hgi_fail(HGI_EXIT_USAGE, problem.text);
    if (o.asked.help)
        return HGI_EXIT_PASS;
    bool wave = strcmp(o.model, "wave") == 0;
    if (!wave && strcmp(o.model, "lock") != 0)
        hgi_problem_set(&problem, "--model: '%s' is neither lock nor wave", o.model);
    else if (is_of_its_model(&o, wave, &problem) && hgi_outputs_differ(&o.asked.outputs, &problem))
        return wave ? run_wave(&o, &problem) : run_lock(&o, &problem);
    return hgi_fail(HGI_EXIT_USAGE, problem.text);
}
