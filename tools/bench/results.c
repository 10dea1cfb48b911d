/* What a measurement comes to: tables for people, JSON for programs, promises held against it. */
#include <stdlib.h>

#include "tools/bench/bench.h"
#include "tools/common/terminal.h"

double hgi_bench_ratio(const struct hgi_bench *bench, const struct hgi_promise *promise,
                       uint32_t column)
{
    return bench->ns[promise->above][column] /
           bench->ns[promise->below][promise->below_alone ? 0 : column];
}

static bool keeps_in(const struct hgi_bench *bench, const struct hgi_promise *promise,
                     uint32_t column)
{
    double ratio = hgi_bench_ratio(bench, promise, column);
    if (bench->threads[column] < promise->from_threads)
        return true;
    return promise->at_least ? ratio >= promise->limit : ratio <= promise->limit;
}

bool hgi_bench_keeps(const struct hgi_bench *bench, const struct hgi_promise *promise)
{
    for (uint32_t c = 0; c < bench->columns; c++)
        if (!keeps_in(bench, promise, c))
            return false;
    return true;
}

/* A table with the columns' heads; NULL: out of memory, and nothing is printed. */
static struct hgi_table *begin_table(const struct hgi_bench *bench, const char *title)
{
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    hgi_table_set(table, 0, 0, "%s", title);
    for (uint32_t c = 0; c < bench->columns; c++)
        hgi_table_set(table, 0, c + 1, "%u thread%s", bench->threads[c],
                      bench->threads[c] == 1 ? "" : "s");
    return table;
}

static void end_table(struct hgi_table *table, FILE *out, bool colour)
{
    hgi_table_style(table, 0, 0, HGI_STYLE_BOLD);
    hgi_table_print(table, out, colour);
    fputc('\n', out);
    free(table);
}

void hgi_bench_print(const struct hgi_bench *bench, FILE *out, bool colour)
{
    struct hgi_table *table = begin_table(bench, bench->title);
    if (!table)
        return;
    for (uint32_t i = 0; i < bench->count; i++) {
        hgi_table_set(table, i + 1, 0, "%s", bench->contenders[i].name);
        for (uint32_t c = 0; c < bench->columns; c++)
            hgi_table_set(table, i + 1, c + 1, "%.2f ns", bench->ns[i][c]);
    }
    end_table(table, out, colour);
}

void hgi_bench_print_cpu(const struct hgi_bench *bench, FILE *out, bool colour)
{
    struct hgi_table *table = begin_table(bench, "processor time of the threads, per call");
    if (!table)
        return;
    for (uint32_t i = 0; i < bench->count; i++) {
        hgi_table_set(table, i + 1, 0, "%s", bench->contenders[i].name);
        for (uint32_t c = 0; c < bench->columns; c++)
            hgi_table_set(table, i + 1, c + 1, "%.0f ns", bench->cpu_ns[i][c]);
    }
    end_table(table, out, colour);
}

void hgi_bench_print_multiples(const struct hgi_bench *bench, uint32_t base, const char *title,
                               FILE *out, bool colour)
{
    struct hgi_table *table = begin_table(bench, title);
    size_t row = 1;
    if (!table)
        return;
    for (uint32_t i = 0; i < bench->count; i++) {
        if (i == base)
            continue;
        hgi_table_set(table, row, 0, "%s", bench->contenders[i].name);
        for (uint32_t c = 0; c < bench->columns; c++)
            hgi_table_set(table, row, c + 1, "%.3g", bench->ns[i][c] / bench->ns[base][c]);
        row++;
    }
    end_table(table, out, colour);
}

void hgi_bench_print_promises(const struct hgi_bench *bench, FILE *out, bool colour)
{
    struct hgi_table *table = begin_table(bench, "promised");
    if (!table)
        return;
    hgi_table_set(table, 0, bench->columns + 1, "limit");
    hgi_table_set(table, 0, bench->columns + 2, "kept");
    for (uint32_t i = 0; i < bench->promise_count; i++) {
        const struct hgi_promise *promise = &bench->promises[i];
        bool kept = hgi_bench_keeps(bench, promise);
        hgi_table_set(table, i + 1, 0, "%s", promise->text);
        for (uint32_t c = 0; c < bench->columns; c++) {
            if (bench->threads[c] < promise->from_threads)
                continue;
            hgi_table_set(table, i + 1, c + 1, "%.2f", hgi_bench_ratio(bench, promise, c));
            if (!keeps_in(bench, promise, c))
                hgi_table_style(table, i + 1, c + 1, HGI_STYLE_BAD);
        }
        hgi_table_set(table, i + 1, bench->columns + 1, "%s %g",
                      promise->at_least ? ">=" : "<=", promise->limit);
        hgi_table_set(table, i + 1, bench->columns + 2, "%s", kept ? "yes" : "no");
        hgi_table_style(table, i + 1, bench->columns + 2, kept ? HGI_STYLE_GOOD : HGI_STYLE_BAD);
    }
    end_table(table, out, colour);
}

static void add_row(cJSON *to, const char *name, const double *value, uint32_t count)
{
    cJSON *row = cJSON_AddArrayToObject(to, name);
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(row, cJSON_CreateNumber(value[i]));
}

static void add_promises(const struct hgi_bench *bench, cJSON *json)
{
    cJSON *promises = cJSON_AddArrayToObject(json, "promises");
    for (uint32_t i = 0; i < bench->promise_count; i++) {
        const struct hgi_promise *promise = &bench->promises[i];
        double ratio[HGI_BENCH_COLUMNS];
        cJSON *row = cJSON_CreateObject();
        for (uint32_t c = 0; c < bench->columns; c++)
            ratio[c] = hgi_bench_ratio(bench, promise, c);
        cJSON_AddStringToObject(row, "key", promise->key);
        cJSON_AddStringToObject(row, "text", promise->text);
        add_row(row, "ratio", ratio, bench->columns);
        cJSON_AddNumberToObject(row, promise->at_least ? "least" : "most", promise->limit);
        cJSON_AddNumberToObject(row, "from_threads", promise->from_threads);
        cJSON_AddBoolToObject(row, "kept", hgi_bench_keeps(bench, promise));
        cJSON_AddItemToArray(promises, row);
    }
}

cJSON *hgi_bench_json(const struct hgi_bench *bench)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "key", bench->key);
    cJSON_AddStringToObject(json, "title", bench->title);
    cJSON *threads = cJSON_AddArrayToObject(json, "threads");
    for (uint32_t c = 0; c < bench->columns; c++)
        cJSON_AddItemToArray(threads, cJSON_CreateNumber(bench->threads[c]));
    cJSON *rows = cJSON_AddArrayToObject(json, "contenders");
    for (uint32_t i = 0; i < bench->count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "key", bench->contenders[i].key);
        cJSON_AddStringToObject(row, "name", bench->contenders[i].name);
        add_row(row, "ns", bench->ns[i], bench->columns);
        add_row(row, "cpu_ns", bench->cpu_ns[i], bench->columns);
        cJSON_AddItemToArray(rows, row);
    }
    add_promises(bench, json);
    return json;
}
