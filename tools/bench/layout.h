/* Who runs where: the server on a processor of its own, the threads that call it on the others.
 *
 * Left alone, the scheduler of a small machine has two ways to place them, both stable for seconds: the
 * server beside a part of its callers, or apart from all of them. One has twice the throughput of the
 * other, so that the ratio of two contenders says which of the two each of them met. */
#ifndef HERDGATE_TOOLS_BENCH_LAYOUT_H
#define HERDGATE_TOOLS_BENCH_LAYOUT_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct hgi_layout {
    bool apart; /* else wherever the scheduler puts them */
    cpu_set_t all;
    int server;          /* its processor, if apart */
    uint32_t processors; /* that the calling threads may use */
};

/* Put the server on the last of this thread's processors, and this thread, with all that it starts from
 * now on, on the others. Where there is one processor only, or the system does not let us, nothing is
 * changed, and layout->apart is false. */
void hgi_layout_part(struct hgi_layout *layout, pid_t server);

/* As before for both. */
void hgi_layout_join(const struct hgi_layout *layout, pid_t server);

#endif
