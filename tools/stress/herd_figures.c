/* The figures of a herd by name, for --assert, and its files for --csv and --hgrm. Figures are of each policy as "naive.p99", and without a prefix those
 * of the policy all, or of the only one. */
#include <inttypes.h>

#include "tools/stress/report.h"

static void add_trial(struct hgi_figures *out, const char *prefix, const struct hgi_trial *t,
                      const struct hgi_trial *naive)
{
    struct hgi_herd_figures f = hgi_herd_figures(t, naive);
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "amplification", f.amplification },
        { "amplification_while_down", f.amplification_down },
        { "calls", (double)t->offered },
        { "answered", (double)t->answered },
        { "failed", (double)t->failed },
        { "attempts", (double)t->attempts },
        { "attempts_while_down", (double)t->attempts_down },
        { "wasted", f.wasted },
        { "peak_per_s", f.peak_per_s },
        { "peak_10ms_per_s", f.peak_10ms_per_s },
        { "goodput_per_s", f.goodput_per_s },
        { "goodput_at_end", f.goodput_at_end },
        { "false_opens", (double)f.false_opens },
        { "threads_well", t->threads_well },
        { "mismatches", (double)t->mismatches },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hgi_figures_add(out, prefix, numbers[i].name, HGI_FIGURE_NUMBER, true, numbers[i].value);
    hgi_figures_add(out, prefix, "ratio_to_naive", HGI_FIGURE_NUMBER, f.ratio_to_naive >= 0,
                    f.ratio_to_naive);
    const struct {
        const char *name;
        double value;
    } at_server[] = {
        { "over_capacity", f.over_capacity },
        { "over_capacity_10ms", f.over_capacity_10ms },
        { "over_capacity_after", f.over_capacity_after },
        { "in_vain", f.in_vain },
        { "in_vain_after", f.in_vain_after },
    };
    for (size_t i = 0; i < sizeof at_server / sizeof at_server[0]; i++)
        hgi_figures_add(out, prefix, at_server[i].name, HGI_FIGURE_NUMBER, at_server[i].value >= 0,
                        at_server[i].value);
    const struct {
        const char *name;
        int64_t ns;
    } times[] = {
        { "goodput_back", f.back_ns },
        { "goodput_back_after_open", f.back_after_open_ns },
        { "open_interval", f.open_interval_ns },
        { "open_left", f.open_left_ns },
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        hgi_figures_add(out, prefix, times[i].name, HGI_FIGURE_TIME, times[i].ns >= 0,
                        (double)times[i].ns);
    hgi_figures_add(out, prefix, "machine_late", HGI_FIGURE_TIME, t->offered > 0,
                    (double)t->late_ns);
    hgi_figures_add(out, prefix, "deadline_overrun", HGI_FIGURE_TIME, t->offered > 0,
                    (double)t->overrun_ns);
    hgi_figures_add(out, prefix, "fails_after_p50", HGI_FIGURE_TIME, t->latency_down.total > 0,
                    (double)hgi_histogram_percentile(&t->latency_down, 50));
    hgi_figures_add_latency(out, prefix, &t->latency);
}

void hgi_report_figures(struct hgi_figures *out, const void *arg)
{
    const struct hgi_herd_results *results = arg;
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    const struct hgi_trial *all = hgi_herd_find(results, HGI_STRATEGY_ALL);
    for (size_t i = 0; i < results->count; i++) {
        const struct hgi_trial *trial = results->trial[i];
        if (trial == all || results->count == 1)
            add_trial(out, NULL, trial, naive);
        add_trial(out, hgi_strategy_name(trial->strategy), trial, naive);
    }
}

/* --- files --- */

static const struct hgi_trial *trial_of(const void *arg, size_t part)
{
    return ((const struct hgi_herd_results *)arg)->trial[part];
}

const char *hgi_report_part(const void *arg, size_t which)
{
    const struct hgi_herd_results *results = arg;
    return which < results->count ? hgi_strategy_name(results->trial[which]->strategy) : NULL;
}

const struct hgi_histogram *hgi_report_latency(const void *arg, size_t part)
{
    return &trial_of(arg, part)->latency;
}

const struct hgi_recording *hgi_report_recording(const void *arg, size_t part, int64_t *began_ns)
{
    const struct hgi_trial *trial = trial_of(arg, part);
    *began_ns = trial->began_ns;
    return &trial->recording;
}

bool hgi_report_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem)
{
    const struct hgi_trial *trial = trial_of(arg, part);
    const struct hgi_series *s = &trial->series;
    (void)problem;
    fprintf(out, "from_ns,attempts,wasted,answered,failed%s\n",
            trial->server_seen ? ",came,in_vain,served" : "");
    for (uint32_t i = 0; i < s->count; i++) {
        fprintf(out, "%" PRId64 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32,
                HGI_BUCKET_NS * (int64_t)i, s->attempts[i], s->wasted[i], s->answered[i],
                s->failed[i]);
        if (trial->server_seen)
            fprintf(out, ",%" PRIu32 ",%" PRIu32 ",%" PRIu32, s->came[i], s->in_vain[i],
                    s->served[i]);
        fputc('\n', out);
    }
    return true;
}
