/* One command on a leased connection.
 *
 * Its words tell what the command is; the lease counts what left whole; a failure of any kind becomes
 * plain facts (struct hgi_fault), which the policy judges. A failed exchange leaves the connection
 * broken, so a late reply can never meet another command.
 */
#include "pool/exchange.h"

#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/probe.h"
#include "policy/command_rules.h"

/* The first word in capitals, for messages; what is not printable as '?'. */
static void fill_name(struct hgi_command *command, const char *word, size_t length)
{
    const char *known = command->facts.name; /* it begins with the word, if there is one */
    if (known && known[length] == '\0') {
        command->name = known;
        return;
    }
    if (length >= HGI_NAME_SIZE)
        length = HGI_NAME_SIZE - 1;
    for (size_t i = 0; i < length; i++) {
        char c = word[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        command->word[i] = c > ' ' && c < 0x7f ? c : '?';
    }
    command->word[length] = '\0';
    command->name = command->word;
}

void hgi_command_inspect(struct hgi_command *command, const struct hgi_frame *frame,
                         const struct hgi_settings *settings)
{
    const struct hgi_arguments words = { frame->argc, frame->argv, frame->lengths };
    command->bytes = frame->bytes;
    command->length = frame->length;
    command->facts = hgi_command_look(words.argc, words.argv, words.lengths);
    command->op_class =
        hgi_command_class(settings, &command->facts, words.argc, words.argv, words.lengths);
    fill_name(command, words.argv[0], hgi_argument_length(&words, 0));
    const int key = command->facts.key_index;
    command->key = key > 0 && key < words.argc ? words.argv[key] : NULL;
    command->key_length = command->key ? hgi_argument_length(&words, key) : 0;
}

struct hg_lease *hgi_lease_begin(hg_pool *pool, struct hgi_snapshot *snapshot,
                                 struct hgi_slot *slot, const struct hgi_class *op_class,
                                 int64_t now_ns)
{
    struct hg_lease *lease = &slot->lease;
    /* Field by field, without the verdict, which means something only once `failed` is set: clearing
     * all of it would cost as much as taking the slot. */
    lease->pool = pool;
    lease->slot = slot;
    lease->snapshot = snapshot;
    lease->op_class = op_class;
    lease->began_ns = now_ns;
    lease->deadline_ns = HGI_NEVER;
    lease->call_deadline_ns = 0;
    lease->permit = (hg_permit) { 0 };
    lease->by_hand = false;
    lease->frames = 0;
    lease->failed = false;
    lease->record = NULL;
    slot->conn->takes_push = false;
    /* relaxed, both: read for statistics and messages only. */
    atomic_store_explicit(&slot->waits, false, memory_order_relaxed);
    atomic_store_explicit(&slot->leased_ns, now_ns, memory_order_relaxed);
    /* [P8] release: since when; pairs with [P8] in warn_of_lease(). */
    atomic_store_explicit(&slot->holder, hgi_thread_id(), memory_order_release);
    hgi_bump(&slot->counters.acquired);
    return lease;
}

void hgi_lease_end(struct hg_lease *lease, int64_t now_ns)
{
    struct hgi_slot *slot = lease->slot;
    if (slot->inherited)
        return; /* the parent's: the function of hg_call() went on in a child */
    slot->conn->used_ns = now_ns;
    if (slot->conn->unsettled && lease->frames > 0 && !lease->failed)
        slot->conn->altered =
            true; /* the server is well again: mending it asks what was not said */
    /* relaxed: an estimate, written by the holder alone. */
    int64_t usual_ns = atomic_load_explicit(&slot->usual_lease_ns, memory_order_relaxed);
    int64_t took_ns = now_ns - lease->began_ns;
    usual_ns = usual_ns == 0 ? took_ns : usual_ns + (took_ns - usual_ns) / 8;
    atomic_store_explicit(&slot->usual_lease_ns, usual_ns, memory_order_relaxed);
    atomic_store_explicit(&slot->holder, 0, memory_order_relaxed); /* relaxed: as above */
    /* relaxed: the next holder gets it with the slot. Handles of this lease are stale now. */
    atomic_store_explicit(&slot->lease_number,
                          atomic_load_explicit(&slot->lease_number, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    HGI_PROBE3(give, lease->pool, (uint32_t)(slot - lease->pool->slots), took_ns);
    hgi_give(lease->pool, slot, now_ns);
}

/* A sentence about a failed exchange. `waited_ns`: for how long a reply was awaited. */
static void describe(const struct hgi_io *io, bool sent_whole, int64_t waited_ns, char *text,
                     size_t size)
{
    switch (io->kind) {
    case HGI_IO_TIMEOUT:
        if (sent_whole)
            snprintf(text, size, "no reply within %.1f ms", (double)waited_ns / 1e6);
        else
            snprintf(text, size, "the server took only %zu bytes of it within %.1f ms", io->sent,
                     (double)waited_ns / 1e6);
        break;
    case HGI_IO_CLOSED:
        snprintf(text, size, "the server closed the connection");
        break;
    case HGI_IO_PROTOCOL:
        snprintf(text, size, "the answer is not the Redis protocol: %s", io->text);
        break;
    case HGI_IO_LIMIT:
        snprintf(text, size, "%s", io->text);
        break;
    case HGI_IO_MEMORY:
        snprintf(text, size, "out of memory for the reply");
        break;
    case HGI_IO_ERROR:
    case HGI_IO_OK:
    default:
        snprintf(text, size, "the connection failed: %s", strerrordesc_np(io->sys_errno));
        break;
    }
}

static enum hgi_fault_kind fault_kind(enum hgi_io_kind kind)
{
    switch (kind) {
    case HGI_IO_TIMEOUT:
        return HGI_FAULT_DEADLINE;
    case HGI_IO_PROTOCOL:
        return HGI_FAULT_PROTOCOL;
    case HGI_IO_LIMIT:
        return HGI_FAULT_LIMIT;
    case HGI_IO_MEMORY:
        return HGI_FAULT_MEMORY;
    case HGI_IO_CLOSED:
    case HGI_IO_ERROR:
    case HGI_IO_OK:
    default:
        return HGI_FAULT_IO;
    }
}

/* Note the verdict: in the lease, in the counters, and in what becomes of the connection. */
static hg_status conclude(struct hg_lease *lease, const struct hgi_fault *fault)
{
    hg_pool *pool = lease->pool;
    struct hgi_verdict *verdict = &lease->verdict;
    hgi_classify(lease->snapshot->settings, fault, verdict);
    lease->failed = true;
    hgi_bump(&lease->slot->counters.failures);
    if (verdict->fate != HGI_FATE_KEEP)
        lease->slot->conn->broken = true;
    if (verdict->fate == HGI_FATE_DROP_EPOCH) {
        uint32_t epoch = lease->slot->conn->epoch;
        /* relaxed: a connection of the old epoch that is borrowed once more fails and is dropped. */
        atomic_compare_exchange_strong_explicit(&pool->epoch, &epoch, epoch + 1,
                                                memory_order_relaxed, memory_order_relaxed);
    }
    return verdict->type;
}

static hg_status io_failed(struct hg_lease *lease, const struct hgi_io *io, bool sent_whole,
                           const struct hgi_span *span, int64_t began_ns, struct hg_error *err)
{
    struct hgi_fault fault = { .kind = fault_kind(io->kind),
                               .sys_errno = io->kind == HGI_IO_TIMEOUT ? 0 : io->sys_errno,
                               .sent_whole = sent_whole,
                               .full_attempt = span->full,
                               .class_kind = lease->op_class->kind };
    hg_status status = conclude(lease, &fault);
    char text[192];
    describe(io, sent_whole, hgi_now_ns() - began_ns, text, sizeof text);
    bool may_run =
        lease->verdict.outcome == HG_OUTCOME_UNKNOWN && lease->op_class->kind != HGI_CLASS_READ;
    hgi_error_set(err, status, "%s%s", text,
                  may_run ? "; the command may have run, or may run yet" : "");
    if (err) {
        err->sys_errno = io->sys_errno;
        err->hiredis_err = io->hiredis_err;
    }
    return status;
}

/* opaque: that the server said no does not prove that nothing ran. */
static hg_status refused_by_server(struct hg_lease *lease, const redisReply *reply, bool opaque,
                                   struct hg_error *err)
{
    struct hgi_fault fault = { .kind = HGI_FAULT_REPLY,
                               .text = reply->str,
                               .text_length = reply->len,
                               .sent_whole = true,
                               .full_attempt = true,
                               .opaque = opaque,
                               .class_kind = lease->op_class->kind };
    hg_status status = conclude(lease, &fault);
    char text[256];
    hgi_server_error_text(reply->str, reply->len, text, sizeof text);
    hgi_error_set(err, status, "%s", text);
    return status;
}

/* What belongs to every record that a lease's failure fills. */
static hg_status fill(struct hg_lease *lease, hg_status status, const char *name,
                      struct hg_error *err)
{
    if (!err)
        return status;
    const struct hgi_verdict *verdict = &lease->verdict;
    err->severity = verdict->severity;
    err->recovery = verdict->recovery;
    err->outcome = verdict->outcome;
    err->attempt = err->max_attempts = 1;
    err->timestamp_ns = hgi_wall_ns();
    hgi_copy_text(err->server_code, sizeof err->server_code, verdict->code);
    hgi_copy_text(err->endpoint, sizeof err->endpoint, lease->snapshot->endpoint->text);
    if (name)
        hgi_copy_text(err->operation, sizeof err->operation, name);
    if (lease->record && lease->record != err)
        *lease->record = *err;
    return status;
}

hg_status hgi_flush(struct hg_lease *lease, struct hgi_span *span, struct hg_error *err)
{
    struct hgi_conn *conn = lease->slot->conn;
    if (conn->out_length == 0)
        return HG_OK;
    const int64_t began_ns = hgi_span_now(span);
    struct hgi_io io = hgi_conn_send(conn, conn->out, conn->out_length, span);
    bool something_whole = io.sent >= conn->out_first;
    conn->out_length = 0;
    if (something_whole)
        lease->frames += 2; /* how many is not known: more than the one that can be judged alone */
    if (io.kind == HGI_IO_OK)
        return HG_OK;
    hg_status status = io_failed(lease, &io, something_whole, span, began_ns, err);
    return fill(lease, status, NULL, err);
}

hg_status hgi_next_reply(struct hg_lease *lease, struct hgi_span *span, redisReply **reply,
                         struct hg_error *err)
{
    struct hgi_conn *conn = lease->slot->conn;
    const int64_t began_ns = hgi_span_now(span);
    struct hgi_io io = hgi_conn_receive(conn, reply, span);
    if (io.kind != HGI_IO_OK) {
        hg_status status = io_failed(lease, &io, true, span, began_ns, err);
        return fill(lease, status, NULL, err);
    }
    if (conn->owed > 0) /* a message of a subscription is owed to nobody */
        conn->owed--;
    bool refused = (*reply)->type == REDIS_REPLY_ERROR;
    if (refused && conn->hopeful)
        conn->altered = true; /* perhaps it is the one that was to end the transaction */
    conn->hopeful = conn->hopeful && conn->owed > 0;
    if (!refused)
        return HG_OK;
    hg_status status = refused_by_server(lease, *reply, true, err);
    freeReplyObject(*reply);
    *reply = NULL;
    return fill(lease, status, NULL, err);
}

/* The server will not kill the older attempts' connections: the call ends here. */
static hg_status no_fence(struct hg_lease *lease, struct hg_error *err)
{
    lease->slot->conn->can_fence = false;
    hgi_error_set(err, HG_ERR_SERVER,
                  "an earlier attempt may run yet, and the server does not let us kill its "
                  "connection (CLIENT KILL); not sent again");
    if (err)
        err->stop_reason = HG_STOP_OUTCOME;
    return HG_ERR_SERVER;
}

hg_status hgi_raise_fence(struct hg_lease *lease, struct hgi_fence *fence, struct hgi_span *span,
                          bool *refused, struct hg_error *err)
{
    struct hgi_conn *conn = lease->slot->conn;
    char bytes[HGI_FENCE_SIZE];
    size_t length;
    uint32_t replies;
    *refused = !conn->can_fence;
    if (*refused)
        return no_fence(lease, err);
    hgi_fence_format(fence, conn, bytes, &length, &replies);
    redisReply *failure = NULL;
    const int64_t began_ns = hgi_span_now(span);
    struct hgi_io io = hgi_conn_send(conn, bytes, length, span);
    conn->owed += replies;
    while (io.kind == HGI_IO_OK && replies-- > 0) {
        redisReply *reply;
        io = hgi_conn_receive(conn, &reply, span);
        if (io.kind != HGI_IO_OK)
            break;
        conn->owed--;
        bool killed = reply->type == REDIS_REPLY_INTEGER;
        *refused |= !killed && (reply->type != REDIS_REPLY_ERROR || hgi_reply_forbids(reply));
        freeReplyObject(killed ? reply : failure);
        failure = killed ? failure : reply;
    }
    hg_status status = HG_OK;
    if (io.kind != HGI_IO_OK)
        status = fill(lease, io_failed(lease, &io, false, span, began_ns, err), NULL, err);
    else if (*refused)
        status = no_fence(lease, err);
    else if (failure)
        status = fill(lease, refused_by_server(lease, failure, false, err), NULL, err);
    else
        fence->count = 0; /* none of them runs any more */
    freeReplyObject(failure);
    return status;
}

hg_status hgi_exchange(struct hg_lease *lease, const struct hgi_command *command,
                       struct hgi_span *span, redisReply **reply, struct hg_error *err)
{
    struct hgi_conn *conn = lease->slot->conn;
    hgi_bump(&lease->slot->counters.attempts);
    *reply = NULL;
    const int64_t began_ns = hgi_span_now(span);
    hgi_conn_note_question(conn, &command->facts);
    if (command->facts.block_ns != 0) /* relaxed: so that nobody is warned of it */
        atomic_store_explicit(&lease->slot->waits, true, memory_order_relaxed);
    struct hgi_io io = hgi_conn_send(conn, command->bytes, command->length, span);
    bool whole = io.sent == command->length;
    if (whole) {
        lease->frames++;
        conn->owed++;
    }
    if (io.kind == HGI_IO_OK)
        io = hgi_conn_receive(conn, reply, span);
    if (io.kind != HGI_IO_OK) {
        hg_status status = io_failed(lease, &io, whole, span, began_ns, err);
        return fill(lease, status, command->name, err);
    }
    conn->owed--;
    if ((*reply)->type == REDIS_REPLY_ERROR) {
        bool opaque = command->facts.opaque || conn->multi || lease->snapshot->settings->proxy;
        hg_status status = refused_by_server(lease, *reply, opaque, err);
        freeReplyObject(*reply);
        *reply = NULL;
        return fill(lease, status, command->name, err);
    }
    hgi_conn_note_effect(conn, &command->facts);
    return HG_OK;
}
