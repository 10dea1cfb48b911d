/* The proxy's faults, each as plain hiredis shows it. */
#include <sys/stat.h>

#include "tests/tools/test_proxy_rig.h"

/* Run on the socket, and again on the port. */
static bool over_tcp;

static void latency_is_the_least_that_a_reply_takes(void)
{
    start_proxy(over_tcp, "latency=30ms,jitter=10ms");
    redisContext *c = connected();
    for (int i = 0; i < 5; i++) {
        int64_t begun_ns = monotonic_ns();
        CHECK(pings(c));
        CHECK(monotonic_ns() - begun_ns >= 30 * NS_PER_MS);
    }
    /* A pipeline is late as a whole, not once for each reply. */
    for (int i = 0; i < 1000; i++)
        redisAppendCommand(c, "ECHO %d", i);
    for (int i = 0; i < 1000; i++) {
        redisReply *reply = NULL;
        CHECK(redisGetReply(c, (void **)&reply) == REDIS_OK);
        CHECK(atoi(reply->str) == i);
        freeReplyObject(reply);
    }
    CHECK(stats_of_proxy().struck[HGI_TOXIC_LATENCY] == 1005);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void a_large_reply_is_late_once(void)
{
    start_proxy(over_tcp, "");
    redisContext *c = connected();
    freeReplyObject(redisCommand(c, "SETRANGE large %d x", 4 << 20));
    set_faults("latency=500ms");
    int64_t begun_ns = monotonic_ns();
    redisReply *reply = redisCommand(c, "GET large");
    CHECK(reply && reply->len == (4 << 20) + 1);
    CHECK(monotonic_ns() - begun_ns >= 500 * NS_PER_MS);
    /* Late once for each of its 64 pieces of 64 KiB would be 32 s, and the timeout is 20 s. */
    CHECK(stats_of_proxy().struck[HGI_TOXIC_LATENCY] == 1);
    freeReplyObject(reply);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void bandwidth_bounds_both_ways(void)
{
    char value[40000];
    memset(value, 'v', sizeof value);
    start_proxy(over_tcp, "bandwidth=200k");
    redisContext *c = connected();
    int64_t begun_ns = monotonic_ns();
    freeReplyObject(redisCommand(c, "SET thin %b", value, sizeof value));
    int64_t set_ns = monotonic_ns();
    redisReply *reply = redisCommand(c, "GET thin");
    int64_t got_ns = monotonic_ns();
    CHECK(reply && reply->len == sizeof value && memcmp(reply->str, value, sizeof value) == 0);
    /* 40,000 bytes, less the first piece of a hundredth of a second, at 204,800 a second. */
    CHECK(set_ns - begun_ns >= 180 * NS_PER_MS && got_ns - set_ns >= 180 * NS_PER_MS);
    CHECK(stats_of_proxy().struck[HGI_TOXIC_BANDWIDTH] == 1);
    freeReplyObject(reply);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void slow_replies_drip(void)
{
    start_proxy(over_tcp, "slow=10ms");
    redisContext *c = connected();
    int64_t begun_ns = monotonic_ns();
    CHECK(pings(c)); /* +PONG and the line's end: seven bytes, six waits */
    CHECK(monotonic_ns() - begun_ns >= 60 * NS_PER_MS);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

/* The limit of hiredis is for each read, not for the reply: one that drips never meets it. */
static void slow_replies_outlast_a_timeout(void)
{
    char text[400];
    memset(text, 'd', sizeof text);
    start_proxy(over_tcp, "slow=10ms");
    redisContext *c = connected();
    redisSetTimeout(c, (struct timeval) { .tv_sec = 3 });
    int64_t begun_ns = monotonic_ns();
    redisReply *reply = redisCommand(c, "ECHO %b", text, sizeof text);
    CHECK(reply && reply->len == sizeof text && monotonic_ns() - begun_ns >= 4 * NS_PER_S);
    CHECK(stats_of_proxy().struck[HGI_TOXIC_SLOW] == 1);
    freeReplyObject(reply);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

/* What hiredis does then is why a connection must not be used again after a timeout. */
static void a_reply_that_is_too_late_answers_the_next_command(void)
{
    start_proxy(over_tcp, "latency=300ms");
    redisContext *c = connected();
    set_timeout_ms(c, 50);
    errno = 0;
    CHECK(!redisCommand(c, "ECHO first") && c->err == REDIS_ERR_IO && errno == EAGAIN);
    CHECK(strstr(c->errstr, "temporarily unavailable"));
    set_faults("");
    redisSetTimeout(c, (struct timeval) { .tv_sec = 20 });
    c->err = 0;
    redisReply *reply = redisCommand(c, "ECHO second");
    CHECK(reply && strcmp(reply->str, "first") == 0);
    freeReplyObject(reply);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void a_stall_times_out_and_its_replies_come_when_it_is_over(void)
{
    start_proxy(over_tcp, "stall");
    redisContext *c = connected();
    set_timeout_ms(c, 50);
    errno = 0;
    redisReply *reply = redisCommand(c, "INCR stalled");
    CHECK(!reply && c->err == REDIS_ERR_IO && errno == EAGAIN);
    bool ran = false; /* by the server: as soon as it has it */
    for (int64_t end_ns = monotonic_ns() + 20 * NS_PER_S; !ran && monotonic_ns() < end_ns;) {
        reply = hgi_private_server_command(server, NULL, "GETDEL stalled");
        ran = reply && reply->str && strcmp(reply->str, "1") == 0;
        freeReplyObject(reply);
    }
    CHECK(ran);
    set_faults("stall,latency=1ms"); /* still */
    c->err = 0;
    CHECK(redisGetReply(c, (void **)&reply) == REDIS_ERR && errno == EAGAIN);
    set_faults("");
    redisSetTimeout(c, (struct timeval) { .tv_sec = 20 });
    c->err = 0;
    CHECK(redisGetReply(c, (void **)&reply) == REDIS_OK && reply->integer == 1);
    freeReplyObject(reply);
    CHECK(pings(c));
    CHECK(stats_of_proxy().struck[HGI_TOXIC_STALL] == 1);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void a_stall_ends_with_its_window(void)
{
    start_proxy(over_tcp, "");
    redisContext *c = connected();
    int64_t begun_ns = monotonic_ns();
    set_faults("stall@0..150ms");
    CHECK(pings(c));
    CHECK(monotonic_ns() - begun_ns >= 150 * NS_PER_MS);
    set_faults("reset@1h..");
    for (int i = 0; i < 10; i++)
        CHECK(pings(c));
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void stalled_requests_run_late_also_of_a_client_that_has_gone(void)
{
    start_proxy(over_tcp, "");
    redisContext *c = connected();
    CHECK(pings(c)); /* or what it sends might never have a server to go to */
    set_faults("stall=requests");
    set_timeout_ms(c, 50);
    errno = 0;
    CHECK(!redisCommand(c, "SET late old") && c->err == REDIS_ERR_IO && errno == EAGAIN);
    redisFree(c);
    freeReplyObject(hgi_private_server_command(server, NULL, "SET late new"));
    CHECK(stats_of_proxy().open == 1);
    set_faults("");
    /* The old value wins, as it does when the server was stopped with it in its socket. */
    bool old = false;
    for (int64_t end_ns = monotonic_ns() + 20 * NS_PER_S; !old && monotonic_ns() < end_ns;) {
        redisReply *reply = hgi_private_server_command(server, NULL, "GET late");
        old = reply && strcmp(reply->str, "old") == 0;
        freeReplyObject(reply);
    }
    CHECK(old);
    CHECK(stats_of_proxy().open == 0);
    CHECK(stats_of_proxy().struck[HGI_TOXIC_STALL_REQUESTS] == 1);
    hgi_proxy_stop(proxy);
}

static void a_reset_is_one_on_the_port_and_an_end_on_the_socket(void)
{
    start_proxy(over_tcp, "");
    redisContext *c = connected();
    CHECK(pings(c));
    set_faults("reset");
    CHECK(ping_fails(c, over_tcp ? REDIS_ERR_IO : REDIS_ERR_EOF));
    CHECK(!over_tcp || errno == ECONNRESET);
    CHECK(stats_of_proxy().struck[HGI_TOXIC_RESET] == 1);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void half_a_reply_and_then_the_end(void)
{
    start_proxy(over_tcp, "half_reply");
    redisContext *c = connected();
    CHECK(ping_fails(c, REDIS_ERR_EOF) && strstr(c->errstr, "closed the connection"));
    CHECK(c->reader->len == 4 && memcmp(c->reader->buf, "+PON", 4) == 0);
    redisFree(c);
    set_faults("");
    c = connected();
    freeReplyObject(redisCommand(c, "SETRANGE large %d x", 1 << 20));
    set_faults("half_reply");
    CHECK(!redisCommand(c, "GET large") && c->err == REDIS_ERR_EOF);
    struct hgi_proxy_stats stats = stats_of_proxy();
    CHECK(stats.struck[HGI_TOXIC_HALF_REPLY] == 2 && stats.open == 0);
    CHECK(stats.bytes_to_client > 16384 && stats.bytes_to_client < 65536);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void replies_before_the_one_that_is_struck_come_whole(void)
{
    /* With seed 1 of ten replies some pass, and then one is cut. */
    start_proxy(over_tcp, "half_reply,toxicity=0.2");
    struct hgi_toxics faults = faults_of(1, "half_reply,toxicity=0.2");
    for (uint64_t number = 0; number < 20; number++) {
        redisContext *c = connected();
        uint64_t whole = 0;
        while (!hgi_toxics_reply(&faults, 0, number, whole).halved)
            whole++;
        for (uint64_t i = 0; i < whole + 5; i++)
            redisAppendCommand(c, "ECHO %d", (int)i);
        for (uint64_t i = 0; i < whole; i++) {
            redisReply *reply = NULL;
            CHECK(redisGetReply(c, (void **)&reply) == REDIS_OK);
            CHECK((uint64_t)atoi(reply->str) == i);
            freeReplyObject(reply);
        }
        void *reply = NULL;
        CHECK(redisGetReply(c, &reply) == REDIS_ERR);
        redisFree(c);
    }
    hgi_proxy_stop(proxy);
}

static void garbage_is_a_protocol_error(void)
{
    start_proxy(over_tcp, "garbage");
    for (int i = 0; i < 50; i++) {
        redisContext *c = connected();
        CHECK(ping_fails(c, REDIS_ERR_PROTOCOL));
        redisFree(c);
    }
    CHECK(stats_of_proxy().struck[HGI_TOXIC_GARBAGE] == 50);
    CHECK(stats_of_proxy().replies == 0);
    hgi_proxy_stop(proxy);
}

static void a_forgery_is_a_reply_that_hiredis_takes(void)
{
    start_proxy(over_tcp, "forgery");
    redisContext *c = connected();
    for (int i = 0; i < 50; i++) {
        redisReply *reply = redisCommand(c, "PING");
        CHECK(reply && reply->type == REDIS_REPLY_STRING && reply->len == 23);
        CHECK(strncmp(reply->str, "forged-", 7) == 0);
        freeReplyObject(reply);
    }
    CHECK(stats_of_proxy().struck[HGI_TOXIC_FORGERY] == 50);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void a_connection_is_closed_after_so_many_replies(void)
{
    start_proxy(over_tcp, "close_after=3");
    for (int round = 0; round < 3; round++) {
        redisContext *c = connected();
        for (int i = 0; i < 3; i++)
            CHECK(pings(c));
        /* The end, or EPIPE or ECONNRESET: it depends on who is first. */
        CHECK(!redisCommand(c, "PING") && (c->err == REDIS_ERR_EOF || c->err == REDIS_ERR_IO));
        redisFree(c);
    }
    struct hgi_proxy_stats stats = stats_of_proxy();
    CHECK(stats.struck[HGI_TOXIC_CLOSE_AFTER] == 3 && stats.replies == 9 && stats.open == 0);
    hgi_proxy_stop(proxy);
}

static void refused_is_refused_and_afterwards_it_is_where_it_was(void)
{
    start_proxy(over_tcp, "");
    redisContext *before = connected();
    CHECK(pings(before));
    for (int round = 0; round < 3; round++) {
        set_faults("refuse");
        errno = 0;
        redisContext *c = try_connect();
        CHECK(c->err == REDIS_ERR_IO && errno == ECONNREFUSED && strstr(c->errstr, "refused"));
        CHECK(ping_fails(c, REDIS_ERR_IO) && strstr(c->errstr, "refused"));
        redisFree(c);
        CHECK(pings(before)); /* who is inside stays */
        set_faults("");
        c = connected();
        CHECK(pings(c));
        redisFree(c);
    }
    redisFree(before);
    hgi_proxy_stop(proxy);
}

static void refused_in_part_is_closed_at_once(void)
{
    start_proxy(over_tcp, "refuse,toxicity=0.5");
    struct hgi_toxics faults = faults_of(1, "refuse,toxicity=0.5");
    uint64_t refused = 0;
    for (uint64_t number = 0; number < 40; number++) {
        redisContext *c = connected();
        CHECK(pings(c) == !hgi_toxics_connection(&faults, 0, number).refused);
        refused += c->err != 0;
        redisFree(c);
    }
    CHECK(refused > 5 && refused < 35);
    CHECK(stats_of_proxy().struck[HGI_TOXIC_REFUSE] == refused);
    hgi_proxy_stop(proxy);
}

static void all_can_be_dropped_at_once(void)
{
    redisContext *c[20];
    start_proxy(over_tcp, "");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20; i++)
            c[i] = connected();
        for (int i = 0; i < 20; i++)
            CHECK(pings(c[i]));
        hgi_proxy_drop(proxy, round == 1);
        CHECK(stats_of_proxy().open == 0);
        for (int i = 0; i < 20; i++) {
            CHECK(!redisCommand(c[i], "PING"));
            redisFree(c[i]);
        }
    }
    redisContext *again = connected();
    CHECK(pings(again));
    redisFree(again);
    hgi_proxy_stop(proxy);
}

static void a_server_that_dies_closes_and_one_that_is_back_is_reached(void)
{
    start_proxy(over_tcp, "");
    redisContext *c = connected();
    CHECK(pings(c));
    hgi_private_server_kill(server);
    CHECK(!redisCommand(c, "PING"));
    redisFree(c);
    c = connected();
    CHECK(!redisCommand(c, "PING"));
    redisFree(c);
    CHECK(stats_of_proxy().unreachable == 1 && stats_of_proxy().open == 0);
    CHECK(hgi_private_server_restart(server, NULL));
    c = connected();
    CHECK(pings(c));
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void a_servers_last_words_arrive(void)
{
    CHECK(hgi_private_server_config(server, "maxclients", "1", NULL));
    start_proxy(over_tcp, "");
    redisContext *first = connected();
    CHECK(pings(first));
    redisContext *second = connected();
    redisReply *reply = NULL;
    CHECK(redisBufferRead(second) == REDIS_OK); /* it is there before anything was asked */
    CHECK(redisGetReply(second, (void **)&reply) == REDIS_OK);
    CHECK(reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "max number of clients"));
    freeReplyObject(reply);
    redisFree(second);
    freeReplyObject(redisCommand(first, "CONFIG SET maxclients 1000"));
    redisFree(first);
    hgi_proxy_stop(proxy);
}

static void it_stops_with_everything_pending_and_leaves_nothing(void)
{
    struct stat status;
    char path[128];
    redisContext *c[8];
    int before = descriptors();
    start_proxy(over_tcp, "stall");
    snprintf(path, sizeof path, "%s", hgi_proxy_socket(proxy));
    for (int i = 0; i < 8; i++) {
        c[i] = connected();
        int done = 0;
        redisAppendCommand(c[i], "PING");
        while (!done)
            CHECK(redisBufferWrite(c[i], &done) == REDIS_OK);
    }
    hgi_proxy_stop(proxy);
    for (int i = 0; i < 8; i++)
        redisFree(c[i]);
    CHECK(stat(path, &status) != 0);
    *strrchr(path, '/') = '\0';
    CHECK(stat(path, &status) != 0);
    CHECK(descriptors() == before);
    hgi_proxy_stop(NULL);
}

static void the_target_is_the_proxy_with_the_logins_of_the_server(void)
{
    struct hgi_target target;
    struct hgi_target through;
    CHECK(hgi_target_parse(&target, "redis://me:secret@127.0.0.1:1/3", NULL));
    struct hgi_proxy_options options = { .target = &target, .tcp = over_tcp };
    CHECK(hgi_proxy_start(&proxy, &options, NULL));
    hgi_proxy_target(proxy, &through);
    CHECK(through.database == 3 && strcmp(through.password, "secret") == 0);
    CHECK(strcmp(through.user, "me") == 0);
    CHECK(through.port == hgi_proxy_port(proxy) && (through.port != 0) == over_tcp);
    CHECK(strcmp(through.socket, over_tcp ? "" : hgi_proxy_socket(proxy)) == 0);
    CHECK(strstr(through.text, over_tcp ? "127.0.0.1:" : "unix:/"));
    hgi_proxy_stop(proxy);
}

static void what_cannot_start_says_why(void)
{
    struct hgi_target target;
    struct hgi_problem problem = { .text = "" };
    struct hgi_proxy_options options = { .target = &target, .tcp = over_tcp };
    CHECK(hgi_target_parse(&target, "redis://127.0.0.1", NULL));
    const char *had = getenv("TMPDIR");
    char *kept = had ? strdup(had) : NULL;
    int before = descriptors();
    setenv("TMPDIR", "/nonexistent", 1);
    CHECK(!hgi_proxy_start(&proxy, &options, &problem));
    CHECK(!proxy && strstr(problem.text, "in /nonexistent:"));
    CHECK(descriptors() == before);
    unsetenv("TMPDIR");
    if (kept)
        setenv("TMPDIR", kept, 1);
    free(kept);
}

int main(void)
{
    start_server();
    for (int i = 0; i < 2; i++) {
        over_tcp = i == 1;
        printf("over %s:\n", over_tcp ? "the port" : "the socket");
        RUN(latency_is_the_least_that_a_reply_takes);
        RUN(a_large_reply_is_late_once);
        RUN(bandwidth_bounds_both_ways);
        RUN(slow_replies_drip);
        RUN(slow_replies_outlast_a_timeout);
        RUN(a_reply_that_is_too_late_answers_the_next_command);
        RUN(a_stall_times_out_and_its_replies_come_when_it_is_over);
        RUN(a_stall_ends_with_its_window);
        RUN(stalled_requests_run_late_also_of_a_client_that_has_gone);
        RUN(a_reset_is_one_on_the_port_and_an_end_on_the_socket);
        RUN(half_a_reply_and_then_the_end);
        RUN(replies_before_the_one_that_is_struck_come_whole);
        RUN(garbage_is_a_protocol_error);
        RUN(a_forgery_is_a_reply_that_hiredis_takes);
        RUN(a_connection_is_closed_after_so_many_replies);
        RUN(refused_is_refused_and_afterwards_it_is_where_it_was);
        RUN(refused_in_part_is_closed_at_once);
        RUN(all_can_be_dropped_at_once);
        RUN(a_server_that_dies_closes_and_one_that_is_back_is_reached);
        RUN(a_servers_last_words_arrive);
        RUN(it_stops_with_everything_pending_and_leaves_nothing);
        RUN(the_target_is_the_proxy_with_the_logins_of_the_server);
        RUN(what_cannot_start_says_why);
    }
    hgi_private_server_free(server);
    return 0;
}
