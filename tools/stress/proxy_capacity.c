/* The line before a server, and its pace; see proxy_capacity.h.
 *
 * The line is an array between head and tail. Who leaves it leaves a hole, which is skipped when it
 * comes to the front; so the first of the line, if there is one, is always at head.
 */
#include "tools/stress/proxy_capacity.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_JOBS = 256 };

void hgi_capacity_free(struct hgi_capacity *capacity)
{
    free(capacity->jobs);
    *capacity = (struct hgi_capacity) { 0 };
}

/* Holes at the front go. */
static void close_up(struct hgi_capacity *capacity)
{
    while (capacity->head < capacity->tail && !capacity->jobs[capacity->head].owner)
        capacity->head++;
    if (capacity->head == capacity->tail)
        capacity->head = capacity->tail = 0;
}

/* Room for one more at the tail. */
static bool make_room(struct hgi_capacity *capacity)
{
    if (capacity->tail < capacity->size)
        return true;
    size_t count = capacity->tail - capacity->head;
    if (capacity->head > 0 && count <= capacity->size / 2) {
        memmove(capacity->jobs, capacity->jobs + capacity->head, count * sizeof *capacity->jobs);
        capacity->head = 0;
        capacity->tail = count;
        return true;
    }
    size_t size = capacity->size ? 2 * capacity->size : FIRST_JOBS;
    struct hgi_job *jobs = realloc(capacity->jobs, size * sizeof *jobs);
    if (!jobs)
        return false;
    capacity->jobs = jobs;
    capacity->size = size;
    return true;
}

bool hgi_capacity_join(struct hgi_capacity *capacity, void *owner, enum hgi_job_kind kind,
                       int64_t now_ns)
{
    if (!make_room(capacity))
        return false;
    if (capacity->head == capacity->tail && capacity->next_ns < now_ns)
        capacity->next_ns = now_ns;
    capacity->jobs[capacity->tail++] = (struct hgi_job) { .owner = owner, .kind = kind };
    capacity->connections += kind == HGI_JOB_CONNECTION;
    return true;
}

bool hgi_capacity_take(struct hgi_capacity *capacity, int64_t now_ns, struct hgi_job *out)
{
    if (hgi_capacity_wake_ns(capacity) > now_ns)
        return false;
    *out = capacity->jobs[capacity->head++];
    close_up(capacity);
    if (capacity->next_ns < now_ns - HGI_CAPACITY_LATE_NS) {
        capacity->lost_ns += now_ns - HGI_CAPACITY_LATE_NS - capacity->next_ns;
        capacity->next_ns = now_ns - HGI_CAPACITY_LATE_NS;
    }
    capacity->next_ns += capacity->unit_ns;
    if (out->kind == HGI_JOB_CONNECTION)
        capacity->connections--;
    else
        capacity->busy++;
    return true;
}

void hgi_capacity_answered(struct hgi_capacity *capacity, uint64_t count, int64_t now_ns)
{
    bool hung = capacity->busy >= HGI_CAPACITY_BUSY;
    capacity->busy -= count < capacity->busy ? count : capacity->busy;
    if (hung && capacity->next_ns < now_ns)
        capacity->next_ns = now_ns;
}

void hgi_capacity_forget(struct hgi_capacity *capacity, const void *owner)
{
    for (size_t i = capacity->head; i < capacity->tail; i++) {
        struct hgi_job *job = &capacity->jobs[i];
        if (job->owner != owner)
            continue;
        job->owner = NULL;
        capacity->connections -= job->kind == HGI_JOB_CONNECTION;
    }
    close_up(capacity);
}

int64_t hgi_capacity_wake_ns(const struct hgi_capacity *capacity)
{
    if (capacity->head == capacity->tail || capacity->busy >= HGI_CAPACITY_BUSY)
        return HGI_CAPACITY_NEVER;
    return capacity->next_ns;
}
