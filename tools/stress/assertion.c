/* Figures held against numbers; see assertion.h. */
#include "tools/stress/assertion.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/options.h"

void hgi_figures_add(struct hgi_figures *figures, const char *prefix, const char *name,
                     enum hgi_figure_unit unit, bool known, double value)
{
    if (figures->count == HGI_FIGURES_MAX)
        return;
    struct hgi_figure *figure = &figures->figure[figures->count++];
    snprintf(figure->name, sizeof figure->name, "%s%s%s", prefix ? prefix : "", prefix ? "." : "",
             name);
    figure->unit = unit;
    figure->known = known;
    figure->value = value;
}

void hgi_figures_add_latency(struct hgi_figures *figures, const char *prefix,
                             const struct hgi_histogram *histogram)
{
    static const struct {
        const char *name;
        double percent;
    } percentiles[] = { { "p50", 50 },     { "p90", 90 },       { "p99", 99 },
                        { "p99.9", 99.9 }, { "p99.99", 99.99 }, { "max", 100 } };
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++)
        hgi_figures_add(figures, prefix, percentiles[i].name, HGI_FIGURE_TIME, histogram->total > 0,
                        (double)hgi_histogram_percentile(histogram, percentiles[i].percent));
}

/* The comparison at `text`; its length, or 0. */
static size_t comparison_at(const char *text, enum hgi_comparison *out)
{
    static const struct {
        const char *sign;
        enum hgi_comparison comparison;
    } signs[] = { { "<=", HGI_LESS_EQUAL },
                  { ">=", HGI_GREATER_EQUAL },
                  { "==", HGI_EQUAL },
                  { "<", HGI_LESS },
                  { ">", HGI_GREATER } };
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        size_t length = strlen(signs[i].sign);
        if (strncmp(text, signs[i].sign, length) == 0) {
            *out = signs[i].comparison;
            return length;
        }
    }
    return 0;
}

bool hgi_assertion_parse(struct hgi_assertion *out, const char *text, struct hgi_problem *problem)
{
    size_t name = strcspn(text, "<>= ");
    size_t sign = name + strspn(text + name, " ");
    size_t length = comparison_at(text + sign, &out->comparison);
    if (name == 0 || name >= sizeof out->name || length == 0)
        return hgi_problem_set(
            problem, "'%s' is not a comparison, like amplification<1.2 or p99<=5ms", text);
    memcpy(out->name, text, name);
    out->name[name] = '\0';
    out->text = text;
    const char *number = text + sign + length;
    number += strspn(number, " ");
    char *end;
    int64_t ns;
    out->value = strtod(number, &end);
    out->unit = HGI_FIGURE_NUMBER;
    if (end != number && !*end && isfinite(out->value))
        return true;
    out->unit = HGI_FIGURE_TIME;
    if (!hgi_parse_duration(&ns, number, NULL))
        return hgi_problem_set(problem, "'%s': '%s' is neither a number nor a duration", text,
                               number);
    out->value = (double)ns;
    return true;
}

static bool compares(enum hgi_comparison comparison, double a, double b)
{
    switch (comparison) {
    case HGI_LESS:
        return a < b;
    case HGI_LESS_EQUAL:
        return a <= b;
    case HGI_GREATER:
        return a > b;
    case HGI_GREATER_EQUAL:
        return a >= b;
    case HGI_EQUAL:
    default:
        return !(a < b) && !(a > b);
    }
}

static void list_figures(const struct hgi_assertion *assertion, const struct hgi_figures *figures,
                         struct hgi_problem *problem)
{
    char names[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < figures->count && used + 64 < sizeof names; i++) {
        const char *name = figures->figure[i].name;
        bool percentile = name[0] == 'p' && name[1] >= '0' && name[1] <= '9';
        if (percentile || !strchr(name, '.')) /* those of a policy need not be listed too */
            used +=
                (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", name);
    }
    hgi_problem_set(problem, "--assert '%s': there is no figure %s; there are %s", assertion->text,
                    assertion->name, names);
}

enum hgi_assertion_result hgi_assertion_check(const struct hgi_assertion *assertion,
                                              const struct hgi_figures *figures,
                                              struct hgi_problem *problem)
{
    char value[48];
    for (size_t i = 0; i < figures->count; i++) {
        const struct hgi_figure *figure = &figures->figure[i];
        if (strcmp(figure->name, assertion->name) != 0)
            continue;
        bool is_time = figure->unit == HGI_FIGURE_TIME;
        if (is_time && assertion->unit == HGI_FIGURE_NUMBER && assertion->value != 0) {
            hgi_problem_set(problem,
                            "--assert '%s': %s is a duration; write it with a unit, like 5ms",
                            assertion->text, figure->name);
            return HGI_NO_SUCH_FIGURE;
        }
        if (!is_time && assertion->unit == HGI_FIGURE_TIME) {
            hgi_problem_set(problem, "--assert '%s': %s is a number without a unit",
                            assertion->text, figure->name);
            return HGI_NO_SUCH_FIGURE;
        }
        if (figure->known && compares(assertion->comparison, figure->value, assertion->value))
            return HGI_HOLDS;
        if (!figure->known)
            snprintf(value, sizeof value, "not known: it did not happen");
        else if (is_time)
            hgi_format_duration(value, sizeof value, (int64_t)figure->value);
        else
            snprintf(value, sizeof value, "%.6g", figure->value);
        hgi_problem_set(problem, "--assert '%s' does not hold: %s is %s", assertion->text,
                        figure->name, value);
        return HGI_FAILS;
    }
    list_figures(assertion, figures, problem);
    return HGI_NO_SUCH_FIGURE;
}
