/* Processors for server and callers; see layout.h. A thread inherits the set of the one that starts it,
 * so the calling thread's own is all that is to be set for the contenders and their threads. */
#include "tools/bench/layout.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* All threads of a process: redis has some beside the one that serves. False: not one of them. */
static bool bind_process(pid_t pid, const cpu_set_t *set)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return sched_setaffinity(pid, sizeof *set, set) == 0;
    bool bound = false;
    for (const struct dirent *task; (task = readdir(tasks));) {
        pid_t thread = (pid_t)strtol(task->d_name, NULL, 10);
        if (thread > 0)
            bound |= sched_setaffinity(thread, sizeof *set, set) == 0;
    }
    closedir(tasks);
    return bound;
}

static int last_of(const cpu_set_t *set)
{
    int cpu = CPU_SETSIZE - 1;
    while (cpu > 0 && !CPU_ISSET((size_t)cpu, set))
        cpu--;
    return cpu;
}

void hgi_layout_part(struct hgi_layout *layout, pid_t server)
{
    *layout = (struct hgi_layout) { .apart = false, .processors = 1 };
    if (sched_getaffinity(0, sizeof layout->all, &layout->all) != 0)
        return; /* more than CPU_SETSIZE of them */
    layout->processors = (uint32_t)CPU_COUNT(&layout->all);
    if (layout->processors < 2)
        return;
    cpu_set_t own;
    cpu_set_t others = layout->all;
    layout->server = last_of(&layout->all);
    CPU_ZERO(&own);
    CPU_SET((size_t)layout->server, &own);
    CPU_CLR((size_t)layout->server, &others);
    if (!bind_process(server, &own))
        return;
    layout->apart = sched_setaffinity(0, sizeof others, &others) == 0;
    if (layout->apart)
        layout->processors--;
    else
        bind_process(server, &layout->all);
}

void hgi_layout_join(const struct hgi_layout *layout, pid_t server)
{
    if (!layout->apart)
        return;
    bind_process(server, &layout->all);
    sched_setaffinity(0, sizeof layout->all, &layout->all);
}
