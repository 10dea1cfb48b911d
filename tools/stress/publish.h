/* Where the results of a run go: a table on stdout, JSON, a page; and whether they are good enough. */
#ifndef HERDGATE_TOOLS_STRESS_PUBLISH_H
#define HERDGATE_TOOLS_STRESS_PUBLISH_H

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "tools/common/options.h"
#include "tools/common/problem.h"
#include "tools/stress/assertion.h"
#include "tools/stress/recording.h"
#include "tools/stress/stamp.h"

/* What the command line said. */
struct hgi_outputs {
    const char *json;   /* NULL: none; "" or "-": to stdout instead of the table; else a file */
    const char *report; /* of the page; NULL: none */
    const char *csv;    /* a directory for every latency and what happened over time; NULL: none */
    const char *hgrm;   /* of the latencies; NULL: none */
    bool quiet;
    bool plain; /* no colour */
    struct hgi_texts assertions;
};

struct hgi_saved;

/* The forms that results have. Each gets `results` as it was given. */
struct hgi_forms {
    void (*table)(FILE *out, const void *results, bool colour);
    cJSON *(*json)(const void *results); /* NULL: out of memory */
    bool (*page)(FILE *out, const void *results, struct hgi_problem *problem);
    void (*figures)(struct hgi_figures *out, const void *results);
    /* Results of several parts have files for each: its name, or NULL behind the last one. NULL: there is one, and
     * it has no name. */
    const char *(*part)(const void *results, size_t which);
    /* For --hgrm; NULL: there is none. */
    const struct hgi_histogram *(*latency)(const void *results, size_t part);
    /* For --csv: every latency, whose times count from *began_ns, and the series; NULL: there are none. */
    const struct hgi_recording *(*recording)(const void *results, size_t part, int64_t *began_ns);
    bool (*series)(FILE *out, const void *results, size_t part, struct hgi_problem *problem);
};

/* Before a run: are all --assert well formed, and of figures that there will be? `empty` are results
 * of the same settings with nothing measured. False: *problem says. */
bool hgi_assertions_check(const struct hgi_outputs *outputs, const struct hgi_forms *forms,
                          const void *empty, struct hgi_problem *problem);

/* After it: do they hold? Each that does not is a line on stderr. */
bool hgi_assertions_hold(const struct hgi_outputs *outputs, const struct hgi_forms *forms,
                         const void *results);

/* Before a run, too. Do two outputs go into the same file? False: *problem says. */
bool hgi_outputs_differ(const struct hgi_outputs *outputs, struct hgi_problem *problem);

/* Can all be written that was asked for, so that a run of hours is not in vain? Makes the directory of --csv.
 * False: *problem says. */
bool hgi_outputs_possible(const struct hgi_outputs *outputs, struct hgi_problem *problem);

/* Write all that was asked for. False: something could not be written, *problem says. */
bool hgi_publish(const struct hgi_outputs *outputs, const struct hgi_forms *forms,
                 const void *results, struct hgi_problem *problem);

/* What every JSON of the tool begins with; the caller adds the rest. load: how it was loaded, and so what its
 * times are worth. */
cJSON *hgi_json_begin(const char *subcommand, const struct hgi_stamp *stamp, const char *load);

/* -1 stands for what did not happen, or is not known: null. */
void hgi_json_add_time(cJSON *object, const char *name, int64_t ns);

/* As a text: a JSON number is good for 53 bits only. */
void hgi_json_add_seed(cJSON *object, const char *name, uint64_t seed);

/* So many in that time, as a rate; 0 if there was no time. */
double hgi_per_second(uint64_t count, int64_t ns);

/* Of the JSON: it grows when a field changes its meaning or goes. */
enum { HGI_JSON_VERSION = 1 };

/* The load of whoever calls again when the call before has ended. */
#define HGI_CLOSED_LOOP "closed loop: not corrected"

#endif
