/* The policy file: what it sets, and what is wrong with one, with line, column and pointer. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "policy/classify.h"
#include "policy/settings.h"

static hg_policy *parse(const char *json, struct hg_error *err)
{
    hg_policy *policy;
    (void)hg_policy_parse(&policy, json, strlen(json), "f.json", err);
    return policy;
}

static void expect_error(const char *json, const char *begins, const char *contains)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy = parse(json, &err);
    cr_assert_null(policy, "%s", json);
    cr_assert_eq(err.type, HG_ERR_VALIDATION);
    cr_assert_eq(strncmp(err.message, begins, strlen(begins)), 0, "%s does not begin %s",
                 err.message, begins);
    cr_assert_not_null(strstr(err.message, contains), "%s does not contain %s", err.message,
                       contains);
    cr_assert_null(strchr(err.message, '\n'));
}

Test(policy_file, an_empty_object_is_a_policy_of_defaults)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy = parse("{}", &err);
    cr_assert_not_null(policy, "%s", err.message);
    struct hgi_settings defaults;
    hgi_settings_defaults(&defaults);
    cr_assert_eq(memcmp(&policy->settings, &defaults, sizeof defaults), 0);
    hg_policy_drop(policy);
}

static const char example[] =
    "{\n"
    "  \"$schema\": \"herdgate.schema.json\",\n"
    "  \"version\": 1,\n"
    "  \"server\":  { \"url\": \"redis://127.0.0.1:6380/2\", \"username\": \"app\", "
    "\"password_env\": "
    "\"HG_TEST_PASSWORD\", \"client_name\": \"orders\" },\n"
    "  \"pool\":    { \"max_size\": 9, \"min_idle\": 2, \"acquire_timeout\": \"500ms\", "
    "\"max_lifetime\": \"30m\" },\n"
    "  \"breaker\": { \"failure_threshold\": 6, \"recovery_timeout\": \"2s\", "
    "\"half_open_max_calls\": 4, \"success_threshold\": 3,\n"
    "               \"window\": { \"length\": \"10s\", \"min_calls\": 21, \"failure_rate\": 0.5, "
    "\"slow_call\": \"200ms\", \"slow_rate\": 1.0 },\n"
    "               \"shared\": \"/orders\", \"on_mismatch\": \"refuse\" },\n"
    "  \"retry_budget\": { \"ratio\": 0.2, \"min_per_second\": 11, \"window\": \"10s\" },\n"
    "  \"presets\": { \"patient\": { \"extends\": \"conservative\", \"max_attempts\": 5, "
    "\"max_delay\": \"10s\", \"jitter\": \"full\" } },\n"
    "  \"classes\": {\n"
    "    \"orders\": { \"extends\": \"write_once\", \"retry\": { \"extends\": \"patient\", "
    "\"jitter\": \"equal\" }, \"deadline\": \"3s\" },\n"
    "    \"read\":   { \"retry\": \"patient\", \"attempt_timeout\": \"150ms\", \"deadline\": "
    "\"1.5s\" "
    "}\n"
    "  },\n"
    "  \"commands\": { \"MY.CMD\": \"orders\", \"ft.search\": \"read\" },\n"
    "  \"errors\":   { \"server:OOM\": { \"recovery\": \"fail\", \"severity\": \"critical\" }, "
    "\"timeout\": { \"recovery\": \"retry_with_delay\", \"delay\": \"120ms\" } },\n"
    "  \"x-note\": [ 1, 2 ]\n"
    "}\n";

Test(policy_file, everything_that_it_says_is_set)
{
    struct hg_error err = HG_ERROR_INIT;
    setenv("HG_TEST_PASSWORD", "secret", 1);
    hg_policy *policy = parse(example, &err);
    cr_assert_not_null(policy, "%s", err.message);
    const struct hgi_settings *s = &policy->settings;
    cr_assert_str_eq(s->server.host, "127.0.0.1");
    cr_assert_eq(s->server.port, 6380);
    cr_assert_eq(s->server.database, 2);
    cr_assert_str_eq(s->server.username, "app");
    cr_assert_str_eq(s->server.password, "secret");
    cr_assert_str_eq(s->client_name, "orders");
    cr_assert_eq(s->pool.max_size, 9);
    cr_assert_eq(s->pool.min_idle, 2);
    cr_assert_eq(s->pool.acquire_timeout_ns, 500 * HGI_NS_PER_MS);
    cr_assert_eq(s->pool.max_lifetime_ns, 1800 * HGI_NS_PER_S);
    cr_assert_eq(s->breaker.failure_threshold, 6);
    cr_assert_eq(s->breaker.recovery_timeout_ns, 2 * HGI_NS_PER_S);
    cr_assert_eq(s->breaker.half_open_max_calls, 4);
    cr_assert_eq(s->breaker.success_threshold, 3);
    cr_assert_eq(s->breaker.window_length_ns, 10 * HGI_NS_PER_S);
    cr_assert_eq(s->breaker.window_min_calls, 21);
    cr_assert_str_eq(s->breaker_shared, "/orders");
    cr_assert_eq(s->breaker.on_mismatch, HG_MISMATCH_REFUSE);
    cr_assert_float_eq(s->budget.ratio, 0.2, 1e-9);
    cr_assert_float_eq(s->budget.min_per_second, 11.0, 1e-9);
    const struct hgi_class *orders = hgi_settings_class(s, "orders");
    cr_assert_not_null(orders);
    cr_assert_eq(orders->kind, HGI_CLASS_WRITE_ONCE);
    cr_assert_eq(orders->retry.max_attempts, 5);
    cr_assert_eq(orders->retry.jitter, HG_JITTER_EQUAL);
    cr_assert_eq(orders->retry.max_delay_ns, 10 * HGI_NS_PER_S);
    cr_assert_eq(orders->deadline_ns, 3 * HGI_NS_PER_S);
    const struct hgi_class *read = hgi_settings_class(s, "read");
    cr_assert_eq(read->retry.jitter, HG_JITTER_FULL);
    cr_assert_eq(read->attempt_timeout_ns, 150 * HGI_NS_PER_MS);
    cr_assert_eq(read->deadline_ns, 1500 * HGI_NS_PER_MS);
    cr_assert_eq(s->command_count, 2);
    cr_assert_str_eq(s->commands[0].name, "FT.SEARCH");
    cr_assert_str_eq(s->commands[1].name, "MY.CMD");
    cr_assert_str_eq(s->classes[s->commands[1].class_index].name, "orders");
    cr_assert_eq(s->rule_count, 2);
    cr_assert_str_eq(s->rules[0].server_code, "OOM");
    cr_assert_eq(s->rules[0].severity, HG_SEVERITY_CRITICAL);
    cr_assert_not(s->rules[0].has_counts);
    cr_assert_eq(s->rules[1].type, HG_ERR_TIMEOUT);
    cr_assert_eq(s->rules[1].recovery, HG_RECOVERY_RETRY_WITH_DELAY);
    cr_assert_eq(s->rules[1].delay_ns, 120 * HGI_NS_PER_MS);
    hg_policy_drop(policy);
}

/* What "errors" of a class come to for a lost connection and a timeout. */
static void expect_in_class(const struct hgi_settings *settings, const char *name,
                            hg_recovery timeout, hg_recovery connection)
{
    static const hg_status types[] = { HG_ERR_TIMEOUT, HG_ERR_CONNECTION };
    const hg_recovery expected[] = { timeout, connection };
    for (size_t i = 0; i < 2; i++) {
        struct hgi_verdict verdict;
        hgi_classify_status(settings, types[i], "", &verdict);
        hgi_classify_in_class(settings, hgi_settings_class(settings, name), &verdict);
        cr_expect_eq(verdict.recovery, expected[i], "%s %s: %s", name, hg_status_name(types[i]),
                     hg_recovery_name(verdict.recovery));
    }
}

Test(policy_file, a_class_says_what_failures_mean_in_it_and_hands_that_down)
{
    static const char text[] =
        "{\"errors\": {\"timeout\": {\"recovery\": \"retry_with_delay\"}},"
        " \"classes\": {"
        "  \"mine\": {\"extends\": \"read\", \"errors\": {\"timeout\": {\"recovery\": "
        "\"ignore\"}}},"
        "  \"same\": {\"extends\": \"read\"},"
        "  \"read\": {\"errors\": {\"timeout\": {\"recovery\": \"fail\"},"
        "                      \"connection\": {\"recovery\": \"wait_and_retry\"}}}}}";
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy = parse(text, &err);
    cr_assert_not_null(policy, "%s", err.message);
    const struct hgi_settings *s = &policy->settings;
    expect_in_class(s, "write", HG_RECOVERY_RETRY_WITH_DELAY, HG_RECOVERY_RETRY_WITH_BACKOFF);
    expect_in_class(s, "read", HG_RECOVERY_FAIL, HG_RECOVERY_WAIT_AND_RETRY);
    expect_in_class(s, "same", HG_RECOVERY_FAIL, HG_RECOVERY_WAIT_AND_RETRY);
    expect_in_class(s, "mine", HG_RECOVERY_IGNORE, HG_RECOVERY_WAIT_AND_RETRY);
    hg_policy_drop(policy);
}

Test(policy_file, a_misspelt_key_has_its_place_and_a_suggestion)
{
    expect_error("{\n  \"breaker\": {\n    \"failure_treshold\": 5\n  }\n}",
                 "f.json:3:5: /breaker/failure_treshold: ", "did you mean \"failure_threshold\"?");
}

Test(policy_file, a_bare_number_is_no_duration)
{
    expect_error("{ \"pool\": { \"acquire_timeout\": 250 } }",
                 "f.json:1:32: /pool/acquire_timeout: ", "\"250ms\"");
}

Test(policy_file, a_duplicate_key_is_an_error_where_it_stands_again)
{
    expect_error("{ \"pool\": {},\n  \"pool\": {} }", "f.json:2:3: /pool: ", "");
}

Test(policy_file, a_truncated_object_says_where_it_ends)
{
    expect_error("{ \"pool\": {\n  \"max_size\": 8", "f.json:2:16: ", "");
}

Test(policy_file, doubtful_values_are_errors_that_say_what_to_write)
{
    expect_error("{\"retry_budget\": {\"ratio\": 50}}",
                 "f.json:1:28: /retry_budget/ratio: ", "did you mean 0.5?");
    expect_error("{\"pool\": {\"max_size\": 0}}", "f.json:1:23: /pool/max_size: ", "from 1 to");
    expect_error("{\"pool\": {\"max_size\": 1.5}}",
                 "f.json:1:23: /pool/max_size: ", "whole number");
    expect_error("{\"pool\": {\"max_size\": \"8\"}}", "f.json:1:23: /pool/max_size: ", "a string");
    expect_error("{\"pool\": {\"min_idle\": 9}}", "f.json:1:23: /pool/min_idle: ", "max_size");
    expect_error("{\"breaker\": {\"success_threshold\": 4}}",
                 "f.json:1:35: /breaker/success_threshold: ", "half_open_max_calls");
    expect_error("{\"classes\": {\"write_once\": {\"retry_unknown\": true}}}",
                 "f.json:1:46: /classes/write_once/retry_unknown: ", "extends");
    expect_error("{\"classes\": {\"read\": {\"retry\": \"fats\"}}}",
                 "f.json:1:32: /classes/read/retry: ", "did you mean \"fast\"?");
    expect_error("{\"classes\": {\"mine\": {}}}", "f.json:1:14: /classes/mine: ", "extends");
    expect_error("{\"commands\": {\"X\": \"raed\"}}", "f.json:1:20: /commands/X: ", "\"read\"");
    expect_error("{\"errors\": {\"timeuot\": {}}}",
                 "f.json:1:13: /errors/timeuot: ", "\"timeout\"");
    expect_error("{\"errors\": {\"server:oom\": {}}}",
                 "f.json:1:13: /errors/server:oom: ", "capitals");
    expect_error("{\"presets\": {\"fast\": {}}}", "f.json:1:14: /presets/fast: ", "built-in");
    expect_error("{\"version\": 2}", "f.json:1:13: /version: ", "");
    expect_error("[]", "f.json:1:1: ", "object");
    expect_error("{} x", "f.json:1:4: ", "");
    expect_error("{\"a\": 1e400}", "f.json:1:7: ", "");
    expect_error("{\"server\": {\"url\": \"http://x\"}}", "f.json:1:20: /server/url: ", "");
    expect_error("{\"server\": {\"password_env\": \"HG_NO_SUCH\"}}",
                 "f.json:1:29: /server/password_env: ", "HG_NO_SUCH");
}

Test(policy_file, secrets_are_not_in_errors)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_null(parse("{\"server\": {\"url\": \"redis://u:hunter2@host:99999/0\"}}", &err));
    cr_assert_null(strstr(err.message, "hunter2"), "%s", err.message);
    cr_assert_null(parse("{\"server\": {\"password\": \"hunter2\", \"nosuch\": 1}}", &err));
    cr_assert_null(strstr(err.message, "hunter2"), "%s", err.message);
}

/* The first line is the password; what is no text is not cut to one. */
Test(policy_file, a_password_file_holds_a_line_of_text)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *password; /* NULL: refused */
    } files[] = {
        { "hunter2", 7, "hunter2" },
        { "hunter2\n", 8, "hunter2" },
        { "hunter2\r\nmore", 13, "hunter2" },
        { "hunter2\n\0", 9, "hunter2" },
        { "hun\0ter2\n", 9, NULL },
        { "\nhunter2", 8, NULL },
        { "", 0, NULL },
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[] = "/tmp/herdgate-password-XXXXXX";
        char text[128];
        struct hg_error err = HG_ERROR_INIT;
        int fd = mkstemp(path);
        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, files[i].bytes, files[i].length), (ssize_t)files[i].length);
        close(fd);
        snprintf(text, sizeof text, "{\"server\": {\"password_file\": \"%s\"}}", path);
        hg_policy *policy = parse(text, &err);
        unlink(path);
        cr_expect_null(strstr(err.message, "hunter2"), "file %zu: %s", i, err.message);
        cr_assert_eq(policy != NULL, files[i].password != NULL, "file %zu: %s", i, err.message);
        if (policy)
            cr_expect_str_eq(policy->settings.server.password, files[i].password, "file %zu", i);
        hg_policy_drop(policy);
    }
}

Test(policy_file, a_file_that_cannot_be_read_says_so)
{
    hg_policy *policy;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_policy_load(&policy, "/nonexistent/p.json", &err), HG_ERR_VALIDATION);
    cr_assert_null(policy);
    cr_assert_not_null(strstr(err.message, "/nonexistent/p.json"));
    cr_assert_eq(hg_policy_load(&policy, "/", &err), HG_ERR_VALIDATION);
}
