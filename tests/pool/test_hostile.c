/* Servers that drip, flood, fall silent, stop reading, or send what no one can hold: deadlines and
 * limits hold, and nothing else happens. Limits of time here only tell an end from none. */
#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "pool/internal.h"
#include "tests/pool/hostile.h"
#include "tests/pool/support.h"

static struct hostile *server;
static hg_pool *pool;

static void tear_down(void)
{
    close_pool(pool);
    hostile_stop(server);
}

TestSuite(hostile, .fini = tear_down, .timeout = 120);

static void open_with(hostile_fn behaviour, const char *server_keys, const char *attempt_timeout)
{
    char json[400];
    snprintf(
        json, sizeof json,
        "{\"server\": {\"proxy\": true%s}, \"breaker\": {\"enabled\": false},"
        " \"pool\": {\"max_size\": 1}, \"classes\": {"
        "\"read\": {\"retry\": \"none\", \"attempt_timeout\": \"%s\", \"deadline\": \"60s\"},"
        "\"write\": {\"retry\": \"none\", \"attempt_timeout\": \"%s\", \"deadline\": \"60s\"}}}",
        server_keys, attempt_timeout, attempt_timeout);
    signal(SIGPIPE, SIG_DFL); /* one that reached us would end the test */
    server = hostile_start(behaviour);
    pool = open_pool(hostile_url(server), json);
}

/* The call fails like that, and long before the server would be through. */
static void expect(hg_status wanted, struct hg_error *err)
{
    int64_t began_ns = hgi_now_ns();
    redisReply *reply = NULL;
    hg_status status = hg_command(pool, &reply, err, "GET key");
    cr_assert_eq(status, wanted, "%s: %s", hg_status_name(status), err->message);
    cr_assert_null(reply);
    cr_assert_lt(hgi_now_ns() - began_ns, 20 * HGI_NS_PER_S);
}

/* --- time --- */

static void drip(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_hear(fd, "key\r\n");
    for (bool there = hostile_say(fd, "$100000\r\n"); there; there = hostile_say(fd, "x"))
        sleep_ms(5);
}

Test(hostile, bytes_that_drip_do_not_stretch_a_deadline)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(drip, "", "200ms");
    expect(HG_ERR_TIMEOUT, &err);
    cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN);
}

static void flood(struct hostile *hostile, int fd)
{
    static char bytes[1 << 16];
    (void)hostile;
    hostile_hear(fd, "key\r\n");
    for (bool there = hostile_say(fd, "*100000000\r\n"); there;)
        there = hostile_send(fd, bytes, sizeof bytes);
}

/* Many elements, none of which ever ends. */
static void flood_strings(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_hear(fd, "key\r\n");
    for (bool there = hostile_say(fd, "*5000000\r\n"); there;)
        there = hostile_say(fd, "$-1\r\n$-1\r\n$-1\r\n$-1\r\n");
}

Test(hostile, a_server_that_never_stops_talking_does_not_stretch_it)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(flood_strings, "", "100ms");
    expect(HG_ERR_TIMEOUT, &err);
}

static void be_silent(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_listen(fd);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* The clock is read once for a command, and not for what was waited for since: a stale time would let
 * the next reply of the same span wait for too long. */
Test(span, a_time_handed_down_is_good_until_something_may_have_waited)
{
    struct hgi_settings settings;
    int end[2];
    hgi_settings_defaults(&settings);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
    struct hgi_conn *conn = hgi_conn_wrap(end[0], &settings, HGI_NS_PER_S);
    cr_assert_not_null(conn);
    struct hgi_span span = { .end_ns = hgi_now_ns() + 60 * HGI_NS_PER_S, .now_ns = 1 };
    cr_assert_eq(hgi_conn_send(conn, "x", 1, &span).kind, HGI_IO_OK);
    cr_assert_eq(span.now_ns, 1, "one send() that takes all does not wait");

    redisReply *reply;
    cr_assert(hostile_say(end[1], "+a\r\n+b\r\n"));
    cr_assert_eq(hgi_conn_receive(conn, &reply, &span).kind, HGI_IO_OK);
    cr_assert_eq(span.now_ns, 0, "recv() may have waited");
    freeReplyObject(reply);
    span.now_ns = 1;
    cr_assert_eq(hgi_conn_receive(conn, &reply, &span).kind, HGI_IO_OK);
    cr_assert_eq(span.now_ns, 1, "the second reply was here already");
    freeReplyObject(reply);

    static const char much[1 << 22]; /* more than the socket holds, and nobody reads it */
    span = (struct hgi_span) { .end_ns = hgi_now_ns() + 10 * HGI_NS_PER_MS, .now_ns = 1 };
    cr_assert_eq(hgi_conn_send(conn, much, sizeof much, &span).kind, HGI_IO_TIMEOUT);
    cr_assert_eq(span.now_ns, 0, "it waited for room");
    hgi_conn_close(conn);
    close(end[1]);
}

Test(hostile, signals_do_not_stretch_it)
{
    const struct sigaction action = { .sa_handler = ignore_signal };
    const struct itimerval often = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
    const struct itimerval never = { .it_value.tv_usec = 0 };
    struct hg_error err = HG_ERROR_INIT;
    open_with(be_silent, "", "300ms");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    expect(HG_ERR_TIMEOUT, &err);
    setitimer(ITIMER_REAL, &never, NULL);
}

static void never_read(struct hostile *hostile, int fd)
{
    (void)hostile;
    struct pollfd end = { .fd = fd, .events = POLLRDHUP };
    poll(&end, 1, -1);
}

Test(hostile, a_server_that_does_not_read_is_a_timeout_and_the_command_was_not_sent)
{
    const size_t size = 64 << 20;
    char *value = calloc(1, size);
    struct hg_error err = HG_ERROR_INIT;
    open_with(never_read, "", "300ms");
    const char *argv[] = { "SET", "key", value };
    const size_t lengths[] = { 3, 3, size };
    cr_assert_eq(hg_command_argv(pool, NULL, NULL, &err, 3, argv, lengths), HG_ERR_TIMEOUT, "%s",
                 err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_NOT_SENT);
    free(value);
}

/* --- both directions at once --- */

enum { ECHOES = 64, ECHO_SIZE = HOSTILE_ECHO_SIZE };

Test(hostile, a_pipeline_is_sent_while_its_replies_are_read)
{
    char *value = malloc(ECHO_SIZE);
    struct hg_error err = HG_ERROR_INIT;
    hg_lease *lease;
    open_with(hostile_echo, "", "60s");
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.op_class = "read";
    cr_assert_eq(hg_acquire(pool, &lease, &options, &err), HG_OK, "%s", err.message);
    for (int i = 0; i < ECHOES; i++) {
        memset(value, 'a' + i % 26, ECHO_SIZE);
        const char *argv[] = { "ECHO", value };
        const size_t lengths[] = { 4, ECHO_SIZE };
        cr_assert_eq(hg_lease_append_argv(lease, &err, 2, argv, lengths), HG_OK);
    }
    for (int i = 0; i < ECHOES; i++) {
        redisReply *reply;
        cr_assert_eq(hg_lease_reply(lease, &reply, &err), HG_OK, "%s", err.message);
        cr_assert_eq(reply->len, ECHO_SIZE);
        cr_assert_eq(reply->str[0], 'a' + i % 26);
        cr_assert_eq(reply->str[ECHO_SIZE - 1], 'a' + i % 26);
        freeReplyObject(reply);
    }
    hg_release(lease, HG_OK);
    free(value);
}

/* --- what nobody can hold --- */

static void nest(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_hear(fd, "key\r\n");
    for (int i = 0; i < 400000; i++)
        if (!hostile_say(fd, "*1\r\n"))
            break;
    hostile_listen(fd);
}

Test(hostile, a_reply_nested_without_end_is_serialization)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(nest, "", "30s");
    expect(HG_ERR_SERIALIZATION, &err);
    cr_assert_eq(err.outcome, HG_OUTCOME_EXECUTED);
    cr_assert_not_null(strstr(err.message, "nested"), "%s", err.message);
}

static void nest_three(struct hostile *hostile, int fd)
{
    (void)hostile;
    while (hostile_hear(fd, "key\r\n"))
        hostile_say(fd, "*1\r\n*1\r\n*1\r\n:7\r\n");
}

Test(hostile, the_limit_of_nesting_is_the_settings)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(nest_three, ", \"max_reply_depth\": 2", "30s");
    expect(HG_ERR_SERIALIZATION, &err);
    cr_assert_not_null(strstr(err.message, "max_reply_depth"), "%s", err.message);
    close_pool(pool);
    hostile_stop(server);

    open_with(nest_three, ", \"max_reply_depth\": 3", "30s");
    redisReply *reply;
    cr_assert_eq(hg_command(pool, &reply, &err, "GET key"), HG_OK, "%s", err.message);
    cr_assert_eq(reply->element[0]->element[0]->element[0]->integer, 7);
    freeReplyObject(reply);
}

static void announce_millions(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_hear(fd, "key\r\n");
    hostile_say(fd, "*2147483647\r\n");
    hostile_listen(fd);
}

Test(hostile, elements_are_refused_when_they_are_announced)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(announce_millions, "", "60s");
    expect(HG_ERR_SERIALIZATION, &err);
    cr_assert_not_null(strstr(err.message, "max_reply_bytes"), "%s", err.message);
}

Test(hostile, a_string_without_end_is_refused_while_it_comes)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(flood, ", \"max_reply_bytes\": 1000000", "60s");
    expect(HG_ERR_SERIALIZATION, &err);
}

static void long_string(struct hostile *hostile, int fd)
{
    static char bytes[3000];
    (void)hostile;
    memset(bytes, 'x', sizeof bytes);
    while (hostile_hear(fd, "key\r\n"))
        if (!hostile_say(fd, "$3000\r\n") || !hostile_send(fd, bytes, sizeof bytes) ||
            !hostile_say(fd, "\r\n"))
            break;
}

Test(hostile, the_limit_of_size_is_the_settings)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(long_string, ", \"max_reply_bytes\": 2999", "30s");
    expect(HG_ERR_SERIALIZATION, &err);
    close_pool(pool);
    hostile_stop(server);

    open_with(long_string, ", \"max_reply_bytes\": 3000", "30s");
    for (int i = 0; i < 3; i++) {
        redisReply *reply;
        cr_assert_eq(hg_command(pool, &reply, &err, "GET key"), HG_OK, "%s", err.message);
        cr_assert_eq(reply->len, 3000);
        freeReplyObject(reply);
    }
}

static void speak_http(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_hear(fd, "key\r\n");
    hostile_say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    hostile_listen(fd);
}

Test(hostile, another_protocol_is_protocol)
{
    struct hg_error err = HG_ERROR_INIT;
    open_with(speak_http, "", "30s");
    expect(HG_ERR_PROTOCOL, &err);
    cr_assert_eq(err.severity, HG_SEVERITY_CRITICAL);
}

/* --- it answers something else --- */

static void answer_with_a_number(struct hostile *hostile, int fd)
{
    (void)hostile;
    while (hostile_hear(fd, "PING\r\n"))
        hostile_say(fd, ":1\r\n");
}

static bool a_silent_one_went(void *arg)
{
    (void)arg;
    return atomic_load(&pool->counters.retired[HG_RETIRED_SILENT]) > 0;
}

Test(hostile, what_is_no_answer_to_ping_keeps_no_connection)
{
    server = hostile_start(answer_with_a_number);
    pool = open_pool(hostile_url(server),
                     "{\"server\": {\"proxy\": true}, \"pool\": {\"max_size\": 1, "
                     "\"min_idle\": 1, \"keepalive\": \"50ms\"}}");
    wait_for(a_silent_one_went, NULL, "the keeper closes what answers with something else");
}

/* --- it goes away --- */

static void hang_up(struct hostile *hostile, int fd)
{
    const struct linger reset = { .l_onoff = 1 };
    (void)hostile;
    hostile_hear(fd, "*");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

Test(hostile, one_that_goes_away_raises_no_sigpipe)
{
    const size_t size = 16 << 20;
    char *value = calloc(1, size);
    struct hg_error err = HG_ERROR_INIT;
    open_with(hang_up, "", "10s");
    const char *argv[] = { "SET", "key", value };
    const size_t lengths[] = { 3, 3, size };
    for (int i = 0; i < 10; i++)
        cr_assert_eq(hg_command_argv(pool, NULL, NULL, &err, 3, argv, lengths), HG_ERR_CONNECTION,
                     "%s", err.message);
    free(value);
}
