/* What a user can leave on a connection, kind by kind: a careless pool, which hands it on as it is,
 * gives the next user a wrong answer on a real server; this one does not.
 *
 * The careless pool is a raw context that the two users have one after the other. Both next users do
 * the same: GET mine, and the same in a transaction.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "tests/pool/support.h"

/* What the pool should do with the connection. */
enum end { MENDED, CLOSED };

struct dirt {
    const char *name;
    const char *commands[4]; /* sent one after the other ... */
    unsigned reads;          /* ... and so many replies read */
    const char *meanwhile;   /* by somebody else, before the next user */
    bool raw;                /* through hg_lease_context() */
    enum end end;
    bool refused; /* the last reply is an error */
};

static const struct dirt kinds[] = {
    { "a reply outstanding", { "GET other" }, 0, NULL, false, CLOSED, false },
    { "a reply read of two that came",
      { "GET other", "GET other" },
      1,
      NULL,
      false,
      CLOSED,
      false },
    { "a reply that comes later",
      { "GET other", "BLPOP list 0" },
      1,
      "LPUSH list item",
      false,
      CLOSED,
      false },
    { "an open transaction", { "MULTI" }, 1, NULL, false, MENDED, false },
    { "a transaction with commands",
      { "MULTI", "SET mine stolen" },
      2,
      NULL,
      false,
      MENDED,
      false },
    { "a watch", { "WATCH watched" }, 1, "SET watched changed", false, MENDED, false },
    { "a transaction that DISCARD did not end",
      { "MULTI", "DISCARD now" },
      2,
      NULL,
      false,
      MENDED,
      true },
    { "a watch that EXEC did not end",
      { "WATCH watched", "EXEC" },
      2,
      "SET watched changed",
      false,
      MENDED,
      true },
    { "another database", { "SELECT 3" }, 1, NULL, false, MENDED, false },
    { "another user", { "AUTH guest secret" }, 1, NULL, false, MENDED, false },
    { "all of these", { "AUTH admin secret", "SELECT 3", "MULTI" }, 3, NULL, false, MENDED, false },
    { "a subscription", { "SUBSCRIBE news" }, 1, NULL, false, CLOSED, false },
    { "a subscription's message",
      { "SUBSCRIBE news" },
      1,
      "PUBLISH news item",
      false,
      CLOSED,
      false },
    { "a pattern's message", { "PSUBSCRIBE n*" }, 1, "PUBLISH news item", false, CLOSED, false },
    { "MONITOR", { "MONITOR" }, 1, "GET seen", false, CLOSED, false },
    { "CLIENT REPLY OFF", { "CLIENT REPLY OFF" }, 0, NULL, false, CLOSED, false },
    { "CLIENT REPLY SKIP", { "CLIENT REPLY SKIP" }, 0, NULL, false, CLOSED, false },
    { "another database, unseen", { "SELECT 3" }, 1, NULL, true, CLOSED, false },
    { "a watch, unseen", { "WATCH watched" }, 1, "SET watched changed", true, CLOSED, false },
    { "a reply outstanding, unseen", { "GET other" }, 0, NULL, true, CLOSED, false },
};

static struct hgi_private_server *server;
static hg_pool *pool;

static void say(const char *command)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, command);
    cr_assert(reply && reply->type != REDIS_REPLY_ERROR, "%s: %s", command,
              reply ? reply->str : problem.text);
    freeReplyObject(reply);
}

static void set_up(void)
{
    server = start_server();
    say("SET mine right");
    say("SET other wrong");
    say("EVAL redis.call('SELECT',3)return(redis.call('SET','mine','wrong')) 0");
    say("ACL SETUSER guest on >secret ~nothing +@all");
    say("ACL SETUSER admin on >secret ~* +@all");
}

static void tear_down(void)
{
    close_pool(pool);
    hgi_private_server_free(server);
}

TestSuite(dirt, .init = set_up, .fini = tear_down, .timeout = 240);

static unsigned count_of(const struct dirt *dirt)
{
    unsigned count = 0;
    while (count < 4 && dirt->commands[count])
        count++;
    return count;
}

static bool is_right(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STRING && strcmp(reply->str, "right") == 0;
}

/* --- the careless pool --- */

static redisContext *connect_raw(void)
{
    const struct timeval limit = { .tv_usec = 300000 };
    redisContext *context = redisConnectUnix(hgi_private_server_socket(server));
    cr_assert(context && !context->err);
    redisSetTimeout(context, limit);
    return context;
}

static redisReply *next(redisContext *context)
{
    void *reply = NULL;
    return redisGetReply(context, &reply) == REDIS_OK ? reply : NULL;
}

static bool raw_next_user_is_right(redisContext *context)
{
    static const char *const commands[] = { "GET mine", "MULTI", "GET mine", "EXEC" };
    bool right = true;
    for (int i = 0; i < 4; i++) {
        redisAppendCommand(context, commands[i]);
        redisReply *reply = next(context);
        if (i == 0)
            right = is_right(reply);
        if (i == 3)
            right = right && reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
                    is_right(reply->element[0]);
        freeReplyObject(reply);
    }
    return right;
}

static void dirty_raw(redisContext *context, const struct dirt *dirt)
{
    for (unsigned i = 0; i < count_of(dirt); i++)
        redisAppendCommand(context, dirt->commands[i]);
    int done = 0;
    while (!done)
        cr_assert_eq(redisBufferWrite(context, &done), REDIS_OK);
    for (unsigned i = 0; i < dirt->reads; i++) {
        redisReply *reply = next(context);
        bool error = dirt->refused && i + 1 == dirt->reads;
        cr_assert(reply && (reply->type == REDIS_REPLY_ERROR) == error, "%s: %s", dirt->name,
                  reply ? reply->str : context->errstr);
        freeReplyObject(reply);
    }
}

Test(dirt, a_careless_pool_gives_the_next_user_a_wrong_answer)
{
    pool = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        redisContext *context = connect_raw();
        say("SET mine right");
        dirty_raw(context, &kinds[i]);
        if (kinds[i].meanwhile)
            say(kinds[i].meanwhile);
        cr_expect_not(raw_next_user_is_right(context), "%s", kinds[i].name);
        redisFree(context);
    }
    redisContext *context = connect_raw();
    say("SET mine right");
    cr_assert(raw_next_user_is_right(context), "it is the dirt that makes it wrong");
    redisFree(context);
}

/* --- this one --- */

static hg_status next_user(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    struct hg_error *err = attempt->error;
    redisReply *reply;
    bool *right = arg;
    hg_status status = hg_lease_command(lease, &reply, err, "GET mine");
    if (status < 0)
        return status;
    *right = is_right(reply);
    freeReplyObject(reply);
    status = hg_lease_command(lease, NULL, err, "MULTI");
    if (status == HG_OK)
        status = hg_lease_command(lease, NULL, err, "GET mine");
    if (status == HG_OK)
        status = hg_lease_command(lease, &reply, err, "EXEC");
    if (status < 0)
        return status;
    *right = *right && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
             is_right(reply->element[0]);
    freeReplyObject(reply);
    return HG_OK;
}

static void dirty_lease(const struct dirt *dirt)
{
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    if (dirt->raw)
        dirty_raw(hg_lease_context(lease), dirt);
    for (unsigned i = 0; !dirt->raw && i < count_of(dirt); i++)
        cr_assert_eq(hg_lease_append(lease, &err, dirt->commands[i]), HG_OK, "%s", err.message);
    for (unsigned i = 0; !dirt->raw && i < dirt->reads; i++)
        cr_assert_eq(hg_lease_reply(lease, NULL, &err),
                     dirt->refused && i + 1 == dirt->reads ? HG_ERR_SERVER : HG_OK, "%s: %s",
                     dirt->name, err.message);
    hg_release(lease, HG_OK);
    if (dirt->meanwhile)
        say(dirt->meanwhile);
}

/* One kind, and whether it ended as it should. */
static void try_kind(const struct dirt *dirt, enum end end)
{
    struct hg_pool_stats before = HG_POOL_STATS_INIT;
    struct hg_pool_stats after = HG_POOL_STATS_INIT;
    struct hg_error err = HG_ERROR_INIT;
    bool right = false;
    hg_pool_read_stats(pool, &before);
    dirty_lease(dirt);
    cr_assert_eq(hg_call(pool, NULL, next_user, &right, &err), HG_OK, "%s: %s", dirt->name,
                 err.message);
    cr_expect(right, "%s", dirt->name);
    hg_pool_read_stats(pool, &after);
    cr_expect_eq(after.mended - before.mended, end == MENDED, "%s", dirt->name);
    cr_expect_eq(after.closed_unclean - before.closed_unclean, end == CLOSED, "%s", dirt->name);
    cr_expect_eq(after.dials - before.dials, end == CLOSED, "%s", dirt->name);
}

static void open_one(const char *json)
{
    pool = open_pool(hgi_private_server_url(server), json);
    cr_assert_eq(hg_command(pool, NULL, NULL, "GET mine"), HG_OK);
}

Test(dirt, this_pool_gives_the_right_one)
{
    open_one("{\"pool\": {\"max_size\": 1}}");
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            try_kind(&kinds[i], kinds[i].end);
}

Test(dirt, behind_a_proxy_all_of_it_is_closed)
{
    open_one("{\"pool\": {\"max_size\": 1}, \"server\": {\"proxy\": true}}");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        try_kind(&kinds[i], CLOSED);
}

Test(dirt, a_mended_connection_is_logged_in_named_and_on_its_database)
{
    char url[160];
    snprintf(url, sizeof url, "unix://admin:secret@%s?db=3", hgi_private_server_socket(server));
    pool = open_pool(url, "{\"pool\": {\"max_size\": 1}, \"server\": {\"client_name\": \"herd\"}}");
    for (int round = 0; round < 3; round++) {
        static const struct dirt other = {
            "another database", { "SELECT 1" }, 1, NULL, false, MENDED, false
        };
        dirty_lease(&other);
        redisReply *reply;
        struct hg_error err = HG_ERROR_INIT;
        cr_assert_eq(hg_command(pool, &reply, &err, "CLIENT INFO"), HG_OK, "%s", err.message);
        cr_assert_not_null(strstr(reply->str, " name=herd "), "%s", reply->str);
        cr_assert_not_null(strstr(reply->str, " db=3 "), "%s", reply->str);
        cr_assert_not_null(strstr(reply->str, " user=admin "), "%s", reply->str);
        freeReplyObject(reply);
    }
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    cr_assert_eq(stats.mended, 3);
    cr_assert_eq(stats.dials, 1);
}

/* How often the server has said ERR. */
static long count_errors(void)
{
    static const char before[] = "errorstat_ERR:count=";
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, "INFO errorstats");
    cr_assert_not_null(reply, "%s", problem.text);
    const char *at = strstr(reply->str, before);
    long count = at ? strtol(at + sizeof before - 1, NULL, 10) : 0;
    cr_assert_gt(count, 0, "%s", reply->str);
    freeReplyObject(reply);
    return count;
}

/* As an old server does. */
Test(dirt, where_the_server_has_no_reset_it_is_tried_once)
{
    static const char *const arguments[] = { "--rename-command", "RESET", "", NULL };
    static const struct dirt other = {
        "another database", { "SELECT 1" }, 1, NULL, false, CLOSED, false
    };
    const struct hgi_private_server_options options = { .arguments = arguments };
    struct hgi_problem problem;
    hgi_private_server_free(server);
    cr_assert(hgi_private_server_start(&server, &options, &problem), "%s", problem.text);
    say("SET mine right");
    open_one("{\"pool\": {\"max_size\": 1}}");
    try_kind(&other, CLOSED);
    long errors = count_errors();
    for (int round = 0; round < 3; round++)
        try_kind(&other, CLOSED);
    cr_assert_eq(count_errors(), errors);
}
