/* Every single latency of a run, and the .hgrm form of their distribution; see recording.h. */
#include "tools/stress/recording.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 4096, TICKS_PER_HALF = 5 };

static bool make_room(struct hgi_recording *recording, size_t more)
{
    size_t size = recording->size ? recording->size : FIRST_SIZE;
    while (size < recording->count + more)
        size *= 2;
    if (size == recording->size)
        return true;
    struct hgi_record *record = realloc(recording->record, size * sizeof *record);
    if (!record)
        return false;
    recording->record = record;
    recording->size = size;
    return true;
}

void hgi_recording_add(struct hgi_recording *recording, int64_t ended_ns, int64_t latency_ns)
{
    if (!recording->on)
        return;
    if (make_room(recording, 1))
        recording->record[recording->count++] = (struct hgi_record) { ended_ns, latency_ns };
    else
        recording->lost++;
}

void hgi_recording_free(struct hgi_recording *recording)
{
    free(recording->record);
    *recording = (struct hgi_recording) { 0 };
}

void hgi_recording_move(struct hgi_recording *into, struct hgi_recording *from)
{
    if (from->count > 0 && make_room(into, from->count)) {
        memcpy(into->record + into->count, from->record, from->count * sizeof *from->record);
        into->count += from->count;
    } else {
        into->lost += from->count;
    }
    into->lost += from->lost;
    hgi_recording_free(from);
}

bool hgi_recording_write(FILE *out, const struct hgi_recording *recording, int64_t began_ns,
                         struct hgi_problem *problem)
{
    if (recording->lost > 0)
        return hgi_problem_set(problem, "%" PRIu64 " latencies did not fit into memory",
                               recording->lost);
    fputs("ended_ns,latency_ns\n", out);
    for (size_t i = 0; i < recording->count; i++)
        fprintf(out, "%" PRId64 ",%" PRId64 "\n", recording->record[i].ended_ns - began_ns,
                recording->record[i].latency_ns);
    return true;
}

/* --- .hgrm --- */

/* A value that stands for a bucket: the highest, as everywhere, but for what is known to be the largest. */
static double value_of(const struct hgi_histogram *h, uint32_t bucket)
{
    int64_t highest = hgi_histogram_highest(bucket);
    return (double)(highest < h->max ? highest : h->max);
}

static double deviation(const struct hgi_histogram *h)
{
    double mean = hgi_histogram_mean(h);
    double sum = 0;
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++)
        if (h->count[i])
            sum += (double)h->count[i] * (value_of(h, i) - mean) * (value_of(h, i) - mean);
    return h->total ? sqrt(sum / (double)h->total) : 0;
}

/* The next share of all: a fifth of the half that is left, then of the half of that, and so on. */
static double next_share(double share)
{
    double halves = floor(log2(1 / (1 - share))) + 1;
    return share + 1 / (TICKS_PER_HALF * pow(2, halves));
}

void hgi_hgrm_write(FILE *out, const struct hgi_histogram *h)
{
    uint64_t seen = 0;
    double share = 0;
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS && h->total > 0; i++) {
        seen += h->count[i];
        if (h->count[i] == 0)
            continue;
        double reached = (double)seen / (double)h->total;
        while (share <= reached && seen < h->total) {
            fprintf(out, "%12.6f %2.12f %10" PRIu64 " %14.2f\n", value_of(h, i) / 1e6, share, seen,
                    1 / (1 - share));
            share = next_share(share);
        }
        if (seen == h->total)
            fprintf(out, "%12.6f %2.12f %10" PRIu64 "\n", (double)h->max / 1e6, 1.0, seen);
    }
    fprintf(out, "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n", hgi_histogram_mean(h) / 1e6,
            deviation(h) / 1e6);
    fprintf(out, "#[Max     = %12.6f, Total count    = %12" PRIu64 "]\n", (double)h->max / 1e6,
            h->total);
    fprintf(out, "#[Buckets = %12d, SubBuckets     = %12d]\n",
            HGI_HISTOGRAM_VALUE_BITS - HGI_HISTOGRAM_SUB_BITS + 1, 1 << HGI_HISTOGRAM_SUB_BITS);
}
