/* hiredis's own calls on the context of a lease: with hiredis 1.x they keep a deadline and raise no
 * SIGPIPE, as ours do; with 0.14.1 each wait ends in time. Limits of time here only tell an end from none,
 * but for the one that a slow answer has to keep. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "breaker/clock.h"
#include "tests/pool/hostile.h"
#include "tests/pool/support.h"

static struct hgi_private_server *server;
static struct hostile *hostile;
static hg_pool *pool;
static hg_lease *lease;

static void tear_down(void)
{
    hg_release(lease, HG_OK);
    close_pool(pool);
    if (hostile)
        hostile_stop(hostile);
    hgi_private_server_free(server);
}

TestSuite(raw, .fini = tear_down, .timeout = 120);

/* The context of a lease whose class allows `attempt_timeout`, on a server that behaves so; NULL: well. */
static redisContext *lend_within(hostile_fn behaviour, const char *attempt_timeout,
                                 unsigned max_reply_bytes)
{
    struct hg_error err = HG_ERROR_INIT;
    char json[400];
    signal(SIGPIPE, SIG_DFL); /* one that reached us would end the test */
    snprintf(json, sizeof json,
             "{\"server\": {\"proxy\": true, \"max_reply_bytes\": %u},"
             " \"breaker\": {\"enabled\": false}, \"pool\": {\"max_size\": 1}, \"classes\": {"
             "\"read\": {\"attempt_timeout\": \"100ms\", \"deadline\": \"60s\"},"
             "\"write_once\": {\"attempt_timeout\": \"%s\", \"deadline\": \"60s\"}}}",
             max_reply_bytes, attempt_timeout);
    if (behaviour)
        hostile = hostile_start(behaviour);
    else
        server = start_server();
    pool = open_pool(hostile ? hostile_url(hostile) : hgi_private_server_url(server), json);
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    redisContext *context = hg_lease_context(lease);
    cr_assert_not_null(context);
    cr_assert_eq(hg_lease_context(lease), context);
    return context;
}

static redisContext *lend(hostile_fn behaviour, const char *attempt_timeout)
{
    return lend_within(behaviour, attempt_timeout, 64 << 20);
}

static void expect_reply(redisContext *context, int type)
{
    redisReply *reply = NULL;
    cr_assert_eq(redisGetReply(context, (void **)&reply), REDIS_OK, "%s", context->errstr);
    cr_assert_eq(reply->type, type);
    freeReplyObject(reply);
}

static void be_silent(struct hostile *self, int fd)
{
    (void)self;
    hostile_listen(fd);
}

Test(raw, commands_and_pipelines_work)
{
    redisContext *context = lend(NULL, "60s");
    redisReply *reply = redisCommand(context, "ECHO %s", "here");
    cr_assert_not_null(reply, "%s", context->errstr);
    cr_assert_str_eq(reply->str, "here");
    freeReplyObject(reply);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(redisAppendCommand(context, "INCR k"), REDIS_OK);
    for (int i = 0; i < 100; i++)
        expect_reply(context, REDIS_REPLY_INTEGER);
}

Test(raw, a_command_may_take_as_long_as_the_class_of_the_lease_says)
{
    redisContext *context = lend(NULL, "60s");
    cr_assert_eq(redisAppendCommand(context, "BLPOP nothing 0.3"), REDIS_OK); /* read: 100 ms */
    expect_reply(context, REDIS_REPLY_NIL);
}

Test(raw, a_server_that_says_nothing_is_not_awaited_for_ever)
{
    redisContext *context = lend(be_silent, "200ms");
    cr_assert_null(redisCommand(context, "GET key"));
    cr_assert_neq(context->err, 0);
}

Test(raw, the_limit_of_a_reply_is_that_of_each_one)
{
    redisContext *context = lend_within(NULL, "60s", 1000000);
    static const char fill[] = "SETRANGE k 299999 x";
    cr_assert_eq(redisAppendCommand(context, fill), REDIS_OK);
    expect_reply(context, REDIS_REPLY_INTEGER);
    for (int i = 0; i < 10; i++) { /* together three times the limit */
        cr_assert_eq(redisAppendCommand(context, "GET k"), REDIS_OK);
        expect_reply(context, REDIS_REPLY_STRING);
    }
}

#if HIREDIS_MAJOR >= 1

static void expect_timeout(redisContext *context)
{
    int64_t began_ns = hgi_now_ns();
    cr_assert_null(redisCommand(context, "GET key"));
    cr_assert_eq(context->err, REDIS_ERR_TIMEOUT, "%s", context->errstr);
    cr_assert_lt(hgi_now_ns() - began_ns, 30 * HGI_NS_PER_S);
}

static void drip(struct hostile *self, int fd)
{
    (void)self;
    hostile_hear(fd, "key\r\n");
    for (bool there = hostile_say(fd, "$100000\r\n"); there; there = hostile_say(fd, "x"))
        sleep_ms(5);
}

Test(raw, bytes_that_drip_do_not_stretch_a_deadline)
{
    expect_timeout(lend(drip, "200ms"));
}

/* Many elements, whose end is not in sight: there is always something to read. */
static void flood(struct hostile *self, int fd)
{
    static char nils[5 * 13000];
    (void)self;
    for (size_t i = 0; i < sizeof nils; i++)
        nils[i] = "$-1\r\n"[i % 5];
    hostile_hear(fd, "key\r\n");
    for (bool there = hostile_say(fd, "*5000000\r\n"); there;)
        there = hostile_send(fd, nils, sizeof nils);
}

Test(raw, a_server_that_never_stops_talking_does_not_stretch_it)
{
    expect_timeout(lend_within(flood, "20ms", 512U << 20));
}

static void ignore_signal(int number)
{
    (void)number;
}

Test(raw, signals_do_not_stretch_it)
{
    const struct sigaction action = { .sa_handler = ignore_signal };
    const struct itimerval often = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
    const struct itimerval never = { .it_value.tv_usec = 0 };
    redisContext *context = lend(be_silent, "300ms");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    expect_timeout(context);
    setitimer(ITIMER_REAL, &never, NULL);
}

static void slow_answers(struct hostile *self, int fd)
{
    (void)self;
    hostile_hear(fd, "three\r\n");
    for (int i = 0; i < 4; i++) {
        sleep_ms(1300);
        hostile_say(fd, "+OK\r\n");
    }
    hostile_listen(fd);
}

Test(raw, each_reply_of_a_pipeline_has_its_time)
{
    redisContext *context = lend(slow_answers, "5s"); /* all four take longer */
    for (int i = 0; i < 3; i++)
        cr_assert_eq(redisAppendCommand(context, "GET key"), REDIS_OK);
    cr_assert_eq(redisAppendCommand(context, "GET three"), REDIS_OK);
    for (int i = 0; i < 4; i++)
        expect_reply(context, REDIS_REPLY_STATUS);
}

Test(raw, a_timeout_that_its_user_sets_is_kept)
{
    redisContext *context = lend(be_silent, "100s");
    cr_assert_eq(redisSetTimeout(context, (struct timeval) { .tv_usec = 200000 }), REDIS_OK);
    expect_timeout(context);
}

Test(raw, a_longer_timeout_that_its_user_sets_is_kept_too)
{
    redisContext *context = lend(NULL, "100ms");
    static const struct timeval longer[] = { { .tv_sec = 60 }, { .tv_sec = 0 } /* none */ };
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(redisSetTimeout(context, longer[i]), REDIS_OK);
        cr_assert_eq(redisAppendCommand(context, "BLPOP nothing 0.3"), REDIS_OK);
        expect_reply(context, REDIS_REPLY_NIL);
    }
}

static hg_status wait_long(hg_lease *inner, void *arg, struct hg_attempt *attempt)
{
    redisContext *context = hg_lease_context(inner);
    (void)arg;
    (void)attempt;
    cr_assert_eq(redisSetTimeout(context, (struct timeval) { .tv_sec = 100 }), REDIS_OK);
    expect_timeout(context);
    return HG_ERR_TIMEOUT;
}

Test(raw, nothing_outlasts_the_attempt_of_a_call)
{
    struct hg_error err = HG_ERROR_INIT;
    lend(be_silent, "200ms");
    hg_release(lease, HG_OK);
    lease = NULL;
    cr_assert_eq(hg_call(pool, NULL, wait_long, NULL, &err), HG_ERR_TIMEOUT, "%s", err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_UNKNOWN);
}

static void leave(struct hostile *self, int fd)
{
    (void)self;
    hostile_hear(fd, "bye\r\n");
}

Test(raw, a_server_that_has_gone_raises_no_signal)
{
    const size_t size = 16 << 20;
    char *value = calloc(1, size);
    redisContext *context = lend(leave, "20s");
    struct pollfd end = { .fd = context->fd, .events = POLLRDHUP };
    int done = 0;
    cr_assert_eq(redisAppendCommand(context, "ECHO bye"), REDIS_OK);
    cr_assert_eq(redisBufferWrite(context, &done), REDIS_OK, "%s", context->errstr);
    cr_assert_eq(poll(&end, 1, 20000), 1);
    cr_assert_null(redisCommand(context, "SET key %b", value, size));
    cr_assert_neq(context->err, 0);
    free(value);
}

Test(raw, a_pipeline_is_sent_while_its_replies_are_read)
{
    enum { ECHOES = 64 };
    char *value = malloc(HOSTILE_ECHO_SIZE);
    redisContext *context = lend(hostile_echo, "60s");
    memset(value, 'e', HOSTILE_ECHO_SIZE);
    for (int i = 0; i < ECHOES; i++)
        cr_assert_eq(redisAppendCommand(context, "ECHO %b", value, (size_t)HOSTILE_ECHO_SIZE),
                     REDIS_OK);
    for (int i = 0; i < ECHOES; i++)
        expect_reply(context, REDIS_REPLY_STRING);
    free(value);
}

Test(raw, one_that_its_user_makes_non_blocking_does_not_wait)
{
    redisContext *context = lend(be_silent, "100s");
    int flags = fcntl(context->fd, F_GETFL);
    cr_assert_eq(fcntl(context->fd, F_SETFL, flags | O_NONBLOCK), 0);
    context->flags &= ~REDIS_BLOCK;
    int64_t began_ns = hgi_now_ns();
    int done = 0;
    cr_assert_eq(redisAppendCommand(context, "GET key"), REDIS_OK);
    while (!done)
        cr_assert_eq(redisBufferWrite(context, &done), REDIS_OK, "%s", context->errstr);
    cr_assert_eq(redisBufferRead(context), REDIS_OK, "%s", context->errstr);
    cr_assert_lt(hgi_now_ns() - began_ns, 30 * HGI_NS_PER_S);
}

#endif
