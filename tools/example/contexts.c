/* Section f: what is known of a call that failed, field by field, for three that failed in different
 * ways; and one way to log it. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/example/example.h"

enum { CASES = 3 };

/* Wall clock, nanoseconds since 1970, as 2024-05-01T12:34:56.789Z. */
static const char *format_time(char *out, size_t size, int64_t ns)
{
    char seconds[32];
    struct tm parts;
    time_t whole = (time_t)(ns / NS_PER_S);
    if (!gmtime_r(&whole, &parts) ||
        strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        snprintf(seconds, sizeof seconds, "?");
    snprintf(out, size, "%s.%03dZ", seconds, (int)(ns % NS_PER_S / NS_PER_MS));
    return out;
}

static void fill_column(struct hgi_table *table, size_t column, const struct hg_error *err)
{
    char text[40];
    size_t row = 1;
    hgi_table_set(table, row++, column, "%s", hg_status_name(err->type));
    hgi_table_set(table, row++, column, "%s", err->cause ? hg_status_name(err->cause) : "-");
    hgi_table_set(table, row++, column, "%s", hg_severity_name(err->severity));
    hgi_table_set(table, row++, column, "%s", hg_recovery_name(err->recovery));
    hgi_table_set(table, row++, column, "%s", hg_outcome_name(err->outcome));
    hgi_table_set(table, row++, column, "%s", hg_stop_reason_name(err->stop_reason));
    hgi_table_set(table, row++, column, "%s", err->operation);
    hgi_table_set(table, row++, column, "%s", err->key);
    hgi_table_set(table, row++, column, "%" PRIu32, err->attempt);
    hgi_table_set(table, row++, column, "%" PRIu32, err->max_attempts);
    const int64_t times_ns[] = { err->elapsed_ns, err->queue_ns, err->dial_ns, err->server_ns,
                                 err->backoff_ns };
    for (size_t i = 0; i < sizeof times_ns / sizeof times_ns[0]; i++)
        hgi_table_set(table, row++, column, "%s", show_time(text, sizeof text, times_ns[i]));
    hgi_table_set(table, row++, column, "%s", format_time(text, sizeof text, err->timestamp_ns));
    hgi_table_set(table, row++, column, "%s", err->endpoint);
    hgi_table_set(table, row++, column, "%d", (int)err->sys_errno);
    hgi_table_set(table, row++, column, "%s", err->server_code[0] ? err->server_code : "-");
}

/* The fields' names, in the order of fill_column(). */
static void fill_names(struct hgi_table *table)
{
    static const char *const names[] = {
        "field",        "type",         "cause",     "severity",  "recovery",
        "outcome",      "stop_reason",  "operation", "key",       "attempt",
        "max_attempts", "elapsed_ns",   "queue_ns",  "dial_ns",   "server_ns",
        "backoff_ns",   "timestamp_ns", "endpoint",  "sys_errno", "server_code"
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        hgi_table_set(table, i, 0, "%s", names[i]);
}

/* Nobody listens there: every attempt fails, none was sent. */
static bool unreachable(struct tour *tour, struct hg_error *err)
{
    static const char json[] =
        "{ \"classes\": { \"write_once\": { \"retry\": \"conservative\" } },\n"
        "  \"breaker\": { \"failure_threshold\": 100 } }";
    const char *const increment[] = { "INCR", tour_key(tour, "hits"), NULL };
    hg_pool *pool = tour_open(tour, TOUR_NOWHERE, json, NULL, NULL);
    if (!pool)
        return false;
    hg_status status = tour_command(pool, NULL, NULL, err, increment);
    tour_close(pool);
    return status < 0;
}

/* The server got it and did not answer in time: it may have run, so it is not sent again. The server
 * is paused; a given one is asked to wait longer than the call may last. */
static bool unanswered(struct tour *tour, struct hg_error *err)
{
    static const char json[] =
        "{ \"classes\": { \"write_once\": { \"attempt_timeout\": \"150ms\" } } }";
    const char *argv[] = { "INCR", tour_key(tour, "hits"), NULL };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    int argc = 2;
    hg_pool *pool = tour_open(tour, NULL, json, NULL, NULL);
    if (!pool)
        return false;
    bool well = hg_command(pool, NULL, err, "PING") == HG_OK; /* connected, before the fault */
    if (tour->server) {
        hgi_private_server_pause(tour->server);
    } else {
        argv[0] = "BLPOP";
        argv[2] = "5";
        argc = 3;
        options.deadline_ns = 150 * NS_PER_MS;
    }
    well = well && hg_command_argv(pool, &options, NULL, err, argc, argv, NULL) < 0;
    if (tour->server)
        hgi_private_server_resume(tour->server);
    tour_close(pool);
    return well;
}

/* The server answered, with an error. */
static bool refused(struct tour *tour, struct hg_error *err)
{
    const char *key = tour_key(tour, "list");
    const char *const push[] = { "RPUSH", key, "one", NULL };
    const char *const increment[] = { "INCR", key, NULL };
    hg_pool *pool = tour_open(tour, NULL, "{}", NULL, NULL);
    bool well = pool && tour_command(pool, NULL, NULL, err, push) == HG_OK &&
                tour_command(pool, NULL, NULL, err, increment) < 0;
    tour_close(pool);
    return well;
}

/* One line that says it all: for your own log. */
static void log_line(const struct hg_error *err)
{
    printf("    %s: %s %s failed at attempt %" PRIu32 "/%" PRIu32
           " after %.1f ms (%s, stopped by %s): %s\n",
           hg_severity_name(err->severity), err->operation, err->key, err->attempt,
           err->max_attempts, (double)err->elapsed_ns / 1e6, hg_outcome_name(err->outcome),
           hg_stop_reason_name(err->stop_reason), err->message);
}

bool tour_contexts(struct tour *tour)
{
    static bool (*const provoke[CASES])(struct tour *, struct hg_error *) = { unreachable,
                                                                              unanswered, refused };
    static const char *const names[CASES] = { "unreachable", "unanswered", "refused" };
    struct hg_error err[CASES] = { HG_ERROR_INIT, HG_ERROR_INIT, HG_ERROR_INIT };
    struct hgi_table table = { .left = { true, true, true, true } };
    show_section(tour, 'f', "The context of an error");
    show_text("Every failure fills the caller's struct hg_error: 1 KiB, no allocation, nothing to "
              "free. The outcome decides what may be done: not_sent and rejected did not run; "
              "unknown may have run, or may still run.");
    putchar('\n');
    fill_names(&table);
    for (size_t i = 0; i < CASES; i++) {
        if (!provoke[i](tour, &err[i]))
            return tour_failed(names[i], err[i].type < 0 ? err[i].message : "the call succeeded");
        hgi_table_set(&table, 0, i + 1, "%s", names[i]);
        fill_column(&table, i + 1, &err[i]);
    }
    hgi_table_print(&table, stdout, tour->colour);
    show_step(tour, "The same as log lines");
    for (size_t i = 0; i < CASES; i++)
        log_line(&err[i]);
    return true;
}
