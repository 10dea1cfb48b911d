/* Rules about the rest: what errors mean, waiting, secrets, encryption. */
#include <stdlib.h>
#include <string.h>

#include "policy/classify.h"
#include "tools/policy/lint_rules.h"

/* What the library makes of the rule's subject before the file says anything. */
static void judge_by_default(const struct hgi_error_rule *rule, struct hgi_verdict *out)
{
    static struct hgi_settings defaults;
    hgi_settings_defaults(&defaults);
    if (rule->type != HG_OK) {
        hgi_classify_status(&defaults, rule->type, "", out);
        return;
    }
    struct hgi_fault fault = { .kind = HGI_FAULT_REPLY,
                               .text = rule->server_code,
                               .text_length = strlen(rule->server_code),
                               .sent_whole = true,
                               .class_kind = HGI_CLASS_READ };
    hgi_classify(&defaults, &fault, out);
}

/* The key that the rule has in the file. */
static const char *subject(const struct hgi_error_rule *rule, char out[64])
{
    if (rule->type == HG_OK) {
        snprintf(out, 64, "server:%s", rule->server_code);
        return out;
    }
    snprintf(out, 64, "%s", hg_status_name(rule->type));
    for (char *at = out; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return out;
}

static bool is_known(const char *code)
{
    for (size_t i = 0; hgi_server_code_name(i); i++)
        if (strcmp(hgi_server_code_name(i), code) == 0)
            return true;
    return false;
}

static bool is_retry(hg_recovery recovery)
{
    return recovery == HG_RECOVERY_RETRY_WITH_BACKOFF || recovery == HG_RECOVERY_RETRY_WITH_DELAY ||
           recovery == HG_RECOVERY_WAIT_AND_RETRY;
}

/* Where a rule's field is: of all classes, or of one. */
struct place {
    const char *class_name; /* or NULL */
    const char *key;
    const char *steps[HGI_STEPS_MAX];
};

static const char *const *steps_to(struct place *place, const char *field)
{
    size_t used = 0;
    memset(place->steps, 0, sizeof place->steps);
    if (place->class_name) {
        place->steps[used++] = "classes";
        place->steps[used++] = place->class_name;
    }
    place->steps[used++] = "errors";
    place->steps[used++] = place->key;
    place->steps[used] = field;
    return place->steps;
}

static void check_recovery(struct hgi_lint *lint, const struct hgi_error_rule *rule,
                           const struct hgi_verdict *by_default, struct place *place)
{
    const char *key = place->key;
    const char *const *steps = steps_to(place, "recovery");
    char what[400];
    /* Of a code that is a module's own, the file's writer knows more. */
    bool known = rule->type != HG_OK || is_known(rule->server_code);
    bool lost =
        rule->type != HG_OK ? rule->type != HG_ERR_NOT_FOUND : by_default->type != HG_ERR_SERVER;
    if (rule->recovery == HG_RECOVERY_IGNORE && lost) {
        snprintf(what, sizeof what,
                 "A call that fails with %s is ignored: it gives HG_IGNORED, no error, and what it "
                 "asked for was not done.",
                 key);
        hgi_lint_warn(lint, HGI_LINT_FAILURES_IGNORED, steps, what,
                      "Leave the recovery as it is by default, and let the caller decide.");
    }
    if (is_retry(rule->recovery) && known && by_default->recovery == HG_RECOVERY_FAIL) {
        snprintf(what, sizeof what,
                 "%s is tried again, but the same call gets the same answer: retries only cost.",
                 key);
        hgi_lint_warn(lint, HGI_LINT_POINTLESS_RETRY, steps, what, "Write \"recovery\": \"fail\".");
    }
}

static void check_rule(struct hgi_lint *lint, const struct hgi_error_rule *rule,
                       const char *class_name)
{
    char key[64];
    char what[400];
    struct hgi_verdict by_default;
    judge_by_default(rule, &by_default);
    subject(rule, key);
    struct place place = { .class_name = class_name, .key = key };
    if (rule->has_recovery)
        check_recovery(lint, rule, &by_default, &place);
    bool callers = by_default.view == HGI_VIEW_SUCCESS || rule->type == HG_ERR_VALIDATION ||
                   rule->type == HG_ERR_SERIALIZATION;
    if (rule->has_counts && rule->counts && callers && lint->settings->breaker_enabled) {
        snprintf(what, sizeof what,
                 "%s counts for the breaker, but it is an answer of a healthy server to a wrong "
                 "question: one caller's mistake refuses all others.",
                 key);
        hgi_lint_warn(lint, HGI_LINT_CALLER_TRIPS_BREAKER, steps_to(&place, "counts"), what,
                      "Remove \"counts\".");
    }
    hg_recovery recovery = rule->has_recovery ? rule->recovery : by_default.recovery;
    if (rule->delay_ns >= 0 && recovery != HG_RECOVERY_RETRY_WITH_DELAY) {
        snprintf(what, sizeof what,
                 "The \"delay\" of %s belongs to retry_with_delay, and its recovery is %s.", key,
                 hg_recovery_name(recovery));
        hgi_lint_warn(lint, HGI_LINT_NO_EFFECT, steps_to(&place, "delay"), what,
                      "Write \"recovery\": \"retry_with_delay\", or remove it.");
    }
}

static void check_poll(struct hgi_lint *lint)
{
    const char *steps[HGI_STEPS_MAX] = { "recovery", "poll" };
    const int64_t poll_ns = lint->settings->condition_poll_ns;
    struct hgi_lint_names names = { .count = 0 };
    struct hgi_spot spot;
    char what[400];
    bool set = hgi_source_find(lint->source, steps, &spot) == 2;
    for (uint32_t i = 0; i < lint->settings->class_count; i++) {
        const struct hgi_class *c = &lint->settings->classes[i];
        if (c->retry.max_attempts == 1 || c->deadline_ns < 0 || c->deadline_ns > poll_ns)
            continue;
        if (!set && names.count == 0)
            memcpy(steps, (const char *[]) { "classes", c->name, "deadline" }, 3 * sizeof *steps);
        hgi_lint_name(&names, c->name);
    }
    if (names.count == 0)
        return;
    snprintf(what, sizeof what,
             "While the server says LOADING, BUSY or MASTERDOWN it is asked every %s whether it is "
             "well; calls of %s have given up before they know.",
             hgi_lint_time(poll_ns), hgi_lint_names_end(&names));
    hgi_lint_warn(lint, HGI_LINT_POLL_BEYOND_DEADLINE, steps, what,
                  "Set \"poll\" of \"recovery\" to a small part of the deadline.");
}

static void check_password(struct hgi_lint *lint)
{
    const char *password[HGI_STEPS_MAX] = { "server", "password" };
    const char *variable[HGI_STEPS_MAX] = { "server", "password_env" };
    const char *file[HGI_STEPS_MAX] = { "server", "password_file" };
    const char *url[HGI_STEPS_MAX] = { "server", "url" };
    struct hgi_spot spot;
    bool written = hgi_source_find(lint->source, password, &spot) == 2;
    bool elsewhere = hgi_source_find(lint->source, variable, &spot) == 2 ||
                     hgi_source_find(lint->source, file, &spot) == 2;
    bool in_url = lint->settings->server.password[0] && !written && !elsewhere;
    if (written || in_url)
        hgi_lint_warn(
            lint, HGI_LINT_PASSWORD_IN_FILE, written ? password : url,
            "The password stands in the policy, where every copy and every review of the "
            "file shows it.",
            "Name a variable (\"password_env\") or a file of its own (\"password_file\").");
}

static void check_encryption(struct hgi_lint *lint)
{
    const char *tls[HGI_STEPS_MAX] = { "server", "tls" };
    struct hgi_spot spot;
    if (hgi_source_find(lint->source, tls, &spot) == 2 && !lint->settings->server.tls)
        hgi_lint_warn(
            lint, HGI_LINT_NOT_ENCRYPTED, tls,
            "The URL does not begin with rediss://, so connections are not encrypted, and "
            "nobody looks who answers: the settings of \"tls\" are not used.",
            "Write rediss:// in \"url\", or remove \"tls\".");
}

void hgi_lint_whole(struct hgi_lint *lint)
{
    const struct hgi_settings *settings = lint->settings;
    for (size_t i = 0; i < settings->rule_count; i++)
        check_rule(lint, &settings->rules[i], NULL);
    for (uint32_t c = 0; c < settings->class_count; c++)
        for (uint32_t i = 0; i < settings->classes[c].rule_count; i++)
            check_rule(lint, &settings->class_rules[settings->classes[c].first_rule + i],
                       settings->classes[c].name);
    check_poll(lint);
    check_password(lint);
    check_encryption(lint);
}
