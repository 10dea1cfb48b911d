/* Commands on a lease, one at a time or as a pipeline.
 *
 * What is sent goes through exchange.c, which counts what left. A lease that is misused, by a command that
 * cannot be formatted or at a moment when none may be sent, is told so in its own record too, which is
 * that of hg_call().
 */
#include <herdgate/pool.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/cancel.h"
#include "pool/exchange.h"
#include "pool/lease.h"

/* The time that a command on this lease has which begins now; full if that is all the policy allows: what
 * the function itself spends of its attempt is not the server's, but for the little that it always does.
 * A command that blocks gets its own timeout on top. */
static struct hgi_span command_span(const struct hg_lease *lease, int64_t block_ns)
{
    int64_t now_ns = hgi_now_ns();
    int64_t timeout_ns = lease->op_class->attempt_timeout_ns;
    int64_t end_ns = hgi_deadline_after(now_ns, timeout_ns);
    bool full = true;
    if (block_ns > 0) {
        end_ns = hgi_deadline_after(end_ns, block_ns);
    } else if (block_ns < 0) {
        end_ns = HGI_NEVER;
    } else if (lease->deadline_ns < end_ns) {
        end_ns = lease->deadline_ns;
        full = lease->full && end_ns - now_ns >= timeout_ns - timeout_ns / 10;
    }
    if (end_ns > lease->call_deadline_ns)
        return (struct hgi_span) { .end_ns = lease->call_deadline_ns, .now_ns = now_ns };
    return (struct hgi_span) { .end_ns = end_ns, .now_ns = now_ns, .full = full };
}

static hg_status misuse(struct hg_lease *lease, struct hg_error *err, const char *what)
{
    hg_status status = hgi_error_set(err, HG_ERR_VALIDATION, "%s", what);
    if (lease && lease->record && lease->record != err)
        hgi_error_set(lease->record, HG_ERR_VALIDATION, "%s", what);
    return status;
}

/* A handle that is no lease, or not any more. */
static hg_status no_lease(const hg_lease *handle, struct hg_error *err)
{
    const char *why = "lease is NULL";
    if (handle && hgi_slot_of_handle(handle)->inherited)
        why = "the lease is the parent's; a child process takes its own";
    else if (handle)
        why = "the lease was given back before; take another one";
    return hgi_error_set(err, HG_ERR_VALIDATION, "%s", why);
}

/* May the frame's command go out on this lease? True: go on with *command; else *status. */
static bool usable(struct hg_lease *lease, const struct hgi_frame *frame,
                   struct hgi_command *command, hg_status *status, struct hg_error *err)
{
    const struct hgi_conn *conn = lease->slot->conn;
    hgi_command_inspect(command, frame, lease->snapshot->settings);
    *status = HG_OK;
    if (conn->broken)
        *status =
            misuse(lease, err, "an earlier command failed on this connection; give the lease back");
    else if (conn->takes_push && lease->snapshot->settings->resp == 3 &&
             !hgi_conn_is_subscription(&command->facts))
        /* A server that speaks RESP2 refuses them itself. */
        *status =
            misuse(lease, err,
                   "messages arrive on this lease, and one could be taken for the reply; take "
                   "another lease for commands");
    return *status == HG_OK;
}

/* Who is told first that a command cannot be formatted; the other one is told the same. */
static struct hg_error *first_told(const struct hg_lease *lease, struct hg_error *err)
{
    return lease->record ? lease->record : err;
}

static hg_status not_formatted(const struct hg_lease *lease, hg_status status, struct hg_error *err)
{
    if (err && lease->record && lease->record != err)
        *err = *lease->record;
    return status;
}

/* Give the caller the answer, and say what it was; a failure is said already. */
static void tell(hg_status status, redisReply *answer, redisReply **reply, struct hg_error *err)
{
    if (status == HG_OK && err) {
        hgi_error_clear(err);
        err->outcome = HG_OUTCOME_EXECUTED;
        if (answer && answer->type == REDIS_REPLY_NIL)
            err->type = HG_ERR_NOT_FOUND;
    }
    if (reply)
        *reply = answer;
    else
        freeReplyObject(answer);
}

/* Both end the frame, if there is one: `formatted` is what making it came to. */
static hg_status lease_run(struct hg_lease *lease, redisReply **reply, struct hg_error *err,
                           struct hgi_frame *frame, hg_status formatted)
{
    if (formatted != HG_OK)
        return not_formatted(lease, formatted, err);
    struct hgi_command command;
    hg_status status;
    redisReply *answer = NULL;
    struct hgi_conn *conn = lease->slot->conn;
    int cancel = hgi_cancel_off();
    if (conn->owed > 0 || conn->out_length > 0) {
        status =
            misuse(lease, err, "replies to appended commands are outstanding; read them first");
    } else if (usable(lease, frame, &command, &status, err)) {
        struct hgi_span span = command_span(lease, command.facts.block_ns);
        status = hgi_exchange(lease, &command, &span, &answer, err);
        /* relaxed: from here on the lease is the program's to give back, and it may be warned. */
        atomic_store_explicit(&lease->slot->waits, false, memory_order_relaxed);
    }
    tell(status, answer, reply, err);
    hgi_frame_free(frame);
    hgi_cancel_restore(cancel);
    return status;
}

static hg_status lease_append(struct hg_lease *lease, struct hg_error *err, struct hgi_frame *frame,
                              hg_status formatted)
{
    if (formatted != HG_OK)
        return not_formatted(lease, formatted, err);
    struct hgi_command command;
    hg_status status;
    if (usable(lease, frame, &command, &status, err)) {
        struct hgi_conn *conn = lease->slot->conn;
        if (hgi_conn_append(conn, command.bytes, command.length)) {
            conn->owed++;
            hgi_bump(&lease->slot->counters.attempts);
            hgi_conn_note_question(conn, &command.facts);
            hgi_conn_note_effect(conn, &command.facts);
            conn->hopeful |= command.facts.effect == HGI_EFFECT_EXEC ||
                             command.facts.effect == HGI_EFFECT_UNWATCH;
        } else {
            status = hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for %zu bytes of pipeline",
                                   command.length);
        }
    }
    hgi_frame_free(frame);
    return status;
}

hg_status hg_lease_vcommand(hg_lease *handle, redisReply **reply, struct hg_error *err,
                            const char *format, va_list arguments)
{
    struct hg_lease *lease = hgi_lease_of(handle);
    if (reply)
        *reply = NULL;
    if (!lease)
        return no_lease(handle, err);
    if (!format)
        return misuse(lease, err, "format is NULL");
    struct hgi_frame frame;
    hg_status formatted = hgi_frame_format(&frame, format, arguments, first_told(lease, err));
    return lease_run(lease, reply, err, &frame, formatted);
}

hg_status hg_lease_command(hg_lease *lease, redisReply **reply, struct hg_error *err,
                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hg_status status = hg_lease_vcommand(lease, reply, err, format, arguments);
    va_end(arguments);
    return status;
}

hg_status hg_lease_command_argv(hg_lease *handle, redisReply **reply, struct hg_error *err,
                                int argc, const char **argv, const size_t *lengths)
{
    struct hg_lease *lease = hgi_lease_of(handle);
    if (reply)
        *reply = NULL;
    if (!lease)
        return no_lease(handle, err);
    if (!argv || argc <= 0)
        return misuse(lease, err, "the command is empty");
    struct hgi_frame frame;
    hg_status formatted =
        hgi_frame_format_argv(&frame, argc, argv, lengths, first_told(lease, err));
    return lease_run(lease, reply, err, &frame, formatted);
}

hg_status hg_lease_append(hg_lease *handle, struct hg_error *err, const char *format, ...)
{
    struct hg_lease *lease = hgi_lease_of(handle);
    if (!lease)
        return no_lease(handle, err);
    if (!format)
        return misuse(lease, err, "format is NULL");
    struct hgi_frame frame;
    va_list arguments;
    va_start(arguments, format);
    hg_status formatted = hgi_frame_format(&frame, format, arguments, first_told(lease, err));
    va_end(arguments);
    return lease_append(lease, err, &frame, formatted);
}

hg_status hg_lease_append_argv(hg_lease *handle, struct hg_error *err, int argc, const char **argv,
                               const size_t *lengths)
{
    struct hg_lease *lease = hgi_lease_of(handle);
    if (!lease)
        return no_lease(handle, err);
    if (!argv || argc <= 0)
        return misuse(lease, err, "the command is empty");
    struct hgi_frame frame;
    hg_status formatted =
        hgi_frame_format_argv(&frame, argc, argv, lengths, first_told(lease, err));
    return lease_append(lease, err, &frame, formatted);
}

hg_status hg_lease_reply(hg_lease *handle, redisReply **reply, struct hg_error *err)
{
    struct hg_lease *lease = hgi_lease_of(handle);
    if (reply)
        *reply = NULL;
    if (!lease)
        return no_lease(handle, err);
    struct hgi_conn *conn = lease->slot->conn;
    if (conn->broken)
        return misuse(lease, err,
                      "an earlier command failed on this connection; give the lease back");
    if (conn->owed == 0 && !conn->lasting)
        return misuse(lease, err, "no reply is outstanding; append a command first");
    struct hgi_span span = command_span(lease, 0);
    redisReply *answer = NULL;
    int cancel = hgi_cancel_off();
    hg_status status = hgi_flush(lease, &span, err);
    if (status == HG_OK)
        status = hgi_next_reply(lease, &span, &answer, err);
    hgi_cancel_restore(cancel);
    tell(status, answer, reply, err);
    return status;
}

redisContext *hg_lease_context(hg_lease *handle)
{
    struct hg_lease *lease = hgi_lease_of(handle);
    if (!lease)
        return NULL;
    struct hgi_conn *conn = lease->slot->conn;
    conn->is_raw = true;
    hgi_raw_lend(conn, lease->op_class->attempt_timeout_ns,
                 lease->deadline_ns < lease->call_deadline_ns ? lease->deadline_ns
                                                              : lease->call_deadline_ns);
    return conn->context;
}
