/* What a worker holds against its replies and its clock; see worker_check.h.
 *
 * A server that is killed loses its data. A reply that shows the loss comes from a server that was started
 * after it was counted: losses are looked for before a reply is judged, and after one is taken note of.
 */
#include "tools/stress/worker_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/stress/value.h"

static void describe_reply(char *out, size_t size, const redisReply *reply)
{
    if (!reply)
        snprintf(out, size, "no reply");
    else if (reply->type == REDIS_REPLY_STRING)
        hgi_value_describe(out, size, reply->str, reply->len);
    else if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(out, size, "the number %lld", reply->integer);
    else if (reply->type == REDIS_REPLY_NIL)
        snprintf(out, size, "nil");
    else
        snprintf(out, size, "a reply of type %d", reply->type);
}

/* An invariant is broken: the shell learns of it at once. */
static void alarm_shell(struct hgi_worker *worker)
{
    atomic_fetch_add_explicit(&worker->work->live.broken, 1, memory_order_relaxed);
}

/* [S2] acquire: pairs with [S2] in begin() of saboteur.c. */
static void notice_losses(struct hgi_worker *worker)
{
    uint32_t losses = atomic_load_explicit(&worker->work->losses, memory_order_acquire);
    if (losses == worker->losses_seen)
        return;
    worker->losses_seen = losses;
    for (int i = 0; i < HGI_WORKER_KEYS; i++)
        hgi_ledger_lost(&worker->ledger[i]);
    hgi_counter_lost(&worker->counter);
}

void hgi_worker_mismatch(struct hgi_worker *worker, const char *command, const redisReply *reply)
{
    char what[100];
    alarm_shell(worker);
    if (worker->mismatches++ > 0)
        return;
    describe_reply(what, sizeof what, reply);
    snprintf(worker->first_mismatch, sizeof worker->first_mismatch,
             "thread %" PRIu32 ": %s gave %s", worker->number, command, what);
}

void hgi_worker_echo(struct hgi_worker *worker, const redisReply *reply, const char *nonce)
{
    worker->replies++;
    if (!reply || reply->type != REDIS_REPLY_STRING || reply->len != strlen(nonce) ||
        memcmp(reply->str, nonce, reply->len) != 0)
        hgi_worker_mismatch(worker, "ECHO", reply);
}

void hgi_worker_set(struct hgi_worker *worker, const redisReply *reply)
{
    worker->replies++;
    if (!reply || reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "OK") != 0)
        hgi_worker_mismatch(worker, "SET", reply);
}

void hgi_worker_get(struct hgi_worker *worker, struct hgi_ledger *ledger, const redisReply *reply)
{
    char command[48];
    notice_losses(worker);
    worker->replies++;
    bool nil = reply && reply->type == REDIS_REPLY_NIL;
    bool text = reply && reply->type == REDIS_REPLY_STRING;
    if (text)
        worker->bytes += reply->len;
    if ((nil || text) && hgi_ledger_accepts(ledger, nil ? NULL : reply->str, nil ? 0 : reply->len,
                                            worker->work->sizes))
        return;
    if (nil && worker->work->may_miss) {
        worker->missing++;
        ledger->nonce = 0;
        return;
    }
    snprintf(command, sizeof command, "GET of key %" PRIu64, ledger->key);
    hgi_worker_mismatch(worker, command, reply);
}

void hgi_worker_incr(struct hgi_worker *worker, const redisReply *reply)
{
    char command[64];
    worker->replies++;
    notice_losses(worker);
    if (reply && reply->type == REDIS_REPLY_INTEGER &&
        hgi_counter_accepts(&worker->counter, reply->integer)) {
        worker->incr_acknowledged++;
        return;
    }
    if (reply && reply->type == REDIS_REPLY_INTEGER &&
        reply->integer > worker->counter.seen + worker->counter.sent + 1) {
        alarm_shell(worker);
        if (worker->incr_over++ == 0)
            snprintf(worker->first_over, sizeof worker->first_over,
                     "thread %" PRIu32 ": INCR after %" PRId64 ", with %" PRId64
                     " unknown between, gave %lld",
                     worker->number, worker->counter.seen, worker->counter.sent, reply->integer);
        worker->counter.seen = reply->integer;
        return;
    }
    snprintf(command, sizeof command, "INCR after %" PRId64, worker->counter.seen);
    hgi_worker_mismatch(worker, command, reply);
}

/* An INCR may have run. */
void hgi_worker_unknown_incr(struct hgi_worker *worker)
{
    worker->incr_unknown++;
    hgi_counter_unknown(&worker->counter);
}

void hgi_worker_acknowledged_set(struct hgi_worker *worker, struct hgi_ledger *ledger,
                                 uint64_t nonce)
{
    hgi_ledger_acknowledged(ledger, nonce);
    notice_losses(worker);
}

void hgi_worker_doubled(struct hgi_worker *worker, int64_t id)
{
    alarm_shell(worker);
    if (worker->doubled++ == 0)
        snprintf(worker->first_doubled, sizeof worker->first_doubled,
                 "connection %" PRId64 " was with thread %" PRIu32 " and another", id,
                 worker->number);
}

/* How long this thread has been ready to run and did not, in all. 0: the kernel does not tell. */
int64_t hgi_worker_waited_ns(const struct hgi_worker *worker)
{
    char text[80];
    ssize_t length = worker->schedstat < 0 ? 0
                                           : pread(worker->schedstat, text, sizeof text - 1,
                                                   0); /* "ran waited turns" */
    if (length <= 0)
        return 0;
    text[length] = '\0';
    char *end = text;
    (void)strtoll(text, &end, 10);
    return strtoll(end, NULL, 10);
}

void hgi_worker_deadline(struct hgi_worker *worker, enum hgi_op op, int64_t over_ns,
                         const struct hg_error *err)
{
    if (over_ns > worker->overrun_ns)
        worker->overrun_ns = over_ns;
    if (over_ns <= HGI_OVERRUN_NS)
        return;
    alarm_shell(worker);
    if (worker->overruns++ == 0)
        snprintf(worker->first_overrun, sizeof worker->first_overrun,
                 "thread %" PRIu32 ": %s ended %.0f ms after its deadline: %.180s", worker->number,
                 hgi_op_name(op), (double)over_ns / 1e6, err->type < 0 ? err->message : "answered");
}
