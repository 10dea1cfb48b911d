/* Section d: the recovery manager, hg_run(), on each of the six strategies.
 *
 * It runs any function of yours under a policy, with no pool. Here the function is one attempt to PING
 * a server with plain hiredis: job_attempt() is what to copy. The policy says, by type of error, what
 * to do when it fails.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include <hiredis/hiredis.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/example/example.h"

/* --- the job: what a user of hg_run() writes --- */

struct job {
    const char *socket;
    char answer[16];
};

/* The time until then, at least 1 ms: hiredis takes zero for "for ever". */
static struct timeval time_until(int64_t when_ns)
{
    int64_t left_ns = when_ns - monotonic_ns();
    if (left_ns < NS_PER_MS)
        left_ns = NS_PER_MS;
    return (struct timeval) { .tv_sec = left_ns / NS_PER_S,
                              .tv_usec = (left_ns % NS_PER_S) / NS_PER_US };
}

/* What hiredis's context says of a failure. errno is that of the call that failed just now. */
static hg_status describe(const redisContext *context, struct hg_error *error)
{
    int sys_errno = errno;
    bool system_failed = context && context->err == REDIS_ERR_IO;
    bool late = system_failed && (sys_errno == EAGAIN || sys_errno == ETIMEDOUT);
    error->sys_errno = system_failed ? sys_errno : 0;
    error->hiredis_err = context ? context->err : 0;
    snprintf(error->message, sizeof error->message, "%s",
             late      ? "no answer in time"
             : context ? context->errstr
                       : "out of memory");
    return late ? HG_ERR_TIMEOUT : context ? HG_ERR_CONNECTION : HG_ERR_NO_MEMORY;
}

/* One attempt. It keeps its deadline, says what it knows of the outcome, and returns the type of what
 * went wrong; whether there is another attempt is the policy's business. */
static hg_status job_attempt(void *arg, struct hg_attempt *attempt)
{
    struct job *job = arg;
    hg_status status = HG_OK;
    redisReply *reply = NULL;
    redisContext *context =
        redisConnectUnixWithTimeout(job->socket, time_until(attempt->deadline_ns));
    if (!context || context->err) {
        attempt->outcome = HG_OUTCOME_NOT_SENT;
        status = describe(context, attempt->error);
        goto out;
    }
    redisSetTimeout(context, time_until(attempt->deadline_ns));
    reply = redisCommand(context, "PING");
    if (!reply) {
        status = describe(context, attempt->error);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        attempt->outcome = HG_OUTCOME_REJECTED;
        status = HG_ERR_SERVER;
    } else {
        snprintf(job->answer, sizeof job->answer, "%s", reply->str);
    }
out:
    freeReplyObject(reply);
    if (context)
        redisFree(context);
    return status;
}

/* --- showing it --- */

/* Run the job once under a policy, and show how it went. */
static hg_status run_job(struct tour *tour, const char *json, struct hg_run_options *options,
                         struct hg_error *err)
{
    struct job job = { .socket = hgi_private_server_socket(tour->server) };
    struct hg_trace trace = HG_TRACE_INIT;
    hg_policy *policy = tour_policy(json);
    if (!policy)
        return HG_ERR_VALIDATION;
    options->op_class = "read"; /* may be made again, whatever became of the last attempt */
    options->operation = "job";
    options->trace = &trace;
    hg_status status = hg_run(policy, options, job_attempt, &job, err);
    hg_policy_drop(policy);
    show_result(status, err);
    if (status == HG_OK)
        show_fact("answer", "%s", job.answer);
    if (trace.retries > 0)
        show_trace(&trace);
    return status;
}

static void introduce(const struct tour *tour, const char *strategy, const char *what,
                      const char *json)
{
    show_step(tour, "%s: %s", strategy, what);
    show_fact("policy", "%s", json);
}

/* The strategy met the stopped server as it should: what it came to, and the server back. */
static bool settle(struct tour *tour, bool as_it_should, const struct hg_error *err)
{
    if (!as_it_should)
        return tour_failed("the recovery manager", err->message);
    return hgi_private_server_pid(tour->server) != 0 || stage_mend(tour->server, STAGE_RESTART);
}

static bool show_fail(struct tour *tour)
{
    static const char json[] = "{ \"errors\": { \"connection\": { \"recovery\": \"fail\" } } }";
    struct hg_error err = HG_ERROR_INIT;
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    introduce(tour, "fail", "return it at once", json);
    hgi_private_server_stop(tour->server);
    hg_status status = run_job(tour, json, &options, &err);
    show_fact("stopped", "by %s, outcome %s", hg_stop_reason_name(err.stop_reason),
              hg_outcome_name(err.outcome));
    return settle(tour, status == HG_ERR_CONNECTION, &err);
}

static bool show_ignore(struct tour *tour)
{
    static const char json[] = "{ \"errors\": { \"connection\": { \"recovery\": \"ignore\" } } }";
    struct hg_error err = HG_ERROR_INIT;
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.log = show_log;
    introduce(tour, "ignore", "tell the log and go on", json);
    hgi_private_server_stop(tour->server);
    hg_status status = run_job(tour, json, &options, &err);
    return settle(tour, status == HG_IGNORED, &err);
}

static bool show_backoff(struct tour *tour)
{
    static const char json[] =
        "{ \"errors\": { \"connection\": { \"recovery\": \"retry_with_backoff\" } } }";
    struct hg_error err = HG_ERROR_INIT;
    struct stage stage = { .server = tour->server, .cure = STAGE_RESTART, .before = 4 };
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.log = stage_log;
    options.log_arg = &stage;
    introduce(tour, "retry_with_backoff", "again, after growing delays", json);
    hgi_private_server_stop(tour->server);
    hg_status status = run_job(tour, json, &options, &err);
    return settle(tour, status == HG_OK && !stage.failed, &err);
}

static bool show_delay(struct tour *tour)
{
    static const char json[] = "{ \"errors\": { \"connection\": { \"recovery\": "
                               "\"retry_with_delay\", \"delay\": \"40ms\" } } }";
    struct hg_error err = HG_ERROR_INIT;
    struct stage stage = { .server = tour->server, .cure = STAGE_RESTART, .before = 4 };
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.log = stage_log;
    options.log_arg = &stage;
    introduce(tour, "retry_with_delay", "again, after the same delay each time", json);
    hgi_private_server_stop(tour->server);
    hg_status status = run_job(tour, json, &options, &err);
    return settle(tour, status == HG_OK && !stage.failed, &err);
}

static void on_breaker_event(void *arg, const struct hg_breaker_event *event)
{
    (void)arg;
    show_fact("breaker", "%s -> %s", hg_breaker_state_name(event->from),
              hg_breaker_state_name(event->to));
}

static bool show_breaker(struct tour *tour)
{
    static const char json[] =
        "{ \"errors\": { \"connection\": { \"recovery\": \"circuit_breaker\" } } }";
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    struct hg_breaker_options settings = HG_BREAKER_OPTIONS_INIT;
    settings.recovery_timeout_ns = 300 * NS_PER_MS;
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    introduce(tour, "circuit_breaker", "no retry; one failure opens the breaker", json);
    if (hg_breaker_new(&breaker, &settings, &err) < 0)
        return tour_failed("the breaker", err.message);
    bool well = hg_breaker_listen(breaker, on_breaker_event, NULL, &err) == HG_OK;
    options.breaker = breaker;
    hgi_private_server_stop(tour->server);
    well = well && run_job(tour, json, &options, &err) == HG_ERR_CONNECTION &&
           run_job(tour, json, &options, &err) == HG_ERR_CIRCUIT_OPEN;
    if (well) {
        show_fact("", "the second call cost %" PRId64 " us and no attempt", err.elapsed_ns / 1000);
        well = stage_mend(tour->server, STAGE_RESTART);
        sleep_until_ns(monotonic_ns() + hg_breaker_retry_after(breaker));
    }
    /* Half-open: two probes well, by default, and it closes. */
    for (int i = 0; i < 2 && well; i++)
        well = run_job(tour, json, &options, &err) == HG_OK;
    well = well && hg_breaker_state_now(breaker) == HG_BREAKER_CLOSED;
    hg_breaker_unlisten(breaker, on_breaker_event, NULL);
    hg_breaker_free(breaker);
    return settle(tour, well, &err);
}

/* --- wait_and_retry: several callers, one of whom asks --- */

enum { WAITERS = 4 };

struct waiter {
    struct job job;
    hg_policy *policy;
    struct hg_run_options options;
    struct hg_trace trace;
    struct hg_error err;
    hg_status status;
    pthread_t thread;
};

/* The condition, shared by all who wait for it: is the server answering? */
struct readiness {
    const char *socket;
    _Atomic uint32_t asked; /* written by whichever waiter asks at the moment */
};

static bool server_answers(void *arg)
{
    struct readiness *readiness = arg;
    struct hg_error error;
    struct job job = { .socket = readiness->socket };
    struct hg_attempt attempt = { .size = sizeof attempt,
                                  .deadline_ns = monotonic_ns() + 50 * NS_PER_MS,
                                  .error = &error };
    /* relaxed: a number to print, once all threads have been joined. */
    atomic_fetch_add_explicit(&readiness->asked, 1, memory_order_relaxed);
    return job_attempt(&job, &attempt) == HG_OK;
}

static void *wait_and_retry(void *arg)
{
    struct waiter *waiter = arg;
    waiter->status =
        hg_run(waiter->policy, &waiter->options, job_attempt, &waiter->job, &waiter->err);
    return NULL;
}

static bool show_waiters(const struct tour *tour, const struct waiter *waiters, size_t count)
{
    struct hgi_table table = { 0 };
    const char *const heading[] = { "caller", "attempts", "retry after", "waited", "result" };
    for (size_t c = 0; c < sizeof heading / sizeof heading[0]; c++)
        hgi_table_set(&table, 0, c, "%s%s", c == 0 ? "  " : "", heading[c]);
    bool well = true;
    for (size_t i = 0; i < count; i++) {
        const struct waiter *waiter = &waiters[i];
        char text[24];
        well = well && waiter->status == HG_OK;
        hgi_table_set(&table, i + 1, 0, "  %zu", i + 1);
        hgi_table_set(&table, i + 1, 1, "%" PRIu32, waiter->trace.attempts);
        hgi_table_set(&table, i + 1, 2, "%s", hg_status_name(waiter->trace.retry[0].cause));
        hgi_table_set(&table, i + 1, 3, "%s",
                      show_time(text, sizeof text, waiter->trace.backoff_ns));
        hgi_table_set(&table, i + 1, 4, "%s", hg_status_name(waiter->status));
    }
    hgi_table_print(&table, stdout, tour->colour);
    return well;
}

static bool show_wait(struct tour *tour)
{
    static const char json[] =
        "{ \"errors\":  { \"timeout\": { \"recovery\": \"wait_and_retry\" } },\n"
        "               \"classes\": { \"read\": { \"attempt_timeout\": \"100ms\", \"deadline\": "
        "\"20s\" } } }";
    struct waiter waiters[WAITERS];
    struct readiness readiness = { .socket = hgi_private_server_socket(tour->server) };
    struct stage_later later;
    size_t started = 0;
    introduce(tour, "wait_and_retry", "when a condition holds", json);
    show_text("Four callers time out against a paused server. One of them asks the condition every "
              "100 ms, the others sleep; when it holds, all are released on a ramp, not at once.");
    hg_policy *policy = tour_policy(json);
    if (!policy)
        return false;
    hgi_private_server_pause(tour->server);
    bool well = stage_mend_later(&later, tour->server, STAGE_RESUME, 600 * NS_PER_MS);
    bool staged = well;
    for (size_t i = 0; i < WAITERS && well; i++) {
        struct waiter *waiter = &waiters[i];
        *waiter = (struct waiter) { .job = { .socket = readiness.socket }, .policy = policy };
        waiter->options = (struct hg_run_options)HG_RUN_OPTIONS_INIT;
        waiter->options.op_class = "read";
        waiter->options.condition = server_answers;
        waiter->options.condition_arg = &readiness; /* the same for all: so they share one poller */
        waiter->options.trace = &waiter->trace;
        int error = pthread_create(&waiter->thread, NULL, wait_and_retry, waiter);
        well = error == 0 || tour_failed("cannot start a thread", strerror(error));
        started += well;
    }
    if (staged)
        stage_join(&later);
    else
        hgi_private_server_resume(tour->server);
    for (size_t i = 0; i < started; i++)
        pthread_join(waiters[i].thread, NULL);
    hg_policy_drop(policy);
    if (!well)
        return false;
    well = show_waiters(tour, waiters, started);
    show_fact("asked", "%" PRIu32 " times, for %zu callers",
              atomic_load_explicit(&readiness.asked, memory_order_relaxed), started);
    return well || tour_failed("wait_and_retry", "not every caller succeeded");
}

bool tour_recovery(struct tour *tour)
{
    show_section(tour, 'd', "The recovery manager: six strategies");
    show_text("hg_run() runs a function of yours under a policy, without a pool. Here it is one "
              "attempt to PING a server with plain hiredis; \"errors\" in the policy's JSON says, "
              "by type, what to do when it fails.");
    return show_fail(tour) && show_ignore(tour) && show_backoff(tour) && show_delay(tour) &&
           show_breaker(tour) && show_wait(tour);
}
