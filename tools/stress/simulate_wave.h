/* What a run of simulate --model wave comes to. */
#ifndef HERDGATE_TOOLS_STRESS_SIMULATE_WAVE_H
#define HERDGATE_TOOLS_STRESS_SIMULATE_WAVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/stress/stamp.h"
#include "tools/stress/wave.h"

struct hgi_waves {
    struct hgi_stamp stamp;
    struct hgi_wave wave;
    bool real;
    int64_t *draws_ns[HGI_WAVE_JITTERS];
    int64_t *open_ns;
    struct hgi_wave_result retries[2][HGI_WAVE_JITTERS]; /* calculated, and with threads */
    struct hgi_wave_result probes[2][2];                 /* of the same, without and with jitter */
};

/* In all of these `results` are those of all kinds of jitter. How much lower the peak of that one is than that of
 * none; the highest peak; and the last bucket that has something. */
double hgi_waves_times_lower(const struct hgi_wave_result *results, size_t which);
uint32_t hgi_waves_top(const struct hgi_wave_result *results);
uint32_t hgi_waves_last(const struct hgi_wave_result *results);

/* For hgi_forms: arg is a struct hgi_waves. */
bool hgi_waves_html(FILE *out, const void *arg, struct hgi_problem *problem);

#endif
