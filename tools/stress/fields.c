/* Results become JSON; see saved.h. */
#include "tools/stress/saved.h"

#include "tools/stress/publish.h"

static void write_histogram(cJSON *object, const char *name, const struct hgi_histogram *h)
{
    static const struct {
        const char *name;
        double percent;
    } percentiles[] = { { "p50_ns", 50 },
                        { "p90_ns", 90 },
                        { "p99_ns", 99 },
                        { "p999_ns", 99.9 },
                        { "p9999_ns", 99.99 } };
    cJSON *json = cJSON_AddObjectToObject(object, name);
    cJSON_AddNumberToObject(json, "count", (double)h->total);
    cJSON_AddNumberToObject(json, "mean_ns", hgi_histogram_mean(h));
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++)
        cJSON_AddNumberToObject(json, percentiles[i].name,
                                (double)hgi_histogram_percentile(h, percentiles[i].percent));
    cJSON_AddNumberToObject(json, "max_ns", (double)h->max);
    cJSON_AddNumberToObject(json, "min_ns", (double)h->min);
    cJSON_AddNumberToObject(json, "sum_ns", (double)h->sum);
    cJSON *highest = cJSON_AddArrayToObject(json, "bucket_highest_ns");
    cJSON *count = cJSON_AddArrayToObject(json, "bucket_count");
    for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++) {
        if (h->count[i] == 0)
            continue;
        cJSON_AddItemToArray(highest, cJSON_CreateNumber((double)hgi_histogram_highest(i)));
        cJSON_AddItemToArray(count, cJSON_CreateNumber((double)h->count[i]));
    }
}

static double element(const struct hgi_field *f, const char *at)
{
    switch (f->kind) {
    case HGI_FIELD_U64S:
        return (double)*(const uint64_t *)(const void *)at;
    case HGI_FIELD_I64S:
        return (double)*(const int64_t *)(const void *)at;
    default:
        return *(const double *)(const void *)at;
    }
}

static void write_list(cJSON *object, const struct hgi_field *f, const char *base)
{
    uint32_t count = *(const uint32_t *)(const void *)(base + f->count);
    cJSON *list = cJSON_AddArrayToObject(object, f->name);
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list,
                             cJSON_CreateNumber(element(f, base + f->offset + i * f->stride)));
}

static void write_field(cJSON *object, const struct hgi_field *f, const char *base)
{
    const void *at = base + f->offset;
    switch (f->kind) {
    case HGI_FIELD_U32:
        cJSON_AddNumberToObject(object, f->name, *(const uint32_t *)at);
        break;
    case HGI_FIELD_U64:
        cJSON_AddNumberToObject(object, f->name, (double)*(const uint64_t *)at);
        break;
    case HGI_FIELD_I64:
        cJSON_AddNumberToObject(object, f->name, (double)*(const int64_t *)at);
        break;
    case HGI_FIELD_I64_OR_NULL:
        hgi_json_add_time(object, f->name, *(const int64_t *)at);
        break;
    case HGI_FIELD_DOUBLE:
        cJSON_AddNumberToObject(object, f->name, *(const double *)at);
        break;
    case HGI_FIELD_BOOL:
        cJSON_AddBoolToObject(object, f->name, *(const bool *)at);
        break;
    case HGI_FIELD_SEED:
        hgi_json_add_seed(object, f->name, *(const uint64_t *)at);
        break;
    case HGI_FIELD_TEXT:
        cJSON_AddStringToObject(object, f->name, at);
        break;
    case HGI_FIELD_WORD:
        if (*(const char *const *)at)
            cJSON_AddStringToObject(object, f->name, *(const char *const *)at);
        else
            cJSON_AddNullToObject(object, f->name);
        break;
    case HGI_FIELD_HISTOGRAM:
        write_histogram(object, f->name, at);
        break;
    default:
        write_list(object, f, base);
    }
}

void hgi_fields_write(cJSON *object, const struct hgi_field *fields, const void *base)
{
    for (; fields->name; fields++)
        write_field(object, fields, base);
}

void hgi_marks_write(cJSON *object, const char *name, const struct hgi_breaker_mark *mark,
                     uint32_t count)
{
    cJSON *states = cJSON_AddArrayToObject(object, name);
    for (uint32_t i = 0; i < count; i++) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddNumberToObject(json, "at_ns", (double)mark[i].at_ns);
        if (mark[i].state == HG_BREAKER_OPEN)
            cJSON_AddNumberToObject(json, "open_ns", (double)mark[i].open_ns);
        cJSON_AddStringToObject(json, "state", hg_breaker_state_name(mark[i].state));
        cJSON_AddItemToArray(states, json);
    }
}
