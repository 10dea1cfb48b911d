/* A run of chaos or soak as a table for people, JSON (version 1) for programs, and figures for --assert. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/stress/chaos.h"
#include "tools/stress/publish.h"
#include "tools/stress/report.h"

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

static double per_second(const struct hgi_chaos_results *r, uint64_t count)
{
    return r->stamp.took_ns > 0 ? (double)count / seconds(r->stamp.took_ns) : 0;
}

static double goodput(const struct hgi_chaos_results *r)
{
    uint64_t calls = hgi_chaos_calls(r);
    return calls ? (double)(calls - r->sum.failed) / (double)calls : 0;
}

/* --- the table --- */

static void print_calls(FILE *out, const struct hgi_chaos_results *r, bool colour)
{
    static const char *const heads[] = { "calls", "answered", "failed",  "retries",
                                         "p50",   "p99",      "longest", "overrun" };
    char text[HGI_CELL_SIZE];
    const struct hgi_worker *sum = &r->sum;
    const int64_t times[] = { hgi_histogram_percentile(&sum->latency, 50),
                              hgi_histogram_percentile(&sum->latency, 99), sum->latency.max,
                              sum->overrun_ns };
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        hgi_table_set(table, 0, i, "%s", heads[i]);
        hgi_table_style(table, 0, i, HGI_STYLE_DIM);
    }
    hgi_table_set(table, 1, 0, "%s", hgi_format_count(text, sizeof text, hgi_chaos_calls(r)));
    hgi_table_set(table, 1, 1, "%.1f %%", goodput(r) * 100);
    hgi_table_set(table, 1, 2, "%s", hgi_format_count(text, sizeof text, sum->failed));
    hgi_table_set(table, 1, 3, "%s", hgi_format_count(text, sizeof text, sum->retries));
    for (size_t i = 0; i < 4; i++)
        hgi_table_set(table, 1, 4 + i, "%s", hgi_format_latency(text, sizeof text, times[i]));
    hgi_table_print(table, out, colour);
    free(table);
}

static void print_faults(FILE *out, const struct hgi_chaos_results *r)
{
    int column = 0;
    fputs("\nFaults that struck:", out);
    for (int kind = 0; kind < HGI_TOXIC_KINDS; kind++)
        if (r->toxics_struck[kind])
            column += fprintf(out, "%s%s %" PRIu64, column % 90 > 75 ? "\n  " : " ",
                              hgi_toxic_name((enum hgi_toxic_kind)kind), r->toxics_struck[kind]);
    for (int kind = 0; kind < HGI_SERVER_FAULT_KINDS; kind++)
        if (r->server_struck[kind])
            column += fprintf(out, "%s%s %" PRIu64, column % 90 > 75 ? "\n  " : " ",
                              hgi_server_fault_name((enum hgi_server_fault_kind)kind),
                              r->server_struck[kind]);
    fputs(column ? ".\n" : " none.\n", out);
}

static void print_growth(FILE *out, const struct hgi_chaos_results *r)
{
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    if (!r->settings.soak)
        return;
    if (!growth.known)
        fputs("Growth: too few samples to tell.\n", out);
    else
        fprintf(out,
                "Growth per hour, over the second half: resident memory %+.2f MiB, descriptors "
                "%+.2f, threads %+.2f.\n",
                growth.resident_per_hour / (1 << 20), growth.descriptors_per_hour,
                growth.threads_per_hour);
}

void hgi_chaos_table(FILE *out, const void *arg, bool colour)
{
    const struct hgi_chaos_results *r = arg;
    char verdict[640], broken[400], replay[8192], open[HGI_CELL_SIZE];
    print_calls(out, r, colour);
    print_faults(out, r);
    fprintf(out,
            "Breaker: opened %" PRIu64 " times, %" PRIu64 " of them while all was well; not closed "
            "for %s; at most %" PRIu32 " probes in a period.\n",
            r->breaker.opened, r->breaker.false_opens,
            hgi_format_latency(open, sizeof open, r->breaker.open_ns), r->breaker.probes_most);
    fprintf(out, "INCR: %" PRIu64 " acknowledged, %" PRIu64 " with an outcome unknown, ",
            r->sum.incr_acknowledged, r->sum.incr_unknown);
    if (r->incr_at_server >= 0)
        fprintf(out, "%" PRId64 " at the server.\n", r->incr_at_server);
    else
        fprintf(out, "some lost with the server's data (%" PRIu32 " times).\n", r->losses);
    fprintf(out,
            "Connections made: %" PRIu64 " for %" PRIu32 " places, at most %" PRIu32 " at once.\n",
            r->stats.dials, r->stats.max_size, r->sockets_most);
    print_growth(out, r);
    hgi_chaos_verdict(verdict, sizeof verdict, r);
    hgi_chaos_broken(broken, sizeof broken, r);
    hgi_chaos_replay(replay, sizeof replay, r);
    enum hgi_style style = broken[0] ? HGI_STYLE_BAD : HGI_STYLE_BOLD;
    fprintf(out, "\n%s%s%s\n%s: %s\n", hgi_style_begin(colour, style), verdict,
            hgi_style_end(colour, style), r->settings.soak ? "The last round again" : "Again",
            replay);
}

/* --- JSON --- */

static cJSON *settings_json(const struct hgi_chaos_results *r)
{
    const struct hgi_chaos_settings *s = &r->settings;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "threads", s->threads);
    cJSON_AddNumberToObject(json, "connections", r->stats.max_size);
    cJSON_AddNumberToObject(json, "size_least", (double)s->sizes.low);
    cJSON_AddNumberToObject(json, "size_most", (double)s->sizes.high);
    cJSON_AddNumberToObject(json, "pause_ns", (double)s->pause_ns);
    cJSON_AddNumberToObject(json, "length_ns", (double)s->length_ns);
    cJSON_AddNumberToObject(json, "round_ns", (double)s->round_ns);
    cJSON_AddNumberToObject(json, "attempt_timeout_ns", (double)s->attempt_timeout_ns);
    cJSON_AddNumberToObject(json, "deadline_ns", (double)s->deadline_ns);
    cJSON_AddBoolToObject(json, "given_server", s->target.given);
    cJSON_AddBoolToObject(json, "schedule_from_seed", s->drawn);
    hgi_json_add_seed(json, "seed", s->seed);
    return json;
}

static void add_faults(cJSON *json, const struct hgi_chaos_results *r)
{
    cJSON_AddItemToObject(json, "toxics", hgi_toxics_json(&r->toxics));
    cJSON_AddItemToObject(json, "server_faults", hgi_server_faults_json(&r->server_faults));
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
    const struct hgi_worker *sum = &r->sum;
    cJSON_AddNumberToObject(json, "took_ns", (double)r->stamp.took_ns);
    cJSON_AddNumberToObject(json, "rounds", r->rounds);
    hgi_json_add_seed(json, "round_seed", r->round_seed);
    cJSON_AddNumberToObject(json, "calls", (double)hgi_chaos_calls(r));
    cJSON_AddNumberToObject(json, "failed", (double)sum->failed);
    cJSON_AddNumberToObject(json, "retries", (double)sum->retries);
    cJSON_AddNumberToObject(json, "replies_checked", (double)sum->replies);
    cJSON_AddNumberToObject(json, "leases_checked", (double)sum->leases);
    cJSON_AddStringToObject(json, "first_failure", sum->first_failure);
    hgi_report_add_latency(json, "latency", &sum->latency);
    cJSON *series = cJSON_AddObjectToObject(json, "series");
    cJSON_AddNumberToObject(series, "bucket_ns", (double)r->settings.length_ns / HGI_CHAOS_SLICES);
    cJSON *answered = cJSON_AddArrayToObject(series, "answered");
    cJSON *failed = cJSON_AddArrayToObject(series, "failed");
    for (uint32_t i = 0; i < r->slices; i++) {
        cJSON_AddItemToArray(answered, cJSON_CreateNumber(r->slice[i].answered));
        cJSON_AddItemToArray(failed, cJSON_CreateNumber(r->slice[i].failed));
    }
}

static void add_breaker(cJSON *json, const struct hgi_chaos_results *r)
{
    const struct hgi_breaker_counts *b = &r->breaker;
    cJSON *breaker = cJSON_AddObjectToObject(json, "breaker");
    cJSON_AddNumberToObject(breaker, "transitions", (double)b->transitions);
    cJSON_AddNumberToObject(breaker, "opened", (double)b->opened);
    cJSON_AddNumberToObject(breaker, "false_opens", (double)b->false_opens);
    cJSON_AddNumberToObject(breaker, "not_closed_ns", (double)b->open_ns);
    cJSON_AddNumberToObject(breaker, "probes_most", b->probes_most);
    cJSON *states = cJSON_AddArrayToObject(breaker, "states");
    for (uint32_t i = 0; i < b->mark_count; i++) {
        cJSON *mark = cJSON_CreateObject();
        cJSON_AddNumberToObject(mark, "at_ns", (double)b->mark[i].at_ns);
        cJSON_AddStringToObject(mark, "state", hg_breaker_state_name(b->mark[i].state));
        cJSON_AddItemToArray(states, mark);
    }
}

static void add_invariants(cJSON *json, const struct hgi_chaos_results *r)
{
    char text[8192];
    const struct hgi_worker *sum = &r->sum;
    cJSON *kept = cJSON_AddObjectToObject(json, "invariants");
    cJSON_AddNumberToObject(kept, "replies_mismatched", (double)sum->mismatches);
    cJSON_AddNumberToObject(kept, "leases_doubled", (double)sum->doubled);
    cJSON_AddNumberToObject(kept, "incr_acknowledged", (double)sum->incr_acknowledged);
    cJSON_AddNumberToObject(kept, "incr_unknown", (double)sum->incr_unknown);
    if (r->incr_at_server < 0)
        cJSON_AddNullToObject(kept, "incr_at_server");
    else
        cJSON_AddNumberToObject(kept, "incr_at_server", (double)r->incr_at_server);
    cJSON_AddNumberToObject(kept, "incr_over", (double)sum->incr_over);
    cJSON_AddNumberToObject(kept, "counters_wrong", (double)r->counters_wrong);
    cJSON_AddNumberToObject(kept, "data_lost", r->losses);
    cJSON_AddNumberToObject(kept, "overrun_ns", (double)sum->overrun_ns);
    cJSON_AddNumberToObject(kept, "overruns", (double)sum->overruns);
    cJSON_AddNumberToObject(kept, "sockets_most", r->sockets_most);
    cJSON_AddNumberToObject(kept, "breaker_broken", (double)r->breaker.broken);
    cJSON_AddNumberToObject(kept, "descriptors_left", (double)r->descriptors_left);
    hgi_chaos_broken(text, sizeof text, r);
    cJSON_AddStringToObject(kept, "broken", text);
    hgi_chaos_verdict(text, sizeof text, r);
    cJSON_AddStringToObject(json, "verdict", text);
    hgi_chaos_replay(text, sizeof text, r);
    cJSON_AddStringToObject(json, "replay", text);
}

static void add_samples(cJSON *json, const struct hgi_chaos_results *r)
{
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    cJSON *samples = cJSON_AddArrayToObject(json, "samples");
    for (uint32_t i = 0; i < r->sample_count; i++) {
        const struct hgi_chaos_sample *s = &r->sample[i];
        cJSON *sample = cJSON_CreateObject();
        cJSON_AddNumberToObject(sample, "at_ns", (double)s->at_ns);
        cJSON_AddNumberToObject(sample, "calls", (double)s->calls);
        cJSON_AddNumberToObject(sample, "failed", (double)s->failed);
        cJSON_AddNumberToObject(sample, "p99_ns", (double)s->p99_ns);
        cJSON_AddNumberToObject(sample, "resident_bytes", (double)s->resident);
        cJSON_AddNumberToObject(sample, "descriptors", (double)s->descriptors);
        cJSON_AddNumberToObject(sample, "threads", (double)s->threads);
        cJSON_AddItemToArray(samples, sample);
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
    cJSON_AddItemToObject(json, "settings", settings_json(r));
    add_faults(json, r);
    add_calls(json, r);
    add_breaker(json, r);
    add_invariants(json, r);
    if (r->settings.soak)
        add_samples(json, r);
    return json;
}

/* --- figures --- */

void hgi_chaos_figures(struct hgi_figures *out, const void *arg)
{
    const struct hgi_chaos_results *r = arg;
    const struct hgi_worker *sum = &r->sum;
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(r);
    uint64_t struck = 0;
    for (int kind = 0; kind < HGI_TOXIC_KINDS; kind++)
        struck += r->toxics_struck[kind];
    for (int kind = 0; kind < HGI_SERVER_FAULT_KINDS; kind++)
        struck += r->server_struck[kind];
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "calls", (double)hgi_chaos_calls(r) },
        { "calls_per_second", per_second(r, hgi_chaos_calls(r)) },
        { "replies", (double)sum->replies },
        { "failed", (double)sum->failed },
        { "goodput", goodput(r) },
        { "retries", (double)sum->retries },
        { "struck", (double)struck },
        { "mismatched", (double)sum->mismatches },
        { "doubled", (double)sum->doubled },
        { "incr_acknowledged", (double)sum->incr_acknowledged },
        { "incr_over", (double)sum->incr_over },
        { "opened", (double)r->breaker.opened },
        { "false_opens", (double)r->breaker.false_opens },
        { "sockets_most", (double)r->sockets_most },
        { "losses", (double)r->losses },
        { "rounds", (double)r->rounds },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hgi_figures_add(out, NULL, numbers[i].name, HGI_FIGURE_NUMBER, true, numbers[i].value);
    hgi_figures_add(out, NULL, "overrun", HGI_FIGURE_TIME, true, (double)sum->overrun_ns);
    if (r->settings.soak) {
        hgi_figures_add(out, NULL, "samples", HGI_FIGURE_NUMBER, true, r->sample_count);
        hgi_figures_add(out, NULL, "memory_growth", HGI_FIGURE_NUMBER, growth.known,
                        growth.resident_per_hour);
        hgi_figures_add(out, NULL, "descriptor_growth", HGI_FIGURE_NUMBER, growth.known,
                        growth.descriptors_per_hour);
        hgi_figures_add(out, NULL, "thread_growth", HGI_FIGURE_NUMBER, growth.known,
                        growth.threads_per_hour);
    }
    hgi_figures_add_latency(out, NULL, &sum->latency);
}

/* --- files --- */

const struct hgi_histogram *hgi_chaos_latency(const void *arg)
{
    return &((const struct hgi_chaos_results *)arg)->sum.latency;
}

const struct hgi_recording *hgi_chaos_recording(const void *arg, int64_t *began_ns)
{
    const struct hgi_chaos_results *r = arg;
    *began_ns = r->stamp.began_ns;
    return &r->sum.recording;
}

bool hgi_chaos_series(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct hgi_chaos_results *r = arg;
    (void)problem;
    fputs("from_ns,answered,failed\n", out);
    for (uint32_t i = 0; i < r->slices; i++)
        fprintf(out, "%" PRId64 ",%.1f,%.1f\n", r->settings.length_ns / HGI_CHAOS_SLICES * i,
                r->slice[i].answered, r->slice[i].failed);
    return true;
}
