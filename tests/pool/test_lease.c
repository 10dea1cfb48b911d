/* Functions with a connection, leases by hand, and what a connection must not carry to its next user. */
#include <criterion/criterion.h>

#include <string.h>

#include "breaker/clock.h"
#include "tests/pool/support.h"

static struct hgi_private_server *server;
static hg_pool *pool;

static void set_up(void)
{
    server = start_server();
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 1}}");
}

static void tear_down(void)
{
    close_pool(pool);
    hgi_private_server_free(server);
}

TestSuite(lease, .init = set_up, .fini = tear_down, .timeout = 60);

/* The next user of the only connection reads its own value, and nothing of the last one's. */
static void expect_clean(void)
{
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, &reply, &err, "ECHO %s", "mine"), HG_OK, "%s", err.message);
    cr_assert_str_eq(reply->str, "mine");
    freeReplyObject(reply);
    cr_assert_eq(hg_command(pool, &reply, &err, "GET database"), HG_OK, "%s", err.message);
    cr_assert_eq(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

static hg_lease *acquire(void)
{
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    return lease;
}

Test(lease, a_pipeline_gives_its_replies_in_order)
{
    hg_lease *lease = acquire();
    struct hg_error err = HG_ERROR_INIT;
    for (int i = 0; i < 100; i++)
        cr_assert_eq(hg_lease_append(lease, &err, "ECHO %d", i), HG_OK);
    for (int i = 0; i < 100; i++) {
        redisReply *reply;
        cr_assert_eq(hg_lease_reply(lease, &reply, &err), HG_OK, "%s", err.message);
        cr_assert_eq(atoi(reply->str), i);
        freeReplyObject(reply);
    }
    cr_assert_eq(hg_lease_reply(lease, NULL, &err), HG_ERR_VALIDATION);
    hg_release(lease, HG_OK);
    expect_clean();
}

Test(lease, replies_outstanding_go_with_their_connection)
{
    hg_lease *lease = acquire();
    cr_assert_eq(hg_lease_append(lease, NULL, "ECHO first"), HG_OK);
    cr_assert_eq(hg_lease_append(lease, NULL, "ECHO second"), HG_OK);
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "PING"), HG_ERR_VALIDATION);
    cr_assert_eq(hg_lease_reply(lease, NULL, NULL), HG_OK);
    hg_release(lease, HG_OK);
    expect_clean();
}

Test(lease, what_was_appended_and_not_sent_is_never_sent)
{
    hg_lease *lease = acquire();
    cr_assert_eq(hg_lease_append(lease, NULL, "SET database x"), HG_OK);
    hg_release(lease, HG_OK);
    expect_clean();
}

Test(lease, a_reply_that_has_not_come_yet_meets_nobody)
{
    hg_lease *lease = acquire();
    cr_assert_eq(hg_lease_append(lease, NULL, "ECHO first"), HG_OK);
    cr_assert_eq(hg_lease_append(lease, NULL, "BLPOP nothing 0.2"), HG_OK);
    cr_assert_eq(hg_lease_reply(lease, NULL, NULL), HG_OK);
    hg_release(lease, HG_OK);
    expect_clean();
}

/* So that whoever is left in database 3 is seen. */
static void mark_database_3(void)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(
        server, &problem, "EVAL %s 0",
        "redis.call('SELECT', 3) return redis.call('SET', 'database', 'three')");
    cr_assert_not_null(reply, "%s", problem.text);
    cr_assert_eq(reply->type, REDIS_REPLY_STATUS, "%s", reply->str);
    freeReplyObject(reply);
}

static void leave_behind(const char *command)
{
    hg_lease *lease = acquire();
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_lease_command(lease, NULL, &err, command), HG_OK, "%s: %s", command,
                 err.message);
    hg_release(lease, HG_OK);
    expect_clean();
}

Test(lease, nothing_of_a_state_reaches_the_next_user)
{
    mark_database_3();
    leave_behind("MULTI");
    leave_behind("WATCH k");
    leave_behind("SELECT 3");
    leave_behind("SUBSCRIBE c");
    leave_behind("PSUBSCRIBE c*");
    leave_behind("CLIENT SETNAME other");
    leave_behind("MONITOR");
}

Test(lease, a_transaction_that_ended_leaves_its_connection_in_use)
{
    struct hg_pool_stats before = HG_POOL_STATS_INIT;
    struct hg_pool_stats after = HG_POOL_STATS_INIT;
    hg_lease *lease = acquire();
    hg_pool_read_stats(pool, &before);
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "WATCH k"), HG_OK);
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "MULTI"), HG_OK);
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "INCR k"), HG_OK);
    redisReply *reply;
    cr_assert_eq(hg_lease_command(lease, &reply, NULL, "EXEC"), HG_OK);
    cr_assert_eq(reply->elements, 1);
    cr_assert_eq(reply->element[0]->integer, 1);
    freeReplyObject(reply);
    hg_release(lease, HG_OK);
    expect_clean();
    hg_pool_read_stats(pool, &after);
    cr_assert_eq(after.dials, before.dials);
}

Test(lease, a_raw_context_is_closed_when_it_comes_back)
{
    mark_database_3();
    hg_lease *lease = acquire();
    redisContext *context = hg_lease_context(lease);
    freeReplyObject(redisCommand(context, "SELECT 3"));
    hg_release(lease, HG_OK);
    expect_clean();
}

Test(lease, pool_timeout_says_who_holds_the_connections)
{
    hg_lease *lease = acquire();
    struct hg_error err = HG_ERROR_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = 30 * HGI_NS_PER_MS;
    hg_lease *second;
    cr_assert_eq(hg_acquire(pool, &second, &options, &err), HG_ERR_POOL_TIMEOUT);
    cr_assert_null(second);
    cr_assert_not_null(strstr(err.message, "1 of 1 leased"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "by thread"), "%s", err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_NOT_SENT);
    hg_release(lease, HG_OK);
    expect_clean();
}

struct attempts {
    unsigned calls;
    unsigned failures;
    bool sends;
    hg_status status;
};

static hg_status function(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    struct attempts *attempts = arg;
    attempts->calls++;
    cr_assert_eq(attempt->number, attempts->calls);
    if (attempts->sends)
        cr_assert_eq(hg_lease_command(lease, NULL, NULL, "INCR n"), HG_OK);
    return attempts->calls <= attempts->failures ? attempts->status : HG_OK;
}

Test(lease, a_function_that_sent_nothing_is_run_again)
{
    struct attempts attempts = { .failures = 2, .status = HG_ERR_CONNECTION };
    cr_assert_eq(hg_call(pool, NULL, function, &attempts, NULL), HG_OK);
    cr_assert_eq(attempts.calls, 3);
}

Test(lease, a_function_that_sent_something_is_not_run_twice)
{
    struct attempts attempts = { .failures = 2, .status = HG_ERR_CONNECTION, .sends = true };
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_call(pool, NULL, function, &attempts, &err), HG_ERR_CONNECTION);
    cr_assert_eq(attempts.calls, 1);
    cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN);
    cr_assert_eq(err.stop_reason, HG_STOP_OUTCOME);
}

/* The first command runs; the connection is gone before the second leaves. */
static hg_status second_command_never_leaves(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    ++*(unsigned *)arg;
    cr_assert_eq(hg_lease_command(lease, NULL, attempt->error, "INCR n"), HG_OK);
    struct hgi_problem problem;
    freeReplyObject(hgi_private_server_command(server, &problem, "CLIENT KILL TYPE normal"));
    return hg_lease_command(lease, NULL, attempt->error, "INCR n");
}

Test(lease, a_function_that_did_half_of_it_is_not_run_twice)
{
    unsigned calls = 0;
    struct hg_error err = HG_ERROR_INIT;
    redisReply *reply;
    cr_assert_eq(hg_call(pool, NULL, second_command_never_leaves, &calls, &err), HG_ERR_CONNECTION);
    cr_assert_eq(calls, 1);
    cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN);
    cr_assert_eq(hg_command(pool, &reply, &err, "GET n"), HG_OK, "%s", err.message);
    cr_assert_str_eq(reply->str, "1");
    freeReplyObject(reply);
}

Test(lease, a_function_of_a_repeatable_class_is_run_again)
{
    struct attempts attempts = { .failures = 2, .status = HG_ERR_TIMEOUT, .sends = true };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.op_class = "read";
    cr_assert_eq(hg_call(pool, &options, function, &attempts, NULL), HG_OK);
    cr_assert_eq(attempts.calls, 3);
}

static hg_status server_says_no(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    (void)arg;
    (void)attempt;
    return hg_lease_command(lease, NULL, NULL, "LPUSH string x");
}

Test(lease, a_functions_own_error_reaches_the_caller_with_the_servers_code)
{
    cr_assert_eq(hg_command(pool, NULL, NULL, "SET string x"), HG_OK);
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_call(pool, NULL, server_says_no, NULL, &err), HG_ERR_SERVER);
    cr_assert_str_eq(err.server_code, "WRONGTYPE");
    cr_assert_gt(err.message[0], 0);
}

static hg_status no_status(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    (void)lease;
    (void)arg;
    (void)attempt;
    return (hg_status)-77;
}

Test(lease, a_function_that_returns_a_number_of_its_own_is_told_which)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq((int)hg_call(pool, NULL, no_status, NULL, &err), -77);
    cr_assert_not_null(strstr(err.message, "-77"), "%s", err.message);
}

Test(lease, failures_of_leases_by_hand_are_told_to_the_breaker)
{
    for (int i = 0; i < 5; i++) {
        hg_lease *lease;
        cr_assert_eq(hg_acquire(pool, &lease, NULL, NULL), HG_OK);
        hg_release(lease, HG_ERR_TIMEOUT);
    }
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_ERR_CIRCUIT_OPEN);
    cr_assert_eq(hg_breaker_state_now(hg_pool_breaker(pool)), HG_BREAKER_OPEN);
}

Test(lease, releasing_null_does_nothing)
{
    hg_release(NULL, HG_OK);
}

/* --- whose time it was --- */

struct dawdler {
    int64_t leaves_ns; /* of its attempt for the command; 0: all */
};

static hg_status dawdle(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    const struct dawdler *dawdler = arg;
    if (dawdler->leaves_ns > 0)
        hgi_sleep_until(attempt->deadline_ns - dawdler->leaves_ns);
    return hg_lease_command(lease, NULL, attempt->error, "GET k");
}

static uint64_t failures_after(struct dawdler *dawdler)
{
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    struct hg_error err = HG_ERROR_INIT;
    options.op_class = "read";
    cr_assert_eq(hg_call(pool, &options, dawdle, dawdler, &err), HG_ERR_TIMEOUT, "%s", err.message);
    hg_breaker_take_snapshot(hg_pool_breaker(pool), &snapshot);
    return snapshot.failed;
}

Test(lease, the_breaker_hears_of_a_timeout_if_the_time_was_the_servers)
{
    close_pool(pool);
    pool =
        open_pool(hgi_private_server_url(server),
                  "{\"pool\": {\"max_size\": 1, \"connect_timeout\": \"60s\"}, "
                  "\"breaker\": {\"failure_threshold\": 100}, \"classes\": {\"read\": {\"retry\": "
                  "\"none\", \"attempt_timeout\": \"500ms\", \"deadline\": \"60s\"}}}");
    hg_release(acquire(), HG_OK); /* it is connected */
    struct dawdler slow = { .leaves_ns = 100 * HGI_NS_PER_MS };
    struct dawdler quick = { .leaves_ns = 0 };
    hgi_private_server_pause(server);
    uint64_t failed = failures_after(&slow);
    hgi_private_server_resume(server);
    cr_assert_eq(failed, 0);
    /* On a machine so busy that the function comes late to its command, it is not told. */
    for (int i = 0; i < 40 && failed == 0; i++) {
        hg_release(acquire(), HG_OK);
        hgi_private_server_pause(server);
        failed = failures_after(&quick);
        hgi_private_server_resume(server);
    }
    cr_assert_gt(failed, 0);
}
