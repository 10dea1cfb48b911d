/* See taking.h. */
#include "tests/pool/taking.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "breaker/clock.h"

uint64_t seed;
int64_t run_ns = 2 * HGI_NS_PER_S;

hg_status take_one(struct hgi_take *take, int64_t wait_ns)
{
    struct hgi_snapshot *snapshot;
    require(hgi_call_enter(pool, &snapshot, NULL) == HG_OK);
    const int64_t now_ns = hgi_now_ns();
    *take = (struct hgi_take) { .settings = snapshot->settings,
                                .now_ns = now_ns,
                                .deadline_ns = hgi_deadline_after(now_ns, wait_ns) };
    hg_status status = hgi_take(pool, take, NULL);
    hgi_call_leave(snapshot);
    return status;
}

void give_back(struct hgi_slot *slot)
{
    struct hgi_snapshot *snapshot;
    require(hgi_call_enter(pool, &snapshot, NULL) == HG_OK);
    slot->conn->used_ns = hgi_now_ns();
    hgi_give(pool, slot, slot->conn->used_ns);
    hgi_call_leave(snapshot);
}

hg_pool *open_fair(const char *fairness, unsigned connections)
{
    char json[200];
    snprintf(json, sizeof json,
             "{\"pool\": {\"max_size\": %u, \"min_idle\": %u, %s, \"connect_timeout\": \"60s\"}}",
             connections, connections, fairness);
    return open_pool(hgi_private_server_url(server), json);
}

static void read_environment(void)
{
    const char *text = getenv("HERDGATE_TEST_SEED");
    seed = text ? strtoull(text, NULL, 0) : (uint64_t)hgi_wall_ns();
    text = getenv("HERDGATE_TEST_SECONDS");
    if (text)
        run_ns = strtoll(text, NULL, 10) * HGI_NS_PER_S;
    printf("HERDGATE_TEST_SEED=%" PRIu64 "\n", seed);
}

void run_tests(const struct named_test *tests, size_t count)
{
    read_environment();
    run_named_tests(tests, count);
}
