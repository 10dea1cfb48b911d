/* hg_run() as its users call it: what it takes, and what it makes of what comes back. */
#include <criterion/criterion.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/policy.h>

static hg_policy *policy;

static void set_up(void)
{
    static const char text[] =
        "{\"presets\": {\"soon\": {\"initial_delay\": \"0s\", \"max_delay\": \"0s\", "
        "\"max_attempts\": 3}}, \"classes\": {\"read\": {\"retry\": \"soon\"}, "
        "\"write_once\": {\"retry\": \"soon\"}}}";
    cr_assert_eq(hg_policy_parse(&policy, text, sizeof text - 1, "p.json", NULL), HG_OK);
}

static void tear_down(void)
{
    hg_policy_drop(policy);
}

TestSuite(hg_run, .init = set_up, .fini = tear_down);

/* Fails each time, with these outcomes one after the other. */
struct plan {
    const int *outcomes;
    unsigned calls;
};

static hg_status fail(void *arg, struct hg_attempt *attempt)
{
    struct plan *plan = arg;
    attempt->outcome = (hg_outcome)plan->outcomes[plan->calls++];
    return HG_ERR_CONNECTION;
}

static hg_status succeed(void *arg, struct hg_attempt *attempt)
{
    (void)arg;
    (void)attempt;
    return HG_OK;
}

Test(hg_run, an_outcome_that_is_none_counts_as_unknown)
{
    const int outcomes[] = { 17, HG_OUTCOME_NOT_SENT, HG_OUTCOME_NOT_SENT };
    struct plan once = { outcomes, 0 }, read = { outcomes, 0 };
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_run(policy, NULL, fail, &once, &err), HG_ERR_CONNECTION);
    cr_expect_eq(once.calls, 1);
    cr_expect_eq(err.outcome, HG_OUTCOME_UNKNOWN);

    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.op_class = "read";
    cr_assert_eq(hg_run(policy, &options, fail, &read, &err), HG_ERR_RETRY_EXHAUSTED);
    cr_expect_eq(read.calls, 3);
    cr_expect_eq(err.outcome, HG_OUTCOME_UNKNOWN);
}

Test(hg_run, what_is_missing_is_named)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_expect_eq(hg_run(NULL, NULL, succeed, NULL, &err), HG_ERR_VALIDATION);
    cr_expect_not_null(strstr(err.message, "policy is NULL"), "%s", err.message);
    cr_expect_eq(hg_run(policy, NULL, NULL, NULL, &err), HG_ERR_VALIDATION);
    cr_expect_not_null(strstr(err.message, "fn is NULL"), "%s", err.message);
    cr_expect_eq(hg_run(policy, NULL, succeed, NULL, NULL), HG_OK);
}

/* What they say would be passed over without a word. */
Test(hg_run, options_that_were_never_initialised_are_refused)
{
    struct hg_run_options options = { .op_class = "read" };
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_run(policy, &options, succeed, NULL, &err), HG_ERR_VALIDATION);
    cr_expect_not_null(strstr(err.message, "HG_RUN_OPTIONS_INIT"), "%s", err.message);
    cr_expect_eq(err.outcome, HG_OUTCOME_NOT_SENT);
}

/* Of an older caller's struct no byte more is read than it has, as a sanitizer would see. */
Test(hg_run, options_of_any_size_are_read_as_far_as_they_go)
{
    const size_t sizes[] = { offsetof(struct hg_run_options, operation),
                             sizeof(struct hg_run_options), sizeof(struct hg_run_options) + 64 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct hg_error err = HG_ERROR_INIT;
        struct hg_run_options *options = calloc(1, sizes[i]);
        cr_assert_not_null(options);
        options->size = sizes[i];
        options->op_class = "reed";
        cr_expect_eq(hg_run(policy, options, succeed, NULL, &err), HG_ERR_VALIDATION);
        cr_expect_not_null(strstr(err.message, "\"reed\""), "%s", err.message);
        options->op_class = "read";
        cr_expect_eq(hg_run(policy, options, succeed, NULL, &err), HG_OK);
        free(options);
    }
}

Test(hg_run, what_a_newer_caller_asks_for_and_is_not_here_is_refused)
{
    struct {
        struct hg_run_options known;
        unsigned char unknown[16];
    } newer = { .known = HG_RUN_OPTIONS_INIT };
    struct hg_error err = HG_ERROR_INIT;
    newer.known.size = sizeof newer;
    for (size_t i = 0; i < sizeof newer.unknown; i++) {
        newer.unknown[i] = 1;
        cr_expect_eq(hg_run(policy, &newer.known, succeed, NULL, &err), HG_ERR_VALIDATION);
        cr_expect_not_null(strstr(err.message, "newer library"), "%s", err.message);
        newer.unknown[i] = 0;
        cr_expect_eq(hg_run(policy, &newer.known, succeed, NULL, &err), HG_OK);
    }
    newer.known.size = (size_t)-1;
    cr_expect_eq(hg_run(policy, &newer.known, succeed, NULL, &err), HG_ERR_VALIDATION);
    cr_expect_not_null(strstr(err.message, "HG_RUN_OPTIONS_INIT"), "%s", err.message);
}
