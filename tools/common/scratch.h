/* A directory of one's own for sockets and the like, in $TMPDIR or /tmp.
 *
 * Its files lie flat in it. It is removed at the end, and where a program is killed before that, by the
 * next one that makes such a directory: whoever lives holds a lock on the file "lock" in his. */
#ifndef HERDGATE_TOOLS_COMMON_SCRATCH_H
#define HERDGATE_TOOLS_COMMON_SCRATCH_H

#include <stdbool.h>

#include "tools/common/problem.h"

struct hgi_scratch {
    char path[80]; /* empty: there is none */
    int lock;
};

/* Remove what others have left behind, once in a process, and make one. False: *problem says. */
bool hgi_scratch_make(struct hgi_scratch *scratch, struct hgi_problem *problem);

/* Remove it with all that is in it. One that was not made, or whose bytes are 0, does nothing. */
void hgi_scratch_remove(struct hgi_scratch *scratch);

#endif
