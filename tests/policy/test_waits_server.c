/* How long a command waits, in every notation, held against what a running server makes of it: it takes
 * what we take and refuses what we say it refuses; and what it takes for 0 waits for ever. */
#include <stdio.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "policy/waits.h"
#include "tests/tools/check.h"
#include "tools/common/private_server.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const seconds[] = { "1",
                                       "0",
                                       "0.0",
                                       "00.5",
                                       "007",
                                       ".5",
                                       "5.",
                                       "+1",
                                       "1e2",
                                       "1E+1",
                                       "25e-2",
                                       "1e-30",
                                       "9e15",
                                       "0x10",
                                       "0X1a",
                                       "0x1.8p1",
                                       "0x1P+2",
                                       "0x10p-4",
                                       "0x.8",
                                       "+0x1",
                                       "0x0",
                                       "-0",
                                       "-0x0",
                                       "-0.0001",
                                       "-1e-9",
                                       "-0.5",
                                       "-1",
                                       "-0x1",
                                       "--1",
                                       "+-1",
                                       "",
                                       " 1",
                                       "1 ",
                                       ".",
                                       "+",
                                       "1e",
                                       "1e+",
                                       "e1",
                                       "0x",
                                       "0x.",
                                       "0x1p",
                                       "0xg",
                                       "1p4",
                                       "0x1e+2",
                                       "1x",
                                       "1_0",
                                       "1,5",
                                       "nan",
                                       "inf",
                                       "infinity",
                                       "1e16",
                                       "1e300",
                                       "1e99999999999999",
                                       "0x1p64",
                                       "x" };

static const char *const milliseconds[] = { "1",
                                            "0",
                                            "5",
                                            "1500",
                                            "9223372036854775808",
                                            "+5",
                                            "05",
                                            "00",
                                            "-0",
                                            "-1",
                                            "1e2",
                                            "1.5",
                                            "0x10",
                                            "",
                                            " 5",
                                            "5 ",
                                            "a",
                                            "1a",
                                            "99999999999999999999" };

static redisContext *server;

static redisReply *ask(const char *format, const char *text)
{
    redisReply *reply = redisCommand(server, format, text);
    CHECK(reply);
    return reply;
}

/* In a transaction the argument is read as always, and nobody waits. */
static bool is_taken(const char *format, const char *text)
{
    freeReplyObject(ask("MULTI", NULL));
    freeReplyObject(ask(format, text));
    redisReply *reply = ask("EXEC", NULL);
    CHECK(reply->type == REDIS_REPLY_ARRAY && reply->elements == 1);
    bool taken = reply->element[0]->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    return taken;
}

static void the_server_takes_what_we_take(void)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < COUNT_OF(seconds); i++) {
        const char *text = seconds[i];
        bool taken = is_taken("BLPOP nolist %s", text);
        if (taken == (hgi_wait_seconds(text, strlen(text)) != 0))
            continue;
        printf("BLPOP nolist '%s': the server %s it\n", text, taken ? "takes" : "refuses");
        wrong++;
    }
    for (size_t i = 0; i < COUNT_OF(milliseconds); i++) {
        const char *text = milliseconds[i];
        bool taken = is_taken("XREAD BLOCK %s STREAMS nostream $", text);
        if (taken == (hgi_wait_milliseconds(text, strlen(text)) != 0))
            continue;
        printf("XREAD BLOCK '%s': the server %s it\n", text, taken ? "takes" : "refuses");
        wrong++;
    }
    CHECK(wrong == 0);
}

/* These come back by themselves, on however busy a machine. */
static void short_waits_end(void)
{
    static const char *const texts[] = { "0.02", "0x0.08", "0x1p-6", "2e-2" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        redisReply *reply = ask("BLPOP nolist %s", texts[i]);
        CHECK(reply->type == REDIS_REPLY_NIL);
        freeReplyObject(reply);
        CHECK(hgi_wait_seconds(texts[i], strlen(texts[i])) > 0);
        CHECK(hgi_wait_seconds(texts[i], strlen(texts[i])) <= INT64_C(40000000));
    }
}

/* The server ends waits in the order of their times, so what was to end sooner has ended when another one
 * that began later ends; what waits for ever then still gets what is pushed. */
static void waits_for_ever_are_told_as_such(struct hgi_private_server *private_server)
{
    static const char *const texts[] = { "0", "-0", "0x0", "0e9", "-0.0001" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        CHECK(hgi_wait_seconds(texts[i], strlen(texts[i])) < 0);
        CHECK(redisAppendCommand(server, "BLPOP nolist %s", texts[i]) == REDIS_OK);
        int done = 0;
        while (!done)
            CHECK(redisBufferWrite(server, &done) == REDIS_OK);
        struct hgi_problem problem;
        redisReply *other =
            hgi_private_server_command(private_server, &problem, "BLPOP another 0.1");
        CHECK(other && other->type == REDIS_REPLY_NIL);
        freeReplyObject(other);
        redisReply *pushed =
            hgi_private_server_command(private_server, &problem, "RPUSH nolist it");
        CHECK(pushed && pushed->type == REDIS_REPLY_INTEGER);
        freeReplyObject(pushed);
        redisReply *reply;
        CHECK(redisGetReply(server, (void **)&reply) == REDIS_OK);
        CHECK(reply->type == REDIS_REPLY_ARRAY && strcmp(reply->element[1]->str, "it") == 0);
        freeReplyObject(reply);
    }
}

int main(void)
{
    struct hgi_private_server *private_server;
    struct hgi_problem problem;
    if (!hgi_private_server_start(&private_server, NULL, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    server = redisConnectUnix(hgi_private_server_socket(private_server));
    CHECK(server && !server->err);
    RUN(the_server_takes_what_we_take);
    RUN(short_waits_end);
    printf("waits_for_ever_are_told_as_such\n");
    waits_for_ever_are_told_as_such(private_server);
    redisFree(server);
    hgi_private_server_free(private_server);
    return 0;
}
