/* Section a: each retry preset against a server that is stopped, and comes back before the last
 * attempt; and what is left when it does not. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/example/example.h"

/* INCR is the command that must not run twice. It is retried here all the same, because every failed
 * attempt is proven not to have been sent: the value is 1 afterwards. The breaker would open after five
 * failures and end the call; it has sections of its own, so its threshold is out of reach. */
static hg_pool *open_pool(const struct tour *tour, const char *preset, hg_log_fn log, void *arg)
{
    char json[256];
    snprintf(json, sizeof json,
             "{ \"classes\": { \"write_once\": { \"retry\": \"%s\", \"deadline\": \"20s\" } },\n"
             "  \"breaker\": { \"failure_threshold\": 100 } }",
             preset);
    return tour_open(tour, NULL, json, log, arg);
}

/* Call while the server is stopped; a stage with a `before` brings it back. */
static bool call_during_outage(struct tour *tour, const char *preset, struct stage *stage)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_trace trace = HG_TRACE_INIT;
    redisReply *reply = NULL;
    bool well = true;
    const char *const increment[] = { "INCR", tour_key(tour, "counter"), NULL };
    hg_pool *pool = open_pool(tour, preset, stage_log, stage);
    if (!pool)
        return false;
    if (hg_command(pool, NULL, &err, "PING") < 0) { /* the pool is connected, then it loses all */
        well = tour_failed("PING", err.message);
        goto out;
    }
    hgi_private_server_stop(stage->server);
    hg_status status = tour_command(pool, &reply, &trace, &err, increment);
    show_result(status, &err);
    if (status == HG_OK)
        show_fact("value", "%lld: it ran once", reply->integer);
    else
        show_fact("cause", "%s; stopped by: %s; severity %s", hg_status_name(err.cause),
                  hg_stop_reason_name(err.stop_reason), hg_severity_name(err.severity));
    show_trace(&trace);
    if (stage->before > 0 && (stage->failed || status != HG_OK))
        well = tour_failed("the call during an outage", err.message);
out:
    freeReplyObject(reply);
    tour_close(pool);
    return well;
}

static bool show_preset(struct tour *tour, const char *preset)
{
    struct hg_retry retry = HG_RETRY_INIT;
    struct hg_error err = HG_ERROR_INIT;
    if (hg_retry_preset(&retry, preset, &err) < 0)
        return tour_failed("the preset", err.message);
    show_step(tour, "%s: the server is stopped, and back before attempt %" PRIu32, preset,
              retry.max_attempts);
    struct stage stage = { .server = tour->server,
                           .cure = STAGE_RESTART,
                           .before = retry.max_attempts };
    return call_during_outage(tour, preset, &stage);
}

bool tour_presets(struct tour *tour)
{
    show_section(tour, 'a', "Three presets, three outages");
    show_text(
        "A policy names a preset for each class of operations. Here is one call of INCR under "
        "each, made just after the server was stopped. The pool's threads do the dialling; "
        "the caller waits in the queue and between attempts.");
    if (!show_preset(tour, "conservative") || !show_preset(tour, "aggressive") ||
        !show_preset(tour, "fast"))
        return false;
    show_step(tour, "conservative again: the server stays down");
    struct stage stage = { .server = tour->server };
    return call_during_outage(tour, "conservative", &stage) &&
           stage_mend(tour->server, STAGE_RESTART);
}
