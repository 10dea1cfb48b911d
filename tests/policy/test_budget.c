/* The retry budget on a virtual clock. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "breaker/clock.h"
#include "policy/budget.h"

#define DAY_NS (INT64_C(86400) * HGI_NS_PER_S)
#define HOUR_NS (INT64_C(3600) * HGI_NS_PER_S)

static const int64_t start_ns = 12345678 * HGI_NS_PER_MS + 123;

static struct hgi_budget_settings defaults(void)
{
    return (struct hgi_budget_settings) {
        .enabled = true,
        .ratio = 0.1,
        .min_per_second = 10.0,
        .window_ns = 10 * HGI_NS_PER_S,
        .initial = 10.0,
    };
}

static struct hgi_budget_settings only_tokens(double initial)
{
    return (struct hgi_budget_settings) { .enabled = true, .initial = initial };
}

static uint64_t state;

static uint64_t draw(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static void seed_from(uint64_t fixed)
{
    const char *text = getenv("HERDGATE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : fixed;
    printf("HERDGATE_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    state = seed ? seed : 1;
}

/* Everything fails: each call asks for four retries. How many it gets. */
static int retries_of_an_outage(const struct hgi_budget_settings *settings, int calls,
                                int64_t length_ns)
{
    struct hg_budget budget;
    int granted = 0;
    hgi_budget_init(&budget, settings, start_ns);
    for (int call = 0; call < calls; call++) {
        int64_t now_ns = start_ns + length_ns / calls * (call + 1);
        hgi_budget_on_call(&budget, now_ns);
        for (int retry = 0; retry < 4; retry++)
            granted += hgi_budget_take(&budget, now_ns);
    }
    return granted;
}

Test(budget, a_total_outage_is_amplified_by_the_ratio_and_no_more)
{
    struct hgi_budget_settings settings = defaults();
    static const int seconds[] = { 0, 1, 2, 5, 30, 100 };
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        int granted = retries_of_an_outage(&settings, 1000, seconds[i] * HGI_NS_PER_S);
        int allowed = 100 + 10 * seconds[i] + 10;
        cr_assert_leq(granted, allowed, "%d s: %d", seconds[i], granted);
        /* nor is it stricter: half a token is a tick not yet over */
        cr_assert_geq(granted, allowed - 1, "%d s: %d", seconds[i], granted);
    }
}

Test(budget, the_ratio_is_exact_in_the_long_run)
{
    static const double ratios[] = { 0.001, 0.05, 0.1, 0.2, 0.3, 1.0, 2.5 };
    for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
        struct hgi_budget_settings settings = only_tokens(0);
        settings.ratio = ratios[i];
        int granted = retries_of_an_outage(&settings, 1000000, 0);
        cr_assert_eq(granted, (int)lround(ratios[i] * 1000000), "%f: %d", ratios[i], granted);
    }
}

/* Asked a thousand times a second: rounding must not eat what a slow rate earns. */
Test(budget, the_least_rate_is_kept_however_often_it_is_asked_for)
{
    static const double rates[] = { 0.01, 0.5, 1.0, 3.0, 10.0, 900.0 };
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct hgi_budget_settings settings = only_tokens(0);
        settings.min_per_second = rates[i];
        settings.window_ns = 10 * HGI_NS_PER_S;
        int granted = retries_of_an_outage(&settings, 1000000, 1000 * HGI_NS_PER_S);
        double allowed = rates[i] * 1000.0;
        cr_assert_leq(granted, allowed, "%f: %d", rates[i], granted);
        cr_assert_geq(granted, floor(allowed - rates[i] * 0.05) - 1, "%f: %d", rates[i], granted);
    }
}

Test(budget, it_starts_with_its_initial_tokens)
{
    struct hgi_budget_settings settings = defaults();
    struct hg_budget budget;
    hgi_budget_init(&budget, &settings, start_ns);
    for (int i = 0; i < 10; i++)
        cr_assert(hgi_budget_take(&budget, start_ns), "retry %d", i);
    uint64_t empty = budget.word;
    cr_assert_not(hgi_budget_take(&budget, start_ns));
    cr_assert_eq(budget.word, empty, "a refusal changes nothing");
    cr_assert(hgi_budget_take(&budget, start_ns + 200 * HGI_NS_PER_MS), "time fills it again");
}

Test(budget, it_holds_what_the_window_earns_and_no_more)
{
    struct hgi_budget_settings settings = defaults();
    struct hg_budget budget;
    hgi_budget_init(&budget, &settings, start_ns);
    for (int i = 0; i < 100000; i++)
        hgi_budget_on_call(&budget, start_ns);
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns), 100u);
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns + HOUR_NS), 100u);
    int granted = 0;
    while (granted < 1000 && hgi_budget_take(&budget, start_ns + HOUR_NS))
        granted++;
    cr_assert_eq(granted, 100);
}

Test(budget, without_a_rate_it_still_holds_ten_tokens)
{
    struct hgi_budget_settings settings = only_tokens(0);
    settings.ratio = 0.1;
    struct hgi_budget_rules rules = hgi_budget_rules(&settings);
    cr_assert_eq(rules.capacity, 10 * UINT64_C(1000000));
    settings.initial = 25.0;
    rules = hgi_budget_rules(&settings);
    cr_assert_eq(rules.capacity, 25 * UINT64_C(1000000), "nor less than it starts with");
}

Test(budget, a_full_bucket_costs_no_write)
{
    struct hgi_budget_settings settings = defaults();
    struct hgi_budget_rules rules = hgi_budget_rules(&settings);
    uint64_t word = hgi_budget_first_word(&rules, 1000.0, start_ns);
    for (int64_t after_ns = 0; after_ns < 2 * DAY_NS; after_ns += HOUR_NS / 7) {
        struct hgi_budget_step step =
            hgi_budget_step(&rules, word, HGI_BUDGET_CALL, start_ns + after_ns);
        cr_assert(after_ns < HGI_NS_PER_S || step.word == word, "after %" PRId64 " ns", after_ns);
        word = step.word;
    }
}

/* The tick turns every 9.7 days. A month of calls that go well, then an outage at every hour of the
 * turn: the full bucket is there, and time fills it again at once. */
Test(budget, a_long_time_of_good_health_does_not_confuse_its_clock)
{
    struct hgi_budget_settings settings = defaults();
    for (int64_t age_ns = 20 * DAY_NS; age_ns < 31 * DAY_NS; age_ns += HOUR_NS / 6) {
        struct hg_budget budget;
        int writes = 0;
        hgi_budget_init(&budget, &settings, start_ns);
        for (int i = 0; i < 1000; i++)
            hgi_budget_on_call(&budget, start_ns);
        for (int64_t at_ns = 0; at_ns <= age_ns; at_ns += 6 * HOUR_NS) {
            uint64_t before = budget.word;
            hgi_budget_on_call(&budget, start_ns + at_ns);
            writes += budget.word != before;
        }
        cr_assert_leq(writes, 14, "a write in two days and more: %d", writes);
        int granted = 0;
        while (granted < 1000 && hgi_budget_take(&budget, start_ns + age_ns))
            granted++;
        cr_assert_eq(granted, 100, "age %" PRId64, age_ns);
        cr_assert_eq(hgi_budget_tokens(&budget, start_ns + age_ns + HGI_NS_PER_S), 10u,
                     "age %" PRId64, age_ns);
    }
}

/* Threads read their clocks before they get to the word, so a word can be ahead of a thread. */
Test(budget, a_late_clock_earns_nothing_twice)
{
    struct hgi_budget_settings settings = defaults();
    settings.ratio = 0.0;
    static const int64_t late_ns[] = { 1, 49 * HGI_NS_PER_MS, 51 * HGI_NS_PER_MS, HGI_NS_PER_S,
                                       600 * HGI_NS_PER_S };
    for (size_t i = 0; i < sizeof late_ns / sizeof late_ns[0]; i++) {
        struct hg_budget budget;
        int granted = 0;
        int64_t from_ns = start_ns + HOUR_NS;
        hgi_budget_init(&budget, &settings, from_ns);
        for (int64_t at_ns = 0; at_ns < 20 * HGI_NS_PER_S; at_ns += 10 * HGI_NS_PER_MS) {
            granted += hgi_budget_take(&budget, from_ns + at_ns);
            granted += hgi_budget_take(&budget, from_ns + at_ns - late_ns[i]);
            hgi_budget_on_call(&budget, from_ns + at_ns - late_ns[i]);
        }
        cr_assert_leq(granted, 10 + 200, "late by %" PRId64 ": %d", late_ns[i], granted);
        cr_assert_geq(granted, 10 + 199, "late by %" PRId64 ": %d", late_ns[i], granted);
    }
}

Test(budget, a_token_given_back_is_there_again)
{
    struct hgi_budget_settings settings = only_tokens(2);
    struct hg_budget budget;
    hgi_budget_init(&budget, &settings, start_ns);
    for (int i = 0; i < 100; i++) {
        cr_assert(hgi_budget_take(&budget, start_ns));
        hgi_budget_give_back(&budget);
    }
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns), 2u);
    for (int i = 0; i < 100; i++)
        hgi_budget_give_back(&budget);
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns), 10u, "not more than it holds");
}

Test(budget, one_that_is_disabled_grants_everything)
{
    struct hgi_budget_settings settings = only_tokens(0);
    settings.enabled = false;
    struct hg_budget budget;
    hgi_budget_init(&budget, &settings, start_ns);
    uint64_t before = budget.word;
    for (int i = 0; i < 1000; i++) {
        hgi_budget_on_call(&budget, start_ns + i * HGI_NS_PER_S);
        cr_assert(hgi_budget_take(&budget, start_ns + i * HGI_NS_PER_S));
    }
    hgi_budget_give_back(&budget);
    cr_assert_eq(budget.word, before, "and writes nothing");
}

Test(budget, new_settings_keep_the_tokens)
{
    struct hgi_budget_settings settings = defaults();
    struct hg_budget budget;
    settings.initial = 60.0;
    hgi_budget_init(&budget, &settings, start_ns);
    settings.initial = 5.0;
    hgi_budget_configure(&budget, &settings, start_ns);
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns), 60u);

    settings.window_ns = 2 * HGI_NS_PER_S;
    hgi_budget_configure(&budget, &settings, start_ns);
    hgi_budget_on_call(&budget, start_ns);
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns), 20u, "as far as there is room");

    /* a bucket that was full for an hour was not saving for a larger one */
    settings.window_ns = 1000 * HGI_NS_PER_S;
    hgi_budget_configure(&budget, &settings, start_ns + HOUR_NS);
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns + HOUR_NS), 20u);

    settings.enabled = false;
    hgi_budget_configure(&budget, &settings, start_ns + HOUR_NS);
    while (hgi_budget_tokens(&budget, start_ns + HOUR_NS) < 10)
        cr_assert(hgi_budget_take(&budget, start_ns + HOUR_NS));
    cr_assert(hgi_budget_take(&budget, start_ns + HOUR_NS));
    cr_assert_eq(hgi_budget_tokens(&budget, start_ns + HOUR_NS), 20u);
}

Test(budget, senseless_settings_do_no_harm)
{
    static const double numbers[] = { NAN, INFINITY, -INFINITY, -1.0, 1e300, 1e-300, 0.0 };
    static const int64_t windows[] = { INT64_MIN, -1, 0, 1, INT64_MAX };
    for (int i = 0; i < 7 * 7 * 7 * 5; i++) {
        struct hgi_budget_settings settings = { .enabled = true,
                                                .ratio = numbers[i % 7],
                                                .min_per_second = numbers[i / 7 % 7],
                                                .initial = numbers[i / 49 % 7],
                                                .window_ns = windows[i / 343] };
        struct hgi_budget_rules rules = hgi_budget_rules(&settings);
        cr_assert(rules.capacity >= 10000000 && rules.capacity <= UINT64_C(1000000000000));
        uint64_t word = hgi_budget_first_word(&rules, settings.initial, INT64_MAX);
        for (int event = HGI_BUDGET_CALL; event <= HGI_BUDGET_SETTLE; event++) {
            word = hgi_budget_step(&rules, word, (enum hgi_budget_event)event, INT64_MIN).word;
            word = hgi_budget_step(&rules, word, (enum hgi_budget_event)event, INT64_MAX).word;
            cr_assert_leq(word & ((UINT64_C(1) << 40) - 1), rules.capacity);
        }
    }
}

/* The same bucket with numbers that never wrap: what the word must agree with. */
struct model {
    uint64_t tokens;
    int64_t tick;
};

static bool model_step(struct model *model, const struct hgi_budget_rules *rules,
                       enum hgi_budget_event event, int64_t now_ns)
{
    int64_t tick = now_ns / (50 * HGI_NS_PER_MS);
    uint64_t earned = 0;
    struct model before = *model;
    if (event != HGI_BUDGET_GIVE_BACK && tick > model->tick) {
        long double credit = (long double)(tick - model->tick) * (long double)rules->per_tick;
        earned = credit > 1e13L ? UINT64_C(10000000000000) : (uint64_t)credit;
        model->tick = tick;
    }
    if (model->tokens + earned < rules->capacity)
        model->tokens += earned;
    else
        model->tokens = rules->capacity;
    if (event == HGI_BUDGET_TAKE) {
        bool granted = model->tokens >= 1000000;
        if (granted)
            model->tokens -= 1000000;
        else
            *model = before;
        return granted;
    }
    if (event == HGI_BUDGET_CALL || event == HGI_BUDGET_GIVE_BACK)
        model->tokens += event == HGI_BUDGET_CALL ? rules->per_call : 1000000;
    if (model->tokens > rules->capacity)
        model->tokens = rules->capacity;
    return false;
}

/* At most a week: with the 2.4 days that a full bucket's tick may be old, less than a turn of it. */
static int64_t any_pause(void)
{
    uint64_t kind = draw() % 100;
    if (kind == 0)
        return (int64_t)(draw() % (uint64_t)(7 * DAY_NS));
    if (kind < 10)
        return (int64_t)(draw() % (uint64_t)(100 * HGI_NS_PER_S));
    return (int64_t)(draw() % (uint64_t)(20 * HGI_NS_PER_MS));
}

Test(budget, one_word_is_as_good_as_numbers_without_limit)
{
    seed_from(31);
    for (int round = 0; round < 300; round++) {
        struct hgi_budget_settings settings = defaults();
        settings.ratio = (double)(draw() % 300) / 100.0;
        settings.min_per_second = draw() % 4 ? (double)(draw() % 1000) / 10.0 : 0.0;
        settings.window_ns = (int64_t)(draw() % 60) * HGI_NS_PER_S;
        settings.initial = (double)(draw() % 100);
        struct hgi_budget_rules rules = hgi_budget_rules(&settings);
        int64_t now_ns = (int64_t)(draw() >> 4);
        uint64_t word = hgi_budget_first_word(&rules, settings.initial, now_ns);
        struct model model = { (uint64_t)settings.initial * 1000000,
                               now_ns / (50 * HGI_NS_PER_MS) + 1 };
        for (int i = 0; i < 2000; i++) {
            enum hgi_budget_event event = (enum hgi_budget_event)(draw() % 4);
            now_ns += any_pause();
            struct hgi_budget_step step = hgi_budget_step(&rules, word, event, now_ns);
            bool granted = model_step(&model, &rules, event, now_ns);
            word = step.word;
            cr_assert_eq(step.granted, granted, "round %d, step %d", round, i);
            cr_assert_eq(word & ((UINT64_C(1) << 40) - 1), model.tokens, "round %d, step %d", round,
                         i);
        }
    }
}

Test(budget, a_user_makes_one_with_the_settings_of_a_policy)
{
    static struct hg_policy policy;
    hgi_settings_defaults(&policy.settings);
    policy.settings.budget.initial = 3.0;
    policy.settings.budget.min_per_second = 0.0;
    struct hg_error err = HG_ERROR_INIT;
    hg_budget *budget = NULL;
    cr_assert_eq(hg_budget_new(&budget, &policy, &err), HG_OK);
    cr_assert_eq((uintptr_t)budget % 64, 0u, "alone on its cache line");
    for (int i = 0; i < 4; i++)
        cr_assert_eq(hgi_budget_take(budget, hgi_now_ns()), i < 3);
    hg_budget_free(budget);
    hg_budget_free(NULL);

    budget = (hg_budget *)&policy;
    cr_assert_eq(hg_budget_new(&budget, NULL, &err), HG_ERR_VALIDATION);
    cr_assert_null(budget);
    cr_assert_eq(err.type, HG_ERR_VALIDATION);
    cr_assert_eq(hg_budget_new(NULL, &policy, NULL), HG_ERR_VALIDATION);
}
