/* Results are read from JSON; see saved.h. */
#include "tools/stress/saved.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/stress/publish.h"

enum { FILE_MOST = 256 << 20 };

#define EXACT 9007199254740992.0 /* 2^53: so far a double counts one by one */
#define U64_END 18446744073709551616.0

/* --- places --- */

bool hgi_saved_wrong(const struct hgi_saved *at, const char *name, const char *what)
{
    hgi_problem_set(at->problem,
                    "%s: %s%s%s: %s; it is no unchanged result of --json of this version: "
                    "write it again with herdgate-stress SUBCOMMAND --json=FILE",
                    at->path, at->pointer, name ? "/" : "", name ? name : "", what);
    return false;
}

static bool go(struct hgi_saved *out, const struct hgi_saved *at, const char *name,
               const cJSON *json)
{
    const struct hgi_saved from = *at; /* out may be at */
    *out = from;
    out->json = json;
    snprintf(out->pointer, sizeof out->pointer, "%.80s/%.30s", from.pointer, name);
    return true;
}

bool hgi_saved_enter(struct hgi_saved *out, const struct hgi_saved *at, const char *name)
{
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(at->json, name);
    if (!cJSON_IsObject(json) && !cJSON_IsArray(json))
        return hgi_saved_wrong(at, name, "is missing");
    return go(out, at, name, json);
}

bool hgi_saved_item(struct hgi_saved *out, const struct hgi_saved *at, int i)
{
    char name[16];
    snprintf(name, sizeof name, "%d", i);
    const cJSON *json = cJSON_GetArrayItem(at->json, i);
    return json ? go(out, at, name, json) : hgi_saved_wrong(at, name, "is missing");
}

bool hgi_saved_length(int *out, const struct hgi_saved *at, int most)
{
    *out = 0;
    if (!cJSON_IsArray(at->json))
        return hgi_saved_wrong(at, NULL, "is no list");
    *out = cJSON_GetArraySize(at->json);
    return *out <= most || hgi_saved_wrong(at, NULL, "has more elements than there can be");
}

bool hgi_saved_lacks(const struct hgi_saved *at, const char *name)
{
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(at->json, name);
    return !json || cJSON_IsNull(json);
}

const char *hgi_saved_text(const struct hgi_saved *at, const char *name)
{
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(at->json, name);
    if (cJSON_IsString(json))
        return json->valuestring;
    hgi_saved_wrong(at, name, "is no text");
    return NULL;
}

/* --- reading --- */

/* A whole number from least up to below `end`. */
static bool whole(double *out, const cJSON *json, double least, double end)
{
    if (!cJSON_IsNumber(json) || !(json->valuedouble >= least && json->valuedouble < end) ||
        json->valuedouble != floor(json->valuedouble))
        return false;
    *out = json->valuedouble;
    return true;
}

static bool read_seed(uint64_t *out, const cJSON *json)
{
    char *end = NULL;
    const char *text = cJSON_IsString(json) ? json->valuestring : "";
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0;
}

static bool read_text(char *out, size_t size, const cJSON *json)
{
    if (!cJSON_IsString(json) || strlen(json->valuestring) >= size)
        return false;
    memcpy(out, json->valuestring, strlen(json->valuestring) + 1);
    return true;
}

static bool read_histogram(struct hgi_histogram *h, const struct hgi_saved *at)
{
    static const struct hgi_field fields[] = {
        HGI_FIELD(struct hgi_histogram, U64, "count", total),
        HGI_FIELD(struct hgi_histogram, U64, "sum_ns", sum),
        HGI_FIELD(struct hgi_histogram, I64, "min_ns", min),
        HGI_FIELD(struct hgi_histogram, I64, "max_ns", max),
        { 0 },
    };
    uint64_t sum = 0;
    if (!hgi_fields_read(h, fields, at))
        return false;
    const cJSON *highest = cJSON_GetObjectItemCaseSensitive(at->json, "bucket_highest_ns");
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(at->json, "bucket_count");
    highest = cJSON_IsArray(highest) ? highest->child : NULL;
    counts = cJSON_IsArray(counts) ? counts->child : NULL;
    for (; highest && counts; highest = highest->next, counts = counts->next) {
        double value, count;
        if (!whole(&value, highest, 0, EXACT) || !whole(&count, counts, 0, EXACT))
            return hgi_saved_wrong(at, "bucket_count", "has something else than numbers");
        uint32_t index = hgi_histogram_index((int64_t)value);
        if (hgi_histogram_highest(index) != (int64_t)value)
            return hgi_saved_wrong(at, "bucket_highest_ns", "has a value that ends no bucket");
        h->count[index] += (uint64_t)count;
        sum += (uint64_t)count;
    }
    if (highest || counts || sum != h->total)
        return hgi_saved_wrong(at, "bucket_count", "does not add up to the count");
    return true;
}

static bool read_list(char *base, const struct hgi_field *f, const struct hgi_saved *at)
{
    int length;
    uint32_t *count = (uint32_t *)(void *)(base + f->count);
    struct hgi_saved list;
    if (!hgi_saved_enter(&list, at, f->name) || !hgi_saved_length(&length, &list, (int)f->most))
        return false;
    if (*count != 0 && *count != (uint32_t)length)
        return hgi_saved_wrong(&list, NULL, "is not as long as the one before");
    *count = (uint32_t)length;
    char *to = base + f->offset;
    for (const cJSON *item = list.json->child; item; item = item->next, to += f->stride) {
        double value = 0;
        bool well = f->kind == HGI_FIELD_DOUBLES
                        ? cJSON_IsNumber(item)
                        : whole(&value, item, f->kind == HGI_FIELD_U64S ? 0 : -EXACT, EXACT);
        if (!well)
            return hgi_saved_wrong(&list, NULL, "has something else than numbers");
        if (f->kind == HGI_FIELD_U64S)
            *(uint64_t *)(void *)to = (uint64_t)value;
        else if (f->kind == HGI_FIELD_I64S)
            *(int64_t *)(void *)to = (int64_t)value;
        else
            *(double *)(void *)to = item->valuedouble;
    }
    return true;
}

/* A number, a truth or a text. */
static bool read_plain(void *to, const struct hgi_field *f, const cJSON *json)
{
    double value = 0;
    switch (f->kind) {
    case HGI_FIELD_U32:
        if (!whole(&value, json, 0, (double)UINT32_MAX + 1))
            return false;
        *(uint32_t *)to = (uint32_t)value;
        return true;
    case HGI_FIELD_U64:
        if (!whole(&value, json, 0, U64_END))
            return false;
        *(uint64_t *)to = (uint64_t)value;
        return true;
    case HGI_FIELD_I64_OR_NULL:
        if (cJSON_IsNull(json)) {
            *(int64_t *)to = -1;
            return true;
        }
        if (!whole(&value, json, 0, EXACT))
            return false;
        *(int64_t *)to = (int64_t)value;
        return true;
    case HGI_FIELD_I64:
        if (!whole(&value, json, -EXACT, EXACT))
            return false;
        *(int64_t *)to = (int64_t)value;
        return true;
    case HGI_FIELD_DOUBLE:
        *(double *)to = cJSON_IsNumber(json) ? json->valuedouble : 0;
        return cJSON_IsNumber(json);
    case HGI_FIELD_BOOL:
        *(bool *)to = cJSON_IsTrue(json);
        return cJSON_IsBool(json);
    case HGI_FIELD_SEED:
        return read_seed(to, json);
    case HGI_FIELD_WORD:
        *(const char **)to = cJSON_IsString(json) ? json->valuestring : NULL;
        return cJSON_IsString(json) || cJSON_IsNull(json);
    default:
        return read_text(to, f->most, json);
    }
}

bool hgi_fields_read(void *base, const struct hgi_field *fields, const struct hgi_saved *at)
{
    char *bytes = base;
    for (const struct hgi_field *f = fields; f->name; f++) {
        struct hgi_saved inner;
        const cJSON *json = cJSON_GetObjectItemCaseSensitive(at->json, f->name);
        if (!json)
            return hgi_saved_wrong(at, f->name, "is missing");
        if (f->kind == HGI_FIELD_HISTOGRAM) {
            if (!hgi_saved_enter(&inner, at, f->name) ||
                !read_histogram((void *)(bytes + f->offset), &inner))
                return false;
        } else if (f->kind >= HGI_FIELD_U64S) {
            if (!read_list(bytes, f, at))
                return false;
        } else if (!read_plain(bytes + f->offset, f, json)) {
            return hgi_saved_wrong(at, f->name, "is not what it can be");
        }
    }
    return true;
}

bool hgi_saved_count(uint64_t *out, const struct hgi_saved *at, const char *name)
{
    const struct hgi_field field[] = { { name, HGI_FIELD_U64, 0, 0, 0, 0 }, { 0 } };
    return hgi_fields_read(out, field, at);
}

bool hgi_saved_toxics(struct hgi_toxics *out, const struct hgi_saved *at, const char *name)
{
    const char *words = hgi_saved_text(at, name);
    return words && (hgi_toxics_parse(out, words, NULL) ||
                     hgi_saved_wrong(at, name, "is no list of faults"));
}

bool hgi_saved_state(hg_breaker_state *out, const struct hgi_saved *at, const char *name)
{
    const char *text = hgi_saved_text(at, name);
    for (int state = HG_BREAKER_CLOSED; text && state <= HG_BREAKER_DISABLED; state++) {
        if (strcmp(text, hg_breaker_state_name((hg_breaker_state)state)) == 0) {
            *out = (hg_breaker_state)state;
            return true;
        }
    }
    return text && hgi_saved_wrong(at, name, "is no state of a breaker");
}

bool hgi_marks_read(struct hgi_breaker_mark *mark, uint32_t *count, const char *name,
                    const struct hgi_saved *at)
{
    static const struct hgi_field fields[] = {
        HGI_FIELD(struct hgi_breaker_mark, I64, "at_ns", at_ns),
        { 0 },
    };
    static const struct hgi_field open_fields[] = {
        HGI_FIELD(struct hgi_breaker_mark, I64, "open_ns", open_ns),
        { 0 },
    };
    int length;
    struct hgi_saved list, item;
    if (!hgi_saved_enter(&list, at, name) || !hgi_saved_length(&length, &list, HGI_MARKS_MAX))
        return false;
    for (int i = 0; i < length; i++) {
        if (!hgi_saved_item(&item, &list, i) || !hgi_saved_state(&mark[i].state, &item, "state") ||
            !hgi_fields_read(&mark[i], fields, &item) ||
            (mark[i].state == HG_BREAKER_OPEN && !hgi_fields_read(&mark[i], open_fields, &item)))
            return false;
    }
    *count = (uint32_t)length;
    return true;
}

/* --- the file --- */

bool hgi_saved_stamp(struct hgi_stamp *out, const struct hgi_saved *at)
{
    static const struct hgi_field fields[] = {
        HGI_FIELD(struct hgi_stamp, WORD, "command", command),
        HGI_FIELD(struct hgi_stamp, WORD, "herdgate", herdgate),
        HGI_FIELD_TEXT_OF(struct hgi_stamp, "server", server),
        HGI_FIELD_TEXT_OF(struct hgi_stamp, "began_at", began_at),
        HGI_FIELD(struct hgi_stamp, BOOL, "interrupted", interrupted),
        { 0 },
    };
    static const struct hgi_field later[] = {
        /* there since they were added */
        HGI_FIELD(struct hgi_stamp, BOOL, "server_lost", server_lost),
        { 0 },
    };
    return hgi_fields_read(out, fields, at) &&
           (hgi_saved_lacks(at, "server_lost") || hgi_fields_read(out, later, at)) &&
           ((out->command && out->herdgate) || hgi_saved_wrong(at, "command", "is null"));
}

/* Once: it may be a pipe. */
static char *read_all(const char *path, size_t *length, struct hgi_problem *problem)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    bool well = file != NULL;
    *length = 0;
    while (well && !feof(file) && *length < FILE_MOST) {
        if (*length + 1 >= size) {
            char *more = realloc(text, size = size ? 2 * size : 1 << 16);
            if (!more)
                break;
            text = more;
        }
        *length += fread(text + *length, 1, size - *length - 1, file);
        well = !ferror(file);
    }
    if (!well)
        hgi_problem_set(problem, "%s: cannot read it: %s", path, strerror(errno));
    else if (!feof(file))
        hgi_problem_set(problem, "%s: does not fit into memory, or is over %d MiB", path,
                        FILE_MOST >> 20);
    well = well && text && feof(file);
    if (file)
        fclose(file);
    if (well) {
        text[*length] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

static bool wrong_at(const char *path, const char *text, const char *end,
                     struct hgi_problem *problem)
{
    int line = 1, column = 1;
    for (; text < end; text++) {
        column = *text == '\n' ? 1 : column + 1;
        line += *text == '\n';
    }
    return hgi_problem_set(problem,
                           "%s:%d:%d: is no JSON from here on; give a file that herdgate-stress "
                           "SUBCOMMAND --json=FILE wrote",
                           path, line, column);
}

bool hgi_saved_open(struct hgi_saved *out, cJSON **json, const char *path,
                    struct hgi_problem *problem)
{
    size_t length;
    const char *end = NULL;
    char *text = read_all(path, &length, problem);
    *json = NULL;
    *out = (struct hgi_saved) { .path = path, .problem = problem };
    if (!text)
        return false;
    *json = cJSON_ParseWithLengthOpts(text, length + 1, &end, true);
    if (!*json)
        wrong_at(path, text, end ? end : text, problem);
    free(text);
    out->json = *json;
    if (!*json)
        return false;
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(*json, "format");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(*json, "version");
    if (!cJSON_IsString(format) || strcmp(format->valuestring, "herdgate-stress") != 0)
        return hgi_saved_wrong(out, "format", "is not \"herdgate-stress\"");
    return (cJSON_IsNumber(version) && version->valuedouble == HGI_JSON_VERSION) ||
           hgi_saved_wrong(out, "version", "is another than this herdgate-stress reads");
}
