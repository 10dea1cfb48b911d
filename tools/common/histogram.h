/* A log-linear histogram of durations. Pure; one thread at a time writes one.
 *
 * Values are nanoseconds from 0 to 2^40 - 1 (18 minutes; longer ones count as that). A bucket is at
 * most 1/128 of its values wide, so a percentile is never below the true one and never more than 0.8 %
 * above it. Adding is a shift and an increment.
 */
#ifndef HERDGATE_TOOLS_COMMON_HISTOGRAM_H
#define HERDGATE_TOOLS_COMMON_HISTOGRAM_H

#include <stdint.h>

enum {
    HGI_HISTOGRAM_SUB_BITS = 7, /* 128 buckets for each doubling */
    HGI_HISTOGRAM_VALUE_BITS = 40,
    HGI_HISTOGRAM_BUCKETS = (HGI_HISTOGRAM_VALUE_BITS - HGI_HISTOGRAM_SUB_BITS + 1)
                            << HGI_HISTOGRAM_SUB_BITS
};

struct hgi_histogram {
    uint64_t total;
    uint64_t sum;
    int64_t min; /* exact; 0 while empty */
    int64_t max; /* exact */
    uint64_t count[HGI_HISTOGRAM_BUCKETS];
};

/* Add one value; a negative one counts as 0. */
void hgi_histogram_add(struct hgi_histogram *histogram, int64_t value);

/* Add all of `from`. */
void hgi_histogram_merge(struct hgi_histogram *into, const struct hgi_histogram *from);

/* The value that `percent` (0 to 100) of the values are not above. 0 for an empty histogram. */
int64_t hgi_histogram_percentile(const struct hgi_histogram *histogram, double percent);

double hgi_histogram_mean(const struct hgi_histogram *histogram);

/* The bucket of a value, and the largest value of a bucket. */
uint32_t hgi_histogram_index(int64_t value);
int64_t hgi_histogram_highest(uint32_t index);

#endif
