/* The raw context, lent to a user, who makes hiredis's own calls on it.
 *
 * hiredis 1.x reads and writes through a table of functions in the context. It is exchanged for a copy
 * with our two: so a raw call is sent without SIGPIPE, ends by the clock however bytes drip and signals
 * interrupt, and reads while it writes. The copy lies in the connection, and its address leads back there.
 *
 * What a command is, is seen from below: a write begins one, and the reads that follow belong to it, up
 * to the end of a reply. A read with no reply under way waits for the next one of a pipeline, or for a
 * message, and has its time anew. redisSetTimeout() sets that time, as it would in hiredis.
 * A context that its user makes non-blocking is hiredis's own again, call for call.
 *
 * hiredis 0.14.1 has no such table. There the socket gets its timeouts: each wait of a read or a write ends
 * after that time, so bytes that drip, and signals, begin it anew, and SIGPIPE is the user's affair.
 */
#include "pool/raw.h"

#include <stddef.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/conn.h"

#if HIREDIS_MAJOR >= 1

#include <errno.h>

#include <hiredis/sds.h>

static struct hgi_conn *conn_of(const redisContext *context)
{
    return (struct hgi_conn *)(void *)((char *)(uintptr_t)context->funcs -
                                       offsetof(struct hgi_conn, raw.funcs));
}

static bool is_blocking(const redisContext *context)
{
    return context->flags & REDIS_BLOCK;
}

/* When a command, or a wait for one more reply, is over that begins now. */
static int64_t end_from_now(const redisContext *context, const struct hgi_raw *raw)
{
    const struct timeval *own = context->command_timeout;
    int64_t timeout_ns = raw->timeout_ns;
    if (own)
        timeout_ns = own->tv_sec * HGI_NS_PER_S + own->tv_usec * HGI_NS_PER_US;
    if (own && timeout_ns == 0) /* which is what 0 means to a socket */
        timeout_ns = -1;
    int64_t end_ns = hgi_deadline_after(hgi_now_ns(), timeout_ns);
    return end_ns < raw->limit_ns ? end_ns : raw->limit_ns;
}

/* Say it as hiredis does. Always -1. */
static ssize_t fail(redisContext *context, const struct hgi_io *io)
{
    const char *text = io->text;
    int error = io->sys_errno;
    switch (io->kind) {
    case HGI_IO_TIMEOUT:
        context->err = REDIS_ERR_TIMEOUT;
        text = "no time is left for it";
        break;
    case HGI_IO_CLOSED:
        context->err = REDIS_ERR_EOF;
        text = "Server closed the connection";
        break;
    case HGI_IO_MEMORY:
        context->err = REDIS_ERR_OOM;
        text = "Out of memory";
        break;
    case HGI_IO_LIMIT:
        context->err = REDIS_ERR_OTHER;
        break;
    default:
        context->err = REDIS_ERR_IO;
        text = strerrordesc_np(error);
        break;
    }
    hgi_copy_text(context->errstr, sizeof context->errstr, text ? text : "unknown error");
    errno = error;
    return -1;
}

static ssize_t write_all(redisContext *context)
{
    struct hgi_conn *conn = conn_of(context);
    if (!is_blocking(context))
        return conn->raw.base->write(context);
    const size_t length = sdslen(context->obuf);
    conn->raw.end_ns = end_from_now(context, &conn->raw);
    conn->raw.awaits = true;
    struct hgi_span span = { .end_ns = conn->raw.end_ns };
    struct hgi_io io = hgi_conn_send(conn, context->obuf, length, &span);
    return io.kind == HGI_IO_OK ? (ssize_t)length : fail(context, &io);
}

/* Nothing of the next reply has come. hiredis may have looked for it, and begun with nothing. */
static bool is_at_rest(const redisReader *reader)
{
    return reader->pos == reader->len &&
           (reader->ridx == -1 || (reader->ridx == 0 && reader->task[0]->type == -1));
}

static ssize_t read_some(redisContext *context, char *bytes, size_t size)
{
    struct hgi_conn *conn = conn_of(context);
    if (!is_blocking(context))
        return conn->raw.base->read(context, bytes, size);
    struct hgi_io io = { .kind = HGI_IO_TIMEOUT, .sys_errno = ETIMEDOUT };
    if (is_at_rest(context->reader)) {
        if (!conn->raw.awaits)
            conn->raw.end_ns = end_from_now(context, &conn->raw);
    } else if (hgi_now_ns() >= conn->raw.end_ns) { /* one that never stops talking */
        conn->broken = true;
        return fail(context, &io);
    }
    conn->raw.awaits = false;
    size_t length = 0;
    io = hgi_conn_read(conn, bytes, size, conn->raw.end_ns, &length);
    return io.kind == HGI_IO_OK ? (ssize_t)length : fail(context, &io);
}

void hgi_raw_lend(struct hgi_conn *conn, int64_t timeout_ns, int64_t limit_ns)
{
    struct hgi_raw *raw = &conn->raw;
    if (raw->base)
        return;
    redisContext *context = conn->context;
    raw->timeout_ns = timeout_ns;
    raw->limit_ns = limit_ns;
    raw->base = context->funcs;
    raw->funcs = *raw->base;
    raw->funcs.read = read_some;
    raw->funcs.write = write_all;
    context->funcs = &raw->funcs;
}

#else

void hgi_raw_lend(struct hgi_conn *conn, int64_t timeout_ns, int64_t limit_ns)
{
    if (conn->raw.lent)
        return;
    conn->raw.lent = true;
    int64_t left_ns = limit_ns < HGI_NEVER ? limit_ns - hgi_now_ns() : -1;
    if (left_ns >= 0 && (timeout_ns < 0 || left_ns < timeout_ns))
        timeout_ns = left_ns;
    int64_t shortest_ns =
        timeout_ns < HGI_NS_PER_MS ? HGI_NS_PER_MS : timeout_ns; /* 0 would be none */
    struct timeval each = { .tv_sec = 0 };
    if (timeout_ns >= 0) {
        each.tv_sec = (time_t)(shortest_ns / HGI_NS_PER_S);
        each.tv_usec = (suseconds_t)(shortest_ns % HGI_NS_PER_S / HGI_NS_PER_US);
    }
    /* Without it, a wait ends after the time that the socket was given when it was made. */
    (void)redisSetTimeout(conn->context, each);
}

#endif
