/* What the pool's tests share. */
#include "tests/pool/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "breaker/clock.h"

enum { WAIT_S = 60 }; /* more than any machine needs */

_Noreturn void requirement_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    exit(1);
}

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

struct hgi_private_server *start_server(void)
{
    struct hgi_private_server *server;
    struct hgi_problem problem;
    if (!hgi_private_server_start(&server, NULL, &problem))
        give_up("cannot start a server", problem.text);
    return server;
}

/* The text, with a patient connect_timeout if it has none: the usual second is less than a busy machine
 * may take to accept a connection. */
static char *patient(const char *json)
{
    cJSON *root = cJSON_Parse(json);
    cJSON *settings = cJSON_GetObjectItem(root, "pool");
    if (!root)
        give_up("policy", json);
    if (!settings)
        settings = cJSON_AddObjectToObject(root, "pool");
    if (!cJSON_HasObjectItem(settings, "connect_timeout"))
        cJSON_AddStringToObject(settings, "connect_timeout", "60s");
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

hg_policy *parse_policy(const char *json)
{
    hg_policy *policy;
    struct hg_error err = HG_ERROR_INIT;
    char *text = patient(json);
    if (hg_policy_parse(&policy, text, strlen(text), "test", &err) < 0)
        give_up("policy", err.message);
    cJSON_free(text);
    return policy;
}

hg_pool *open_pool_with(const struct hg_pool_options *options, const char *json)
{
    hg_policy *policy = parse_policy(json);
    hg_pool *pool;
    struct hg_error err = HG_ERROR_INIT;
    if (hg_pool_open(&pool, options, policy, &err) < 0)
        give_up("pool", err.message);
    hg_policy_drop(policy);
    return pool;
}

hg_pool *open_pool(const char *url, const char *json)
{
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = url;
    return open_pool_with(&options, json);
}

void close_pool(hg_pool *pool)
{
    struct hg_error err = HG_ERROR_INIT;
    if (hg_pool_close(pool, 20 * HGI_NS_PER_S, &err) < 0)
        give_up("closing the pool", err.message);
}

void wait_for(bool (*holds)(void *arg), void *arg, const char *what)
{
    const char *patience = getenv("HERDGATE_TEST_PATIENCE"); /* of who expects it to be in vain */
    int64_t seconds = patience ? strtoll(patience, NULL, 10) : WAIT_S;
    int64_t end_ns = hgi_now_ns() + seconds * HGI_NS_PER_S;
    while (!holds(arg)) {
        if (hgi_now_ns() >= end_ns)
            give_up("waited in vain", what);
        sleep_ms(1);
    }
}

void sleep_ms(unsigned ms)
{
    hgi_sleep_until(hgi_now_ns() + (int64_t)ms * HGI_NS_PER_MS);
}
