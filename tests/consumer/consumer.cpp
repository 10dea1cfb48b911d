// Somebody else's program in C++17: the headers' structs, initialisers and callbacks as C++ sees them.
#include <herdgate/herdgate.h>

#include <cstdio>
#include <cstring>

namespace {

hg_status answer(void *arg, hg_attempt *attempt)
{
    *static_cast<unsigned *>(arg) += attempt->number;
    return HG_OK;
}

bool run()
{
    hg_error err = HG_ERROR_INIT;
    hg_policy *policy = nullptr;
    hg_pool *pool = nullptr;
    hg_breaker *breaker = nullptr;
    hg_breaker_options breaker_options = HG_BREAKER_OPTIONS_INIT;
    hg_run_options run_options = HG_RUN_OPTIONS_INIT;
    hg_pool_options pool_options = HG_POOL_OPTIONS_INIT;
    hg_pool_stats stats = HG_POOL_STATS_INIT;
    hg_trace trace = HG_TRACE_INIT;
    unsigned sum = 0;

    if (hg_policy_parse(&policy, "{}", 2, "defaults", &err) < 0 ||
        hg_breaker_new(&breaker, &breaker_options, &err) < 0) {
        return false;
    }
    run_options.op_class = "read";
    run_options.breaker = breaker;
    run_options.trace = &trace;
    // A pool opens without waiting for a server, and closes without ever having met one.
    pool_options.url = "unix:///nonexistent/redis.sock";
    pool_options.breaker = breaker;
    bool well = hg_run(policy, &run_options, answer, &sum, &err) == HG_OK && sum == 1 &&
                trace.attempts == 1 && hg_pool_open(&pool, &pool_options, policy, &err) == HG_OK;
    if (well) {
        hg_pool_read_stats(pool, &stats);
        well = stats.leased == 0 && hg_pool_close(pool, 0, &err) == HG_OK;
    }
    if (!well) {
        std::fprintf(stderr, "%s: %s\n", hg_status_name(err.type), err.message);
    }
    hg_breaker_free(breaker);
    hg_policy_drop(policy);
    return well;
}

} // namespace

int main()
{
    std::printf("herdgate %s\n", hg_version());
    return run() && std::strcmp(hg_version(), HG_VERSION) == 0 ? 0 : 1;
}
