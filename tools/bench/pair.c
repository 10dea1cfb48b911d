/* The pool's take and give, open to the bench; see pair.h. */
#include "tools/bench/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/exchange.h"
#include "pool/internal.h"

struct hgi_pair {
    hg_pool *pool;
    struct hgi_snapshot *snapshot; /* one call, which lasts from open to close */
    const struct hgi_class *op_class;
};

/* Wait until all connections stand, 20 s at most. */
static bool all_open(hg_pool *pool, uint32_t connections)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    int64_t end_ns = hgi_now_ns() + 20 * HGI_NS_PER_S;
    do {
        hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
        hg_pool_read_stats(pool, &stats);
    } while (stats.idle < connections && hgi_now_ns() < end_ns);
    return stats.idle >= connections;
}

struct hgi_pair *hgi_pair_open(const char *url, uint32_t connections, struct hg_error *err)
{
    char json[128];
    hg_policy *policy = NULL;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    struct hgi_pair *pair = calloc(1, sizeof *pair);
    if (!pair) {
        hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    snprintf(json, sizeof json, "{\"pool\": {\"max_size\": %u, \"min_idle\": %u}}",
             (unsigned)connections, (unsigned)connections);
    options.url = url;
    if (hg_policy_parse(&policy, json, strlen(json), "bench", err) == HG_OK &&
        hg_pool_open(&pair->pool, &options, policy, err) == HG_OK &&
        hgi_call_enter(pair->pool, &pair->snapshot, err) == HG_OK) {
        pair->op_class = &pair->snapshot->settings->classes[HGI_CLASS_READ];
        if (!all_open(pair->pool, connections))
            hgi_error_set(err, HG_ERR_TIMEOUT, "the pool's connections could not be made");
    }
    hg_policy_drop(policy);
    if (err->type == HG_OK)
        return pair;
    hgi_pair_close(pair);
    return NULL;
}

void hgi_pair_close(struct hgi_pair *pair)
{
    if (!pair)
        return;
    if (pair->snapshot)
        hgi_call_leave(pair->snapshot);
    hg_pool_close(pair->pool, -1, NULL);
    free(pair);
}

hg_lease *hgi_pair_take(struct hgi_pair *pair, int64_t now_ns)
{
    struct hgi_take take = { .settings = pair->snapshot->settings,
                             .now_ns = now_ns,
                             .deadline_ns = HGI_NEVER };
    if (hgi_take(pair->pool, &take, NULL) != HG_OK)
        return NULL;
    return hgi_lease_begin(pair->pool, pair->snapshot, take.slot, pair->op_class, take.now_ns);
}

void hgi_pair_give(hg_lease *lease, int64_t now_ns)
{
    hgi_lease_end(lease, now_ns);
}
