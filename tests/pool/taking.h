/* What the tests of the pool's core share: take and give as calls do, without the policy around them. */
#ifndef HERDGATE_TESTS_POOL_TAKING_H
#define HERDGATE_TESTS_POOL_TAKING_H

#include "pool/internal.h"
#include "tests/pool/support.h"

extern struct hgi_private_server *server;
extern hg_pool *pool;
extern uint64_t
    seed; /* HERDGATE_TEST_SEED makes a schedule come again, as far as the system lets it */
extern int64_t run_ns; /* HERDGATE_TEST_SECONDS, or 2: how long one setting is tried */

/* Take a connection of `pool`, waiting at most wait_ns, and give one back. */
hg_status take_one(struct hgi_take *take, int64_t wait_ns);
void give_back(struct hgi_slot *slot);

/* A pool on `server` with so many connections, to be kept, under "fairness" and what belongs to it. */
hg_pool *open_fair(const char *fairness, unsigned connections);

struct hg_pool_stats stats_now(void);

/* For wait_for(); `arg` is how many. */
bool so_many_idle(void *arg);
bool so_many_wait(void *arg);

struct named_test {
    const char *name;
    void (*run)(void);
};

/* Start a server and run the tests against it. */
void run_tests(const struct named_test *tests, size_t count);

#endif
