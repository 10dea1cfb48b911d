/* What a policy file's "errors" change in a verdict, and statuses of the user's own functions. */
#include <criterion/criterion.h>
#include <string.h>

#include "policy/classify.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct hgi_settings settings_with(struct hgi_error_rule *rules, size_t count)
{
    struct hgi_settings settings;
    memset(&settings, 0, sizeof settings);
    settings.retry_delay_ns = 100;
    settings.rules = rules;
    settings.rule_count = count;
    return settings;
}

static struct hgi_verdict judge(struct hgi_error_rule *rules, size_t count, const char *text)
{
    struct hgi_settings settings = settings_with(rules, count);
    struct hgi_fault fault = { .kind = HGI_FAULT_REPLY,
                               .text = text,
                               .text_length = strlen(text),
                               .sent_whole = true,
                               .class_kind = HGI_CLASS_WRITE };
    struct hgi_verdict v;
    hgi_classify(&settings, &fault, &v);
    return v;
}

Test(classify_rules, without_rules_the_delay_is_the_files_own)
{
    cr_expect_eq(judge(NULL, 0, "LOADING x").delay_ns, 100);
}

Test(classify_rules, a_rule_changes_only_what_it_names)
{
    struct hgi_error_rule severity = { .server_code = "OOM",
                                       .has_severity = true,
                                       .severity = HG_SEVERITY_CRITICAL,
                                       .recovery = HG_RECOVERY_IGNORE,
                                       .counts = true,
                                       .delay_ns = -1 };
    struct hgi_verdict v = judge(&severity, 1, "OOM command not allowed");
    cr_expect_eq(v.severity, HG_SEVERITY_CRITICAL);
    cr_expect_eq(v.recovery, HG_RECOVERY_RETRY_WITH_BACKOFF);
    cr_expect_eq(v.view, HGI_VIEW_NOTHING);
    cr_expect_eq(v.delay_ns, 100);
    cr_expect_eq(judge(&severity, 1, "OOMX").severity, HG_SEVERITY_LOW, "never a prefix");
    cr_expect_eq(judge(&severity, 1, "OO x").severity, HG_SEVERITY_LOW);
}

Test(classify_rules, a_rule_about_the_code_beats_one_about_the_type_in_either_order)
{
    struct hgi_error_rule type = { .type = HG_ERR_UNAVAILABLE,
                                   .has_recovery = true,
                                   .recovery = HG_RECOVERY_RETRY_WITH_DELAY,
                                   .has_severity = true,
                                   .severity = HG_SEVERITY_MEDIUM,
                                   .delay_ns = 7 };
    struct hgi_error_rule code = {
        .server_code = "LOADING", .has_recovery = true, .recovery = HG_RECOVERY_FAIL, .delay_ns = -1
    };
    for (int order = 0; order < 2; order++) {
        struct hgi_error_rule rules[] = { order ? type : code, order ? code : type };
        struct hgi_verdict loading = judge(rules, 2, "LOADING x");
        cr_expect_eq(loading.recovery, HG_RECOVERY_FAIL);
        cr_expect_eq(loading.severity, HG_SEVERITY_MEDIUM,
                     "the type's, where the code's is silent");
        cr_expect_eq(loading.delay_ns, 7);
        struct hgi_verdict busy = judge(rules, 2, "BUSY x");
        cr_expect_eq(busy.recovery, HG_RECOVERY_RETRY_WITH_DELAY, "and over the code's default");
        cr_expect_eq(judge(rules, 2, "ERR x").recovery, HG_RECOVERY_FAIL);
        cr_expect_eq(judge(rules, 2, "ERR x").delay_ns, 100);
    }
}

Test(classify_rules, counting_can_be_switched_on_and_off)
{
    struct hgi_error_rule off = { .server_code = "LOADING", .has_counts = true, .delay_ns = -1 };
    struct hgi_error_rule on = {
        .server_code = "OOM", .has_counts = true, .counts = true, .delay_ns = -1
    };
    struct hgi_error_rule silent = { .type = HG_ERR_SERVER, .has_counts = true, .delay_ns = -1 };
    cr_expect_eq(judge(&off, 1, "LOADING x").view, HGI_VIEW_NOTHING);
    cr_expect_eq(judge(&on, 1, "OOM x").view, HGI_VIEW_FAILURE);
    cr_expect_eq(judge(&silent, 1, "WRONGTYPE x").view, HGI_VIEW_SUCCESS,
                 "an answer stays the sign of life that it is");
}

Test(classify_rules, no_rule_makes_a_callers_hurry_the_servers_failure)
{
    struct hgi_error_rule rule = {
        .type = HG_ERR_TIMEOUT, .has_counts = true, .counts = true, .delay_ns = -1
    };
    struct hgi_settings settings = settings_with(&rule, 1);
    struct hgi_fault fault = { .kind = HGI_FAULT_DEADLINE, .sent_whole = true };
    struct hgi_verdict v;
    hgi_classify(&settings, &fault, &v);
    cr_expect_eq(v.view, HGI_VIEW_NOTHING);
    fault.full_attempt = true;
    hgi_classify(&settings, &fault, &v);
    cr_expect_eq(v.view, HGI_VIEW_FAILURE);
}

Test(classify_rules, no_rule_changes_an_outcome_or_saves_a_connection)
{
    struct hgi_error_rule rules[] = {
        { .type = HG_ERR_CONNECTION,
          .has_recovery = true,
          .recovery = HG_RECOVERY_IGNORE,
          .has_counts = true,
          .delay_ns = -1 },
    };
    struct hgi_settings settings = settings_with(rules, 1);
    struct hgi_fault fault = { .kind = HGI_FAULT_IO, .sent_whole = true };
    struct hgi_verdict v;
    hgi_classify(&settings, &fault, &v);
    cr_expect_eq(v.recovery, HG_RECOVERY_IGNORE);
    cr_expect_eq(v.view, HGI_VIEW_NOTHING);
    cr_expect_eq(v.outcome, HG_OUTCOME_UNKNOWN);
    cr_expect_eq(v.fate, HGI_FATE_CLOSE);
}

Test(classify_status, a_functions_status_has_its_types_defaults)
{
    static const struct {
        hg_status status;
        hg_severity severity;
        hg_recovery recovery;
        enum hgi_breaker_view view;
    } promised[] = {
        { HG_OK, HG_SEVERITY_LOW, HG_RECOVERY_FAIL, HGI_VIEW_SUCCESS },
        { HG_ERR_CONNECTION, HG_SEVERITY_HIGH, HG_RECOVERY_RETRY_WITH_BACKOFF, HGI_VIEW_FAILURE },
        { HG_ERR_TIMEOUT, HG_SEVERITY_MEDIUM, HG_RECOVERY_RETRY_WITH_BACKOFF, HGI_VIEW_FAILURE },
        { HG_ERR_VALIDATION, HG_SEVERITY_LOW, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { HG_ERR_NOT_FOUND, HG_SEVERITY_LOW, HG_RECOVERY_IGNORE, HGI_VIEW_SUCCESS },
        { HG_ERR_SERIALIZATION, HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { HG_ERR_CIRCUIT_OPEN, HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { HG_ERR_UNAVAILABLE, HG_SEVERITY_HIGH, HG_RECOVERY_RETRY_WITH_BACKOFF, HGI_VIEW_FAILURE },
        { HG_ERR_POOL_TIMEOUT, HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { HG_ERR_SERVER, HG_SEVERITY_LOW, HG_RECOVERY_FAIL, HGI_VIEW_SUCCESS },
        { HG_ERR_AUTH, HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { HG_ERR_PROTOCOL, HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL, HGI_VIEW_FAILURE },
        { HG_ERR_CLOSED, HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { HG_ERR_NO_MEMORY, HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { (hg_status)-99, HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
        { (hg_status)7, HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL, HGI_VIEW_NOTHING },
    };
    struct hgi_settings settings = settings_with(NULL, 0);
    for (size_t i = 0; i < COUNT_OF(promised); i++) {
        struct hgi_verdict v;
        hgi_classify_status(&settings, promised[i].status, i % 2 ? "" : NULL, &v);
        cr_expect_eq(v.type, promised[i].status);
        cr_expect_eq(v.severity, promised[i].severity, "%s", hg_status_name(promised[i].status));
        cr_expect_eq(v.recovery, promised[i].recovery, "%s", hg_status_name(promised[i].status));
        cr_expect_eq(v.view, promised[i].view, "%s", hg_status_name(promised[i].status));
        cr_expect_eq(v.outcome, HG_OUTCOME_UNKNOWN);
    }
}

Test(classify_status, a_code_says_more_where_it_agrees_with_the_type)
{
    struct hgi_settings settings = settings_with(NULL, 0);
    struct hgi_verdict v;
    hgi_classify_status(&settings, HG_ERR_UNAVAILABLE, "LOADING", &v);
    cr_expect_eq(v.recovery, HG_RECOVERY_WAIT_AND_RETRY);
    cr_expect_str_eq(v.code, "LOADING");
    hgi_classify_status(&settings, HG_ERR_UNAVAILABLE, "READONLY", &v);
    cr_expect_eq(v.view, HGI_VIEW_NOTHING);
    cr_expect_eq(v.fate, HGI_FATE_DROP_EPOCH);
    hgi_classify_status(&settings, HG_ERR_SERVER, "LOADING", &v);
    cr_expect_eq(v.recovery, HG_RECOVERY_FAIL, "the function named the type");
    cr_expect_eq(v.view, HGI_VIEW_SUCCESS);
    hgi_classify_status(&settings, HG_ERR_UNAVAILABLE, "MINE", &v);
    cr_expect_eq(v.recovery, HG_RECOVERY_RETRY_WITH_BACKOFF);
}

Test(classify_status, rules_apply_by_type_and_by_code)
{
    struct hgi_error_rule rules[] = {
        { .server_code = "MINE",
          .has_recovery = true,
          .recovery = HG_RECOVERY_RETRY_WITH_DELAY,
          .delay_ns = 5 },
        { .type = HG_ERR_SERVER,
          .has_recovery = true,
          .recovery = HG_RECOVERY_IGNORE,
          .delay_ns = -1 },
    };
    struct hgi_settings settings = settings_with(rules, 2);
    struct hgi_verdict v;
    hgi_classify_status(&settings, HG_ERR_SERVER, "MINE", &v);
    cr_expect_eq(v.recovery, HG_RECOVERY_RETRY_WITH_DELAY);
    cr_expect_eq(v.delay_ns, 5);
    hgi_classify_status(&settings, HG_ERR_SERVER, "", &v);
    cr_expect_eq(v.recovery, HG_RECOVERY_IGNORE);
    hgi_classify_status(&settings, HG_OK, "", &v);
    cr_expect_eq(v.recovery, HG_RECOVERY_FAIL);
}
