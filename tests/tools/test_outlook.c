/* What herdgate-policy foretells, held against the library: the delays against draws of its own jitter,
 * the load against the budget's arithmetic. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "policy/budget.h"
#include "tools/common/random.h"
#include "tools/policy/outlook.h"

enum { RETRIES = 8, CALLS = 60000 };

static struct hgi_settings settings;

static void set_up(void)
{
    hgi_settings_defaults(&settings);
}

TestSuite(outlook, .init = set_up);

static struct hg_retry retry_of(hg_jitter jitter, int64_t max_delay_ns)
{
    struct hg_retry retry = HG_RETRY_INIT;
    retry.max_attempts = RETRIES + 1;
    retry.jitter = jitter;
    retry.initial_delay_ns = 10 * HGI_NS_PER_MS;
    retry.max_delay_ns = max_delay_ns;
    retry.multiplier = 2;
    retry.jitter_ratio = 0.5;
    return retry;
}

/* Many calls, each with all its retries: what is foretold of the n-th delay is what it comes to. */
static void check_against_draws(const struct hg_retry *retry)
{
    struct hgi_delay foretold[RETRIES];
    double sum[RETRIES] = { 0 };
    int64_t least_ns[RETRIES];
    int64_t most_ns[RETRIES] = { 0 };
    uint64_t random = 20151;
    for (int n = 0; n < RETRIES; n++)
        least_ns[n] = INT64_MAX;
    for (int call = 0; call < CALLS; call++) {
        int64_t delay_ns = 0;
        for (uint32_t n = 0; n < RETRIES; n++) {
            delay_ns = hg_retry_delay_jittered(retry, n, delay_ns, random_unit(&random));
            sum[n] += (double)delay_ns;
            least_ns[n] = delay_ns < least_ns[n] ? delay_ns : least_ns[n];
            most_ns[n] = delay_ns > most_ns[n] ? delay_ns : most_ns[n];
        }
    }
    cr_assert(hgi_outlook_delays(retry, RETRIES, foretold));
    for (uint32_t n = 0; n < RETRIES; n++) {
        const struct hgi_delay *f = &foretold[n];
        double mean = sum[n] / CALLS;
        cr_expect_eq(f->plain_ns, hg_retry_delay(retry, n));
        cr_expect(least_ns[n] >= f->least_ns && most_ns[n] <= f->most_ns, "jitter %d retry %u",
                  (int)retry->jitter, n);
        cr_expect(fabs(mean - (double)f->mean_ns) <= 0.01 * mean + 1,
                  "jitter %d retry %u: mean %.0f, foretold %.0f", (int)retry->jitter, n, mean,
                  (double)f->mean_ns);
        /* The ends are the ends: of so many draws some come near, but in the long tail of products. */
        if (retry->jitter != HG_JITTER_DECORRELATED || n < 3)
            cr_expect(most_ns[n] >= f->most_ns - f->most_ns / 5, "jitter %d retry %u: %.0f of %.0f",
                      (int)retry->jitter, n, (double)most_ns[n], (double)f->most_ns);
        cr_expect(least_ns[n] <= f->least_ns + f->most_ns / 50, "jitter %d retry %u",
                  (int)retry->jitter, n);
    }
}

Test(outlook, minimum_mean_and_maximum_are_those_of_the_librarys_draws)
{
    for (int jitter = HG_JITTER_NONE; jitter <= HG_JITTER_DECORRELATED; jitter++) {
        for (int64_t max_ms = 15; max_ms <= 100000; max_ms *= 20) {
            struct hg_retry retry = retry_of((hg_jitter)jitter, max_ms * HGI_NS_PER_MS);
            check_against_draws(&retry);
        }
    }
}

Test(outlook, decorrelated_jitter_with_nothing_to_draw_from_is_its_one_delay)
{
    struct hg_retry retry = retry_of(HG_JITTER_DECORRELATED, 10 * HGI_NS_PER_MS);
    struct hgi_delay delay[RETRIES];
    cr_assert(hgi_outlook_delays(&retry, RETRIES, delay));
    for (int n = 0; n < RETRIES; n++)
        cr_expect(delay[n].least_ns == retry.initial_delay_ns && delay[n].mean_ns == 10000000 &&
                  delay[n].most_ns == 10000000);
    retry.initial_delay_ns = 0;
    cr_assert(hgi_outlook_delays(&retry, RETRIES, delay));
    cr_expect(delay[0].most_ns == 0 && delay[RETRIES - 1].most_ns == 0);
}

Test(outlook, the_longest_settings_of_a_policy_overflow_nothing)
{
    struct hg_retry *retry = &settings.classes[HGI_CLASS_READ].retry;
    struct hgi_outlook o;
    const int64_t hour_ns = 3600 * HGI_NS_PER_S;
    for (int jitter = HG_JITTER_NONE; jitter <= HG_JITTER_DECORRELATED; jitter++) {
        *retry = (struct hg_retry) { sizeof *retry, 1000, (hg_jitter)jitter, 1, hour_ns, 100, 1.0 };
        settings.classes[HGI_CLASS_READ].attempt_timeout_ns = 24 * hour_ns;
        settings.classes[HGI_CLASS_READ].deadline_ns = -1;
        settings.pool.acquire_timeout_ns = 24 * hour_ns;
        cr_assert(hgi_outlook(&o, &settings, &settings.classes[HGI_CLASS_READ], 0));
        cr_expect_eq(o.begun, 1000);
        cr_expect(o.worst_ns >= 48000 * hour_ns && o.worst_ns <= 50000 * hour_ns);
        cr_expect(o.delays_mean_ns > 0 && o.delays_mean_ns <= o.delays_most_ns);
    }
}

Test(outlook, a_call_ends_by_its_deadline_or_when_its_attempts_are_used)
{
    struct hgi_class *c = &settings.classes[HGI_CLASS_READ];
    struct hgi_outlook o;
    cr_assert(hgi_outlook(&o, &settings, c, 0));
    cr_expect(o.attempts == 5 && o.begun == 5 && o.worst_ns == 2 * HGI_NS_PER_S);
    c->deadline_ns = 600 * HGI_NS_PER_MS; /* 250, 26 (62), 250: the third begins at 592 ms */
    cr_assert(hgi_outlook(&o, &settings, c, 0));
    cr_expect(o.begun == 3 && o.worst_ns == 600 * HGI_NS_PER_MS, "%u", o.begun);
    c->deadline_ns = -1;
    cr_assert(hgi_outlook(&o, &settings, c, 0));
    cr_expect_lt(o.worst_ns, 0); /* the queue has no end */
    settings.pool.acquire_timeout_ns = HGI_NS_PER_S;
    cr_assert(hgi_outlook(&o, &settings, c, 0));
    cr_expect_eq(o.worst_ns, 5 * 1250 * HGI_NS_PER_MS + o.delays_most_ns);
    cr_assert(hgi_outlook(&o, &settings, &settings.classes[HGI_CLASS_BLOCKING], 5 * HGI_NS_PER_S));
    cr_expect_eq(o.attempt_ns, 6 * HGI_NS_PER_S);
    cr_assert(hgi_outlook(&o, &settings, &settings.classes[HGI_CLASS_BLOCKING], -1));
    cr_expect(o.attempt_ns < 0 && o.worst_ns < 0);
}

/* Played through on the budget itself: callers begin together, and retry until it refuses. */
static double play(unsigned callers, const struct hgi_outlook *o)
{
    struct hg_budget budget;
    int64_t now_ns = 1000 * HGI_NS_PER_S;
    double attempts = callers;
    hgi_budget_init(&budget, &settings.budget, now_ns);
    now_ns += 3600 * HGI_NS_PER_S; /* it fills */
    for (unsigned i = 0; i < callers; i++)
        hgi_budget_on_call(&budget, now_ns);
    for (int64_t end_ns = now_ns + o->worst_ns; now_ns <= end_ns; now_ns += 50 * HGI_NS_PER_MS)
        while (attempts < callers * o->attempts && hgi_budget_take(&budget, now_ns))
            attempts++;
    return attempts;
}

Test(outlook, no_herd_of_callers_gets_more_out_of_the_budget_than_is_foretold)
{
    struct hgi_outlook o;
    cr_assert(hgi_outlook(&o, &settings, &settings.classes[HGI_CLASS_READ], 0));
    for (unsigned callers = 1; callers <= 100000; callers *= 10) {
        double foretold = hgi_outlook_attempts(&settings, &o, callers);
        double played = play(callers, &o);
        cr_expect_leq(played, foretold, "%u callers: %.0f, foretold %.0f", callers, played,
                      foretold);
        /* And not much less: what the calls earn while it is full is all that is lost. */
        cr_expect_geq(played, foretold - settings.budget.ratio * callers - 2);
    }
}

Test(outlook, without_a_budget_each_call_makes_all_its_attempts)
{
    struct hgi_outlook o;
    settings.budget.enabled = false;
    cr_assert(hgi_outlook(&o, &settings, &settings.classes[HGI_CLASS_READ], 0));
    cr_expect_eq(hgi_outlook_attempts(&settings, &o, 1000), 5000);
    cr_assert(hgi_outlook(&o, &settings, &settings.classes[HGI_CLASS_ADMIN], 0));
    cr_expect_eq(hgi_outlook_attempts(&settings, &o, 1000), 1000);
}
