/* What a worker holds against its replies and its clock. What is broken is counted, the first of its kind kept
 * in words, and the shell told at once. */
#ifndef HERDGATE_TOOLS_STRESS_WORKER_CHECK_H
#define HERDGATE_TOOLS_STRESS_WORKER_CHECK_H

#include <hiredis/hiredis.h>

#include "tools/stress/worker.h"

/* Is it the reply to that command? */
void hgi_worker_echo(struct hgi_worker *worker, const redisReply *reply, const char *nonce);
void hgi_worker_set(struct hgi_worker *worker, const redisReply *reply);
void hgi_worker_get(struct hgi_worker *worker, struct hgi_ledger *ledger, const redisReply *reply);
void hgi_worker_incr(struct hgi_worker *worker, const redisReply *reply);

/* It is not. */
void hgi_worker_mismatch(struct hgi_worker *worker, const char *command, const redisReply *reply);

/* An INCR may have run; a SET was acknowledged. */
void hgi_worker_unknown_incr(struct hgi_worker *worker);
void hgi_worker_acknowledged_set(struct hgi_worker *worker, struct hgi_ledger *ledger,
                                 uint64_t nonce);

/* A connection was with another holder too. */
void hgi_worker_doubled(struct hgi_worker *worker, int64_t id);

/* How long this thread has been ready to run and did not, in all. 0: the kernel does not tell. */
int64_t hgi_worker_waited_ns(const struct hgi_worker *worker);

/* A call ended that long after its deadline. */
void hgi_worker_deadline(struct hgi_worker *worker, enum hgi_op op, int64_t over_ns,
                         const struct hg_error *err);

#endif
