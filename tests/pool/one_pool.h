/* What suites with one server and one pool share. */
#ifndef HERDGATE_TESTS_POOL_ONE_POOL_H
#define HERDGATE_TESTS_POOL_ONE_POOL_H

#include "tests/pool/support.h"

extern struct hgi_private_server *server;
extern hg_pool *pool;

/* For TestSuite(): the server alone, or the pool with it at the end. */
void set_up_server(void);
void tear_down_server(void);
void tear_down_both(void);

/* A lease, or the end of the program with a message. */
hg_lease *acquire(void);

struct hg_pool_stats stats_now(void);

/* For wait_for(); `arg` is how many. */
bool so_many_idle(void *arg);
bool so_many_leased(void *arg);
bool so_many_wait(void *arg);
#define SO_MANY(count) ((void *)(uintptr_t)(count))

/* Programs with a main() of their own: start the server and run the tests against it. */
struct named_test {
    const char *name;
    void (*run)(void);
};
void run_named_tests(const struct named_test *tests, size_t count);

#endif
