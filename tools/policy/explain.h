/* What a command meets under a policy: found out by explain.c and failures.c, written down by
 * explain_text.c and explain_json.c. */
#ifndef HERDGATE_TOOLS_POLICY_EXPLAIN_H
#define HERDGATE_TOOLS_POLICY_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "policy/classify.h"
#include "policy/commands.h"
#include "tools/policy/outlook.h"
#include "tools/policy/source.h"

/* May it be made again after a failure with that outcome? */
enum hgi_again {
    HGI_AGAIN_YES,
    HGI_AGAIN_FENCED, /* only where the older attempt is kept from running later */
    HGI_AGAIN_NO
};

/* One kind of failure, or several that mean the same. */
struct hgi_failure {
    char when[44]; /* "no reply in time", "LOADING, BUSY, MASTERDOWN" */
    struct hgi_verdict verdict;
    enum hgi_again again;
};

enum { HGI_FAILURES_MAX = 48, HGI_DELAYS_SHOWN = 12, HGI_CALLERS_MAX = 8 };

struct hgi_explanation {
    const struct hgi_source *source;
    const struct hgi_settings *settings;
    char command[160]; /* as it was given; empty: a class was named, or nothing */
    struct hgi_command_facts facts;
    const char *key; /* of the command, or NULL */
    bool by_file;    /* the file's "commands" gave the class */
    const struct hgi_class *op_class;
    enum hgi_again again[HG_OUTCOME_EXECUTED + 1]; /* by outcome, where the recovery is to retry */
    struct hgi_failure failure[HGI_FAILURES_MAX];
    size_t failures;
    struct hgi_delay delay[HGI_DELAYS_SHOWN]; /* of the first retries */
    uint32_t delays;
    struct hgi_outlook outlook;
    uint32_t callers[HGI_CALLERS_MAX];
    size_t caller_count;
};

/* Fill `again` and `failure` for explanation->op_class. */
void hgi_explain_failures(struct hgi_explanation *explanation);

void hgi_explain_text(const struct hgi_explanation *explanation, FILE *out);
void hgi_explain_classes_text(const struct hgi_source *source, FILE *out);

/* The caller's, for cJSON_Delete(); NULL: out of memory. */
cJSON *hgi_explain_json(const struct hgi_explanation *explanation);

/* "changes nothing": what the built-in class says of a command. */
const char *hgi_kind_meaning(enum hgi_class_kind kind);
const char *hgi_jitter_name(hg_jitter jitter);

#endif
