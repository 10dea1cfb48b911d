/* How the tools end, and what happens on Ctrl-C. */
#ifndef HERDGATE_TOOLS_STRESS_EXITS_H
#define HERDGATE_TOOLS_STRESS_EXITS_H

#include <stdatomic.h>

enum {
    HGI_EXIT_PASS = 0,
    HGI_EXIT_ASSERTION = 1,
    HGI_EXIT_USAGE = 2,       /* or a policy that does not parse */
    HGI_EXIT_ENVIRONMENT = 3, /* no server, no memory, a file that cannot be written */
    HGI_EXIT_BROKEN = 4,      /* an invariant */
    HGI_EXIT_INTERRUPTED = 130
};

/* True once SIGINT or SIGTERM came; the second one ends the program at once. */
const atomic_bool *hgi_interrupted(void);

#endif
