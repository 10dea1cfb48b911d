/* --assert: a figure of the results, held against a number. Pure. */
#ifndef HERDGATE_TOOLS_STRESS_ASSERTION_H
#define HERDGATE_TOOLS_STRESS_ASSERTION_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/common/histogram.h"
#include "tools/common/problem.h"

enum hgi_figure_unit { HGI_FIGURE_NUMBER, HGI_FIGURE_TIME /* nanoseconds */ };

/* One figure of the results. A name may have a prefix: "naive.amplification". */
struct hgi_figure {
    char name[64];
    enum hgi_figure_unit unit;
    bool known; /* false: it did not happen, so no assertion on it holds */
    double value;
};

enum { HGI_FIGURES_MAX = 320, HGI_ASSERTIONS_MAX = 16 };

struct hgi_figures {
    size_t count;
    struct hgi_figure figure[HGI_FIGURES_MAX];
};

/* Add one; more than there is room for are left out. */
void hgi_figures_add(struct hgi_figures *figures, const char *prefix, const char *name,
                     enum hgi_figure_unit unit, bool known, double value);

/* Add p50 to p99.99 and max of durations. */
void hgi_figures_add_latency(struct hgi_figures *figures, const char *prefix,
                             const struct hgi_histogram *histogram);

enum hgi_comparison { HGI_LESS, HGI_LESS_EQUAL, HGI_GREATER, HGI_GREATER_EQUAL, HGI_EQUAL };

struct hgi_assertion {
    char name[64];
    enum hgi_comparison comparison;
    enum hgi_figure_unit unit; /* of the number as it was written */
    double value;
    const char *text; /* as given; borrowed */
};

/* "amplification<1.2", "p99<=5ms", "failed==0". False: *problem says what is wrong with it. */
bool hgi_assertion_parse(struct hgi_assertion *out, const char *text, struct hgi_problem *problem);

enum hgi_assertion_result { HGI_HOLDS, HGI_FAILS, HGI_NO_SUCH_FIGURE };

/* *problem is one line for each result but HGI_HOLDS: the figure's value, or what figures there are. */
enum hgi_assertion_result hgi_assertion_check(const struct hgi_assertion *assertion,
                                              const struct hgi_figures *figures,
                                              struct hgi_problem *problem);

#endif
