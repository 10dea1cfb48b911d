/* What `simulate` is made of. */
#ifndef HERDGATE_TOOLS_STRESS_SIMULATE_H
#define HERDGATE_TOOLS_STRESS_SIMULATE_H

#include "tools/stress/exits.h"
#include "tools/stress/publish.h"
#include "tools/stress/wave.h"

/* --model wave: run it, write the results; the tool's exit code. Where that is USAGE or ENVIRONMENT
 * *problem says why. The stamp is its results' own. */
int hgi_simulate_wave_run(const struct hgi_wave *wave, bool real, const struct hgi_outputs *outputs,
                          const struct hgi_stamp *stamp, struct hgi_problem *problem);

#endif
