/* What the subcommands of herdgate-policy share: their entries, and the command line. */
#ifndef HERDGATE_TOOLS_POLICY_TOOL_H
#define HERDGATE_TOOLS_POLICY_TOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/common/options.h"
#include "tools/common/problem.h"

/* The arguments behind the subcommand's name; the exit status. */
int hgi_check_main(int count, char *const *arguments);
int hgi_lint_main(int count, char *const *arguments);
int hgi_explain_main(int count, char *const *arguments);
int hgi_schema_main(int count, char *const *arguments);

enum hgi_format { HGI_FORMAT_TEXT, HGI_FORMAT_GCC, HGI_FORMAT_JSON };

/* "text", "gcc", "json"; false: *problem says. NULL is "text". */
bool hgi_format_parse(enum hgi_format *out, const char *text, struct hgi_problem *problem);

/* Files of a command line, options taken out wherever they stand. */
struct hgi_operands {
    int count;
    const char **text; /* `count` of them; free() it */
};

bool hgi_operands_parse(struct hgi_operands *out, const struct hgi_option *table, int count,
                        char *const *arguments, struct hgi_problem *problem);

/* Print to stderr who speaks and what it says; gives `code`. */
int hgi_tool_fail(int code, const struct hgi_problem *problem);

#endif
