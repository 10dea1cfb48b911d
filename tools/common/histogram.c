/* A log-linear histogram; see histogram.h.
 *
 * A value below 256 is its own bucket. Above, it is shifted right until 8 bits are left; the shift
 * and the lower 7 of the 8 number the bucket, so the buckets of consecutive shifts join on.
 */
#include "tools/common/histogram.h"

#include <assert.h>
#include <math.h>

enum { SUB = 1 << HGI_HISTOGRAM_SUB_BITS };

#define VALUE_MAX ((INT64_C(1) << HGI_HISTOGRAM_VALUE_BITS) - 1)

uint32_t hgi_histogram_index(int64_t value)
{
    if (value < 0)
        value = 0;
    if (value > VALUE_MAX)
        value = VALUE_MAX;
    uint64_t v = (uint64_t)value;
    if (v < 2 * SUB)
        return (uint32_t)v;
    uint32_t shift = (uint32_t)(63 - __builtin_clzll(v)) - HGI_HISTOGRAM_SUB_BITS;
    return shift * SUB + (uint32_t)(v >> shift);
}

int64_t hgi_histogram_highest(uint32_t index)
{
    if (index < 2 * SUB)
        return index;
    uint32_t shift = index / SUB - 1;
    int64_t leading = index - shift * SUB;
    return ((leading + 1) << shift) - 1;
}

void hgi_histogram_add(struct hgi_histogram *histogram, int64_t value)
{
    if (value < 0)
        value = 0;
    histogram->count[hgi_histogram_index(value)]++;
    if (histogram->total == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->total++;
    histogram->sum += (uint64_t)value;
}

void hgi_histogram_merge(struct hgi_histogram *into, const struct hgi_histogram *from)
{
    if (from->total == 0)
        return;
    if (into->total == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->total += from->total;
    into->sum += from->sum;
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++)
        into->count[i] += from->count[i];
}

int64_t hgi_histogram_percentile(const struct hgi_histogram *histogram, double percent)
{
    if (histogram->total == 0)
        return 0;
    /* The product first: 99.9 / 100 is a little above 0.999, and ceil() would make a rank of that. */
    uint64_t rank = (uint64_t)ceil(percent * (double)histogram->total / 100);
    if (rank < 1)
        rank = 1;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->count[i];
        if (seen >= rank && i + 1 < HGI_HISTOGRAM_BUCKETS) {
            int64_t highest = hgi_histogram_highest(i);
            return highest < histogram->max ? highest : histogram->max;
        }
    }
    return histogram->max;
}

double hgi_histogram_mean(const struct hgi_histogram *histogram)
{
    return histogram->total ? (double)histogram->sum / (double)histogram->total : 0;
}
