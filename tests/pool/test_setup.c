/* How a connection is made and set up: every form of address, every address of a name, what the user
 * wants on each connection, both protocols. */
#include <criterion/criterion.h>

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pool/support.h"

static struct hgi_private_server *server;
static hg_pool *pool;

static void start(const char *const *arguments)
{
    struct hgi_problem problem;
    const struct hgi_private_server_options options = { .tcp = true, .arguments = arguments };
    cr_assert(hgi_private_server_start(&server, &options, &problem), "%s", problem.text);
}

static void set_up(void)
{
    start(NULL);
}

static void tear_down(void)
{
    close_pool(pool);
    hgi_private_server_free(server);
}

TestSuite(setup, .init = set_up, .fini = tear_down, .timeout = 60);

static redisReply *ask(const char *command)
{
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, &reply, &err, command), HG_OK, "%s: %s", command, err.message);
    return reply;
}

/* A bare system in a folder may not know the name. */
static bool knows_localhost(void)
{
    struct addrinfo *found;
    if (getaddrinfo("localhost", NULL, NULL, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}

static void expect_pong(const char *format)
{
    char url[200];
    snprintf(url, sizeof url, format, (unsigned)hgi_private_server_port(server));
    pool = open_pool(url, "{}");
    freeReplyObject(ask("PING"));
    close_pool(pool);
    pool = NULL;
}

Test(setup, an_address_may_be_written_in_every_form)
{
    expect_pong("127.0.0.1:%u");
    expect_pong("redis://127.0.0.1:%u");
    expect_pong("redis://127.0.0.1:%u/3");
    if (knows_localhost())
        expect_pong("localhost:%u"); /* where it is ::1 too, nobody listens there */
    pool = open_pool(hgi_private_server_url(server), "{}");
    freeReplyObject(ask("PING"));
}

Test(setup, ipv6_works)
{
    static const char *const arguments[] = { "--bind", "127.0.0.1", "-::1", NULL };
    hgi_private_server_free(server);
    start(arguments);
    char url[64];
    snprintf(url, sizeof url, "redis://[::1]:%u", (unsigned)hgi_private_server_port(server));
    pool = open_pool(url, "{\"classes\": {\"read\": {\"retry\": \"none\"}}}");
    struct hg_error err = HG_ERROR_INIT;
    if (hg_command(pool, NULL, &err, "GET k") < 0 &&
        (strstr(err.message, "Cannot assign") || strstr(err.message, "not supported"))) {
        tear_down();
        cr_skip_test("there is no IPv6 here");
    }
    cr_assert_eq(err.type, HG_ERR_NOT_FOUND, "%s", err.message);
}

Test(setup, own_commands_are_run_on_each_connection)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"server\": {\"setup\": [[\"CLIENT\", \"NO-EVICT\", \"ON\"],"
                     " [\"INCRBY\", \"connections\", \"1\"]]}}");
    for (int i = 1; i <= 3; i++) {
        redisReply *reply = ask("CLIENT INFO");
        const char *flags = strstr(reply->str, " flags=");
        cr_assert_not_null(flags);
        const char *no_evict = strchr(flags + 7, 'e');
        cr_assert(no_evict && no_evict < strchr(flags + 1, ' '), "%s", reply->str);
        freeReplyObject(reply);
        reply = ask("GET connections");
        cr_assert_eq(atoi(reply->str), i);
        freeReplyObject(reply);
        hg_lease *lease;
        cr_assert_eq(hg_acquire(pool, &lease, NULL, NULL), HG_OK);
        cr_assert_eq(hg_lease_command(lease, NULL, NULL, "SUBSCRIBE c"), HG_OK);
        hg_release(lease, HG_OK);
    }
}

Test(setup, a_refused_command_of_ones_own_fails_the_dial_and_says_so)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"server\": {\"setup\": [[\"NOSUCHCOMMAND\", \"secret\"]]}}");
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_lt(hg_command(pool, NULL, &err, "GET k"), 0);
    cr_assert_not_null(strstr(err.message, "server.setup"), "%s", err.message);
    cr_assert_null(strstr(err.message, "secret"), "%s", err.message);
}

Test(setup, a_database_that_is_refused_fails_the_dial)
{
    char url[160];
    snprintf(url, sizeof url, "%s?db=9999", hgi_private_server_url(server));
    pool = open_pool(url, "{}");
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_lt(hg_command(pool, NULL, &err, "GET k"), 0);
    cr_assert_not_null(strstr(err.message, "DB index"), "%s", err.message);
}

/* How often the server has said ERR. */
static long count_errors(void)
{
    static const char before[] = "errorstat_ERR:count=";
    redisReply *reply = ask("INFO errorstats");
    const char *at = strstr(reply->str, before);
    long count = at ? strtol(at + sizeof before - 1, NULL, 10) : 0;
    freeReplyObject(reply);
    return count;
}

Test(setup, the_library_introduces_itself_where_the_server_knows_how)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 1}}");
    redisReply *reply = ask("CLIENT INFO");
    bool knows = strstr(reply->str, " lib-name=") != NULL;
    cr_assert_eq(strstr(reply->str, " lib-name=herdgate ") != NULL, knows, "%s", reply->str);
    freeReplyObject(reply);
    long errors = count_errors();
    for (int i = 0; i < 3; i++) {
        hg_lease *lease;
        cr_assert_eq(hg_acquire(pool, &lease, NULL, NULL), HG_OK);
        cr_assert_eq(hg_lease_command(lease, NULL, NULL, "SUBSCRIBE c"), HG_OK);
        hg_release(lease, HG_OK);
        cr_assert_eq(count_errors(), errors, "a server that does not know it is asked once");
    }
}

#if HIREDIS_MAJOR >= 1

static void set_key(const char *value)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, "SET k %s", value);
    cr_assert_not_null(reply, "%s", problem.text);
    freeReplyObject(reply);
}

Test(setup, resp3_gives_maps_and_its_messages_are_no_replies)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"server\": {\"resp\": 3}, \"pool\": {\"max_size\": 1}}");
    redisReply *reply = ask("CONFIG GET port");
    cr_assert_eq(reply->type, REDIS_REPLY_MAP);
    freeReplyObject(reply);

    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    cr_assert_eq(hg_lease_command(lease, NULL, &err, "CLIENT TRACKING ON"), HG_OK);
    for (int i = 0; i < 20; i++) {
        char value[8];
        snprintf(value, sizeof value, "v%d", i);
        cr_assert_eq(hg_lease_command(lease, NULL, &err, "GET k"), HG_OK, "%s", err.message);
        set_key(value); /* and the server tells the lease's connection so */
        cr_assert_eq(hg_lease_command(lease, &reply, &err, "GET k"), HG_OK, "%s", err.message);
        cr_assert_eq(reply->type, REDIS_REPLY_STRING);
        cr_assert_str_eq(reply->str, value);
        freeReplyObject(reply);
    }
    hg_release(lease, HG_OK);
}

Test(setup, a_subscription_of_resp3_has_its_messages)
{
    pool = open_pool(hgi_private_server_url(server),
                     "{\"server\": {\"resp\": 3}, \"pool\": {\"max_size\": 1}}");
    hg_lease *lease;
    redisReply *reply;
    struct hgi_problem problem;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    cr_assert_eq(hg_lease_command(lease, &reply, &err, "SUBSCRIBE news"), HG_OK, "%s", err.message);
    cr_assert_str_eq(reply->element[0]->str, "subscribe");
    freeReplyObject(reply);
    freeReplyObject(hgi_private_server_command(server, &problem, "PUBLISH news item"));
    cr_assert_eq(hg_lease_reply(lease, &reply, &err), HG_OK, "%s", err.message);
    cr_assert_str_eq(reply->element[2]->str, "item");
    freeReplyObject(reply);
    /* A message may be on its way, and would be taken for the reply. */
    cr_assert_eq(hg_lease_command(lease, &reply, &err, "GET k"), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "messages arrive on this lease"), "%s", err.message);
    cr_assert_eq(hg_lease_append(lease, &err, "GET k"), HG_ERR_VALIDATION);
    cr_assert_eq(hg_lease_command(lease, &reply, &err, "UNSUBSCRIBE news"), HG_OK, "%s",
                 err.message);
    freeReplyObject(reply);
    hg_release(lease, HG_OK);
    reply = ask("GET k");
    cr_assert_eq(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

Test(setup, a_subscription_that_was_refused_leaves_the_connection_to_commands)
{
    struct hgi_problem problem;
    struct hg_error err = HG_ERROR_INIT;
    hg_lease *lease;
    freeReplyObject(
        hgi_private_server_command(server, &problem, "ACL SETUSER %s resetchannels", "default"));
    pool = open_pool(hgi_private_server_url(server),
                     "{\"server\": {\"resp\": 3}, \"pool\": {\"max_size\": 1}}");
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    cr_assert_eq(hg_lease_command(lease, NULL, &err, "SUBSCRIBE news"), HG_ERR_SERVER);
    cr_assert_str_eq(err.server_code, "NOPERM");
    hg_release(lease, HG_OK);
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    cr_assert_eq(hg_lease_command(lease, NULL, &err, "GET k"), HG_OK, "%s", err.message);
    hg_release(lease, HG_OK);
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    cr_assert_eq(stats.dials, 1);
}

#else

Test(setup, resp3_is_refused_with_what_it_needs)
{
    hg_policy *policy;
    struct hg_error err = HG_ERROR_INIT;
    const char json[] = "{\"server\": {\"resp\": 3}}";
    pool = NULL;
    cr_assert_eq(hg_policy_parse(&policy, json, strlen(json), "test", &err), HG_OK);
    cr_assert_eq(hg_pool_open(&pool, NULL, policy, &err), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "hiredis 1.x"), "%s", err.message);
    hg_policy_drop(policy);
}

#endif
