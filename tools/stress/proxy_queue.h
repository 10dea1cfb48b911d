/* Bytes on their way through the proxy, with what is to become of them and when. Pure, but for memory.
 *
 * Bytes go out in the order in which they came in. A mark says of a run of them when they are due; the
 * last mark may say that the connection ends there.
 */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_QUEUE_H
#define HERDGATE_TOOLS_STRESS_PROXY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nobody adds to a queue that holds as much; it may hold more by what one read brings. */
enum { HGI_QUEUE_LIMIT = 64 * 1024 };

#define HGI_QUEUE_NEVER INT64_MAX

enum hgi_mark_what {
    HGI_MARK_PASS,    /* from due_ns on */
    HGI_MARK_STALLED, /* not before it is told to */
    HGI_MARK_GROWING, /* a reply of which half shall pass, and whose end is not known yet */
    HGI_MARK_CLOSE,   /* no bytes: the connection is closed */
    HGI_MARK_RESET
};

struct hgi_mark {
    enum hgi_mark_what what;
    size_t length;    /* bytes */
    uint64_t replies; /* replies that end in them */
    uint64_t reply;   /* the number of the reply that they are of, where it is stalled or grows */
    int64_t due_ns;
    int64_t drip_ns; /* the time between two bytes; 0: they go as fast as they can */
};

struct hgi_queue {
    char *bytes;
    size_t bytes_size;
    size_t bytes_head;
    size_t bytes_tail;
    struct hgi_mark *marks;
    size_t marks_size;
    size_t marks_head;
    size_t marks_tail;
    int64_t next_drip_ns; /* when the next byte that drips may go */
};

/* What can go now: bytes, or the end. */
struct hgi_ready {
    enum hgi_mark_what what; /* PASS, CLOSE or RESET */
    const char *bytes;
    size_t length;   /* 0 with PASS: nothing */
    int64_t wake_ns; /* then: when to ask again; HGI_QUEUE_NEVER: after a change */
};

void hgi_queue_free(struct hgi_queue *queue);

/* Bytes in it, and how many may come. */
size_t hgi_queue_used(const struct hgi_queue *queue);
size_t hgi_queue_space(const struct hgi_queue *queue);

/* Append bytes, copied, or with CLOSE and RESET the end; `like` says all but the length. False: no
 * memory. */
bool hgi_queue_add(struct hgi_queue *queue, const char *bytes, size_t length,
                   const struct hgi_mark *like);

/* The bytes added last end a reply. */
void hgi_queue_reply_ends(struct hgi_queue *queue);

/* If the last reply grows: how much of it is there; and let half of that pass, forgetting the rest. */
size_t hgi_queue_growing(const struct hgi_queue *queue);
void hgi_queue_halve(struct hgi_queue *queue);

/* Let a stalled reply pass if `still(arg, its number)` is false. */
void hgi_queue_unstall(struct hgi_queue *queue, bool (*still)(void *arg, uint64_t reply),
                       void *arg);

/* What can go at now_ns, and that `length` bytes of it went. Returns how many replies ended. */
struct hgi_ready hgi_queue_ready(const struct hgi_queue *queue, int64_t now_ns);
uint64_t hgi_queue_sent(struct hgi_queue *queue, size_t length, int64_t now_ns);

#endif
