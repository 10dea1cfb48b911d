/* The statistics tell what happened, and their text is OpenMetrics: held against a small parser of its
 * own, written from the specification (version 1.0). */
#include <criterion/criterion.h>

#include <ctype.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "breaker/clock.h"
#include "pool/tally.h"
#include "tests/pool/one_pool.h"

TestSuite(metrics, .init = set_up_server, .fini = tear_down_server, .timeout = 120);

/* --- the parser --- */

enum { SAMPLES_MAX = 400, KEY_MAX = 300 };

struct sample {
    char key[KEY_MAX]; /* name and labels, as written */
    double value;
};

static struct {
    char *text;
    struct sample sample[SAMPLES_MAX];
    size_t samples;
    char family[100];
    char type[20];
    bool has_help;
    double bucket; /* of the histogram under way: the last count */
    double bound;
    char families[4000];
} page;

static size_t name_length(const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]) || at[length] == '_')
        length++;
    return isdigit((unsigned char)at[0]) ? 0 : length;
}

/* "# TYPE name type", "# UNIT name unit" or "# HELP name text". */
static void parse_comment(const char *line)
{
    char kind[8], name[100], mark[104], rest[200];
    cr_assert_eq(sscanf(line, "# %7s %99s %199[^\n]", kind, name, rest), 3, "%s", line);
    cr_assert_eq(name_length(name), strlen(name), "%s", line);
    if (strcmp(kind, "TYPE") == 0) {
        snprintf(mark, sizeof mark, " %s ", name);
        cr_assert_null(strstr(page.families, mark), "a family twice: %s", line);
        strncat(page.families, mark, sizeof page.families - strlen(page.families) - 1);
        cr_assert(strcmp(rest, "gauge") == 0 || strcmp(rest, "counter") == 0 ||
                      strcmp(rest, "histogram") == 0 || strcmp(rest, "stateset") == 0,
                  "%s", line);
        snprintf(page.family, sizeof page.family, "%s", name);
        snprintf(page.type, sizeof page.type, "%.19s", rest);
        page.has_help = false;
        page.bucket = page.bound = -1;
        return;
    }
    cr_assert_str_eq(name, page.family, "outside of its family: %s", line);
    cr_assert_not(page.has_help, "%s", line);
    if (strcmp(kind, "UNIT") == 0) {
        size_t length = strlen(rest);
        cr_assert_gt(strlen(name), length);
        cr_assert_str_eq(name + strlen(name) - length, rest, "%s", line);
        cr_assert_eq(name[strlen(name) - length - 1], '_', "%s", line);
    } else {
        cr_assert_str_eq(kind, "HELP", "%s", line);
        page.has_help = true;
    }
}

/* {name="value",...}: returns what follows. */
static const char *parse_labels(const char *at)
{
    cr_assert_eq(*at++, '{');
    for (;;) {
        size_t length = name_length(at);
        cr_assert_gt(length, 0, "%s", at);
        at += length;
        cr_assert_eq(strncmp(at, "=\"", 2), 0, "%s", at);
        for (at += 2; *at != '"'; at++) {
            cr_assert_neq(*at, '\n');
            cr_assert_neq(*at, '\0');
            if (*at == '\\')
                cr_assert_not_null(memchr("\\\"n", *++at, 3), "%s", at);
        }
        at++;
        if (*at != ',')
            break;
        at++;
    }
    cr_assert_eq(*at, '}', "%s", at);
    return at + 1;
}

static void check_bucket(const struct sample *sample)
{
    const char *le = strstr(sample->key, "le=\"");
    cr_assert_not_null(le);
    double bound = strncmp(le + 4, "+Inf", 4) == 0 ? 1e300 : strtod(le + 4, NULL);
    cr_assert_gt(bound, page.bound, "%s", sample->key);
    cr_assert_geq(sample->value, page.bucket, "%s", sample->key);
    page.bound = bound;
    page.bucket = sample->value;
}

/* The name of a sample, against what its family's type allows. */
static void check_name(const struct sample *sample, const char *suffix)
{
    if (strcmp(page.type, "counter") == 0) {
        cr_assert_str_eq(suffix, "_total", "%s", sample->key);
    } else if (strcmp(page.type, "histogram") == 0) {
        if (strcmp(suffix, "_bucket") == 0)
            check_bucket(sample);
        else if (strcmp(suffix, "_count") == 0)
            cr_assert(page.bound > 1e299 && sample->value == page.bucket, "%s", sample->key);
        else
            cr_assert_str_eq(suffix, "_sum", "%s", sample->key);
    } else {
        cr_assert_str_eq(suffix, "", "%s", sample->key);
    }
}

static void parse_sample(const char *line)
{
    char suffix[20];
    cr_assert(page.has_help, "%s", line);
    cr_assert_lt(page.samples, SAMPLES_MAX);
    struct sample *sample = &page.sample[page.samples];
    size_t length = name_length(line);
    size_t family = strlen(page.family);
    cr_assert(length >= family && strncmp(line, page.family, family) == 0, "%s", line);
    snprintf(suffix, sizeof suffix, "%.*s", (int)(length - family), line + family);
    const char *at = line[length] == '{' ? parse_labels(line + length) : line + length;
    cr_assert_eq(*at, ' ', "%s", line);
    cr_assert_lt((size_t)(at - line), KEY_MAX);
    snprintf(sample->key, sizeof sample->key, "%.*s", (int)(at - line), line);
    for (size_t i = 0; i < page.samples; i++)
        cr_assert_str_neq(page.sample[i].key, sample->key);
    char *end;
    cr_assert(isdigit((unsigned char)at[1]), "%s", line);
    sample->value = strtod(at + 1, &end);
    cr_assert_eq(*end, '\n', "%s", line);
    check_name(sample, suffix);
    page.samples++;
}

/* Fetch and parse. */
static void read_page(const char *name)
{
    free(page.text);
    memset(&page, 0, sizeof page);
    size_t length = hg_pool_write_metrics(pool, name, NULL, 0) + 4096; /* numbers grow meanwhile */
    page.text = malloc(length);
    cr_assert_not_null(page.text);
    cr_assert_lt(hg_pool_write_metrics(pool, name, page.text, length), length);
    bool ended = false;
    for (const char *line = page.text; *line; line = strchr(line, '\n') + 1) {
        cr_assert_not(ended, "something after the end");
        cr_assert_not_null(strchr(line, '\n'), "%s", line);
        if (strncmp(line, "# EOF\n", 6) == 0)
            ended = true;
        else if (*line == '#')
            parse_comment(line);
        else
            parse_sample(line);
    }
    cr_assert(ended);
}

static double value_of(const char *key)
{
    for (size_t i = 0; i < page.samples; i++)
        if (strcmp(page.sample[i].key, key) == 0)
            return page.sample[i].value;
    cr_assert_fail("no sample %s in\n%s", key, page.text);
    return 0;
}

/* --- the text --- */

Test(metrics, the_text_is_whole_or_cut_and_its_length_is_told)
{
    char small[100];
    memset(small, 'x', sizeof small);
    pool = open_pool(hgi_private_server_url(server), "{" PATIENT "}");
    read_page("a \"quoted\\name\"\nof two lines");
    value_of("herdgate_waiters{pool=\"a \\\"quoted\\\\name\\\"\\nof two lines\"}");
    read_page(NULL);
    size_t length = hg_pool_write_metrics(pool, NULL, small, 50);
    cr_assert_gt(length, 1000);
    cr_assert_eq(strlen(small), 49);
    cr_assert_eq(small[50], 'x');
    cr_assert_eq(strncmp(small, page.text, 49), 0);
    cr_assert_eq(hg_pool_write_metrics(NULL, NULL, small, 50), 0);
    close_pool(pool);
}

/* --- the numbers --- */

static void expect_in_bucket(int64_t elapsed_ns, unsigned expected)
{
    struct hgi_histogram histogram = { .sum_ns = 0 };
    hgi_tally_time(&histogram, elapsed_ns, true);
    hgi_tally_time(&histogram, elapsed_ns, false);
    for (unsigned i = 0; i < HGI_TALLY_BUCKETS; i++)
        cr_assert_eq(histogram.bucket[i], i == expected ? 2 : 0, "%lld ns, bucket %u",
                     (long long)elapsed_ns, i);
    cr_assert_eq(histogram.sum_ns, 2 * (uint64_t)elapsed_ns);
}

Test(metrics, a_time_lies_in_the_first_bucket_whose_bound_is_not_below_it)
{
    expect_in_bucket(0, 0);
    for (unsigned i = 0; i < HGI_TALLY_BUCKETS - 1; i++) {
        expect_in_bucket(hgi_tally_bounds_ns[i], i);
        expect_in_bucket(hgi_tally_bounds_ns[i] + 1, i + 1);
    }
}

Test(metrics, calls_and_attempts_are_counted_by_class_and_outcome)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1}, " PATIENT
                     ", \"errors\": {\"server:WRONGTYPE\": {\"severity\": \"critical\"}, "
                     "\"server:NOSCRIPT\": {\"recovery\": \"ignore\"}}}");
    for (int i = 0; i < 5; i++)
        cr_assert_eq(hg_command(pool, NULL, NULL, "GET k"), HG_OK);
    cr_assert_eq(hg_command(pool, NULL, NULL, "SET k v"), HG_OK);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(hg_command(pool, NULL, NULL, "LPUSH k v"), HG_ERR_SERVER);
    cr_assert_eq(
        hg_command(pool, NULL, NULL, "EVALSHA %s 0", "0000000000000000000000000000000000000000"),
        HG_IGNORED);
    hg_lease *lease = acquire();
    cr_assert_not_null(hg_lease_context(lease));
    hg_release(lease, HG_OK);
    read_page(NULL);
    cr_assert_eq(value_of("herdgate_calls_total{class=\"read\",result=\"ok\"}"), 5);
    cr_assert_eq(value_of("herdgate_calls_total{class=\"write\",result=\"ok\"}"), 1);
    cr_assert_eq(value_of("herdgate_calls_total{class=\"write_once\",result=\"failed\"}"), 2);
    cr_assert_eq(value_of("herdgate_calls_total{class=\"write_once\",result=\"ok\"}"), 1);
    cr_assert_eq(value_of("herdgate_calls_total{class=\"script\",result=\"ignored\"}"), 1);
    cr_assert_eq(value_of("herdgate_attempts_total{class=\"read\",outcome=\"executed\"}"), 5);
    double refused = 0;
    static const char *const outcomes[] = { "unknown", "not_sent", "rejected", "executed" };
    for (int i = 0; i < 4; i++) {
        char key[100];
        snprintf(key, sizeof key, "herdgate_attempts_total{class=\"write_once\",outcome=\"%s\"}",
                 outcomes[i]);
        refused += value_of(key);
    }
    cr_assert_eq(refused, 3);
    static const char failed[] = "_failures_total{type=\"SERVER\",severity=\"critical\"}";
    char key[120];
    snprintf(key, sizeof key, "herdgate_call%s", failed);
    cr_assert_eq(value_of(key), 2);
    snprintf(key, sizeof key, "herdgate_attempt%s", failed);
    cr_assert_eq(value_of(key), 2);
    cr_assert_eq(value_of("herdgate_stops_total{reason=\"fail\"}"), 2);
    cr_assert_eq(value_of("herdgate_use_seconds_count"), 10);
    cr_assert_gt(value_of("herdgate_use_seconds_sum"), 0);
    cr_assert_eq(value_of("herdgate_leases_total"), 10);
    cr_assert_eq(value_of("herdgate_retired_total{reason=\"unclean\"}"), 1);
    cr_assert_geq(value_of("herdgate_dial_seconds_count"), 1);
    cr_assert_eq(value_of("herdgate_dial_failures_total"), 0);
    close_pool(pool);
}

Test(metrics, retries_refusals_and_transitions_are_counted)
{
    pool = open_pool("unix:///nonexistent/herdgate",
                     "{\"breaker\": {\"failure_threshold\": 1000, \"recovery_timeout\": \"30s\", "
                     "\"recovery_timeout_max\": \"60s\"}, "
                     "\"presets\": {\"twice\": {\"extends\": \"fast\", \"max_attempts\": 2, "
                     "\"initial_delay\": \"1ms\"}}, \"classes\": {\"read\": {\"retry\": \"twice\", "
                     "\"deadline\": \"100s\", \"attempt_timeout\": \"60s\"}}}");
    cr_assert_eq(hg_command(pool, NULL, NULL, "GET k"), HG_ERR_RETRY_EXHAUSTED);
    hg_breaker_trip(hg_pool_breaker(pool));
    cr_assert_eq(hg_command(pool, NULL, NULL, "GET k"), HG_ERR_CIRCUIT_OPEN);
    read_page("down");
    cr_assert_eq(value_of("herdgate_calls_total{pool=\"down\",class=\"read\",result=\"failed\"}"),
                 2);
    cr_assert_eq(
        value_of("herdgate_retries_total{pool=\"down\",class=\"read\",outcome=\"not_sent\"}"), 1);
    cr_assert_eq(
        value_of("herdgate_retries_total{pool=\"down\",class=\"read\",outcome=\"executed\"}"), 0);
    cr_assert_eq(
        value_of("herdgate_attempts_total{pool=\"down\",class=\"read\",outcome=\"not_sent\"}"), 2);
    cr_assert_eq(value_of("herdgate_attempt_failures_total{pool=\"down\",type=\"CONNECTION\","
                          "severity=\"high\"}"),
                 2);
    cr_assert_eq(value_of("herdgate_call_failures_total{pool=\"down\",type=\"RETRY_EXHAUSTED\","
                          "severity=\"high\"}"),
                 1);
    cr_assert_eq(value_of("herdgate_call_failures_total{pool=\"down\",type=\"CIRCUIT_OPEN\","
                          "severity=\"medium\"}"),
                 1);
    cr_assert_eq(value_of("herdgate_stops_total{pool=\"down\",reason=\"attempts\"}"), 1);
    cr_assert_eq(value_of("herdgate_breaker_refusals_total{pool=\"down\"}"), 1);
    cr_assert_eq(value_of("herdgate_breaker_transitions_total{pool=\"down\",to=\"open\"}"), 1);
    cr_assert_eq(value_of("herdgate_breaker{pool=\"down\",herdgate_breaker=\"open\"}"), 1);
    cr_assert_eq(value_of("herdgate_breaker{pool=\"down\",herdgate_breaker=\"closed\"}"), 0);
    cr_assert_geq(value_of("herdgate_dials_total{pool=\"down\"}"), 2);
    cr_assert_geq(value_of("herdgate_dial_failures_total{pool=\"down\"}"), 2);
    cr_assert_eq(value_of("herdgate_dial_seconds_count{pool=\"down\"}"), 0);
    close_pool(pool);
}

Test(metrics, what_the_budget_refuses_is_counted)
{
    pool = open_pool("unix:///nonexistent/herdgate",
                     "{\"breaker\": {\"enabled\": false}, \"retry_budget\": {\"ratio\": 0, "
                     "\"min_per_second\": 0}, \"classes\": {\"read\": {\"deadline\": \"100s\"}}}");
    for (int i = 0; i < 40; i++)
        cr_assert_lt(hg_command(pool, NULL, NULL, "GET k"), 0);
    read_page(NULL);
    double refused = value_of("herdgate_budget_refusals_total");
    cr_assert_gt(refused, 0);
    cr_assert_eq(value_of("herdgate_stops_total{reason=\"budget\"}"), refused);
    close_pool(pool);
}

static void *wait_main(void *arg)
{
    (void)arg;
    cr_assert_eq(hg_command(pool, NULL, NULL, "GET k"), HG_OK);
    return NULL;
}

static bool one_waits(void *arg)
{
    (void)arg;
    read_page(NULL);
    return value_of("herdgate_waiters") == 1;
}

Test(metrics, the_wait_for_a_connection_is_a_time_in_its_bucket)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 1, \"fairness\": \"fifo\"}, " PATIENT "}");
    hg_lease *lease = acquire();
    read_page(NULL);
    double before = value_of("herdgate_wait_seconds_count"); /* for the first connection */
    double handed = value_of("herdgate_handed_total");
    double queued = value_of("herdgate_queued_total");
    cr_assert_eq(value_of("herdgate_connections{state=\"leased\"}"), 1);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wait_main, NULL), 0);
    wait_for(one_waits, NULL, "the other thread waits");
    sleep_ms(30);
    hg_release(lease, HG_OK);
    pthread_join(thread, NULL);
    double below = value_of("herdgate_wait_seconds_bucket{le=\"0.025\"}");
    read_page(NULL);
    cr_assert_eq(value_of("herdgate_wait_seconds_count"), before + 1);
    cr_assert_eq(value_of("herdgate_handed_total"), handed + 1);
    cr_assert_eq(value_of("herdgate_queued_total"), queued + 1);
    cr_assert_eq(value_of("herdgate_pool_timeouts_total"), 0);
    cr_assert_eq(value_of("herdgate_wait_seconds_bucket{le=\"0.025\"}"), below);
    cr_assert_geq(value_of("herdgate_wait_seconds_sum"), 0.03);
    close_pool(pool);
}

/* --- every connection is in one gauge --- */

static uint32_t open_sockets(void)
{
    uint32_t sockets = 0;
    struct stat about;
    for (int fd = 0; fd < 1024; fd++)
        sockets += fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
    return sockets;
}

static bool all_are_mended(void *arg)
{
    (void)arg;
    struct hg_pool_stats stats = stats_now();
    return stats.mended == 3 && stats.mending == 0;
}

Test(metrics, connections_that_are_mended_are_in_a_gauge_of_their_own)
{
    const uint32_t sockets = open_sockets();
    hg_lease *leases[4];
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 5, \"min_idle\": 0, \"max_connecting\": 1,"
                     " \"connect_timeout\": \"100s\"}, " PATIENT "}");
    for (int i = 0; i < 4; i++) {
        leases[i] = acquire();
        if (i > 0)
            cr_assert_eq(hg_lease_command(leases[i], NULL, NULL, "MULTI"), HG_OK);
    }
    hgi_private_server_pause(server); /* so that mending takes as long as this wants */
    for (int i = 1; i < 4; i++)
        hg_release(leases[i], HG_OK);
    struct hg_pool_stats stats = stats_now();
    cr_assert_eq(stats.mending, 3);
    cr_assert_eq(stats.leased, 1);
    cr_assert_eq(stats.idle + stats.leased + stats.dialing + stats.mending,
                 open_sockets() - sockets);
    read_page(NULL);
    cr_assert_eq(value_of("herdgate_connections{state=\"mending\"}"), 3);
    cr_assert_eq(value_of("herdgate_connections{state=\"idle\"}"), 0);
    hgi_private_server_resume(server);
    wait_for(all_are_mended, NULL, "all three are clean again");
    hg_release(leases[0], HG_OK);
    stats = stats_now();
    cr_assert_eq(stats.mending, 0);
    cr_assert_eq(stats.idle, 4);
    cr_assert_eq(open_sockets() - sockets, 4);
    read_page(NULL);
    cr_assert_eq(value_of("herdgate_mended_total"), 3);
    close_pool(pool);
}

Test(metrics, a_suspended_pool_says_so)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    cr_assert_eq(stats_now().suspended, 0);
    cr_assert_eq(hg_pool_suspend(pool, NULL), HG_OK);
    cr_assert_eq(stats_now().suspended, 1);
    read_page(NULL);
    cr_assert_eq(value_of("herdgate_suspended"), 1);
    cr_assert_eq(value_of("herdgate_connections_max"), 0);
    cr_assert_eq(hg_pool_resume(pool, NULL), HG_OK);
    cr_assert_eq(stats_now().suspended, 0);
    read_page(NULL);
    cr_assert_eq(value_of("herdgate_suspended"), 0);
    cr_assert_eq(value_of("herdgate_connections_max"), 2);
    close_pool(pool);
}

Test(metrics, a_host_that_knows_fewer_numbers_gets_those)
{
    pool = open_pool(hgi_private_server_url(server), "{" PATIENT "}");
    cr_assert_eq(hg_command(pool, NULL, NULL, "PING"), HG_OK);
    const size_t sizes[] = { offsetof(struct hg_pool_stats, calls),
                             offsetof(struct hg_pool_stats, mending),
                             sizeof(struct hg_pool_stats) };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *old = malloc(sizes[i]); /* to the byte, for who watches memory */
        struct hg_pool_stats read;
        cr_assert_not_null(old);
        memcpy(old, &sizes[i], sizeof sizes[i]); /* `size` comes first */
        hg_pool_read_stats(pool, old);
        memcpy(&read, old, offsetof(struct hg_pool_stats, calls));
        cr_assert_eq(read.size, sizes[i]);
        cr_assert_eq(read.attempts, 1);
        free(old);
    }
    struct {
        struct hg_pool_stats known;
        uint64_t unknown;
    } newer = { .known.size = sizeof newer, .unknown = 7 };
    hg_pool_read_stats(pool, &newer.known);
    cr_assert_eq(newer.known.size, sizeof newer.known);
    cr_assert_eq(newer.unknown, 7);
    close_pool(pool);
}
