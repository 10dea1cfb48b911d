/* The proxy as a server of limited capacity, as plain hiredis shows it. */
#include "tests/tools/test_proxy_rig.h"
#include "tools/stress/path.h"
#include "tools/stress/proxy_cost.h"

enum { BUCKETS = 2000 };

static uint32_t counts[3 * BUCKETS];
static struct hgi_proxy_meter meter = { .bucket_ns = 10 * NS_PER_MS,
                                        .count = BUCKETS,
                                        .came = counts,
                                        .wasted = counts + BUCKETS,
                                        .served = counts + (ptrdiff_t)2 * BUCKETS };

static void start_limited(uint32_t per_s)
{
    struct hgi_target target;
    struct hgi_proxy_options options = { .target = &target, .capacity_per_s = per_s };
    CHECK(hgi_target_parse(&target, hgi_private_server_url(server), NULL));
    CHECK(hgi_proxy_start(&proxy, &options, NULL));
    memset(counts, 0, sizeof counts);
    meter.began_ns = monotonic_ns();
    hgi_proxy_measure(proxy, &meter);
}

static uint64_t sum(const uint32_t *of)
{
    uint64_t total = 0;
    for (int i = 0; i < BUCKETS; i++)
        total += of[i];
    return total;
}

static void no_more_than_its_capacity_is_served(void)
{
    start_limited(500);
    redisContext *c = connected();
    int64_t begun_ns = monotonic_ns();
    for (int i = 0; i < 100; i++)
        redisAppendCommand(c, "ECHO %d", i);
    for (int i = 0; i < 100; i++) {
        redisReply *reply = NULL;
        CHECK(redisGetReply(c, (void **)&reply) == REDIS_OK);
        CHECK(atoi(reply->str) == i);
        freeReplyObject(reply);
    }
    /* 101 with the connection; what of the first 20 ms was late may have been made up for. */
    CHECK(monotonic_ns() - begun_ns >= 175 * NS_PER_MS);
    hgi_proxy_measure(proxy, NULL);
    struct hgi_proxy_stats stats = stats_of_proxy();
    CHECK(stats.came == 101 && stats.served == 101 && stats.in_vain == 0);
    CHECK(sum(meter.came) == 101 && sum(meter.served) == 101 && sum(meter.wasted) == 0);
    for (int i = 0; i < BUCKETS; i++)
        CHECK(meter.served[i] <= 20); /* its share is 5; at most 20 ms are made up for */
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void values_of_any_size_pass_unchanged(void)
{
    start_limited(5000);
    redisContext *c = connected();
    for (size_t length = 1; length <= 4 << 20; length = length * 3 + 1) {
        char *value = malloc(length);
        memset(value, (int)('a' + length % 26), length);
        freeReplyObject(redisCommand(c, "SET large %b", value, length));
        redisReply *reply = redisCommand(c, "GET large");
        CHECK(reply && reply->len == length && memcmp(reply->str, value, length) == 0);
        freeReplyObject(reply);
        free(value);
    }
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static bool comes_true(const char *key, const char *value)
{
    bool yes = false;
    for (int64_t end_ns = monotonic_ns() + 20 * NS_PER_S; !yes && monotonic_ns() < end_ns;) {
        redisReply *reply = hgi_private_server_command(server, NULL, "GET %s", key);
        yes = reply && reply->str && strcmp(reply->str, value) == 0;
        freeReplyObject(reply);
    }
    return yes;
}

static void who_has_given_up_is_served_in_vain(void)
{
    start_limited(15);
    redisContext *first = connected();
    CHECK(pings(first));
    for (int i = 0; i < 30; i++) /* two seconds of work, before the next one's */
        redisAppendCommand(first, "PING");
    int done = 0;
    while (!done)
        CHECK(redisBufferWrite(first, &done) == REDIS_OK);
    redisContext *second = connected();
    set_timeout_ms(second, 60);
    errno = 0;
    CHECK(!redisCommand(second, "SET given up") && second->err == REDIS_ERR_IO && errno == EAGAIN);
    redisFree(second);
    CHECK(comes_true("given", "up"));
    for (int i = 0; i < 30; i++) {
        redisReply *reply = NULL;
        CHECK(redisGetReply(first, (void **)&reply) == REDIS_OK);
        freeReplyObject(reply);
    }
    redisFree(first);
    for (int64_t end_ns = monotonic_ns() + 20 * NS_PER_S;
         stats_of_proxy().open > 0 && monotonic_ns() < end_ns;)
        sleep_until_ns(monotonic_ns() + NS_PER_MS);
    struct hgi_proxy_stats stats = stats_of_proxy();
    CHECK(stats.open == 0 && stats.came == 34 && stats.served == 34);
    CHECK(stats.in_vain == 2); /* the second's connection and its command */
    hgi_proxy_measure(proxy, NULL);
    CHECK(sum(meter.wasted) == 2 && sum(meter.came) == 34);
    hgi_proxy_stop(proxy);
}

static void a_line_grows_while_the_server_hangs_and_the_kernel_bounds_it(void)
{
    enum { MANY = HGI_PROXY_BACKLOG + 400 };
    static redisContext *c[MANY];
    int inside = 0;
    start_limited(10000);
    hgi_private_server_pause(server);
    while (inside < MANY && (c[inside] = try_connect())->err == 0) {
        redisAppendCommand(c[inside], "PING");
        int done = 0;
        while (!done)
            CHECK(redisBufferWrite(c[inside], &done) == REDIS_OK);
        inside++;
    }
    CHECK(inside > HGI_PROXY_BACKLOG && inside < MANY);
    CHECK(strstr(c[inside]->errstr, "temporarily unavailable"));
    redisFree(c[inside]);
    CHECK(stats_of_proxy().replies == 0);
    hgi_private_server_resume(server);
    for (int i = 0; i < inside; i++) {
        redisReply *reply = NULL;
        CHECK(redisGetReply(c[i], (void **)&reply) == REDIS_OK);
        freeReplyObject(reply);
        redisFree(c[i]);
    }
    CHECK(stats_of_proxy().in_vain == 0);
    hgi_proxy_measure(proxy, NULL);
    hgi_proxy_stop(proxy);
}

static void a_shut_door_refuses_and_those_inside_stay(void)
{
    start_limited(10000);
    redisContext *before = connected();
    CHECK(pings(before));
    for (int round = 0; round < 3; round++) {
        hgi_proxy_shut(proxy, true);
        redisContext *c = try_connect();
        CHECK(c->err == REDIS_ERR_IO && strstr(c->errstr, "refused"));
        redisFree(c);
        CHECK(pings(before));
        hgi_proxy_shut(proxy, false);
        c = connected();
        CHECK(pings(c));
        redisFree(c);
    }
    redisFree(before);
    hgi_proxy_measure(proxy, NULL);
    hgi_proxy_stop(proxy);
}

static void what_waits_is_dropped_with_its_connection(void)
{
    start_limited(1); /* a second for each */
    redisContext *c[10];
    for (int i = 0; i < 10; i++) {
        int done = 0;
        c[i] = connected();
        redisAppendCommand(c[i], "SET dropped %d", i);
        while (!done)
            CHECK(redisBufferWrite(c[i], &done) == REDIS_OK);
    }
    for (int64_t end_ns = monotonic_ns() + 20 * NS_PER_S;
         stats_of_proxy().requests == 0 && monotonic_ns() < end_ns;)
        sleep_until_ns(monotonic_ns() + NS_PER_MS);
    hgi_proxy_shut(proxy, true); /* or the next ones would come in */
    hgi_proxy_drop(proxy, false);
    struct hgi_proxy_stats stats = stats_of_proxy();
    CHECK(stats.open == 0);
    sleep_until_ns(monotonic_ns() + 1500 * NS_PER_MS);
    CHECK(stats_of_proxy().served == stats.served);
    hgi_proxy_measure(proxy, NULL);
    hgi_proxy_stop(proxy);
    for (int i = 0; i < 10; i++)
        redisFree(c[i]);
}

static void what_the_proxy_adds_can_be_measured_and_an_absent_server_cannot(void)
{
    struct hgi_target target;
    struct hgi_proxy_cost cost;
    struct hgi_problem problem = { .text = "" };
    CHECK(hgi_target_parse(&target, hgi_private_server_url(server), NULL));
    CHECK(hgi_proxy_cost_measure(&cost, &target, &problem));
    CHECK(cost.known && cost.direct_p50_ns > 0 && cost.direct_p99_ns >= cost.direct_p50_ns);
    CHECK(cost.through_p50_ns > 0 && cost.through_p99_ns >= cost.through_p50_ns);
    hgi_private_server_stop(server);
    CHECK(!hgi_proxy_cost_measure(&cost, &target, &problem));
    CHECK(!cost.known && problem.text[0]);
    CHECK(hgi_private_server_restart(server, NULL));
}

static void without_a_capacity_and_toxics_there_is_no_proxy_in_the_way(void)
{
    struct hgi_path path;
    struct hgi_series series;
    struct hgi_proxy_cost cost = { 0 };
    static struct hgi_herd_settings settings;
    CHECK(hgi_series_init(&series, 60 * NS_PER_S));
    for (int i = 0; i < 3; i++) {
        settings.capacity_per_s = i == 1 ? 1000 : 0;
        settings.toxics = faults_of(1, i == 2 ? "latency=1ms" : "");
        CHECK(hgi_path_cost(&cost, &settings, server, NULL) && cost.known == (i > 0));
        CHECK(hgi_path_open(&path, &settings, server, NULL));
        CHECK((path.proxy != NULL) == (i > 0));
        CHECK((strcmp(path.socket, hgi_private_server_socket(server)) == 0) == (i == 0));
        hgi_path_begin(&path, &series, monotonic_ns());
        redisContext *c = redisConnectUnix(path.socket);
        CHECK(c && pings(c));
        redisFree(c);
        hgi_path_close(&path);
        uint32_t came = 0;
        for (uint32_t b = 0; b < series.count; b++)
            came += series.came[b];
        CHECK((came > 0) == (i > 0));
    }
    hgi_series_free(&series);
}

int main(void)
{
    start_server();
    int before = descriptors();
    RUN(no_more_than_its_capacity_is_served);
    RUN(values_of_any_size_pass_unchanged);
    RUN(who_has_given_up_is_served_in_vain);
    RUN(a_line_grows_while_the_server_hangs_and_the_kernel_bounds_it);
    RUN(a_shut_door_refuses_and_those_inside_stay);
    RUN(what_waits_is_dropped_with_its_connection);
    RUN(without_a_capacity_and_toxics_there_is_no_proxy_in_the_way);
    RUN(what_the_proxy_adds_can_be_measured_and_an_absent_server_cannot);
    CHECK(descriptors() == before);
    hgi_private_server_free(server);
    return 0;
}
