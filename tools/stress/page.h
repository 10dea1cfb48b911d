/* What every HTML page of the tool has: one file with its style inside, no script, nothing fetched;
 * readable in light, dark and print. */
#ifndef HERDGATE_TOOLS_STRESS_PAGE_H
#define HERDGATE_TOOLS_STRESS_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "tools/common/problem.h"

/* From the doctype to the opened body; title is plain text without markup. */
void hgi_page_begin(FILE *out, const char *title);

/* To the end. False: something could not be written, *problem says. */
bool hgi_page_end(FILE *out, struct hgi_problem *problem);

/* A figure in large type, and what it is. Both are markup. */
void hgi_page_tile(FILE *out, const char *figure, const char *text);

/* Write text with what HTML gives a meaning escaped. */
void hgi_html_text(FILE *out, const char *text);

/* For an axis: 1, 2 or 5 times a power of ten, not below `value`. */
double hgi_page_nice_above(double value);

#endif
