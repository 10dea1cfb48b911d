/* Limits of replies, and what differs of them between hiredis 0.14.1 and 1.x (with RESP3; raw.c and tls.c
 * have the rest).
 *
 * The limits are kept by standing between hiredis's reader and its functions that build them.
 *
 * A server, or who pretends to be one, may announce two thousand million elements, or nest arrays so
 * deeply that freeing them overflows the stack (hiredis 1.x sets no limit; 0.14.1 has seven levels and
 * an error of its own for more). So each object is counted before it is made: strings by their bytes,
 * an array's elements by what they take at least, all at once, before a byte of them has come. A string
 * that is still coming is counted by the bytes that wait for its end.
 *
 * A function that returns NULL makes the reader stop for good with "out of memory"; `exceeded` tells
 * this from the real thing.
 */
#include "pool/replies.h"

#include <string.h>

#include "policy/classify.h"

enum { WAITING_MARGIN = 64 * 1024 }; /* replies of a pipeline may wait behind the one being read */

static struct hgi_replies *replies_of(const redisReadTask *task)
{
    return task->privdata;
}

static bool refuse(struct hgi_replies *replies, const char *why)
{
    replies->exceeded = true;
    replies->why = why;
    return false;
}

static bool count(const redisReadTask *task, size_t bytes)
{
    struct hgi_replies *replies = replies_of(task);
    if (!task->parent) /* a reply begins */
        replies->bytes = 0;
    if (bytes > replies->max_bytes - replies->bytes)
        return refuse(replies, "the reply is larger than server.max_reply_bytes");
    replies->bytes += bytes;
    return true;
}

static bool count_elements(const redisReadTask *task, size_t elements)
{
    const size_t each = sizeof(redisReply) + sizeof(redisReply *);
    uint32_t depth = 1;
    for (const redisReadTask *parent = task->parent; parent; parent = parent->parent)
        depth++;
    if (depth > replies_of(task)->max_depth)
        return refuse(replies_of(task),
                      "the reply is nested more deeply than server.max_reply_depth");
    return count(task, elements > SIZE_MAX / each ? SIZE_MAX : elements * each);
}

static void *create_string(const redisReadTask *task, char *bytes, size_t length)
{
    return count(task, length) ? replies_of(task)->base->createString(task, bytes, length) : NULL;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    return replies_of(task)->base->createInteger(task, value);
}

static void *create_nil(const redisReadTask *task)
{
    return replies_of(task)->base->createNil(task);
}

#if HIREDIS_MAJOR >= 1

static void *create_array(const redisReadTask *task, size_t elements)
{
    return count_elements(task, elements) ? replies_of(task)->base->createArray(task, elements)
                                          : NULL;
}

static void *create_double(const redisReadTask *task, double value, char *text, size_t length)
{
    return count(task, length) ? replies_of(task)->base->createDouble(task, value, text, length)
                               : NULL;
}

static void *create_bool(const redisReadTask *task, int value)
{
    return replies_of(task)->base->createBool(task, value);
}

#else

static void *create_array(const redisReadTask *task, int elements)
{
    return elements < 0 || count_elements(task, (size_t)elements)
               ? replies_of(task)->base->createArray(task, elements)
               : NULL;
}

#endif

static redisReplyObjectFunctions counting = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .freeObject = freeReplyObject,
};

bool hgi_replies_know_resp3(void)
{
    return HIREDIS_MAJOR >= 1;
}

bool hgi_reply_is_push(const redisReply *reply)
{
#if HIREDIS_MAJOR >= 1
    return reply->type == REDIS_REPLY_PUSH;
#else
    (void)reply;
    return false;
#endif
}

bool hgi_reply_forbids(const redisReply *reply)
{
    char code[HGI_NAME_SIZE];
    if (reply->type != REDIS_REPLY_ERROR)
        return false;
    hgi_server_error_code(reply->str, reply->len, code);
    return strcmp(code, "NOPERM") == 0 || strcmp(code, "ERR") == 0;
}

void hgi_replies_limit(struct hgi_replies *replies, redisReader *reader)
{
    replies->base = reader->fn;
    reader->fn = &counting;
    reader->privdata = replies;
}

bool hgi_replies_feed(struct hgi_replies *replies, redisReader *reader, const char *bytes,
                      size_t length)
{
    size_t waiting = reader->len - reader->pos;
    if (waiting > replies->max_bytes && waiting - replies->max_bytes > WAITING_MARGIN)
        return refuse(replies, "more bytes came than server.max_reply_bytes allows");
    return redisReaderFeed(reader, bytes, length) == REDIS_OK;
}

/* hiredis 0.14.1 has a limit of its own. */
static bool is_hiredis_limit(const redisReader *reader)
{
    static const char begins[] = "No support for nested multi bulk replies";
    return strncmp(reader->errstr, begins, sizeof begins - 1) == 0;
}

int hgi_replies_next(struct hgi_replies *replies, redisReader *reader, redisReply **reply)
{
    void *parsed = NULL;
    int result = redisReaderGetReply(reader, &parsed);
    *reply = parsed;
    if (result != REDIS_OK && !replies->exceeded && is_hiredis_limit(reader))
        refuse(replies, "the reply is nested more deeply than hiredis 0.14.1 can read, 7 levels");
    return result;
}
