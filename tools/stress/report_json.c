/* The results of a herd as JSON, version 1, and back. Durations are nanoseconds, as their names say. */
#include <stdlib.h>
#include <string.h>

#include "tools/stress/publish.h"
#include "tools/stress/report.h"
#include "tools/stress/saved.h"

#define LENGTH_MOST_NS (3600 * INT64_C(1000000000)) /* as the command line has it */

#define FIELD(kind, name, member) HGI_FIELD(struct hgi_herd_results, kind, name, member)
#define TRIAL(kind, name, member) HGI_FIELD(struct hgi_trial, kind, name, member)
#define COST(name, member) HGI_FIELD(struct hgi_proxy_cost, I64, name, member)

static const struct hgi_field settings[] = {
    FIELD(U32, "threads", settings.threads),
    FIELD(U32, "connections", settings.connections),
    FIELD(I64, "length_ns", settings.length_ns),
    FIELD(I64, "outage_begin_ns", settings.outage.low),
    FIELD(I64, "outage_end_ns", settings.outage.high),
    FIELD(I64, "think_ns", settings.think_ns),
    FIELD(U32, "rate_per_s", settings.rate),
    FIELD(I64, "attempt_timeout_ns", settings.attempt_timeout_ns),
    FIELD(I64, "deadline_ns", settings.deadline_ns),
    FIELD(I64, "size_least", settings.sizes.low),
    FIELD(I64, "size_most", settings.sizes.high),
    FIELD(SEED, "seed", settings.seed),
    { 0 },
};

static const struct hgi_field capacity[] = { FIELD(U32, "capacity_per_s", settings.capacity_per_s),
                                             { 0 } };

static const struct hgi_field cost[] = {
    COST("direct_p50_ns", direct_p50_ns),
    COST("direct_p99_ns", direct_p99_ns),
    COST("through_p50_ns", through_p50_ns),
    COST("through_p99_ns", through_p99_ns),
    { 0 },
};

static const struct hgi_field trial_fields[] = {
    TRIAL(I64, "length_ns", length_ns),
    TRIAL(I64_OR_NULL, "down_ns", down_ns),
    TRIAL(I64_OR_NULL, "up_ns", up_ns),
    TRIAL(U64, "calls", offered),
    TRIAL(U64, "answered", answered),
    TRIAL(U64, "failed", failed),
    TRIAL(U64, "calls_while_down", offered_down),
    TRIAL(U64, "failed_while_down", failed_down),
    TRIAL(U64, "attempts", attempts),
    TRIAL(U64, "attempts_while_down", attempts_down),
    TRIAL(U64, "wasted", wasted),
    TRIAL(U64, "dials", dials),
    TRIAL(U32, "threads_well", threads_well),
    TRIAL(U32, "connections_live", connections_live),
    TRIAL(I64, "machine_late_ns", late_ns),
    TRIAL(I64, "capacity_lost_ns", lost_ns),
    TRIAL(U64, "mismatches", mismatches),
    HGI_FIELD_TEXT_OF(struct hgi_trial, "first_mismatch", first_mismatch),
    TRIAL(HISTOGRAM, "latency", latency),
    TRIAL(HISTOGRAM, "service", service),
    TRIAL(U64, "not_begun", not_begun),
    TRIAL(HISTOGRAM, "latency_failed_while_down", latency_down),
    { 0 },
};

static const struct hgi_field overrun[] = { TRIAL(I64, "deadline_overrun_ns", overrun_ns), { 0 } };
static const struct hgi_field transitions[] = { TRIAL(U64, "transitions", transitions), { 0 } };

/* --- writing --- */

static void add_number(cJSON *object, const char *name, double value)
{
    cJSON_AddNumberToObject(object, name, value);
}

/* -1 stands for "not known": null. */
static void add_share(cJSON *object, const char *name, double value)
{
    if (value < 0)
        cJSON_AddNullToObject(object, name);
    else
        add_number(object, name, value);
}

static void add_counts(cJSON *object, const char *name, const uint32_t *counts, uint32_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber(counts[i]));
}

static cJSON *settings_json(const struct hgi_herd_results *results)
{
    char toxics[HGI_TOXICS_TEXT];
    const struct hgi_herd_settings *s = &results->settings;
    cJSON *json = cJSON_CreateObject();
    hgi_fields_write(json, settings, results);
    cJSON_AddStringToObject(json, "fault", hgi_outage_name(s->way));
    if (s->capacity_per_s)
        hgi_fields_write(json, capacity, results);
    else
        cJSON_AddNullToObject(json, "capacity_per_s");
    cJSON_AddItemToObject(json, "toxics", hgi_toxics_json(&s->toxics));
    hgi_toxics_print(&s->toxics, toxics);
    cJSON_AddStringToObject(json, "toxics_words", toxics);
    return json;
}

static cJSON *add_figures(cJSON *json, const struct hgi_herd_figures *f)
{
    cJSON *figures = cJSON_AddObjectToObject(json, "figures");
    add_number(figures, "amplification", f->amplification);
    add_number(figures, "amplification_while_down", f->amplification_down);
    add_share(figures, "ratio_to_naive_while_down", f->ratio_to_naive);
    add_number(figures, "offered_per_s", f->offered_per_s);
    add_number(figures, "goodput_per_s", f->goodput_per_s);
    add_number(figures, "goodput_at_end", f->goodput_at_end);
    add_number(figures, "peak_attempts_per_s", f->peak_per_s);
    add_number(figures, "peak_attempts_10ms_per_s", f->peak_10ms_per_s);
    add_share(figures, "over_capacity", f->over_capacity);
    add_share(figures, "over_capacity_10ms", f->over_capacity_10ms);
    add_share(figures, "over_capacity_after", f->over_capacity_after);
    add_share(figures, "in_vain", f->in_vain);
    add_share(figures, "in_vain_after", f->in_vain_after);
    add_number(figures, "wasted", f->wasted);
    add_number(figures, "false_opens", (double)f->false_opens);
    hgi_json_add_time(figures, "goodput_back_ns", f->back_ns);
    hgi_json_add_time(figures, "goodput_back_after_open_ns", f->back_after_open_ns);
    hgi_json_add_time(figures, "open_interval_ns", f->open_interval_ns);
    hgi_json_add_time(figures, "open_left_ns", f->open_left_ns);
    return figures;
}

/* Null where no delay is drawn, or by the library, which seeds itself. */
static void add_draws(cJSON *json, const struct hgi_trial *trial)
{
    if (!trial->draws) {
        cJSON_AddNullToObject(json, "jitter_draws");
        return;
    }
    cJSON *threads = cJSON_AddArrayToObject(json, "jitter_draws");
    for (uint32_t i = 0; i < trial->threads; i++)
        cJSON_AddItemToArray(
            threads, cJSON_CreateDoubleArray(trial->draws[i].unit, (int)trial->draws[i].count));
}

static void add_breaker(cJSON *json, const struct hgi_trial *trial)
{
    if (!trial->has_breaker) {
        cJSON_AddNullToObject(json, "breaker");
        return;
    }
    cJSON *breaker = cJSON_AddObjectToObject(json, "breaker");
    hgi_fields_write(breaker, transitions, trial);
    hgi_marks_write(breaker, "states", trial->mark, trial->mark_count);
}

/* What a proxy before the server has seen; null without one. */
static void add_server_side(cJSON *json, const struct hgi_trial *trial,
                            const struct hgi_herd_figures *f)
{
    if (!trial->server_seen) {
        cJSON_AddNullToObject(json, "at_server");
        return;
    }
    cJSON *side = cJSON_AddObjectToObject(json, "at_server");
    add_number(side, "came", f->came);
    add_number(side, "served", f->served);
    add_number(side, "in_vain", f->in_vain * f->came);
}

static cJSON *trial_json(const struct hgi_trial *trial, const struct hgi_trial *naive)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "policy", hgi_strategy_name(trial->strategy));
    hgi_fields_write(json, trial_fields, trial);
    cJSON *failed_as = cJSON_AddObjectToObject(json, "failed_as");
    for (int i = 0; i < HGI_STATUSES; i++) {
        if (trial->failed_as[i])
            add_number(failed_as, hg_status_name((hg_status)-i), (double)trial->failed_as[i]);
    }
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    hgi_fields_write(add_figures(json, &f), overrun, trial);
    add_breaker(json, trial);
    add_draws(json, trial);
    add_server_side(json, trial, &f);
    cJSON *series = cJSON_AddObjectToObject(json, "series");
    add_number(series, "bucket_ns", (double)HGI_BUCKET_NS);
    add_counts(series, "attempts", trial->series.attempts, trial->series.count);
    add_counts(series, "wasted", trial->series.wasted, trial->series.count);
    add_counts(series, "answered", trial->series.answered, trial->series.count);
    add_counts(series, "failed", trial->series.failed, trial->series.count);
    if (trial->server_seen) {
        add_counts(series, "came", trial->series.came, trial->series.count);
        add_counts(series, "in_vain", trial->series.in_vain, trial->series.count);
        add_counts(series, "served", trial->series.served, trial->series.count);
    }
    return json;
}

cJSON *hgi_report_json(const void *arg)
{
    char text[HGI_VERDICT_SIZE];
    const struct hgi_herd_results *results = arg;
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    cJSON *json = hgi_json_begin("herd", &results->stamp, hgi_herd_load(&results->settings));
    hgi_herd_verdict(text, sizeof text, results);
    cJSON_AddStringToObject(json, "verdict", text);
    hgi_herd_doubt(text, sizeof text, results);
    cJSON_AddStringToObject(json, "doubt", text);
    hgi_herd_broken(text, sizeof text, results);
    cJSON_AddStringToObject(json, "broken", text);
    cJSON_AddItemToObject(json, "settings", settings_json(results));
    cJSON_AddItemToObject(json, "proxy", hgi_proxy_cost_json(&results->proxy_cost));
    cJSON *trials = cJSON_AddArrayToObject(json, "trials");
    for (size_t i = 0; i < results->count; i++)
        cJSON_AddItemToArray(trials, trial_json(results->trial[i], naive));
    return json;
}

/* --- reading --- */

static bool read_settings(struct hgi_herd_results *r, const struct hgi_saved *saved)
{
    struct hgi_saved at, proxy;
    if (!hgi_saved_enter(&at, saved, "settings") || !hgi_fields_read(r, settings, &at) ||
        !hgi_saved_toxics(&r->settings.toxics, &at, "toxics_words") ||
        (!hgi_saved_lacks(&at, "capacity_per_s") && !hgi_fields_read(r, capacity, &at)))
        return false;
    const char *fault = hgi_saved_text(&at, "fault");
    if (!fault || !hgi_outage_parse(&r->settings.way, fault, NULL))
        return fault && hgi_saved_wrong(&at, "fault", "is no way for a server to go");
    if (r->settings.length_ns < HGI_BUCKET_NS || r->settings.length_ns > LENGTH_MOST_NS)
        return hgi_saved_wrong(&at, "length_ns", "is no length of a trial");
    if (hgi_saved_lacks(saved, "proxy"))
        return true;
    r->proxy_cost.known = true;
    return hgi_saved_enter(&proxy, saved, "proxy") && hgi_fields_read(&r->proxy_cost, cost, &proxy);
}

static bool read_counts(uint32_t *counts, uint32_t count, const char *name,
                        const struct hgi_saved *at)
{
    int length;
    struct hgi_saved list;
    if (!hgi_saved_enter(&list, at, name) || !hgi_saved_length(&length, &list, (int)count))
        return false;
    if (length != (int)count)
        return hgi_saved_wrong(&list, NULL, "does not have a number for each 10 ms of the trial");
    for (const cJSON *item = list.json->child; item; item = item->next) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= UINT32_MAX))
            return hgi_saved_wrong(&list, NULL, "has something else than counts");
        *counts++ = (uint32_t)item->valuedouble;
    }
    return true;
}

static bool read_series(struct hgi_trial *t, const struct hgi_saved *saved)
{
    struct hgi_saved at;
    const struct hgi_series *s = &t->series;
    return hgi_saved_enter(&at, saved, "series") &&
           read_counts(s->attempts, s->count, "attempts", &at) &&
           read_counts(s->wasted, s->count, "wasted", &at) &&
           read_counts(s->answered, s->count, "answered", &at) &&
           read_counts(s->failed, s->count, "failed", &at) &&
           (!t->server_seen || (read_counts(s->came, s->count, "came", &at) &&
                                read_counts(s->in_vain, s->count, "in_vain", &at) &&
                                read_counts(s->served, s->count, "served", &at)));
}

static bool read_strategy(struct hgi_trial *t, const struct hgi_saved *saved)
{
    size_t count;
    enum hgi_strategy list[HGI_STRATEGIES];
    const char *name = hgi_saved_text(saved, "policy");
    if (!name)
        return false;
    if (!hgi_strategies_parse(list, &count, name, NULL) || count != 1)
        return hgi_saved_wrong(saved, "policy", "is no way to retry");
    t->strategy = list[0];
    return true;
}

static bool read_trial(struct hgi_trial *t, const struct hgi_herd_settings *s,
                       const struct hgi_saved *saved)
{
    struct hgi_saved at;
    if (!read_strategy(t, saved) || !hgi_fields_read(t, trial_fields, saved))
        return false;
    if (t->length_ns < 0 || t->length_ns > s->length_ns)
        return hgi_saved_wrong(saved, "length_ns", "is longer than a trial");
    t->threads = s->threads;
    t->capacity_per_s = s->capacity_per_s;
    t->rate_per_s = s->rate;
    t->server_seen = !hgi_saved_lacks(saved, "at_server");
    t->has_breaker = !hgi_saved_lacks(saved, "breaker");
    if (!hgi_saved_enter(&at, saved, "failed_as"))
        return false;
    for (int i = 0; i < HGI_STATUSES; i++) {
        const char *name = hg_status_name((hg_status)-i);
        if (!hgi_saved_lacks(&at, name) && !hgi_saved_count(&t->failed_as[i], &at, name))
            return false;
    }
    if (t->has_breaker &&
        (!hgi_saved_enter(&at, saved, "breaker") || !hgi_fields_read(t, transitions, &at) ||
         !hgi_marks_read(t->mark, &t->mark_count, "states", &at)))
        return false;
    return hgi_saved_enter(&at, saved, "figures") && hgi_fields_read(t, overrun, &at) &&
           read_series(t, saved);
}

bool hgi_report_load(void *results, const struct hgi_saved *saved)
{
    struct hgi_herd_results *r = results;
    struct hgi_saved list, at;
    int count;
    if (!read_settings(r, saved) || !hgi_saved_enter(&list, saved, "trials") ||
        !hgi_saved_length(&count, &list, HGI_STRATEGIES))
        return false;
    for (int i = 0; i < count; i++) {
        struct hgi_trial *trial = calloc(1, sizeof *trial);
        if (!trial)
            return hgi_problem_set(saved->problem, "out of memory");
        r->trial[r->count++] = trial;
        if (!hgi_series_init(&trial->series, r->settings.length_ns))
            return hgi_problem_set(saved->problem, "out of memory");
        if (!hgi_saved_item(&at, &list, i) || !read_trial(trial, &r->settings, &at))
            return false;
    }
    return true;
}
