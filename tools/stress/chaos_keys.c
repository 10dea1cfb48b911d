/* The keys of a run of chaos on the server, before and after; see chaos_parts.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/timing.h"
#include "tools/stress/chaos_parts.h"
#include "tools/stress/vitals.h"

bool hgi_chaos_prepare_keys(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    struct hgi_wire *wire = hgi_target_connect(&run->target, 5 * NS_PER_S, problem);
    bool well = wire != NULL;
    for (uint32_t i = 0; well && i < run->results->settings.threads; i++) {
        char key[160];
        hgi_worker_key(key, sizeof key, run->prefix, i, HGI_WORKER_KEYS);
        redisReply *reply =
            hgi_wire_command(wire, problem, "SET %s 0 EX %lld", key, (long long)run->work.ttl_s);
        well = reply && reply->type != REDIS_REPLY_ERROR;
        if (reply && !well)
            hgi_problem_set(problem, "%s: SET of a key under %s: %s", run->target.text, run->prefix,
                            reply->str);
        freeReplyObject(reply);
    }
    hgi_wire_close(wire);
    return well;
}

/* Until the server has seen that the run's connections ended: what they had sent has run then. */
static void wait_for_silence(struct hgi_wire *wire, const char *name)
{
    int64_t end_ns = monotonic_ns() + 5 * NS_PER_S;
    while (hgi_vitals_connections(wire, name) > 0 && monotonic_ns() < end_ns)
        sleep_until_ns(monotonic_ns() + 10 * NS_PER_MS);
}

/* What the server has in the counter of a worker; -1: it did not say. */
static int64_t read_counter(struct hgi_wire *wire, const char *key, struct hgi_problem *problem)
{
    int64_t value = -1;
    redisReply *reply = hgi_wire_command(wire, problem, "GET %s", key);
    if (reply && reply->type == REDIS_REPLY_STRING)
        value = strtoll(reply->str, NULL, 10);
    else if (reply && reply->type == REDIS_REPLY_NIL)
        value = 0;
    freeReplyObject(reply);
    return value;
}

static bool settle(struct hgi_chaos_run *run, struct hgi_wire *wire, struct hgi_problem *problem)
{
    struct hgi_chaos_results *r = run->results;
    int64_t sum = 0;
    for (uint32_t i = 0; i < run->started; i++) {
        char key[160];
        hgi_worker_key(key, sizeof key, run->prefix, i, HGI_WORKER_KEYS);
        int64_t value = read_counter(wire, key, problem);
        if (value < 0)
            return false;
        sum += value;
        if (run->workers[i].losses_seen != r->losses) /* which it has not met with since */
            hgi_counter_lost(&run->workers[i].counter);
        bool vanished = value == 0 && run->work.may_miss;
        r->counters_wrong += !vanished && !hgi_counter_holds(&run->workers[i].counter, value);
    }
    r->incr_at_server = r->losses == 0 ? sum : -1;
    return true;
}

static bool delete_keys(const struct hgi_chaos_run *run, struct hgi_wire *wire,
                        struct hgi_problem *problem)
{
    for (uint32_t i = 0; i < run->results->settings.threads; i++) {
        for (uint32_t k = 0; k <= HGI_WORKER_KEYS; k++) {
            char key[160];
            hgi_worker_key(key, sizeof key, run->prefix, i, k);
            redisReply *reply = hgi_wire_command(wire, problem, "DEL %s", key);
            bool well = reply && reply->type == REDIS_REPLY_INTEGER;
            freeReplyObject(reply);
            if (!well)
                return hgi_problem_set(problem,
                                       "%s: the run's keys could not be deleted; they begin with "
                                       "%s and expire within %" PRId64 " s",
                                       run->target.text, run->prefix, run->work.ttl_s);
        }
    }
    return true;
}

bool hgi_chaos_settle_keys(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    struct hgi_wire *wire = hgi_target_connect(&run->target, 5 * NS_PER_S, problem);
    if (!wire)
        return false;
    wait_for_silence(wire, run->name);
    bool well = settle(run, wire, problem);
    well = (run->own || delete_keys(run, wire, problem)) && well;
    hgi_wire_close(wire);
    return well;
}
