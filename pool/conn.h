/* One connection to the server, and bytes through it: hiredis formats and parses, herdgate sends and
 * receives. Its blocking calls can neither keep a deadline (bytes that drip, signals that interrupt:
 * its timeout starts again) nor avoid SIGPIPE. */
#ifndef HERDGATE_POOL_CONN_H
#define HERDGATE_POOL_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include <herdgate/pool.h>

#include "breaker/clock.h"
#include "policy/commands.h"
#include "policy/settings.h"
#include "pool/fork.h"
#include "pool/raw.h"
#include "pool/replies.h"
#include "pool/tls.h"

enum { HGI_RETIRED_REASONS = HG_RETIRED_CLOSING + 1 };

/* A connection belongs to one thread at a time: whoever holds its slot. */
struct hgi_conn {
    /* What every command looks at lies together. */
    redisContext *context; /* owns the socket; its fd is ours to read and write */
    struct hgi_tls *tls;   /* NULL: none */
    int64_t slice_ns;      /* SO_RCVTIMEO of the socket */
    int64_t used_ns;       /* end of its last use; 0: never used */
    size_t out_length;     /* of `out` */
    uint32_t owed;         /* replies that the server owes us */
    uint32_t epoch;        /* of the pool when it was made */
    bool broken;           /* failed once: good for nothing any more */
    bool multi;
    bool watching;
    bool altered;   /* RESET and a new set-up undo what was done */
    bool lasting;   /* something was changed that cannot be undone here */
    bool hopeful;   /* a transaction or watches were taken to end with a command not yet answered */
    bool unsettled; /* the server could not say for now whether it can fence: to be asked again */
    bool is_raw;    /* the user had the context */
    bool takes_push; /* it is subscribed, or is about to be: messages are what is waited for */
    bool can_fence;  /* others can be killed on it by their numbers; see fence.c */
    struct hgi_replies replies;

    struct hgi_raw raw;
    hgi_descriptor_note *descriptor; /* of the socket; NULL: nowhere */
    uint32_t id;                     /* unique in its pool; never 0 */
    hg_retirement retired_as;        /* said by who closes it; NONE: as it shows itself */
    int64_t client_id;               /* the server's number for it; 0: not known */
    int64_t dialled_ns;              /* begin of its dial */
    int64_t made_ns;
    int64_t dial_ns;    /* how long it took to make */
    int64_t expires_ns; /* its jittered end of life */
    char *out;          /* commands appended and not sent yet */
    size_t out_first;   /* length of the first of them */
    size_t out_size;
};

enum hgi_io_kind {
    HGI_IO_OK,
    HGI_IO_TIMEOUT,
    HGI_IO_CLOSED, /* by the server */
    HGI_IO_ERROR,  /* sys_errno */
    HGI_IO_PROTOCOL,
    HGI_IO_LIMIT, /* a reply that is too large or too deep; `text` says which */
    HGI_IO_MEMORY
};

/* How an exchange went. Small: each step of every command returns one. */
struct hgi_io {
    enum hgi_io_kind kind;
    int sys_errno;
    int hiredis_err;
    size_t sent; /* bytes of this exchange that the kernel took */
    const char
        *text; /* PROTOCOL: what hiredis says; LIMIT; else NULL. Lives as its connection does */
};

/* Wrap a connected, blocking socket; slice_ns: its SO_RCVTIMEO. NULL: out of memory, and the socket is
 * closed. */
struct hgi_conn *hgi_conn_wrap(int fd, const struct hgi_settings *settings, int64_t slice_ns);

/* Close and free. NULL does nothing. Sends no QUIT. */
void hgi_conn_close(struct hgi_conn *conn);

/* The time that is left for something. What the clock said is handed down with it, so that a command
 * that need not wait before its reply reads the clock once, when its connection was had. */
struct hgi_span {
    int64_t end_ns;
    int64_t now_ns; /* the time, a few instructions ago; 0: something may have waited since */
    bool full;      /* the end is all that the policy allows for an attempt */
};

/* The time now, read only if it is not known. */
static inline int64_t hgi_span_now(struct hgi_span *span)
{
    if (span->now_ns == 0)
        span->now_ns = hgi_now_ns();
    return span->now_ns;
}

/* Send `length` bytes before the span's end, reading what comes meanwhile: a server may stop reading
 * until its replies are read. Never raises SIGPIPE. */
struct hgi_io hgi_conn_send(struct hgi_conn *conn, const char *bytes, size_t length,
                            struct hgi_span *span);

/* Read one reply before the span's end; *reply is the caller's. After anything but OK the connection is
 * broken. */
struct hgi_io hgi_conn_receive(struct hgi_conn *conn, redisReply **reply, struct hgi_span *span);

/* Read what there is, and wait for something before the deadline if there is nothing. After anything but
 * OK the connection is broken. */
struct hgi_io hgi_conn_read(struct hgi_conn *conn, char *bytes, size_t size, int64_t deadline_ns,
                            size_t *length);

/* A reply that is already here, without waiting for one, or NULL. For the last words of a server that
 * refused the connection. */
redisReply *hgi_conn_last_words(struct hgi_conn *conn);

/* Append bytes to the pipeline; false: out of memory. */
bool hgi_conn_append(struct hgi_conn *conn, const char *bytes, size_t length);

/* Note what a command that the server accepted does to the connection. */
void hgi_conn_note_effect(struct hgi_conn *conn, const struct hgi_command_facts *facts);

/* Note what is about to be asked: whether messages (RESP3) will be its answers. */
void hgi_conn_note_question(struct hgi_conn *conn, const struct hgi_command_facts *facts);

/* SUBSCRIBE and its kin, also UNSUBSCRIBE: what is answered by messages. */
bool hgi_conn_is_subscription(const struct hgi_command_facts *facts);

/* True if the next user would find nothing of the last one's. */
bool hgi_conn_is_clean(const struct hgi_conn *conn);

/* True if what keeps it from being clean is known, and RESET takes it away. */
bool hgi_conn_can_be_mended(const struct hgi_conn *conn);

/* True if all that was sent on it is known to have been answered. */
bool hgi_conn_is_answered(const struct hgi_conn *conn);

/* True if a connection at rest has bytes to read or has ended: a system call. */
bool hgi_conn_has_stray_bytes(const struct hgi_conn *conn);

#endif
