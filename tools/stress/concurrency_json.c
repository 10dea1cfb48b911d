/* A run of concurrency as JSON, version 1, and back. */
#include "tools/stress/concurrency.h"
#include "tools/stress/publish.h"
#include "tools/stress/saved.h"
#include "tools/stress/worker_sum.h"

#define FIELD(kind, name, member) HGI_FIELD(struct hgi_concurrency_results, kind, name, member)
#define TEXT(name, member) HGI_FIELD_TEXT_OF(struct hgi_concurrency_results, name, member)

static const struct hgi_field settings[] = {
    FIELD(U32, "threads", settings.threads),
    FIELD(U32, "connections", stats.max_size),
    FIELD(I64, "length_ns", settings.length_ns),
    FIELD(I64, "size_least", settings.sizes.low),
    FIELD(I64, "size_most", settings.sizes.high),
    FIELD(SEED, "seed", settings.seed),
    FIELD(BOOL, "given_server", settings.target.given),
    TEXT("server_address", settings.target.text),
    FIELD(WORD, "policy", settings.policy),
    { 0 },
};

static const struct hgi_field calls[] = {
    FIELD(I64, "took_ns", stamp.took_ns),
    FIELD(U64, "replies_checked", sum.replies),
    FIELD(U64, "leases_checked", sum.leases),
    FIELD(U64, "value_bytes", sum.bytes),
    FIELD(U64, "failed", sum.failed),
    TEXT("first_failure", sum.first_failure),
    FIELD(U64, "retries", sum.retries),
    FIELD(U64, "dials", stats.dials),
    FIELD(U64, "keys_vanished", sum.missing),
    FIELD(HISTOGRAM, "latency", sum.latency),
    { 0 },
};

/* Of all calls together; the shares are made of these. */
static const struct hgi_field times[] = {
    FIELD(I64, "queue_ns", sum.queue_ns),     FIELD(I64, "dial_ns", sum.dial_ns),
    FIELD(I64, "server_ns", sum.server_ns),   FIELD(I64, "backoff_ns", sum.backoff_ns),
    FIELD(I64, "elapsed_ns", sum.elapsed_ns), { 0 },
};

static const struct hgi_field kept[] = {
    FIELD(U64, "replies_mismatched", sum.mismatches),
    TEXT("first_mismatch", sum.first_mismatch),
    FIELD(U64, "incr_over", sum.incr_over),
    TEXT("first_over", sum.first_over),
    FIELD(U64, "leases_doubled", sum.doubled),
    TEXT("first_doubled", sum.first_doubled),
    TEXT("close_failure", close_failure),
    FIELD(I64_OR_NULL, "connections_left", connections_left),
    FIELD(I64, "descriptors_left", descriptors_left),
    FIELD(I64, "memory_left_bytes", memory_left),
    { 0 },
};

static const struct hgi_field series[] = {
    HGI_FIELD_LIST(struct hgi_concurrency_results, U64S, "calls", slice_done, [0], slices),
    { 0 },
};

static void add_shares(cJSON *json, const struct hgi_worker *sum)
{
    struct hgi_time_shares shares = hgi_concurrency_shares(sum);
    cJSON *time = cJSON_AddObjectToObject(json, "time_shares");
    cJSON_AddNumberToObject(time, "queue", shares.queue);
    cJSON_AddNumberToObject(time, "dial", shares.dial);
    cJSON_AddNumberToObject(time, "server", shares.server);
    cJSON_AddNumberToObject(time, "backoff", shares.backoff);
    cJSON_AddNumberToObject(time, "rest", shares.rest);
}

cJSON *hgi_concurrency_json(const void *arg)
{
    char text[640];
    const struct hgi_concurrency_results *r = arg;
    uint64_t all = hgi_worker_calls(&r->sum);
    cJSON *json = hgi_json_begin("concurrency", &r->stamp, HGI_CLOSED_LOOP);
    hgi_fields_write(cJSON_AddObjectToObject(json, "settings"), settings, r);
    hgi_fields_write(json, calls, r);
    cJSON_AddNumberToObject(json, "calls", (double)all);
    cJSON_AddNumberToObject(json, "calls_per_second", hgi_per_second(all, r->stamp.took_ns));
    cJSON *by = cJSON_AddObjectToObject(json, "calls_by_kind");
    for (int op = 0; op < HGI_OPS; op++)
        cJSON_AddNumberToObject(by, hgi_op_name((enum hgi_op)op), (double)r->sum.calls[op]);
    hgi_fields_write(cJSON_AddObjectToObject(json, "times"), times, r);
    add_shares(json, &r->sum);
    cJSON *over_time = cJSON_AddObjectToObject(json, "series");
    const int64_t bucket_ns = r->settings.length_ns / HGI_SLICES;
    cJSON_AddNumberToObject(over_time, "bucket_ns", (double)bucket_ns);
    hgi_fields_write(over_time, series, r);
    cJSON *invariants = cJSON_AddObjectToObject(json, "invariants");
    hgi_fields_write(invariants, kept, r);
    hgi_concurrency_broken(text, sizeof text, r);
    cJSON_AddStringToObject(invariants, "broken", text);
    hgi_concurrency_verdict(text, sizeof text, r);
    cJSON_AddStringToObject(json, "verdict", text);
    return json;
}

bool hgi_concurrency_load(void *results, const struct hgi_saved *saved)
{
    struct hgi_concurrency_results *r = results;
    struct hgi_saved at;
    if (!hgi_saved_enter(&at, saved, "settings") || !hgi_fields_read(r, settings, &at))
        return false;
    if (r->settings.length_ns < HGI_SLICES)
        return hgi_saved_wrong(&at, "length_ns", "is too short");
    if (!hgi_fields_read(r, calls, saved) || !hgi_saved_enter(&at, saved, "calls_by_kind"))
        return false;
    for (int op = 0; op < HGI_OPS; op++)
        if (!hgi_saved_count(&r->sum.calls[op], &at, hgi_op_name((enum hgi_op)op)))
            return false;
    return hgi_saved_enter(&at, saved, "times") && hgi_fields_read(r, times, &at) &&
           hgi_saved_enter(&at, saved, "series") && hgi_fields_read(r, series, &at) &&
           hgi_saved_enter(&at, saved, "invariants") && hgi_fields_read(r, kept, &at);
}
