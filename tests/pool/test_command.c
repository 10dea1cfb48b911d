/* One command, everything done: replies, errors and their context, on a real server. */
#include <criterion/criterion.h>

#include <string.h>

#include "tests/pool/support.h"

static struct hgi_private_server *server;
static hg_pool *pool;

static void set_up(void)
{
    server = start_server();
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}}");
}

static void tear_down(void)
{
    close_pool(pool);
    hgi_private_server_free(server);
}

TestSuite(command, .init = set_up, .fini = tear_down, .timeout = 60);

Test(command, a_value_set_is_the_value_got)
{
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, &reply, &err, "SET %s %b", "k", "a\0b", (size_t)3), HG_OK, "%s",
                 err.message);
    cr_assert_eq(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    cr_assert_eq(hg_command(pool, &reply, &err, "GET k"), HG_OK);
    cr_assert_eq(reply->len, 3);
    cr_assert_eq(memcmp(reply->str, "a\0b", 3), 0);
    freeReplyObject(reply);
    cr_assert_eq(err.type, HG_OK);
    cr_assert_eq(err.outcome, HG_OUTCOME_EXECUTED);
}

Test(command, a_nil_reply_is_ok_and_not_found)
{
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, &reply, &err, "GET nothing"), HG_OK);
    cr_assert_eq(reply->type, REDIS_REPLY_NIL);
    cr_assert_eq(err.type, HG_ERR_NOT_FOUND);
    cr_assert_str_eq(err.key, "nothing");
    freeReplyObject(reply);
}

Test(command, reply_and_error_may_be_null)
{
    cr_assert_eq(hg_command(pool, NULL, NULL, "SET k v"), HG_OK);
    cr_assert_eq(hg_command(pool, NULL, NULL, "LPUSH k v"), HG_ERR_SERVER);
}

Test(command, an_error_of_the_server_has_its_context)
{
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, NULL, "SET key:1 v"), HG_OK);
    cr_assert_eq(hg_command(pool, &reply, &err, "lpush key:1 secret"), HG_ERR_SERVER);
    cr_assert_null(reply);
    cr_assert_eq(err.type, HG_ERR_SERVER);
    cr_assert_str_eq(err.server_code, "WRONGTYPE");
    cr_assert_str_eq(err.operation, "LPUSH");
    cr_assert_str_eq(err.key, "key:1");
    cr_assert_eq(err.attempt, 1);
    cr_assert_eq(err.stop_reason, HG_STOP_FAIL);
    cr_assert_gt(err.elapsed_ns, 0);
    cr_assert_gt(err.timestamp_ns, INT64_C(1700000000000000000));
    cr_assert_not_null(strstr(err.endpoint, "unix:"));
    cr_assert_null(strstr(err.message, "secret"));
}

Test(command, an_unknown_command_does_not_echo_its_arguments)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "NOSUCH topsecret"), HG_ERR_SERVER);
    cr_assert_null(strstr(err.message, "topsecret"));
}

Test(command, what_changes_the_connection_is_refused)
{
    static const char *const refused[] = { "SELECT 1", "MULTI",   "EXEC",
                                           "WATCH k",  "MONITOR", "SUBSCRIBE c",
                                           "AUTH p",   "HELLO 3", "CLIENT REPLY OFF",
                                           "QUIT",     "RESET",   "PSUBSCRIBE c" };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct hg_error err = HG_ERROR_INIT;
        cr_assert_eq(hg_command(pool, NULL, &err, refused[i]), HG_ERR_VALIDATION, "%s", refused[i]);
        cr_assert_not_null(strstr(err.message, "hg_call()"));
        cr_assert_eq(err.outcome, HG_OUTCOME_NOT_SENT, "%s", refused[i]);
    }
}

Test(command, mistakes_of_the_caller_are_validation)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(NULL, NULL, &err, "PING"), HG_ERR_VALIDATION);
    cr_assert_eq(hg_command(pool, NULL, &err, NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_command(pool, NULL, &err, ""), HG_ERR_VALIDATION);
    cr_assert_eq(hg_command_argv(pool, NULL, NULL, &err, 0, NULL, NULL), HG_ERR_VALIDATION);
    const char *argv[] = { "PING" };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.op_class = "nosuch";
    cr_assert_eq(hg_command_argv(pool, &options, NULL, &err, 1, argv, NULL), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "nosuch"));
    options = (struct hg_call_options)HG_CALL_OPTIONS_INIT;
    options.flags = 1;
    cr_assert_eq(hg_command_argv(pool, &options, NULL, &err, 1, argv, NULL), HG_ERR_VALIDATION);
}

Test(command, what_a_newer_caller_asks_for_and_is_not_here_is_refused)
{
    struct hg_error err = HG_ERROR_INIT;
    const char *argv[] = { "PING" };
    struct {
        struct hg_call_options known;
        uint64_t unknown;
    } newer = { .known = HG_CALL_OPTIONS_INIT };
    newer.known.size = sizeof newer;
    cr_assert_eq(hg_command_argv(pool, &newer.known, NULL, &err, 1, argv, NULL), HG_OK);
    newer.unknown = 1;
    cr_assert_eq(hg_command_argv(pool, &newer.known, NULL, &err, 1, argv, NULL), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "newer library"), "%s", err.message);
    newer.known.size = 0;
    cr_assert_eq(hg_command_argv(pool, &newer.known, NULL, &err, 1, argv, NULL), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "HG_CALL_OPTIONS_INIT"), "%s", err.message);
}

Test(command, blocking_for_ever_needs_a_deadline)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "BLPOP q 0"), HG_ERR_VALIDATION);
    const char *argv[] = { "BLPOP", "q", "0" };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = INT64_C(50000000);
    cr_assert_eq(hg_command_argv(pool, &options, NULL, &err, 3, argv, NULL), HG_ERR_TIMEOUT);
    redisReply *reply;
    cr_assert_eq(hg_command(pool, &reply, &err, "BLPOP q 0.05"), HG_OK, "%s", err.message);
    cr_assert_eq(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

Test(command, long_vectors_and_large_values_pass)
{
    enum { KEYS = 500, SIZE = 3 << 20 };
    const char *argv[1 + 2 * KEYS] = { "MSET" };
    static char names[KEYS][16];
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "key%d", i);
        argv[1 + 2 * i] = argv[2 + 2 * i] = names[i];
    }
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command_argv(pool, NULL, NULL, &err, 1 + 2 * KEYS, argv, NULL), HG_OK, "%s",
                 err.message);
    char *value = malloc(SIZE);
    memset(value, 'x', SIZE);
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.op_class = "patient";
    const char *set[] = { "SET", "big", value };
    const size_t lengths[] = { 3, 3, SIZE };
    close_pool(pool);
    pool = open_pool(hgi_private_server_url(server),
                     "{\"classes\": {\"patient\": {\"extends\": \"write\", \"attempt_timeout\": "
                     "\"20s\", \"deadline\": \"20s\"}}}");
    cr_assert_eq(hg_command_argv(pool, &options, NULL, &err, 3, set, lengths), HG_OK, "%s",
                 err.message);
    const char *get[] = { "GET", "big" };
    redisReply *reply;
    cr_assert_eq(hg_command_argv(pool, &options, &reply, &err, 2, get, NULL), HG_OK, "%s",
                 err.message);
    cr_assert_eq(reply->len, SIZE);
    cr_assert_eq(memcmp(reply->str, value, SIZE), 0);
    freeReplyObject(reply);
    free(value);
}

Test(command, the_trace_tells_where_the_time_went)
{
    struct hg_trace trace = HG_TRACE_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.trace = &trace;
    const char *argv[] = { "SET", "k", "v" };
    cr_assert_eq(hg_command_argv(pool, &options, NULL, NULL, 3, argv, NULL), HG_OK);
    cr_assert_eq(trace.attempts, 1);
    cr_assert_eq(trace.retries, 0);
    cr_assert_gt(trace.server_ns, 0);
    cr_assert_leq(trace.server_ns + trace.queue_ns + trace.backoff_ns, trace.elapsed_ns);
}
