/* A call on cue, for the tests of the attempt loop: a world whose time passes only when somebody sleeps,
 * and a server that fails so often. */
#ifndef HERDGATE_TESTS_POLICY_RUN_SETTING_H
#define HERDGATE_TESTS_POLICY_RUN_SETTING_H

#include <string.h>

#include "breaker/clock.h"
#include "policy/run.h"

#define MS HGI_NS_PER_MS

/* A clock that moves only when somebody sleeps or an attempt takes time. */
struct world {
    int64_t now_ns;
    int64_t slept_ns;
    unsigned sleeps;
};

static inline int64_t world_now(void *arg)
{
    return ((struct world *)arg)->now_ns;
}

static inline void world_sleep(void *arg, int64_t when_ns)
{
    struct world *world = arg;
    if (when_ns > world->now_ns) {
        world->slept_ns += when_ns - world->now_ns;
        world->now_ns = when_ns;
    }
    world->sleeps++;
}

static inline double world_unit(void *arg)
{
    (void)arg;
    return 0.5;
}

/* A server on cue: fails so many times, each attempt taking so long. */
struct script {
    struct world *world;
    unsigned failures;
    int64_t takes_ns;
    struct hgi_verdict verdict;
    bool refuse;
    bool nil;
    unsigned calls;
    int64_t hint_ns;
};

static inline void scripted_attempt(void *arg, struct hgi_attempt *attempt)
{
    struct script *script = arg;
    script->calls++;
    script->world->now_ns += script->takes_ns;
    attempt->server_ns = script->takes_ns;
    if (script->calls > script->failures) {
        attempt->nil = script->nil;
        return;
    }
    attempt->status = script->verdict.type;
    attempt->verdict = script->verdict;
    attempt->refused = script->refuse;
    attempt->retry_after_ns = script->hint_ns;
    attempt->error->size = sizeof *attempt->error;
    memset((char *)attempt->error + sizeof(size_t), 0, sizeof *attempt->error - sizeof(size_t));
    strcpy(attempt->error->message, "it did not work");
}

struct setting {
    struct world world;
    struct script script;
    struct hgi_settings settings;
    struct hgi_env env;
    struct hgi_call call;
    struct hg_trace trace;
    struct hg_error err;
};

static inline void set_up(struct setting *setting, const char *op_class, unsigned failures)
{
    memset(setting, 0, sizeof *setting);
    hgi_settings_defaults(&setting->settings);
    setting->world.now_ns = 1000 * MS;
    setting->script = (struct script) { .world = &setting->world,
                                        .failures = failures,
                                        .takes_ns = 10 * MS,
                                        .verdict = { .type = HG_ERR_CONNECTION,
                                                     .severity = HG_SEVERITY_HIGH,
                                                     .recovery = HG_RECOVERY_RETRY_WITH_BACKOFF,
                                                     .outcome = HG_OUTCOME_NOT_SENT,
                                                     .view = HGI_VIEW_FAILURE } };
    setting->env = (struct hgi_env) { world_now, world_sleep, world_unit, &setting->world };
    setting->call =
        (struct hgi_call) { .env = &setting->env,
                            .settings = &setting->settings,
                            .op_class = hgi_settings_class(&setting->settings, op_class),
                            .operation = "GET",
                            .key = "k",
                            .key_length = 1,
                            .endpoint = "here:1",
                            .trace = &setting->trace };
}

static inline hg_status run(struct setting *setting)
{
    return hgi_run_loop(&setting->call, scripted_attempt, &setting->script, &setting->err);
}

#endif
