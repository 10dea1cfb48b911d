/* What a policy is before its file says anything: "{}" is complete because of this page.
 *
 * The built-in classes stand at the index of their kind. The presets of retrying are in backoff.c,
 * the breaker's defaults in its public header, so that each number is written once.
 */
#include "policy/settings.h"

#include <assert.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"

static_assert((int)HGI_CLASS_KINDS <= (int)HGI_CLASSES_MAX, "the built-in classes have room");

struct class_defaults {
    const char *name;
    const char *preset;
    int64_t attempt_timeout_ns;
    int64_t deadline_ns;
    bool retry_unknown;
};

enum { NONE = -1 };

#define ATTEMPT (250 * HGI_NS_PER_MS)
#define CALL (2 * HGI_NS_PER_S)

/* Five attempts and their delays fit into a call. No built-in class is retried unfenced: an older
 * attempt that still waits in the server would run after a newer, acknowledged one. A blocking call
 * lasts as long as its command says and a little more; one that says "for ever" needs a deadline. */
static const struct class_defaults classes[HGI_CLASS_KINDS] = {
    [HGI_CLASS_READ] = { "read", "fast", ATTEMPT, CALL, true },
    [HGI_CLASS_WRITE] = { "write", "fast", ATTEMPT, CALL, true },
    [HGI_CLASS_WRITE_ONCE] = { "write_once", "fast", ATTEMPT, CALL, false },
    [HGI_CLASS_BLOCKING] = { "blocking", "none", HGI_NS_PER_S, NONE, false },
    [HGI_CLASS_SCRIPT] = { "script", "fast", ATTEMPT, CALL, false },
    [HGI_CLASS_TRANSACTION] = { "transaction", "none", ATTEMPT, CALL, false },
    [HGI_CLASS_CONNECTION] = { "connection", "none", ATTEMPT, CALL, false },
    [HGI_CLASS_ADMIN] = { "admin", "none", ATTEMPT, CALL, false },
};

static const struct hgi_pool_settings pool_defaults = {
    .max_size = 8,
    .min_idle = 1,
    .max_waiters = 4096,
    .max_connecting = 2,
    .fairness = HGI_FAIRNESS_BOUNDED,
    .barging_limit_ns = 1 * HGI_NS_PER_MS,
    .refuse_hopeless = false,
    .acquire_timeout_ns = NONE,
    .connect_timeout_ns = 1 * HGI_NS_PER_S,
    .dial_backoff_initial_ns = 25 * HGI_NS_PER_MS,
    .dial_backoff_max_ns = 250 * HGI_NS_PER_MS,
    .idle_timeout_ns = 5 * 60 * HGI_NS_PER_S,
    .max_lifetime_ns = 30 * 60 * HGI_NS_PER_S,
    .keepalive_ns = 60 * HGI_NS_PER_S,
    .tcp_user_timeout_ns = 30 * HGI_NS_PER_S,
    .lease_warning_ns = 5 * HGI_NS_PER_S,
    .drain_timeout_ns = 5 * HGI_NS_PER_S,
};

static const struct hgi_budget_settings budget_defaults = {
    .enabled = true,
    .ratio = 0.1,
    .min_per_second = 10.0,
    .window_ns = 10 * HGI_NS_PER_S,
    .initial = 10.0,
};

static void fill_class(struct hgi_class *out, enum hgi_class_kind kind)
{
    const struct class_defaults *from = &classes[kind];
    hgi_copy_text(out->name, sizeof out->name, from->name);
    out->kind = kind;
    (void)hg_retry_preset(&out->retry, from->preset, NULL); /* the names above are right: tested */
    out->attempt_timeout_ns = from->attempt_timeout_ns;
    out->deadline_ns = from->deadline_ns;
    out->retry_unknown = from->retry_unknown;
    out->retry_unfenced = false;
}

void hgi_settings_defaults(struct hgi_settings *settings)
{
    memset(settings, 0, sizeof *settings);
    settings->server.transport = HGI_TRANSPORT_TCP;
    settings->server.port = 6379;
    hgi_copy_text(settings->server.host, sizeof settings->server.host, "127.0.0.1");
    hgi_copy_text(settings->server.text, sizeof settings->server.text, "127.0.0.1:6379");
    settings->resp = 2;
    settings->max_reply_bytes = 512u << 20;
    settings->max_reply_depth = 32;
    settings->pool = pool_defaults;
    settings->breaker_enabled = true;
    settings->breaker = (struct hg_breaker_options)HG_BREAKER_OPTIONS_INIT;
    settings->budget = budget_defaults;
    settings->retry_delay_ns = 100 * HGI_NS_PER_MS;
    settings->condition_poll_ns = 100 * HGI_NS_PER_MS;
    settings->release_ramp_ns = 1 * HGI_NS_PER_S;
    for (int kind = 0; kind < HGI_CLASS_KINDS; kind++)
        fill_class(&settings->classes[kind], (enum hgi_class_kind)kind);
    settings->class_count = HGI_CLASS_KINDS;
}

const struct hgi_class *hgi_settings_class(const struct hgi_settings *settings, const char *name)
{
    for (uint32_t i = 0; i < settings->class_count; i++)
        if (strcmp(settings->classes[i].name, name) == 0)
            return &settings->classes[i];
    return NULL;
}
