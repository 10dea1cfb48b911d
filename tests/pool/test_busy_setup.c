/* A connection that is made while a script keeps the server busy: what the server could not answer then is
 * asked again, so that the fence stands as soon as the server is well. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "pool/internal.h"
#include "tests/pool/relay.h"
#include "tests/pool/support.h"

static struct hgi_private_server *server;
static struct relay *relay;
static redisContext *script;
static hg_pool *pool;

static redisReply *ask(const char *command)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, command);
    cr_assert_not_null(reply, "%s: %s", command, problem.text);
    return reply;
}

static bool says_busy(void *arg)
{
    (void)arg;
    redisReply *reply = ask("PING");
    bool busy = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "BUSY ", 5) == 0;
    freeReplyObject(reply);
    return busy;
}

static bool says_pong(void *arg)
{
    (void)arg;
    redisReply *reply = ask("PING");
    bool well = reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return well;
}

static struct hg_pool_stats stats_now(void)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    return stats;
}

/* A server busy with a script that never ends, and a pool of one connection, made meanwhile. */
static void set_up(void)
{
    int done = 0;
    server = start_server();
    relay = relay_start(hgi_private_server_socket(server));
    freeReplyObject(ask("CONFIG SET lua-time-limit 1"));
    script = redisConnectUnix(hgi_private_server_socket(server));
    cr_assert(script && !script->err);
    redisAppendCommand(script, "EVAL %s 0", "while true do end");
    while (!done)
        cr_assert_eq(redisBufferWrite(script, &done), REDIS_OK);
    wait_for(says_busy, NULL, "the server to be busy");
    pool = open_pool(
        relay_url(relay),
        "{\"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 1, \"min_idle\": 1},"
        " \"classes\": {\"write\": {\"attempt_timeout\": \"400ms\", \"deadline\": \"60s\"},"
        " \"write_once\": {\"attempt_timeout\": \"60s\", \"deadline\": \"100s\"}}}");
}

static void tear_down(void)
{
    close_pool(pool);
    redisFree(script);
    relay_stop(relay);
    hgi_private_server_free(server);
}

TestSuite(busy_setup, .init = set_up, .fini = tear_down, .timeout = 120);

static void end_the_script(void)
{
    redisReply *reply = ask("SCRIPT KILL");
    cr_assert_eq(reply->type, REDIS_REPLY_STATUS, "%s", reply->str);
    freeReplyObject(reply);
    wait_for(says_pong, NULL, "the server to be well");
}

static hg_lease *acquire(void)
{
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    return lease;
}

/* The only connection; to be looked at by who holds it. */
static const struct hgi_conn *only(void)
{
    return pool->slots[0].conn;
}

/* Without a command, which would have it asked again. */
static bool is_settled(void *arg)
{
    (void)arg;
    hg_lease *lease = acquire();
    bool settled = only()->can_fence && only()->client_id > 0 && !only()->unsettled;
    hg_release(lease, HG_OK);
    return settled;
}

static bool one_stands(void *arg)
{
    (void)arg;
    return stats_now().idle > 0;
}

/* A write whose first attempt is held on its way is sent again, behind a fence. */
static void expect_a_fence(void)
{
    struct hg_error err = HG_ERROR_INIT;
    relay_hold(relay);
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k v"), HG_OK, "%s", err.message);
    cr_assert_geq(err.attempt, 2);
}

Test(busy_setup, a_connection_in_use_is_asked_again_when_it_comes_back)
{
    hg_lease *lease = acquire();
    cr_assert_not(only()->can_fence, "or nothing is tried here");
    cr_assert(only()->unsettled);
    uint64_t mended = stats_now().mended;
    end_the_script();
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "INCR n"), HG_OK);
    hg_release(lease, HG_OK);
    struct hg_pool_stats stats = stats_now();
    cr_assert(stats.mending == 1 || stats.mended > mended, "not left to the keeper");
    wait_for(is_settled, NULL, "the connection to be settled");
    expect_a_fence();
}

Test(busy_setup, an_idle_connection_is_asked_again_by_the_keeper)
{
    wait_for(one_stands, NULL, "a connection stands");
    end_the_script();
    wait_for(is_settled, NULL, "the keeper to have it asked again");
    uint64_t before = stats_now().mended;
    expect_a_fence();
    cr_assert_eq(stats_now().mended, before, "a connection that is settled is left alone");
}

Test(busy_setup, what_else_was_refused_then_is_not_taken_for_unknown)
{
    hg_lease *lease = acquire();
    end_the_script();
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "INCR n"), HG_OK);
    hg_release(lease, HG_OK);
    wait_for(is_settled, NULL, "the connection to be settled");
    cr_assert_not(atomic_load(&pool->cannot_mend));
    lease = acquire();
    redisReply *reply;
    cr_assert_eq(hg_lease_command(lease, &reply, NULL, "CLIENT INFO"), HG_OK);
    if (strstr(reply->str, " lib-name=")) /* a server that knows it */
        cr_assert_not_null(strstr(reply->str, " lib-name=herdgate "), "%s", reply->str);
    freeReplyObject(reply);
    hg_release(lease, HG_OK);
}
