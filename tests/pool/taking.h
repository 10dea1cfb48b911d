/* What the tests of the pool's core share: take and give as calls do, without the policy around them. */
#ifndef HERDGATE_TESTS_POOL_TAKING_H
#define HERDGATE_TESTS_POOL_TAKING_H

#include "pool/internal.h"
#include "tests/pool/one_pool.h"

extern uint64_t
    seed; /* HERDGATE_TEST_SEED makes a schedule come again, as far as the system lets it */
extern int64_t run_ns; /* HERDGATE_TEST_SECONDS, or 2: how long one setting is tried */

/* Take a connection of `pool`, waiting at most wait_ns, and give one back. */
hg_status take_one(struct hgi_take *take, int64_t wait_ns);
void give_back(struct hgi_slot *slot);

/* A pool on `server` with so many connections, to be kept, under "fairness" and what belongs to it. */
hg_pool *open_fair(const char *fairness, unsigned connections);

/* Read the environment, start a server and run the tests against it. */
void run_tests(const struct named_test *tests, size_t count);

#endif
