/* See one_pool.h. */
#include "tests/pool/one_pool.h"

#include <stdio.h>
#include <stdlib.h>

struct hgi_private_server *server;
hg_pool *pool;

void set_up_server(void)
{
    server = start_server();
}

void tear_down_server(void)
{
    hgi_private_server_free(server);
}

void tear_down_both(void)
{
    close_pool(pool);
    tear_down_server();
}

hg_lease *acquire(void)
{
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    if (hg_acquire(pool, &lease, NULL, &err) != HG_OK) {
        fprintf(stderr, "acquire: %s\n", err.message);
        exit(1);
    }
    return lease;
}

struct hg_pool_stats stats_now(void)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_pool_read_stats(pool, &stats);
    return stats;
}

bool so_many_idle(void *arg)
{
    return stats_now().idle == (uint32_t)(uintptr_t)arg;
}

bool so_many_leased(void *arg)
{
    return stats_now().leased == (uint32_t)(uintptr_t)arg;
}

bool so_many_wait(void *arg)
{
    return stats_now().waiting == (uint32_t)(uintptr_t)arg;
}

void run_named_tests(const struct named_test *tests, size_t count)
{
    set_up_server();
    for (size_t i = 0; i < count; i++) {
        printf("%s\n", tests[i].name);
        fflush(stdout);
        tests[i].run();
    }
    tear_down_server();
}
