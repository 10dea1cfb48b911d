/* The rules of lint, and how one of them speaks. */
#ifndef HERDGATE_TOOLS_POLICY_LINT_RULES_H
#define HERDGATE_TOOLS_POLICY_LINT_RULES_H

#include "tools/policy/lint.h"

enum hgi_lint_rule {
    HGI_LINT_DEADLINE_BEFORE_BACKOFF,
    HGI_LINT_ATTEMPTS_BEYOND_DEADLINE,
    HGI_LINT_ATTEMPT_FILLS_DEADLINE,
    HGI_LINT_NO_JITTER,
    HGI_LINT_NO_DELAY,
    HGI_LINT_NO_TIME_LIMIT,
    HGI_LINT_MAY_RUN_TWICE,
    HGI_LINT_AMPLIFICATION,
    HGI_LINT_BREAKER_CANNOT_CLOSE,
    HGI_LINT_BREAKER_CANNOT_OPEN,
    HGI_LINT_BREAKER_OPENS_AT_ONCE,
    HGI_LINT_BREAKER_OPEN_FOR_LONG,
    HGI_LINT_CALLER_TRIPS_BREAKER,
    HGI_LINT_SLOW_CALL_UNSEEN,
    HGI_LINT_FAILURES_IGNORED,
    HGI_LINT_POINTLESS_RETRY,
    HGI_LINT_NO_EFFECT,
    HGI_LINT_POLL_BEYOND_DEADLINE,
    HGI_LINT_PASSWORD_IN_FILE,
    HGI_LINT_NOT_ENCRYPTED,
    HGI_LINT_RULES
};

/* One run over one file. */
struct hgi_lint {
    const struct hgi_source *source;
    const struct hgi_settings *settings;
    const struct hgi_texts *allowed;
    struct hgi_findings *findings;
    bool no_memory;
};

/* Say it of the value that the steps lead to (hgi_source_find()), in two sentences: what harms, and
 * what to do. Does nothing for a rule that is allowed. */
void hgi_lint_warn(struct hgi_lint *lint, enum hgi_lint_rule rule,
                   const char *const steps[HGI_STEPS_MAX], const char *what, const char *advice);

/* A duration for people and for the file alike: "250ms". Into one of some static places: enough for a
 * sentence. */
const char *hgi_lint_time(int64_t duration_ns);

/* Names in a row, "read, write and script", cut to fit. */
struct hgi_lint_names {
    char text[160];
    size_t count;
    const char *last; /* not yet in the text */
};
void hgi_lint_name(struct hgi_lint_names *names, const char *name);
const char *hgi_lint_names_end(struct hgi_lint_names *names);

void hgi_lint_classes(struct hgi_lint *lint);
void hgi_lint_breaker(struct hgi_lint *lint);
void hgi_lint_whole(struct hgi_lint *lint);

#endif
