/* herdgate-stress report: the table and the page of a run again, from what --json saved of it.
 *
 * The file is read into the same results that the run had, and from there on all is the same: a page made here
 * is the page that was made then. Nothing of the file is believed: see saved.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/stress/exits.h"
#include "tools/stress/saved.h"
#include "tools/stress/subcommand.h"

static const char about[] =
    "herdgate-stress report: the table and the page again, from a saved result\n"
    "\n"
    "FILE is what any of the subcommands wrote with --json=FILE, for example in CI.\n"
    "The page is the one that --report would have written at the run. Nothing is\n"
    "started.\n"
    "\n"
    "usage: herdgate-stress report FILE [options]\n";

static const char examples[] =
    "\n"
    "Examples:\n"
    "  herdgate-stress report night.json --report=night.html\n"
    "  herdgate-stress report herd.json -q --assert 'amplification<1.2'\n"
    "\n"
    "Exit: 0 shown, 1 an --assert does not hold, 2 usage, or FILE is no saved result,\n"
    "3 a file that cannot be written. See herdgate-stress(1).\n";

/* Whose results these are; NULL: nobody's, and the problem says so. */
static const struct hgi_subcommand *whose(const struct hgi_saved *saved)
{
    const char *name = hgi_saved_text(saved, "subcommand");
    struct hgi_saved settings;
    if (!name || !hgi_saved_enter(&settings, saved, "settings"))
        return NULL;
    if (strcmp(name, "simulate") == 0) {
        const cJSON *model = cJSON_GetObjectItemCaseSensitive(settings.json, "model");
        return cJSON_IsString(model) && strcmp(model->valuestring, "wave") == 0
                   ? &hgi_simulate_wave
                   : &hgi_simulate_lock;
    }
    for (const struct hgi_subcommand *const *s = hgi_subcommands; *s; s++)
        if (strcmp(name, (*s)->name) == 0)
            return *s;
    hgi_saved_wrong(saved, "subcommand", "is none whose results can be shown");
    return NULL;
}

/* A form that was asked for and that these results do not have. */
static bool has_forms(const struct hgi_subcommand *subcommand, const struct hgi_asked *asked,
                      struct hgi_problem *problem)
{
    const struct hgi_outputs *o = &asked->outputs;
    const char *lacks = o->report && !subcommand->forms->page    ? "--report: there is no page"
                        : o->hgrm && !subcommand->forms->latency ? "--hgrm: there are no latencies"
                                                                 : NULL;
    return !lacks || hgi_problem_set(problem, "%s of %s", lacks, subcommand->name);
}

static int show(const struct hgi_subcommand *subcommand, const struct hgi_saved *saved,
                const struct hgi_asked *asked, struct hgi_problem *problem)
{
    int code = HGI_EXIT_PASS;
    struct hgi_stamp *state = calloc(1, subcommand->size);
    if (!state)
        return hgi_fail(HGI_EXIT_ENVIRONMENT, "out of memory");
    if (!hgi_saved_stamp(state, saved) || !subcommand->load(state, saved) ||
        !has_forms(subcommand, asked, problem) || !hgi_outputs_differ(&asked->outputs, problem) ||
        !hgi_assertions_check(&asked->outputs, subcommand->forms, state, problem))
        code = hgi_fail(HGI_EXIT_USAGE, problem->text);
    else if (!hgi_publish(&asked->outputs, subcommand->forms, state, problem))
        code = hgi_fail(HGI_EXIT_ENVIRONMENT, problem->text);
    else if (!hgi_assertions_hold(&asked->outputs, subcommand->forms, state))
        code = HGI_EXIT_ASSERTION;
    if (subcommand->end)
        subcommand->end(state);
    free(state);
    return code;
}

/* The options may stand before FILE or behind it. */
static bool parse(const char **path, struct hgi_asked *asked, int count, char *const *arguments,
                  struct hgi_problem *problem)
{
    struct hgi_outputs *outputs = &asked->outputs;
    const struct hgi_option table[] = {
        { 0, "report", HGI_OPTION_TEXT, &outputs->report, "F.html", "write a page with pictures", 0,
          0 },
        { 0, "hgrm", HGI_OPTION_TEXT, &outputs->hgrm, "F",
          "the latencies as HdrHistogram's plotter reads them", 0, 0 },
        { 0, "assert", HGI_OPTION_TEXTS, &outputs->assertions, "EXPR",
          "exit with 1 unless it holds: 'p99<5ms'; may be repeated", 0, 0 },
        { 0, "no-color", HGI_OPTION_FLAG, &outputs->plain, NULL, "as with NO_COLOR set", 0, 0 },
        { 'q', "quiet", HGI_OPTION_FLAG, &outputs->quiet, NULL, "no table", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &asked->help, NULL, "this text", 0, 0 },
        { 0 },
    };
    int used = 0;
    if (!hgi_options_parse_front(table, count, arguments, &used, problem))
        return false;
    if (asked->help) {
        fputs(about, stdout);
        hgi_options_help(table, stdout);
        fputs(examples, stdout);
        return true;
    }
    if (used == count)
        return hgi_problem_set(problem, "report: which FILE? Give one that a run wrote with "
                                        "--json=FILE");
    *path = arguments[used];
    return hgi_options_parse(table, count - used - 1, arguments + used + 1, problem);
}

int hgi_report_main(int count, char *const *arguments)
{
    const char *path = NULL;
    struct hgi_problem problem = { .text = "" };
    struct hgi_asked asked = { .policy = NULL };
    struct hgi_saved saved;
    cJSON *json = NULL;
    const struct hgi_subcommand *subcommand = NULL;
    int code = HGI_EXIT_USAGE;
    if (!parse(&path, &asked, count, arguments, &problem))
        return hgi_fail(HGI_EXIT_USAGE, problem.text);
    if (asked.help)
        return HGI_EXIT_PASS;
    if (hgi_saved_open(&saved, &json, path, &problem))
        subcommand = whose(&saved);
    if (subcommand)
        code = show(subcommand, &saved, &asked, &problem);
    else
        hgi_fail(code, problem.text);
    cJSON_Delete(json);
    return code;
}
