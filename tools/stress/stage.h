/* Where a run takes place: a given server or one of the tool's own, the name that the run's connections have
 * there, and the prefix of its keys. */
#ifndef HERDGATE_TOOLS_STRESS_STAGE_H
#define HERDGATE_TOOLS_STRESS_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <herdgate/herdgate.h>

#include "tools/common/private_server.h"
#include "tools/common/target.h"
#include "tools/stress/recipe.h"
#include "tools/stress/stamp.h"

struct hgi_stage {
    struct hgi_private_server *own; /* NULL: the server is a given one */
    struct hgi_target target;
    char name[48];   /* of the run's connections, so that they are told from others' */
    char prefix[64]; /* of the run's keys */
};

/* A server of the tool's own, as hgi_saboteur_server(). */
typedef bool (*hgi_stage_start)(struct hgi_private_server **out, struct hgi_problem *problem);

/* Start a server, or reach the given one (NULL, or one that is not `given`: none), and note in the stamp what it
 * is and when. start NULL: a plain one. False: *problem says; hgi_stage_close() is still due. */
bool hgi_stage_open(struct hgi_stage *stage, const struct hgi_target *given, hgi_stage_start start,
                    uint64_t seed, struct hgi_stamp *stamp, struct hgi_problem *problem);

/* False: the tool's own server ended by itself before that. The stamp has it, and *problem says. */
bool hgi_stage_close(struct hgi_stage *stage, struct hgi_stamp *stamp, struct hgi_problem *problem);

/* For messages: what the server is. */
const char *hgi_stage_text(const struct hgi_stage *stage);

/* Say where the keys are, on a given server. */
void hgi_stage_tell_keys(const struct hgi_stage *stage);

/* A pool over `through` (the server, or a proxy before it), by the policy with the recipe on top. */
bool hgi_stage_pool(hg_pool **out, const struct hgi_stage *stage, const struct hgi_target *through,
                    cJSON *policy, const struct hgi_recipe *recipe, struct hgi_problem *problem);

/* Read its statistics once more and close it; why that failed goes into failure. NULL does nothing. */
void hgi_stage_close_pool(hg_pool *pool, struct hg_pool_stats *stats, char *failure, size_t size);

#endif
