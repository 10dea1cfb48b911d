/* What a run of chaos or soak comes to. Pure. */
#include <inttypes.h>
#include <string.h>

#include "tools/common/random.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/chaos.h"
#include "tools/stress/vitals.h"
#include "tools/stress/worker_sum.h"

/* What may come of itself over the time that is judged: what an allocator keeps, a connection more. */
static const double resident_slack = 8 << 20;
static const double descriptors_slack = 8;
static const double threads_slack = 4;

#define JUDGED_LEAST_NS (60 * NS_PER_S)

uint64_t hgi_chaos_round_seed(uint64_t seed, uint32_t round)
{
    return round == 0 ? seed : random_mix(seed + round * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
}

void hgi_chaos_schedule(const struct hgi_chaos_settings *settings, uint64_t round_seed,
                        struct hgi_toxics *toxics, struct hgi_server_faults *faults)
{
    *toxics = settings->toxics;
    *faults = settings->server_faults;
    toxics->seed = round_seed;
    if (settings->drawn)
        hgi_schedule_draw(toxics, settings->target.given ? NULL : faults, round_seed,
                          settings->round_ns);
}

/* Grows it by more than `slack`, in the line through all of it and in its lows? What comes and goes, as
 * connections do, may end high by chance, but it comes down to where it was. */
static bool climbs(const double *y, uint32_t count, double slope, double span, double slack)
{
    double early = y[0], late = y[count - 1];
    for (uint32_t i = 0; i < count; i++) {
        if (i < count / 2 && y[i] < early)
            early = y[i];
        if (i >= count / 2 && y[i] < late)
            late = y[i];
    }
    return slope * span > slack && late - early > slack / 4;
}

/* The second half: what is made once has been made by then. */
struct hgi_chaos_growth hgi_chaos_judge_growth(const struct hgi_chaos_results *results)
{
    struct hgi_chaos_growth growth = { 0 };
    double hours[HGI_CHAOS_SAMPLES], y[3][HGI_CHAOS_SAMPLES], slope[3];
    uint32_t from = results->sample_count / 2;
    uint32_t count = results->sample_count - from;
    if (count < 4)
        return growth;
    for (uint32_t i = 0; i < count; i++) {
        const struct hgi_chaos_sample *sample = &results->sample[from + i];
        hours[i] = (double)sample->at_ns / (3600.0 * 1e9);
        y[0][i] = (double)sample->resident;
        y[1][i] = (double)sample->descriptors;
        y[2][i] = (double)sample->threads;
    }
    for (int i = 0; i < 3; i++)
        slope[i] = hgi_slope(hours, y[i], count);
    double span = hours[count - 1] - hours[0];
    growth.known = true;
    growth.resident_per_hour = slope[0];
    growth.descriptors_per_hour = slope[1];
    growth.threads_per_hour = slope[2];
    if (span * 3600.0 * 1e9 < (double)JUDGED_LEAST_NS)
        return growth; /* told, not judged */
    const char *what =
        climbs(y[0], count, slope[0], span, resident_slack)      ? "resident memory"
        : climbs(y[1], count, slope[1], span, descriptors_slack) ? "the number of descriptors"
        : climbs(y[2], count, slope[2], span, threads_slack)     ? "the number of threads"
                                                                 : NULL;
    growth.grows = what != NULL;
    if (what)
        snprintf(growth.what, sizeof growth.what, "%s grew steadily over the last %.0f minutes",
                 what, span * 60);
    return growth;
}

void hgi_chaos_broken(char *out, size_t size, const struct hgi_chaos_results *results)
{
    struct hgi_chaos_growth growth = hgi_chaos_judge_growth(results);
    out[0] = '\0';
    if (hgi_worker_broken(out, size, &results->sum))
        return;
    if (results->counters_wrong > 0)
        snprintf(out, size,
                 "%" PRIu64 " counters on the server are not what INCRs that ran at most once, and "
                 "all that were acknowledged, make of them",
                 results->counters_wrong);
    else if (results->sockets_over > 0)
        snprintf(out, size, "the pool had %" PRIu32 " sockets open, of %" PRIu32 " at most",
                 results->sockets_most, results->stats.max_size);
    else if (results->breaker.broken > 0)
        snprintf(out, size, "the breaker broke its promises %" PRIu64 " times; first: %s",
                 results->breaker.broken, results->breaker.first_broken);
    else if (results->close_failure[0])
        snprintf(out, size, "the pool did not close: %s", results->close_failure);
    else if (results->descriptors_left > 0)
        snprintf(out, size, "%" PRId64 " descriptors are left after closing",
                 results->descriptors_left);
    else if (growth.grows)
        snprintf(out, size, "%s", growth.what);
}

/* Not rounded: another length makes another schedule. */
static const char *exact_time(char *out, size_t size, int64_t ns)
{
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = { { "s", NS_PER_S }, { "ms", NS_PER_MS }, { "us", NS_PER_US }, { "ns", 1 } };
    size_t unit = 0;
    while (ns % units[unit].factor != 0)
        unit++;
    snprintf(out, size, "%" PRId64 "%s", ns / units[unit].factor, units[unit].name);
    return out;
}

/* The words of the command line that make a run this one, but for its seed and length. */
static void common_words(char *out, size_t size, const struct hgi_chaos_results *results)
{
    const struct hgi_chaos_settings *s = &results->settings;
    char sizes[64], pause[32], timeout[32], deadline[32];
    if (s->sizes.low == s->sizes.high)
        snprintf(sizes, sizeof sizes, "%" PRId64, s->sizes.low);
    else
        snprintf(sizes, sizeof sizes, "%" PRId64 "..%" PRId64, s->sizes.low, s->sizes.high);
    exact_time(pause, sizeof pause, s->pause_ns);
    exact_time(timeout, sizeof timeout, s->attempt_timeout_ns);
    exact_time(deadline, sizeof deadline, s->deadline_ns);
    snprintf(out, size,
             "-t %" PRIu32 " -c %" PRIu32 " -d %s --pause %s --attempt-timeout %s --deadline %s",
             s->threads, results->stats.max_size, sizes, pause, timeout, deadline);
}

void hgi_chaos_replay(char *out, size_t size, const struct hgi_chaos_results *results)
{
    const struct hgi_chaos_settings *s = &results->settings;
    char words[256], length[32];
    char toxics[HGI_TOXICS_TEXT] = "", faults[HGI_SERVER_FAULTS_TEXT] = "";
    common_words(words, sizeof words, results);
    exact_time(length, sizeof length, s->round_ns);
    int used = snprintf(out, size, "herdgate-stress chaos --seed %" PRIu64 " --duration %s %s",
                        results->round_seed, length, words);
    size_t at = used < 0 || (size_t)used >= size ? size : (size_t)used;
    if (!s->drawn) {
        hgi_toxics_print(&s->toxics, toxics);
        hgi_server_faults_print(&s->server_faults, faults);
        used = snprintf(out + at, size - at, "%s%s%s%s%s%s", toxics[0] ? " --toxic '" : "", toxics,
                        toxics[0] ? "'" : "", faults[0] ? " --server-fault '" : "", faults,
                        faults[0] ? "'" : "");
        at = used < 0 || (size_t)used >= size - at ? size : at + (size_t)used;
    }
    if (s->policy && at < size) {
        used = snprintf(out + at, size - at, " --policy '%s'", s->policy);
        at = used < 0 || (size_t)used >= size - at ? size : at + (size_t)used;
    }
    if (s->target.given && at < size)
        snprintf(out + at, size - at, " %s", s->server_words);
}

void hgi_chaos_verdict(char *out, size_t size, const struct hgi_chaos_results *results)
{
    char broken[400], replies[HGI_CELL_SIZE], calls[HGI_CELL_SIZE], incrs[HGI_CELL_SIZE];
    const struct hgi_worker *sum = &results->sum;
    hgi_chaos_broken(broken, sizeof broken, results);
    if (broken[0]) {
        snprintf(out, size, "Broken: %s.", broken);
        return;
    }
    snprintf(
        out, size,
        "Through all of it every one of %s replies to %s calls belonged to its command, each of "
        "%s acknowledged INCRs ran once, no call outlived its deadline, no lease was doubled, and "
        "the pool had at most %" PRIu32 " of its %" PRIu32 " sockets.",
        hgi_format_count(replies, sizeof replies, sum->replies),
        hgi_format_count(calls, sizeof calls, hgi_worker_calls(&results->sum)),
        hgi_format_count(incrs, sizeof incrs, sum->incr_acknowledged), results->sockets_most,
        results->stats.max_size);
}
