/* hg_command() and its kin: one command under the policy.
 *
 * The command's bytes are made once, by hiredis, and sent again as they are. Each attempt takes a
 * connection, exchanges command and reply, and gives the connection back; everything between the
 * attempts is the loop's (policy/run.c).
 */
#include <herdgate/pool.h>

#include <string.h>

#include "breaker/breaker.h"
#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/sized.h"
#include "pool/call.h"
#include "pool/exchange.h"

/* One command under way. */
struct command_call {
    hg_pool *pool;
    struct hgi_snapshot *snapshot;
    const struct hgi_command *command;
    redisReply **reply;
    struct hgi_fence fence;
};

/* How a take that gave no connection concerns the attempt. A failed dial is a failed attempt; the
 * dialer told the breaker of it, once, so only a probe reports it again: as its own result. Anything
 * else is the pool's no. */
void hgi_take_failed(const struct hgi_take *take, hg_status status, struct hgi_attempt *attempt)
{
    attempt->status = status;
    attempt->queue_ns = take->queue_ns;
    attempt->dial_ns = take->dial_ns;
    attempt->refused = !take->dial_failed;
    if (!take->dial_failed) {
        attempt->verdict.view = HGI_VIEW_NOTHING;
    } else {
        attempt->verdict.outcome = HG_OUTCOME_NOT_SENT;
        attempt->verdict.view = attempt->is_probe ? HGI_VIEW_FAILURE : HGI_VIEW_NOTHING;
    }
}

struct hgi_span hgi_attempt_span(const struct hgi_attempt *attempt, int64_t timeout_ns,
                                 int64_t now_ns)
{
    int64_t end_ns = hgi_deadline_after(now_ns, timeout_ns);
    bool full = end_ns <= attempt->call_deadline_ns;
    return (struct hgi_span) { .end_ns = full ? end_ns : attempt->call_deadline_ns,
                               .now_ns = now_ns,
                               .full = full };
}

bool hgi_attempt_fence(struct hgi_fence *fence, struct hg_lease *lease, struct hgi_span *span,
                       struct hgi_attempt *attempt)
{
    if (fence->count == 0 || (lease->op_class->retry_unfenced && !lease->slot->conn->can_fence))
        return true;
    bool refused;
    attempt->status = hgi_raise_fence(lease, fence, span, &refused, attempt->error);
    if (attempt->status == HG_OK)
        return true;
    attempt->refused = refused;
    if (!refused) /* else the server did nothing that the breaker should know of */
        attempt->verdict = lease->verdict;
    attempt->verdict.outcome = HG_OUTCOME_NOT_SENT;
    return false;
}

void hgi_attempt_note(struct hgi_fence *fence, const struct hg_lease *lease,
                      struct hgi_attempt *attempt)
{
    const struct hgi_conn *conn = lease->slot->conn;
    if (attempt->status < 0 && attempt->verdict.outcome == HG_OUTCOME_UNKNOWN &&
        lease->op_class->kind != HGI_CLASS_READ)
        /* One that was answered to the last reply is over, and its connection soon another's. */
        attempt->fenced = hgi_conn_is_answered(conn) || hgi_fence_note(fence, conn);
}

static int64_t timeout_of(const struct hgi_command *command, int64_t timeout_ns)
{
    int64_t block_ns = command->facts.block_ns;
    if (block_ns == 0 || timeout_ns < 0)
        return timeout_ns;
    return block_ns < 0 ? -1 : hgi_deadline_after(block_ns, timeout_ns);
}

static const struct hgi_command ping = { .bytes = "*1\r\n$4\r\nPING\r\n",
                                         .length = 14,
                                         .name = "PING" };

/* A command that waits in the server would keep a probe's place for as long as it waits, and its result
 * would come too late to count: calls that all wait would never close the breaker. So the probe is a
 * PING before it, and the breaker is told of that at once. False: the attempt has failed, nothing of the
 * command was sent. */
static bool probe_first(struct hg_lease *lease, struct hgi_attempt *attempt)
{
    const int64_t began_ns = hgi_now_ns();
    struct hgi_span span = hgi_attempt_span(attempt, attempt->timeout_ns, began_ns);
    redisReply *reply = NULL;
    hg_status status = hgi_exchange(lease, &ping, &span, &reply, attempt->error);
    freeReplyObject(reply);
    if (status != HG_OK && lease->verdict.view != HGI_VIEW_SUCCESS) {
        attempt->status = status;
        attempt->verdict = lease->verdict;
        attempt->verdict.outcome = HG_OUTCOME_NOT_SENT;
        return false;
    }
    lease->failed = false; /* who may not PING has been answered, too */
    hg_breaker_report(lease->pool->breaker, attempt->permit, HG_RESULT_SUCCESS,
                      hgi_now_ns() - began_ns);
    attempt->keeps_permit = true;
    return true;
}

static void command_attempt(void *arg, struct hgi_attempt *attempt)
{
    struct command_call *call = arg;
    hg_pool *pool = call->pool;
    struct hgi_take take = { .settings = call->snapshot->settings,
                             .now_ns = attempt->began_ns,
                             .deadline_ns = attempt->call_deadline_ns,
                             .verdict = &attempt->verdict,
                             .is_probe = attempt->is_probe };
    hg_status status = hgi_take(pool, &take, attempt->error);
    if (status != HG_OK) {
        hgi_take_failed(&take, status, attempt);
        return;
    }
    attempt->queue_ns = take.queue_ns;
    attempt->dial_ns = take.dial_ns;
    const int64_t began_ns = take.now_ns;
    struct hg_lease *lease =
        hgi_lease_begin(pool, call->snapshot, take.slot, call->command->op_class, began_ns);
    const bool well =
        !attempt->is_probe || call->command->facts.block_ns == 0 || probe_first(lease, attempt);
    struct hgi_span span = hgi_attempt_span(attempt, timeout_of(call->command, attempt->timeout_ns),
                                            attempt->keeps_permit ? hgi_now_ns() : began_ns);
    redisReply *reply = NULL;
    if (well && hgi_attempt_fence(&call->fence, lease, &span, attempt)) {
        attempt->status = hgi_exchange(lease, call->command, &span, &reply, attempt->error);
        if (attempt->status != HG_OK)
            attempt->verdict = lease->verdict;
        hgi_attempt_note(&call->fence, lease, attempt);
    }
    attempt->nil = reply && reply->type == REDIS_REPLY_NIL;
    attempt->ended_ns = hgi_now_ns();
    attempt->server_ns = attempt->ended_ns - began_ns;
    hgi_lease_end(lease, attempt->ended_ns);
    if (call->reply)
        *call->reply = reply;
    else
        freeReplyObject(reply);
}

static void count(void *arg, enum hgi_run_count what)
{
    struct hgi_pool_counters *counters = &((hg_pool *)arg)->counters;
    switch (what) {
    case HGI_COUNT_RETRY:
        hgi_count(&counters->retries);
        break;
    case HGI_COUNT_IGNORED:
        hgi_count(&counters->ignored);
        break;
    case HGI_COUNT_BUDGET:
        hgi_count(&counters->budget_refused);
        break;
    case HGI_COUNT_BREAKER:
    default:
        hgi_count(&counters->breaker_refused);
        break;
    }
}

static bool ping_says_ready(struct hg_lease *lease, const struct hgi_settings *settings)
{
    struct hgi_span span = { .end_ns = hgi_deadline_after(lease->began_ns,
                                                          settings->pool.connect_timeout_ns),
                             .full = true };
    redisReply *reply;
    hg_status status = hgi_exchange(lease, &ping, &span, &reply, NULL);
    freeReplyObject(reply);
    if (status != HG_OK && lease->verdict.code[0] != '\0')
        return lease->verdict.recovery != HG_RECOVERY_WAIT_AND_RETRY;
    return status == HG_OK;
}

/* The pool's own condition of wait_and_retry: PING, past the breaker, judged by its reply. */
static bool server_is_ready(void *arg)
{
    hg_pool *pool = arg;
    struct hgi_snapshot *snapshot;
    if (hgi_call_enter(pool, &snapshot, NULL) != HG_OK)
        return true; /* the pool is closing: the waiting ends */
    const struct hgi_settings *settings = snapshot->settings;
    int64_t now_ns = hgi_now_ns();
    struct hgi_take take = {
        .settings = settings,
        .now_ns = now_ns,
        .deadline_ns = hgi_deadline_after(now_ns, settings->condition_poll_ns),
    };
    bool ready = false;
    if (hgi_take(pool, &take, NULL) == HG_OK) {
        struct hg_lease *lease =
            hgi_lease_begin(pool, snapshot, take.slot, &settings->classes[HGI_CLASS_READ], now_ns);
        ready = ping_says_ready(lease, settings);
        hgi_lease_end(lease, hgi_now_ns());
    }
    hgi_call_leave(snapshot);
    return ready;
}

void hgi_call_prepare(struct hgi_call *call, hg_pool *pool, const struct hgi_snapshot *snapshot,
                      const struct hg_call_options *options)
{
    hgi_fields_begin(call, sizeof *call);
    call->env = &hgi_env_real;
    call->settings = snapshot->settings;
    call->endpoint = snapshot->endpoint->text;
    call->breaker = pool->breaker;
    call->budget = pool->budget;
    call->deadline_ns = options->deadline_ns;
    call->gate = &pool->gate;
    call->condition = options->condition ? options->condition : server_is_ready;
    call->condition_arg = options->condition ? options->condition_arg : pool;
    call->trace = options->trace;
    call->log = pool->log;
    call->log_arg = pool->log_arg;
    call->count = count;
    call->count_arg = pool;
}

hg_status hgi_call_options_read(struct hg_call_options *out, const struct hg_call_options *options,
                                const struct hgi_settings *settings,
                                const struct hgi_class **op_class, struct hg_error *err)
{
    static const struct hgi_sized form = { .known = sizeof *options,
                                           .least = sizeof options->size,
                                           .init = "HG_CALL_OPTIONS_INIT" };
    *out = (struct hg_call_options)HG_CALL_OPTIONS_INIT;
    hg_status status = hgi_sized_read(out, options, &form, "a call", err);
    if (status < 0)
        return status;
    if (out->flags != 0)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "options.flags is 0x%x; this version knows none, set it to 0",
                             (unsigned)out->flags);
    if (!out->op_class)
        return HG_OK;
    *op_class = hgi_settings_class(settings, out->op_class);
    if (*op_class)
        return HG_OK;
    return hgi_error_set(err, HG_ERR_VALIDATION,
                         "the policy has no class \"%s\"; add it to \"classes\" or use a built-in "
                         "one such as \"read\"",
                         out->op_class);
}

/* May this command go out on a shared connection, for as long as it asks? */
static hg_status allow(const struct hgi_command *command, const struct hgi_call *call,
                       struct hg_error *err)
{
    if (!hgi_command_allowed_in_pool(&command->facts))
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "%s changes the connection, which other threads use next; use hg_call() "
            "or hg_acquire()",
            command->name);
    if (command->facts.block_ns < 0 && call->deadline_ns <= 0 &&
        (call->deadline_ns < 0 || command->op_class->deadline_ns < 0))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "%s would block for ever; give it a timeout or the call a deadline",
                             command->name);
    return HG_OK;
}

/* Run the frame's command. */
static hg_status run_frame(hg_pool *pool, struct hgi_snapshot *snapshot,
                           const struct hg_call_options *options, redisReply **reply,
                           struct hg_error *err, const struct hgi_frame *frame)
{
    /* Field by field: what need not be cleared is most of it. */
    struct hgi_command command;
    hgi_fields_begin(&command, sizeof command);
    struct command_call arg;
    arg.pool = pool;
    arg.snapshot = snapshot;
    arg.command = &command;
    arg.reply = reply;
    arg.fence.count = 0;
    struct hgi_call call;
    struct hg_call_options given = HG_CALL_OPTIONS_INIT;
    hg_status status = HG_OK;
    hgi_command_inspect(&command, frame, snapshot->settings);
    if (options)
        status = hgi_call_options_read(&given, options, snapshot->settings, &command.op_class, err);
    if (status == HG_OK) {
        hgi_call_prepare(&call, pool, snapshot, &given);
        status = allow(&command, &call, err);
    }
    if (status == HG_OK) {
        call.op_class = command.op_class;
        call.operation = command.name;
        call.key = given.key ? given.key : command.key;
        call.key_length = given.key ? strlen(given.key) : command.key_length;
        status = hgi_run_counted(pool, &call, command_attempt, &arg, err);
    } else if (err) {
        hgi_copy_text(err->operation, sizeof err->operation, command.name);
        hgi_copy_text(err->endpoint, sizeof err->endpoint, snapshot->endpoint->text);
    }
    return status;
}

static hg_status no_pool(const char *what, struct hg_error *err)
{
    return hgi_error_set(err, HG_ERR_VALIDATION, "%s is NULL; give one", what);
}

hg_status hg_vcommand(hg_pool *pool, redisReply **reply, struct hg_error *err, const char *format,
                      va_list arguments)
{
    if (reply)
        *reply = NULL;
    if (!pool || !format)
        return no_pool(pool ? "format" : "pool", err);
    struct hgi_snapshot *snapshot;
    hg_status status = hgi_call_enter(pool, &snapshot, err);
    if (status != HG_OK)
        return status;
    int cancel = hgi_cancel_off();
    struct hgi_frame frame;
    status = hgi_frame_format(&frame, format, arguments, err);
    if (status == HG_OK) {
        status = run_frame(pool, snapshot, NULL, reply, err, &frame);
        hgi_frame_free(&frame);
    }
    hgi_call_leave(snapshot);
    hgi_cancel_restore(cancel);
    return status;
}

hg_status hg_command(hg_pool *pool, redisReply **reply, struct hg_error *err, const char *format,
                     ...)
{
    va_list arguments;
    va_start(arguments, format);
    hg_status status = hg_vcommand(pool, reply, err, format, arguments);
    va_end(arguments);
    return status;
}

hg_status hg_command_argv(hg_pool *pool, const struct hg_call_options *options, redisReply **reply,
                          struct hg_error *err, int argc, const char **argv, const size_t *lengths)
{
    if (reply)
        *reply = NULL;
    if (!pool || !argv || argc <= 0)
        return no_pool(!pool ? "pool" : "the command", err);
    struct hgi_snapshot *snapshot;
    hg_status status = hgi_call_enter(pool, &snapshot, err);
    if (status != HG_OK)
        return status;
    int cancel = hgi_cancel_off();
    struct hgi_frame frame;
    status = hgi_frame_format_argv(&frame, argc, argv, lengths, err);
    if (status == HG_OK) {
        status = run_frame(pool, snapshot, options, reply, err, &frame);
        hgi_frame_free(&frame);
    }
    hgi_call_leave(snapshot);
    hgi_cancel_restore(cancel);
    return status;
}
