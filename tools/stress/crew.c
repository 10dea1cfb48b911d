/* The workers of a run; see crew.h. */
#include "tools/stress/crew.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/worker_sum.h"

#define KEPT_S \
    600 /* should the tool be killed, its keys expire so long after the run would have ended */

bool hgi_crew_init(struct hgi_crew *crew, const struct hgi_stage *stage, uint32_t threads,
                   int64_t length_ns, uint64_t seed, struct hgi_problem *problem)
{
    crew->threads = threads;
    crew->seed = seed;
    crew->work.prefix = stage->prefix;
    crew->work.ttl_s = length_ns / NS_PER_S + KEPT_S;
    crew->work.may_miss = !stage->own;
    crew->work.owners = calloc(1, sizeof *crew->work.owners);
    crew->workers = calloc(threads, sizeof *crew->workers);
    return (crew->work.owners && crew->workers) || hgi_problem_set(problem, "out of memory");
}

void hgi_crew_free(struct hgi_crew *crew)
{
    free(crew->workers);
    free(crew->work.owners);
}

bool hgi_crew_prepare_keys(const struct hgi_crew *crew, const struct hgi_stage *stage,
                           struct hgi_wire *wire, struct hgi_problem *problem)
{
    for (uint32_t i = 0; i < crew->threads; i++) {
        char key[160];
        hgi_worker_key(key, sizeof key, stage->prefix, i, HGI_WORKER_KEYS);
        redisReply *reply =
            hgi_wire_command(wire, problem, "SET %s 0 EX %lld", key, (long long)crew->work.ttl_s);
        bool well = reply && reply->type != REDIS_REPLY_ERROR;
        if (reply && !well)
            hgi_problem_set(problem, "%s: SET of a key under %s: %s", stage->target.text,
                            stage->prefix, reply->str);
        freeReplyObject(reply);
        if (!well)
            return false;
    }
    return true;
}

bool hgi_crew_delete_keys(const struct hgi_crew *crew, const struct hgi_stage *stage,
                          struct hgi_wire *wire, struct hgi_problem *problem)
{
    for (uint32_t i = 0; i < crew->threads; i++) {
        for (uint32_t k = 0; k <= HGI_WORKER_KEYS; k++) {
            char key[160];
            hgi_worker_key(key, sizeof key, stage->prefix, i, k);
            redisReply *reply = hgi_wire_command(wire, problem, "DEL %s", key);
            bool well = reply && reply->type == REDIS_REPLY_INTEGER;
            freeReplyObject(reply);
            if (!well)
                return hgi_problem_set(problem,
                                       "%s: the run's keys could not be deleted; they begin with "
                                       "%s and expire within %" PRId64 " s",
                                       stage->target.text, stage->prefix, crew->work.ttl_s);
        }
    }
    return true;
}

bool hgi_crew_start(struct hgi_crew *crew, struct hgi_problem *problem)
{
    for (; crew->started < crew->threads; crew->started++) {
        struct hgi_worker *worker = &crew->workers[crew->started];
        worker->work = &crew->work;
        worker->number = crew->started;
        worker->recording.on = crew->record;
        worker->random = random_mix(crew->seed + crew->started);
        for (uint32_t k = 0; k < HGI_WORKER_KEYS; k++)
            worker->ledger[k].key = (uint64_t)crew->started * HGI_WORKER_KEYS + k;
        worker->value = malloc((size_t)crew->work.sizes.high);
        if (!worker->value || pthread_create(&worker->thread, NULL, hgi_worker_main, worker) != 0) {
            free(worker->value);
            return hgi_problem_set(problem,
                                   "thread %" PRIu32 " of %" PRIu32
                                   " could not be started; try a smaller -t or -d",
                                   crew->started + 1, crew->threads);
        }
    }
    return true;
}

void hgi_crew_join(struct hgi_crew *crew, struct hgi_worker *sum)
{
    /* relaxed: only ends the workers' loops; the joins order the rest. */
    atomic_store_explicit(&crew->work.stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < crew->started; i++) {
        pthread_join(crew->workers[i].thread, NULL);
        hgi_worker_add(sum, &crew->workers[i]);
        free(crew->workers[i].value);
    }
}
