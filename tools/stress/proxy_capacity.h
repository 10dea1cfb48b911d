/* A server that does so many things a second, and the line before it: first come, first served. Pure,
 * but for memory.
 *
 *     struct hgi_capacity server = { .unit_ns = NS_PER_S / 2000 };
 *     hgi_capacity_join(&server, link, HGI_JOB_REQUEST, now_ns);
 *     while (hgi_capacity_take(&server, monotonic_ns(), &job))
 *         serve(&job);
 *     set_timer(hgi_capacity_wake_ns(&server));
 *
 * A connection that is accepted and a command cost the same. What was served stays on its mind until
 * it is answered: a server that answers nothing takes HGI_CAPACITY_BUSY requests and no more, so the
 * line grows while it hangs, and no time that it hung is made up for. Nor is time in which nobody
 * waited; only the lateness of who calls take() is, up to HGI_CAPACITY_LATE_NS.
 */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_CAPACITY_H
#define HERDGATE_TOOLS_STRESS_PROXY_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HGI_CAPACITY_BUSY = 16 };

#define HGI_CAPACITY_LATE_NS INT64_C(20000000)
#define HGI_CAPACITY_NEVER INT64_MAX

enum hgi_job_kind { HGI_JOB_CONNECTION, HGI_JOB_REQUEST };

struct hgi_job {
    void *owner; /* NULL in the line: it has gone, and costs nothing */
    enum hgi_job_kind kind;
};

struct hgi_capacity {
    int64_t unit_ns; /* that a connection or a request takes; 0: there is no limit, and no line */
    int64_t next_ns; /* when the next may be taken */
    int64_t lost_ns; /* that somebody waited for who calls take(), and that is not made up for */
    uint64_t busy;   /* requests that were taken and not answered */
    size_t connections; /* in the line */
    struct hgi_job *jobs;
    size_t size;
    size_t head;
    size_t tail;
};

void hgi_capacity_free(struct hgi_capacity *capacity);

/* Stand at the end of the line. False: no memory. */
bool hgi_capacity_join(struct hgi_capacity *capacity, void *owner, enum hgi_job_kind kind,
                       int64_t now_ns);

/* Take the first of the line, if it is its turn at now_ns. */
bool hgi_capacity_take(struct hgi_capacity *capacity, int64_t now_ns, struct hgi_job *out);

/* So many requests that were taken are answered, or will never be. */
void hgi_capacity_answered(struct hgi_capacity *capacity, uint64_t count, int64_t now_ns);

/* All of this owner leave the line. */
void hgi_capacity_forget(struct hgi_capacity *capacity, const void *owner);

/* When there may be something to take; HGI_CAPACITY_NEVER: after a change. */
int64_t hgi_capacity_wake_ns(const struct hgi_capacity *capacity);

#endif
