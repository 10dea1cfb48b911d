/* Real faults on a real server: killed, paused, restarted, refused, its clients cut off. */
#include <criterion/criterion.h>

#include <signal.h>
#include <string.h>

#include "breaker/clock.h"
#include "tests/pool/support.h"

static struct hgi_private_server *server;
static hg_pool *pool;

static void set_up(void)
{
    signal(SIGPIPE, SIG_DFL); /* one that reached us would end the test */
    server = start_server();
}

static void tear_down(void)
{
    close_pool(pool);
    hgi_private_server_free(server);
}

TestSuite(faults, .init = set_up, .fini = tear_down, .timeout = 120);

static bool works(void *arg)
{
    (void)arg;
    return hg_command(pool, NULL, NULL, "GET k") == HG_OK;
}

static void restart(void)
{
    struct hgi_problem problem;
    cr_assert(hgi_private_server_restart(server, &problem), "%s", problem.text);
}

Test(faults, a_pool_opens_while_the_server_is_down_and_works_when_it_comes)
{
    hgi_private_server_kill(server);
    pool = open_pool(hgi_private_server_url(server), "{}");
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = hg_command(pool, NULL, &err, "GET k");
    cr_assert_lt(status, 0);
    cr_assert(hg_error_is(&err, HG_ERR_CONNECTION) || hg_error_is(&err, HG_ERR_CIRCUIT_OPEN), "%s",
              err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_NOT_SENT);
    cr_assert_not_null(strstr(err.endpoint, "unix:"));
    restart();
    wait_for(works, NULL, "the pool works again");
}

Test(faults, a_killed_server_is_an_error_and_after_its_return_all_works_again)
{
    pool = open_pool(hgi_private_server_url(server), "{}");
    wait_for(works, NULL, "the pool works");
    hgi_private_server_kill(server);
    struct hg_error err = HG_ERROR_INIT;
    for (int i = 0; i < 50; i++) {
        cr_assert_lt(hg_command(pool, NULL, &err, "INCR n"), 0);
        cr_assert_gt(err.message[0], 0);
    }
    cr_assert_eq(err.type, HG_ERR_CIRCUIT_OPEN, "%s", err.message);
    cr_assert_gt(err.retry_after_ns, 0);
    restart();
    wait_for(works, NULL, "the pool works again");
}

static bool blocks(void *arg)
{
    (void)arg;
    return hg_command(pool, NULL, NULL, "BLPOP nothing 0.01") == HG_OK;
}

static bool blocks_and_is_closed(void *arg)
{
    return blocks(arg) && hg_breaker_state_now(hg_pool_breaker(pool)) == HG_BREAKER_CLOSED;
}

/* As in a worker that does nothing but wait for jobs. */
Test(faults, calls_that_all_wait_in_the_server_close_the_breaker_again)
{
    pool =
        open_pool(hgi_private_server_url(server), "{\"breaker\": {\"recovery_timeout\": \"20ms\", "
                                                  "\"recovery_timeout_max\": \"100ms\"}}");
    wait_for(blocks, NULL, "the pool works");
    hgi_private_server_kill(server);
    while (hg_breaker_state_now(hg_pool_breaker(pool)) == HG_BREAKER_CLOSED)
        cr_assert_lt(hg_command(pool, NULL, NULL, "BLPOP nothing 0.01"), 0);
    restart();
    wait_for(blocks_and_is_closed, NULL, "the pool works again");
}

Test(faults, a_paused_server_is_a_timeout_and_its_late_reply_meets_nobody)
{
    pool = open_pool(
        hgi_private_server_url(server),
        "{\"pool\": {\"max_size\": 1}, \"breaker\": {\"enabled\": false},"
        " \"classes\": {\"read\": {\"retry\": \"none\", \"attempt_timeout\": \"50ms\"}}}");
    cr_assert_eq(hg_command(pool, NULL, NULL, "MSET one ONE two TWO"), HG_OK);
    for (int round = 0; round < 5; round++) {
        hgi_private_server_pause(server);
        struct hg_error err = HG_ERROR_INIT;
        cr_assert_eq(hg_command(pool, NULL, &err, "GET one"), HG_ERR_TIMEOUT, "%s", err.message);
        cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN);
        cr_assert_eq(err.attempt, 1);
        hgi_private_server_resume(server);
        redisReply *reply = NULL;
        while (hg_command(pool, &reply, NULL, "GET two") != HG_OK)
            continue;
        cr_assert_str_eq(reply->str, "TWO");
        freeReplyObject(reply);
    }
}

Test(faults, an_incr_that_timed_out_is_not_sent_again)
{
    pool = open_pool(hgi_private_server_url(server), "{\"breaker\": {\"enabled\": false}}");
    cr_assert_eq(hg_command(pool, NULL, NULL, "SET n 0"), HG_OK);
    hgi_private_server_pause(server);
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "INCR n"), HG_ERR_TIMEOUT, "%s", err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN);
    cr_assert_eq(err.stop_reason, HG_STOP_OUTCOME);
    hgi_private_server_resume(server);
    redisReply *reply = NULL;
    while (hg_command(pool, &reply, NULL, "GET n") != HG_OK)
        continue;
    cr_assert(strcmp(reply->str, "0") == 0 || strcmp(reply->str, "1") == 0, "%s", reply->str);
    freeReplyObject(reply);
}

Test(faults, clients_cut_off_by_the_server_are_replaced_before_they_are_borrowed)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"min_idle\": 4}, \"retry_budget\": {\"enabled\": false}}");
    wait_for(works, NULL, "the pool works");
    struct hgi_problem problem;
    for (int round = 0; round < 20; round++) {
        redisReply *reply = hgi_private_server_command(server, &problem, "CLIENT KILL TYPE normal");
        cr_assert_not_null(reply, "%s", problem.text);
        freeReplyObject(reply);
        struct hg_error err = HG_ERROR_INIT;
        hg_status status = hg_command(pool, NULL, &err, "GET k");
        cr_assert_eq(status, HG_OK, "%s", err.message);
    }
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    cr_assert_gt(stats.closed_by_server, 0);
}

Test(faults, a_server_with_few_places_serves_through_those)
{
    struct hgi_problem problem;
    cr_assert(hgi_private_server_config(server, "maxclients", "2", &problem), "%s", problem.text);
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 8}}");
    wait_for(works, NULL, "the pool works");
    for (int i = 0; i < 100; i++) {
        struct hg_error err = HG_ERROR_INIT;
        cr_assert_eq(hg_command(pool, NULL, &err, "GET k"), HG_OK, "%s", err.message);
    }
}

Test(faults, a_server_without_a_place_is_unavailable_with_its_own_words)
{
    struct hgi_problem problem;
    cr_assert(hgi_private_server_config(server, "maxclients", "1", &problem), "%s", problem.text);
    redisContext *other = redisConnectUnix(hgi_private_server_socket(server));
    cr_assert_eq(other->err, 0);
    freeReplyObject(redisCommand(other, "PING"));
    pool = open_pool(hgi_private_server_url(server), "{\"breaker\": {\"enabled\": false}}");
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_lt(hg_command(pool, NULL, &err, "GET k"), 0);
    cr_assert(hg_error_is(&err, HG_ERR_UNAVAILABLE), "%s: %s", hg_status_name(err.type),
              err.message);
    cr_assert_not_null(strstr(err.message, "max number of clients"), "%s", err.message);
    redisFree(other);
    wait_for(works, NULL, "the pool works");
}

Test(faults, a_busy_server_is_waited_for_and_then_the_call_goes_well)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"breaker\": {\"enabled\": false}, \"classes\": {\"read\": {\"deadline\": "
                     "\"20s\", \"attempt_timeout\": \"2s\"}}}");
    wait_for(works, NULL, "the pool works");
    struct hgi_problem problem;
    cr_assert(hgi_private_server_config(server, "busy-reply-threshold", "1", &problem));
    redisContext *script = redisConnectUnix(hgi_private_server_socket(server));
    redisAppendCommand(script, "EVAL %s 0",
                       "local t = redis.call('TIME') local s = t[1] * 1000 + t[2] / 1000 "
                       "repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > s + 700");
    int written = 0;
    redisBufferWrite(script, &written);
    cr_assert(written);
    sleep_ms(50);
    struct hg_trace trace = HG_TRACE_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.trace = &trace;
    struct hg_error err = HG_ERROR_INIT;
    const char *argv[] = { "GET", "k" };
    cr_assert_eq(hg_command_argv(pool, &options, NULL, &err, 2, argv, NULL), HG_OK, "%s: %s",
                 hg_status_name(err.type), err.message);
    if (trace.retries > 0)
        cr_assert_str_eq(trace.retry[0].server_code, "BUSY");
    redisFree(script);
}

Test(faults, the_wrong_password_is_auth_and_is_not_shown)
{
    struct hgi_problem problem;
    cr_assert(hgi_private_server_config(server, "requirepass", "right", &problem));
    const char *url = hgi_private_server_url(server);
    char json[512];
    snprintf(json, sizeof json, "{\"server\": {\"url\": \"%s\", \"password\": \"wr0ng\"}}", url);
    pool = open_pool_with(NULL, json);
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "GET k"), HG_ERR_AUTH, "%s", err.message);
    cr_assert_null(strstr(err.message, "wr0ng"));
    close_pool(pool);
    snprintf(json, sizeof json, "{\"server\": {\"url\": \"%s\", \"password\": \"right\"}}", url);
    pool = open_pool_with(NULL, json);
    cr_assert_eq(hg_command(pool, NULL, &err, "GET k"), HG_OK, "%s", err.message);
}
