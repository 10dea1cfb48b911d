/* What workers did, taken together: of concurrency, chaos and soak. Pure. */
#ifndef HERDGATE_TOOLS_STRESS_WORKER_SUM_H
#define HERDGATE_TOOLS_STRESS_WORKER_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/stress/worker.h"

/* Add what one did to the sum; its recording moves there. */
void hgi_worker_add(struct hgi_worker *sum, struct hgi_worker *worker);

/* Calls of all kinds. */
uint64_t hgi_worker_calls(const struct hgi_worker *sum);

/* Is a promise broken that is about calls and their replies? Then in words, the worst one. */
bool hgi_worker_broken(char *out, size_t size, const struct hgi_worker *sum);

#endif
