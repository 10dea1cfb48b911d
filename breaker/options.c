/* Checks of the options, and their decoding into ticks and table entries.
 *
 * One table says where each field is and what its limits are, so that the check, the message and the
 * header's promise cannot part. The upper limits are those of the word's fields (machine.h).
 */
#include "breaker/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/sized.h"

#define SPAN_MAX_NS (HGI_SPAN_MAX * HGI_TICK_NS)
#define SPAN_MIN_NS (10 * HGI_NS_PER_MS)
#define WINDOW_MIN_NS HGI_NS_PER_S
#define WINDOW_MAX_NS (600 * HGI_NS_PER_S)

enum kind { COUNT, DURATION, REAL };

struct field {
    const char *name;
    size_t offset;
    enum kind kind;
    double min;
    double max;
};

#define FIELD(name, kind, min, max)                                                          \
    {                                                                                        \
#name, offsetof(struct hg_breaker_options, name), kind, (double)(min), (double)(max) \
    }

static const struct field fields[] = {
    FIELD(failure_threshold, COUNT, 0, HGI_FAILURES_MAX),
    FIELD(half_open_max_calls, COUNT, 1, HGI_PROBES_MAX),
    FIELD(success_threshold, COUNT, 1, HGI_PROBES_MAX),
    FIELD(recovery_timeout_ns, DURATION, SPAN_MIN_NS, SPAN_MAX_NS),
    FIELD(recovery_multiplier, REAL, 1, 1000),
    FIELD(recovery_timeout_max_ns, DURATION, SPAN_MIN_NS, SPAN_MAX_NS),
    FIELD(recovery_jitter, REAL, 0, 1),
    FIELD(probe_lease_ns, DURATION, SPAN_MIN_NS, SPAN_MAX_NS),
};

static const struct field window_fields[] = {
    /* first: without it there is none */
    FIELD(window_length_ns, DURATION, WINDOW_MIN_NS, WINDOW_MAX_NS),
    FIELD(window_min_calls, COUNT, 1, 1000000),
    FIELD(window_failure_rate, REAL, 1e-6, 1),
    FIELD(window_slow_call_ns, DURATION, 0, SPAN_MAX_NS),
    FIELD(window_slow_rate, REAL, 1e-6, 1),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static double value_of(const struct field *field, const struct hg_breaker_options *options)
{
    const char *at = (const char *)options + field->offset;
    uint32_t count;
    int64_t duration;
    double real;
    switch (field->kind) {
    case COUNT:
        memcpy(&count, at, sizeof count);
        return count;
    case DURATION:
        memcpy(&duration, at, sizeof duration);
        return (double)duration;
    default:
        memcpy(&real, at, sizeof real);
        return real;
    }
}

static hg_status check(const struct field *table, size_t count,
                       const struct hg_breaker_options *options, struct hg_error *err)
{
    for (size_t i = 0; i < count; i++) {
        double value = value_of(&table[i], options);
        if (value >= table[i].min && value <= table[i].max) /* NaN is neither */
            continue;
        if (table[i].kind == REAL)
            return hgi_error_set(err, HG_ERR_VALIDATION, "%s is %g; it must be %g to %g",
                                 table[i].name, value, table[i].min, table[i].max);
        return hgi_error_set(err, HG_ERR_VALIDATION, "%s is %.0f; it must be %.0f to %.0f",
                             table[i].name, value, table[i].min, table[i].max);
    }
    return HG_OK;
}

static hg_status check_together(const struct hg_breaker_options *options, struct hg_error *err)
{
    if (options->failure_threshold == 0 && options->window_length_ns == 0)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "failure_threshold is 0 and window_length_ns is 0: nothing would ever "
                             "open it; one of them must be set");
    if (options->success_threshold > options->half_open_max_calls)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "success_threshold is %u; it must be 1 to half_open_max_calls, %u, or "
                             "it could never close",
                             options->success_threshold, options->half_open_max_calls);
    if (options->recovery_timeout_max_ns < options->recovery_timeout_ns)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "recovery_timeout_max_ns is %lld; it must not be below "
                             "recovery_timeout_ns, %lld",
                             (long long)options->recovery_timeout_max_ns,
                             (long long)options->recovery_timeout_ns);
    return HG_OK;
}

hg_status hgi_options_read(struct hg_breaker_options *out, const struct hg_breaker_options *options,
                           struct hg_error *err)
{
    static const struct hgi_sized form = { .known = sizeof *out,
                                           .least =
                                               offsetof(struct hg_breaker_options, count_calls),
                                           .init = "HG_BREAKER_OPTIONS_INIT" };
    *out = (struct hg_breaker_options)HG_BREAKER_OPTIONS_INIT;
    hg_status status = hgi_sized_read(out, options, &form, "a breaker", err);
    if (status < 0)
        return status;
    if (out->on_mismatch != HG_MISMATCH_ADOPT && out->on_mismatch != HG_MISMATCH_REFUSE)
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "on_mismatch is %d; it must be HG_MISMATCH_ADOPT or HG_MISMATCH_REFUSE",
            (int)out->on_mismatch);
    status = check(fields, COUNT_OF(fields), out, err);
    if (status == HG_OK && out->window_length_ns != 0)
        status = check(window_fields, COUNT_OF(window_fields), out, err);
    return status < 0 ? status : check_together(out, err);
}

/* Append what differs among the fields of a table. */
static void tell_difference(const struct field *table, size_t count,
                            const struct hg_breaker_options *held,
                            const struct hg_breaker_options *wanted, char *text, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        char one[128];
        double a = value_of(&table[i], held);
        double b = value_of(&table[i], wanted);
        if (a == b)
            continue;
        snprintf(one, sizeof one, "%s%s is %.15g, not %.15g", text[0] ? "; " : "", table[i].name, a,
                 b);
        hgi_append_text(text, size, one);
    }
}

bool hgi_options_differ(const struct hg_breaker_options *held,
                        const struct hg_breaker_options *wanted, char *text, size_t size)
{
    text[0] = '\0';
    tell_difference(fields, COUNT_OF(fields), held, wanted, text, size);
    if (held->window_length_ns == 0 || wanted->window_length_ns == 0)
        tell_difference(window_fields, 1, held, wanted, text, size);
    else
        tell_difference(window_fields, COUNT_OF(window_fields), held, wanted, text, size);
    if (wanted->seed != 0 && held->seed != wanted->seed) {
        hgi_append_text(text, size, text[0] ? "; " : "");
        hgi_append_text(text, size, "seed is another");
    }
    return text[0] != '\0';
}

/* Rounded up: never shorter than was asked for. */
static uint32_t ticks_of(double ns)
{
    double ticks = ns / (double)HGI_TICK_NS;
    if (ticks >= HGI_SPAN_MAX)
        return HGI_SPAN_MAX;
    uint32_t whole = (uint32_t)ticks;
    whole += whole < ticks;
    return whole < HGI_SPAN_MIN ? HGI_SPAN_MIN : whole;
}

void hgi_options_decode(struct hgi_machine *machine, const struct hg_breaker_options *options)
{
    *machine = (struct hgi_machine) {
        .seed = options->seed,
        .failure_threshold = options->failure_threshold,
        .lease_ticks = ticks_of((double)options->probe_lease_ns),
        .jitter = (uint32_t)(options->recovery_jitter * HGI_JITTER_ONE),
        .max_calls = (uint16_t)options->half_open_max_calls,
        .success_threshold = (uint16_t)options->success_threshold,
    };
    double length = (double)options->recovery_timeout_ns;
    double longest = (double)options->recovery_timeout_max_ns;
    for (size_t i = 0; i < HGI_STREAK_MAX; i++) {
        machine->open_ticks[i] = ticks_of(length < longest ? length : longest);
        length *= options->recovery_multiplier; /* 1000^15 of a day is far below a double's end */
    }
}

int64_t hgi_options_permit_age(const struct hgi_machine *machine)
{
    /* Three transitions at most for each open period (closed, open, half-open), so the generation
     * takes a third of its range in such periods to come round; operators' commands aside. */
    uint64_t longest = machine->open_ticks[0];
    uint64_t shortest = longest - longest * machine->jitter / HGI_JITTER_ONE;
    if (shortest < HGI_SPAN_MIN)
        shortest = HGI_SPAN_MIN;
    return (int64_t)((HGI_GENERATION_MAX / 3 - 1) * shortest) * HGI_TICK_NS;
}
