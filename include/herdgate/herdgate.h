/* herdgate: share hiredis connections between threads, and stay standing when Redis does not.
 *
 *     hg_policy *policy;
 *     hg_pool *pool;
 *     redisReply *reply;
 *     struct hg_error err = HG_ERROR_INIT;
 *
 *     if (hg_policy_load(&policy, "herdgate.json", &err) < 0 ||
 *         hg_pool_open(&pool, NULL, policy, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.message);
 *         return 1;
 *     }
 *     if (hg_command(pool, &reply, &err, "GET %s", "greeting") < 0)
 *         fprintf(stderr, "%s %s failed at try %u/%u: %s\n", err.operation, err.key, err.attempt,
 *                 err.max_attempts, err.message);
 *     freeReplyObject(reply);
 *
 * This header includes all the others.
 *
 * Structs grow at their end, and begin with their `size`, which their _INIT macro sets: a program and a
 * library of different versions understand each other. Of options, what an older program's struct does
 * not reach has its default; what a newer one's has beyond this library is taken if it is 0, and is
 * HG_ERR_VALIDATION if it is not. Of what is filled (statistics, snapshots, presets), no more is written
 * than the program's size says, and `size` comes back as what was filled.
 */
#ifndef HERDGATE_HERDGATE_H
#define HERDGATE_HERDGATE_H

#include <herdgate/breaker.h>
#include <herdgate/error.h>
#include <herdgate/export.h>
#include <herdgate/policy.h>
#include <herdgate/pool.h>
#include <herdgate/stats.h>
#include <herdgate/version.h>

#endif
