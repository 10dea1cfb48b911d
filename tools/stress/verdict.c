/* What the results of a herd come to, in words; see trial.h.
 *
 * Where the server has a capacity the question is whether the overload outlives the outage; where it has
 * none, how often a dead server is tried.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/trial.h"

/* What a machine may take from a trial before its figures are in doubt. */
#define LATE_MOST_NS (100 * NS_PER_MS)
enum { LOST_SHARE = 50 };

/* Less than that of what a server does is in vain: it is not overloaded. */
#define VAIN_SHARE 0.05

/* "3.5 times", "292 times". */
static void times(char *out, size_t size, double factor)
{
    char whole[32];
    if (factor < 9.95)
        snprintf(out, size, "%.1f times", factor);
    else
        snprintf(out, size, "%s times",
                 hgi_format_count(whole, sizeof whole, (uint64_t)(factor + 0.5)));
}

static void verdict_on_attempts(char *out, size_t size, const struct hgi_trial *all,
                                const struct hgi_trial *naive)
{
    char a[32], b[32], more[48], quick[32], back[96];
    struct hgi_herd_figures f = hgi_herd_figures(all, naive);
    hgi_format_count(a, sizeof a, all->attempts_down);
    if (f.back_ns >= 0)
        snprintf(back, sizeof back, "95 %% of the goodput was back %s after the server's return",
                 hgi_format_latency(quick, sizeof quick, f.back_ns));
    else
        snprintf(back, sizeof back, "95 %% of the goodput was not back within the trial");
    hgi_format_latency(quick, sizeof quick, hgi_histogram_percentile(&all->latency_down, 50));
    if (naive && naive->down_ns >= 0) {
        double factor =
            (double)naive->attempts_down / (double)(all->attempts_down ? all->attempts_down : 1);
        times(more, sizeof more, factor);
        snprintf(out, size,
                 "While the server was down, herdgate tried it %s times; naive retry tried it %s "
                 "times, %s as often. Calls failed after %s (median), and %s.",
                 a, hgi_format_count(b, sizeof b, naive->attempts_down), more, quick, back);
    } else {
        snprintf(out, size,
                 "While the server was down, herdgate tried it %s times. Calls failed after %s "
                 "(median), and %s.",
                 a, quick, back);
    }
}

/* "outlived the outage by 1.2 s", or to the end. */
static void write_outlived(char *out, size_t size, const struct hgi_trial *trial,
                           const struct hgi_herd_figures *f)
{
    char time[32];
    if (trial->up_ns < 0)
        snprintf(out, size, "the server did not return within the trial");
    else if (f->back_ns >= 0)
        snprintf(out, size, "the overload outlived the outage by %s",
                 hgi_format_latency(time, sizeof time, f->back_ns));
    else
        snprintf(out, size,
                 "the overload outlived the outage: %s later, at the end of the trial, the goodput "
                 "was %.0f %% of what it had been, and %.0f %% of what the server did was in vain",
                 hgi_format_latency(time, sizeof time, trial->length_ns - trial->up_ns),
                 100 * f->goodput_at_end, 100 * f->in_vain_after);
}

static void write_return(char *out, size_t size, const struct hgi_herd_figures *f)
{
    char back[32], open[32], left[32];
    hgi_format_latency(back, sizeof back, f->back_ns);
    hgi_format_latency(open, sizeof open, f->open_interval_ns);
    hgi_format_latency(left, sizeof left,
                       f->open_left_ns < f->back_ns ? f->open_left_ns : f->back_ns);
    if (f->back_ns < 0)
        snprintf(out, size, "herdgate was not back at 95 %% of its goodput within the trial");
    else if (f->open_interval_ns >= 0)
        snprintf(out, size,
                 "herdgate was back at 95 %% of its goodput %s after the server's return, %s of "
                 "which were left of the breaker's open interval (%s)",
                 back, left, open);
    else
        snprintf(out, size,
                 "herdgate was back at 95 %% of its goodput %s after the server's return", back);
}

static void verdict_on_overload(char *out, size_t size, const struct hgi_trial *all,
                                const struct hgi_trial *naive)
{
    char outlived[256], back[256];
    struct hgi_herd_figures f = hgi_herd_figures(all, naive);
    write_return(back, sizeof back, &f);
    int used = 0;
    if (naive && naive->down_ns >= 0) {
        struct hgi_herd_figures n = hgi_herd_figures(naive, NULL);
        write_outlived(outlived, sizeof outlived, naive, &n);
        used = snprintf(out, size, "Under naive retry %s. ", outlived);
    }
    if (used < 0 || (size_t)used >= size)
        return;
    snprintf(out + used, size - (size_t)used,
             "%s%s, with %.2f attempts per call and at most %.2f times its capacity asked of the "
             "server in any 100 ms after it.",
             used ? "Under the full policy " : "With the full policy ", back, f.amplification,
             f.over_capacity_after);
}

static void headline_on_overload(char *out, size_t size, const struct hgi_trial *all,
                                 const struct hgi_trial *naive)
{
    struct hgi_herd_figures f = hgi_herd_figures(all, NULL);
    bool mine = f.back_ns >= 0;
    bool its = naive && hgi_herd_figures(naive, NULL).back_ns >= 0;
    const char *text = "Under the full policy the goodput is not back within the trial.";
    if (mine)
        text = "Under the full policy the server comes back to work.";
    else if (f.in_vain_after >= VAIN_SHARE) /* else something else holds it up: a busy machine */
        text = "The overload outlives the outage, under the full policy too.";
    if (naive && naive->up_ns >= 0 && mine && !its)
        text = "Under naive retry the overload outlives the outage; under the full policy it does "
               "not.";
    else if (naive && naive->up_ns >= 0 && mine)
        text = "Naive retry and the full policy both come out of this outage.";
    else if (naive && naive->up_ns >= 0 && its)
        text = "Naive retry comes out of this outage, and the full policy does not.";
    snprintf(out, size, "%s", text);
}

static void headline_on_attempts(char *out, size_t size, const struct hgi_trial *all,
                                 const struct hgi_trial *naive)
{
    char a[32], b[32];
    hgi_format_count(a, sizeof a, all->attempts_down);
    if (naive && naive->down_ns >= 0)
        snprintf(out, size, "A dead server is tried %s times, instead of %s by naive retry.", a,
                 hgi_format_count(b, sizeof b, naive->attempts_down));
    else
        snprintf(out, size, "A dead server is tried %s times.", a);
}

static const char *nothing(const struct hgi_herd_results *results)
{
    return results->stamp.interrupted ? "Interrupted before there was anything to compare."
                                      : "Nothing to compare with: the policy 'all' was not run.";
}

void hgi_herd_headline(char *out, size_t size, const struct hgi_herd_results *results)
{
    const struct hgi_trial *all = hgi_herd_find(results, HGI_STRATEGY_ALL);
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    if (!all || all->down_ns < 0)
        snprintf(out, size, "%s", nothing(results));
    else if (all->capacity_per_s > 0)
        headline_on_overload(out, size, all, naive);
    else
        headline_on_attempts(out, size, all, naive);
}

void hgi_herd_verdict(char *out, size_t size, const struct hgi_herd_results *results)
{
    const struct hgi_trial *all = hgi_herd_find(results, HGI_STRATEGY_ALL);
    const struct hgi_trial *naive = hgi_herd_find(results, HGI_STRATEGY_NAIVE);
    if (!all || all->down_ns < 0)
        snprintf(out, size, "%s", nothing(results));
    else if (all->capacity_per_s > 0)
        verdict_on_overload(out, size, all, naive);
    else
        verdict_on_attempts(out, size, all, naive);
}

void hgi_herd_doubt(char *out, size_t size, const struct hgi_herd_results *results)
{
    char time[32];
    out[0] = '\0';
    for (size_t i = 0; i < results->count && !out[0]; i++) {
        const struct hgi_trial *t = results->trial[i];
        const char *name = hgi_strategy_name(t->strategy);
        if (t->lost_ns > t->length_ns / LOST_SHARE)
            snprintf(out, size,
                     "This machine was too busy: the server lost %s of its capacity to it in the "
                     "trial of %s. Take the figures with care, and run it again.",
                     hgi_format_latency(time, sizeof time, t->lost_ns), name);
        else if (t->late_ns > LATE_MOST_NS)
            snprintf(
                out, size,
                "This machine was too busy: a thread woke %s too late in the trial of %s. Take "
                "the figures with care, and run it again.",
                hgi_format_latency(time, sizeof time, t->late_ns), name);
    }
}

void hgi_herd_broken(char *out, size_t size, const struct hgi_herd_results *results)
{
    out[0] = '\0';
    for (size_t i = 0; i < results->count && !out[0]; i++) {
        const struct hgi_trial *t = results->trial[i];
        const char *name = hgi_strategy_name(t->strategy);
        if (t->mismatches > 0)
            snprintf(out, size,
                     "%s: %" PRIu64 " replies did not belong to their command; first: %s", name,
                     t->mismatches, t->first_mismatch);
        else if (t->strategy == HGI_STRATEGY_ALL && !results->stamp.interrupted &&
                 t->threads_well < t->threads)
            snprintf(out, size,
                     "%s: %" PRIu32 " of %" PRIu32
                     " threads got no answer again after the server's return",
                     name, t->threads - t->threads_well, t->threads);
        else if (t->strategy == HGI_STRATEGY_ALL && !results->stamp.interrupted &&
                 t->connections_live == 0)
            snprintf(out, size, "%s: the pool has no live connection at the end", name);
    }
}
