/* Bytes on their way; see proxy_queue.h.
 *
 * The bytes lie in one piece, so that runs that are due together leave together. Bytes and marks each
 * move to the front of their array once half of it has been used up, and so are moved once at most on
 * average. The sum of the marks' lengths is the number of bytes.
 */
#include "tools/stress/proxy_queue.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 4096, FIRST_MARKS = 8 };

void hgi_queue_free(struct hgi_queue *queue)
{
    free(queue->bytes);
    free(queue->marks);
    *queue = (struct hgi_queue) { 0 };
}

size_t hgi_queue_used(const struct hgi_queue *queue)
{
    return queue->bytes_tail - queue->bytes_head;
}

size_t hgi_queue_space(const struct hgi_queue *queue)
{
    size_t used = hgi_queue_used(queue);
    return used < HGI_QUEUE_LIMIT ? HGI_QUEUE_LIMIT - used : 0;
}

/* Make room for `more` elements behind the tail of an array. False: no memory. */
static bool make_room(void **array, size_t element, size_t first, size_t *size, size_t *head,
                      size_t *tail, size_t more)
{
    size_t used = *tail - *head;
    if (*tail + more <= *size)
        return true;
    if (*head >= *size / 2 && used + more <= *size) {
        memmove(*array, (char *)*array + *head * element, used * element);
        *head = 0;
        *tail = used;
        return true;
    }
    size_t larger = *size ? *size : first;
    while (larger < *tail + more)
        larger *= 2;
    void *moved = realloc(*array, larger * element);
    if (!moved)
        return false;
    *array = moved;
    *size = larger;
    return true;
}

static struct hgi_mark *last_mark(const struct hgi_queue *queue)
{
    return queue->marks_tail > queue->marks_head ? &queue->marks[queue->marks_tail - 1] : NULL;
}

static bool one_run(const struct hgi_mark *a, const struct hgi_mark *b)
{
    return a->what == b->what && a->due_ns == b->due_ns && a->drip_ns == b->drip_ns &&
           (a->what == HGI_MARK_PASS || a->reply == b->reply);
}

bool hgi_queue_add(struct hgi_queue *queue, const char *bytes, size_t length,
                   const struct hgi_mark *like)
{
    void *array = queue->bytes;
    bool room = make_room(&array, 1, FIRST_BYTES, &queue->bytes_size, &queue->bytes_head,
                          &queue->bytes_tail, length);
    queue->bytes = array;
    array = queue->marks;
    room = room && make_room(&array, sizeof *queue->marks, FIRST_MARKS, &queue->marks_size,
                             &queue->marks_head, &queue->marks_tail, 1);
    queue->marks = array;
    if (!room || !queue->marks)
        return false;
    if (length > 0)
        memcpy(queue->bytes + queue->bytes_tail, bytes, length);
    queue->bytes_tail += length;
    struct hgi_mark *last = last_mark(queue);
    if (last && one_run(last, like)) {
        last->length += length;
        return true;
    }
    last = &queue->marks[queue->marks_tail++];
    *last = *like;
    last->length = length;
    last->replies = 0;
    return true;
}

void hgi_queue_reply_ends(struct hgi_queue *queue)
{
    struct hgi_mark *last = last_mark(queue);
    if (last)
        last->replies++;
}

size_t hgi_queue_growing(const struct hgi_queue *queue)
{
    const struct hgi_mark *last = last_mark(queue);
    return last && last->what == HGI_MARK_GROWING ? last->length : 0;
}

void hgi_queue_halve(struct hgi_queue *queue)
{
    struct hgi_mark *last = last_mark(queue);
    if (!last || last->what != HGI_MARK_GROWING)
        return;
    size_t dropped = last->length / 2;
    last->what = HGI_MARK_PASS;
    last->length -= dropped;
    queue->bytes_tail -= dropped;
}

void hgi_queue_unstall(struct hgi_queue *queue, bool (*still)(void *arg, uint64_t reply), void *arg)
{
    for (size_t i = queue->marks_head; i < queue->marks_tail; i++) {
        struct hgi_mark *mark = &queue->marks[i];
        if (mark->what == HGI_MARK_STALLED && !still(arg, mark->reply))
            mark->what = HGI_MARK_PASS;
    }
}

struct hgi_ready hgi_queue_ready(const struct hgi_queue *queue, int64_t now_ns)
{
    struct hgi_ready ready = { .what = HGI_MARK_PASS, .wake_ns = HGI_QUEUE_NEVER };
    if (queue->marks_head == queue->marks_tail)
        return ready;
    const struct hgi_mark *mark = &queue->marks[queue->marks_head];
    const struct hgi_mark *end = queue->marks + queue->marks_tail;
    if (mark->what == HGI_MARK_STALLED || mark->what == HGI_MARK_GROWING)
        return ready;
    int64_t due_ns = mark->due_ns;
    if (mark->drip_ns > 0 && queue->next_drip_ns > due_ns)
        due_ns = queue->next_drip_ns;
    if (mark->what != HGI_MARK_PASS) {
        ready.what = mark->what;
    } else if (due_ns > now_ns) {
        ready.wake_ns = due_ns;
    } else {
        ready.bytes = queue->bytes + queue->bytes_head;
        ready.length = mark->drip_ns > 0 ? 1 : mark->length;
        bool alone = mark->drip_ns > 0;
        while (!alone && ++mark < end && mark->what == HGI_MARK_PASS && mark->due_ns <= now_ns &&
               mark->drip_ns == 0)
            ready.length += mark->length;
    }
    return ready;
}

uint64_t hgi_queue_sent(struct hgi_queue *queue, size_t length, int64_t now_ns)
{
    uint64_t replies = 0;
    queue->bytes_head += length;
    while (length > 0) {
        struct hgi_mark *mark = &queue->marks[queue->marks_head];
        size_t part = length < mark->length ? length : mark->length;
        if (mark->drip_ns > 0)
            queue->next_drip_ns = now_ns + mark->drip_ns;
        length -= part;
        mark->length -= part;
        if (mark->length == 0) {
            replies += mark->replies;
            queue->marks_head++;
        }
    }
    if (queue->bytes_head == queue->bytes_tail)
        queue->bytes_head = queue->bytes_tail = 0;
    if (queue->marks_head == queue->marks_tail)
        queue->marks_head = queue->marks_tail = 0;
    return replies;
}
