/* herdgate-stress herd: one trial per strategy, on one server that goes away and comes back. */
#ifndef HERDGATE_TOOLS_STRESS_HERD_H
#define HERDGATE_TOOLS_STRESS_HERD_H

#include <stdatomic.h>
#include <stdbool.h>

#include <cjson/cJSON.h>

#include "tools/common/private_server.h"
#include "tools/stress/screen.h"
#include "tools/stress/trial.h"

/* Run one trial; fills *trial, whose strategy is set. Ends early when *interrupted becomes true.
 * False: the environment failed, *problem says. */
bool hgi_trial_run(struct hgi_trial *trial, const struct hgi_herd_settings *settings,
                   const cJSON *policy, struct hgi_private_server *server,
                   const atomic_bool *interrupted, struct hgi_screen *screen,
                   struct hgi_problem *problem);

#endif
