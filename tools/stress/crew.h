/* The workers of a run over one pool: their keys, their threads, and what they counted. One thread uses a
 * crew, but for the atomics of its work. */
#ifndef HERDGATE_TOOLS_STRESS_CREW_H
#define HERDGATE_TOOLS_STRESS_CREW_H

#include "tools/common/wire.h"
#include "tools/stress/stage.h"
#include "tools/stress/worker.h"

struct hgi_crew {
    struct hgi_work work;
    uint32_t threads;
    uint64_t seed;
    bool record; /* every latency */
    struct hgi_worker *workers;
    uint32_t started;
};

/* Of so many threads, for a run of length_ns on that stage, which outlives it. False: no memory, *problem says;
 * hgi_crew_free() is still due. */
bool hgi_crew_init(struct hgi_crew *crew, const struct hgi_stage *stage, uint32_t threads,
                   int64_t length_ns, uint64_t seed, struct hgi_problem *problem);
void hgi_crew_free(struct hgi_crew *crew);

/* Each worker's counter begins at 0 and expires; INCR keeps that time. All keys are deleted at the end. */
bool hgi_crew_prepare_keys(const struct hgi_crew *crew, const struct hgi_stage *stage,
                           struct hgi_wire *wire, struct hgi_problem *problem);
bool hgi_crew_delete_keys(const struct hgi_crew *crew, const struct hgi_stage *stage,
                          struct hgi_wire *wire, struct hgi_problem *problem);

/* Start the threads; those that were started are joined, and what they counted is added to *sum. The workers
 * stay as they ended until the crew is freed. */
bool hgi_crew_start(struct hgi_crew *crew, struct hgi_problem *problem);
void hgi_crew_join(struct hgi_crew *crew, struct hgi_worker *sum);

#endif
