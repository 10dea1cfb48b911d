/* A worker; see worker.h.
 *
 * Each operation knows what its replies must be: an ECHO its own nonce, a GET what the ledger allows,
 * an INCR the next number. Over a lease the connection's CLIENT ID is asked first, and its word in the
 * table of owners is the worker's from then until just before the lease is given back.
 */
#include "tools/stress/worker.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/value.h"
#include "tools/stress/worker_check.h"

#define GLANCE_NS (100 * NS_PER_MS) /* at the flag that ends all */

static const struct {
    const char *name;
    const char *word; /* on the command line */
    uint32_t percent;
} ops[HGI_OPS] = {
    [HGI_OP_SET] = { "SET", "set", 28 },
    [HGI_OP_GET] = { "GET", "get", 34 },
    [HGI_OP_ECHO] = { "ECHO", "echo", 10 },
    [HGI_OP_INCR] = { "INCR", "incr", 12 },
    [HGI_OP_PIPELINE] = { "hg_call pipeline", "pipeline", 8 },
    [HGI_OP_LEASE] = { "hg_acquire", "lease", 8 },
};

const char *hgi_op_name(enum hgi_op op)
{
    return ops[op].name;
}

bool hgi_ops_parse(uint32_t *out, const char *text, struct hgi_problem *problem)
{
    uint32_t set = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        int op = 0;
        while (op < HGI_OPS &&
               (strlen(ops[op].word) != length || memcmp(ops[op].word, at, length) != 0))
            op++;
        if (op == HGI_OPS)
            return hgi_problem_set(problem,
                                   "'%.*s' is none of set, get, echo, incr, pipeline, lease",
                                   (int)length, at);
        set |= 1U << op;
        at += length;
        if (!*at)
            break;
    }
    *out = set;
    return true;
}

int hgi_worker_key(char *out, size_t size, const char *prefix, uint32_t number, uint32_t k)
{
    if (k == HGI_WORKER_KEYS)
        return snprintf(out, size, "%s%" PRIu32 ":n", prefix, number);
    return snprintf(out, size, "%s%" PRIu32 ":%" PRIu32, prefix, number, k);
}

/* A SET as words, and its nonce; the value is in worker->value. */
struct set_words {
    const char *argv[5];
    size_t length[5];
    char key[160];
    char seconds[24];
    uint64_t nonce;
};

static void make_set(struct hgi_worker *worker, struct hgi_ledger *ledger, struct set_words *words)
{
    uint32_t k = (uint32_t)(ledger - worker->ledger);
    words->nonce = hgi_ledger_draw(ledger);
    size_t length = hgi_value_length(ledger->key, words->nonce, worker->work->sizes);
    hgi_value_make(worker->value, length, ledger->key, words->nonce);
    int key =
        hgi_worker_key(words->key, sizeof words->key, worker->work->prefix, worker->number, k);
    int seconds = snprintf(words->seconds, sizeof words->seconds, "%" PRId64, worker->work->ttl_s);
    const char *argv[5] = { "SET", words->key, (const char *)worker->value, "EX", words->seconds };
    size_t lengths[5] = { 3, (size_t)key, length, 2, (size_t)seconds };
    memcpy(words->argv, argv, sizeof argv);
    memcpy(words->length, lengths, sizeof lengths);
    worker->bytes += length;
}

static struct hgi_ledger *any_ledger(struct hgi_worker *worker)
{
    return &worker->ledger[random_below(&worker->random, HGI_WORKER_KEYS)];
}

static bool may_have_run(hg_status status, const struct hg_error *err)
{
    return status != HG_OK && err->outcome != HG_OUTCOME_NOT_SENT &&
           err->outcome != HG_OUTCOME_REJECTED && err->attempt > 0;
}

static hg_status do_set(struct hgi_worker *worker, struct hgi_ledger *ledger,
                        const struct hg_call_options *options, struct hg_error *err)
{
    struct set_words words;
    redisReply *reply = NULL;
    make_set(worker, ledger, &words);
    hg_status status =
        hg_command_argv(worker->work->pool, options, &reply, err, 5, words.argv, words.length);
    if (status == HG_OK) {
        hgi_worker_set(worker, reply);
        hgi_worker_acknowledged_set(worker, ledger, words.nonce);
    } else if (may_have_run(status, err)) {
        hgi_ledger_unknown(ledger, words.nonce);
    }
    freeReplyObject(reply);
    return status;
}

/* GET, ECHO and INCR: two words. */
static hg_status do_pair(struct hgi_worker *worker, enum hgi_op op,
                         const struct hg_call_options *options, struct hg_error *err)
{
    char second[160];
    redisReply *reply = NULL;
    struct hgi_ledger *ledger = any_ledger(worker);
    uint32_t k = op == HGI_OP_INCR ? HGI_WORKER_KEYS : (uint32_t)(ledger - worker->ledger);
    if (op == HGI_OP_ECHO)
        snprintf(second, sizeof second, "%" PRIu32 ":%016" PRIx64, worker->number,
                 random_next(&worker->random));
    else
        hgi_worker_key(second, sizeof second, worker->work->prefix, worker->number, k);
    const char *argv[2] = { ops[op].name, second };
    hg_status status = hg_command_argv(worker->work->pool, options, &reply, err, 2, argv, NULL);
    if (status == HG_OK && op == HGI_OP_GET)
        hgi_worker_get(worker, ledger, reply);
    else if (status == HG_OK && op == HGI_OP_ECHO)
        hgi_worker_echo(worker, reply, second);
    else if (status == HG_OK)
        hgi_worker_incr(worker, reply);
    else if (op == HGI_OP_INCR && may_have_run(status, err))
        hgi_worker_unknown_incr(worker);
    freeReplyObject(reply);
    return status;
}

/* A connection that is held, between claim() and unclaim(). */
struct claim {
    bool held;
    uint32_t place;
    int64_t id;
};

static hg_status claim(struct hgi_worker *worker, hg_lease *lease, struct claim *claim,
                       struct hg_error *err)
{
    redisReply *reply = NULL;
    /* Another life of the server gives the same ids again. The lease's connection is of this life, or
     * of an earlier one and then dead. [S2] acquire: as in notice_losses(). */
    uint32_t life = atomic_load_explicit(&worker->work->losses, memory_order_acquire);
    hg_status status = hg_lease_command(lease, &reply, err, "CLIENT ID");
    if (status == HG_OK) {
        worker->replies++;
        if (reply->type != REDIS_REPLY_INTEGER) {
            hgi_worker_mismatch(worker, "CLIENT ID", reply);
        } else {
            claim->held = true;
            claim->id = reply->integer + ((int64_t)life << 40);
            worker->leases++;
            if (!hgi_owners_take(worker->work->owners, claim->id, worker->number + 1,
                                 &claim->place))
                hgi_worker_doubled(worker, claim->id);
        }
    }
    freeReplyObject(reply);
    return status;
}

static void unclaim(struct hgi_worker *worker, struct claim *claim)
{
    if (claim->held && !hgi_owners_give(worker->work->owners, claim->place, worker->number + 1))
        hgi_worker_doubled(worker, claim->id);
    claim->held = false;
}

/* A pipeline under hg_call(). */
struct pipeline {
    struct hgi_worker *worker;
    struct hgi_ledger *ledger;
    bool sent_incr;
};

static hg_status append_pipeline(hg_lease *lease, struct pipeline *p, const char *nonce,
                                 const char *key, const char *counter, struct hg_error *err)
{
    hg_status status = hg_lease_append(lease, err, "ECHO %s", nonce);
    if (status == HG_OK)
        status = hg_lease_append(lease, err, "GET %s", key);
    if (status == HG_OK)
        status = hg_lease_append(lease, err, "INCR %s", counter);
    if (status == HG_OK)
        status = hg_lease_append(lease, err, "ECHO %s", nonce);
    p->sent_incr = status == HG_OK;
    return status;
}

static hg_status run_pipeline(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    struct pipeline *p = arg;
    struct hgi_worker *worker = p->worker;
    struct claim held = { false, 0, 0 };
    char nonce[48], key[160], counter[160];
    snprintf(nonce, sizeof nonce, "%016" PRIx64, random_next(&worker->random));
    hgi_worker_key(key, sizeof key, worker->work->prefix, worker->number,
                   (uint32_t)(p->ledger - worker->ledger));
    hgi_worker_key(counter, sizeof counter, worker->work->prefix, worker->number, HGI_WORKER_KEYS);
    hg_status status = claim(worker, lease, &held, attempt->error);
    if (status == HG_OK)
        status = append_pipeline(lease, p, nonce, key, counter, attempt->error);
    for (int i = 0; i < 4 && status == HG_OK; i++) {
        redisReply *reply = NULL;
        status = hg_lease_reply(lease, &reply, attempt->error);
        if (status == HG_OK && (i == 0 || i == 3)) {
            hgi_worker_echo(worker, reply, nonce);
        } else if (status == HG_OK && i == 1) {
            hgi_worker_get(worker, p->ledger, reply);
        } else if (status == HG_OK) {
            hgi_worker_incr(worker, reply);
            p->sent_incr = false; /* and answered */
        }
        freeReplyObject(reply);
    }
    unclaim(worker, &held);
    return status;
}

static hg_status do_pipeline(struct hgi_worker *worker, const struct hg_call_options *options,
                             struct hg_error *err)
{
    struct pipeline p = { .worker = worker, .ledger = any_ledger(worker) };
    hg_status status = hg_call(worker->work->pool, options, run_pipeline, &p, err);
    if (p.sent_incr)
        hgi_worker_unknown_incr(worker);
    return status;
}

static hg_status do_lease(struct hgi_worker *worker, const struct hg_call_options *options,
                          struct hg_error *err)
{
    hg_lease *lease = NULL;
    struct claim held = { false, 0, 0 };
    struct set_words words;
    redisReply *reply = NULL;
    struct hgi_ledger *ledger = any_ledger(worker);
    hg_status status = hg_acquire(worker->work->pool, &lease, options, err);
    if (status != HG_OK)
        return status;
    status = claim(worker, lease, &held, err);
    if (status == HG_OK) {
        make_set(worker, ledger, &words);
        status = hg_lease_command_argv(lease, &reply, err, 5, words.argv, words.length);
        if (status == HG_OK) {
            hgi_worker_set(worker, reply);
            hgi_worker_acknowledged_set(worker, ledger, words.nonce);
        } else {
            hgi_ledger_unknown(ledger, words.nonce);
        }
        freeReplyObject(reply);
        reply = NULL;
    }
    if (status == HG_OK) {
        status = hg_lease_command(lease, &reply, err, "GET %s", words.key);
        if (status == HG_OK)
            hgi_worker_get(worker, ledger, reply);
        freeReplyObject(reply);
    }
    unclaim(worker, &held);
    hg_release(lease, status);
    return status;
}

static enum hgi_op draw_op(struct hgi_worker *worker)
{
    uint32_t only = worker->work->only ? worker->work->only : (1U << HGI_OPS) - 1;
    uint32_t all = 0;
    for (int op = 0; op < HGI_OPS; op++)
        all += only >> op & 1 ? ops[op].percent : 0;
    uint32_t at = random_below(&worker->random, all);
    for (int op = 0; op < HGI_OPS; op++) {
        uint32_t share = only >> op & 1 ? ops[op].percent : 0;
        if (at < share)
            return (enum hgi_op)op;
        at -= share;
    }
    return HGI_OP_GET; /* not reached: `at` is below the sum of the shares */
}

static void count(struct hgi_worker *worker, enum hgi_op op, hg_status status, int64_t began_ns,
                  int64_t elapsed_ns, const struct hg_trace *trace, const struct hg_error *err)
{
    struct hgi_live *live = &worker->work->live;
    worker->calls[op]++;
    worker->elapsed_ns += elapsed_ns;
    worker->queue_ns += trace->queue_ns;
    worker->dial_ns += trace->dial_ns;
    worker->server_ns += trace->server_ns;
    worker->backoff_ns += trace->backoff_ns;
    worker->retries += trace->retries;
    atomic_fetch_add_explicit(&live->done, 1, memory_order_relaxed);
    if (status == HG_OK) {
        hgi_histogram_add(&worker->latency, elapsed_ns);
        hgi_recording_add(&worker->recording, began_ns + elapsed_ns, elapsed_ns);
        atomic_fetch_add_explicit(&live->latency[hgi_histogram_index(elapsed_ns)], 1,
                                  memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&live->failed, 1, memory_order_relaxed);
    worker->failed_as[status < 0 && -status < HGI_STATUSES ? -status : 0]++;
    if (worker->failed++ == 0)
        snprintf(worker->first_failure, sizeof worker->first_failure, "%s: %.200s", ops[op].name,
                 err->message);
}

static void call(struct hgi_worker *worker)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_trace trace = HG_TRACE_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    enum hgi_op op = draw_op(worker);
    hg_status status;
    options.trace = &trace;
    options.deadline_ns = worker->work->deadline_ns;
    int64_t waited_before_ns = options.deadline_ns ? hgi_worker_waited_ns(worker) : 0;
    int64_t began_ns = monotonic_ns();
    if (op == HGI_OP_SET)
        status = do_set(worker, any_ledger(worker), &options, &err);
    else if (op == HGI_OP_PIPELINE)
        status = do_pipeline(worker, &options, &err);
    else if (op == HGI_OP_LEASE)
        status = do_lease(worker, &options, &err);
    else
        status = do_pair(worker, op, &options, &err);
    int64_t elapsed_ns = monotonic_ns() - began_ns;
    count(worker, op, status, began_ns, elapsed_ns, &trace, &err);
    if (options.deadline_ns && elapsed_ns > options.deadline_ns)
        hgi_worker_deadline(worker, op,
                            elapsed_ns - options.deadline_ns -
                                (hgi_worker_waited_ns(worker) - waited_before_ns),
                            &err);
    if (status < 0) /* a server that is gone shall not make this a busy loop */
        sleep_until_ns(monotonic_ns() + NS_PER_MS);
}

/* Or until all is to end. */
static void pause_for(const struct hgi_worker *worker, int64_t pause_ns)
{
    int64_t until_ns = monotonic_ns() + pause_ns;
    for (int64_t now_ns = monotonic_ns();
         now_ns < until_ns && !atomic_load_explicit(&worker->work->stop, memory_order_relaxed);
         now_ns = monotonic_ns())
        sleep_until_ns(until_ns - now_ns > GLANCE_NS ? now_ns + GLANCE_NS : until_ns);
}

/* Where keys are read and never set, each is set once, so that there is something to read. That is not part of
 * the load, and not counted; a key whose SET fails stays as it was, and its ledger knows. */
static void fill_keys(struct hgi_worker *worker)
{
    const uint32_t readers = 1U << HGI_OP_GET | 1U << HGI_OP_PIPELINE;
    const uint32_t writers = 1U << HGI_OP_SET | 1U << HGI_OP_LEASE;
    uint32_t only = worker->work->only;
    uint64_t bytes = worker->bytes, replies = worker->replies;
    if (!(only & readers) || (only & writers))
        return;
    for (uint32_t k = 0; k < HGI_WORKER_KEYS; k++) {
        struct hg_error err = HG_ERROR_INIT;
        struct hg_call_options options = HG_CALL_OPTIONS_INIT;
        options.deadline_ns = worker->work->deadline_ns;
        do_set(worker, &worker->ledger[k], &options, &err);
    }
    worker->bytes = bytes;
    worker->replies = replies;
}

void *hgi_worker_main(void *arg)
{
    struct hgi_worker *worker = arg;
    const struct hgi_work *work = worker->work;
    worker->schedstat =
        work->deadline_ns ? open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC) : -1;
    fill_keys(worker);
    /* relaxed: a flag that is polled; the join orders the rest. */
    while (!atomic_load_explicit(&work->stop, memory_order_relaxed)) {
        call(worker);
        if (work->pause_ns)
            pause_for(worker, (int64_t)(random_unit(&worker->random) * (double)work->pause_ns));
    }
    if (worker->schedstat >= 0)
        close(worker->schedstat);
    return NULL;
}
