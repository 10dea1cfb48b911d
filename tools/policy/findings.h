/* What is to be said of some files, and the forms in which it is said. */
#ifndef HERDGATE_TOOLS_POLICY_FINDINGS_H
#define HERDGATE_TOOLS_POLICY_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "tools/policy/source.h"
#include "tools/policy/tool.h"

/* One thing that is wrong, or harms. */
struct hgi_finding {
    size_t file;        /* index of it */
    bool is_error;      /* it is no policy; else a warning */
    const char *rule;   /* the name of lint's rule; NULL: none */
    struct hgi_spot at; /* line 0: the file as a whole */
    char what[400];
    char advice[240]; /* what to do about it; may be empty, where `what` says it */
};

struct hgi_findings {
    const char *const *files; /* their names, borrowed */
    size_t file_count;
    struct hgi_finding *list; /* owned; in the order of the files, then of the lines */
    size_t count;
    size_t capacity;
};

/* Add one, to be filled in; NULL: out of memory. Valid until the next is added. */
struct hgi_finding *hgi_findings_add(struct hgi_findings *findings);

/* Add what made a file no policy. */
bool hgi_findings_add_mistake(struct hgi_findings *findings, const struct hgi_mistake *mistake);

void hgi_findings_sort(struct hgi_findings *findings);
void hgi_findings_free(struct hgi_findings *findings);
size_t hgi_findings_count(const struct hgi_findings *findings, bool errors);

/* Print all of it. `subcommand` is for the JSON. False: out of memory. */
bool hgi_findings_print(const struct hgi_findings *findings, const char *subcommand,
                        enum hgi_format format, FILE *out);

#endif
