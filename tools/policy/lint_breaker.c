/* Rules about the breaker: whether it opens when it should, and closes again. */
#include <errno.h>
#include <string.h>

#include "breaker/clock.h"
#include "policy/classify.h"
#include "tools/policy/lint_rules.h"

/* Dark for longer than this, most services look broken after the server is well. */
#define OPEN_FOR_LONG (60 * HGI_NS_PER_S)

/* The longest that an attempt can take; INT64_MAX: no limit. */
static int64_t longest(const struct hgi_class *c)
{
    if (c->attempt_timeout_ns >= 0 &&
        (c->deadline_ns < 0 || c->attempt_timeout_ns < c->deadline_ns))
        return c->attempt_timeout_ns;
    return c->deadline_ns < 0 ? INT64_MAX : c->deadline_ns;
}

/* A command that waits in the server is no probe: a PING before it is, which answers at once. */
static void check_lease(struct hgi_lint *lint)
{
    const char *steps[HGI_STEPS_MAX] = { "breaker", "probe_lease" };
    const int64_t lease_ns = lint->settings->breaker.probe_lease_ns;
    struct hgi_lint_names names = { .count = 0 };
    struct hgi_spot spot;
    char what[400];
    for (uint32_t i = 0; i < lint->settings->class_count; i++) {
        const struct hgi_class *c = &lint->settings->classes[i];
        if (c->kind != HGI_CLASS_BLOCKING && longest(c) > lease_ns) {
            hgi_lint_name(&names, c->name);
            if (hgi_source_find(lint->source, steps, &spot) < 2)
                memcpy(steps, (const char *[]) { "classes", c->name, "attempt_timeout" },
                       3 * sizeof *steps);
        }
    }
    if (names.count == 0)
        return;
    snprintf(what, sizeof what,
             "A probe of the breaker is lost after %s (\"probe_lease\"), and calls of %s may take "
             "longer: while the server answers slowly, the breaker opens again before a probe can "
             "close it.",
             hgi_lint_time(lease_ns), hgi_lint_names_end(&names));
    hgi_lint_warn(lint, HGI_LINT_BREAKER_CANNOT_CLOSE, steps, what,
                  "Set \"probe_lease\" above every \"attempt_timeout\".");
}

static enum hgi_breaker_view view_of(const struct hgi_settings *settings, enum hgi_fault_kind kind,
                                     const char *text)
{
    struct hgi_verdict verdict;
    struct hgi_fault fault = { .kind = kind,
                               .sys_errno = ECONNRESET,
                               .text = text,
                               .text_length = text ? strlen(text) : 0,
                               .sent_whole = true,
                               .full_attempt = true,
                               .class_kind = HGI_CLASS_READ };
    hgi_classify(settings, &fault, &verdict);
    return verdict.view;
}

static void check_counting(struct hgi_lint *lint)
{
    static const char *const steps[HGI_STEPS_MAX] = { "errors" };
    const struct hgi_settings *settings = lint->settings;
    if (view_of(settings, HGI_FAULT_IO, NULL) != HGI_VIEW_FAILURE &&
        view_of(settings, HGI_FAULT_DEADLINE, NULL) != HGI_VIEW_FAILURE &&
        (settings->breaker.window_length_ns == 0 || settings->breaker.window_slow_call_ns <= 0))
        hgi_lint_warn(lint, HGI_LINT_BREAKER_CANNOT_OPEN, steps,
                      "Neither lost connections nor timeouts count for the breaker: it stays "
                      "closed while the server is away.",
                      "Remove \"counts\": false from \"connection\" or \"timeout\", or switch the "
                      "breaker off (\"enabled\": false).");
}

static void check_opening(struct hgi_lint *lint)
{
    const struct hg_breaker_options *breaker = &lint->settings->breaker;
    const char *threshold[HGI_STEPS_MAX] = { "breaker", "failure_threshold" };
    const char *most[HGI_STEPS_MAX] = { "breaker", "recovery_timeout_max" };
    const char *first[HGI_STEPS_MAX] = { "breaker", "recovery_timeout" };
    bool grows = breaker->recovery_timeout_ns < breaker->recovery_timeout_max_ns &&
                 breaker->recovery_multiplier > 1;
    int64_t longest_ns = grows ? breaker->recovery_timeout_max_ns : breaker->recovery_timeout_ns;
    char what[400];
    if (breaker->failure_threshold == 1)
        hgi_lint_warn(lint, HGI_LINT_BREAKER_OPENS_AT_ONCE, threshold,
                      "One lost connection or one slow reply opens the breaker, and all callers "
                      "are refused.",
                      "Write 3 or more for \"failure_threshold\".");
    if (longest_ns > OPEN_FOR_LONG) {
        snprintf(what, sizeof what,
                 "The breaker may stay open for %s: for so long are calls refused after the server "
                 "is back.",
                 hgi_lint_time(longest_ns));
        hgi_lint_warn(
            lint, HGI_LINT_BREAKER_OPEN_FOR_LONG, grows ? most : first, what,
            "Write \"10s\" for \"recovery_timeout_max\"; a probe costs the server little.");
    }
}

static void check_slow(struct hgi_lint *lint)
{
    const char *steps[HGI_STEPS_MAX] = { "breaker", "window", "slow_call" };
    const struct hg_breaker_options *breaker = &lint->settings->breaker;
    int64_t most_ns = 0;
    char what[400];
    for (uint32_t i = 0; i < lint->settings->class_count; i++) {
        const struct hgi_class *c = &lint->settings->classes[i];
        if (c->kind != HGI_CLASS_BLOCKING && longest(c) > most_ns)
            most_ns = longest(c);
    }
    if (breaker->window_length_ns == 0 || breaker->window_slow_call_ns <= 0 ||
        breaker->window_slow_call_ns < most_ns)
        return;
    snprintf(what, sizeof what,
             "A call is slow from %s on, and every attempt has timed out by %s: no call is ever "
             "slow.",
             hgi_lint_time(breaker->window_slow_call_ns), hgi_lint_time(most_ns));
    hgi_lint_warn(lint, HGI_LINT_SLOW_CALL_UNSEEN, steps, what,
                  "Set \"slow_call\" below \"attempt_timeout\", or to \"off\".");
}

void hgi_lint_breaker(struct hgi_lint *lint)
{
    if (!lint->settings->breaker_enabled)
        return;
    check_lease(lint);
    check_counting(lint);
    check_opening(lint);
    check_slow(lint);
}
