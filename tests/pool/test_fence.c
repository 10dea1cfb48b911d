/* The fence, on a real server behind a slow network: an older attempt of a write lies on its way while
 * a newer one, and then another write, are acknowledged. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "pool/fence.h"
#include "pool/internal.h"
#include "tests/pool/relay.h"
#include "tests/pool/support.h"
#include "tools/common/wire.h"

static struct hgi_private_server *server;
static struct relay *relay;
static hg_pool *pool;

static void set_up(void)
{
    server = start_server();
    relay = relay_start(hgi_private_server_socket(server));
}

static void tear_down(void)
{
    close_pool(pool);
    relay_stop(relay);
    hgi_private_server_free(server);
}

TestSuite(fence, .init = set_up, .fini = tear_down, .timeout = 120);

/* Connections that stand before the test begins, so that no attempt waits for one to be made. */
static void connect_all(void)
{
    hg_lease *leases[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(hg_acquire(pool, &leases[i], NULL, NULL), HG_OK);
    for (int i = 0; i < 3; i++)
        hg_release(leases[i], HG_OK);
}

static void open_under(const char *server_section, const char *write_class)
{
    char json[512];
    snprintf(
        json, sizeof json,
        "{\"server\": {%s}, \"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 3, "
        "\"min_idle\": 0},"
        " \"classes\": {\"write\": {\"attempt_timeout\": \"400ms\", \"deadline\": \"20s\"%s}}}",
        server_section, write_class);
    pool = open_pool(relay_url(relay), json);
    connect_all();
    cr_assert_eq(hg_command(pool, NULL, NULL, "SET k none"), HG_OK);
}

static bool value_is(void *wanted)
{
    redisReply *reply = NULL;
    bool is = hg_command(pool, &reply, NULL, "GET k") == HG_OK && reply->str &&
              strcmp(reply->str, wanted) == 0;
    freeReplyObject(reply);
    return is;
}

static bool held_is_dead(void *arg)
{
    (void)arg;
    return relay_held_is_dead(relay);
}

static bool nothing_is_held(void *arg)
{
    (void)arg;
    return !relay_holds(relay);
}

/* An old write whose first attempt is held, its second acknowledged; then a new one. */
static void write_old_and_new(void)
{
    struct hg_error err = HG_ERROR_INIT;
    relay_hold(relay);
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k old"), HG_OK, "%s", err.message);
    cr_assert_geq(err.attempt, 2);
    cr_assert(relay_holds(relay));
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k new"), HG_OK, "%s", err.message);
}

Test(fence, without_it_the_old_value_wins)
{
    open_under("\"proxy\": true", ", \"retry_unfenced\": true");
    for (int round = 0; round < 5; round++) {
        write_old_and_new();
        relay_release(relay);
        wait_for(value_is, "old", "the old value to win");
    }
}

Test(fence, with_it_the_new_value_stays)
{
    open_under("", "");
    for (int round = 0; round < 5; round++) {
        write_old_and_new();
        wait_for(held_is_dead, NULL, "the server to close the old attempt's connection");
        relay_release(relay);
        wait_for(nothing_is_held, NULL, "the old bytes to be let go");
        for (int i = 0; i < 20; i++)
            cr_assert(value_is("new"));
    }
}

static hg_status set_old(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    ++*(unsigned *)arg;
    return hg_lease_command(lease, NULL, attempt->error, "SET k old");
}

Test(fence, it_stands_before_a_function_too)
{
    open_under("", "");
    struct hg_error err = HG_ERROR_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.op_class = "write";
    unsigned runs = 0;
    relay_hold(relay);
    cr_assert_eq(hg_call(pool, &options, set_old, &runs, &err), HG_OK, "%s", err.message);
    cr_assert_geq(runs, 2);
    wait_for(held_is_dead, NULL, "the server to close the old attempt's connection");
}

/* The connection of the first attempt, with somebody else while the second one is made. */
struct neighbour {
    hg_lease *lease;
    unsigned runs;
};

static void take_it(void *arg, const struct hg_log_event *event)
{
    struct neighbour *neighbour = arg;
    if (event->kind == HG_LOG_RETRY)
        cr_assert_eq(hg_acquire(pool, &neighbour->lease, NULL, NULL), HG_OK);
}

static void run(const char *command)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, command);
    cr_assert(reply && reply->type != REDIS_REPLY_ERROR, "%s: %s", command,
              reply ? reply->str : problem.text);
    freeReplyObject(reply);
}

/* Two commands, the second refused for now: what ran of them is not known, but all was answered. */
static hg_status refused_at_first(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    struct neighbour *neighbour = arg;
    neighbour->runs++;
    run(neighbour->runs == 1 ? "CONFIG SET maxmemory 1" : "CONFIG SET maxmemory 0");
    hg_status status = hg_lease_command(lease, NULL, attempt->error, "DEL k");
    return status < 0 ? status : hg_lease_command(lease, NULL, attempt->error, "SET k new");
}

Test(fence, an_attempt_that_was_answered_has_left_a_connection_that_is_anothers)
{
    struct neighbour neighbour = { .runs = 0 };
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    struct hg_call_options call = HG_CALL_OPTIONS_INIT;
    struct hg_error err = HG_ERROR_INIT;
    options.url = hgi_private_server_url(server);
    options.log = take_it;
    options.log_arg = &neighbour;
    call.op_class = "write";
    pool = open_pool_with(&options, "{\"pool\": {\"max_size\": 3}, " PATIENT "}");
    connect_all();
    cr_assert_eq(hg_call(pool, &call, refused_at_first, &neighbour, &err), HG_OK, "%s",
                 err.message);
    cr_assert_eq(neighbour.runs, 2);
    cr_assert_eq(hg_lease_command(neighbour.lease, NULL, &err, "GET k"), HG_OK, "%s", err.message);
    hg_release(neighbour.lease, HG_OK);
}

static void is_not_sent_again(const char *why)
{
    struct hg_error err = HG_ERROR_INIT;
    relay_hold(relay);
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k old"), HG_ERR_TIMEOUT, "%s: %s", why,
                 err.message);
    cr_assert_eq(err.attempt, 1, "%s", why);
    cr_assert_eq(err.stop_reason, HG_STOP_OUTCOME, "%s", why);
    cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN, "%s", why);
}

Test(fence, behind_a_proxy_such_a_write_is_not_sent_again)
{
    open_under("\"proxy\": true", "");
    is_not_sent_again("a proxy");
}

Test(fence, where_the_server_forbids_it_such_a_write_is_not_sent_again)
{
    run("ACL SETUSER default -client|kill");
    open_under("", "");
    is_not_sent_again("an ACL");
}

Test(fence, a_server_that_forbids_it_meanwhile_ends_the_call)
{
    open_under("", "");
    run("ACL SETUSER default -client|kill");
    struct hg_error err = HG_ERROR_INIT;
    relay_hold(relay);
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k old"), HG_ERR_SERVER, "%s", err.message);
    cr_assert_eq(err.stop_reason, HG_STOP_OUTCOME);
    cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN);
    cr_assert_eq(err.cause, HG_ERR_TIMEOUT);
    cr_assert(value_is("none"), "neither attempt has run");
}

/* A server that is busy with a script while a fence is to be raised. */
struct busy {
    pthread_t thread;
    bool began;
    unsigned waits;
};

static void *script_main(void *arg)
{
    struct hgi_problem problem;
    (void)arg;
    struct hgi_wire *wire =
        hgi_wire_open_unix(hgi_private_server_socket(server), 60 * HGI_NS_PER_S, &problem);
    cr_assert_not_null(wire);
    freeReplyObject(hgi_wire_command(wire, &problem, "EVAL %s 0", "while true do end"));
    hgi_wire_close(wire);
    return NULL;
}

static bool server_is_busy(void *arg)
{
    struct hgi_problem problem;
    (void)arg;
    redisReply *reply = hgi_private_server_command(server, &problem, "PING");
    bool is = reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "BUSY ", 5) == 0;
    freeReplyObject(reply);
    return is;
}

static void be_busy(void *arg, const struct hg_log_event *event)
{
    struct busy *busy = arg;
    if (event->kind == HG_LOG_RETRY && !busy->began) {
        busy->began = true;
        run("CONFIG SET lua-time-limit 1");
        cr_assert_eq(pthread_create(&busy->thread, NULL, script_main, NULL), 0);
        wait_for(server_is_busy, NULL, "the server to be busy");
    } else if (event->kind == HG_LOG_WAITING && busy->waits++ == 0) {
        run("SCRIPT KILL");
    }
}

Test(fence, a_server_that_is_busy_for_now_is_asked_again)
{
    struct busy busy = { .began = false };
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    struct hg_error err = HG_ERROR_INIT;
    options.url = relay_url(relay);
    options.log = be_busy;
    options.log_arg = &busy;
    pool = open_pool_with(&options,
                          "{\"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 3}, "
                          "\"classes\": {\"write\": {\"attempt_timeout\": \"400ms\", \"deadline\": "
                          "\"60s\"}}}");
    connect_all();
    relay_hold(relay);
    cr_assert_eq(hg_command(pool, NULL, &err, "SET k old"), HG_OK, "%s", err.message);
    cr_assert(busy.began);
    pthread_join(busy.thread, NULL);
    cr_assert_geq(busy.waits, 1);
    wait_for(held_is_dead, NULL, "the server to close the old attempt's connection");
    /* All may raise a fence as before. */
    hg_lease *leases[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(hg_acquire(pool, &leases[i], NULL, &err), HG_OK, "%s", err.message);
    for (int i = 0; i < 3; i++) {
        cr_assert(pool->slots[i].conn->can_fence);
        hg_release(leases[i], HG_OK);
    }
}

Test(fence_frames, a_number_of_a_server_that_is_no_more_kills_nobody)
{
    struct hgi_conn old = { .can_fence = true, .client_id = 70, .made_ns = 100 };
    struct hgi_conn next = { .can_fence = true, .client_id = 71, .dialled_ns = 101 };
    struct hgi_fence fence = { .count = 0 };
    char bytes[HGI_FENCE_SIZE];
    size_t length;
    uint32_t replies;
    cr_assert(hgi_fence_note(&fence, &old));
    hgi_fence_format(&fence, &next, bytes, &length, &replies);
    cr_assert_eq(replies, 1);
    const char expected[] = "*4\r\n$6\r\nCLIENT\r\n$4\r\nKILL\r\n$2\r\nID\r\n$2\r\n70\r\n";
    cr_assert_eq(length, sizeof expected - 1);
    cr_assert_arr_eq(bytes, expected, length);

    next.client_id = 5; /* numbered anew */
    hgi_fence_format(&fence, &next, bytes, &length, &replies);
    cr_assert_eq(replies, 0);
    cr_assert_eq(length, 0);

    next.dialled_ns = 99; /* two dials at once: the order of numbers says nothing */
    hgi_fence_format(&fence, &next, bytes, &length, &replies);
    cr_assert_eq(replies, 1);
}

static bool forbids(const char *text)
{
    char words[64];
    snprintf(words, sizeof words, "%s", text);
    redisReply reply = { .type = REDIS_REPLY_ERROR, .str = words };
    reply.len = strlen(words);
    return hgi_reply_forbids(&reply);
}

Test(fence_frames, what_is_forbidden_is_told_by_the_whole_code)
{
    cr_assert(forbids("NOPERM this user may not"));
    cr_assert(forbids("ERR unknown command"));
    cr_assert_not(forbids("NOPERMISSION yet"));
    cr_assert_not(forbids("ERROR of another kind"));
    cr_assert_not(forbids("BUSY with a script"));
}

Test(fence_frames, what_cannot_be_fenced_off_is_said)
{
    struct hgi_conn conn = { .can_fence = false, .client_id = 70 };
    struct hgi_fence fence = { .count = 0 };
    cr_assert_not(hgi_fence_note(&fence, &conn));
    conn.can_fence = true;
    conn.client_id = INT64_MAX;
    for (unsigned i = 0; i < HGI_FENCE_MAX; i++)
        cr_assert(hgi_fence_note(&fence, &conn));
    cr_assert_not(hgi_fence_note(&fence, &conn));
    char bytes[HGI_FENCE_SIZE];
    size_t length;
    uint32_t replies;
    hgi_fence_format(&fence, &conn, bytes, &length, &replies);
    cr_assert_eq(replies, HGI_FENCE_MAX);
    cr_assert_leq(length, sizeof bytes);
}
