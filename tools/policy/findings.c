/* What is to be said of some files; see findings.h.
 *
 * No form repeats a line of a file: it may hold a password. */
#include "tools/policy/findings.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tools/common/terminal.h"

struct hgi_finding *hgi_findings_add(struct hgi_findings *findings)
{
    if (findings->count == findings->capacity) {
        size_t capacity = findings->capacity ? 2 * findings->capacity : 16;
        struct hgi_finding *list = realloc(findings->list, capacity * sizeof *list);
        if (!list)
            return NULL;
        findings->list = list;
        findings->capacity = capacity;
    }
    struct hgi_finding *finding = &findings->list[findings->count++];
    memset(finding, 0, sizeof *finding);
    finding->file = findings->file_count - 1;
    return finding;
}

bool hgi_findings_add_mistake(struct hgi_findings *findings, const struct hgi_mistake *mistake)
{
    struct hgi_finding *finding = hgi_findings_add(findings);
    if (!finding)
        return false;
    finding->is_error = true;
    finding->at.line = mistake->line;
    finding->at.column = mistake->column;
    memcpy(finding->at.pointer, mistake->pointer, sizeof finding->at.pointer);
    snprintf(finding->what, sizeof finding->what, "%s", mistake->what);
    return true;
}

static int compare(const void *one, const void *other)
{
    const struct hgi_finding *a = one;
    const struct hgi_finding *b = other;
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    if (a->at.line != b->at.line)
        return a->at.line < b->at.line ? -1 : 1;
    if (a->at.column != b->at.column)
        return a->at.column < b->at.column ? -1 : 1;
    return a->rule && b->rule ? strcmp(a->rule, b->rule) : 0;
}

void hgi_findings_sort(struct hgi_findings *findings)
{
    if (findings->count > 1)
        qsort(findings->list, findings->count, sizeof *findings->list, compare);
}

void hgi_findings_free(struct hgi_findings *findings)
{
    free(findings->list);
    findings->list = NULL;
    findings->count = findings->capacity = 0;
}

size_t hgi_findings_count(const struct hgi_findings *findings, bool errors)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        count += findings->list[i].is_error == errors;
    return count;
}

static void print_gcc(const struct hgi_findings *findings, FILE *out)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct hgi_finding *f = &findings->list[i];
        fputs(findings->files[f->file], out);
        if (f->at.line)
            fprintf(out, ":%zu:%zu", f->at.line, f->at.column);
        fprintf(out, ": %s: ", f->is_error ? "error" : "warning");
        if (f->at.pointer[0])
            fprintf(out, "%s: ", f->at.pointer);
        fputs(f->what, out);
        if (f->advice[0])
            fprintf(out, " %s", f->advice);
        if (f->rule)
            fprintf(out, " [%s]", f->rule);
        fputc('\n', out);
    }
}

enum { TEXT_WIDTH = 96, INDENT = 6 };

/* Words at most TEXT_WIDTH columns wide, behind an indent; the first line begins with `head`. */
static void print_wrapped(FILE *out, const char *head, const char *text)
{
    size_t column = INDENT + strlen(head);
    fprintf(out, "%*s%s", INDENT, "", head);
    for (bool first = true; *text; first = false) {
        size_t length = strcspn(text, " ");
        if (!first && column + 1 + length > TEXT_WIDTH) {
            column = INDENT + strlen(head);
            fprintf(out, "\n%*s", (int)column, "");
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, length, out);
        column += length;
        text += length;
        text += *text == ' ';
    }
    fputc('\n', out);
}

static void print_one(const struct hgi_finding *f, const char *file, bool colour, FILE *out)
{
    enum hgi_style style = f->is_error ? HGI_STYLE_BAD : HGI_STYLE_BOLD;
    fputs(file, out);
    if (f->at.line)
        fprintf(out, ":%zu:%zu", f->at.line, f->at.column);
    fprintf(out, ": %s%s%s", hgi_style_begin(colour, style), f->is_error ? "error" : "warning",
            hgi_style_end(colour, style));
    if (f->at.pointer[0])
        fprintf(out, " at %s", f->at.pointer);
    if (f->rule)
        fprintf(out, " [%s]", f->rule);
    fputc('\n', out);
    print_wrapped(out, "", f->what);
    if (f->advice[0])
        print_wrapped(out, "-> ", f->advice);
}

static void print_text(const struct hgi_findings *findings, FILE *out)
{
    bool colour = hgi_terminal_colour(out);
    size_t at = 0;
    for (size_t file = 0; file < findings->file_count; file++) {
        bool clean = at == findings->count || findings->list[at].file != file;
        if (clean)
            fprintf(out, "%s: %sok%s\n", findings->files[file],
                    hgi_style_begin(colour, HGI_STYLE_GOOD), hgi_style_end(colour, HGI_STYLE_GOOD));
        for (; at < findings->count && findings->list[at].file == file; at++)
            print_one(&findings->list[at], findings->files[file], colour, out);
    }
    size_t errors = hgi_findings_count(findings, true);
    size_t warnings = hgi_findings_count(findings, false);
    if (errors + warnings > 1)
        fprintf(out, "\n%zu error%s, %zu warning%s\n", errors, errors == 1 ? "" : "s", warnings,
                warnings == 1 ? "" : "s");
}

static cJSON *finding_json(const struct hgi_finding *f)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "severity", f->is_error ? "error" : "warning");
    if (f->rule)
        cJSON_AddStringToObject(json, "rule", f->rule);
    if (f->at.line) {
        cJSON_AddNumberToObject(json, "line", (double)f->at.line);
        cJSON_AddNumberToObject(json, "column", (double)f->at.column);
        cJSON_AddStringToObject(json, "pointer", f->at.pointer);
    }
    cJSON_AddStringToObject(json, "message", f->what);
    if (f->advice[0])
        cJSON_AddStringToObject(json, "advice", f->advice);
    return json;
}

static bool print_json(const struct hgi_findings *findings, const char *subcommand, FILE *out)
{
    size_t at = 0;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", "herdgate-policy");
    cJSON_AddNumberToObject(json, "version", 1);
    cJSON_AddStringToObject(json, "subcommand", subcommand);
    cJSON *files = cJSON_AddArrayToObject(json, "files");
    for (size_t file = 0; file < findings->file_count; file++) {
        cJSON *one = cJSON_CreateObject();
        cJSON *list = cJSON_CreateArray();
        bool valid = true;
        for (; at < findings->count && findings->list[at].file == file; at++) {
            valid = valid && !findings->list[at].is_error;
            cJSON_AddItemToArray(list, finding_json(&findings->list[at]));
        }
        cJSON_AddStringToObject(one, "file", findings->files[file]);
        cJSON_AddBoolToObject(one, "valid", valid);
        cJSON_AddItemToObject(one, "findings", list);
        cJSON_AddItemToArray(files, one);
    }
    char *text = json && files ? cJSON_Print(json) : NULL;
    cJSON_Delete(json);
    if (text)
        fprintf(out, "%s\n", text);
    cJSON_free(text);
    return text != NULL;
}

bool hgi_findings_print(const struct hgi_findings *findings, const char *subcommand,
                        enum hgi_format format, FILE *out)
{
    if (format == HGI_FORMAT_JSON)
        return print_json(findings, subcommand, out);
    if (format == HGI_FORMAT_GCC)
        print_gcc(findings, out);
    else
        print_text(findings, out);
    return true;
}
