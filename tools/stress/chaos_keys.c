/* The keys of a run of chaos on the server, before and after; see chaos_parts.h. */
#include <stdlib.h>

#include "tools/common/timing.h"
#include "tools/stress/chaos_parts.h"
#include "tools/stress/vitals.h"

bool hgi_chaos_prepare_keys(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    struct hgi_wire *wire = hgi_target_connect(&run->stage.target, 5 * NS_PER_S, problem);
    bool well = wire && hgi_crew_prepare_keys(&run->crew, &run->stage, wire, problem);
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
    for (uint32_t i = 0; i < run->crew.started; i++) {
        char key[160];
        hgi_worker_key(key, sizeof key, run->stage.prefix, i, HGI_WORKER_KEYS);
        int64_t value = read_counter(wire, key, problem);
        if (value < 0)
            return false;
        sum += value;
        if (run->crew.workers[i].losses_seen != r->losses) /* which it has not met with since */
            hgi_counter_lost(&run->crew.workers[i].counter);
        bool vanished = value == 0 && run->crew.work.may_miss;
        r->counters_wrong += !vanished && !hgi_counter_holds(&run->crew.workers[i].counter, value);
    }
    r->incr_at_server = r->losses == 0 ? sum : -1;
    return true;
}

bool hgi_chaos_settle_keys(struct hgi_chaos_run *run, struct hgi_problem *problem)
{
    struct hgi_wire *wire = hgi_target_connect(&run->stage.target, 5 * NS_PER_S, problem);
    if (!wire)
        return false;
    wait_for_silence(wire, run->stage.name);
    bool well = settle(run, wire, problem);
    well = (run->stage.own || hgi_crew_delete_keys(&run->crew, &run->stage, wire, problem)) && well;
    hgi_wire_close(wire);
    return well;
}
