/* Calls without a pool: a raw hiredis connection per thread, redialled when it fails, with the parts
 * of a policy that the strategy names. What people write by hand.
 */
#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/load.h"

static struct timeval as_timeval(int64_t ns)
{
    if (ns < NS_PER_MS) /* zero would mean no limit */
        ns = NS_PER_MS;
    return (struct timeval) { .tv_sec = (time_t)(ns / NS_PER_S),
                              .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US) };
}

static void hang_up(struct hgi_caller *caller)
{
    redisFree(caller->raw);
    caller->raw = NULL;
}

hg_status hgi_caller_connect(struct hgi_caller *caller, int64_t limit_ns)
{
    caller->raw = redisConnectUnixWithTimeout(caller->load->socket, as_timeval(limit_ns));
    caller->raw_timeout_ns = 0;
    caller->raw_dialled_ns = 0;
    if (caller->raw && !caller->raw->err)
        return HG_OK;
    if (caller->raw)
        hang_up(caller);
    return HG_ERR_CONNECTION;
}

static hg_status dial(struct hgi_caller *caller, int64_t limit_ns)
{
    struct hgi_load *load = caller->load;
    int64_t now_ns = monotonic_ns();
    hgi_load_attempt(load, now_ns, true);
    hg_status status = hgi_caller_connect(caller, limit_ns);
    if (status < 0)
        hgi_load_wasted(load, now_ns);
    else
        caller->raw_dialled_ns = now_ns;
    return status;
}

/* One try: a connection if there is none, and the command over it. */
static hg_status try_once(struct hgi_caller *caller, const struct hgi_command *command,
                          int64_t limit_ns, redisReply **reply, bool *unknown)
{
    struct hgi_load *load = caller->load;
    if (!caller->raw && dial(caller, limit_ns) < 0)
        return HG_ERR_CONNECTION;
    if (caller->raw_timeout_ns != limit_ns) {
        redisSetTimeout(caller->raw, as_timeval(limit_ns));
        caller->raw_timeout_ns = limit_ns;
    }
    int64_t now_ns = monotonic_ns();
    hgi_load_attempt(load, now_ns, false);
    errno = 0;
    *reply =
        redisCommandArgv(caller->raw, command->argc, (const char **)command->argv, command->length);
    if (!*reply) {
        bool late = caller->raw->err == REDIS_ERR_IO && errno == EAGAIN;
        *unknown = true;
        hgi_load_wasted(load, now_ns);
        if (caller->raw_dialled_ns)
            hgi_load_wasted(load, caller->raw_dialled_ns);
        hang_up(caller);
        return late ? HG_ERR_TIMEOUT : HG_ERR_CONNECTION;
    }
    caller->raw_dialled_ns = 0;
    if ((*reply)->type != REDIS_REPLY_ERROR)
        return HG_OK;
    hg_status status =
        strncmp((*reply)->str, "LOADING", 7) == 0 ? HG_ERR_UNAVAILABLE : HG_ERR_SERVER;
    hgi_load_wasted(load, now_ns);
    freeReplyObject(*reply);
    *reply = NULL;
    return status;
}

/* What one permit of the breaker covers. A connection that died since its last use says nothing of the
 * server now, so it is replaced under the same permit, as in a client that reconnects by itself: else
 * every thread's dead connection would fail a probe, and open the breaker again, long after the server
 * is back. */
static hg_status try_fresh(struct hgi_caller *caller, const struct hgi_command *command,
                           int64_t limit_ns, redisReply **reply, bool *unknown)
{
    bool used = caller->raw != NULL;
    hg_status status = try_once(caller, command, limit_ns, reply, unknown);
    if (used && status == HG_ERR_CONNECTION)
        status = try_once(caller, command, limit_ns, reply, unknown);
    return status;
}

/* The pause before retry n. */
static int64_t delay_of(struct hgi_caller *caller, uint32_t n)
{
    struct hg_retry retry;
    enum hgi_strategy strategy = caller->load->strategy;
    if ((strategy != HGI_STRATEGY_BACKOFF && strategy != HGI_STRATEGY_JITTER) ||
        hg_retry_preset(&retry, "aggressive", NULL) < 0)
        return 0;
    retry.jitter = strategy == HGI_STRATEGY_JITTER ? HG_JITTER_FULL : HG_JITTER_NONE;
    double unit = random_unit(&caller->jitter);
    if (caller->draws.count < HGI_DRAWS_MAX)
        caller->draws.unit[caller->draws.count++] = unit;
    return hg_retry_delay_jittered(&retry, n, 0, unit);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* hg_run() around the tries: what the strategy "budget" is made of. */
struct run {
    struct hgi_caller *caller;
    const struct hgi_command *command;
    redisReply **reply;
    bool *unknown;
};

static hg_status run_try(void *arg, struct hg_attempt *attempt)
{
    struct run *run = arg;
    return try_once(run->caller, run->command, attempt->deadline_ns - monotonic_ns(), run->reply,
                    run->unknown);
}

static hg_status call_with_budget(struct hgi_caller *caller, const struct hgi_command *command,
                                  redisReply **reply, bool *unknown)
{
    struct run run = { caller, command, reply, unknown };
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.op_class = "naive";
    options.operation = command->argv[0];
    options.budget = caller->load->budget;
    options.deadline_ns = caller->load->settings->deadline_ns;
    return hg_run(caller->load->policy, &options, run_try, &run, NULL);
}

hg_status hgi_caller_raw(struct hgi_caller *caller, const struct hgi_command *command,
                         redisReply **reply, bool *unknown)
{
    struct hgi_load *load = caller->load;
    hg_status status = HG_ERR_RETRY_EXHAUSTED;
    if (load->strategy == HGI_STRATEGY_BUDGET)
        return call_with_budget(caller, command, reply, unknown);
    int64_t deadline_ns = monotonic_ns() + load->settings->deadline_ns;
    for (uint32_t n = 0; n < HGI_RAW_ATTEMPTS; n++) {
        hg_permit permit = { 0 };
        int64_t now_ns = monotonic_ns();
        int64_t delay_ns = n > 0 ? delay_of(caller, n - 1) : 0;
        if (now_ns + delay_ns >= deadline_ns)
            return HG_ERR_TIMEOUT;
        if (delay_ns > 0)
            sleep_until_ns(now_ns += delay_ns);
        if (load->breaker && !hg_breaker_admit(load->breaker, &permit))
            return HG_ERR_CIRCUIT_OPEN;
        int64_t limit_ns = least(load->settings->attempt_timeout_ns, deadline_ns - now_ns);
        status = load->breaker ? try_fresh(caller, command, limit_ns, reply, unknown)
                               : try_once(caller, command, limit_ns, reply, unknown);
        if (load->breaker)
            hg_breaker_report(load->breaker, permit,
                              status < 0 && status != HG_ERR_SERVER ? HG_RESULT_FAILURE
                                                                    : HG_RESULT_SUCCESS,
                              monotonic_ns() - now_ns);
        if (status >= 0 || status == HG_ERR_SERVER)
            return status;
    }
    return HG_ERR_RETRY_EXHAUSTED;
}
