/* Files of results: whole or not at all. */
#ifndef HERDGATE_TOOLS_COMMON_OUTPUT_H
#define HERDGATE_TOOLS_COMMON_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "tools/common/problem.h"

/* Writes the contents; false: it could not, and *problem says why. */
typedef bool (*hgi_output_fn)(FILE *out, const void *arg, struct hgi_problem *problem);

/* Write `path` through a temporary file beside it and a rename, so that a reader sees the old file or
 * the new one. False: *problem says; the old file is as it was. A link stays, and the file that it
 * names is replaced. What is no file (a pipe, /dev/null) is written to as it is. */
bool hgi_output_file(const char *path, hgi_output_fn write, const void *arg,
                     struct hgi_problem *problem);

/* Can that file be written, before there is anything to write? False: *problem says. */
bool hgi_output_possible(const char *path, struct hgi_problem *problem);

/* Print the JSON to the file `path`, or to stdout where it is "" or "-". */
bool hgi_output_json(const char *path, const cJSON *json, struct hgi_problem *problem);

#endif
