/* Pools and keys of the tour: open, use, close, clean up, with every error told. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/example/example.h"

bool tour_failed(const char *what, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "retry-example: %s: %s\n", what, why);
    return false;
}

hg_policy *tour_policy(const char *json)
{
    hg_policy *policy;
    struct hg_error err = HG_ERROR_INIT;
    if (hg_policy_parse(&policy, json, strlen(json), "policy", &err) < 0)
        tour_failed("the policy", err.message);
    return policy;
}

hg_pool *tour_open(const struct tour *tour, const char *url, const char *json, hg_log_fn log,
                   void *log_arg)
{
    hg_pool *pool = NULL;
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = url ? url : tour->url;
    options.log = log;
    options.log_arg = log_arg;
    hg_policy *policy = tour_policy(json);
    if (policy && hg_pool_open(&pool, &options, policy, &err) < 0)
        tour_failed("the pool", err.message);
    hg_policy_drop(policy); /* the pool keeps its own count */
    return pool;
}

void tour_close(hg_pool *pool)
{
    struct hg_error err = HG_ERROR_INIT;
    if (hg_pool_close(pool, -1, &err) < 0)
        tour_failed("closing the pool", err.message);
}

const char *tour_key(struct tour *tour, const char *name)
{
    char key[TOUR_KEY_SIZE];
    snprintf(key, sizeof key, "retry-example:%ld:%s", (long)getpid(), name);
    size_t i = 0;
    while (i < tour->keys && strcmp(tour->key[i], key) != 0)
        i++;
    if (i == TOUR_KEYS)
        i = TOUR_KEYS - 1; /* more names than places: a mistake in a section, seen at once */
    if (i == tour->keys)
        tour->keys++;
    memcpy(tour->key[i], key, sizeof key);
    return tour->key[i];
}

bool tour_clean(struct tour *tour)
{
    const char *arguments[TOUR_KEYS + 2] = { "DEL" };
    struct hg_error err = HG_ERROR_INIT;
    if (tour->keys == 0)
        return true;
    for (size_t i = 0; i < tour->keys; i++)
        arguments[i + 1] = tour->key[i];
    hg_pool *pool = tour_open(tour, NULL, "{}", NULL, NULL);
    bool well = pool && (tour_command(pool, NULL, NULL, &err, arguments) == HG_OK ||
                         tour_failed("deleting the tour's keys", err.message));
    tour_close(pool);
    tour->keys = 0;
    return well;
}

hg_status tour_command(hg_pool *pool, redisReply **reply, struct hg_trace *trace,
                       struct hg_error *err, const char *const *arguments)
{
    const char *argv[TOUR_KEYS + 2];
    int argc = 0;
    while (arguments[argc] && argc < TOUR_KEYS + 2) {
        argv[argc] = arguments[argc];
        argc++;
    }
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.trace = trace;
    return hg_command_argv(pool, &options, reply, err, argc, argv, NULL);
}
