/* Section e: the types of failure, what each means by default, each one provoked, and how to test for
 * them. Nothing is forged: every row of the second table is a call that failed. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/example/example.h"

/* What the provocations share: a pool on the server, each attempt made once. */
struct scene {
    struct tour *tour;
    hg_pool *pool;
};

typedef hg_status (*provoke_fn)(struct scene *scene, struct hg_error *err);

/* No connection is made before it is asked for, so the call meets the failure itself. */
static const char once[] = "{ \"pool\": { \"min_idle\": 0 },\n"
                           "  \"classes\": { \"read\": { \"retry\": \"none\" },\n"
                           "                \"write\": { \"retry\": \"none\" } } }";

/* A GET on a pool of its own. */
static hg_status get_elsewhere(struct scene *scene, const char *url, const char *json,
                               struct hg_error *err)
{
    hg_pool *pool = tour_open(scene->tour, url, json, NULL, NULL);
    if (!pool)
        return HG_OK; /* stderr has it; the caller sees that nothing failed as it should */
    hg_status status = hg_command(pool, NULL, err, "GET %s", tour_key(scene->tour, "none"));
    tour_close(pool);
    return status;
}

static hg_status provoke_connection(struct scene *scene, struct hg_error *err)
{
    return get_elsewhere(scene, TOUR_NOWHERE, once, err);
}

static hg_status provoke_exhausted(struct scene *scene, struct hg_error *err)
{
    static const char json[] = "{ \"classes\": { \"read\": { \"retry\": \"conservative\" } },\n"
                               "  \"breaker\": { \"failure_threshold\": 100 } }";
    return get_elsewhere(scene, TOUR_NOWHERE, json, err);
}

static hg_status provoke_timeout(struct scene *scene, struct hg_error *err)
{
    const char *const argv[] = { "BLPOP", tour_key(scene->tour, "none"), "5" };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = 100 * NS_PER_MS;
    return hg_command_argv(scene->pool, &options, NULL, err, 3, (const char **)argv, NULL);
}

static hg_status provoke_validation(struct scene *scene, struct hg_error *err)
{
    return hg_command(scene->pool, NULL, err, "SELECT 1");
}

static hg_status provoke_not_found(struct scene *scene, struct hg_error *err)
{
    cJSON *value;
    hg_status status = hg_json_get(scene->pool, tour_key(scene->tour, "none"), &value, err);
    cJSON_Delete(value);
    return status;
}

static hg_status provoke_serialization(struct scene *scene, struct hg_error *err)
{
    cJSON *value = NULL;
    const char *key = tour_key(scene->tour, "broken");
    hg_status status = hg_command(scene->pool, NULL, err, "SET %s %s", key, "{\"name\": Ada}");
    if (status == HG_OK)
        status = hg_json_get(scene->pool, key, &value, err);
    cJSON_Delete(value);
    return status;
}

/* Its first failure opens the breaker, so the second call is refused without an attempt. */
static hg_status provoke_circuit_open(struct scene *scene, struct hg_error *err)
{
    static const char json[] = "{ \"classes\": { \"read\": { \"retry\": \"none\" } },\n"
                               "  \"breaker\": { \"failure_threshold\": 1 } }";
    hg_pool *pool = tour_open(scene->tour, TOUR_NOWHERE, json, NULL, NULL);
    if (!pool)
        return HG_OK;
    const char *key = tour_key(scene->tour, "none");
    hg_status status = HG_OK;
    for (int i = 0; i < 3 && status != HG_ERR_CIRCUIT_OPEN; i++)
        status = hg_command(pool, NULL, err, "GET %s", key);
    tour_close(pool);
    return status;
}

/* The server's memory is used up: it refuses to store anything now. */
static hg_status provoke_unavailable(struct scene *scene, struct hg_error *err)
{
    struct hgi_private_server *server = scene->tour->server;
    struct hgi_problem problem;
    if (!hgi_private_server_config(server, "maxmemory", "1", &problem)) {
        tour_failed("cannot set maxmemory", problem.text);
        return HG_OK;
    }
    hg_status status =
        hg_command(scene->pool, NULL, err, "SET %s %s", tour_key(scene->tour, "text"), "more");
    if (!hgi_private_server_config(server, "maxmemory", "0", &problem))
        tour_failed("cannot set maxmemory", problem.text);
    return status;
}

/* The pool's only connection is taken, and not given back in time. */
static hg_status provoke_pool_timeout(struct scene *scene, struct hg_error *err)
{
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    hg_lease *first;
    hg_lease *second = NULL;
    hg_pool *pool = tour_open(scene->tour, NULL, "{ \"pool\": { \"max_size\": 1 } }", NULL, NULL);
    if (!pool)
        return HG_OK;
    hg_status status = hg_acquire(pool, &first, NULL, err);
    if (status == HG_OK) {
        options.deadline_ns = 50 * NS_PER_MS;
        status = hg_acquire(pool, &second, &options, err);
    }
    hg_release(second, HG_OK);
    hg_release(first, HG_OK);
    tour_close(pool);
    return status;
}

static hg_status provoke_server(struct scene *scene, struct hg_error *err)
{
    const char *key = tour_key(scene->tour, "word");
    hg_status status = hg_command(scene->pool, NULL, err, "SET %s %s", key, "text");
    return status < 0 ? status : hg_command(scene->pool, NULL, err, "LPUSH %s %s", key, "item");
}

static hg_status log_in(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    (void)arg;
    return hg_lease_command(lease, NULL, attempt->error, "AUTH %s %s", "nobody", "wrong");
}

static hg_status provoke_auth(struct scene *scene, struct hg_error *err)
{
    return hg_call(scene->pool, NULL, log_in, NULL, err);
}

static hg_status provoke_protocol(struct scene *scene, struct hg_error *err)
{
    struct stage_stranger stranger;
    if (!stage_stranger_start(&stranger))
        return HG_OK;
    hg_status status = get_elsewhere(scene, stranger.url, once, err);
    stage_stranger_stop(&stranger);
    return status;
}

/* A thread waits for the only connection while the pool is closed; told so, it gives up the lease. */
struct late {
    hg_pool *pool;
    hg_lease *lease;
    hg_status status;
    struct hg_error *err;
};

static void *come_late(void *arg)
{
    struct late *late = arg;
    late->status = hg_command(late->pool, NULL, late->err, "PING");
    hg_release(late->lease, HG_OK);
    return NULL;
}

static hg_status provoke_closed(struct scene *scene, struct hg_error *err)
{
    static const char json[] = "{ \"pool\": { \"max_size\": 1 },\n"
                               "  \"classes\": { \"connection\": { \"deadline\": \"20s\" },\n"
                               "                \"read\": { \"deadline\": \"20s\" } } }";
    struct late late = { .pool = tour_open(scene->tour, NULL, json, NULL, NULL), .err = err };
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    pthread_t thread;
    hg_status status = HG_OK;
    if (!late.pool)
        return HG_OK;
    status = hg_acquire(late.pool, &late.lease, NULL, err);
    if (status == HG_OK && pthread_create(&thread, NULL, come_late, &late) == 0) {
        for (int i = 0; i < 2000 && stats.waiting == 0; i++) {
            hg_pool_read_stats(late.pool, &stats);
            sleep_until_ns(monotonic_ns() + NS_PER_MS);
        }
        tour_close(late.pool);
        pthread_join(thread, NULL);
        return late.status;
    }
    hg_release(late.lease, HG_OK);
    tour_close(late.pool);
    return status;
}

static const struct provocation {
    hg_status type;
    provoke_fn provoke; /* NULL: not here */
    bool own_server;    /* not with a given one */
    const char *how;
} provocations[] = {
    { HG_ERR_CONNECTION, provoke_connection, false, "GET where nobody listens" },
    { HG_ERR_TIMEOUT, provoke_timeout, false, "BLPOP of an empty list, 100 ms allowed" },
    { HG_ERR_VALIDATION, provoke_validation, false, "SELECT on a shared connection" },
    { HG_ERR_NOT_FOUND, provoke_not_found, false, "hg_json_get of a key that is not there" },
    { HG_ERR_SERIALIZATION, provoke_serialization, false, "hg_json_get of {\"name\": Ada}" },
    { HG_ERR_RETRY_EXHAUSTED, provoke_exhausted, false, "GET where nobody listens, retried" },
    { HG_ERR_CIRCUIT_OPEN, provoke_circuit_open, false, "GET once more, threshold 1" },
    { HG_ERR_UNAVAILABLE, provoke_unavailable, true, "SET while the server has no memory" },
    { HG_ERR_POOL_TIMEOUT, provoke_pool_timeout, false, "a second lease of one connection" },
    { HG_ERR_SERVER, provoke_server, false, "LPUSH to a string" },
    { HG_ERR_AUTH, provoke_auth, true, "AUTH nobody" },
    { HG_ERR_PROTOCOL, provoke_protocol, false, "GET from a mail server" },
    { HG_ERR_CLOSED, provoke_closed, false, "PING while the pool closes" },
    { HG_ERR_NO_MEMORY, NULL, false, "an allocation failed (not provoked here)" },
};

enum { TYPES = sizeof provocations / sizeof provocations[0] };

static void show_defaults(const struct tour *tour)
{
    struct hgi_table table = { .left = { [2] = true, [3] = true } };
    const char *const heading[] = { "type", "number", "severity", "recovery" };
    show_step(tour, "The types, and what they mean unless the policy says otherwise");
    for (size_t c = 0; c < sizeof heading / sizeof heading[0]; c++)
        hgi_table_set(&table, 0, c, "%s", heading[c]);
    for (size_t i = 0; i < TYPES; i++) {
        hg_status type = provocations[i].type;
        hgi_table_set(&table, i + 1, 0, "%s", hg_status_name(type));
        hgi_table_set(&table, i + 1, 1, "%d", (int)type);
        hgi_table_set(&table, i + 1, 2, "%s", hg_severity_name(hg_status_severity(type)));
        hgi_table_set(&table, i + 1, 3, "%s", hg_recovery_name(hg_status_recovery(type)));
    }
    hgi_table_print(&table, stdout, tour->colour);
}

static void add_row(struct hgi_table *table, const struct provocation *provocation,
                    hg_status status, const struct hg_error *err)
{
    size_t row = table->rows;
    hgi_table_set(table, row, 0, "%s", provocation->how);
    hgi_table_set(table, row, 1, "%s", hg_status_name(status));
    hgi_table_set(table, row, 2, "%s", err->server_code[0] ? err->server_code : "-");
    hgi_table_set(table, row, 3, "%s", hg_severity_name(err->severity));
    hgi_table_set(table, row, 4, "%s", hg_recovery_name(err->recovery));
    hgi_table_set(table, row, 5, "%s", hg_outcome_name(err->outcome));
    hgi_table_set(table, row, 6, "%s", hg_error_is(err, provocation->type) ? "yes" : "no");
}

static bool provoke_all(struct scene *scene, struct hg_error errors[TYPES])
{
    struct hgi_table table = { 0 };
    memset(table.left, true, sizeof table.left);
    const char *const heading[] = { "call",     "type",    "code",       "severity",
                                    "recovery", "outcome", "hg_error_is" };
    bool well = true;
    for (size_t c = 0; c < sizeof heading / sizeof heading[0]; c++)
        hgi_table_set(&table, 0, c, "%s", heading[c]);
    for (size_t i = 0; i < TYPES; i++) {
        const struct provocation *provocation = &provocations[i];
        if (!provocation->provoke || (provocation->own_server && !scene->tour->server))
            continue;
        hg_status status = provocation->provoke(scene, &errors[i]);
        add_row(&table, provocation, status, &errors[i]);
        if (status != provocation->type)
            well = tour_failed(provocation->how, status < 0 ? errors[i].message : "no failure");
    }
    show_step(scene->tour, "Each one provoked");
    hgi_table_print(&table, stdout, scene->tour->colour);
    show_step(scene->tour, "What they say");
    for (size_t i = 0; i < TYPES; i++)
        if (errors[i].type < 0)
            printf("    %-16s%s\n", hg_status_name(errors[i].type), errors[i].message);
    return well;
}

static const char *answer(bool yes)
{
    return yes ? "true" : "false";
}

/* RETRY_EXHAUSTED says how the call ended, its cause how the last attempt did; hg_error_is() knows
 * both, so that a handler for lost connections need not care which. */
static void show_checks(const struct tour *tour, const struct hg_error *exhausted)
{
    static const hg_status asked[] = { HG_ERR_RETRY_EXHAUSTED, HG_ERR_CONNECTION, HG_ERR_TIMEOUT };
    show_step(tour, "Type checks on the error of the exhausted call");
    show_fact("", "err.type = %s, err.cause = %s", hg_status_name(exhausted->type),
              hg_status_name(exhausted->cause));
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        show_fact("", "hg_error_is(&err, HG_ERR_%s) = %s", hg_status_name(asked[i]),
                  answer(hg_error_is(exhausted, asked[i])));
}

bool tour_errors(struct tour *tour)
{
    struct scene scene = { .tour = tour };
    static struct hg_error errors[TYPES];
    show_section(tour, 'e', "Types of failure, severities, type checks");
    show_text("A call's status is its channel of failure: below 0 it failed, and the number is the "
              "type. The caller's struct hg_error says the rest.");
    show_defaults(tour);
    scene.pool = tour_open(tour, NULL, once, NULL, NULL);
    if (!scene.pool)
        return false;
    bool well = provoke_all(&scene, errors);
    for (size_t i = 0; i < TYPES; i++)
        if (provocations[i].type == HG_ERR_RETRY_EXHAUSTED)
            show_checks(tour, &errors[i]);
    tour_close(scene.pool);
    return well;
}
