/* Cached JSON values: GET and parse, print and SET. */
#include <herdgate/pool.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "policy/json.h"

static hg_status not_json(struct hg_error *err, const char *key, const char *what, size_t offset)
{
    hgi_error_set(err, HG_ERR_SERIALIZATION, "%s at byte %zu", what, offset);
    if (err) {
        hgi_copy_text(err->operation, sizeof err->operation, "GET");
        hgi_error_set_key(err, key, strlen(key));
        err->outcome = HG_OUTCOME_EXECUTED;
        err->timestamp_ns = hgi_wall_ns();
        err->attempt = err->max_attempts = 1;
    }
    return HG_ERR_SERIALIZATION;
}

hg_status hg_json_get(hg_pool *pool, const char *key, struct cJSON **out, struct hg_error *err)
{
    if (out)
        *out = NULL;
    if (!key || !out)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_json_get: %s is NULL; give one",
                             key ? "out" : "key");
    const char *argv[] = { "GET", key };
    redisReply *reply;
    hg_status status = hg_command_argv(pool, NULL, &reply, err, 2, argv, NULL);
    if (status != HG_OK)
        return status;
    if (reply->type == REDIS_REPLY_NIL) {
        status = HG_ERR_NOT_FOUND;
        hgi_error_message(err, "there is no value under this key");
    } else if (reply->type != REDIS_REPLY_STRING) {
        status = not_json(err, key, "the reply is not a string; JSON was expected", 0);
    } else {
        size_t offset = 0;
        *out = hgi_json_parse(reply->str, reply->len, &offset);
        if (!*out)
            status = not_json(err, key, "the value is not valid JSON, or out of memory", offset);
    }
    freeReplyObject(reply);
    return status;
}

hg_status hg_json_set(hg_pool *pool, const char *key, const struct cJSON *value, int64_t ttl_ns,
                      struct hg_error *err)
{
    if (!key || !value)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_json_set: %s is NULL; give one",
                             key ? "value" : "key");
    if (ttl_ns < 0)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "hg_json_set: the time to live is %lld ns; give a positive one, or 0 "
                             "for none",
                             (long long)ttl_ns);
    char *text = cJSON_PrintUnformatted(value);
    if (!text)
        return hgi_error_set(err, HG_ERR_SERIALIZATION,
                             "the value cannot be printed as JSON: an invalid item, or out of "
                             "memory");
    char ttl_ms[24];
    int64_t rounded_ms = ttl_ns / HGI_NS_PER_MS + (ttl_ns % HGI_NS_PER_MS != 0);
    snprintf(ttl_ms, sizeof ttl_ms, "%lld", (long long)rounded_ms);
    const char *argv[] = { "SET", key, text, "PX", ttl_ms };
    hg_status status = hg_command_argv(pool, NULL, NULL, err, ttl_ns > 0 ? 5 : 3, argv, NULL);
    cJSON_free(text);
    return status;
}
