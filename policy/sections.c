/* The sections of the policy file that are mostly tables: pool, breaker, retry_budget, recovery. A row
 * names a key, the limits of its value and the field it goes to. */
#include "policy/decode.h"

#include <assert.h>

#include <cjson/cJSON.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/shm_file.h"

/* Arguments that are members or strings cannot stand in parentheses.
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define AT(member) offsetof(struct hgi_settings, member)
#define COUNT(name, member, low, high)                                                      \
    {                                                                                       \
        .key = name, .kind = HGI_FIELD_COUNT, .offset = AT(member), .min = low, .max = high \
    }
#define RATE(name, member, low)                                                         \
    {                                                                                   \
        .key = name, .kind = HGI_FIELD_RATE, .offset = AT(member), .min = low, .max = 1 \
    }
#define REAL(name, member, low, high)                                                      \
    {                                                                                      \
        .key = name, .kind = HGI_FIELD_REAL, .offset = AT(member), .min = low, .max = high \
    }
#define TIME(name, member, low, high)                                                          \
    {                                                                                          \
        .key = name, .kind = HGI_FIELD_DURATION, .offset = AT(member), .min = low, .max = high \
    }
#define TIME_OR_OFF(name, member, low, high)                                              \
    {                                                                                     \
        .key = name, .kind = HGI_FIELD_DURATION_OR_OFF, .offset = AT(member), .min = low, \
        .max = high, .off = -1                                                            \
    }
#define SWITCH(name, member)                                      \
    {                                                             \
        .key = name, .kind = HGI_FIELD_BOOL, .offset = AT(member) \
    }
#define CHOICE(name, member, words)                                                     \
    {                                                                                   \
        .key = name, .kind = HGI_FIELD_CHOICE, .offset = AT(member), .choices = (words) \
    }
#define OWN(name, function)                                 \
    {                                                       \
        .key = name, .kind = HGI_FIELD_OWN, .own = function \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

#define MS ((double)HGI_NS_PER_MS)
#define SECOND ((double)HGI_NS_PER_S)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

/* --- pool --- */

static const struct hgi_field dial_backoff_fields[] = {
    TIME("initial", pool.dial_backoff_initial_ns, MS, HOUR),
    TIME("max", pool.dial_backoff_max_ns, MS, HOUR),
    { .key = NULL },
};

static hg_status decode_dial_backoff(struct hgi_decoder *decoder, const struct hgi_node *node,
                                     void *base)
{
    (void)base;
    struct hgi_settings *settings = decoder->settings;
    hg_status status = hgi_decode_object(decoder, node, dial_backoff_fields, settings);
    if (status < 0)
        return status;
    return hgi_decode_ordered(
        decoder, node, settings->pool.dial_backoff_initial_ns <= settings->pool.dial_backoff_max_ns,
        "initial", "max", "no dial would wait for so long");
}

static const char *const fairness_words[] = { "bounded", "fifo", "barging", NULL };

static_assert(HGI_FAIRNESS_BOUNDED == 0 && HGI_FAIRNESS_FIFO == 1 && HGI_FAIRNESS_BARGING == 2,
              "the order of fairness_words");

const struct hgi_field hgi_pool_fields[] = {
    COUNT("max_size", pool.max_size, 1, HGI_POOL_SIZE_MAX),
    COUNT("min_idle", pool.min_idle, 0, HGI_POOL_SIZE_MAX),
    COUNT("max_waiters", pool.max_waiters, 0, 1000000),
    COUNT("max_connecting", pool.max_connecting, 1, 64),
    CHOICE("fairness", pool.fairness, fairness_words),
    TIME("barging_limit", pool.barging_limit_ns, 0.01 * MS, 60 * SECOND),
    SWITCH("refuse_hopeless", pool.refuse_hopeless),
    TIME("acquire_timeout", pool.acquire_timeout_ns, MS, DAY),
    TIME("connect_timeout", pool.connect_timeout_ns, MS, HOUR),
    OWN("dial_backoff", decode_dial_backoff),
    TIME_OR_OFF("idle_timeout", pool.idle_timeout_ns, 10 * MS, 365 * DAY),
    TIME_OR_OFF("max_lifetime", pool.max_lifetime_ns, 10 * MS, 365 * DAY),
    TIME_OR_OFF("keepalive", pool.keepalive_ns, 10 * MS, 365 * DAY),
    TIME_OR_OFF("tcp_user_timeout", pool.tcp_user_timeout_ns, 100 * MS, DAY),
    TIME_OR_OFF("lease_warning", pool.lease_warning_ns, 10 * MS, 365 * DAY),
    TIME("drain_timeout", pool.drain_timeout_ns, 0, HOUR),
    { .key = NULL },
};

hg_status hgi_decode_pool(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    const struct hgi_pool_settings *pool = &decoder->settings->pool;
    hg_status status = hgi_decode_object(decoder, node, hgi_pool_fields, decoder->settings);
    if (status < 0)
        return status;
    return hgi_decode_ordered(decoder, node, pool->min_idle <= pool->max_size, "min_idle",
                              "max_size", "a pool cannot keep more than it may have");
}

/* --- breaker: the limits lie within those that the breaker itself has --- */

static const struct hgi_field window_fields[] = {
    TIME("length", breaker.window_length_ns, SECOND, 600 * SECOND),
    COUNT("min_calls", breaker.window_min_calls, 1, 1000000),
    RATE("failure_rate", breaker.window_failure_rate, 0.001),
    TIME_OR_OFF("slow_call", breaker.window_slow_call_ns, MS, HOUR),
    RATE("slow_rate", breaker.window_slow_rate, 0.001),
    { .key = NULL },
};

/* That it is there switches it on. */
static hg_status decode_window(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    struct hg_breaker_options *breaker = &decoder->settings->breaker;
    breaker->window_length_ns = 10 * HGI_NS_PER_S;
    hg_status status = hgi_decode_object(decoder, node, window_fields, decoder->settings);
    if (breaker->window_slow_call_ns < 0)
        breaker->window_slow_call_ns = 0;
    return status;
}

/* A name's limits are those of the file that it stands for. */
static hg_status decode_shared(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    struct hgi_settings *settings = decoder->settings;
    struct hg_error err = HG_ERROR_INIT;
    struct hgi_shm_file file;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "a name in a string");
    if (status < 0)
        return status;
    if (hgi_shm_init(&file, NULL, node->item->valuestring, &err) < 0)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE, "%s", err.message);
    hgi_copy_text(settings->breaker_shared, sizeof settings->breaker_shared, file.name);
    return HG_OK;
}

static const char *const mismatch_words[] = { "adopt", "refuse", NULL };

const struct hgi_field hgi_breaker_fields[] = {
    SWITCH("enabled", breaker_enabled),
    COUNT("failure_threshold", breaker.failure_threshold, 0, 65535),
    TIME("recovery_timeout", breaker.recovery_timeout_ns, 10 * MS, 18 * HOUR),
    REAL("recovery_multiplier", breaker.recovery_multiplier, 1, 100),
    TIME("recovery_timeout_max", breaker.recovery_timeout_max_ns, 10 * MS, 18 * HOUR),
    RATE("recovery_jitter", breaker.recovery_jitter, 0),
    COUNT("half_open_max_calls", breaker.half_open_max_calls, 1, 255),
    COUNT("success_threshold", breaker.success_threshold, 1, 255),
    TIME("probe_lease", breaker.probe_lease_ns, 10 * MS, 18 * HOUR),
    OWN("window", decode_window),
    OWN("shared", decode_shared),
    CHOICE("on_mismatch", breaker.on_mismatch, mismatch_words),
    { .key = NULL },
};

hg_status hgi_decode_breaker(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    const struct hg_breaker_options *breaker = &decoder->settings->breaker;
    hg_status status = hgi_decode_object(decoder, node, hgi_breaker_fields, decoder->settings);
    if (status == HG_OK)
        status = hgi_decode_ordered(
            decoder, node, breaker->success_threshold <= breaker->half_open_max_calls,
            "success_threshold", "half_open_max_calls", "the breaker could never close");
    if (status == HG_OK)
        status = hgi_decode_ordered(
            decoder, node, breaker->recovery_timeout_ns <= breaker->recovery_timeout_max_ns,
            "recovery_timeout", "recovery_timeout_max", "the first open period would be cut");
    if (status == HG_OK && breaker->failure_threshold == 0 && breaker->window_length_ns == 0)
        return hgi_document_fail(
            decoder->document, hgi_node_member(decoder->document, node, "failure_threshold"),
            HGI_AT_VALUE,
            "0 without a \"window\": nothing would ever open the breaker; write 1 or "
            "more, or add a window");
    return status;
}

/* --- retry_budget and recovery --- */

const struct hgi_field hgi_budget_fields[] = {
    SWITCH("enabled", budget.enabled),
    RATE("ratio", budget.ratio, 0),
    REAL("min_per_second", budget.min_per_second, 0, 100000),
    TIME("window", budget.window_ns, 100 * MS, HOUR),
    REAL("initial", budget.initial, 0, 100000),
    { .key = NULL },
};

const struct hgi_field hgi_recovery_fields[] = {
    TIME("delay", retry_delay_ns, 0, HOUR),
    TIME("poll", condition_poll_ns, MS, HOUR),
    TIME("ramp", release_ramp_ns, 0, HOUR),
    { .key = NULL },
};
