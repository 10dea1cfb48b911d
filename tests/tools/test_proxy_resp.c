/* Where replies end, in bytes that come in any pieces; hiredis' reader is the measure for RESP2. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/random.h"
#include "tools/stress/proxy_resp.h"

/* One reply each, or one push where it begins with '>'. */
static const char *const replies[] = {
    "+OK\r\n",
    "+\r\n",
    "-ERR no\r\n",
    ":-12\r\n",
    "$0\r\n\r\n",
    "$5\r\nhello\r\n",
    "$4\r\n\r\n\r\n\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n",
    "*3\r\n*1\r\n*1\r\n*-1\r\n$-1\r\n+a\r\n",
    "_\r\n",
    "#t\r\n",
    ",3.25\r\n",
    "(123456789012345678901234567890\r\n",
    "=7\r\ntxt:abc\r\n",
    "!3\r\nERR\r\n",
    "~2\r\n:1\r\n:2\r\n",
    "%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n+c\r\n_\r\n",
    "%0\r\n",
    "|1\r\n+ttl\r\n:5\r\n$1\r\nx\r\n",
    "|0\r\n+x\r\n",
    "*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:7\r\n:8\r\n",
    ">2\r\n+message\r\n$3\r\na\r\n\r\n",
    "+a\rb\r\n",
};
enum { REPLIES = sizeof replies / sizeof replies[0] };

/* The reply's bytes, cut at `cut`: it ends with its last byte and not before. */
static void ends_with_its_last_byte(const char *text, size_t cut, struct hgi_resp *resp)
{
    enum hgi_resp_event event = HGI_RESP_MORE;
    size_t length = strlen(text);
    if (cut > 0) {
        cr_assert_eq(hgi_resp_scan(resp, text, cut, &event), cut);
        cr_assert_eq(event, HGI_RESP_MORE, "%s, cut at %zu", text, cut);
    }
    cr_assert_eq(hgi_resp_scan(resp, text + cut, length - cut, &event), length - cut);
    cr_assert_eq(event, text[0] == '>' ? HGI_RESP_PUSH : HGI_RESP_REPLY, "%s, cut at %zu", text,
                 cut);
}

Test(proxy_resp, every_type_ends_with_its_last_byte_wherever_it_is_cut)
{
    struct hgi_resp resp = { 0 };
    for (size_t i = 0; i < REPLIES; i++)
        for (size_t cut = 0; cut < strlen(replies[i]); cut++)
            ends_with_its_last_byte(replies[i], cut, &resp);
}

Test(proxy_resp, a_run_of_replies_is_told_apart_in_one_piece_and_byte_by_byte)
{
    char all[2048] = "";
    for (size_t i = 0; i < REPLIES; i++)
        strcat(all, replies[i]);
    for (size_t piece = 1; piece <= strlen(all); piece++) {
        struct hgi_resp resp = { 0 };
        size_t ended = 0;
        size_t end = 0;
        size_t at = 0;
        while (at < strlen(all)) {
            enum hgi_resp_event event;
            size_t length = strlen(all) - at < piece ? strlen(all) - at : piece;
            size_t used = hgi_resp_scan(&resp, all + at, length, &event);
            cr_assert(used > 0 && used <= length);
            at += used;
            if (event == HGI_RESP_MORE)
                continue;
            end += strlen(replies[ended]);
            cr_assert_eq(at, end, "reply %zu in pieces of %zu", ended, piece);
            cr_assert_eq(event, replies[ended][0] == '>' ? HGI_RESP_PUSH : HGI_RESP_REPLY);
            ended++;
        }
        cr_assert_eq(ended, REPLIES);
    }
}

static void lost(const char *text)
{
    struct hgi_resp resp = { 0 };
    enum hgi_resp_event event;
    cr_assert_eq(hgi_resp_scan(&resp, text, strlen(text), &event), strlen(text));
    cr_assert_eq(event, HGI_RESP_LOST, "%s", text);
    cr_assert_eq(hgi_resp_scan(&resp, "+OK\r\n", 5, &event), 5);
    cr_assert_eq(event, HGI_RESP_LOST, "%s is not forgotten", text);
}

Test(proxy_resp, what_is_not_resp_is_lost_for_good)
{
    static const char *const wrong[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "\r\n",
        "\x15\x03\x01",
        "$abc\r\n",
        "$\r\n",
        "$-\r\n",
        "$3\n",
        "$1-\r\n",
        "$--1\r\n",
        "$3\rx",
        "$?\r\n;1\r\na\r\n",
        "*?\r\n",
        "*1\r\nx",
        "*99999999999999999999\r\n",
        "$9999999999999999999\r\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        lost(wrong[i]);
    struct hgi_resp resp = { 0 };
    enum hgi_resp_event event;
    hgi_resp_scan(&resp, "", 1, &event);
    cr_assert_eq(event, HGI_RESP_LOST, "a null byte is no type");
}

Test(proxy_resp, depth_is_bounded)
{
    char text[4 * HGI_RESP_DEPTH + 16] = "";
    char deeper[sizeof text + 4];
    for (int i = 0; i < HGI_RESP_DEPTH; i++)
        strcat(text, "*1\r\n");
    strcat(text, ":1\r\n");
    struct hgi_resp resp = { 0 };
    ends_with_its_last_byte(text, 0, &resp);
    snprintf(deeper, sizeof deeper, "*1\r\n%s", text);
    lost(deeper);
}

Test(proxy_resp, a_value_of_any_size_needs_no_memory)
{
    static const char zeros[1 << 16];
    struct hgi_resp resp = { 0 };
    enum hgi_resp_event event;
    char head[32];
    int length = snprintf(head, sizeof head, "$%lu\r\n", 64LU * sizeof zeros - 2);
    hgi_resp_scan(&resp, head, (size_t)length, &event);
    for (int i = 0; i < 64; i++) {
        cr_assert_eq(event, HGI_RESP_MORE);
        cr_assert_eq(hgi_resp_scan(&resp, zeros, sizeof zeros, &event), sizeof zeros);
    }
    cr_assert_eq(event, HGI_RESP_REPLY);
}

Test(proxy_resp, requests_are_counted_inline_ones_too)
{
    static const char text[] = "*1\r\n$4\r\nPING\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\n\n\r\nGET k\n";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct hgi_resp resp = { .requests = true };
        size_t requests = 0;
        for (size_t at = 0; at < sizeof text - 1;) {
            enum hgi_resp_event event;
            size_t left = sizeof text - 1 - at;
            at += hgi_resp_scan(&resp, text + at, left < piece ? left : piece, &event);
            requests += event == HGI_RESP_REPLY;
        }
        cr_assert_eq(requests, 4, "in pieces of %zu", piece);
    }
}

/* Append a random RESP2 value, nested at most `depth` more levels. */
static char *draw_value(char *at, uint64_t *random, int depth)
{
    static const char bytes[] = "ab\r\n$*+:1";
    uint32_t length = random_below(random, 20);
    switch (random_below(random, depth > 0 ? 7 : 5)) {
    case 0:
        return at + sprintf(at, "+s%u\r\n", length);
    case 1:
        return at + sprintf(at, "-ERR %u\r\n", length);
    case 2:
        return at + sprintf(at, ":-%u\r\n", length + 1);
    case 3:
        return at + sprintf(at, "%s", length % 2 ? "$-1\r\n" : "*-1\r\n");
    case 4:
        at += sprintf(at, "$%u\r\n", length);
        for (uint32_t i = 0; i < length; i++)
            *at++ = bytes[random_below(random, sizeof bytes - 1)];
        return at + sprintf(at, "\r\n");
    default:
        length %= 4;
        at += sprintf(at, "*%u\r\n", length);
        for (uint32_t i = 0; i < length; i++)
            at = draw_value(at, random, depth - 1);
        return at;
    }
}

Test(proxy_resp, it_sees_the_boundaries_that_hiredis_sees)
{
    static char text[1 << 16];
    uint64_t random = 7;
    for (int round = 0; round < 3000; round++) {
        char *end = text;
        for (uint32_t i = 0; i <= random_below(&random, 4); i++)
            end = draw_value(end, &random, 5);
        redisReader *reader = redisReaderCreate();
        struct hgi_resp resp = { 0 };
        for (const char *at = text; at < end;) {
            enum hgi_resp_event event;
            size_t left = (size_t)(end - at);
            size_t used =
                hgi_resp_scan(&resp, at, 1 + random_below(&random, (uint32_t)left), &event);
            void *reply = NULL;
            redisReaderFeed(reader, at, used);
            cr_assert_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
            cr_assert_eq(reply != NULL, event == HGI_RESP_REPLY, "round %d", round);
            freeReplyObject(reply);
            at += used;
        }
        redisReaderFree(reader);
    }
}
