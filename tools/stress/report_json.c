/* The results of a herd as JSON, version 1. Durations are nanoseconds, as their names say. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/stress/publish.h"
#include "tools/stress/report.h"

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

void hgi_report_add_latency(cJSON *object, const char *name, const struct hgi_histogram *histogram)
{
    cJSON *latency = cJSON_AddObjectToObject(object, name);
    add_number(latency, "count", (double)histogram->total);
    add_number(latency, "mean_ns", hgi_histogram_mean(histogram));
    add_number(latency, "p50_ns", (double)hgi_histogram_percentile(histogram, 50));
    add_number(latency, "p90_ns", (double)hgi_histogram_percentile(histogram, 90));
    add_number(latency, "p99_ns", (double)hgi_histogram_percentile(histogram, 99));
    add_number(latency, "p999_ns", (double)hgi_histogram_percentile(histogram, 99.9));
    add_number(latency, "p9999_ns", (double)hgi_histogram_percentile(histogram, 99.99));
    add_number(latency, "max_ns", (double)histogram->max);
}

static void add_counts(cJSON *object, const char *name, const uint32_t *counts, uint32_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber(counts[i]));
}

static cJSON *settings_json(const struct hgi_herd_settings *s)
{
    cJSON *json = cJSON_CreateObject();
    add_number(json, "threads", s->threads);
    add_number(json, "connections", s->connections);
    add_number(json, "length_ns", (double)s->length_ns);
    add_number(json, "outage_begin_ns", (double)s->outage.low);
    add_number(json, "outage_end_ns", (double)s->outage.high);
    cJSON_AddStringToObject(json, "fault", hgi_outage_name(s->way));
    add_number(json, "think_ns", (double)s->think_ns);
    add_number(json, "rate_per_s", s->rate);
    if (s->capacity_per_s)
        add_number(json, "capacity_per_s", s->capacity_per_s);
    else
        cJSON_AddNullToObject(json, "capacity_per_s");
    cJSON_AddItemToObject(json, "toxics", hgi_toxics_json(&s->toxics));
    add_number(json, "attempt_timeout_ns", (double)s->attempt_timeout_ns);
    add_number(json, "deadline_ns", (double)s->deadline_ns);
    add_number(json, "size_least", (double)s->sizes.low);
    add_number(json, "size_most", (double)s->sizes.high);
    hgi_json_add_seed(json, "seed", s->seed);
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
    add_number(breaker, "transitions", (double)trial->transitions);
    cJSON *states = cJSON_AddArrayToObject(breaker, "states");
    for (uint32_t i = 0; i < trial->mark_count; i++) {
        cJSON *mark = cJSON_CreateObject();
        add_number(mark, "at_ns", (double)trial->mark[i].at_ns);
        if (trial->mark[i].state == HG_BREAKER_OPEN)
            add_number(mark, "open_ns", (double)trial->mark[i].open_ns);
        cJSON_AddStringToObject(mark, "state", hg_breaker_state_name(trial->mark[i].state));
        cJSON_AddItemToArray(states, mark);
    }
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
    add_number(json, "length_ns", (double)trial->length_ns);
    hgi_json_add_time(json, "down_ns", trial->down_ns);
    hgi_json_add_time(json, "up_ns", trial->up_ns);
    add_number(json, "calls", (double)trial->offered);
    add_number(json, "answered", (double)trial->answered);
    add_number(json, "failed", (double)trial->failed);
    cJSON *failed_as = cJSON_AddObjectToObject(json, "failed_as");
    for (int i = 0; i < HGI_STATUSES; i++) {
        if (trial->failed_as[i])
            add_number(failed_as, hg_status_name((hg_status)-i), (double)trial->failed_as[i]);
    }
    add_number(json, "calls_while_down", (double)trial->offered_down);
    add_number(json, "failed_while_down", (double)trial->failed_down);
    add_number(json, "attempts", (double)trial->attempts);
    add_number(json, "attempts_while_down", (double)trial->attempts_down);
    add_number(json, "wasted", (double)trial->wasted);
    add_number(json, "dials", (double)trial->dials);
    add_number(json, "threads_well", trial->threads_well);
    add_number(json, "connections_live", trial->connections_live);
    add_number(json, "machine_late_ns", (double)trial->late_ns);
    add_number(json, "capacity_lost_ns", (double)trial->lost_ns);
    add_number(json, "mismatches", (double)trial->mismatches);
    hgi_report_add_latency(json, "latency", &trial->latency);
    hgi_report_add_latency(json, "service", &trial->service);
    add_number(json, "not_begun", (double)trial->not_begun);
    hgi_report_add_latency(json, "latency_failed_while_down", &trial->latency_down);
    struct hgi_herd_figures f = hgi_herd_figures(trial, naive);
    add_number(add_figures(json, &f), "deadline_overrun_ns", (double)trial->overrun_ns);
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
    cJSON_AddItemToObject(json, "settings", settings_json(&results->settings));
    cJSON_AddItemToObject(json, "proxy", hgi_proxy_cost_json(&results->proxy_cost));
    cJSON *trials = cJSON_AddArrayToObject(json, "trials");
    for (size_t i = 0; i < results->count; i++)
        cJSON_AddItemToArray(trials, trial_json(results->trial[i], naive));
    return json;
}
