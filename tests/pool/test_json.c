/* Cached JSON values. */
#include <criterion/criterion.h>

#include <cjson/cJSON.h>
#include <string.h>

#include "breaker/clock.h"
#include "tests/pool/support.h"

static struct hgi_private_server *server;
static hg_pool *pool;

static void set_up(void)
{
    server = start_server();
    pool = open_pool(hgi_private_server_url(server), "{}");
}

static void tear_down(void)
{
    close_pool(pool);
    hgi_private_server_free(server);
}

TestSuite(json, .init = set_up, .fini = tear_down, .timeout = 60);

Test(json, what_was_set_is_got)
{
    cJSON *value = cJSON_Parse("{\"name\": \"Ada\", \"scores\": [1, 2.5, null]}");
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_json_set(pool, "user:1", value, 0, &err), HG_OK, "%s", err.message);
    cJSON *got;
    cr_assert_eq(hg_json_get(pool, "user:1", &got, &err), HG_OK, "%s", err.message);
    cr_assert(cJSON_Compare(value, got, true));
    cJSON_Delete(value);
    cJSON_Delete(got);
}

Test(json, a_miss_is_not_found)
{
    cJSON *got;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_json_get(pool, "user:2", &got, &err), HG_ERR_NOT_FOUND);
    cr_assert_null(got);
    cr_assert_eq(err.type, HG_ERR_NOT_FOUND);
    cr_assert_str_eq(err.key, "user:2");
}

Test(json, a_value_that_is_not_json_is_serialization_with_its_place)
{
    cr_assert_eq(hg_command(pool, NULL, NULL, "SET %s %s", "bad", "{\"a\": tru}"), HG_OK);
    cJSON *got;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_json_get(pool, "bad", &got, &err), HG_ERR_SERIALIZATION);
    cr_assert_eq(err.type, HG_ERR_SERIALIZATION);
    cr_assert_not_null(strstr(err.message, "at byte 6"), "%s", err.message);
    cr_assert_str_eq(err.key, "bad");
}

Test(json, the_time_to_live_is_rounded_up_to_a_millisecond)
{
    cJSON *value = cJSON_CreateTrue();
    cr_assert_eq(hg_json_set(pool, "k", value, 90 * HGI_NS_PER_S + 1, NULL), HG_OK);
    redisReply *reply;
    cr_assert_eq(hg_command(pool, &reply, NULL, "PTTL k"), HG_OK);
    cr_assert_gt(reply->integer, 0);
    cr_assert_leq(reply->integer, 90001);
    freeReplyObject(reply);
    cr_assert_eq(hg_json_set(pool, "k", value, -1, NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_json_set(pool, "k", NULL, 0, NULL), HG_ERR_VALIDATION);
    cJSON_Delete(value);
}
