/* Somebody else's program: what an installed herdgate does without a server.
 *
 * It parses a policy, prints a delay table, and runs a function that fails on cue under the policy
 * and behind a breaker. It ends with 0 only if each of these went as the headers say.
 */
#include <herdgate/herdgate.h>

#include <stdio.h>
#include <string.h>

static const char policy_text[] =
    "{ \"version\": 1,\n"
    "  \"presets\": { \"brisk\": { \"extends\": \"fast\", \"max_attempts\": 4, \"jitter\": "
    "\"none\",\n"
    "                            \"initial_delay\": \"2ms\", \"multiplier\": 2.5 } },\n"
    "  \"classes\": { \"read\": { \"retry\": \"brisk\", \"deadline\": \"30s\" } } }\n";

#define REQUIRE(condition)                                                          \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            return 1;                                                               \
        }                                                                           \
    } while (0)

struct flaky {
    unsigned failures_left;
    unsigned calls;
};

static hg_status flaky_call(void *arg, struct hg_attempt *attempt)
{
    struct flaky *flaky = arg;
    flaky->calls++;
    if (flaky->failures_left == 0)
        return HG_OK;
    flaky->failures_left--;
    attempt->outcome = HG_OUTCOME_NOT_SENT;
    return HG_ERR_CONNECTION;
}

static int print_delays(hg_policy *policy)
{
    static const int64_t expected_us[] = { 2000, 5000, 12500 };
    struct hg_error err = HG_ERROR_INIT;
    struct hg_retry retry;
    REQUIRE(hg_policy_retry(policy, "read", &retry, &err) == HG_OK);
    REQUIRE(retry.max_attempts == 4);
    for (uint32_t n = 0; n + 1 < retry.max_attempts; n++) {
        int64_t delay_ns = hg_retry_delay(&retry, n);
        printf("before retry %u: %.1f ms\n", n + 1, (double)delay_ns / 1e6);
        REQUIRE(delay_ns == expected_us[n] * 1000);
    }
    return 0;
}

static int run_flaky(hg_policy *policy)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_trace trace = HG_TRACE_INIT;
    struct hg_breaker_options breaker_options = HG_BREAKER_OPTIONS_INIT;
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    hg_breaker *breaker;

    breaker_options.failure_threshold = 3;
    REQUIRE(hg_breaker_new(&breaker, &breaker_options, &err) == HG_OK);
    options.op_class = "read";
    options.operation = "ask";
    options.breaker = breaker;
    options.trace = &trace;

    struct flaky twice = { 2, 0 };
    REQUIRE(hg_run(policy, &options, flaky_call, &twice, &err) == HG_OK);
    REQUIRE(trace.attempts == 3 && trace.retries == 2 && twice.calls == 3);
    printf("went well at attempt %u after %.1f ms\n", trace.attempts,
           (double)trace.elapsed_ns / 1e6);

    struct flaky always = { 1000, 0 };
    options.deadline_ns = 500000000; /* shorter than the breaker stays open */
    hg_status status = hg_run(policy, &options, flaky_call, &always, &err);
    REQUIRE(status == HG_ERR_CIRCUIT_OPEN && hg_error_is(&err, HG_ERR_CONNECTION));
    REQUIRE(always.calls == 3 && err.stop_reason == HG_STOP_BREAKER);
    REQUIRE(hg_breaker_state_now(breaker) == HG_BREAKER_OPEN);
    printf("%s after %u attempts: %s; the breaker is %s\n", hg_status_name(status), err.attempt,
           err.message, hg_breaker_state_name(hg_breaker_state_now(breaker)));

    REQUIRE(hg_run(policy, &options, flaky_call, &always, &err) == HG_ERR_CIRCUIT_OPEN);
    REQUIRE(always.calls == 3 && err.retry_after_ns > 0);
    hg_breaker_free(breaker);
    return 0;
}

int main(void)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy;

    REQUIRE(hg_version_number() == HG_VERSION_NUMBER);
    printf("herdgate %s\n", hg_version());
    REQUIRE(hg_policy_parse(&policy, "{ \"versoin\": 1 }", 16, "wrong.json", &err) ==
            HG_ERR_VALIDATION);
    REQUIRE(strncmp(err.message, "wrong.json:1:3:", 15) == 0);
    if (hg_policy_parse(&policy, policy_text, sizeof policy_text - 1, "consumer.json", &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = print_delays(policy) || run_flaky(policy);
    hg_policy_drop(policy);
    return failed;
}
