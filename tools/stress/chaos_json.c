/* A run of chaos or soak as JSON, version 1, and back. */
#include "tools/stress/chaos.h"
#include "tools/stress/publish.h"
#include "tools/stress/saved.h"
#include "tools/stress/worker_sum.h"

#define FIELD(kind, name, member) HGI_FIELD(struct hgi_chaos_results, kind, name, member)
#define TEXT(name, member) HGI_FIELD_TEXT_OF(struct hgi_chaos_results, name, member)
#define LIST(kind, name, list, part, number) \
    HGI_FIELD_LIST(struct hgi_chaos_results, kind, name, list, part, number)

static const struct hgi_field settings[] = {
    FIELD(U32, "threads", settings.threads),
    FIELD(U32, "connections", stats.max_size),
    FIELD(I64, "size_least", settings.sizes.low),
    FIELD(I64, "size_most", settings.sizes.high),
    FIELD(I64, "pause_ns", settings.pause_ns),
    FIELD(I64, "length_ns", settings.length_ns),
    FIELD(I64, "round_ns", settings.round_ns),
    FIELD(I64, "attempt_timeout_ns", settings.attempt_timeout_ns),
    FIELD(I64, "deadline_ns", settings.deadline_ns),
    FIELD(BOOL, "given_server", settings.target.given),
    TEXT("server_address", settings.target.text),
    TEXT("server_words", settings.server_words),
    FIELD(BOOL, "schedule_from_seed", settings.drawn),
    FIELD(WORD, "policy", settings.policy),
    FIELD(SEED, "seed", settings.seed),
    { 0 },
};

static const struct hgi_field calls[] = {
    FIELD(I64, "took_ns", stamp.took_ns),
    FIELD(U32, "rounds", rounds),
    FIELD(SEED, "round_seed", round_seed),
    FIELD(U64, "failed", sum.failed),
    FIELD(U64, "retries", sum.retries),
    FIELD(U64, "replies_checked", sum.replies),
    FIELD(U64, "leases_checked", sum.leases),
    FIELD(U64, "dials", stats.dials),
    TEXT("first_failure", sum.first_failure),
    FIELD(HISTOGRAM, "latency", sum.latency),
    { 0 },
};

static const struct hgi_field series[] = {
    LIST(DOUBLES, "answered", slice, [0].answered, slices),
    LIST(DOUBLES, "failed", slice, [0].failed, slices),
    LIST(DOUBLES, "open_ns", slice, [0].open_ns, slices),
    { 0 },
};

static const struct hgi_field breaker[] = {
    FIELD(U64, "transitions", breaker.transitions), FIELD(U64, "opened", breaker.opened),
    FIELD(U64, "false_opens", breaker.false_opens), FIELD(I64, "not_closed_ns", breaker.open_ns),
    FIELD(U32, "probes_most", breaker.probes_most), { 0 },
};

static const struct hgi_field kept[] = {
    FIELD(U64, "replies_mismatched", sum.mismatches),
    TEXT("first_mismatch", sum.first_mismatch),
    FIELD(U64, "leases_doubled", sum.doubled),
    TEXT("first_doubled", sum.first_doubled),
    FIELD(U64, "incr_acknowledged", sum.incr_acknowledged),
    FIELD(U64, "incr_unknown", sum.incr_unknown),
    FIELD(I64_OR_NULL, "incr_at_server", incr_at_server),
    FIELD(U64, "incr_over", sum.incr_over),
    TEXT("first_over", sum.first_over),
    FIELD(U64, "counters_wrong", counters_wrong),
    FIELD(U32, "data_lost", losses),
    FIELD(I64, "overrun_ns", sum.overrun_ns),
    FIELD(U64, "overruns", sum.overruns),
    TEXT("first_overrun", sum.first_overrun),
    FIELD(U32, "sockets_most", sockets_most),
    FIELD(U64, "sockets_over", sockets_over),
    FIELD(U64, "breaker_broken", breaker.broken),
    TEXT("breaker_first_broken", breaker.first_broken),
    TEXT("close_failure", close_failure),
    FIELD(I64, "descriptors_left", descriptors_left),
    { 0 },
};

#define SAMPLE(kind, name, member) HGI_FIELD(struct hgi_chaos_sample, kind, name, member)
static const struct hgi_field sample[] = {
    SAMPLE(I64, "at_ns", at_ns),
    SAMPLE(U64, "calls", calls),
    SAMPLE(U64, "failed", failed),
    SAMPLE(I64, "p99_ns", p99_ns),
    SAMPLE(I64, "resident_bytes", resident),
    SAMPLE(I64, "descriptors", descriptors),
    SAMPLE(I64, "threads", threads),
    { 0 },
};

/* --- writing --- */

/* The schedules as lists, and as the command line has them: that of the last round, and the one that was set. */
static void add_faults(cJSON *json, cJSON *set, const struct hgi_chaos_results *r)
{
    char toxics[HGI_TOXICS_TEXT], faults[HGI_SERVER_FAULTS_TEXT];
    cJSON_AddItemToObject(json, "toxics", hgi_toxics_json(&r->toxics));
    cJSON_AddItemToObject(json, "server_faults", hgi_server_faults_json(&r->server_faults));
    hgi_toxics_print(&r->toxics, toxics);
    hgi_server_faults_print(&r->server_faults, faults);
    cJSON_AddStringToObject(json, "toxics_words", toxics);
    cJSON_AddStringToObject(json, "server_faults_words", faults);
    hgi_toxics_print(&r->settings.toxics, toxics);
    hgi_server_faults_print(&r->settings.server_faults, faults);
    cJSON_AddStringToObject(set, "toxics_words", toxics);
    cJSON_AddStringToObject(set, "server_faults_words", faults);
    cJSON *struck = cJSON_AddObjectToObject(json, "struck");
    for (int kind = 0; kind < HGI_TOXIC_KINDS; kind++)
        cJSON_AddNumberToObject(struck, hgi_toxic_name((enum hgi_toxic_kind)kind),
                                (double)r->toxics_struck[kind]);
    for (int kind = 0; kind < HGI_SERVER_FAULT_KINDS; kind++)
        cJSON_AddNumberToObject(struck, hgi_server_fault_name((enum hgi_server_fault_kind)kind),
                                (double)r->server_struck[kind]);
}

static void add_calls(cJSON *json, const struct hgi_chaos_results *r)
{
    cJSON_AddNumberToObject(json, "calls", (double)hgi_worker_calls(&r->sum));
    hgi_fields_write(json, calls, r);
    cJSON *by = cJSON_AddObjectToObject(json, "calls_by_kind");
    for (int op = 0; op < HGI_OPS; op++)
        cJSON_AddNumberToObject(by, hgi_op_name((enum hgi_op)op), (double)r->sum.calls[op]);
    cJSON *over_time = cJSON_AddObjectToObject(json, "series");
    cJSON_AddNumberToObject(over_time, "bucket_ns",
                            (double)r->settings.length_ns / HGI_CHAOS_SLICES);
    hgi_fields_write(over_time, series, r);
}

static void add_verdicts(cJSON *json, cJSON *invariants, const struct hgi_chaos_results *r)
{
    char text[8192];
    hgi_chaos_broken(text, sizeof text, r);
    cJSON_AddStringToObject(invariants, "broken", text);
    hgi_chaos_verdict(text, sizeof text, r);
    cJSON_AddStringToObject(json, "verdict", text);
    hgi_chaos_replay(text, sizeof text, r);
    cJSON_AddStringToObject(json, "replay", text);
}

static void add_samples(cJSON *json, const struct hgi_chaos_results *r)
{
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    cJSON *list = cJSON_AddArrayToObject(json, "samples");
    for (uint32_t i = 0; i < r->sample_count; i++) {
        cJSON *object = cJSON_CreateObject();
        hgi_fields_write(object, sample, &r->sample[i]);
        cJSON_AddItemToArray(list, object);
    }
    cJSON *grows = cJSON_AddObjectToObject(json, "growth_per_hour");
    cJSON_AddBoolToObject(grows, "known", growth.known);
    cJSON_AddNumberToObject(grows, "resident_bytes", growth.resident_per_hour);
    cJSON_AddNumberToObject(grows, "descriptors", growth.descriptors_per_hour);
    cJSON_AddNumberToObject(grows, "threads", growth.threads_per_hour);
}

cJSON *hgi_chaos_json(const void *arg)
{
    const struct hgi_chaos_results *r = arg;
    cJSON *json = hgi_json_begin(r->settings.soak ? "soak" : "chaos", &r->stamp, HGI_CLOSED_LOOP);
    cJSON *set = cJSON_AddObjectToObject(json, "settings");
    hgi_fields_write(set, settings, r);
    add_faults(json, set, r);
    add_calls(json, r);
    cJSON *states = cJSON_AddObjectToObject(json, "breaker");
    hgi_fields_write(states, breaker, r);
    hgi_marks_write(states, "states", r->breaker.mark, r->breaker.mark_count);
    cJSON *invariants = cJSON_AddObjectToObject(json, "invariants");
    hgi_fields_write(invariants, kept, r);
    add_verdicts(json, invariants, r);
    if (r->settings.soak)
        add_samples(json, r);
    return json;
}

/* --- reading --- */

static bool read_server_faults(struct hgi_server_faults *out, const struct hgi_saved *at)
{
    const char *words = hgi_saved_text(at, "server_faults_words");
    return words && (hgi_server_faults_parse(out, words, NULL) ||
                     hgi_saved_wrong(at, "server_faults_words", "is no list of faults"));
}

static bool read_struck(struct hgi_chaos_results *r, const struct hgi_saved *saved)
{
    struct hgi_saved at;
    bool well = hgi_saved_enter(&at, saved, "struck");
    for (int kind = 0; well && kind < HGI_TOXIC_KINDS; kind++)
        well = hgi_saved_count(&r->toxics_struck[kind], &at,
                               hgi_toxic_name((enum hgi_toxic_kind)kind));
    for (int kind = 0; well && kind < HGI_SERVER_FAULT_KINDS; kind++)
        well = hgi_saved_count(&r->server_struck[kind], &at,
                               hgi_server_fault_name((enum hgi_server_fault_kind)kind));
    return well;
}

static bool read_calls(struct hgi_chaos_results *r, const struct hgi_saved *saved)
{
    struct hgi_saved at;
    bool well = hgi_fields_read(r, calls, saved) && hgi_saved_enter(&at, saved, "calls_by_kind");
    for (int op = 0; well && op < HGI_OPS; op++)
        well = hgi_saved_count(&r->sum.calls[op], &at, hgi_op_name((enum hgi_op)op));
    return well && hgi_saved_enter(&at, saved, "series") && hgi_fields_read(r, series, &at);
}

static bool read_samples(struct hgi_chaos_results *r, const struct hgi_saved *saved)
{
    int count;
    struct hgi_saved list, at;
    if (!hgi_saved_enter(&list, saved, "samples") ||
        !hgi_saved_length(&count, &list, HGI_CHAOS_SAMPLES))
        return false;
    for (int i = 0; i < count; i++)
        if (!hgi_saved_item(&at, &list, i) || !hgi_fields_read(&r->sample[i], sample, &at))
            return false;
    r->sample_count = (uint32_t)count;
    return true;
}

bool hgi_chaos_load(void *results, const struct hgi_saved *saved)
{
    struct hgi_chaos_results *r = results;
    struct hgi_saved at;
    if (!hgi_saved_enter(&at, saved, "settings") || !hgi_fields_read(r, settings, &at) ||
        !hgi_saved_toxics(&r->settings.toxics, &at, "toxics_words") ||
        !read_server_faults(&r->settings.server_faults, &at))
        return false;
    if (r->settings.length_ns < HGI_CHAOS_SLICES)
        return hgi_saved_wrong(&at, "length_ns", "is too short");
    if (!hgi_saved_toxics(&r->toxics, saved, "toxics_words") ||
        !read_server_faults(&r->server_faults, saved) || !read_struck(r, saved) ||
        !read_calls(r, saved) || !hgi_saved_enter(&at, saved, "breaker") ||
        !hgi_fields_read(r, breaker, &at) ||
        !hgi_marks_read(r->breaker.mark, &r->breaker.mark_count, "states", &at) ||
        !hgi_saved_enter(&at, saved, "invariants") || !hgi_fields_read(r, kept, &at))
        return false;
    return !r->settings.soak || read_samples(r, saved);
}
