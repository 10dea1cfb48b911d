/* Schedules, sums, verdict, growth and the forms of a run of chaos, made from data that is known. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/markup.h"
#include "tools/common/timing.h"
#include "tools/stress/chaos.h"
#include "tools/stress/vitals.h"

static struct hgi_problem problem;

static struct hgi_server_faults parsed(const char *text)
{
    struct hgi_server_faults faults;
    cr_assert(hgi_server_faults_parse(&faults, text, &problem), "%s: %s", text, problem.text);
    return faults;
}

static void refused(const char *text, const char *why)
{
    struct hgi_server_faults faults = { .count = 77 };
    cr_assert_not(hgi_server_faults_parse(&faults, text, &problem), "%s", text);
    cr_assert(strstr(problem.text, why), "%s: %s", text, problem.text);
    cr_assert_eq(faults.count, 77);
}

Test(server_fault, a_list_is_read_in_any_order_and_kept_in_that_of_time)
{
    struct hgi_server_faults faults = parsed("oom@5s..6s,kill@1s..2s,stop@2s..2500ms");
    cr_assert_eq(faults.count, 3);
    cr_assert(faults.fault[0].kind == HGI_SERVER_KILL && faults.fault[0].from_ns == NS_PER_S);
    cr_assert(faults.fault[1].kind == HGI_SERVER_STOP);
    cr_assert(faults.fault[2].kind == HGI_SERVER_OOM && faults.fault[2].until_ns == 6 * NS_PER_S);
    cr_assert_eq(parsed("").count, 0);
    cr_assert_eq(parsed("none").count, 0);
}

Test(server_fault, a_bad_list_is_refused_with_what_is_wrong)
{
    refused("kill", "no window");
    refused("kill@1s", "no window");
    refused("kill@2s..1s", "ends before it begins");
    refused("explode@1s..2s", "there are kill, stop");
    refused("kill@1s..3s,oom@2s..4s", "overlaps");
    refused("oom@2s..4s,kill@1s..3s", "overlaps");
    refused("kill@1s..x", "x");
    refused("kill@1s..2s,,", "");
}

Test(server_fault, what_is_printed_is_read_as_the_same)
{
    char text[HGI_SERVER_FAULTS_TEXT], again[HGI_SERVER_FAULTS_TEXT];
    struct hgi_server_faults faults;
    struct hgi_toxics toxics;
    for (uint64_t seed = 0; seed < 50; seed++) {
        hgi_schedule_draw(&toxics, &faults, seed, 7 * NS_PER_S + (int64_t)seed);
        hgi_server_faults_print(&faults, text);
        struct hgi_server_faults copy = parsed(text);
        hgi_server_faults_print(&copy, again);
        cr_assert_str_eq(text, again);
        cr_assert_eq(copy.count, HGI_SERVER_FAULT_KINDS);
    }
}

Test(schedule, each_fault_has_a_time_of_its_own_and_a_calm_behind_it)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct hgi_server_faults faults, other;
        struct hgi_toxics toxics, others;
        int64_t from[64], until[64];
        uint32_t count = 0;
        hgi_schedule_draw(&toxics, &faults, seed, 34 * NS_PER_S);
        for (uint32_t i = 0; i < toxics.count; i++, count++) {
            from[count] = toxics.toxic[i].from_ns;
            until[count] = toxics.toxic[i].until_ns;
        }
        for (uint32_t i = 0; i < faults.count; i++, count++) {
            from[count] = faults.fault[i].from_ns;
            until[count] = faults.fault[i].until_ns;
        }
        cr_assert_eq(count, HGI_TOXIC_FORGERY + HGI_SERVER_FAULT_KINDS);
        for (uint32_t i = 0; i < count; i++) {
            int64_t length = until[i] - from[i];
            cr_assert(length > 0 && from[i] >= 0 && until[i] + length <= 34 * NS_PER_S);
            for (uint32_t j = 0; j < count; j++)
                cr_assert(i == j || from[j] >= until[i] + length || from[i] >= until[j] + length);
        }
        hgi_schedule_draw(&others, &other, seed, 34 * NS_PER_S);
        cr_assert_eq(memcmp(&other, &faults, sizeof other), 0);
    }
}

Test(schedule, only_toxics_are_drawn_for_a_given_server)
{
    struct hgi_chaos_settings settings = { .drawn = true, .round_ns = 20 * NS_PER_S };
    struct hgi_server_faults faults;
    struct hgi_toxics toxics;
    settings.target.given = true;
    hgi_chaos_schedule(&settings, 1, &toxics, &faults);
    cr_assert(toxics.count == HGI_TOXIC_FORGERY && faults.count == 0);
    settings.target.given = false;
    hgi_chaos_schedule(&settings, 1, &toxics, &faults);
    cr_assert_eq(faults.count, HGI_SERVER_FAULT_KINDS);
    cr_assert_eq(hgi_chaos_round_seed(7, 0), 7); /* so that the command with it does it again */
    cr_assert_neq(hgi_chaos_round_seed(7, 1), hgi_chaos_round_seed(7, 2));
}

/* --- results --- */

static struct hgi_chaos_results *made_results(bool soak)
{
    struct hgi_chaos_results *r = calloc(1, sizeof *r);
    r->settings = (struct hgi_chaos_settings) { .soak = soak,
                                                .threads = 2,
                                                .sizes = { 64, 64 },
                                                .length_ns = 24 * NS_PER_S,
                                                .round_ns = 24 * NS_PER_S,
                                                .pause_ns = 5 * NS_PER_MS,
                                                .attempt_timeout_ns = 250 * NS_PER_MS,
                                                .deadline_ns = 2 * NS_PER_S,
                                                .drawn = true,
                                                .seed = 7 };
    r->round_seed = 7;
    r->stamp.took_ns = 24 * NS_PER_S;
    r->stats.max_size = 8;
    r->sockets_most = 8;
    r->incr_at_server = -1;
    r->sum.calls[HGI_OP_GET] = 1000;
    r->sum.replies = 900;
    r->sum.failed = 100;
    for (int i = 1; i <= 900; i++)
        hgi_histogram_add(&r->sum.latency, i * NS_PER_US);
    r->slices = HGI_CHAOS_SLICES;
    for (int i = 0; i < HGI_CHAOS_SLICES; i++) {
        r->slice[i].answered = 4;
        r->slice[i].failed = i % 2 ? 1 : 0;
    }
    hgi_schedule_draw(&r->toxics, &r->server_faults, 7, r->settings.length_ns);
    strcpy(r->stamp.server, "7.0.15");
    r->stamp.command = "herdgate-stress chaos --policy '<script>x&y</script>'";
    r->stamp.herdgate = "0.1.0";
    return r;
}

static const char *broken(const struct hgi_chaos_results *r)
{
    static char text[400];
    hgi_chaos_broken(text, sizeof text, r);
    return text;
}

Test(chaos, each_invariant_is_named_when_it_is_broken)
{
    struct hgi_chaos_results *r = made_results(false);
    cr_assert_str_eq(broken(r), "");
    r->descriptors_left = 1;
    cr_assert(strstr(broken(r), "1 descriptors are left"));
    strcpy(r->close_failure, "a lease is out");
    cr_assert(strstr(broken(r), "did not close: a lease is out"));
    r->breaker.broken = 2;
    strcpy(r->breaker.first_broken, "half-open too early");
    cr_assert(strstr(broken(r), "the breaker broke its promises 2 times; first: half-open too"));
    r->sockets_over = 1;
    r->sockets_most = 9;
    cr_assert(strstr(broken(r), "9 sockets open, of 8"));
    r->counters_wrong = 3;
    cr_assert(strstr(broken(r), "3 counters on the server"));
    r->sum.overruns = 1;
    cr_assert(strstr(broken(r), "1 calls outlived their deadline"));
    r->sum.doubled = 1;
    cr_assert(strstr(broken(r), "1 leases were doubled"));
    r->sum.incr_over = 1;
    cr_assert(strstr(broken(r), "1 INCRs ran more than once"));
    r->sum.mismatches = 4;
    cr_assert(strstr(broken(r), "4 replies did not belong"));
    free(r);
}

Test(chaos, the_command_that_does_it_again_says_all_that_matters)
{
    char text[8192];
    struct hgi_chaos_results *r = made_results(false);
    hgi_chaos_replay(text, sizeof text, r);
    cr_assert_str_eq(text,
                     "herdgate-stress chaos --seed 7 --duration 24s -t 2 -c 8 -d 64 --pause 5ms "
                     "--attempt-timeout 250ms --deadline 2s");
    r->settings.drawn = false;
    r->settings.policy = "p.json";
    cr_assert(hgi_toxics_parse(&r->settings.toxics, "latency=2ms@1s..2s", &problem));
    r->settings.server_faults = parsed("kill@3s..4s");
    hgi_chaos_replay(text, sizeof text, r);
    cr_assert(strstr(text, " --toxic 'latency=2ms@1s..2s' --server-fault 'kill@3000ms..4000ms' "
                           "--policy 'p.json'"),
              "%s", text);
    r->settings.target.given = true;
    strcpy(r->settings.server_words, "-u 'unix:///run/redis.sock'");
    hgi_chaos_replay(text, sizeof text, r);
    cr_assert(strstr(text, " --policy 'p.json' -u 'unix:///run/redis.sock'"), "%s", text);
    free(r);
}

/* A soak of 40 minutes with a line each, whose vitals grow by that much a line. */
static struct hgi_chaos_growth grown(double resident, double descriptors, double threads)
{
    struct hgi_chaos_results *r = made_results(true);
    for (uint32_t i = 0; i < 40; i++)
        r->sample[r->sample_count++] = (struct hgi_chaos_sample) {
            .at_ns = (i + 1) * 60 * NS_PER_S,
            .resident = (50 << 20) + (int64_t)(resident * i) + (i % 2 ? 100000 : 0),
            .descriptors = 40 + (int64_t)(descriptors * i) + i % 3,
            .threads = 10 + (int64_t)(threads * i),
        };
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    free(r);
    return growth;
}

Test(chaos, steady_growth_is_found_and_noise_is_not)
{
    cr_assert(grown(0, 0, 0).known);
    cr_assert_not(grown(0, 0, 0).grows);
    cr_assert_not(grown(100000, 0.1, 0.1).grows);
    struct hgi_chaos_growth growth = grown(1 << 20, 0, 0);
    cr_assert(growth.grows && strstr(growth.what, "resident memory"));
    cr_assert_float_eq(growth.resident_per_hour, 60.0 * (1 << 20), 1e6);
    growth = grown(0, 1, 0);
    cr_assert(growth.grows && strstr(growth.what, "descriptors"));
    cr_assert_float_eq(growth.descriptors_per_hour, 60, 2);
    growth = grown(0, 0, 1);
    cr_assert(growth.grows && strstr(growth.what, "threads"));
}

Test(chaos, what_ends_high_by_chance_does_not_grow)
{
    struct hgi_chaos_results *r = made_results(true);
    for (uint32_t i = 0; i < 40; i++) /* 20 at rest, and towards the end nearly always 50 */
        r->sample[r->sample_count++] =
            (struct hgi_chaos_sample) { .at_ns = (i + 1) * 60 * NS_PER_S,
                                        .descriptors = i >= 30 && i != 35 ? 50 : 20 };
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    cr_assert(growth.descriptors_per_hour > 24, "%f", growth.descriptors_per_hour);
    cr_assert_not(growth.grows);
    free(r);
}

Test(chaos, a_slope_is_that_of_the_line_through_the_points)
{
    const double x[] = { 1, 2, 3, 4 }, y[] = { 3, 5, 7, 9 };
    cr_assert_float_eq(hgi_slope(x, y, 4), 2, 1e-12);
    cr_assert_eq(hgi_slope(x, y, 1), 0);
}

static char *page_of(const struct hgi_chaos_results *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert(hgi_chaos_html(out, r, NULL));
    fclose(out);
    return text;
}

Test(chaos, the_page_is_whole_and_names_every_fault)
{
    struct hgi_chaos_results *r = made_results(false);
    char *page = page_of(r);
    cr_assert_null(unbalanced(page), "at: %.60s", unbalanced(page));
    cr_assert_not(strstr(page, "<script"));
    for (int kind = 0; kind < HGI_TOXIC_FORGERY; kind++)
        cr_assert(strstr(page, hgi_toxic_name((enum hgi_toxic_kind)kind)));
    for (int kind = 0; kind < HGI_SERVER_FAULT_KINDS; kind++)
        cr_assert(strstr(page, hgi_server_fault_name((enum hgi_server_fault_kind)kind)));
    free(page);
    r->settings.soak = true;
    r->sample_count = 3;
    page = page_of(r);
    cr_assert_null(unbalanced(page), "at: %.60s", unbalanced(page));
    cr_assert(strstr(page, "<th>resident</th>"));
    free(page);
    free(r);
}

Test(chaos, a_long_page_shows_the_breaker_to_its_end)
{
    struct hgi_chaos_results *r = made_results(true);
    r->settings.length_ns = r->stamp.took_ns = 3000 * NS_PER_S;
    r->breaker.transitions = 1000;
    r->breaker.mark_count = HGI_MARKS_MAX;
    for (int i = 0; i < HGI_MARKS_MAX; i++)
        r->breaker.mark[i].state = i % 2 ? HG_BREAKER_HALF_OPEN : HG_BREAKER_OPEN;
    r->slice[HGI_CHAOS_SLICES - 1].open_ns = 0.25 * 3000e9 / HGI_CHAOS_SLICES;
    r->sample[r->sample_count++] = (struct hgi_chaos_sample) { .at_ns = 60 * NS_PER_S + 12345678 };
    char *page = page_of(r);
    cr_assert_null(unbalanced(page), "at: %.60s", unbalanced(page));
    cr_assert(strstr(page, "breaker not closed for 25 % of the time"));
    cr_assert_not(strstr(page, "<title>breaker half-open"));
    cr_assert(strstr(page, ">30 min</text>"));
    cr_assert_not(strstr(page, "e+"));
    cr_assert(strstr(page, "<td>60s</td>") || strstr(page, "<td>1m</td>"));
    free(page);
    free(r);
}

Test(chaos, the_command_that_does_it_again_does_not_round)
{
    char replay[8192];
    struct hgi_chaos_results *r = made_results(false);
    r->settings.round_ns = 12345678 * NS_PER_US;
    r->settings.pause_ns = 1234567;
    hgi_chaos_replay(replay, sizeof replay, r);
    cr_assert(strstr(replay, "--duration 12345678us "), "%s", replay);
    cr_assert(strstr(replay, "--pause 1234567ns "), "%s", replay);
    free(r);
}

Test(chaos, the_json_has_the_schedule_and_the_verdict)
{
    struct hgi_chaos_results *r = made_results(true);
    r->sample_count = 5;
    cJSON *json = hgi_chaos_json(r);
    cr_assert_str_eq(cJSON_GetObjectItem(json, "subcommand")->valuestring, "soak");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "server_faults")),
                 HGI_SERVER_FAULT_KINDS);
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "samples")), 5);
    const cJSON *kept = cJSON_GetObjectItem(json, "invariants");
    cr_assert_str_eq(cJSON_GetObjectItem(kept, "broken")->valuestring, "");
    cr_assert(cJSON_IsNull(cJSON_GetObjectItem(kept, "incr_at_server")));
    cJSON_Delete(json);
    free(r);
}
