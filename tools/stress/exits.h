/* How the tool ends, and what happens on Ctrl-C. */
#ifndef HERDGATE_TOOLS_STRESS_EXITS_H
#define HERDGATE_TOOLS_STRESS_EXITS_H

#include <stdatomic.h>

#include "tools/common/exit_codes.h"

/* True once SIGINT, SIGTERM or, unless nohup has it ignored, SIGHUP came (a terminal that is closed); the
 * same once more ends the program at once. */
const atomic_bool *hgi_interrupted(void);

#endif
