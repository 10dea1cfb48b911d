/* The defaults, each against the number that the documentation gives. */
#include <criterion/criterion.h>
#include <string.h>

#include "policy/settings.h"

#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

static struct hgi_settings settings;

static void defaults(void)
{
    memset(&settings, 0x5a, sizeof settings);
    hgi_settings_defaults(&settings);
}

TestSuite(defaults, .init = defaults);

struct expected_class {
    const char *name;
    enum hgi_class_kind kind;
    uint32_t max_attempts;
    bool retry_unknown;
    int64_t attempt_timeout_ns;
    int64_t deadline_ns;
};

Test(defaults, every_class_is_as_documented)
{
    static const struct expected_class expected[] = {
        { "read", HGI_CLASS_READ, 5, true, 250 * MS, 2 * S },
        { "write", HGI_CLASS_WRITE, 5, true, 250 * MS, 2 * S },
        { "write_once", HGI_CLASS_WRITE_ONCE, 5, false, 250 * MS, 2 * S },
        { "blocking", HGI_CLASS_BLOCKING, 1, false, 1 * S, -1 },
        { "script", HGI_CLASS_SCRIPT, 5, false, 250 * MS, 2 * S },
        { "transaction", HGI_CLASS_TRANSACTION, 1, false, 250 * MS, 2 * S },
        { "connection", HGI_CLASS_CONNECTION, 1, false, 250 * MS, 2 * S },
        { "admin", HGI_CLASS_ADMIN, 1, false, 250 * MS, 2 * S },
    };
    cr_assert_eq(settings.class_count, sizeof expected / sizeof expected[0]);
    cr_assert_eq(settings.class_count, HGI_CLASS_KINDS);
    for (uint32_t i = 0; i < settings.class_count; i++) {
        const struct hgi_class *got = &settings.classes[i];
        cr_assert_str_eq(got->name, expected[i].name);
        cr_assert_eq(got->kind, expected[i].kind, "%s", got->name);
        cr_assert_eq((uint32_t)got->kind, i, "%s stands at its kind's index", got->name);
        cr_assert_eq(got->retry.max_attempts, expected[i].max_attempts, "%s", got->name);
        cr_assert_eq(got->retry.size, sizeof got->retry, "%s", got->name);
        cr_assert_eq(got->retry_unknown, expected[i].retry_unknown, "%s", got->name);
        cr_assert_not(got->retry_unfenced, "%s", got->name);
        cr_assert_eq(got->attempt_timeout_ns, expected[i].attempt_timeout_ns, "%s", got->name);
        cr_assert_eq(got->deadline_ns, expected[i].deadline_ns, "%s", got->name);
    }
}

Test(defaults, classes_that_retry_do_it_fast_and_the_others_not_at_all)
{
    for (uint32_t i = 0; i < settings.class_count; i++) {
        const struct hgi_class *got = &settings.classes[i];
        struct hg_retry expected = HG_RETRY_INIT;
        const char *preset = got->retry.max_attempts > 1 ? "fast" : "none";
        cr_assert_eq(hg_retry_preset(&expected, preset, NULL), HG_OK);
        cr_assert_eq(memcmp(&got->retry, &expected, sizeof expected), 0, "%s", got->name);
    }
}

/* The reason for 250 ms and 2 s: all attempts of "fast" and their delays, jitter included, fit. */
Test(defaults, all_attempts_of_a_call_fit_into_its_deadline)
{
    for (uint32_t i = 0; i < settings.class_count; i++) {
        const struct hgi_class *got = &settings.classes[i];
        if (got->deadline_ns < 0)
            continue;
        int64_t longest_ns = got->retry.max_attempts * got->attempt_timeout_ns;
        for (uint32_t n = 0; n + 1 < got->retry.max_attempts; n++)
            longest_ns += hg_retry_delay_jittered(&got->retry, n, 0, 1.0);
        cr_assert_lt(longest_ns, got->deadline_ns, "%s", got->name);
    }
}

Test(defaults, the_server_is_the_one_on_this_host)
{
    cr_assert_eq(settings.server.transport, HGI_TRANSPORT_TCP);
    cr_assert_str_eq(settings.server.host, "127.0.0.1");
    cr_assert_eq(settings.server.port, 6379);
    cr_assert_eq(settings.server.database, 0u);
    cr_assert_str_eq(settings.server.text, "127.0.0.1:6379");
    cr_assert_str_empty(settings.server.path);
    cr_assert_str_empty(settings.server.username);
    cr_assert_str_empty(settings.server.password);
    cr_assert_str_empty(settings.client_name);
    cr_assert_eq(settings.max_reply_bytes, 512u << 20);
    cr_assert_eq(settings.max_reply_depth, 32);
    cr_assert_not(settings.proxy);
    cr_assert_eq(settings.resp, 2);
    cr_assert_eq(settings.setup_count, 0);
}

Test(defaults, the_pool_is_as_documented)
{
    const struct hgi_pool_settings *pool = &settings.pool;
    cr_assert_eq(pool->max_size, 8u);
    cr_assert_eq(pool->min_idle, 1u);
    cr_assert_eq(pool->max_waiters, 4096u);
    cr_assert_eq(pool->max_connecting, 2u);
    cr_assert_eq(pool->fairness, HGI_FAIRNESS_BOUNDED);
    cr_assert_eq(pool->barging_limit_ns, 1 * MS);
    cr_assert_not(pool->refuse_hopeless);
    cr_assert_eq(pool->acquire_timeout_ns, -1);
    cr_assert_eq(pool->connect_timeout_ns, 1 * S);
    cr_assert_eq(pool->dial_backoff_initial_ns, 25 * MS);
    cr_assert_eq(pool->dial_backoff_max_ns, 250 * MS);
    cr_assert_eq(pool->idle_timeout_ns, 300 * S);
    cr_assert_eq(pool->max_lifetime_ns, 1800 * S);
    cr_assert_eq(pool->keepalive_ns, 60 * S);
    cr_assert_eq(pool->tcp_user_timeout_ns, 30 * S);
    cr_assert_eq(pool->lease_warning_ns, 5 * S);
    cr_assert_eq(pool->drain_timeout_ns, 5 * S);
}

Test(defaults, the_breaker_is_as_documented)
{
    const struct hg_breaker_options *breaker = &settings.breaker;
    cr_assert(settings.breaker_enabled);
    cr_assert_str_empty(settings.breaker_shared);
    cr_assert_eq(breaker->size, sizeof *breaker);
    cr_assert_eq(breaker->failure_threshold, 5u);
    cr_assert_eq(breaker->half_open_max_calls, 3u);
    cr_assert_eq(breaker->success_threshold, 2u);
    cr_assert_eq(breaker->recovery_timeout_ns, 1 * S);
    cr_assert_eq(breaker->recovery_multiplier, 2.0);
    cr_assert_eq(breaker->recovery_timeout_max_ns, 10 * S);
    cr_assert_eq(breaker->recovery_jitter, 0.2);
    cr_assert_eq(breaker->probe_lease_ns, 5 * S);
    cr_assert_eq(breaker->seed, 0u);
    cr_assert_eq(breaker->window_length_ns, 0, "off");
    cr_assert_eq(breaker->window_min_calls, 20u);
    cr_assert_eq(breaker->window_failure_rate, 0.5);
    cr_assert_eq(breaker->window_slow_call_ns, 200 * MS);
    cr_assert_eq(breaker->window_slow_rate, 1.0);
}

Test(defaults, the_budget_and_the_waits_are_as_documented)
{
    cr_assert(settings.budget.enabled);
    cr_assert_eq(settings.budget.ratio, 0.1);
    cr_assert_eq(settings.budget.min_per_second, 10.0);
    cr_assert_eq(settings.budget.window_ns, 10 * S);
    cr_assert_eq(settings.budget.initial, 10.0);
    cr_assert_eq(settings.retry_delay_ns, 100 * MS);
    cr_assert_eq(settings.condition_poll_ns, 100 * MS);
    cr_assert_eq(settings.release_ramp_ns, 1 * S);
}

Test(defaults, there_are_no_rules_but_the_built_in_ones)
{
    cr_assert_null(settings.commands);
    cr_assert_eq(settings.command_count, 0u);
    cr_assert_null(settings.rules);
    cr_assert_eq(settings.rule_count, 0u);
}

Test(defaults, a_class_is_found_by_its_whole_name)
{
    cr_assert_eq(hgi_settings_class(&settings, "read"), &settings.classes[HGI_CLASS_READ]);
    cr_assert_eq(hgi_settings_class(&settings, "write_once"),
                 &settings.classes[HGI_CLASS_WRITE_ONCE]);
    cr_assert_eq(hgi_settings_class(&settings, "write"), &settings.classes[HGI_CLASS_WRITE]);
    cr_assert_null(hgi_settings_class(&settings, "rea"));
    cr_assert_null(hgi_settings_class(&settings, "READ"));
    cr_assert_null(hgi_settings_class(&settings, ""));
    strcpy(settings.classes[settings.class_count].name, "orders");
    cr_assert_null(hgi_settings_class(&settings, "orders"), "past the last class");
    settings.class_count++;
    cr_assert_eq(hgi_settings_class(&settings, "orders"), &settings.classes[HGI_CLASS_KINDS]);
}
