/* A caller of the herd: calls, checks the answer, thinks, and calls again. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/load.h"
#include "tools/stress/value.h"

enum { SET_PERCENT = 30 };

/* For the first answer after the trial; of the library, which must come back, longer than its breaker can
 * be open. */
#define LAST_CALLS_NS (5 * NS_PER_S)
#define LAST_CALLS_OF_ALL_NS (30 * NS_PER_S)

#define GLANCE_NS (100 * NS_PER_MS) /* at the flag that ends all */

void hgi_load_count(struct hgi_load *load, int series, int64_t at_ns, uint32_t n)
{
    int64_t bucket = (at_ns - load->began_ns) / HGI_BUCKET_NS;
    if (bucket >= 0 && bucket < (int64_t)load->buckets)
        atomic_fetch_add_explicit(&load->bucket[series][bucket], n, memory_order_relaxed);
}

void hgi_load_attempt(struct hgi_load *load, int64_t at_ns, bool dial)
{
    if (at_ns >= load->end_ns) /* one of the last calls, which belong to no trial */
        return;
    hgi_load_count(load, HGI_IN_ATTEMPTS, at_ns, 1);
    atomic_fetch_add_explicit(&load->attempts, 1, memory_order_relaxed);
    if (dial)
        atomic_fetch_add_explicit(&load->dials, 1, memory_order_relaxed);
    /* relaxed: an attempt in the instant of the change may count to either side. */
    if (atomic_load_explicit(&load->phase, memory_order_relaxed) == HGI_PHASE_DOWN)
        atomic_fetch_add_explicit(&load->attempts_down, 1, memory_order_relaxed);
}

void hgi_load_wasted(struct hgi_load *load, int64_t at_ns)
{
    if (at_ns >= load->end_ns)
        return;
    hgi_load_count(load, HGI_IN_WASTED, at_ns, 1);
    atomic_fetch_add_explicit(&load->wasted, 1, memory_order_relaxed);
}

static void mismatch(struct hgi_caller *caller, const char *command, const char *key,
                     const redisReply *reply)
{
    char what[100] = "nil";
    if (reply->type == REDIS_REPLY_STRING)
        hgi_value_describe(what, sizeof what, reply->str, reply->len);
    else if (reply->type != REDIS_REPLY_NIL)
        snprintf(what, sizeof what, "a reply of type %d", reply->type);
    /* relaxed: the conductor ends the trial when it sees it. */
    atomic_fetch_add_explicit(&caller->load->wrong, 1, memory_order_relaxed);
    if (caller->mismatches++ == 0)
        snprintf(caller->first_mismatch, sizeof caller->first_mismatch, "%s %s gave %s", command,
                 key, what);
}

/* A reply that shows the loss came from a server that was started after it was counted: look before
 * judging it. One that acknowledges may be the last of the server that ended: look after taking note.
 * [S1] acquire: pairs with [S1] in take_down(). */
static void notice_losses(struct hgi_caller *caller)
{
    uint32_t losses = atomic_load_explicit(&caller->load->data_losses, memory_order_acquire);
    if (losses == caller->losses_seen)
        return;
    caller->losses_seen = losses;
    for (int i = 0; i < HGI_CALLER_KEYS; i++)
        hgi_ledger_lost(&caller->ledger[i]);
}

static hg_status send_command(struct hgi_caller *caller, const struct hgi_command *command,
                              redisReply **reply, bool *unknown)
{
    return caller->load->strategy == HGI_STRATEGY_ALL
               ? hgi_caller_pool(caller, command, reply, unknown)
               : hgi_caller_raw(caller, command, reply, unknown);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Until then, or until all is to end: a call may be due in minutes. */
static void rest_until(const struct hgi_load *load, int64_t due_ns)
{
    for (int64_t now_ns = monotonic_ns();
         now_ns < due_ns && !atomic_load_explicit(&load->stop, memory_order_relaxed);
         now_ns = monotonic_ns())
        sleep_until_ns(least(due_ns, now_ns + GLANCE_NS));
}

/* One call, its reply checked. */
static hg_status call(struct hgi_caller *caller)
{
    char key[64];
    redisReply *reply = NULL;
    bool unknown = false;
    struct hgi_span sizes = caller->load->settings->sizes;
    struct hgi_ledger *ledger = &caller->ledger[random_below(&caller->random, HGI_CALLER_KEYS)];
    bool set = random_below(&caller->random, 100) < SET_PERCENT;
    int length = snprintf(key, sizeof key, "herd:%" PRIu64, ledger->key);
    struct hgi_command command = { .argc = 2,
                                   .argv = { set ? "SET" : "GET", key },
                                   .length = { 3, (size_t)length } };
    uint64_t nonce = 0;
    if (set) {
        nonce = hgi_ledger_draw(ledger);
        command.argc = 3;
        command.argv[2] = (const char *)caller->value;
        command.length[2] = hgi_value_length(ledger->key, nonce, sizes);
        hgi_value_make(caller->value, command.length[2], ledger->key, nonce);
    }
    hg_status status = send_command(caller, &command, &reply, &unknown);
    if (set && unknown)
        hgi_ledger_unknown(ledger, nonce);
    if (set && status >= 0)
        hgi_ledger_acknowledged(ledger, nonce);
    notice_losses(caller);
    if (status >= 0 && set) {
        if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "OK") != 0)
            mismatch(caller, "SET", key, reply);
    } else if (status >= 0) {
        bool nil = reply->type == REDIS_REPLY_NIL;
        if ((!nil && reply->type != REDIS_REPLY_STRING) ||
            !hgi_ledger_accepts(ledger, nil ? NULL : reply->str, nil ? 0 : reply->len, sizes))
            mismatch(caller, "GET", key, reply);
    }
    freeReplyObject(reply);
    return status;
}

/* One call, counted. due_ns: when it was to begin. */
static void counted_call(struct hgi_caller *caller, int64_t due_ns)
{
    struct hgi_load *load = caller->load;
    int64_t began_ns = monotonic_ns();
    bool down = atomic_load_explicit(&load->phase, memory_order_relaxed) == HGI_PHASE_DOWN;
    caller->offered++;
    caller->offered_down += down;
    hg_status status = call(caller);
    int64_t ended_ns = monotonic_ns();
    caller->well = status >= 0;
    int64_t overrun_ns = ended_ns - began_ns - load->settings->deadline_ns;
    if (overrun_ns > caller->overrun_ns)
        caller->overrun_ns = overrun_ns;
    if (status >= 0) {
        caller->answered++;
        atomic_fetch_add_explicit(&load->answered, 1, memory_order_relaxed);
        hgi_load_count(load, HGI_IN_ANSWERED, ended_ns, 1);
        hgi_histogram_add(&caller->latency, ended_ns - due_ns);
        hgi_recording_add(&caller->recording, ended_ns, ended_ns - due_ns);
        hgi_histogram_add(&caller->service, ended_ns - began_ns);
        return;
    }
    caller->failed_as[-status < HGI_STATUSES ? -status : 0]++;
    atomic_fetch_add_explicit(&load->failed, 1, memory_order_relaxed);
    hgi_load_count(load, HGI_IN_FAILED, ended_ns, 1);
    if (down) {
        caller->failed_down++;
        hgi_histogram_add(&caller->latency_down, ended_ns - began_ns);
    }
}

/* Does it work again? Calls, not counted, until one is answered. */
static void last_calls(struct hgi_caller *caller)
{
    bool all = caller->load->strategy == HGI_STRATEGY_ALL;
    int64_t end_ns = monotonic_ns() + (all ? LAST_CALLS_OF_ALL_NS : LAST_CALLS_NS);
    do {
        caller->well = call(caller) >= 0;
        if (!caller->well)
            sleep_until_ns(monotonic_ns() + 20 * NS_PER_MS);
    } while (!caller->well && monotonic_ns() < end_ns &&
             !atomic_load_explicit(&caller->load->stop, memory_order_relaxed));
}

/* When the next call is due. Open loop: at its time, whatever became of the last, so that what a slow
 * answer holds up is measured too. Closed: after a pause. */
static int64_t next_due(struct hgi_caller *caller, int64_t due_ns)
{
    const struct hgi_herd_settings *s = caller->load->settings;
    if (s->rate)
        return due_ns + (int64_t)((double)s->threads * 1e9 / s->rate);
    return monotonic_ns() + (int64_t)((0.5 + random_unit(&caller->random)) * (double)s->think_ns);
}

/* Begin at different times: a herd in step is what an outage makes, not what it meets. */
static int64_t first_due(struct hgi_caller *caller)
{
    const struct hgi_herd_settings *s = caller->load->settings;
    double span_ns = s->rate ? (double)s->threads * 1e9 / s->rate : (double)s->think_ns;
    return caller->load->began_ns + (int64_t)(random_unit(&caller->random) * span_ns);
}

void *hgi_caller_main(void *arg)
{
    struct hgi_caller *caller = arg;
    struct hgi_load *load = caller->load;
    if (load->strategy != HGI_STRATEGY_ALL) {
        /* hiredis writes with write(): its users must see to SIGPIPE. Users of herdgate need not. */
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, NULL);
        /* The trial meets a herd that is at work, not one that comes in through the door. */
        (void)hgi_caller_connect(caller, load->settings->attempt_timeout_ns);
    }
    int64_t due_ns = first_due(caller);
    while (monotonic_ns() < load->end_ns && due_ns < load->end_ns &&
           !atomic_load_explicit(&load->stop, memory_order_relaxed)) {
        rest_until(load, due_ns);
        if (atomic_load_explicit(&load->stop, memory_order_relaxed))
            break;
        counted_call(caller, due_ns);
        due_ns = next_due(caller, due_ns);
    }
    /* Of a trial that was interrupted, what was due until then. */
    int64_t end_ns = least(load->end_ns, monotonic_ns());
    for (; load->settings->rate && due_ns < end_ns; due_ns = next_due(caller, due_ns))
        caller->not_begun++;
    /* relaxed: a flag to wait for; the server's being there is seen through its socket. */
    while (!atomic_load_explicit(&load->last_calls, memory_order_relaxed) &&
           !atomic_load_explicit(&load->stop, memory_order_relaxed))
        sleep_until_ns(monotonic_ns() + 5 * NS_PER_MS);
    if (!atomic_load_explicit(&load->stop, memory_order_relaxed))
        last_calls(caller);
    if (caller->raw) {
        redisFree(caller->raw);
        caller->raw = NULL;
    }
    /* relaxed: only says that a join will not take long; that one orders the rest. */
    atomic_fetch_add_explicit(&load->ended, 1, memory_order_relaxed);
    return NULL;
}
