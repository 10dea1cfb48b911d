/* Starts child processes that die with this process.
 *
 * Linux sends the death signal when the THREAD that forked ends, not the process: a child started by
 * a short-lived thread would be killed with it. So a spawner is a thread of its own that forks on
 * request and lives until hgi_spawner_free().
 */
#ifndef HERDGATE_TOOLS_COMMON_SPAWNER_H
#define HERDGATE_TOOLS_COMMON_SPAWNER_H

#include <sys/types.h>

#include "tools/common/problem.h"

struct hgi_spawner;

/* Start the thread. NULL: *problem says. */
struct hgi_spawner *hgi_spawner_new(struct hgi_problem *problem);

/* End the thread, and with it, by SIGKILL, every child that still runs. NULL does nothing. */
void hgi_spawner_free(struct hgi_spawner *spawner);

/* Run `path` with `argv` in a process group of its own (so that a terminal's Ctrl-C is not for it),
 * output appended to the file `log`, no other descriptor inherited, no signal blocked. -1: *problem
 * says. The caller waits for the child. One thread at a time. */
pid_t hgi_spawner_run(struct hgi_spawner *spawner, const char *path, char *const *argv,
                      const char *log, struct hgi_problem *problem);

#endif
