/* Section b: calls that end well, and where their time went: at the first attempt, or after a server
 * was stopped, paused or busy. And the other two ways to call: JSON values, and a transaction. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/histogram.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/example/example.h"

enum { ROUNDS = 1000 };

static void heading(struct hgi_table *table, const char *first)
{
    const char *const names[] = { first,      "attempts", "total",  "queue",
                                  "dialling", "server",   "backoff" };
    *table = (struct hgi_table) { 0 };
    for (size_t c = 0; c < sizeof names / sizeof names[0]; c++)
        hgi_table_set(table, 0, c, "%s", names[c]);
}

static void add_row(struct hgi_table *table, const char *what, const struct hg_trace *trace)
{
    const int64_t times_ns[] = { trace->elapsed_ns, trace->queue_ns, trace->dial_ns,
                                 trace->server_ns, trace->backoff_ns };
    size_t row = table->rows;
    char text[24];
    hgi_table_set(table, row, 0, "%s", what);
    hgi_table_set(table, row, 1, "%" PRIu32, trace->attempts);
    for (size_t i = 0; i < sizeof times_ns / sizeof times_ns[0]; i++)
        hgi_table_set(table, row, 2 + i, "%s", show_time(text, sizeof text, times_ns[i]));
}

/* One call, as a row. */
static bool measure(hg_pool *pool, struct hgi_table *table, const char *what,
                    const char *const *arguments)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_trace trace = HG_TRACE_INIT;
    redisReply *reply;
    hg_status status = tour_command(pool, &reply, &trace, &err, arguments);
    freeReplyObject(reply);
    if (status != HG_OK)
        return tour_failed(what, err.message);
    add_row(table, what, &trace);
    return true;
}

static bool first_attempts(struct tour *tour, hg_pool *pool)
{
    static char large[64 * 1024 + 1];
    const char *text = tour_key(tour, "text");
    const char *hash = tour_key(tour, "hash");
    const char *const set[] = { "SET", text, "hello, herd", "PX", "60000", NULL };
    const char *const get[] = { "GET", text, NULL };
    const char *const hset[] = { "HSET", hash, "name", "Ada", "year", "1815", NULL };
    const char *const hgetall[] = { "HGETALL", hash, NULL };
    const char *const set_large[] = { "SET", tour_key(tour, "large"), large, NULL };
    struct hgi_table table;
    memset(large, 'x', sizeof large - 1);
    show_step(tour, "At the first attempt");
    show_text("The pool was opened a moment ago, so the first call may wait for the first "
              "connection to be made; the others find it idle.");
    heading(&table, "command");
    bool well = measure(pool, &table, "SET", set) && measure(pool, &table, "GET", get) &&
                measure(pool, &table, "HSET", hset) && measure(pool, &table, "HGETALL", hgetall) &&
                measure(pool, &table, "SET, 64 KiB", set_large);
    hgi_table_print(&table, stdout, tour->colour);
    return well;
}

static bool many(const struct tour *tour, hg_pool *pool, const char *key)
{
    static struct hgi_histogram histogram;
    struct hg_error err = HG_ERROR_INIT;
    char text[3][24];
    memset(&histogram, 0, sizeof histogram);
    show_step(tour, "%d times GET, one after the other", ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        redisReply *reply;
        int64_t began_ns = monotonic_ns();
        if (hg_command(pool, &reply, &err, "GET %s", key) < 0)
            return tour_failed("GET", err.message);
        hgi_histogram_add(&histogram, monotonic_ns() - began_ns);
        freeReplyObject(reply);
    }
    show_fact("time", "median %s, 99 %% within %s, longest %s",
              hgi_format_latency(text[0], sizeof text[0], hgi_histogram_percentile(&histogram, 50)),
              hgi_format_latency(text[1], sizeof text[1], hgi_histogram_percentile(&histogram, 99)),
              hgi_format_latency(text[2], sizeof text[2], histogram.max));
    return true;
}

static bool json_values(struct tour *tour, hg_pool *pool)
{
    const char *key = tour_key(tour, "user:7");
    struct hg_error err = HG_ERROR_INIT;
    cJSON *found = NULL;
    char *text = NULL;
    show_step(tour, "JSON values: hg_json_set and hg_json_get");
    cJSON *user = cJSON_Parse("{\"name\":\"Ada\",\"roles\":[\"admin\",\"author\"]}");
    bool well = user && hg_json_set(pool, key, user, 60 * NS_PER_S, &err) == HG_OK &&
                hg_json_get(pool, key, &found, &err) == HG_OK;
    if (well) {
        text = cJSON_PrintUnformatted(found);
        show_fact("stored", "%s, for 60 s", text ? text : "?");
        show_fact("read", "name = %s",
                  cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(found, "name")));
    } else {
        tour_failed("a JSON value", err.message);
    }
    cJSON_free(text);
    cJSON_Delete(found);
    cJSON_Delete(user);
    return well;
}

/* What transfer() works on, and what came of it. */
struct transfer {
    const char *from;
    const char *to;
    long long balance[2];
};

/* Pipelined: four commands leave together, then four replies are read. The status of the command that
 * failed is the function's, so the library knows what it must not run again. */
static hg_status transfer(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    struct transfer *work = arg;
    struct hg_error *err = attempt->error;
    hg_status status = hg_lease_append(lease, err, "MULTI");
    if (status == HG_OK)
        status = hg_lease_append(lease, err, "DECRBY %s 30", work->from);
    if (status == HG_OK)
        status = hg_lease_append(lease, err, "INCRBY %s 30", work->to);
    if (status == HG_OK)
        status = hg_lease_append(lease, err, "EXEC");
    for (int i = 0; i < 3 && status == HG_OK; i++)
        status = hg_lease_reply(lease, NULL, err); /* OK, QUEUED, QUEUED */
    if (status != HG_OK)
        return status;
    redisReply *reply;
    status = hg_lease_reply(lease, &reply, err);
    if (status == HG_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        work->balance[0] = reply->element[0]->integer;
        work->balance[1] = reply->element[1]->integer;
    }
    freeReplyObject(reply);
    return status;
}

static bool transaction(struct tour *tour, hg_pool *pool)
{
    struct transfer work = { .from = tour_key(tour, "{account}:1"),
                             .to = tour_key(tour, "{account}:2") };
    struct hg_error err = HG_ERROR_INIT;
    struct hg_trace trace = HG_TRACE_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.op_class = "transaction";
    options.key = work.from;
    options.trace = &trace;
    show_step(tour, "A transaction: hg_call with MULTI .. EXEC in one pipeline");
    hg_status status = hg_call(pool, &options, transfer, &work, &err);
    if (status != HG_OK)
        return tour_failed("the transaction", err.message);
    show_fact("balances", "%lld and %lld", work.balance[0], work.balance[1]);
    show_result(status, &err);
    show_trace(&trace);
    return true;
}

/* A GET during a fault that is already there; `stage` ends it, or time does. */
static bool get_through(const char *key, const char *fault, hg_pool *pool, struct hgi_table *table)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_trace trace = HG_TRACE_INIT;
    const char *const get[] = { "GET", key, NULL };
    hg_status status = tour_command(pool, NULL, &trace, &err, get);
    if (status != HG_OK)
        return tour_failed(fault, err.message);
    show_result(status, &err);
    show_trace(&trace);
    add_row(table, fault, &trace);
    return true;
}

/* Policy of the calls below: each attempt has 150 ms. Section d shows the breaker at work; here it counts
 * so far that it stays closed, however slow the machine is. */
static const char patient[] =
    "{ \"breaker\": { \"failure_threshold\": 100 },\n"
    "  \"classes\": { \"read\": { \"retry\": \"fast\", \"attempt_timeout\": \"150ms\",\n"
    "                           \"deadline\": \"20s\" } } }";

static bool after_retries(struct tour *tour)
{
    const char *key = tour_key(tour, "text");
    struct stage stage = { .server = tour->server };
    struct hgi_table table;
    bool well = false;
    heading(&table, "GET while the server");
    show_step(tour, "For comparison: the server is well");
    hg_pool *pool = tour_open(tour, NULL, patient, stage_log, &stage);
    if (!pool || !get_through(key, "is well", pool, &table))
        goto out;

    show_step(tour, "After retries: the server is paused, and resumed before attempt 2");
    stage.cure = STAGE_RESUME;
    stage.before = 2;
    hgi_private_server_pause(tour->server);
    if (!get_through(key, "is paused", pool, &table))
        goto out;

    show_step(tour, "After retries: the server is stopped, and started again before attempt 3");
    stage.cure = STAGE_RESTART;
    stage.before = 3;
    hgi_private_server_stop(tour->server);
    if (!get_through(key, "is stopped", pool, &table))
        goto out;

    show_step(tour, "After waiting: the server is busy with a script, killed after 0.5 s");
    stage.before = 0;
    struct stage_later later;
    if (!stage_make_busy(tour->server) ||
        !stage_mend_later(&later, tour->server, STAGE_KILL_SCRIPT, 500 * NS_PER_MS))
        goto out;
    well = get_through(key, "is busy", pool, &table);
    well = stage_join(&later) && well;
    if (!well)
        goto out;
    show_step(tour, "Side by side");
    hgi_table_print(&table, stdout, tour->colour);
    well = !stage.failed;
out:
    tour_close(pool);
    return well;
}

bool tour_successes(struct tour *tour)
{
    show_section(tour, 'b', "Calls that end well, and where their time went");
    hg_pool *pool = tour_open(tour, NULL, "{}", NULL, NULL);
    if (!pool)
        return false;
    bool well = first_attempts(tour, pool) && many(tour, pool, tour_key(tour, "text")) &&
                json_values(tour, pool) && transaction(tour, pool);
    tour_close(pool);
    return well && (!tour->server || after_retries(tour));
}
