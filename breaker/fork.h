/* Breakers after fork(): a child goes on with them, though the parent's other threads are not there. */
#ifndef HERDGATE_BREAKER_FORK_H
#define HERDGATE_BREAKER_FORK_H

#include <stdbool.h>

struct hgi_local;

/* Have a breaker mended in children. False: out of memory. */
bool hgi_fork_join(struct hgi_local *local);
void hgi_fork_leave(struct hgi_local *local);

/* Between these no child is born that inherits what this thread holds: fork() waits. For a moment only,
 * and for nothing that waits itself. */
void hgi_fork_hold(void);
void hgi_fork_let(void);

#endif
