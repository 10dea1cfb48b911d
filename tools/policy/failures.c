/* What follows which failure: the library's own classification and decision, asked for each kind of
 * failure that there is, and those with one answer put together. */
#include <errno.h>
#include <string.h>

#include "breaker/clock.h"
#include "policy/loop.h"
#include "tools/policy/explain.h"

static bool goes_on(const struct hgi_class *op_class, hg_outcome outcome, bool fenced)
{
    struct hgi_plan plan = { .op_class = op_class, .fenced = fenced };
    return hgi_loop_repeatable(&plan, outcome);
}

/* Behind a proxy there is no fence: the connections that the server knows are not ours. */
static enum hgi_again again_after(const struct hgi_explanation *e, hg_outcome outcome)
{
    if (goes_on(e->op_class, outcome, false))
        return HGI_AGAIN_YES;
    return !e->settings->proxy && goes_on(e->op_class, outcome, true) ? HGI_AGAIN_FENCED
                                                                      : HGI_AGAIN_NO;
}

static bool is_same(const struct hgi_failure *failure, const struct hgi_verdict *verdict)
{
    const struct hgi_verdict *v = &failure->verdict;
    return v->type == verdict->type && v->severity == verdict->severity &&
           v->recovery == verdict->recovery && v->outcome == verdict->outcome &&
           v->view == verdict->view && v->fate == verdict->fate && v->delay_ns == verdict->delay_ns;
}

/* Into the row above it, if that says the same and has room. */
static void add(struct hgi_explanation *e, const struct hgi_fault *fault, const char *when,
                bool is_code)
{
    struct hgi_verdict verdict;
    struct hgi_failure *last = e->failures ? &e->failure[e->failures - 1] : NULL;
    hgi_classify(e->settings, fault, &verdict);
    hgi_classify_in_class(e->settings, e->op_class, &verdict);
    if (is_code && last && last->verdict.code[0] && is_same(last, &verdict) &&
        strlen(last->when) + strlen(when) + 3 < sizeof last->when) {
        strcat(last->when, ", "); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
        strcat(last->when, when); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
        return;
    }
    if (e->failures == HGI_FAILURES_MAX)
        return;
    struct hgi_failure *failure = &e->failure[e->failures++];
    snprintf(failure->when, sizeof failure->when, "%s", when);
    failure->verdict = verdict;
    failure->again = again_after(e, verdict.outcome);
}

static void add_code(struct hgi_explanation *e, const char *code)
{
    struct hgi_fault fault = { .kind = HGI_FAULT_REPLY,
                               .text = code,
                               .text_length = strlen(code),
                               .sent_whole = true,
                               .opaque = e->facts.opaque || e->settings->proxy,
                               .class_kind = e->op_class->kind };
    add(e, &fault, code, true);
}

static bool is_known(const char *code)
{
    for (size_t i = 0; hgi_server_code_name(i); i++)
        if (strcmp(hgi_server_code_name(i), code) == 0)
            return true;
    return false;
}

/* Codes that only the file knows. */
static void add_new_codes(struct hgi_explanation *e, const struct hgi_error_rule *rules,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].type == HG_OK && !is_known(rules[i].server_code))
            add_code(e, rules[i].server_code);
}

void hgi_explain_failures(struct hgi_explanation *e)
{
    static const struct {
        const char *when;
        struct hgi_fault fault;
    } transport[] = {
        { "no connection could be made", { .kind = HGI_FAULT_DIAL, .sys_errno = ECONNREFUSED } },
        { "no connection in time", { .kind = HGI_FAULT_DIAL, .sys_errno = ETIMEDOUT } },
        { "connection lost before it had left", { .kind = HGI_FAULT_IO, .sys_errno = ECONNRESET } },
        { "connection lost after that",
          { .kind = HGI_FAULT_IO, .sys_errno = ECONNRESET, .sent_whole = true } },
        { "no reply within attempt_timeout",
          { .kind = HGI_FAULT_DEADLINE, .sent_whole = true, .full_attempt = true } },
        { "a reply that is not RESP", { .kind = HGI_FAULT_PROTOCOL, .sent_whole = true } },
    };
    static const char full_house[] = "ERR max number of clients reached";
    for (int outcome = 0; outcome <= HG_OUTCOME_EXECUTED; outcome++)
        e->again[outcome] = again_after(e, (hg_outcome)outcome);
    for (size_t i = 0; i < sizeof transport / sizeof transport[0]; i++) {
        struct hgi_fault fault = transport[i].fault;
        fault.class_kind = e->op_class->kind;
        add(e, &fault, transport[i].when, false);
    }
    struct hgi_fault refusal = { .kind = HGI_FAULT_DIAL,
                                 .text = full_house,
                                 .text_length = sizeof full_house - 1 };
    add(e, &refusal, "the server has max clients", false);
    for (size_t i = 0; hgi_server_code_name(i); i++)
        add_code(e, hgi_server_code_name(i));
    add_new_codes(e, e->settings->rules, e->settings->rule_count);
    if (e->op_class->rule_count > 0)
        add_new_codes(e, e->settings->class_rules + e->op_class->first_rule,
                      e->op_class->rule_count);
}
