/* The command line of the tools; see options.h. */
#include "tools/common/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/common/timing.h"

enum { HELP_INDENT = 29 }; /* where what an option does begins */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    { "ns", 1 },       { "us", NS_PER_US },    { "ms", NS_PER_MS },
    { "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S },
};

static const struct unit size_units[] = {
    { "", 1 },        { "B", 1 },         { "k", 1 << 10 }, { "K", 1 << 10 },   { "KiB", 1 << 10 },
    { "M", 1 << 20 }, { "MiB", 1 << 20 }, { "G", 1 << 30 }, { "GiB", 1 << 30 },
};

/* A decimal number and a unit of the list. 0: done; 1: not a number; 2: not such a unit; 3: too
 * large. */
static int parse_with_unit(int64_t *out, const char *text, const struct unit *units, size_t count)
{
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || text[0] == '.' || text[digits - 1] == '.')
        return 1;
    char *end;
    double number = strtod(text, &end);
    if (end != text + digits)
        return 1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        double value = round(number * (double)units[i].factor);
        if (!(value < 9e18))
            return 3;
        *out = (int64_t)value;
        return 0;
    }
    return 2;
}

bool hgi_parse_duration(int64_t *out_ns, const char *text, struct hgi_problem *problem)
{
    if (strcmp(text, "0") == 0) {
        *out_ns = 0;
        return true;
    }
    if (parse_with_unit(out_ns, text, duration_units, COUNT_OF(duration_units)) == 0)
        return true;
    return hgi_problem_set(problem, "'%s' is not a duration, like 250ms, 10s or 5m", text);
}

bool hgi_parse_size(int64_t *out, const char *text, struct hgi_problem *problem)
{
    if (parse_with_unit(out, text, size_units, COUNT_OF(size_units)) == 0)
        return true;
    return hgi_problem_set(problem, "'%s' is not a size in bytes, like 64, 16k or 1MiB", text);
}

const char *hgi_format_duration(char *out, size_t size, int64_t ns)
{
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = { { "s", NS_PER_S }, { "ms", NS_PER_MS }, { "us", NS_PER_US } };
    const int64_t minute = 60 * NS_PER_S;
    if (ns >= 60 * minute && ns % (60 * minute) == 0) {
        snprintf(out, size, "%" PRId64 "h", ns / (60 * minute));
        return out;
    }
    if (ns > minute && ns % minute == 0) {
        snprintf(out, size, "%" PRId64 "m", ns / minute);
        return out;
    }
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (ns >= units[i].factor) {
            double value = (double)ns / (double)units[i].factor;
            snprintf(out, size, value < 9999.5 ? "%.4g%s" : "%.0f%s", value, units[i].name);
            return out;
        }
    }
    snprintf(out, size, "%" PRId64 "%s", ns, ns ? "ns" : "");
    return out;
}

typedef bool (*parse_fn)(int64_t *out, const char *text, struct hgi_problem *problem);

/* "A..B", or "A" for A..A if `single`. */
static bool parse_span(struct hgi_span *out, const char *text, bool single, parse_fn parse,
                       struct hgi_problem *problem)
{
    char low[32];
    const char *dots = strstr(text, "..");
    size_t length = dots ? (size_t)(dots - text) : strlen(text);
    if ((!dots && !single) || length >= sizeof low)
        return hgi_problem_set(problem, "'%s' is not a range, like 1s..3s", text);
    memcpy(low, text, length);
    low[length] = '\0';
    if (!parse(&out->low, low, problem))
        return false;
    out->high = out->low;
    if (dots && !parse(&out->high, dots + 2, problem))
        return false;
    if (out->low > out->high)
        return hgi_problem_set(problem, "'%s': the range ends before it begins", text);
    return true;
}

static bool within(const struct hgi_option *option, int64_t value, const char *text,
                   struct hgi_problem *problem)
{
    char least[32];
    char most[32];
    if (value >= option->least && (option->most == 0 || value <= option->most))
        return true;
    bool duration = option->kind == HGI_OPTION_DURATION || option->kind == HGI_OPTION_DURATION_SPAN;
    if (duration) {
        hgi_format_duration(least, sizeof least, option->least);
        hgi_format_duration(most, sizeof most, option->most);
    } else {
        snprintf(least, sizeof least, "%" PRId64, option->least);
        snprintf(most, sizeof most, "%" PRId64, option->most);
    }
    if (option->most == 0)
        return hgi_problem_set(problem, "%s is below %s", text, least);
    return hgi_problem_set(problem, "%s is not within %s to %s", text, least, most);
}

static bool parse_whole(uint64_t *out, const char *text, struct hgi_problem *problem)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno != 0)
        return hgi_problem_set(problem, "'%s' is not a whole number", text);
    return true;
}

static bool append(struct hgi_texts *texts, const char *text, struct hgi_problem *problem)
{
    if (texts->count == HGI_TEXTS_MAX)
        return hgi_problem_set(problem, "given more than %d times", HGI_TEXTS_MAX);
    texts->text[texts->count++] = text;
    return true;
}

static bool store(const struct hgi_option *option, const char *text, struct hgi_problem *problem)
{
    uint64_t number;
    struct hgi_span *span = option->value;
    switch (option->kind) {
    case HGI_OPTION_COUNT:
        if (!parse_whole(&number, text, problem))
            return false;
        if (number > UINT32_MAX)
            number = UINT32_MAX;
        *(uint32_t *)option->value = (uint32_t)number;
        return within(option, (int64_t)number, text, problem);
    case HGI_OPTION_NUMBER:
        return parse_whole(option->value, text, problem);
    case HGI_OPTION_TEXT:
    case HGI_OPTION_MAYBE_TEXT:
        *(const char **)option->value = text;
        return true;
    case HGI_OPTION_TEXTS:
        return append(option->value, text, problem);
    case HGI_OPTION_DURATION:
        return hgi_parse_duration(option->value, text, problem) &&
               within(option, *(int64_t *)option->value, text, problem);
    case HGI_OPTION_DURATION_SPAN:
        return parse_span(span, text, false, hgi_parse_duration, problem) &&
               within(option, span->low, text, problem) &&
               within(option, span->high, text, problem);
    case HGI_OPTION_SIZE_SPAN:
        return parse_span(span, text, true, hgi_parse_size, problem) &&
               within(option, span->low, text, problem) &&
               within(option, span->high, text, problem);
    case HGI_OPTION_END:
    case HGI_OPTION_HEADING:
    case HGI_OPTION_FLAG:
        break;
    }
    return false;
}

/* How many letters differ when the shorter is laid over the longer's start; a cheap likeness that
 * finds a missing, a wrong and a swapped letter. */
static size_t unlike(const char *a, const char *b)
{
    size_t la = strlen(a);
    size_t lb = strlen(b);
    size_t front = 0;
    size_t back = 0;
    while (front < la && front < lb && a[front] == b[front])
        front++;
    while (back < la - front && back < lb - front && a[la - 1 - back] == b[lb - 1 - back])
        back++;
    size_t longer = la > lb ? la : lb;
    return longer - front - back;
}

static bool unknown(const struct hgi_option *table, const char *name, size_t length,
                    struct hgi_problem *problem)
{
    char given[40];
    snprintf(given, sizeof given, "%.*s", (int)length, name);
    const char *closest = NULL;
    size_t best = 3;
    for (const struct hgi_option *o = table; o->kind != HGI_OPTION_END; o++) {
        if (o->name && unlike(given, o->name) < best) {
            best = unlike(given, o->name);
            closest = o->name;
        }
    }
    if (closest)
        return hgi_problem_set(problem, "unknown option --%s: did you mean --%s?", given, closest);
    return hgi_problem_set(problem, "unknown option --%s; --help lists them", given);
}

static const struct hgi_option *find(const struct hgi_option *table, char letter, const char *name,
                                     size_t length)
{
    for (const struct hgi_option *o = table; o->kind != HGI_OPTION_END; o++) {
        if (letter ? o->letter == letter
                   : (o->name && strlen(o->name) == length && memcmp(o->name, name, length) == 0))
            return o;
    }
    return NULL;
}

/* Where parsing stands. */
struct cursor {
    int at;
    int count;
    char *const *arguments;
};

/* One option, its name found; `inlined` is the value that came with it, or NULL. */
static bool take(const struct hgi_option *option, const char *shown, const char *inlined,
                 struct cursor *cursor, struct hgi_problem *problem)
{
    struct hgi_problem inner = { .text = "" };
    if (option->kind == HGI_OPTION_FLAG) {
        if (inlined)
            return hgi_problem_set(problem, "%s takes no value", shown);
        *(bool *)option->value = true;
        return true;
    }
    if (!inlined && option->kind == HGI_OPTION_MAYBE_TEXT)
        return store(option, "", NULL);
    if (!inlined) {
        if (cursor->at >= cursor->count)
            return hgi_problem_set(problem, "%s needs a value: %s", shown, option->argument);
        inlined = cursor->arguments[cursor->at++];
    }
    if (!*inlined) /* a variable of a script that is not set */
        return hgi_problem_set(problem, "%s needs a value and has an empty one: %s", shown,
                               option->argument);
    return store(option, inlined, &inner) || hgi_problem_set(problem, "%s: %s", shown, inner.text);
}

bool hgi_options_parse(const struct hgi_option *table, int count, char *const *arguments,
                       struct hgi_problem *problem)
{
    int used = 0;
    if (!hgi_options_parse_front(table, count, arguments, &used, problem))
        return false;
    return used == count || hgi_problem_set(problem, "unexpected argument '%s'", arguments[used]);
}

bool hgi_options_parse_front(const struct hgi_option *table, int count, char *const *arguments,
                             int *used, struct hgi_problem *problem)
{
    struct cursor cursor = { .count = count, .arguments = arguments };
    *used = 0;
    while (cursor.at < count) {
        char shown[48];
        const char *text = arguments[cursor.at];
        if (text[0] != '-' || text[1] == '\0' || strcmp(text, "--") == 0)
            break;
        cursor.at++;
        bool named = text[1] == '-';
        size_t length = named ? strcspn(text + 2, "=") : 1;
        const struct hgi_option *option =
            named ? find(table, 0, text + 2, length) : find(table, text[1], NULL, 0);
        if (!option && named)
            return unknown(table, text + 2, length, problem);
        if (!option)
            return hgi_problem_set(problem, "unknown option -%c; --help lists them", text[1]);
        const char *inlined = NULL;
        if (named && text[2 + length] == '=')
            inlined = text + 3 + length;
        else if (!named && text[2])
            inlined = text + 2;
        snprintf(shown, sizeof shown, named ? "--%.*s" : "-%.*s", (int)length,
                 text + (named ? 2 : 1));
        if (!take(option, shown, inlined, &cursor, problem))
            return false;
    }
    *used = cursor.at;
    return true;
}

void hgi_options_help(const struct hgi_option *table, FILE *out)
{
    for (const struct hgi_option *o = table; o->kind != HGI_OPTION_END; o++) {
        char left[64];
        if (o->kind == HGI_OPTION_HEADING) {
            fprintf(out, "\n%s:\n", o->help);
            continue;
        }
        int used = o->letter ? snprintf(left, sizeof left, "-%c", o->letter)
                             : snprintf(left, sizeof left, "   ");
        if (o->name)
            used += snprintf(left + used, sizeof left - (size_t)used, "%s--%s",
                             o->letter ? ", " : " ", o->name);
        if (o->argument)
            snprintf(left + used, sizeof left - (size_t)used, "%s%s",
                     o->kind == HGI_OPTION_MAYBE_TEXT ? "" : " ", o->argument);
        used = fprintf(out, "  %-26s ", left);
        hgi_text_hang(out, used > 0 ? (size_t)used : 0, HELP_INDENT, o->help);
    }
}
