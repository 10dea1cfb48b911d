/* Where a run takes place; see stage.h. */
#include "tools/stress/stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/common/timing.h"

static bool note_server(const struct hgi_stage *stage, struct hgi_stamp *stamp,
                        struct hgi_problem *problem)
{
    struct hgi_wire *wire = hgi_target_connect(&stage->target, 5 * NS_PER_S, problem);
    if (!wire)
        return false;
    redisReply *reply = hgi_wire_command(wire, problem, "INFO server");
    hgi_stamp_version(stamp->server, reply);
    freeReplyObject(reply);
    hgi_wire_close(wire);
    hgi_stamp_time(stamp->began_at);
    return true;
}

bool hgi_stage_open(struct hgi_stage *stage, const struct hgi_target *given, hgi_stage_start start,
                    uint64_t seed, struct hgi_stamp *stamp, struct hgi_problem *problem)
{
    bool own = !given || !given->given;
    *stage = (struct hgi_stage) { .own = NULL };
    snprintf(stage->name, sizeof stage->name, "herdgate-stress-%ld", (long)getpid());
    snprintf(stage->prefix, sizeof stage->prefix, "herdgate-stress:%ld-%08" PRIx64 ":",
             (long)getpid(), seed & UINT32_MAX);
    if (!own)
        stage->target = *given;
    else if (!(start ? start(&stage->own, problem)
                     : hgi_private_server_start(&stage->own, NULL, problem)) ||
             !hgi_target_parse(&stage->target, hgi_private_server_url(stage->own), problem))
        return false;
    return note_server(stage, stamp, problem);
}

bool hgi_stage_close(struct hgi_stage *stage, struct hgi_stamp *stamp, struct hgi_problem *problem)
{
    stamp->server_lost = stage->own && hgi_private_server_lost(stage->own, problem);
    hgi_private_server_free(stage->own);
    stage->own = NULL;
    return !stamp->server_lost;
}

const char *hgi_stage_text(const struct hgi_stage *stage)
{
    return stage->own ? "a redis-server of the tool's own" : stage->target.text;
}

void hgi_stage_tell_keys(const struct hgi_stage *stage)
{
    if (!stage->own)
        fprintf(stderr, "Keys begin with %s and are deleted at the end.\n", stage->prefix);
}

bool hgi_stage_pool(hg_pool **out, const struct hgi_stage *stage, const struct hgi_target *through,
                    cJSON *policy, const struct hgi_recipe *recipe, struct hgi_problem *problem)
{
    char url[1024];
    hg_policy *made;
    struct hgi_recipe named = *recipe;
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    named.client_name = stage->name;
    if (!hgi_target_url(url, sizeof url, through))
        return hgi_problem_set(problem, "%s: the address is too long", through->text);
    if (!hgi_recipe_policy(&made, policy, &named, problem))
        return false;
    options.url = url;
    bool well = hg_pool_open(out, &options, made, &err) == HG_OK;
    hg_policy_drop(made);
    return well || hgi_problem_set(problem, "%s", err.message);
}

void hgi_stage_close_pool(hg_pool *pool, struct hg_pool_stats *stats, char *failure, size_t size)
{
    struct hg_error err = HG_ERROR_INIT;
    if (!pool)
        return;
    hg_pool_read_stats(pool, stats);
    if (hg_pool_close(pool, 10 * NS_PER_S, &err) < 0)
        snprintf(failure, size, "%.290s", err.message);
}
