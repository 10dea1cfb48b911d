/* The policy that a run of the tool goes by: the user's file with what the command line says on top. */
#ifndef HERDGATE_TOOLS_STRESS_RECIPE_H
#define HERDGATE_TOOLS_STRESS_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <herdgate/herdgate.h>

#include "tools/common/problem.h"

/* Fields that are 0 or NULL say nothing: the file's word holds, or the library's default. */
struct hgi_recipe {
    const char *path; /* of the policy file; NULL: none */
    const char *client_name;
    uint32_t connections;
    int64_t attempt_timeout_ns; /* of every class of plain commands */
    int64_t deadline_ns;
};

/* Read the file, if there is one, and hold it against the library's parser. Where the server is, and
 * the name of a shared breaker, are taken out of it: a test must not reach what a policy for
 * production names. *json is the caller's, for cJSON_Delete(). False: *problem is the parser's line. */
bool hgi_recipe_read(cJSON **json, const struct hgi_recipe *recipe, struct hgi_problem *problem);

/* Put the command line's word into it and make a policy of it. */
bool hgi_recipe_policy(hg_policy **out, cJSON *json, const struct hgi_recipe *recipe,
                       struct hgi_problem *problem);

/* Whether a policy can be made of both; false: *problem is the parser's line. Changes nothing. */
bool hgi_recipe_try(const cJSON *json, const struct hgi_recipe *recipe,
                    struct hgi_problem *problem);

/* What the command line does not say (0) is what the file says of that field of the class "read", or else
 * `otherwise`. The same for the pool's size. */
void hgi_recipe_settle_time(int64_t *ns, const cJSON *json, const char *field, int64_t otherwise);
void hgi_recipe_settle_connections(uint32_t *connections, const cJSON *json, uint32_t otherwise);

/* The breaker's settings as the file has them, in the form for hg_breaker_new(). */
struct hg_breaker_options hgi_recipe_breaker(const cJSON *json);

/* A policy whose class "naive" is the strategy naive, with the file's retry budget. */
bool hgi_recipe_budget(hg_policy **out, const cJSON *json, int64_t attempt_timeout_ns,
                       struct hgi_problem *problem);

#endif
