/* A run of breaker as JSON, version 1, and back. Its times count from the beginning of the run. */
#include "tools/stress/breaker.h"
#include "tools/stress/publish.h"
#include "tools/stress/saved.h"

#define FIELD(kind, name, member) HGI_FIELD(struct hgi_breaker_results, kind, name, member)
#define TEXT(name, member) HGI_FIELD_TEXT_OF(struct hgi_breaker_results, name, member)
#define TURN(name, member) HGI_FIELD(struct hgi_turn, I64, name, member)
#define OUTAGE(kind, name, member) HGI_FIELD(struct hgi_outage, kind, name, member)

static const struct hgi_field settings[] = {
    FIELD(U32, "threads", settings.threads),
    FIELD(U32, "processes", settings.processes),
    FIELD(U32, "outages", settings.outages),
    FIELD(I64, "outage_ns", settings.outage_ns),
    FIELD(I64, "calm_ns", settings.calm_ns),
    FIELD(I64, "attempt_timeout_ns", settings.attempt_timeout_ns),
    FIELD(I64, "pause_ns", settings.pause_ns),
    FIELD(U32, "failure_threshold", settings.breaker.failure_threshold),
    FIELD(U32, "half_open_max_calls", settings.breaker.half_open_max_calls),
    FIELD(U32, "success_threshold", settings.breaker.success_threshold),
    FIELD(I64, "recovery_timeout_ns", settings.breaker.recovery_timeout_ns),
    FIELD(SEED, "seed", settings.seed),
    { 0 },
};

static const struct hgi_field counts[] = {
    FIELD(I64, "took_ns", stamp.took_ns),
    FIELD(U64, "calls", calls),
    FIELD(U64, "admitted", admitted),
    FIELD(U64, "refused", refused),
    FIELD(U64, "failed", failed),
    FIELD(HISTOGRAM, "refusal", refusal),
    FIELD(U64, "transitions", counts.transitions),
    FIELD(U64, "opened", counts.opened),
    FIELD(U64, "half_opened", counts.half_opened),
    FIELD(U64, "promises_broken", counts.broken),
    TEXT("first_broken", counts.first_broken),
    FIELD(U64, "transitions_made", snapshot.transitions),
    FIELD(U64, "probes", snapshot.probes),
    FIELD(BOOL, "admissions_lost", admissions_lost),
    FIELD(BOOL, "turns_lost", turns_lost),
    { 0 },
};

static const struct hgi_field turn[] = {
    TURN("at_ns", at_ns),
    TURN("told_ns", told_ns),
    TURN("open_ns", period_ns),
    HGI_FIELD(struct hgi_turn, U32, "generation", generation),
    HGI_FIELD(struct hgi_turn, BOOL, "elsewhere", elsewhere),
    { 0 },
};

static const struct hgi_field outage[] = {
    OUTAGE(I64, "down_ns", down_ns),   OUTAGE(I64_OR_NULL, "up_ns", up_ns),
    OUTAGE(U64, "refused", refused),   OUTAGE(U64, "failed", failed),
    OUTAGE(U64, "answered", answered), { 0 },
};

static const struct hgi_field kill_fields[] = {
    HGI_FIELD(struct hgi_kill, I64, "at_ns", at_ns),
    HGI_FIELD(struct hgi_kill, U32, "process", process),
    { 0 },
};

static const struct hgi_field admissions[] = {
    HGI_FIELD_LIST(struct hgi_breaker_results, I64S, "asked_ns", admission, [0].asked_ns,
                   admission_count),
    HGI_FIELD_LIST(struct hgi_breaker_results, I64S, "got_ns", admission, [0].got_ns,
                   admission_count),
    { 0 },
};

static void add_outages(cJSON *json, const struct hgi_breaker_results *r)
{
    cJSON *list = cJSON_AddArrayToObject(json, "outages");
    for (uint32_t i = 0; i < r->outage_count; i++) {
        struct hgi_outage_figures f = hgi_breaker_outage(r, i);
        cJSON *object = cJSON_CreateObject();
        hgi_fields_write(object, outage, &r->outage[i]);
        hgi_json_add_time(object, "opened_after_ns", f.opened_after_ns);
        hgi_json_add_time(object, "closed_after_ns", f.closed_after_ns);
        hgi_json_add_time(object, "open_period_ns", f.period_ns);
        cJSON_AddNumberToObject(object, "half_open_periods", f.half_opened);
        cJSON_AddNumberToObject(object, "probes", f.probes);
        cJSON_AddItemToArray(list, object);
    }
}

static void add_turns(cJSON *json, const struct hgi_breaker_results *r)
{
    cJSON *list = cJSON_AddArrayToObject(json, "turns");
    for (uint32_t i = 0; i < r->turn_count; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "from", hg_breaker_state_name(r->turn[i].from));
        cJSON_AddStringToObject(object, "to", hg_breaker_state_name(r->turn[i].to));
        hgi_fields_write(object, turn, &r->turn[i]);
        cJSON_AddItemToArray(list, object);
    }
}

static void add_kills(cJSON *json, const struct hgi_breaker_results *r)
{
    cJSON *list = cJSON_AddArrayToObject(json, "kills");
    for (uint32_t i = 0; i < r->kill_count; i++) {
        cJSON *object = cJSON_CreateObject();
        hgi_fields_write(object, kill_fields, &r->kill[i]);
        cJSON_AddStringToObject(object, "state", hg_breaker_state_name(r->kill[i].state));
        cJSON_AddItemToArray(list, object);
    }
}

cJSON *hgi_breaker_json(const void *arg)
{
    char text[640];
    const struct hgi_breaker_results *r = arg;
    cJSON *json = hgi_json_begin("breaker", &r->stamp, HGI_CLOSED_LOOP);
    cJSON *set = cJSON_AddObjectToObject(json, "settings");
    hgi_fields_write(set, settings, r);
    cJSON_AddStringToObject(set, "fault", hgi_outage_name(r->settings.way));
    hgi_fields_write(json, counts, r);
    cJSON_AddNumberToObject(json, "admitted_while_open", hgi_breaker_admitted_open(r));
    cJSON_AddNumberToObject(json, "probes_most", hgi_breaker_probes_most(r));
    cJSON_AddNumberToObject(json, "false_opens", hgi_breaker_false_opens(r));
    add_outages(json, r);
    add_turns(json, r);
    add_kills(json, r);
    cJSON_AddNumberToObject(json, "untold", (double)hgi_breaker_untold(r));
    hgi_fields_write(cJSON_AddObjectToObject(json, "admissions"), admissions, r);
    hgi_breaker_verdict(text, sizeof text, r);
    cJSON_AddStringToObject(json, "verdict", text);
    hgi_breaker_broken(text, sizeof text, r);
    cJSON_AddStringToObject(json, "broken", text);
    return json;
}

static bool read_outages(struct hgi_breaker_results *r, const struct hgi_saved *saved)
{
    int count;
    struct hgi_saved list, at;
    if (!hgi_saved_enter(&list, saved, "outages") ||
        !hgi_saved_length(&count, &list, HGI_OUTAGES_MAX))
        return false;
    for (int i = 0; i < count; i++)
        if (!hgi_saved_item(&at, &list, i) || !hgi_fields_read(&r->outage[i], outage, &at))
            return false;
    r->outage_count = (uint32_t)count;
    return true;
}

static bool read_turns(struct hgi_breaker_results *r, const struct hgi_saved *saved)
{
    int count;
    struct hgi_saved list, at;
    if (!hgi_saved_enter(&list, saved, "turns") || !hgi_saved_length(&count, &list, HGI_TURNS_MAX))
        return false;
    for (int i = 0; i < count; i++)
        if (!hgi_saved_item(&at, &list, i) || !hgi_saved_state(&r->turn[i].from, &at, "from") ||
            !hgi_saved_state(&r->turn[i].to, &at, "to") || !hgi_fields_read(&r->turn[i], turn, &at))
            return false;
    r->turn_count = (uint32_t)count;
    return true;
}

static bool read_kills(struct hgi_breaker_results *r, const struct hgi_saved *saved)
{
    int count;
    struct hgi_saved list, at;
    if (!hgi_saved_enter(&list, saved, "kills") ||
        !hgi_saved_length(&count, &list, HGI_OUTAGES_MAX))
        return false;
    for (int i = 0; i < count; i++)
        if (!hgi_saved_item(&at, &list, i) || !hgi_fields_read(&r->kill[i], kill_fields, &at) ||
            !hgi_saved_state(&r->kill[i].state, &at, "state"))
            return false;
    r->kill_count = (uint32_t)count;
    return true;
}

bool hgi_breaker_load(void *results, const struct hgi_saved *saved)
{
    struct hgi_breaker_results *r = results;
    struct hgi_saved at;
    if (!hgi_saved_enter(&at, saved, "settings") || !hgi_fields_read(r, settings, &at))
        return false;
    const char *fault = hgi_saved_text(&at, "fault");
    if (!fault || !hgi_outage_parse(&r->settings.way, fault, at.problem))
        return false;
    return hgi_fields_read(r, counts, saved) && read_outages(r, saved) && read_turns(r, saved) &&
           read_kills(r, saved) && hgi_saved_enter(&at, saved, "admissions") &&
           hgi_fields_read(r, admissions, &at);
}
