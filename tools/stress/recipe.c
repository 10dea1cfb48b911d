/* The policy that a run goes by; see recipe.h.
 *
 * The library's parser is the judge of a file: it is asked first, for its words and positions. What is
 * then changed is the tree that cJSON makes of the same bytes, and the library parses the result.
 */
#include "tools/stress/recipe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/options.h"

enum { FILE_MOST = 1 << 20 };

/* Once: it may be a pipe. One byte more than a policy may have, so that the parser sees too large a
 * file as what it is. */
static char *read_file(const char *path, size_t *length, struct hgi_problem *problem)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_MOST + 2);
    bool well = file && text;
    if (well) {
        *length = fread(text, 1, FILE_MOST + 1, file);
        text[*length] = '\0';
        well = !ferror(file);
    }
    if (!well) {
        hgi_problem_set(problem, "%s: cannot read the policy file: %s", path, strerror(errno));
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    return text;
}

bool hgi_recipe_read(cJSON **json, const struct hgi_recipe *recipe, struct hgi_problem *problem)
{
    hg_policy *policy;
    size_t length;
    struct hg_error err = HG_ERROR_INIT;
    *json = NULL;
    if (!recipe->path) {
        *json = cJSON_CreateObject();
        return *json || hgi_problem_set(problem, "out of memory");
    }
    char *text = read_file(recipe->path, &length, problem);
    if (!text)
        return false;
    if (hg_policy_parse(&policy, text, length, recipe->path, &err) < 0) {
        free(text);
        return hgi_problem_set(problem, "%s", err.message);
    }
    hg_policy_drop(policy);
    *json = cJSON_Parse(text);
    free(text);
    if (!*json)
        return hgi_problem_set(problem, "out of memory");
    cJSON_DeleteItemFromObjectCaseSensitive(*json, "server");
    cJSON_DeleteItemFromObjectCaseSensitive(*json, "$schema");
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(*json, "breaker"),
                                            "shared");
    return true;
}

/* The object of that name in it, made if it is not there. */
static cJSON *object_in(cJSON *json, const char *name)
{
    cJSON *object = cJSON_GetObjectItemCaseSensitive(json, name);
    return object ? object : cJSON_AddObjectToObject(json, name);
}

static void put(cJSON *object, const char *name, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddItemToObject(object, name, value);
}

static void put_time(cJSON *object, const char *name, int64_t ns)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64 "ns", ns);
    if (ns > 0)
        put(object, name, cJSON_CreateString(text));
}

static bool parse(hg_policy **out, const cJSON *json, const char *name, struct hgi_problem *problem)
{
    struct hg_error err = HG_ERROR_INIT;
    char *text = cJSON_PrintUnformatted(json);
    *out = NULL;
    if (!text)
        return hgi_problem_set(problem, "out of memory");
    bool well = hg_policy_parse(out, text, strlen(text), name, &err) >= 0 ||
                hgi_problem_set(problem, "%s", err.message);
    cJSON_free(text);
    return well;
}

bool hgi_recipe_policy(hg_policy **out, cJSON *json, const struct hgi_recipe *recipe,
                       struct hgi_problem *problem)
{
    static const char *const classes[] = { "read",   "write",       "write_once",
                                           "script", "transaction", "admin" };
    if (recipe->connections)
        put(object_in(json, "pool"), "max_size", cJSON_CreateNumber(recipe->connections));
    if (recipe->client_name)
        put(object_in(json, "server"), "client_name", cJSON_CreateString(recipe->client_name));
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (!recipe->attempt_timeout_ns && !recipe->deadline_ns)
            break;
        cJSON *op_class = object_in(object_in(json, "classes"), classes[i]);
        put_time(op_class, "attempt_timeout", recipe->attempt_timeout_ns);
        put_time(op_class, "deadline", recipe->deadline_ns);
    }
    return parse(out, json, recipe->path ? recipe->path : "built-in policy", problem);
}

bool hgi_recipe_try(const cJSON *json, const struct hgi_recipe *recipe, struct hgi_problem *problem)
{
    hg_policy *policy = NULL;
    cJSON *copy = cJSON_Duplicate(json, true);
    bool well = copy ? hgi_recipe_policy(&policy, copy, recipe, problem)
                     : hgi_problem_set(problem, "out of memory");
    hg_policy_drop(policy);
    cJSON_Delete(copy);
    return well;
}

void hgi_recipe_settle_connections(uint32_t *connections, const cJSON *json, uint32_t otherwise)
{
    const cJSON *pool = cJSON_GetObjectItemCaseSensitive(json, "pool");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(pool, "max_size");
    if (!*connections)
        *connections = cJSON_IsNumber(size) ? (uint32_t)size->valuedouble : otherwise;
}

/* A duration of that name in the object, or `otherwise`. */
static int64_t time_in(const cJSON *object, const char *name, int64_t otherwise)
{
    int64_t ns;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(value) && hgi_parse_duration(&ns, value->valuestring, NULL) ? ns
                                                                                      : otherwise;
}

void hgi_recipe_settle_time(int64_t *ns, const cJSON *json, const char *field, int64_t otherwise)
{
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(json, "classes");
    if (!*ns)
        *ns = time_in(cJSON_GetObjectItemCaseSensitive(classes, "read"), field, otherwise);
}

static double number_in(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(value) ? value->valuedouble : otherwise;
}

struct hg_breaker_options hgi_recipe_breaker(const cJSON *json)
{
    struct hg_breaker_options o = HG_BREAKER_OPTIONS_INIT;
    const cJSON *b = cJSON_GetObjectItemCaseSensitive(json, "breaker");
    o.failure_threshold = (uint32_t)number_in(b, "failure_threshold", o.failure_threshold);
    o.half_open_max_calls = (uint32_t)number_in(b, "half_open_max_calls", o.half_open_max_calls);
    o.success_threshold = (uint32_t)number_in(b, "success_threshold", o.success_threshold);
    o.recovery_timeout_ns = time_in(b, "recovery_timeout", o.recovery_timeout_ns);
    o.recovery_multiplier = number_in(b, "recovery_multiplier", o.recovery_multiplier);
    o.recovery_timeout_max_ns = time_in(b, "recovery_timeout_max", o.recovery_timeout_max_ns);
    o.recovery_jitter = number_in(b, "recovery_jitter", o.recovery_jitter);
    o.probe_lease_ns = time_in(b, "probe_lease", o.probe_lease_ns);
    const cJSON *window = cJSON_GetObjectItemCaseSensitive(b, "window");
    if (window) {
        o.window_length_ns = time_in(window, "length", 10 * INT64_C(1000000000));
        o.window_min_calls = (uint32_t)number_in(window, "min_calls", o.window_min_calls);
        o.window_failure_rate = number_in(window, "failure_rate", o.window_failure_rate);
        o.window_slow_call_ns = time_in(window, "slow_call", o.window_slow_call_ns);
        o.window_slow_rate = number_in(window, "slow_rate", o.window_slow_rate);
    }
    return o;
}

bool hgi_recipe_budget(hg_policy **out, const cJSON *json, int64_t attempt_timeout_ns,
                       struct hgi_problem *problem)
{
    const cJSON *budget = cJSON_GetObjectItemCaseSensitive(json, "retry_budget");
    cJSON *mine = cJSON_CreateObject();
    if (budget)
        cJSON_AddItemToObject(mine, "retry_budget", cJSON_Duplicate(budget, true));
    cJSON *naive = cJSON_AddObjectToObject(object_in(mine, "classes"), "naive");
    cJSON_AddStringToObject(naive, "extends", "read");
    cJSON *retry = cJSON_AddObjectToObject(naive, "retry");
    cJSON_AddStringToObject(retry, "extends", "aggressive");
    cJSON_AddNumberToObject(retry, "max_attempts", 7);
    cJSON_AddStringToObject(retry, "jitter", "none");
    put_time(retry, "initial_delay", 1000);
    put_time(retry, "max_delay", 1000);
    put_time(naive, "attempt_timeout", attempt_timeout_ns);
    bool well = parse(out, mine, "the strategy budget", problem);
    cJSON_Delete(mine);
    return well;
}
