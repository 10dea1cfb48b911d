/* herdgate-breaker: an operator's handle on a shared breaker. */
#include <stdio.h>
#include <string.h>

#include <herdgate/breaker.h>
#include <herdgate/version.h>

#include "tools/breaker/show.h"
#include "tools/common/options.h"
#include "tools/common/output.h"
#include "tools/common/standard.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"

static const char help[] =
    "herdgate-breaker: an operator's handle on a circuit breaker that processes share\n"
    "\n"
    "usage: herdgate-breaker COMMAND /name [options]\n"
    "\n"
    "  show      its state, counters and settings, once or with --watch\n"
    "  open      force it open: every call is refused until told otherwise\n"
    "  close     force it closed: every call passes, and it never opens\n"
    "  disable   as close, for a breaker that is to decide nothing\n"
    "  reset     let it decide again, closed and with nothing held against the server\n"
    "  unlink    remove it: the processes that have it open go over to a new one,\n"
    "            with the settings of the first that comes\n"
    "\n"
    "/name is what the policy's \"breaker\": { \"shared\": ... } says, or what was\n"
    "given to hg_breaker_open_shared().\n";

static const char help_end[] =
    "\n"
    "Exit: 0 done, 2 usage, 3 environment: no such breaker, another "
    "user's, damaged,\n      or removed at that moment.\nSee herdgate-breaker(1).\n";

struct arguments {
    const char *name;
    const char *watch; /* NULL: once; "": every second */
    const char *json;  /* NULL: no; "": to stdout */
    uint32_t count;
    int64_t interval_ns;
    bool help;
};

static int usage(const char *text)
{
    fprintf(stderr, "herdgate-breaker: %s\n", text);
    return HGI_EXIT_USAGE;
}

static int failed(const struct hg_error *err)
{
    fprintf(stderr, "herdgate-breaker: %s\n", err->message);
    return HGI_EXIT_ENVIRONMENT;
}

/* --- show --- */

static int show(const struct arguments *arguments)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hgi_problem problem;
    struct hgi_look look;
    if (arguments->watch) {
        const struct hgi_watch watch = { .name = arguments->name,
                                         .interval_ns = arguments->interval_ns,
                                         .count = arguments->count,
                                         .json = arguments->json != NULL };
        return hgi_watch(&watch);
    }
    if (hgi_look(&look, arguments->name, &err) < 0)
        return failed(&err);
    if (!arguments->json) {
        hgi_look_print(&look, stdout, hgi_terminal_colour(stdout));
        return HGI_EXIT_PASS;
    }
    cJSON *json = hgi_look_json(&look);
    bool written = hgi_output_json(arguments->json, json, &problem);
    cJSON_Delete(json);
    if (written)
        return HGI_EXIT_PASS;
    fprintf(stderr, "herdgate-breaker: %s\n", problem.text);
    return HGI_EXIT_ENVIRONMENT;
}

/* --- what changes it --- */

/* Whether it is as it was told to be. What only an operator does, only an operator undoes; one that was
 * reset may be open again. */
static bool obeyed(hg_breaker_state wanted, hg_breaker_state after)
{
    return wanted == HG_BREAKER_CLOSED ? after < HG_BREAKER_FORCED_OPEN : after == wanted;
}

static int change(const struct arguments *arguments, void (*function)(hg_breaker *),
                  hg_breaker_state wanted)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    if (hg_breaker_attach_shared(&breaker, arguments->name, &err) < 0)
        return failed(&err);
    hg_breaker_state before = hg_breaker_state_now(breaker);
    function(breaker);
    hg_breaker_state after = hg_breaker_state_now(breaker);
    hg_breaker_free(breaker);
    if (!obeyed(wanted, after)) {
        fprintf(stderr,
                "herdgate-breaker: %s is %s and not %s: it was removed, or told otherwise, at the "
                "same moment; run this again\n",
                arguments->name, hg_breaker_state_name(after), hg_breaker_state_name(wanted));
        return HGI_EXIT_ENVIRONMENT;
    }
    printf("%s is %s, was %s\n", arguments->name, hg_breaker_state_name(after),
           hg_breaker_state_name(before));
    return HGI_EXIT_PASS;
}

static int force_open(const struct arguments *arguments)
{
    return change(arguments, hg_breaker_force_open, HG_BREAKER_FORCED_OPEN);
}

static int force_close(const struct arguments *arguments)
{
    return change(arguments, hg_breaker_force_close, HG_BREAKER_FORCED_CLOSED);
}

static int disable(const struct arguments *arguments)
{
    return change(arguments, hg_breaker_disable, HG_BREAKER_DISABLED);
}

static int reset(const struct arguments *arguments)
{
    return change(arguments, hg_breaker_reset, HG_BREAKER_CLOSED);
}

static int remove_it(const struct arguments *arguments)
{
    struct hg_error err = HG_ERROR_INIT;
    if (hg_breaker_unlink_shared(arguments->name, &err) < 0)
        return failed(&err);
    printf("%s is removed\n", arguments->name);
    return HGI_EXIT_PASS;
}

/* --- the command line --- */

static const struct {
    const char *name;
    int (*run)(const struct arguments *arguments);
} commands[] = {
    { "show", show },       { "open", force_open }, { "close", force_close },
    { "disable", disable }, { "reset", reset },     { "unlink", remove_it },
};

enum { OPTIONS = 5 };

static void fill_table(struct hgi_option table[OPTIONS], struct arguments *arguments)
{
    const struct hgi_option options[OPTIONS] = {
        { 0, "watch", HGI_OPTION_MAYBE_TEXT, &arguments->watch, "[=TIME]",
          "show: look again every TIME (1s), until interrupted", 0, 0 },
        { 0, "count", HGI_OPTION_COUNT, &arguments->count, "N", "show --watch: N looks, then end",
          1, UINT32_MAX },
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &arguments->json, "[=F]",
          "show: as JSON, to F; with --watch a line for each look", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &arguments->help, NULL, "this text", 0, 0 },
        { .kind = HGI_OPTION_END },
    };
    memcpy(table, options, sizeof options);
}

/* What the options mean together. False: *problem says. */
static bool check(struct arguments *arguments, bool shows, struct hgi_problem *problem)
{
    if (!shows && (arguments->watch || arguments->json || arguments->count))
        return hgi_problem_set(problem, "--watch, --count and --json are show's");
    if (arguments->count && !arguments->watch)
        return hgi_problem_set(problem, "--count is for show --watch");
    if (arguments->watch && arguments->json && *arguments->json)
        return hgi_problem_set(problem, "--json with --watch goes to standard output, not to %s",
                               arguments->json);
    arguments->interval_ns = NS_PER_S;
    if (arguments->watch && *arguments->watch &&
        !hgi_parse_duration(&arguments->interval_ns, arguments->watch, problem))
        return false;
    if (arguments->interval_ns < 10 * NS_PER_MS)
        return hgi_problem_set(problem, "--watch: %s is below 10ms", arguments->watch);
    return true;
}

static bool is_name(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 1; i < length; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '/')
            return false;
    return text[0] == '/' && length >= 2 && length < 64;
}

static int run(int command, int count, char **given)
{
    struct arguments arguments = { .name = NULL };
    struct hgi_option table[OPTIONS];
    struct hgi_problem problem;
    int kept = 0;
    fill_table(table, &arguments);
    for (int i = 0; i < count; i++) {
        /* The first word is meant as a name, whether it is one or not. */
        if (!arguments.name && (given[i][0] == '/' || (i == 0 && given[i][0] != '-')))
            arguments.name = given[i];
        else
            given[kept++] = given[i];
    }
    if (!hgi_options_parse(table, kept, given, &problem))
        return usage(problem.text);
    if (arguments.help) {
        fputs(help, stdout);
        fputs("\nOptions:\n", stdout);
        hgi_options_help(table, stdout);
        fputs(help_end, stdout);
        return HGI_EXIT_PASS;
    }
    if (!arguments.name)
        return usage("which breaker? its name is missing, like /orders");
    if (!is_name(arguments.name))
        return usage("a name is a slash and 1 to 62 visible ASCII characters that are no slash, "
                     "like /orders");
    if (!check(&arguments, commands[command].run == show, &problem))
        return usage(problem.text);
    return commands[command].run(&arguments);
}

static int obey(int argc, char **argv)
{
    static char just_help[] = "--help";
    char *no_arguments[] = { just_help, NULL };
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0)
        return run(0, 1, no_arguments);
    if (strcmp(name, "--version") == 0) {
        printf("herdgate-breaker %s\n", hg_version());
        return HGI_EXIT_PASS;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0)
            return run((int)i, argc - 2, argv + 2);
    if (*name)
        fprintf(
            stderr,
            "herdgate-breaker: no command '%s'; there are show, open, close, disable, reset and "
            "unlink\n",
            name);
    else
        fputs(help, stderr);
    return HGI_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    hgi_standard_begin();
    return hgi_standard_end("herdgate-breaker", obey(argc, argv));
}
