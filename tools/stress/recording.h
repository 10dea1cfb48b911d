/* Every single latency of a run, for --csv. One thread adds to one; memory grows as it must. */
#ifndef HERDGATE_TOOLS_STRESS_RECORDING_H
#define HERDGATE_TOOLS_STRESS_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/common/histogram.h"
#include "tools/common/problem.h"

struct hgi_record {
    int64_t ended_ns; /* CLOCK_MONOTONIC */
    int64_t latency_ns;
};

struct hgi_recording {
    bool on; /* else adding does nothing */
    size_t count;
    size_t size;
    struct hgi_record *record;
    uint64_t lost; /* there was no memory for them */
};

void hgi_recording_add(struct hgi_recording *recording, int64_t ended_ns, int64_t latency_ns);
void hgi_recording_free(struct hgi_recording *recording);

/* All of it goes to the end of `into`, and is gone from `from`. */
void hgi_recording_move(struct hgi_recording *into, struct hgi_recording *from);

/* "ended_ns,latency_ns", a line for each; ended_ns from began_ns on. False: *problem says, also if some were
 * lost. */
bool hgi_recording_write(FILE *out, const struct hgi_recording *recording, int64_t began_ns,
                         struct hgi_problem *problem);

/* The distribution as HdrHistogram prints it, and its plotter reads: milliseconds, 5 lines for each half of
 * what is left. */
void hgi_hgrm_write(FILE *out, const struct hgi_histogram *histogram);

#endif
