/* Sums, verdict, table, JSON and page of a run of concurrency, made from data that is known. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/markup.h"
#include "tools/common/timing.h"
#include "tools/stress/concurrency.h"
#include "tools/stress/worker_sum.h"

static struct hgi_concurrency_results *made_results(void)
{
    struct hgi_concurrency_results *r = calloc(1, sizeof *r);
    struct hgi_worker *worker = calloc(1, sizeof *worker);
    r->settings = (struct hgi_concurrency_settings) {
        .threads = 2, .sizes = { 64, 64 }, .length_ns = 2 * NS_PER_S, .seed = UINT64_MAX
    };
    worker->calls[HGI_OP_GET] = 1000;
    worker->replies = 1500;
    worker->leases = 10;
    worker->elapsed_ns = 1000 * NS_PER_MS;
    worker->queue_ns = 500 * NS_PER_MS;
    worker->dial_ns = 100 * NS_PER_MS;
    worker->server_ns = 300 * NS_PER_MS;
    worker->backoff_ns = 50 * NS_PER_MS;
    for (int i = 1; i <= 1000; i++)
        hgi_histogram_add(&worker->latency, i * NS_PER_US);
    hgi_worker_add(&r->sum, worker);
    hgi_worker_add(&r->sum, worker);
    free(worker);
    r->stamp.took_ns = 2 * NS_PER_S;
    r->slices = HGI_SLICES;
    for (int i = 0; i < HGI_SLICES; i++)
        r->slice_done[i] = 16;
    r->stats.max_size = 8;
    strcpy(r->stamp.server, "7.0.15");
    r->stamp.command = "herdgate-stress concurrency --policy '<script>x&y</script>'";
    r->stamp.herdgate = "0.1.0";
    return r;
}

static const char *broken(const struct hgi_concurrency_results *r)
{
    static char text[400];
    hgi_concurrency_broken(text, sizeof text, r);
    return text;
}

static char *written(const struct hgi_concurrency_results *r, bool page)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (page)
        cr_assert(hgi_concurrency_html(out, r, NULL));
    else
        hgi_concurrency_table(out, r, false);
    fclose(out);
    return text;
}

Test(concurrency, workers_add_up)
{
    struct hgi_concurrency_results *r = made_results();
    cr_assert_eq(hgi_worker_calls(&r->sum), 2000);
    cr_assert_eq(r->sum.replies, 3000);
    cr_assert_eq(r->sum.latency.total, 2000);
    struct hgi_time_shares s = hgi_concurrency_shares(&r->sum);
    cr_assert_float_eq(s.queue, 0.4, 1e-9);
    cr_assert_float_eq(s.dial, 0.1, 1e-9);
    cr_assert_float_eq(s.server, 0.3, 1e-9);
    cr_assert_float_eq(s.backoff, 0.05, 1e-9);
    cr_assert_float_eq(s.rest, 0.15, 1e-9);
    free(r);
}

Test(concurrency, the_first_of_each_mishap_is_kept)
{
    struct hgi_worker *worker = calloc(2, sizeof *worker);
    struct hgi_worker *sum = calloc(1, sizeof *sum);
    strcpy(worker[0].first_mismatch, "the first");
    strcpy(worker[1].first_mismatch, "the second");
    strcpy(worker[1].first_failure, "a failure");
    hgi_worker_add(sum, &worker[0]);
    hgi_worker_add(sum, &worker[1]);
    cr_assert_str_eq(sum->first_mismatch, "the first");
    cr_assert_str_eq(sum->first_failure, "a failure");
    free(worker);
    free(sum);
}

Test(concurrency, each_invariant_is_named_when_it_is_broken)
{
    struct hgi_concurrency_results *r = made_results();
    cr_assert_str_eq(broken(r), "");
    r->memory_left = 5 << 20;
    cr_assert(strstr(broken(r), "bytes of memory are left"));
    r->descriptors_left = 1;
    cr_assert(strstr(broken(r), "1 descriptors are left"));
    r->connections_left = 3;
    cr_assert(strstr(broken(r), "3 connections are left"));
    strcpy(r->close_failure, "a lease is out");
    cr_assert(strstr(broken(r), "did not close: a lease is out"));
    r->sum.doubled = 2;
    strcpy(r->sum.first_doubled, "connection 7");
    cr_assert(strstr(broken(r), "2 leases were doubled; first: connection 7"));
    r->sum.mismatches = 4;
    strcpy(r->sum.first_mismatch, "GET k");
    cr_assert(strstr(broken(r), "4 replies did not belong to their command; first: GET k"));
    free(r);
}

Test(concurrency, a_failed_call_is_the_librarys_fault_only_on_a_server_that_is_known_to_be_well)
{
    char text[640];
    struct hgi_concurrency_results *r = made_results();
    r->sum.failed = 1;
    strcpy(r->sum.first_failure, "GET: no");
    cr_assert(strstr(broken(r), "1 calls failed on a server that is well; first: GET: no"));
    r->settings.target.given = true;
    cr_assert_str_eq(broken(r), "");
    hgi_concurrency_verdict(text, sizeof text, r);
    cr_assert(strstr(text, "1 of 2,000 calls failed"), "%s", text);
    free(r);
}

Test(concurrency, what_the_server_does_not_tell_is_not_invented)
{
    struct hgi_concurrency_results *r = made_results();
    r->connections_left = -1;
    cr_assert_str_eq(broken(r), "");
    char *table = written(r, false);
    cr_assert(strstr(table, "connections unknown"));
    cJSON *json = hgi_concurrency_json(r);
    cJSON *kept = cJSON_GetObjectItem(json, "invariants");
    cr_assert(cJSON_IsNull(cJSON_GetObjectItem(kept, "connections_left")));
    cJSON_Delete(json);
    free(table);
    free(r);
}

Test(concurrency, the_table_says_rate_percentiles_and_verdict_without_control_characters)
{
    struct hgi_concurrency_results *r = made_results();
    char *table = written(r, false);
    cr_assert(strstr(table, "2,000") && strstr(table, "1,000"), "%s", table);
    cr_assert(strstr(table, "Every one of 3,000 replies belonged to its command"));
    cr_assert_null(strchr(table, '\033'));
    free(table);
    free(r);
}

Test(concurrency, the_json_holds_what_the_table_says_and_parses_again)
{
    struct hgi_concurrency_results *r = made_results();
    cJSON *made = hgi_concurrency_json(r);
    char *text = cJSON_Print(made);
    cJSON *json = cJSON_Parse(text);
    cr_assert_eq(cJSON_GetObjectItem(json, "calls")->valueint, 2000);
    cr_assert_float_eq(cJSON_GetObjectItem(json, "calls_per_second")->valuedouble, 1000, 1e-6);
    cr_assert_str_eq(
        cJSON_GetObjectItem(cJSON_GetObjectItem(json, "settings"), "seed")->valuestring,
        "18446744073709551615");
    cJSON *latency = cJSON_GetObjectItem(json, "latency");
    cr_assert_eq(cJSON_GetObjectItem(latency, "count")->valueint, 2000);
    cJSON_Delete(json);
    cJSON_Delete(made);
    free(text);
    free(r);
}

Test(concurrency, the_page_is_well_formed_and_escapes_what_comes_from_outside)
{
    struct hgi_concurrency_results *r = made_results();
    char *page = written(r, true);
    const char *wrong = unbalanced(page);
    cr_assert_null(wrong, "%.60s", wrong);
    cr_assert_null(strstr(page, "<script"));
    cr_assert(strstr(page, "&lt;script&gt;x&amp;y&lt;/script&gt;"));
    cr_assert_null(strstr(page, "nan"));
    cr_assert(strstr(page, "960 calls per second"));
    free(page);
    free(r);
}

Test(concurrency, the_page_can_be_made_when_nothing_was_measured)
{
    struct hgi_concurrency_results *r = made_results();
    memset(&r->sum, 0, sizeof r->sum);
    r->slices = 0;
    r->stamp.took_ns = 1;
    char *page = written(r, true);
    cr_assert_null(unbalanced(page));
    cr_assert_null(strstr(page, "nan"));
    free(page);
    free(r);
}
