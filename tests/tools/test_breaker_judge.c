/* What is counted against a breaker, and what is not, from transitions and admissions that are known. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/breaker.h"

/* An outage from 1000 to 2000 ms. Opened at 1010 for 500 ms; half-open at 1510, failed; open at 1520 for
 * 1000 ms; half-open at 2520; closed at 2530. Each is told 5 ms later. */
static struct hgi_breaker_results *made_results(void)
{
    static const struct {
        hg_breaker_state from, to;
        int64_t at_ms, period_ms;
    } turns[] = { { HG_BREAKER_CLOSED, HG_BREAKER_OPEN, 1010, 500 },
                  { HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 1510, 0 },
                  { HG_BREAKER_HALF_OPEN, HG_BREAKER_OPEN, 1520, 1000 },
                  { HG_BREAKER_OPEN, HG_BREAKER_HALF_OPEN, 2520, 0 },
                  { HG_BREAKER_HALF_OPEN, HG_BREAKER_CLOSED, 2530, 0 } };
    struct hgi_breaker_results *r = calloc(1, sizeof *r);
    r->settings.breaker = (struct hg_breaker_options)HG_BREAKER_OPTIONS_INIT;
    r->settings.attempt_timeout_ns = 100 * NS_PER_MS;
    r->stamp.took_ns = 4000 * NS_PER_MS;
    r->outage_count = 1;
    r->outage[0] = (struct hgi_outage) { .down_ns = 1000 * NS_PER_MS, .up_ns = 2000 * NS_PER_MS };
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++)
        r->turn[r->turn_count++] =
            (struct hgi_turn) { .from = turns[i].from,
                                .to = turns[i].to,
                                .at_ns = turns[i].at_ms * NS_PER_MS,
                                .told_ns = (turns[i].at_ms + 5) * NS_PER_MS,
                                .period_ns = turns[i].period_ms * NS_PER_MS,
                                .generation = (uint32_t)(65534 + i) & UINT16_MAX };
    r->counts.transitions = r->snapshot.transitions = r->turn_count;
    r->counts.half_opened = 2;
    return r;
}

static void admit(struct hgi_breaker_results *r, int64_t asked_ms, int64_t got_ms)
{
    r->admission[r->admission_count++] =
        (struct hgi_admission) { asked_ms * NS_PER_MS, got_ms * NS_PER_MS };
}

static const char *broken(const struct hgi_breaker_results *r)
{
    static char text[300];
    hgi_breaker_broken(text, sizeof text, r);
    return text;
}

Test(breaker_judge, an_outage_has_its_times_and_counts)
{
    struct hgi_breaker_results *r = made_results();
    admit(r, 1515, 1516);
    admit(r, 2526, 2527);
    admit(r, 2527, 2528);
    struct hgi_outage_figures f = hgi_breaker_outage(r, 0);
    cr_assert_eq(f.opened_after_ns, 10 * NS_PER_MS);
    cr_assert_eq(f.closed_after_ns, 530 * NS_PER_MS);
    cr_assert_eq(f.period_ns, 1000 * NS_PER_MS);
    cr_assert(f.half_opened == 2 && f.probes == 3);
    cr_assert_eq(hgi_breaker_probes_most(r), 2);
    cr_assert_str_eq(broken(r), "");
    cr_assert_eq(hgi_breaker_false_opens(r), 0);
    free(r);
}

Test(breaker_judge, a_call_admitted_while_it_was_open_for_certain_is_counted)
{
    struct hgi_breaker_results *r = made_results();
    admit(r, 1012, 1013); /* the opening was not told yet: it may not have happened */
    admit(r, 1014, 1200); /* asked for before that */
    admit(r, 1490, 1495); /* within the ticks that the breaker keeps time in */
    admit(r, 1400, 1511); /* may have waited for a processor until it was half-open */
    cr_assert_eq(hgi_breaker_admitted_open(r), 0);
    admit(r, 1200, 1201);
    cr_assert_eq(hgi_breaker_admitted_open(r), 1);
    cr_assert(strstr(broken(r), "1 calls were admitted while the breaker was open"));
    free(r);
}

Test(breaker_judge, more_probes_than_a_period_may_have_are_counted)
{
    struct hgi_breaker_results *r = made_results();
    for (int i = 0; i < 3; i++)
        admit(r, 2526, 2527);
    admit(r, 2526, 2531); /* may have been admitted after it closed */
    admit(r, 2521, 2522); /* may have been admitted before */
    cr_assert_str_eq(broken(r), "");
    admit(r, 2527, 2528);
    cr_assert(strstr(broken(r), "4 calls were admitted in a half-open period, of 3"));
    r->admission_count = 0;
    r->snapshot.probes = 7;
    cr_assert(strstr(broken(r), "7 probes in 2 half-open periods of 3"));
    free(r);
}

Test(breaker_judge, transitions_that_were_not_told_are_counted)
{
    struct hgi_breaker_results *r = made_results();
    r->snapshot.transitions++;
    cr_assert(strstr(broken(r), "5 transitions were told of 6"));
    free(r);
}

Test(breaker_judge, an_opening_without_an_outage_is_false)
{
    struct hgi_breaker_results *r = made_results();
    r->turn[0].at_ns = 900 * NS_PER_MS;
    cr_assert_eq(hgi_breaker_false_opens(r), 1);
    r->turn[0].at_ns = 2150 * NS_PER_MS; /* of an attempt that the outage held */
    cr_assert_eq(hgi_breaker_false_opens(r), 0);
    r->turn[0].at_ns = 2300 * NS_PER_MS;
    cr_assert_eq(hgi_breaker_false_opens(r), 1);
    cr_assert_str_eq(broken(r), ""); /* a figure, for --assert: the server may have been slow */
    free(r);
}

Test(breaker_judge, what_a_killed_process_could_not_tell_is_in_doubt)
{
    struct hgi_breaker_results *r = made_results();
    admit(r, 1200, 1201);
    cr_assert_eq(hgi_breaker_admitted_open(r), 1);
    r->turn[0].elsewhere = true; /* when it really opened, and so when it may end, is not known */
    cr_assert_eq(hgi_breaker_admitted_open(r), 0);
    r->admission_count = 0;
    for (int i = 0; i < 4; i++)
        admit(r, 2526, 2527);
    cr_assert_eq(hgi_breaker_probes_most(r), 4);
    r->turn[4].elsewhere = true; /* it may have closed long before that was seen */
    cr_assert_eq(hgi_breaker_probes_most(r), 0);
    r->turn[4].elsewhere = false;
    r->turn[4].generation += 2; /* it opened in between, and nobody told */
    cr_assert_eq(hgi_breaker_probes_most(r), 0);
    free(r);
}

Test(breaker_judge, a_transition_may_die_untold_with_its_process_alone)
{
    struct hgi_breaker_results *r = made_results();
    r->snapshot.transitions += 2;
    cr_assert_eq(hgi_breaker_untold(r), 2);
    cr_assert(strstr(broken(r), "5 transitions were told of 7"));
    r->kill_count = 1;
    cr_assert_str_eq(broken(r), "");
    r->snapshot.probes = 12; /* two periods more than were told */
    cr_assert_str_eq(broken(r), "");
    r->snapshot.probes = 13;
    cr_assert(strstr(broken(r), "13 probes"));
    r->snapshot.probes = 0;
    r->snapshot.transitions = 4; /* told, and not made */
    cr_assert(strstr(broken(r), "5 transitions were told of 4"));
    free(r);
}
