/* Figures, table, JSON and page of a herd, made from data that is known. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/markup.h"
#include "tools/common/output.h"
#include "tools/common/timing.h"
#include "tools/stress/report.h"

#define MS(n) ((n)*NS_PER_MS)

/* A trial of 6 s, down from 1 s to 3 s, 2,000 calls per second. While it is down every call fails
 * with `attempts_each` attempts; it is back `late_ns` after the server. */
static struct hgi_trial *made_trial(enum hgi_strategy strategy, uint32_t attempts_each,
                                    int64_t late_ns)
{
    struct hgi_trial *t = calloc(1, sizeof *t);
    t->strategy = strategy;
    t->threads = 200;
    t->threads_well = 200;
    t->connections_live = 8;
    t->length_ns = MS(6000);
    t->down_ns = MS(1000);
    t->up_ns = MS(3000);
    cr_assert(hgi_series_init(&t->series, t->length_ns));
    cr_assert_eq(t->series.count, 600);
    for (uint32_t i = 0; i < t->series.count; i++) {
        int64_t at_ns = i * HGI_BUCKET_NS;
        bool down = at_ns >= t->down_ns && at_ns < t->up_ns;
        bool well = at_ns < t->down_ns || at_ns >= t->up_ns + late_ns;
        t->offered += 20;
        t->series.answered[i] = well ? 20 : 0;
        t->series.failed[i] = well ? 0 : 20;
        t->series.attempts[i] = well ? 20 : 20 * attempts_each;
        t->series.wasted[i] = well ? 0 : 20 * attempts_each;
        t->answered += t->series.answered[i];
        t->failed += t->series.failed[i];
        t->failed_as[-HG_ERR_CONNECTION] += t->series.failed[i];
        t->attempts += t->series.attempts[i];
        t->wasted += t->series.wasted[i];
        t->offered_down += down ? 20 : 0;
        t->failed_down += down ? 20 : 0;
        t->attempts_down += down ? t->series.attempts[i] : 0;
        hgi_histogram_add(well ? &t->latency : &t->latency_down, 20000 + i);
    }
    return t;
}

Test(report, what_was_answered_late_before_the_outage_is_not_asked_for_after_it)
{
    struct hgi_trial *t = made_trial(HGI_STRATEGY_ALL, 0, 900 * NS_PER_MS);
    for (uint32_t i = 0; i < 100; i++)
        t->series.answered[i] = 23; /* 2,300 a second, of which 300 were late ones */
    cr_assert_eq(hgi_herd_figures(t, NULL).back_ns, -1);
    t->rate_per_s = 2000;
    struct hgi_herd_figures f = hgi_herd_figures(t, NULL);
    cr_expect(f.back_ns > 0 && f.back_ns <= 900 * NS_PER_MS);
    cr_expect_float_eq(f.goodput_at_end, 1, 0.01);
    cr_expect_float_eq(f.goodput_per_s, 2300, 1); /* told as it was */
    t->rate_per_s = 2500;                         /* and less is not made more */
    cr_expect_eq(hgi_herd_figures(t, NULL).back_ns, -1);
    hgi_trial_free(t);
}

static struct hgi_herd_results *made_results(void)
{
    struct hgi_herd_results *r = calloc(1, sizeof *r);
    r->settings = (struct hgi_herd_settings) { .threads = 200,
                                               .connections = 8,
                                               .length_ns = MS(6000),
                                               .outage = { MS(1000), MS(3000) },
                                               .think_ns = MS(100),
                                               .attempt_timeout_ns = MS(250),
                                               .deadline_ns = MS(2000),
                                               .sizes = { 64, 64 },
                                               .seed = UINT64_MAX };
    r->trial[r->count++] = made_trial(HGI_STRATEGY_NAIVE, 7, 20 * NS_PER_MS);
    r->trial[r->count++] = made_trial(HGI_STRATEGY_JITTER, 3, 100 * NS_PER_MS);
    r->trial[r->count] = made_trial(HGI_STRATEGY_ALL, 0, 900 * NS_PER_MS);
    struct hgi_trial *all = r->trial[r->count++];
    all->attempts_down = 40;
    all->attempts += 40;
    all->has_breaker = true;
    all->transitions = 3;
    all->mark_count = 3;
    all->mark[0] = (struct hgi_breaker_mark) { MS(1002), MS(2848), HG_BREAKER_OPEN };
    all->mark[1] = (struct hgi_breaker_mark) { MS(3850), 0, HG_BREAKER_HALF_OPEN };
    all->mark[2] = (struct hgi_breaker_mark) { MS(3851), 0, HG_BREAKER_CLOSED };
    strcpy(r->stamp.server, "7.0.15");
    strcpy(r->stamp.began_at, "2026-01-02T03:04:05Z");
    r->stamp.command = "herdgate-stress herd --policy '<script>alert(\"x&y\")</script>'";
    r->stamp.herdgate = "0.1.0";
    return r;
}

/* The same on a server that serves 2,500 a second, whose overload outlives the outage under naive
 * retry: from its return on 2,450 come each second, all in vain. */
static struct hgi_herd_results *overloaded_results(void)
{
    struct hgi_herd_results *r = made_results();
    r->settings.capacity_per_s = 2500;
    r->proxy_cost = (struct hgi_proxy_cost) { true, 50000, 90000, 80000, 150000 };
    for (size_t i = 0; i < r->count; i++) {
        struct hgi_trial *t = r->trial[i];
        bool naive = t->strategy == HGI_STRATEGY_NAIVE;
        t->server_seen = true;
        t->capacity_per_s = 2500;
        for (uint32_t b = 0; b < t->series.count; b++) {
            bool down = b >= 100 && b < 300;
            if (naive && b >= 300)
                t->series.answered[b] = 0;
            t->series.came[b] = naive && b >= 300 ? 24 + b % 2 : down ? 0 : 20;
            t->series.served[b] = t->series.came[b];
            t->series.in_vain[b] = naive && b >= 300 ? t->series.came[b] : 0;
        }
    }
    r->trial[2]->series.came[450] = 70;
    return r;
}

static void free_results(struct hgi_herd_results *r)
{
    for (size_t i = 0; i < r->count; i++) {
        hgi_series_free(&r->trial[i]->series);
        free(r->trial[i]);
    }
    free(r);
}

static char *page_of(const struct hgi_herd_results *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert(hgi_report_html(out, r, NULL));
    fclose(out);
    return text;
}

Test(figures, they_are_those_of_the_data)
{
    struct hgi_herd_results *r = made_results();
    struct hgi_herd_figures naive = hgi_herd_figures(r->trial[0], r->trial[0]);
    struct hgi_herd_figures all = hgi_herd_figures(r->trial[2], r->trial[0]);
    cr_assert_float_eq(naive.goodput_per_s, 2000, 0.01);
    cr_assert_float_eq(naive.offered_per_s, 2000, 0.01);
    cr_assert_float_eq(naive.peak_per_s, 14000, 0.01);
    cr_assert_float_eq(naive.amplification_down, 7, 0.001);
    cr_assert_float_eq(naive.ratio_to_naive, 1, 0.001);
    cr_assert_float_eq(all.ratio_to_naive, 40 / 28000.0, 1e-9);
    cr_assert_float_eq(all.amplification, (12000 - 5800 + 40) / 12000.0, 0.001);
    /* 5 % of the 300 ms may be dark, so it counts as back 15 ms before the last dark bucket ends. */
    cr_assert(naive.back_ns >= 0 && naive.back_ns <= MS(20));
    cr_assert(all.back_ns >= MS(880) && all.back_ns <= MS(900), "%ld", (long)all.back_ns);
    cr_assert_eq(hgi_herd_figures(r->trial[2], NULL).ratio_to_naive, -1);
    free_results(r);
}

Test(figures, what_did_not_happen_is_not_invented)
{
    struct hgi_herd_results *r = made_results();
    for (uint32_t i = 300; i < 600; i++)
        r->trial[2]->series.answered[i] = 18; /* 90 %: never back */
    cr_assert_eq(hgi_herd_figures(r->trial[2], NULL).back_ns, -1);
    r->trial[2]->up_ns = -1;
    cr_assert_eq(hgi_herd_figures(r->trial[2], NULL).back_ns, -1);
    struct hgi_trial nothing = { .down_ns = -1, .up_ns = -1 };
    struct hgi_herd_figures f = hgi_herd_figures(&nothing, &nothing);
    cr_assert_eq(f.amplification, 0);
    cr_assert_eq(f.ratio_to_naive, -1);
    free_results(r);
}

Test(figures, the_verdict_says_both_counts_and_how_many_times)
{
    char text[HGI_VERDICT_SIZE];
    struct hgi_herd_results *r = made_results();
    hgi_herd_verdict(text, sizeof text, r);
    cr_assert(strstr(text, "tried it 40 times"), "%s", text);
    cr_assert(strstr(text, "28,000 times, 700 times as often"), "%s", text);
    cr_assert(strstr(text, "after the server's return"), "%s", text);
    hgi_herd_broken(text, sizeof text, r);
    cr_assert_str_eq(text, "");
    free_results(r);
}

Test(figures, at_a_capacity_they_are_multiples_of_it_and_know_what_was_in_vain)
{
    struct hgi_herd_results *r = overloaded_results();
    struct hgi_herd_figures naive = hgi_herd_figures(r->trial[0], NULL);
    struct hgi_herd_figures all = hgi_herd_figures(r->trial[2], NULL);
    cr_assert_float_eq(naive.over_capacity, 0.98, 0.001);
    cr_assert_float_eq(naive.over_capacity_10ms, 1, 0.001);
    cr_assert_float_eq(naive.in_vain_after, 1, 1e-9);
    cr_assert_float_eq(naive.in_vain, 7350 / 9350.0, 1e-9);
    cr_assert_eq(naive.goodput_at_end, 0);
    cr_assert_eq(naive.back_ns, -1);
    cr_assert_float_eq(all.over_capacity_after, 1, 0.001); /* 9 buckets of 20 and one of 70 */
    cr_assert_float_eq(all.over_capacity_10ms, 2.8, 0.001);
    cr_assert_eq(all.in_vain_after, 0);
    cr_assert_float_eq(all.goodput_at_end, 1, 0.001);
    r->trial[2]->server_seen = false;
    cr_assert_eq(hgi_herd_figures(r->trial[2], NULL).over_capacity_after, -1);
    free_results(r);
}

Test(figures, the_open_interval_in_force_at_the_servers_return_is_found)
{
    struct hgi_herd_results *r = made_results();
    struct hgi_herd_figures all = hgi_herd_figures(r->trial[2], NULL);
    cr_assert_eq(all.open_interval_ns, MS(2848)); /* from 1.002 s to 3.850 s; it returned at 3 s */
    cr_assert_eq(all.open_left_ns, MS(850));
    cr_assert_eq(all.back_after_open_ns, all.back_ns - MS(850));
    r->trial[2]->up_ns = MS(3900); /* it was closed by then */
    all = hgi_herd_figures(r->trial[2], NULL);
    cr_assert_eq(all.open_interval_ns, -1);
    cr_assert_eq(all.back_after_open_ns, all.back_ns);
    cr_assert_eq(hgi_herd_figures(r->trial[0], NULL).open_left_ns, -1);
    free_results(r);
}

Test(figures, goodput_that_does_not_last_is_not_back)
{
    struct hgi_herd_results *r = made_results();
    for (uint32_t i = 340; i < 600; i++)
        r->trial[0]->series.answered[i] = 10; /* 400 ms of it, and then half */
    cr_assert_eq(hgi_herd_figures(r->trial[0], NULL).back_ns, -1);
    free_results(r);
}

Test(figures, the_verdict_on_an_overload_says_who_outlived_the_outage)
{
    char text[HGI_VERDICT_SIZE];
    struct hgi_herd_results *r = overloaded_results();
    hgi_herd_verdict(text, sizeof text, r);
    cr_assert(strstr(text, "Under naive retry the overload outlived the outage: 3.00 s later"),
              "%s", text);
    cr_assert(strstr(text, "goodput was 0 % of what it had been, and 100 %"), "%s", text);
    cr_assert(strstr(text, "850 ms of which were left of the breaker's open interval (2.85 s)"),
              "%s", text);
    cr_assert(strstr(text, "at most 1.00 times its capacity"), "%s", text);
    int64_t open_ns = r->trial[2]->mark[0].open_ns;
    r->trial[2]->mark[0].open_ns =
        MS(5000); /* it was cut short: by an operator, or a bucket's width */
    hgi_herd_verdict(text, sizeof text, r);
    cr_assert_not(strstr(text, "3.00 s of which"), "%s", text);
    r->trial[2]->mark[0].open_ns = open_ns;
    hgi_herd_headline(text, sizeof text, r);
    cr_assert_str_eq(text, "Under naive retry the overload outlives the outage; under the full "
                           "policy it does not.");
    for (uint32_t i = 300; i < 600; i++)
        r->trial[2]->series.answered[i] = 0;
    hgi_herd_headline(text, sizeof text, r);
    cr_assert_str_eq(text, "Under the full policy the goodput is not back within the trial.");
    for (uint32_t i = 300; i < 600; i++)
        r->trial[2]->series.in_vain[i] = r->trial[2]->series.came[i];
    hgi_herd_headline(text, sizeof text, r);
    cr_assert_str_eq(text, "The overload outlives the outage, under the full policy too.");
    free_results(r);
}

Test(figures, a_machine_that_was_too_busy_puts_them_in_doubt)
{
    char text[HGI_VERDICT_SIZE];
    struct hgi_herd_results *r = overloaded_results();
    r->trial[1]->late_ns = MS(99);
    r->trial[2]->lost_ns = MS(100); /* of 6 s */
    hgi_herd_doubt(text, sizeof text, r);
    cr_assert_str_eq(text, "");
    r->trial[2]->lost_ns = MS(130);
    hgi_herd_doubt(text, sizeof text, r);
    cr_assert(strstr(text, "lost 130 ms of its capacity to it in the trial of all"), "%s", text);
    char *page = page_of(r);
    cr_assert(strstr(page, text));
    cr_assert_null(unbalanced(page));
    free(page);
    r->trial[1]->late_ns = MS(101);
    hgi_herd_doubt(text, sizeof text, r);
    cr_assert(strstr(text, "woke 101 ms too late in the trial of jitter"), "%s", text);
    free_results(r);
}

Test(figures, a_broken_invariant_is_named)
{
    char text[HGI_VERDICT_SIZE];
    struct hgi_herd_results *r = made_results();
    r->trial[2]->threads_well = 199;
    hgi_herd_broken(text, sizeof text, r);
    cr_assert(strstr(text, "all: 1 of 200 threads got no answer again"), "%s", text);
    r->trial[2]->threads_well = 200;
    r->trial[2]->connections_live = 0;
    hgi_herd_broken(text, sizeof text, r);
    cr_assert(strstr(text, "no live connection"), "%s", text);
    r->trial[1]->mismatches = 2;
    strcpy(r->trial[1]->first_mismatch, "GET k: nil");
    hgi_herd_broken(text, sizeof text, r);
    cr_assert(strstr(text, "jitter: 2 replies did not belong to their command; first: GET k: nil"),
              "%s", text);
    free_results(r);
}

Test(strategies, a_list_is_read_in_its_order_and_mistakes_are_named)
{
    enum hgi_strategy list[HGI_STRATEGIES];
    size_t count;
    struct hgi_problem problem;
    cr_assert(hgi_strategies_parse(list, &count, "all,naive", &problem));
    cr_assert(count == 2 && list[0] == HGI_STRATEGY_ALL && list[1] == HGI_STRATEGY_NAIVE);
    cr_assert_not(hgi_strategies_parse(list, &count, "naive,al", &problem));
    cr_assert(strstr(problem.text, "'al' is none of"));
    cr_assert_not(hgi_strategies_parse(list, &count, "naive,naive", &problem));
    cr_assert(strstr(problem.text, "twice"));
    cr_assert_not(hgi_strategies_parse(list, &count, "", &problem));
}

Test(page, it_is_well_formed_and_has_no_script_and_fetches_nothing)
{
    struct hgi_herd_results *r = made_results();
    char *page = page_of(r);
    const char *wrong = unbalanced(page);
    cr_assert_null(wrong, "%.60s", wrong);
    cr_assert_null(strstr(page, "<script"));
    cr_assert_null(strstr(page, "http:"));
    cr_assert_null(strstr(page, "https:"));
    cr_assert_null(strstr(page, "url(\""));
    cr_assert_null(strstr(page, "@import"));
    cr_assert_null(strstr(page, "nan"));
    cr_assert_null(strstr(page, "inf\""));
    cr_assert(strstr(page, "prefers-color-scheme:dark") && strstr(page, "@media print"));
    cr_assert(strstr(page, ".wide,.plot{overflow:visible}")); /* on paper, that is */
    free(page);
    free_results(r);
}

Test(page, it_shows_each_policy_the_outage_the_breaker_and_the_verdict)
{
    char text[HGI_VERDICT_SIZE];
    struct hgi_herd_results *r = made_results();
    char *page = page_of(r);
    cr_assert(strstr(page, ">naive<") && strstr(page, ">jitter<") && strstr(page, ">all<"));
    size_t outages = 0;
    for (const char *at = page; (at = strstr(at, "<rect class=\"outage\" x=")); at++)
        outages++;
    cr_assert_eq(outages, 3);
    cr_assert(strstr(page, "open from 1.002 s"));
    cr_assert(strstr(page, "half-open from 3.850 s"));
    cr_assert(strstr(page, "14000 attempts per second, 14000 of them wasted"));
    hgi_herd_verdict(text, sizeof text, r);
    cr_assert(strstr(page, text));
    cr_assert(strstr(page, "closed loop: not corrected"));
    free(page);
    free_results(r);
}

Test(page, at_a_capacity_it_shows_it_and_what_was_in_vain_and_how_each_ended)
{
    struct hgi_herd_results *r = overloaded_results();
    char *page = page_of(r);
    cr_assert_null(unbalanced(page));
    cr_assert_null(strstr(page, "nan"));
    size_t lines = 0;
    for (const char *at = page; (at = strstr(at, "<line class=\"capacity\" x1=\"64\"")); at++)
        lines++;
    cr_assert_eq(lines, 3);
    cr_assert(strstr(page, "its capacity, 2,500 per second"));
    cr_assert(strstr(page, "2450 connections and commands per second, 2450 of them wasted"));
    cr_assert(strstr(page, "not back: 0 % of the goodput at the end"));
    cr_assert(strstr(page, "goodput back 890 ms after the server"));
    cr_assert(strstr(page, "under the full policy it does not"));
    cr_assert(strstr(page, "which adds 30 us at the median and 60 us at p99"));
    free(page);
    free_results(r);
}

Test(page, text_from_outside_cannot_become_markup)
{
    struct hgi_herd_results *r = made_results();
    char *page = page_of(r);
    cr_assert(strstr(page, "&lt;script&gt;alert(&quot;x&amp;y&quot;)&lt;/script&gt;"));
    free(page);
    free_results(r);
}

Test(page, it_can_be_made_when_nothing_was_measured)
{
    struct hgi_herd_results *r = made_results();
    struct hgi_trial *t = r->trial[2];
    hgi_series_free(&t->series);
    *t = (struct hgi_trial) { .strategy = HGI_STRATEGY_ALL, .down_ns = -1, .up_ns = -1 };
    r->stamp.interrupted = true;
    char *page = page_of(r);
    cr_assert_null(unbalanced(page));
    cr_assert_null(strstr(page, "nan"));
    cr_assert(strstr(page, "Interrupted"));
    free(page);
    free_results(r);
}

Test(json, it_holds_the_figures_and_the_series_and_parses_again)
{
    struct hgi_herd_results *r = made_results();
    cJSON *made = hgi_report_json(r);
    char *text = cJSON_Print(made);
    cJSON *json = cJSON_Parse(text);
    cr_assert(json);
    cr_assert_eq(cJSON_GetObjectItem(json, "version")->valueint, 1);
    cr_assert_str_eq(
        cJSON_GetObjectItem(cJSON_GetObjectItem(json, "settings"), "seed")->valuestring,
        "18446744073709551615");
    cJSON *trials = cJSON_GetObjectItem(json, "trials");
    cr_assert_eq(cJSON_GetArraySize(trials), 3);
    cJSON *all = cJSON_GetArrayItem(trials, 2);
    cr_assert_str_eq(cJSON_GetObjectItem(all, "policy")->valuestring, "all");
    cr_assert_eq(cJSON_GetObjectItem(all, "attempts_while_down")->valueint, 40);
    cJSON *series = cJSON_GetObjectItem(all, "series");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(series, "attempts")), 600);
    cJSON *states = cJSON_GetObjectItem(cJSON_GetObjectItem(all, "breaker"), "states");
    cr_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(states, 1), "state")->valuestring,
                     "half-open");
    cr_assert(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(trials, 0), "breaker")));
    cJSON_Delete(json);
    cJSON_Delete(made);
    free(text);
    free_results(r);
}

Test(table, it_has_a_line_per_policy_and_the_verdict_and_no_control_characters)
{
    char *text = NULL;
    size_t size = 0;
    struct hgi_herd_results *r = made_results();
    FILE *out = open_memstream(&text, &size);
    hgi_report_table(out, r, false);
    fclose(out);
    cr_assert(strstr(text, "\n  naive ") && strstr(text, "\n  jitter ") &&
              strstr(text, "\n  all "));
    cr_assert(strstr(text, "28,000") && strstr(text, "200/200"));
    cr_assert_null(strchr(text, '\033'));
    free(text);
    free_results(r);
}
