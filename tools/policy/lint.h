/* Settings that a policy may have and that harm. Pure: a file that was read gives findings. */
#ifndef HERDGATE_TOOLS_POLICY_LINT_H
#define HERDGATE_TOOLS_POLICY_LINT_H

#include <stdbool.h>
#include <stdio.h>

#include "tools/policy/findings.h"

/* Add a warning for each thing that harms, but for the rules in `allowed`. False: out of memory. */
bool hgi_lint(const struct hgi_source *source, const struct hgi_texts *allowed,
              struct hgi_findings *findings);

/* Each of them is the name of a rule; false: *problem says which is none. */
bool hgi_lint_rules_exist(const struct hgi_texts *names, struct hgi_problem *problem);

/* All rules, with what each is about. */
void hgi_lint_list_rules(FILE *out);

#endif
