/* How the tools end: the same numbers for all of them. */
#ifndef HERDGATE_TOOLS_COMMON_EXIT_CODES_H
#define HERDGATE_TOOLS_COMMON_EXIT_CODES_H

enum {
    HGI_EXIT_PASS = 0,
    HGI_EXIT_ASSERTION = 1,   /* or a warning of herdgate-policy lint */
    HGI_EXIT_USAGE = 2,       /* or a policy that does not parse */
    HGI_EXIT_ENVIRONMENT = 3, /* no server, no memory, a file that cannot be written */
    HGI_EXIT_BROKEN = 4,      /* an invariant */
    HGI_EXIT_INTERRUPTED = 130
};

#endif
