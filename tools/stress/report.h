/* The results of a herd in three forms: a table for people, JSON for programs, one HTML page. */
#ifndef HERDGATE_TOOLS_STRESS_REPORT_H
#define HERDGATE_TOOLS_STRESS_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "tools/stress/assertion.h"
#include "tools/stress/trial.h"

/* In all of these `arg` is a struct hgi_herd_results, as hgi_publish() passes it. */

/* The table and the verdict under it. */
void hgi_report_table(FILE *out, const void *arg, bool colour);

/* Everything, in the form of version 1 that herdgate-stress(1) describes. NULL: out of memory. */
cJSON *hgi_report_json(const void *arg);

/* The same from a saved one; the trials are the caller's, for hgi_trial_free(), also if this fails. */
struct hgi_saved;
bool hgi_report_load(void *results, const struct hgi_saved *saved);

/* One page: inline SVG, no script, nothing fetched. For hgi_output_file(). */
bool hgi_report_html(FILE *out, const void *arg, struct hgi_problem *problem);

/* A part for each policy: its name, its latencies, and for --csv every one of them and what happened in each 10 ms. */
const char *hgi_report_part(const void *arg, size_t which);
const struct hgi_histogram *hgi_report_latency(const void *arg, size_t part);
const struct hgi_recording *hgi_report_recording(const void *arg, size_t part, int64_t *began_ns);
bool hgi_report_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem);

/* All figures by name, for --assert. */
void hgi_report_figures(struct hgi_figures *out, const void *arg);

/* The pictures of all trials, over one time axis and to one scale. */
void hgi_report_plots(FILE *out, const struct hgi_herd_results *results);

#endif
