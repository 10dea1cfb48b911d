/* herdgate-policy: policy files checked, explained and judged before use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/version.h>

#include "tools/common/exit_codes.h"
#include "tools/common/standard.h"
#include "tools/policy/tool.h"

static const char help[] =
    "herdgate-policy: policy files checked, explained and judged before use\n"
    "\n"
    "usage: herdgate-policy check [options] FILE...\n"
    "       herdgate-policy lint [options] FILE...\n"
    "       herdgate-policy explain [options] FILE [COMMAND [ARGUMENT...]]\n"
    "       herdgate-policy schema\n"
    "\n"
    "  check     is it a policy? If not: what is wrong, at which line and column\n"
    "  lint      settings that are allowed and harm: what each does, and what to do\n"
    "  explain   what a command meets: its class, what is retried after which\n"
    "            failure, the delays, the longest time it can take, the load that a\n"
    "            dead server can get from it\n"
    "  schema    the JSON Schema of policy files, for editors\n"
    "\n"
    "  herdgate-policy SUBCOMMAND --help     its options\n"
    "  herdgate-policy --version\n"
    "\n"
    "Examples:\n"
    "  herdgate-policy check herdgate.json\n"
    "  herdgate-policy lint --format=gcc conf/*.json\n"
    "  herdgate-policy explain herdgate.json SET user:1 x NX\n"
    "  herdgate-policy explain herdgate.json --class orders\n"
    "  herdgate-policy schema > herdgate.schema.json\n"
    "\n"
    "FILE may be - for standard input. Exit: 0 well, 1 warnings of lint, 2 usage or\n"
    "not a policy, 3 environment. See herdgate-policy(1).\n";

static const struct {
    const char *name;
    int (*run)(int count, char *const *arguments);
} subcommands[] = {
    { "check", hgi_check_main },
    { "lint", hgi_lint_main },
    { "explain", hgi_explain_main },
    { "schema", hgi_schema_main },
};

int hgi_tool_fail(int code, const struct hgi_problem *problem)
{
    fprintf(stderr, "herdgate-policy: %s\n", problem->text);
    return code;
}

bool hgi_format_parse(enum hgi_format *out, const char *text, struct hgi_problem *problem)
{
    static const char *const names[] = { "text", "gcc", "json" };
    *out = HGI_FORMAT_TEXT;
    for (size_t i = 0; text && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (enum hgi_format)i;
            return true;
        }
    }
    return !text || hgi_problem_set(problem, "--format: '%s' is none of text, gcc and json", text);
}

bool hgi_operands_parse(struct hgi_operands *out, const struct hgi_option *table, int count,
                        char *const *arguments, struct hgi_problem *problem)
{
    bool options = true;
    out->count = 0;
    out->text = calloc((size_t)count + 1, sizeof *out->text);
    if (!out->text)
        return hgi_problem_set(problem, "out of memory");
    for (int at = 0; at < count;) {
        int used = 0;
        if (options && !hgi_options_parse_front(table, count - at, arguments + at, &used, problem))
            return false;
        at += used;
        if (at == count)
            break;
        if (options && strcmp(arguments[at], "--") == 0)
            options = false;
        else
            out->text[out->count++] = arguments[at];
        at++;
    }
    return true;
}

static int obey(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        fputs(help, stdout);
        return HGI_EXIT_PASS;
    }
    if (strcmp(name, "--version") == 0) {
        printf("herdgate-policy %s\n", hg_version());
        return HGI_EXIT_PASS;
    }
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (strcmp(name, subcommands[i].name) == 0)
            return subcommands[i].run(argc - 2, argv + 2);
    if (*name)
        fprintf(stderr,
                "herdgate-policy: no subcommand '%s'; there are check, lint, explain and schema\n",
                name);
    else
        fputs(help, stderr);
    return HGI_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    hgi_standard_begin();
    return hgi_standard_end("herdgate-policy", obey(argc, argv));
}
