/* Rules about the classes: what their attempts, delays and deadlines come to. */
#include <stdlib.h>
#include <string.h>

#include "policy/classify.h"
#include "tools/common/terminal.h"
#include "tools/policy/lint_rules.h"
#include "tools/policy/outlook.h"

enum { FEW_CONNECTIONS = 8 };

/* Of a class: the first of the keys that the file has in it, or the class itself. */
static void warn_class(struct hgi_lint *lint, enum hgi_lint_rule rule,
                       const struct hgi_class *op_class, const char *const keys[2],
                       const char *what, const char *advice)
{
    const char *best[HGI_STEPS_MAX] = { "classes", op_class->name, keys[0] };
    const char *second[HGI_STEPS_MAX] = { "classes", op_class->name, keys[1] };
    struct hgi_spot spot;
    bool first = hgi_source_find(lint->source, best, &spot) == 3;
    hgi_lint_warn(lint, rule, first || !keys[1] ? best : second, what, advice);
}

static const char *const by_deadline[] = { "deadline", "retry" };
static const char *const by_timeout[] = { "attempt_timeout", "deadline" };
static const char *const by_retry[] = { "retry", "deadline" };

static bool repeats(const struct hgi_settings *settings, hg_status type)
{
    struct hgi_verdict verdict;
    hgi_classify_status(settings, type, "", &verdict);
    return verdict.recovery == HG_RECOVERY_RETRY_WITH_BACKOFF ||
           verdict.recovery == HG_RECOVERY_RETRY_WITH_DELAY ||
           verdict.recovery == HG_RECOVERY_WAIT_AND_RETRY;
}

/* What times out may be tried again: so timeouts add up. */
static bool repeats_timeouts(const struct hgi_lint *lint, const struct hgi_class *op_class)
{
    return op_class->retry_unknown && op_class->kind != HGI_CLASS_BLOCKING &&
           repeats(lint->settings, HG_ERR_TIMEOUT);
}

static bool warn_of_first_delay(struct hgi_lint *lint, const struct hgi_class *c)
{
    char what[400];
    char advice[240];
    int64_t first_ns = hg_retry_delay(&c->retry, 0);
    if (c->deadline_ns > first_ns)
        return false;
    snprintf(what, sizeof what,
             "The class %s may take %s in all, and its first retry follows after %s: it has no "
             "retry, whatever max_attempts says.",
             c->name, hgi_lint_time(c->deadline_ns), hgi_lint_time(first_ns));
    snprintf(advice, sizeof advice,
             "Raise \"deadline\" above %s, lower \"initial_delay\", or write \"retry\": \"none\".",
             hgi_lint_time(first_ns));
    warn_class(lint, HGI_LINT_DEADLINE_BEFORE_BACKOFF, c, by_deadline, what, advice);
    return true;
}

static bool warn_of_long_attempt(struct hgi_lint *lint, const struct hgi_class *c)
{
    char what[400];
    int64_t first_ns = hg_retry_delay(&c->retry, 0);
    bool endless = c->attempt_timeout_ns < 0;
    if (!repeats_timeouts(lint, c) ||
        (!endless && c->attempt_timeout_ns < c->deadline_ns - first_ns))
        return false;
    if (endless)
        snprintf(what, sizeof what,
                 "An attempt of the class %s may take all of its deadline of %s: one that gets no "
                 "reply is never tried again.",
                 c->name, hgi_lint_time(c->deadline_ns));
    else
        snprintf(
            what, sizeof what,
            "An attempt of the class %s may take %s, and with the first delay of %s that is its "
            "deadline of %s: one that gets no reply is never tried again.",
            c->name, hgi_lint_time(c->attempt_timeout_ns), hgi_lint_time(first_ns),
            hgi_lint_time(c->deadline_ns));
    warn_class(
        lint, HGI_LINT_ATTEMPT_FILLS_DEADLINE, c, by_timeout, what,
        "Lower \"attempt_timeout\" to a few times the usual latency, or raise \"deadline\".");
    return true;
}

/* Two sums, each without the other: what neither has room for has no room at all. */
static void warn_of_many_attempts(struct hgi_lint *lint, const struct hgi_class *c,
                                  const struct hgi_outlook *o, bool long_attempt)
{
    char what[400];
    char advice[240];
    int64_t timeouts_ns = (int64_t)(o->attempts - 1) * (o->attempt_ns < 0 ? 0 : o->attempt_ns);
    bool delays = o->delays_mean_ns >= c->deadline_ns;
    bool timeouts = repeats_timeouts(lint, c) && !long_attempt && timeouts_ns >= c->deadline_ns;
    if (!delays && !timeouts)
        return;
    snprintf(what, sizeof what,
             "The deadline of the class %s, %s, has no room for its %u attempts: %s come to %s.",
             c->name, hgi_lint_time(c->deadline_ns), (unsigned)o->attempts,
             delays ? "the delays alone" : "those before the last, timed out,",
             hgi_lint_time(delays ? o->delays_mean_ns : timeouts_ns));
    snprintf(advice, sizeof advice,
             "Lower \"max_attempts\", or raise \"deadline\" to %s, where all of them fit.",
             hgi_lint_time(o->delays_most_ns +
                           (int64_t)o->attempts * (o->attempt_ns < 0 ? 0 : o->attempt_ns)));
    warn_class(lint, HGI_LINT_ATTEMPTS_BEYOND_DEADLINE, c, by_deadline, what, advice);
}

static void check_time(struct hgi_lint *lint, const struct hgi_class *c)
{
    struct hgi_outlook outlook;
    if (c->deadline_ns < 0 || c->retry.max_attempts == 1 || warn_of_first_delay(lint, c))
        return;
    if (!hgi_outlook(&outlook, lint->settings, c, 0)) {
        lint->no_memory = true;
        return;
    }
    warn_of_many_attempts(lint, c, &outlook, warn_of_long_attempt(lint, c));
}

static void check_delays(struct hgi_lint *lint, const struct hgi_class *c)
{
    const struct hg_retry *retry = &c->retry;
    const uint32_t connections = lint->settings->pool.max_size;
    bool in_step = retry->jitter == HG_JITTER_NONE ||
                   (retry->jitter == HG_JITTER_ADDITIVE && retry->jitter_ratio == 0);
    char what[400];
    if (retry->max_attempts == 1)
        return;
    if (hg_retry_delay(retry, 0) == 0) {
        snprintf(what, sizeof what,
                 "The class %s makes its %u attempts one right after the other: a server that is "
                 "briefly away is still away, and one that is overloaded gets more.",
                 c->name, (unsigned)retry->max_attempts);
        warn_class(lint, HGI_LINT_NO_DELAY, c, by_retry, what,
                   "Set \"initial_delay\" and \"max_delay\", or name a preset such as \"fast\".");
    } else if (in_step && connections > FEW_CONNECTIONS) {
        snprintf(what, sizeof what,
                 "The class %s retries without jitter: callers on up to %u connections that fail "
                 "together come back together, again and again.",
                 c->name, (unsigned)connections);
        warn_class(lint, HGI_LINT_NO_JITTER, c, by_retry, what,
                   "Add \"jitter\": \"full\" (or \"equal\", \"decorrelated\") to its \"retry\".");
    }
}

static void check_end(struct hgi_lint *lint, const struct hgi_class *c)
{
    char what[400];
    bool endless = c->attempt_timeout_ns < 0;
    if (c->kind == HGI_CLASS_BLOCKING || c->deadline_ns >= 0 ||
        (!endless && lint->settings->pool.acquire_timeout_ns >= 0))
        return;
    snprintf(what, sizeof what,
             "The class %s has no deadline, and nothing else ends its wait for %s: a call may "
             "hang for ever.",
             c->name, endless ? "a reply" : "a connection of the pool");
    warn_class(lint, HGI_LINT_NO_TIME_LIMIT, c, by_deadline, what,
               endless ? "Give it a \"deadline\", or an \"attempt_timeout\" and the pool an "
                         "\"acquire_timeout\"."
                       : "Give it a \"deadline\", or the pool an \"acquire_timeout\".");
}

static void check_twice(struct hgi_lint *lint, const struct hgi_class *c)
{
    static const char *const keys[] = { "retry_unknown", NULL };
    char what[400];
    if (c->kind == HGI_CLASS_READ || c->kind == HGI_CLASS_WRITE || !c->retry_unknown ||
        c->retry.max_attempts == 1)
        return;
    snprintf(what, sizeof what,
             "The class %s is one of %s, and is tried again when it may have run: a counter may "
             "grow twice, an element be pushed twice.",
             c->name, lint->settings->classes[c->kind].name);
    warn_class(lint, HGI_LINT_MAY_RUN_TWICE, c, keys, what,
               "Remove \"retry_unknown\" unless its commands are safe to repeat; then base the "
               "class on \"write\".");
}

/* The class's own word that another of its words makes void. */
static void check_ratio(struct hgi_lint *lint, const struct hgi_class *c)
{
    const char *steps[HGI_STEPS_MAX] = { "classes", c->name, "retry", "jitter_ratio" };
    struct hgi_spot spot;
    char what[400];
    if (c->retry.jitter == HG_JITTER_ADDITIVE || hgi_source_find(lint->source, steps, &spot) < 4)
        return;
    snprintf(what, sizeof what,
             "The \"jitter_ratio\" of the class %s is one of additive jitter, which it has not.",
             c->name);
    hgi_lint_warn(lint, HGI_LINT_NO_EFFECT, steps, what,
                  "Write \"jitter\": \"additive\", or remove it.");
}

static void check_amplification(struct hgi_lint *lint)
{
    const char *steps[HGI_STEPS_MAX] = { "retry_budget", "enabled" };
    struct hgi_lint_names names = { .count = 0 };
    char what[400];
    char callers[32];
    char attempts[32];
    double most = 0;
    for (uint32_t i = 0; i < lint->settings->class_count; i++) {
        const struct hgi_class *c = &lint->settings->classes[i];
        struct hgi_outlook outlook;
        if (!hgi_outlook(&outlook, lint->settings, c, 0)) {
            lint->no_memory = true;
            return;
        }
        double each = hgi_outlook_attempts(lint->settings, &outlook, HGI_AMPLIFICATION_CALLERS) /
                      HGI_AMPLIFICATION_CALLERS;
        if (each > HGI_AMPLIFICATION_MOST)
            hgi_lint_name(&names, c->name);
        most = each > most ? each : most;
    }
    if (names.count == 0)
        return;
    snprintf(
        what, sizeof what,
        "When the server is down, %s calls of %s become up to %s attempts, %.1f times the "
        "load, %s.",
        hgi_format_count(callers, sizeof callers, (uint64_t)HGI_AMPLIFICATION_CALLERS),
        hgi_lint_names_end(&names),
        hgi_format_count(attempts, sizeof attempts, (uint64_t)(most * HGI_AMPLIFICATION_CALLERS)),
        most,
        lint->settings->budget.enabled ? "so much does the retry budget allow"
                                       : "with the retry budget off");
    hgi_lint_warn(
        lint, HGI_LINT_AMPLIFICATION, steps, what,
        lint->settings->budget.enabled
            ? "Lower \"min_per_second\", \"initial\" or \"window\" of \"retry_budget\", or "
              "\"max_attempts\"."
            : "Leave the retry budget on, or lower \"max_attempts\" to 3.");
}

void hgi_lint_classes(struct hgi_lint *lint)
{
    for (uint32_t i = 0; i < lint->settings->class_count; i++) {
        const struct hgi_class *c = &lint->settings->classes[i];
        check_time(lint, c);
        check_delays(lint, c);
        check_end(lint, c);
        check_twice(lint, c);
        check_ratio(lint, c);
    }
    check_amplification(lint);
}
