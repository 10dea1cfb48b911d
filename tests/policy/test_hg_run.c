/* hg_run() as its users call it: what it takes, and what it makes of what comes back. */
#include <criterion/criterion.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/policy.h>

#include "breaker/clock.h"

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

/* What attempts saw of themselves, one after the other. */
struct diary {
    unsigned attempts;
    int64_t began_ns[3];
    int64_t left_ns[3]; /* until the attempt's deadline, when it began */
    int64_t hint_ns;
    int64_t takes_ns;
    unsigned failures;
    const char *said; /* by the first */
};

static hg_status note(void *arg, struct hg_attempt *attempt)
{
    struct diary *diary = arg;
    unsigned at = diary->attempts++;
    cr_assert_lt(at, 3);
    cr_expect_eq(attempt->number, at + 1);
    diary->began_ns[at] = hgi_now_ns();
    diary->left_ns[at] = attempt->deadline_ns - diary->began_ns[at];
    attempt->outcome = HG_OUTCOME_NOT_SENT;
    attempt->retry_after_ns = diary->hint_ns;
    if (at == 0 && diary->said)
        snprintf(attempt->error->message, sizeof attempt->error->message, "%s", diary->said);
    if (diary->takes_ns > 0)
        hgi_sleep_until(diary->began_ns[at] + diary->takes_ns);
    return at < diary->failures ? HG_ERR_CONNECTION : HG_OK;
}

Test(hg_run, no_retry_comes_sooner_than_a_hint_says)
{
    struct diary diary = { .hint_ns = 20 * HGI_NS_PER_MS, .failures = 1 };
    cr_assert_eq(hg_run(policy, NULL, note, &diary, NULL), HG_OK);
    cr_assert_eq(diary.attempts, 2);
    cr_expect_geq(diary.began_ns[1] - diary.began_ns[0], 20 * HGI_NS_PER_MS);
}

Test(hg_run, an_attempt_has_its_timeout_or_what_is_left_of_the_calls_time)
{
    const int64_t most_ns[] = { 250 * HGI_NS_PER_MS, 100 * HGI_NS_PER_MS };
    for (size_t i = 0; i < sizeof most_ns / sizeof most_ns[0]; i++) {
        struct diary diary = { .failures = 0 };
        struct hg_run_options options = HG_RUN_OPTIONS_INIT;
        options.deadline_ns = i == 0 ? -1 : most_ns[i];
        (void)hg_run(policy, &options, note, &diary, NULL);
        if (diary.attempts > 0) /* none is made by a machine that sleeps for so long before it */
            cr_expect_leq(diary.left_ns[0], most_ns[i]);
    }
}

Test(hg_run, the_time_in_the_function_is_the_servers_also_of_a_success)
{
    struct diary diary = { .takes_ns = 3 * HGI_NS_PER_MS };
    struct hg_error err;
    struct hg_trace trace = HG_TRACE_INIT;
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.trace = &trace;
    cr_assert_eq(hg_run(policy, &options, note, &diary, &err), HG_OK);
    cr_expect_geq(err.server_ns, 3 * HGI_NS_PER_MS);
    cr_expect_geq(err.elapsed_ns, err.server_ns);
    cr_expect_eq(trace.server_ns, err.server_ns);
    cr_expect_eq(trace.elapsed_ns, err.elapsed_ns);
}

Test(hg_run, what_one_attempt_said_is_not_taken_for_the_next_ones_word)
{
    struct diary diary = { .failures = 3, .said = "the disk is full" };
    struct hg_error err;
    cr_assert_eq(hg_run(policy, NULL, note, &diary, &err), HG_ERR_RETRY_EXHAUSTED);
    cr_expect_str_eq(err.message,
                     "all 3 attempts failed; the last attempt: attempt 3 returned CONNECTION");
    diary = (struct diary) { .failures = 1, .said = "the disk is full" };
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.op_class = "transaction";
    cr_assert_eq(hg_run(policy, &options, note, &diary, &err), HG_ERR_CONNECTION);
    cr_expect_str_eq(err.message, "the disk is full");
}
