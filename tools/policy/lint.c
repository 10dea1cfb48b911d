/* The rules of lint by name, and what they have in common; see lint.h. */
#include "tools/policy/lint.h"

#include <string.h>

#include "policy/duration.h"
#include "policy/suggest.h"
#include "tools/policy/lint_rules.h"

static const struct {
    const char *name;
    const char *about;
} rules[HGI_LINT_RULES] = {
    [HGI_LINT_DEADLINE_BEFORE_BACKOFF] = { "deadline-before-backoff",
                                           "the deadline ends before the first retry" },
    [HGI_LINT_ATTEMPTS_BEYOND_DEADLINE] = { "attempts-beyond-deadline",
                                            "the deadline has no room for all attempts" },
    [HGI_LINT_ATTEMPT_FILLS_DEADLINE] = { "attempt-fills-deadline",
                                          "one attempt that times out leaves no time to retry" },
    [HGI_LINT_NO_JITTER] = { "no-jitter", "many connections retry in step" },
    [HGI_LINT_NO_DELAY] = { "no-delay", "retries follow at once" },
    [HGI_LINT_NO_TIME_LIMIT] = { "no-time-limit", "a call may wait for ever" },
    [HGI_LINT_MAY_RUN_TWICE] = { "may-run-twice", "what must not run twice may" },
    [HGI_LINT_AMPLIFICATION] = { "amplification", "a dead server gets more than 3 times its load" },
    [HGI_LINT_BREAKER_CANNOT_CLOSE] = { "breaker-cannot-close",
                                        "the lease ends before its probes can answer" },
    [HGI_LINT_BREAKER_CANNOT_OPEN] = { "breaker-cannot-open", "no failure counts" },
    [HGI_LINT_BREAKER_OPENS_AT_ONCE] = { "breaker-opens-at-once", "one failure stops all callers" },
    [HGI_LINT_BREAKER_OPEN_FOR_LONG] = { "breaker-open-for-long",
                                         "calls are refused long after the server is back" },
    [HGI_LINT_CALLER_TRIPS_BREAKER] = { "caller-trips-breaker",
                                        "a caller's mistake counts as the server's failure" },
    [HGI_LINT_SLOW_CALL_UNSEEN] = { "slow-call-unseen", "calls time out before they are slow" },
    [HGI_LINT_FAILURES_IGNORED] = { "failures-ignored", "calls that did not happen seem well" },
    [HGI_LINT_POINTLESS_RETRY] = { "pointless-retry", "the next attempt ends the same way" },
    [HGI_LINT_NO_EFFECT] = { "no-effect", "a setting that changes nothing" },
    [HGI_LINT_POLL_BEYOND_DEADLINE] = { "poll-beyond-deadline",
                                        "calls that wait give up before the first poll" },
    [HGI_LINT_PASSWORD_IN_FILE] = { "password-in-file", "a secret lies in the policy" },
    [HGI_LINT_NOT_ENCRYPTED] = { "not-encrypted", "settings of TLS, and a URL without it" },
};

bool hgi_lint_rules_exist(const struct hgi_texts *names, struct hgi_problem *problem)
{
    for (size_t i = 0; i < names->count; i++) {
        struct hgi_suggestion suggestion;
        bool found = false;
        hgi_suggest_begin(&suggestion, names->text[i]);
        for (size_t rule = 0; rule < HGI_LINT_RULES; rule++) {
            found = found || strcmp(rules[rule].name, names->text[i]) == 0;
            hgi_suggest_offer(&suggestion, rules[rule].name);
        }
        if (!found && suggestion.best)
            return hgi_problem_set(problem, "--allow: no rule '%s': did you mean %s?",
                                   names->text[i], suggestion.best);
        if (!found)
            return hgi_problem_set(problem, "--allow: no rule '%s'; --rules lists them",
                                   names->text[i]);
    }
    return true;
}

void hgi_lint_list_rules(FILE *out)
{
    for (size_t i = 0; i < HGI_LINT_RULES; i++)
        fprintf(out, "  %-26s %s\n", rules[i].name, rules[i].about);
}

void hgi_lint_warn(struct hgi_lint *lint, enum hgi_lint_rule rule,
                   const char *const steps[HGI_STEPS_MAX], const char *what, const char *advice)
{
    for (size_t i = 0; i < lint->allowed->count; i++)
        if (strcmp(lint->allowed->text[i], rules[rule].name) == 0)
            return;
    struct hgi_finding *finding = hgi_findings_add(lint->findings);
    if (!finding) {
        lint->no_memory = true;
        return;
    }
    finding->rule = rules[rule].name;
    hgi_source_find(lint->source, steps, &finding->at);
    snprintf(finding->what, sizeof finding->what, "%s", what);
    snprintf(finding->advice, sizeof finding->advice, "%s", advice);
}

const char *hgi_lint_time(int64_t duration_ns)
{
    enum { PLACES = 8 };
    static char places[PLACES][HGI_DURATION_SIZE];
    static size_t next;
    /* To four digits: more would not be read, and it is read back all the same. */
    int64_t unit = 1;
    while (duration_ns / unit > 9999)
        unit *= 10;
    next = (next + 1) % PLACES;
    return hgi_duration_format(places[next], duration_ns / unit * unit);
}

static void put_name(struct hgi_lint_names *names, const char *between, const char *name)
{
    size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof names->text - used, "%s%s", used ? between : "", name);
}

void hgi_lint_name(struct hgi_lint_names *names, const char *name)
{
    if (names->last)
        put_name(names, ", ", names->last);
    names->last = name;
    names->count++;
}

const char *hgi_lint_names_end(struct hgi_lint_names *names)
{
    if (names->last)
        put_name(names, " and ", names->last);
    names->last = NULL;
    return names->text;
}

bool hgi_lint(const struct hgi_source *source, const struct hgi_texts *allowed,
              struct hgi_findings *findings)
{
    struct hgi_lint lint = { .source = source,
                             .settings = &source->policy->settings,
                             .allowed = allowed,
                             .findings = findings };
    hgi_lint_classes(&lint);
    hgi_lint_breaker(&lint);
    hgi_lint_whole(&lint);
    return !lint.no_memory;
}
