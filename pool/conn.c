/* Bytes through one connection, under one absolute deadline.
 *
 * Sending: send(MSG_NOSIGNAL | MSG_DONTWAIT); only when the socket is full, ppoll for both directions.
 * Receiving: if at least the socket's receive timeout is left, one blocking recv, which is the whole
 * cost in the normal case; otherwise, and after a timeout or an interruption, ppoll with what is left.
 * So a command costs two system calls, and neither dripping bytes nor signals stretch the deadline.
 *
 * Invariant: after anything but success the connection is marked broken and is never used again.
 */
#include "pool/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "pool/cancel.h"

enum { RECEIVE_SIZE = 16 * 1024 };

struct hgi_conn *hgi_conn_wrap(int fd, const struct hgi_settings *settings, int64_t slice_ns)
{
    struct hgi_conn *conn = calloc(1, sizeof *conn);
    redisContext *context = conn ? redisConnectFd(fd) : NULL;
    if (!context || context->err) {
        if (context)
            redisFree(context); /* closes fd */
        else
            close(fd);
        free(conn);
        return NULL;
    }
    conn->context = context;
    conn->replies.max_bytes = settings->max_reply_bytes;
    conn->replies.max_depth = settings->max_reply_depth;
    hgi_replies_limit(&conn->replies, context->reader);
    conn->slice_ns = slice_ns;
    struct timeval slice = { .tv_sec = (time_t)(slice_ns / HGI_NS_PER_S),
                             .tv_usec = (suseconds_t)(slice_ns % HGI_NS_PER_S / HGI_NS_PER_US) };
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice) != 0)
        conn->slice_ns = HGI_NEVER; /* never block in recv: ppoll does it */
    return conn;
}

void hgi_conn_close(struct hgi_conn *conn)
{
    if (!conn)
        return;
    int cancel = hgi_cancel_off(); /* close() is a cancellation point */
    hgi_descriptors_lock();
    hgi_descriptor_note_down(conn->descriptor, -1);
    redisFree(conn->context);
    hgi_descriptors_unlock();
    hgi_tls_free(conn->tls);
    hgi_cancel_restore(cancel);
    free(conn->out);
    free(conn);
}

static struct hgi_io failed(struct hgi_conn *conn, enum hgi_io_kind kind, int sys_errno,
                            size_t sent)
{
    conn->broken = true;
    return (struct hgi_io) { .kind = kind, .sys_errno = sys_errno, .sent = sent };
}

/* As send() and recv(), through TLS if there is one. */
static ssize_t put(struct hgi_conn *conn, const char *bytes, size_t length, short *wants)
{
    if (conn->tls)
        return hgi_tls_send(conn->tls, bytes, length, wants);
    *wants = POLLOUT;
    return send(conn->context->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t get(struct hgi_conn *conn, char *bytes, size_t size, bool may_block, short *wants)
{
    if (conn->tls)
        return hgi_tls_receive(conn->tls, bytes, size, may_block, wants);
    *wants = POLLIN;
    return recv(conn->context->fd, bytes, size, may_block ? 0 : MSG_DONTWAIT);
}

/* Wait for one of `events`. 1: something is there; 0: the deadline; -1: errno. */
static int wait_for(int fd, short events, int64_t deadline_ns, short *got)
{
    for (;;) {
        int64_t left_ns = deadline_ns - hgi_now_ns();
        struct timespec left = hgi_timespec(left_ns > 0 ? left_ns : 0);
        struct pollfd entry = { .fd = fd, .events = events };
        int ready = ppoll(&entry, 1, deadline_ns >= HGI_NEVER ? NULL : &left, NULL);
        if (ready > 0 && got)
            *got = entry.revents;
        if (ready != 0 && !(ready < 0 && errno == EINTR))
            return ready;
        if (left_ns <= 0)
            return 0;
    }
}

/* A reply that cannot be held, or no memory for one. */
static struct hgi_io too_much(struct hgi_conn *conn, size_t sent)
{
    if (!conn->replies.exceeded)
        return failed(conn, HGI_IO_MEMORY, ENOMEM, sent);
    struct hgi_io io = failed(conn, HGI_IO_LIMIT, 0, sent);
    io.text = conn->replies.why;
    return io;
}

/* Take what recv gave to the reader. */
static bool feed(struct hgi_conn *conn, const char *bytes, ssize_t length)
{
    return hgi_replies_feed(&conn->replies, conn->context->reader, bytes, (size_t)length);
}

/* While the socket does not take our bytes: wait, and read what the server has to say. */
static struct hgi_io make_room(struct hgi_conn *conn, short wants, int64_t deadline_ns, size_t sent)
{
    short got = 0;
    int ready = wait_for(conn->context->fd, (short)(POLLIN | wants), deadline_ns, &got);
    if (ready == 0)
        return failed(conn, HGI_IO_TIMEOUT, ETIMEDOUT, sent);
    if (ready < 0)
        return failed(conn, HGI_IO_ERROR, errno, sent);
    if (got & POLLIN) {
        char bytes[RECEIVE_SIZE];
        ssize_t length = get(conn, bytes, sizeof bytes, false, &wants);
        if (length == 0)
            return failed(conn, HGI_IO_CLOSED, 0, sent);
        if (length < 0 && errno != EAGAIN && errno != EINTR)
            return failed(conn, HGI_IO_ERROR, errno, sent);
        if (length > 0 && !feed(conn, bytes, length))
            return too_much(conn, sent);
    }
    if (hgi_now_ns() >= deadline_ns) /* one that never stops talking, or takes little by little */
        return failed(conn, HGI_IO_TIMEOUT, ETIMEDOUT, sent);
    return (struct hgi_io) { .kind = HGI_IO_OK, .sent = sent };
}

struct hgi_io hgi_conn_send(struct hgi_conn *conn, const char *bytes, size_t length,
                            struct hgi_span *span)
{
    size_t sent = 0;
    for (bool first = true; sent < length; first = false) {
        if (!first)
            span->now_ns = 0; /* it waited, or there is much to send */
        short wants;
        ssize_t taken = put(conn, bytes + sent, length - sent, &wants);
        /* What TLS has put into a record may be on its way, also if the rest never follows. */
        size_t left = sent + (conn->tls && taken < 0 ? hgi_tls_taken(conn->tls) : 0);
        if (taken >= 0) {
            sent += (size_t)taken;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct hgi_io io = make_room(conn, wants, span->end_ns, left);
            if (io.kind != HGI_IO_OK)
                return io;
        } else if (errno != EINTR) {
            return failed(conn, HGI_IO_ERROR, errno, left);
        }
    }
    return (struct hgi_io) { .kind = HGI_IO_OK, .sent = sent };
}

/* One reply out of the reader, if a whole one is there; a message that nobody waits for (RESP3) is none.
 */
static struct hgi_io parse(struct hgi_conn *conn, redisReply **reply)
{
    redisReader *reader = conn->context->reader;
    do {
        if (hgi_replies_next(&conn->replies, reader, reply) != REDIS_OK) {
            if (conn->replies.exceeded)
                return too_much(conn, 0);
            struct hgi_io io =
                failed(conn, reader->err == REDIS_ERR_OOM ? HGI_IO_MEMORY : HGI_IO_PROTOCOL, 0, 0);
            io.hiredis_err = reader->err;
            io.text = reader->errstr;
            return io;
        }
        if (!*reply || conn->takes_push || !hgi_reply_is_push(*reply))
            break;
        freeReplyObject(*reply);
        *reply = NULL;
    } while (reader->pos < reader->len);
    return (struct hgi_io) { .kind = HGI_IO_OK };
}

struct hgi_io hgi_conn_receive(struct hgi_conn *conn, redisReply **reply, struct hgi_span *span)
{
    const bool is_dry = !conn->tls; /* all that came is in the socket; TLS may hold some */
    bool may_block = !conn->is_raw; /* its user may have set another receive timeout */
    bool dry = is_dry;
    short wants = POLLIN;
    *reply = NULL;
    for (bool first = true;; first = false) {
        if (conn->context->reader->pos < conn->context->reader->len) {
            struct hgi_io io = parse(conn, reply);
            if (io.kind != HGI_IO_OK || *reply)
                return io;
        }
        const int64_t left_ns = span->end_ns - hgi_span_now(span);
        if (!first && left_ns <= 0) /* one that never stops talking, as above */
            return failed(conn, HGI_IO_TIMEOUT, ETIMEDOUT, 0);
        span->now_ns = 0; /* from here on it may wait */
        char bytes[RECEIVE_SIZE];
        bool block = may_block && left_ns >= conn->slice_ns;
        if (!block && dry) {
            int ready = wait_for(conn->context->fd, wants, span->end_ns, NULL);
            if (ready == 0)
                return failed(conn, HGI_IO_TIMEOUT, ETIMEDOUT, 0);
            if (ready < 0)
                return failed(conn, HGI_IO_ERROR, errno, 0);
        }
        ssize_t length = get(conn, bytes, sizeof bytes, block, &wants);
        dry = is_dry;
        if (length == 0)
            return failed(conn, HGI_IO_CLOSED, 0, 0);
        if (length < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
                return failed(conn, HGI_IO_ERROR, errno, 0);
            may_block = false;
            dry = true;
        } else if (!feed(conn, bytes, length)) {
            return too_much(conn, 0);
        }
    }
}

struct hgi_io hgi_conn_read(struct hgi_conn *conn, char *bytes, size_t size, int64_t deadline_ns,
                            size_t *length)
{
    short wants = POLLIN;
    for (bool dry = !conn->tls;; dry = true) { /* as in hgi_conn_receive() */
        int ready = dry ? wait_for(conn->context->fd, wants, deadline_ns, NULL) : 1;
        if (ready == 0)
            return failed(conn, HGI_IO_TIMEOUT, ETIMEDOUT, 0);
        if (ready < 0)
            return failed(conn, HGI_IO_ERROR, errno, 0);
        ssize_t got = get(conn, bytes, size, false, &wants);
        if (got == 0)
            return failed(conn, HGI_IO_CLOSED, 0, 0);
        if (got > 0) {
            *length = (size_t)got;
            return (struct hgi_io) { .kind = HGI_IO_OK };
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return failed(conn, HGI_IO_ERROR, errno, 0);
    }
}

redisReply *hgi_conn_last_words(struct hgi_conn *conn)
{
    char bytes[512];
    short wants;
    ssize_t length = get(conn, bytes, sizeof bytes, false, &wants);
    redisReply *reply = NULL;
    if (length > 0 && feed(conn, bytes, length) && parse(conn, &reply).kind == HGI_IO_OK)
        return reply;
    return NULL;
}

bool hgi_conn_append(struct hgi_conn *conn, const char *bytes, size_t length)
{
    if (conn->out_size - conn->out_length < length) {
        size_t size = conn->out_size ? conn->out_size : 1024;
        while (size - conn->out_length < length) {
            if (size > SIZE_MAX / 2)
                return false;
            size *= 2;
        }
        char *grown = malloc(size);
        if (!grown)
            return false;
        if (conn->out) { /* not by realloc: what it leaves behind may hold the password */
            memcpy(grown, conn->out, conn->out_length);
            explicit_bzero(conn->out, conn->out_length);
            free(conn->out);
        }
        conn->out = grown;
        conn->out_size = size;
    }
    if (conn->out_length == 0)
        conn->out_first = length;
    memcpy(conn->out + conn->out_length, bytes, length);
    conn->out_length += length;
    return true;
}

/* Of what lasts, what RESET undoes in every server that has it. Not what makes the server send unasked
 * (SUBSCRIBE, MONITOR, CLIENT TRACKING) or not send at all (CLIENT REPLY). */
static bool is_undone_by_reset(const char *name)
{
    static const char *const names[] = { "ASKING",    "AUTH",  "CLIENT SETNAME", "READONLY",
                                         "READWRITE", "RESET", "SELECT" };
    for (size_t i = 0; name && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

void hgi_conn_note_effect(struct hgi_conn *conn, const struct hgi_command_facts *facts)
{
    if (facts->effect == HGI_EFFECT_NONE)
        return; /* nearly all do nothing to it */
    switch (facts->effect) {
    case HGI_EFFECT_MULTI:
        conn->multi = true;
        break;
    case HGI_EFFECT_EXEC:
        conn->multi = conn->watching = false;
        break;
    case HGI_EFFECT_WATCH:
        conn->watching = true;
        break;
    case HGI_EFFECT_UNWATCH:
        conn->watching = false;
        break;
    case HGI_EFFECT_LASTING:
        if (is_undone_by_reset(facts->name))
            conn->altered = true;
        else
            conn->lasting = true;
        break;
    case HGI_EFFECT_NONE:
    default:
        break;
    }
}

bool hgi_conn_is_subscription(const struct hgi_command_facts *facts)
{
    static const char tail[] = "SUBSCRIBE";
    if (facts->effect != HGI_EFFECT_LASTING || !facts->name)
        return false;
    size_t length = strlen(facts->name);
    return length >= sizeof tail - 1 && strcmp(facts->name + length - (sizeof tail - 1), tail) == 0;
}

void hgi_conn_note_question(struct hgi_conn *conn, const struct hgi_command_facts *facts)
{
    if (hgi_conn_is_subscription(facts))
        conn->takes_push = true; /* until the lease ends */
}

/* Nothing in it is on its way or unaccounted for. */
static bool is_at_rest(const struct hgi_conn *conn)
{
    const redisContext *context = conn->context;
    return !conn->broken && !conn->is_raw && !conn->lasting && conn->owed == 0 &&
           conn->out_length == 0 && context->err == 0 &&
           context->reader->pos == context->reader->len;
}

bool hgi_conn_is_clean(const struct hgi_conn *conn)
{
    return is_at_rest(conn) && !conn->multi && !conn->watching && !conn->altered;
}

bool hgi_conn_is_answered(const struct hgi_conn *conn)
{
    return !conn->broken && !conn->is_raw && conn->owed == 0 && conn->out_length == 0;
}

bool hgi_conn_can_be_mended(const struct hgi_conn *conn)
{
    return is_at_rest(conn) && !hgi_conn_is_clean(conn);
}

bool hgi_conn_has_stray_bytes(const struct hgi_conn *conn)
{
    if (conn->tls)
        return !hgi_tls_is_quiet(conn->tls);
    char byte;
    ssize_t length = recv(conn->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return length >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}
