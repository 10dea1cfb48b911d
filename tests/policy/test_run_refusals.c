/* A retry that is refused: by the budget before it is waited for, by others when its time has come. */
#include <criterion/criterion.h>

#include "policy/budget.h"
#include "tests/policy/run_setting.h"

/* What the log hook and the counters were told, and the tokens there were and are. */
struct told {
    unsigned retries;
    unsigned waits;
    unsigned counts[HGI_COUNT_BREAKER + 1];
};

static void on_log(void *arg, const struct hg_log_event *event)
{
    struct told *told = arg;
    told->retries += event->kind == HG_LOG_RETRY;
    told->waits += event->kind == HG_LOG_WAITING;
}

static void on_count(void *arg, enum hgi_run_count what)
{
    ((struct told *)arg)->counts[what]++;
}

/* A bucket with so many tokens that no time and no call fills. */
static void set_up_with(struct setting *s, struct hg_budget *budget, struct told *told,
                        unsigned tokens)
{
    set_up(s, "read", 100);
    s->settings.budget.ratio = 0;
    s->settings.budget.min_per_second = 0;
    s->settings.budget.initial = tokens;
    hgi_budget_init(budget, &s->settings.budget, s->world.now_ns);
    *told = (struct told) { 0 };
    s->call.budget = budget;
    s->call.log = on_log;
    s->call.count = on_count;
    s->call.log_arg = s->call.count_arg = told;
}

Test(run_refusals, a_retry_that_the_budget_refuses_is_neither_waited_for_nor_told)
{
    const hg_recovery recoveries[] = { HG_RECOVERY_RETRY_WITH_BACKOFF,
                                       HG_RECOVERY_RETRY_WITH_DELAY };
    for (size_t i = 0; i < sizeof recoveries / sizeof recoveries[0]; i++) {
        struct setting s;
        struct hg_budget budget;
        struct told told;
        set_up_with(&s, &budget, &told, 0);
        s.script.verdict.recovery = recoveries[i];
        s.script.verdict.delay_ns = 100 * MS;
        cr_assert_eq(run(&s), HG_ERR_CONNECTION);
        cr_expect_eq(s.err.stop_reason, HG_STOP_BUDGET);
        cr_expect_eq(s.script.calls, 1);
        cr_expect_eq(s.world.slept_ns, 0);
        cr_expect_eq(s.err.backoff_ns, 0);
        cr_expect_eq(told.retries + told.waits, 0);
        cr_expect_eq(told.counts[HGI_COUNT_BUDGET], 1);
        cr_expect_eq(told.counts[HGI_COUNT_RETRY], 0);
        cr_expect_eq(s.trace.retry[0].cause, HG_OK);
    }
}

/* The server is well; meanwhile time has brought the budget a token. */
static bool well_and_filled(void *arg)
{
    hgi_budget_give_back(arg);
    return true;
}

static bool well(void *arg)
{
    (void)arg;
    return true;
}

Test(run_refusals, who_waits_for_the_server_asks_the_budget_when_the_wait_is_over)
{
    for (int filled = 0; filled < 2; filled++) {
        struct setting s;
        struct hg_budget budget;
        struct told told;
        struct hgi_gate gate;
        set_up_with(&s, &budget, &told, 1);
        cr_assert(hgi_budget_take(&budget, s.world.now_ns)); /* there was one, and is none */
        cr_assert_eq(hgi_gate_init(&gate), 0);
        s.call.env = &hgi_env_real; /* the gate's */
        s.call.deadline_ns = 600 * HGI_NS_PER_S;
        s.call.gate = &gate;
        s.call.condition = filled ? well_and_filled : well;
        s.call.condition_arg = &budget;
        s.settings.condition_poll_ns = MS;
        s.settings.release_ramp_ns = 0;
        s.script.failures = 1;
        s.script.verdict.recovery = HG_RECOVERY_WAIT_AND_RETRY;
        cr_expect_eq(run(&s), filled ? HG_OK : HG_ERR_CONNECTION, "%d", filled);
        cr_expect_eq(s.err.stop_reason, filled ? HG_STOP_NONE : HG_STOP_BUDGET);
        cr_expect_eq(s.script.calls, 1 + (unsigned)filled);
        cr_expect_eq(told.waits, 1);
        cr_expect_eq(told.counts[HGI_COUNT_BUDGET], filled ? 0 : 1);
        cr_expect_eq(told.counts[HGI_COUNT_RETRY], (unsigned)filled);
        cr_expect_eq(s.trace.retries, (unsigned)filled);
        hgi_gate_destroy(&gate);
    }
}

/* While the call waits before its retry, somebody opens the breaker. */
static void sleep_while_it_opens(void *arg, int64_t when_ns)
{
    struct setting *s = arg;
    world_sleep(&s->world, when_ns);
    hg_breaker_force_open(s->call.breaker);
}

static int64_t setting_now(void *arg)
{
    return ((struct setting *)arg)->world.now_ns;
}

static void sleep_for_too_long(void *arg, int64_t when_ns)
{
    world_sleep(&((struct setting *)arg)->world, when_ns + 3600 * HGI_NS_PER_S);
}

Test(run_refusals, a_retry_that_is_refused_after_its_wait_gives_its_token_back_and_is_none)
{
    enum { BY_BREAKER, BY_DEADLINE, AT_THE_GATE, WAYS };
    const hg_status statuses[] = { HG_ERR_CIRCUIT_OPEN, HG_ERR_TIMEOUT, HG_ERR_TIMEOUT };
    for (int way = BY_BREAKER; way < WAYS; way++) {
        struct setting s;
        struct hg_budget budget;
        struct told told;
        struct hgi_gate gate;
        set_up_with(&s, &budget, &told, 3);
        cr_assert_eq(hgi_gate_init(&gate), 0);
        cr_assert_eq(hg_breaker_new(&s.call.breaker, NULL, NULL), HG_OK);
        s.call.gate = &gate;
        s.env.now = setting_now;
        s.env.sleep_until = way == BY_BREAKER ? sleep_while_it_opens : sleep_for_too_long;
        s.env.arg = &s;
        if (way ==
            AT_THE_GATE) /* which has a clock of its own, by which the deadline is long over */
            s.script.verdict.recovery = HG_RECOVERY_WAIT_AND_RETRY;
        cr_expect_eq(run(&s), statuses[way], "%d: %d", way, s.err.type);
        cr_expect_eq(s.err.cause, HG_ERR_CONNECTION);
        cr_expect_eq(s.script.calls, 1);
        cr_expect_eq(told.retries + told.waits, 1);
        cr_expect_eq(hgi_budget_tokens(&budget, s.world.now_ns), 3, "%d", way);
        cr_expect_eq(told.counts[HGI_COUNT_RETRY], 0);
        cr_expect_eq(s.trace.retries, 0);
        cr_expect_eq(s.trace.retry[0].cause, HG_OK);
        hg_breaker_free(s.call.breaker);
        hgi_gate_destroy(&gate);
    }
}

Test(run_refusals, a_retry_that_is_made_costs_one_token)
{
    struct setting s;
    struct hg_budget budget;
    struct told told;
    set_up_with(&s, &budget, &told, 3);
    cr_assert_eq(run(&s), HG_ERR_CONNECTION);
    cr_expect_eq(s.script.calls, 4);
    cr_expect_eq(told.retries, 3);
    cr_expect_eq(told.counts[HGI_COUNT_RETRY], 3);
    cr_expect_eq(hgi_budget_tokens(&budget, s.world.now_ns), 0);
    cr_expect_eq(s.trace.retries, 3);
    cr_expect_eq(s.trace.retry[2].cause, HG_ERR_CONNECTION);
    cr_expect_eq(s.trace.retry[3].cause, HG_OK);
}

static bool open_and_hold(void *arg)
{
    hg_breaker_trip(arg);
    return true;
}

/* In real time, which the gate and the breaker keep; no wait in it is longer than a millisecond. */
Test(run_refusals, who_leaves_the_gate_before_a_breaker_that_stays_open_is_refused_by_it)
{
    struct setting s;
    struct hgi_gate gate;
    set_up(&s, "read", 100);
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = 3600 * HGI_NS_PER_S;
    cr_assert_eq(hg_breaker_new(&s.call.breaker, &options, NULL), HG_OK);
    cr_assert_eq(hgi_gate_init(&gate), 0);
    s.call.env = &hgi_env_real;
    s.call.deadline_ns = 600 * HGI_NS_PER_S;
    s.call.gate = &gate;
    s.call.condition = open_and_hold;
    s.call.condition_arg = s.call.breaker;
    s.settings.condition_poll_ns = MS;
    s.settings.release_ramp_ns = 0;
    s.script.verdict.recovery = HG_RECOVERY_WAIT_AND_RETRY;
    cr_assert_eq(run(&s), HG_ERR_CIRCUIT_OPEN);
    cr_expect_eq(s.err.stop_reason, HG_STOP_BREAKER);
    cr_expect_gt(s.err.retry_after_ns, 0);
    cr_expect_eq(s.err.cause, HG_ERR_CONNECTION);
    cr_expect_eq(s.script.calls, 1);
    hg_breaker_free(s.call.breaker);
    hgi_gate_destroy(&gate);
}

/* Its text fills the field; cut: it was longer. */
static void fails_at_length(void *arg, struct hgi_attempt *attempt)
{
    const struct script *script = arg;
    scripted_attempt(arg, attempt);
    memset(attempt->error->message, 'x', sizeof attempt->error->message - 1);
    attempt->error->message_truncated = script->hint_ns != 0;
}

Test(run_refusals, a_message_that_is_cut_says_so)
{
    for (int was_cut = 0; was_cut < 2; was_cut++) {
        for (int with = 0; with < 2; with++) {
            struct setting s;
            set_up(&s, "read", 100);
            s.script.verdict.recovery = HG_RECOVERY_FAIL;
            s.script.hint_ns = was_cut;
            s.call.endpoint = with ? "here:1" : NULL;
            cr_assert_eq(hgi_run_loop(&s.call, fails_at_length, &s.script, &s.err),
                         HG_ERR_CONNECTION);
            cr_expect_eq(s.err.message_truncated, was_cut || with, "%d %d", was_cut, with);
        }
    }
}
