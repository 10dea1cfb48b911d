/* What the loop tells its breaker and hears from it, and what it adds up from one attempt to the next. */
#include <criterion/criterion.h>

#include "breaker/breaker.h"
#include "tests/policy/run_setting.h"

/* A breaker in the test's own time, which one failure opens for 300 ms. */
static void add_breaker(struct setting *s)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.failure_threshold = 1;
    options.recovery_timeout_ns = 300 * MS;
    options.recovery_jitter = 0;
    options.count_calls = true;
    cr_assert_eq(hgi_breaker_new_with_clock(&s->call.breaker, &options, world_now, &s->world, NULL),
                 HG_OK);
}

static struct hg_breaker_snapshot look(const struct setting *s)
{
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(s->call.breaker, &snapshot);
    return snapshot;
}

static void second_is_a_probe(void *arg, struct hgi_attempt *attempt)
{
    const struct script *script = arg;
    scripted_attempt(arg, attempt);
    cr_expect_eq(attempt->is_probe, script->calls == 2, "attempt %u", script->calls);
}

Test(run_parts, no_retry_is_made_before_the_breaker_lets_it_pass_and_then_it_is_a_probe)
{
    struct setting s;
    set_up(&s, "read", 1);
    add_breaker(&s);
    cr_assert_eq(hgi_run_loop(&s.call, second_is_a_probe, &s.script, &s.err), HG_OK);
    cr_expect_eq(s.script.calls, 2);
    cr_expect_geq(s.world.slept_ns, 300 * MS);
    cr_expect_lt(s.world.slept_ns, 310 * MS);
    cr_expect_eq(look(&s).probes_succeeded, 1);
    hg_breaker_free(s.call.breaker);
}

static void keeps_its_permit(void *arg, struct hgi_attempt *attempt)
{
    scripted_attempt(arg, attempt);
    attempt->keeps_permit = true;
}

Test(run_parts, a_permit_that_is_kept_is_reported_by_who_keeps_it_alone)
{
    for (unsigned failures = 0; failures < 2; failures++) {
        struct setting s;
        set_up(&s, "read", failures);
        s.script.verdict.recovery = HG_RECOVERY_FAIL;
        add_breaker(&s);
        cr_assert_eq(hgi_run_loop(&s.call, keeps_its_permit, &s.script, &s.err),
                     failures ? HG_ERR_CONNECTION : HG_OK);
        struct hg_breaker_snapshot snapshot = look(&s);
        cr_expect_eq(snapshot.state, HG_BREAKER_CLOSED);
        cr_expect_eq(snapshot.admitted, 1);
        cr_expect_eq(snapshot.succeeded + snapshot.failed + snapshot.cancelled, 0);
        hg_breaker_free(s.call.breaker);
    }
}

Test(run_parts, the_breaker_is_told_what_a_failure_is_to_it)
{
    const enum hgi_breaker_view views[] = { HGI_VIEW_SUCCESS, HGI_VIEW_FAILURE, HGI_VIEW_NOTHING };
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        struct setting s;
        set_up(&s, "read", 1);
        s.script.verdict.recovery = HG_RECOVERY_FAIL;
        s.script.verdict.view = views[i];
        add_breaker(&s);
        cr_assert_eq(run(&s), HG_ERR_CONNECTION);
        struct hg_breaker_snapshot snapshot = look(&s);
        cr_expect_eq(snapshot.state == HG_BREAKER_OPEN, views[i] == HGI_VIEW_FAILURE);
        cr_expect_eq(snapshot.succeeded, views[i] == HGI_VIEW_SUCCESS);
        cr_expect_eq(snapshot.failed, views[i] == HGI_VIEW_FAILURE);
        cr_expect_eq(snapshot.cancelled, views[i] == HGI_VIEW_NOTHING);
        hg_breaker_free(s.call.breaker);
    }
}

static void on_count(void *arg, enum hgi_run_count what)
{
    ((unsigned *)arg)[what]++;
}

Test(run_parts, what_is_counted)
{
    struct setting s;
    unsigned counts[HGI_COUNT_BREAKER + 1] = { 0 };
    set_up(&s, "read", 100);
    s.call.count = on_count;
    s.call.count_arg = counts;
    s.script.verdict.recovery = HG_RECOVERY_IGNORE;
    cr_assert_eq(run(&s), HG_IGNORED);
    cr_expect_eq(counts[HGI_COUNT_IGNORED], 1);
    add_breaker(&s);
    hg_breaker_force_open(s.call.breaker);
    cr_assert_eq(run(&s), HG_ERR_CIRCUIT_OPEN);
    cr_expect_eq(counts[HGI_COUNT_BREAKER], 1);
    cr_expect_eq(counts[HGI_COUNT_IGNORED], 1);
    cr_expect_eq(counts[HGI_COUNT_RETRY] + counts[HGI_COUNT_BUDGET], 0);
    hg_breaker_free(s.call.breaker);
}

static void takes_its_time(void *arg, struct hgi_attempt *attempt)
{
    const struct script *script = arg;
    scripted_attempt(arg, attempt);
    attempt->queue_ns = 7 * MS;
    attempt->dial_ns = 3 * MS;
    attempt->refused = script->calls == 3;
}

Test(run_parts, where_the_time_went_is_added_up_over_all_attempts_and_a_refusal)
{
    struct setting s;
    set_up(&s, "read", 100);
    s.script.verdict.outcome = HG_OUTCOME_UNKNOWN;
    cr_assert_eq(hgi_run_loop(&s.call, takes_its_time, &s.script, &s.err), HG_ERR_CONNECTION);
    cr_expect_eq(s.err.attempt, 2);
    cr_expect_eq(s.err.cause, HG_ERR_CONNECTION, "of the attempts before the refusal");
    cr_expect_eq(s.err.queue_ns, 21 * MS);
    cr_expect_eq(s.err.dial_ns, 9 * MS);
    cr_expect_eq(s.err.server_ns, 30 * MS);
    cr_expect_eq(s.err.backoff_ns, s.world.slept_ns);
    cr_expect_eq(s.trace.queue_ns, s.err.queue_ns);
    cr_expect_eq(s.trace.dial_ns, s.err.dial_ns);
}

Test(run_parts, decorrelated_jitter_goes_on_from_the_last_delay)
{
    struct setting s;
    set_up(&s, "read", 2);
    s.settings.classes[HGI_CLASS_READ].retry = (struct hg_retry) { .size = sizeof(struct hg_retry),
                                                                   .max_attempts = 3,
                                                                   .jitter = HG_JITTER_DECORRELATED,
                                                                   .initial_delay_ns = 10 * MS,
                                                                   .max_delay_ns = 1000 * MS,
                                                                   .multiplier = 1 };
    cr_assert_eq(run(&s), HG_OK);
    cr_expect_eq(s.trace.retry[0].delay_ns, 20 * MS); /* the middle of 10 to 30 */
    cr_expect_eq(s.trace.retry[1].delay_ns, 35 * MS); /* the middle of 10 to 60 */
}

/* When the second attempt began, in real time, which the gate keeps. */
struct real {
    struct script script;
    int64_t failed_ns;
    int64_t again_ns;
};

static void really_fails_once(void *arg, struct hgi_attempt *attempt)
{
    struct real *real = arg;
    if (attempt->number > 1)
        real->again_ns = attempt->began_ns;
    scripted_attempt(&real->script, attempt);
    real->failed_ns = attempt->number == 1 ? hgi_now_ns() : real->failed_ns;
}

static bool trip(void *arg)
{
    hg_breaker_trip(arg);
    return true;
}

static bool holds(void *arg)
{
    (void)arg;
    return true;
}

/* It waits for 40 ms at the least, and for as long as it takes at the most. */
Test(run_parts, who_leaves_the_gate_waits_for_what_the_breaker_and_the_server_said)
{
    for (int by_breaker = 0; by_breaker < 2; by_breaker++) {
        struct setting s;
        struct hgi_gate gate;
        set_up(&s, "read", 1);
        struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
        options.recovery_timeout_ns = 40 * MS;
        options.recovery_jitter = 0;
        cr_assert_eq(hg_breaker_new(&s.call.breaker, &options, NULL), HG_OK);
        cr_assert_eq(hgi_gate_init(&gate), 0);
        s.call.env = &hgi_env_real;
        s.call.deadline_ns = 600 * HGI_NS_PER_S;
        s.call.gate = &gate;
        s.call.condition = by_breaker ? trip : holds;
        s.call.condition_arg = s.call.breaker;
        s.settings.condition_poll_ns = MS;
        s.settings.release_ramp_ns = 0;
        s.script.verdict.recovery = HG_RECOVERY_WAIT_AND_RETRY;
        s.script.hint_ns = by_breaker ? 0 : 40 * MS;
        struct real real = { .script = s.script };
        real.script.world = &s.world;
        cr_assert_eq(hgi_run_loop(&s.call, really_fails_once, &real, &s.err), HG_OK, "%s",
                     s.err.message);
        cr_expect_eq(real.script.calls, 2);
        cr_expect_geq(real.again_ns - real.failed_ns, 40 * MS);
        hg_breaker_free(s.call.breaker);
        hgi_gate_destroy(&gate);
    }
}
