/* Limits of replies: how much of one a server may make us hold. */
#ifndef HERDGATE_POOL_REPLIES_H
#define HERDGATE_POOL_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

/* Of one connection; at one place as long as its reader lives. */
struct hgi_replies {
    const redisReplyObjectFunctions *base; /* hiredis's own */
    size_t max_bytes;
    uint32_t max_depth;
    size_t bytes;  /* what the reply that is being read takes so far */
    bool exceeded; /* it was refused, and `why` says so */
    const char *why;
};

/* True if this hiredis can read RESP3. */
bool hgi_replies_know_resp3(void);

/* True if it is a message that nobody asked for (RESP3). */
bool hgi_reply_is_push(const redisReply *reply);

/* Does it say that the command may not be given here, or is not known? Any other error, as BUSY, is of the
 * moment. */
bool hgi_reply_forbids(const redisReply *reply);

/* Have the reader's replies built within the limits. */
void hgi_replies_limit(struct hgi_replies *replies, redisReader *reader);

/* Take over bytes that the socket gave. False: *replies says that it is too much, or out of memory. */
bool hgi_replies_feed(struct hgi_replies *replies, redisReader *reader, const char *bytes,
                      size_t length);

/* The next reply, if a whole one is there: REDIS_OK with *reply, which may be NULL. Else the reader's
 * error, or *replies says that it is too much. */
int hgi_replies_next(struct hgi_replies *replies, redisReader *reader, redisReply **reply);

#endif
