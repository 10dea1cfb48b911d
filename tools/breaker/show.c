/* A look at a shared breaker: taken, printed, made JSON. */
#include "tools/breaker/show.h"

#include <inttypes.h>
#include <string.h>

#include "tools/common/options.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"

hg_status hgi_look(struct hgi_look *look, const char *name, struct hg_error *err)
{
    hg_breaker *breaker;
    hg_status status = hg_breaker_attach_shared(&breaker, name, err);
    if (status < 0)
        return status;
    look->name = name;
    look->at_ns = monotonic_ns();
    look->is.size = sizeof look->is;
    look->settings.size = sizeof look->settings;
    hg_breaker_take_snapshot(breaker, &look->is);
    hg_breaker_read_options(breaker, &look->settings);
    hg_breaker_free(breaker);
    return HG_OK;
}

const char *hgi_look_state(const struct hgi_look *look, char *out, size_t size)
{
    char wait[32];
    const char *name = hg_breaker_state_name(look->is.state);
    if (look->is.state == HG_BREAKER_OPEN)
        snprintf(out, size, "%s, a probe may pass in %s", name,
                 hgi_format_duration(wait, sizeof wait, look->is.retry_after_ns));
    else if (look->is.state == HG_BREAKER_HALF_OPEN)
        snprintf(out, size, "%s, %u of %u probes out, %u of %u successes", name,
                 look->is.probes_issued - look->is.probes_succeeded,
                 look->settings.half_open_max_calls, look->is.probes_succeeded,
                 look->settings.success_threshold);
    else if (look->is.state == HG_BREAKER_CLOSED && look->settings.failure_threshold > 0)
        snprintf(out, size, "%s, %u of %u failures in a row", name, look->is.failures_in_a_row,
                 look->settings.failure_threshold);
    else
        snprintf(out, size, "%s", name);
    return out;
}

static enum hgi_style style_of(hg_breaker_state state)
{
    switch (state) {
    case HG_BREAKER_CLOSED:
        return HGI_STYLE_GOOD;
    case HG_BREAKER_OPEN:
    case HG_BREAKER_FORCED_OPEN:
        return HGI_STYLE_BAD;
    default:
        return HGI_STYLE_BOLD;
    }
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_calls(const struct hg_breaker_snapshot *is, FILE *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = { { "admitted", is->admitted },   { "refused", is->refused },
                   { "succeeded", is->succeeded }, { "failed", is->failed },
                   { "slow", is->slow },           { "late", is->late },
                   { "cancelled", is->cancelled } };
    enum { FIRST_LINE = 4 };
    char text[32];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const char *before = i == 0            ? "  calls        "
                             : i == FIRST_LINE ? "\n               "
                                               : ", ";
        fprintf(out, "%s%s %s", before, hgi_format_count(text, sizeof text, counts[i].value),
                counts[i].name);
    }
    fputc('\n', out);
}

static void print_settings(const struct hg_breaker_options *settings, FILE *out)
{
    char first[32], longest[32], lease[32], length[32], slow[32];
    hgi_format_duration(first, sizeof first, settings->recovery_timeout_ns);
    hgi_format_duration(longest, sizeof longest, settings->recovery_timeout_max_ns);
    hgi_format_duration(lease, sizeof lease, settings->probe_lease_ns);
    if (settings->failure_threshold > 0)
        fprintf(out, "  opens after  %u failures in a row\n", settings->failure_threshold);
    else
        fputs("  opens after  what the window says\n", out);
    fprintf(out,
            "  stays open   %s, %g times as long each time in a row, up to %s, less up to %g%%\n",
            first, settings->recovery_multiplier, longest, settings->recovery_jitter * 100);
    fprintf(out, "  closes after %u of %u probes that go well; one that is lost ends after %s\n",
            settings->success_threshold, settings->half_open_max_calls, lease);
    if (settings->window_length_ns == 0) {
        fputs("  window       none\n", out);
        return;
    }
    hgi_format_duration(length, sizeof length, settings->window_length_ns);
    fprintf(out, "  window       %s, from %u calls on: opens at %g%% failed", length,
            settings->window_min_calls, settings->window_failure_rate * 100);
    if (settings->window_slow_call_ns > 0)
        fprintf(out, " or %g%% slower than %s", settings->window_slow_rate * 100,
                hgi_format_duration(slow, sizeof slow, settings->window_slow_call_ns));
    fputc('\n', out);
}

void hgi_look_print(const struct hgi_look *look, FILE *out, bool colour)
{
    const struct hg_breaker_snapshot *is = &look->is;
    char state[128], transitions[32], opened[32], probes[32];
    enum hgi_style style = style_of(is->state);
    fprintf(out, "%s%s%s is %s%s%s\n", hgi_style_begin(colour, HGI_STYLE_BOLD), look->name,
            hgi_style_end(colour, HGI_STYLE_BOLD), hgi_style_begin(colour, style),
            hgi_look_state(look, state, sizeof state), hgi_style_end(colour, style));
    fprintf(out, "  generation   %u, %u opening%s in a row\n", is->generation, is->streak,
            plural(is->streak));
    print_calls(is, out);
    fprintf(out, "  history      %s transition%s, %s opening%s, %s probe%s\n",
            hgi_format_count(transitions, sizeof transitions, is->transitions),
            plural(is->transitions), hgi_format_count(opened, sizeof opened, is->opened),
            plural(is->opened), hgi_format_count(probes, sizeof probes, is->probes),
            plural(is->probes));
    print_settings(&look->settings, out);
}

static void add_settings(cJSON *json, const struct hg_breaker_options *settings)
{
    cJSON *object = cJSON_AddObjectToObject(json, "settings");
    cJSON_AddNumberToObject(object, "failure_threshold", settings->failure_threshold);
    cJSON_AddNumberToObject(object, "half_open_max_calls", settings->half_open_max_calls);
    cJSON_AddNumberToObject(object, "success_threshold", settings->success_threshold);
    cJSON_AddNumberToObject(object, "recovery_timeout_ns", (double)settings->recovery_timeout_ns);
    cJSON_AddNumberToObject(object, "recovery_multiplier", settings->recovery_multiplier);
    cJSON_AddNumberToObject(object, "recovery_timeout_max_ns",
                            (double)settings->recovery_timeout_max_ns);
    cJSON_AddNumberToObject(object, "recovery_jitter", settings->recovery_jitter);
    cJSON_AddNumberToObject(object, "probe_lease_ns", (double)settings->probe_lease_ns);
    if (settings->window_length_ns == 0) {
        cJSON_AddNullToObject(object, "window");
        return;
    }
    cJSON *window = cJSON_AddObjectToObject(object, "window");
    cJSON_AddNumberToObject(window, "length_ns", (double)settings->window_length_ns);
    cJSON_AddNumberToObject(window, "min_calls", settings->window_min_calls);
    cJSON_AddNumberToObject(window, "failure_rate", settings->window_failure_rate);
    cJSON_AddNumberToObject(window, "slow_call_ns", (double)settings->window_slow_call_ns);
    cJSON_AddNumberToObject(window, "slow_rate", settings->window_slow_rate);
}

static cJSON *begin_json(const char *name)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", "herdgate-breaker");
    cJSON_AddNumberToObject(json, "version", 1);
    cJSON_AddStringToObject(json, "name", name);
    return json;
}

cJSON *hgi_absence_json(const char *name)
{
    cJSON *json = begin_json(name);
    cJSON_AddNullToObject(json, "state");
    return json;
}

cJSON *hgi_look_json(const struct hgi_look *look)
{
    const struct hg_breaker_snapshot *is = &look->is;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "generation", is->generation },
        { "streak", is->streak },
        { "failures_in_a_row", is->failures_in_a_row },
        { "probes_issued", is->probes_issued },
        { "probes_succeeded", is->probes_succeeded },
        { "retry_after_ns", (double)is->retry_after_ns },
        { "admitted", (double)is->admitted },
        { "refused", (double)is->refused },
        { "succeeded", (double)is->succeeded },
        { "failed", (double)is->failed },
        { "slow", (double)is->slow },
        { "late", (double)is->late },
        { "cancelled", (double)is->cancelled },
        { "probes", (double)is->probes },
        { "transitions", (double)is->transitions },
        { "opened", (double)is->opened },
    };
    cJSON *json = begin_json(look->name);
    cJSON_AddStringToObject(json, "state", hg_breaker_state_name(is->state));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        cJSON_AddNumberToObject(json, numbers[i].name, numbers[i].value);
    add_settings(json, &look->settings);
    return json;
}
