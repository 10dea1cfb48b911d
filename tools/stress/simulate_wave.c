/* herdgate-stress simulate --model wave: how high the wave of retries is, by kind of jitter. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/stress/saved.h"
#include "tools/stress/simulate.h"
#include "tools/stress/simulate_wave.h"
#include "tools/stress/subcommand.h"

enum { PICTURE = 36 }; /* columns of the picture: of 10 ms each, or of more */

/* The wave as a row of blocks; top: what a full block stands for. */
static void draw(FILE *out, const struct hgi_wave_result *result, uint32_t top, uint32_t last)
{
    static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    uint32_t width = (last + PICTURE) / PICTURE;
    for (uint32_t b = 0; b <= last; b += width) {
        uint32_t most = 0;
        for (uint32_t i = b; i < b + width && i <= last; i++)
            most = result->bucket[i] > most ? result->bucket[i] : most;
        fputs(blocks[most ? 1 + (size_t)most * 7 / top : 0], out);
    }
}

static void print_wave(FILE *out, const struct hgi_wave_result *results, bool colour)
{
    uint32_t last = hgi_waves_last(results);
    uint32_t top = hgi_waves_top(results);
    fprintf(out, "%s  %-12s  %7s  %7s  %7s\n  %-12s  %7s  %7s  %7s   0 to %.2f s%s\n",
            hgi_style_begin(colour, HGI_STYLE_DIM), "", "", "peak of", "lower", "jitter", "retries",
            "10 ms", "by", 0.01 * (last + 1), hgi_style_end(colour, HGI_STYLE_DIM));
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++) {
        if (results[i].events == 0) { /* interrupted before */
            fprintf(out, "  %-12s  %7s  %7s  %7s\n", hgi_wave_jitter_name(hgi_wave_jitters[i]), "-",
                    "-", "-");
            continue;
        }
        fprintf(out, "  %-12s  %7" PRIu64 "  %7" PRIu32 "  %5.1f x   ",
                hgi_wave_jitter_name(hgi_wave_jitters[i]), results[i].events, results[i].peak,
                hgi_waves_times_lower(results, i));
        draw(out, &results[i], top, last);
        fputc('\n', out);
    }
}

static void print_table(FILE *out, const void *results, bool colour)
{
    const struct hgi_waves *w = results;
    for (int real = 0; real <= w->real; real++) {
        fprintf(out, "%s%" PRIu32 " callers fail in the same instant%s\n", real ? "\n" : "",
                w->wave.clients, real ? ", as threads that sleep" : "");
        print_wave(out, w->retries[real], colour);
        if (real && w->stamp.interrupted) {
            fputc('\n', out);
            hgi_text_print(out, colour, HGI_STYLE_BOLD,
                           "Interrupted: of the threads no more than that is known.");
            break;
        }
        fputc('\n', out);
        hgi_text_print(out, colour, HGI_STYLE_BOLD,
                       "Of %" PRIu32 " breakers that opened together at most %" PRIu32
                       " send their first probe in the same 10 ms%s; without jitter %" PRIu32 ".",
                       w->wave.breakers, w->probes[real][1].peak, real ? ", asked by threads" : "",
                       w->probes[real][0].peak);
    }
}

static const struct hgi_field settings_fields[] = {
    HGI_FIELD(struct hgi_waves, U32, "clients", wave.clients),
    HGI_FIELD(struct hgi_waves, U32, "breakers", wave.breakers),
    HGI_FIELD(struct hgi_waves, U32, "max_attempts", wave.retry.max_attempts),
    HGI_FIELD(struct hgi_waves, I64, "base_ns", wave.retry.initial_delay_ns),
    HGI_FIELD(struct hgi_waves, I64, "cap_ns", wave.retry.max_delay_ns),
    HGI_FIELD(struct hgi_waves, I64, "recovery_ns", wave.recovery_ns),
    HGI_FIELD(struct hgi_waves, SEED, "seed", wave.seed),
    { 0 },
};

static const struct hgi_field row_fields[] = {
    HGI_FIELD(struct hgi_wave_result, U64, "retries", events),
    HGI_FIELD(struct hgi_wave_result, U32, "peak_10ms", peak),
    { 0 },
};

/* Of the two results without and with jitter. */
static const struct hgi_field probe_fields[] = {
    { "peak_10ms_without_jitter", HGI_FIELD_U32, offsetof(struct hgi_wave_result, peak), 0, 0, 0 },
    { "peak_10ms", HGI_FIELD_U32,
      sizeof(struct hgi_wave_result) + offsetof(struct hgi_wave_result, peak), 0, 0, 0 },
    { 0 },
};

static void add_times(cJSON *object, const char *name, const int64_t *ns, uint32_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber((double)ns[i]));
}

/* Of which only the buckets up to the last one that has something are written. */
static void add_buckets(cJSON *row, const struct hgi_wave_result *r)
{
    uint32_t count = HGI_WAVE_BUCKETS;
    cJSON *array = cJSON_AddArrayToObject(row, "retries_10ms");
    while (count > 0 && r->bucket[count - 1] == 0)
        count--;
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber(r->bucket[i]));
}

static void add_results(cJSON *json, const struct hgi_waves *w, int real)
{
    cJSON *rows = cJSON_AddArrayToObject(json, real ? "real_results" : "results");
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++) {
        const struct hgi_wave_result *r = &w->retries[real][i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "jitter", hgi_wave_jitter_name(hgi_wave_jitters[i]));
        hgi_fields_write(row, row_fields, r);
        cJSON_AddNumberToObject(row, "times_lower", hgi_waves_times_lower(w->retries[real], i));
        add_buckets(row, r);
        if (!real)
            add_times(row, "first_delays_ns", w->draws_ns[i], w->wave.clients);
        cJSON_AddItemToArray(rows, row);
    }
    cJSON *breakers = cJSON_AddObjectToObject(json, real ? "real_breakers" : "breakers");
    hgi_fields_write(breakers, probe_fields, w->probes[real]);
    if (!real)
        add_times(breakers, "open_ns", w->open_ns, w->wave.breakers);
}

static cJSON *as_json(const void *results)
{
    const struct hgi_waves *w = results;
    cJSON *json = hgi_json_begin("simulate", &w->stamp,
                                 w->real ? "virtual clock, and threads" : "virtual clock");
    cJSON *settings = cJSON_AddObjectToObject(json, "settings");
    cJSON_AddStringToObject(settings, "model", "wave");
    hgi_fields_write(settings, settings_fields, w);
    for (int real = 0; real <= w->real; real++)
        add_results(json, w, real);
    return json;
}

static void as_figures(struct hgi_figures *out, const void *results)
{
    const struct hgi_waves *w = results;
    for (int real = 0; real <= w->real; real++) {
        const char *prefix = real ? "real_" : "";
        char name[32];
        for (size_t i = 0; i < HGI_WAVE_JITTERS; i++) {
            const struct hgi_wave_result *r = &w->retries[real][i];
            const char *jitter = hgi_wave_jitter_name(hgi_wave_jitters[i]);
            snprintf(name, sizeof name, "%speak", prefix);
            hgi_figures_add(out, jitter, name, HGI_FIGURE_NUMBER, r->events > 0, r->peak);
            snprintf(name, sizeof name, "%stimes_lower", prefix);
            hgi_figures_add(out, jitter, name, HGI_FIGURE_NUMBER, r->events > 0,
                            hgi_waves_times_lower(w->retries[real], i));
        }
        snprintf(name, sizeof name, "%speak", prefix);
        hgi_figures_add(out, "probes", name, HGI_FIGURE_NUMBER, w->probes[real][1].events > 0,
                        w->probes[real][1].peak);
    }
}

static const struct hgi_forms forms = {
    .table = print_table, .json = as_json, .page = hgi_waves_html, .figures = as_figures
};

static bool read_row(struct hgi_wave_result *r, hg_jitter jitter, const struct hgi_saved *at)
{
    struct hgi_saved list;
    int count;
    const char *name = hgi_saved_text(at, "jitter");
    if (!name || strcmp(name, hgi_wave_jitter_name(jitter)) != 0)
        return name && hgi_saved_wrong(at, "jitter", "is not the kind that comes here");
    if (!hgi_fields_read(r, row_fields, at) || !hgi_saved_enter(&list, at, "retries_10ms") ||
        !hgi_saved_length(&count, &list, HGI_WAVE_BUCKETS))
        return false;
    uint32_t *bucket = r->bucket;
    for (const cJSON *item = list.json->child; item; item = item->next) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= r->peak))
            return hgi_saved_wrong(&list, NULL, "has something else than counts up to the peak");
        *bucket++ = (uint32_t)item->valuedouble;
    }
    return true;
}

static bool load(void *state, const struct hgi_saved *saved)
{
    struct hgi_waves *w = state;
    struct hgi_saved at, list;
    w->real = !hgi_saved_lacks(saved, "real_results");
    if (!hgi_saved_enter(&at, saved, "settings") || !hgi_fields_read(w, settings_fields, &at))
        return false;
    for (int real = 0; real <= w->real; real++) {
        if (!hgi_saved_enter(&list, saved, real ? "real_results" : "results"))
            return false;
        for (int i = 0; i < HGI_WAVE_JITTERS; i++)
            if (!hgi_saved_item(&at, &list, i) ||
                !read_row(&w->retries[real][i], hgi_wave_jitters[i], &at))
                return false;
        if (!hgi_saved_enter(&at, saved, real ? "real_breakers" : "breakers") ||
            !hgi_fields_read(w->probes[real], probe_fields, &at))
            return false;
        w->probes[real][1].events = w->wave.breakers;
    }
    return true;
}

const struct hgi_subcommand hgi_simulate_wave = {
    .name = "simulate --model wave", .size = sizeof(struct hgi_waves), .forms = &forms, .load = load
};

static bool run(struct hgi_waves *w, const atomic_bool *interrupted, bool quiet,
                struct hgi_problem *problem)
{
    bool well = true;
    struct hgi_progress progress;
    const struct hgi_wave_watch watched = { &progress, interrupted };
    hgi_progress_begin(&progress, quiet);
    for (size_t i = 0; i < HGI_WAVE_JITTERS && well; i++) {
        hgi_wave_run(&w->retries[0][i], &w->wave, hgi_wave_jitters[i], w->draws_ns[i]);
        /* relaxed: a flag that is polled. */
        w->stamp.interrupted = atomic_load_explicit(interrupted, memory_order_relaxed);
        if (w->real && !w->stamp.interrupted)
            well =
                hgi_wave_real(&w->retries[1][i], &w->wave, hgi_wave_jitters[i], &watched, problem);
    }
    for (int jittered = 0; jittered < 2 && well; jittered++) {
        well = hgi_wave_breakers(&w->probes[0][jittered], &w->wave, jittered,
                                 jittered ? w->open_ns : NULL, problem);
        if (well && w->real && !w->stamp.interrupted)
            well = hgi_wave_real_breakers(&w->probes[1][jittered], &w->wave, jittered, &watched,
                                          problem);
        w->stamp.interrupted = atomic_load_explicit(interrupted, memory_order_relaxed);
    }
    hgi_progress_end(&progress);
    return well;
}

static int run_and_publish(struct hgi_waves *w, const struct hgi_outputs *outputs,
                           const atomic_bool *interrupted, struct hgi_problem *problem)
{
    int code = HGI_EXIT_PASS;
    if (!hgi_assertions_check(outputs, &forms, w, problem))
        return HGI_EXIT_USAGE;
    if (!hgi_outputs_possible(outputs, problem))
        return HGI_EXIT_ENVIRONMENT;
    hgi_stamp_time(w->stamp.began_at);
    if (!run(w, interrupted, outputs->quiet, problem) || !hgi_publish(outputs, &forms, w, problem))
        code = HGI_EXIT_ENVIRONMENT;
    else if (w->stamp.interrupted)
        code = HGI_EXIT_INTERRUPTED;
    else if (!hgi_assertions_hold(outputs, &forms, w))
        code = HGI_EXIT_ASSERTION;
    return code;
}

int hgi_simulate_wave_run(const struct hgi_wave *wave, bool real, const struct hgi_outputs *outputs,
                          const struct hgi_stamp *stamp, struct hgi_problem *problem)
{
    int code = HGI_EXIT_ENVIRONMENT;
    struct hgi_waves *w = calloc(1, sizeof *w);
    bool well = w != NULL;
    hgi_problem_set(problem, "out of memory");
    if (w)
        *w = (struct hgi_waves) { .stamp = *stamp, .wave = *wave, .real = real };
    for (size_t i = 0; i < HGI_WAVE_JITTERS && well; i++) {
        w->draws_ns[i] = calloc(wave->clients, sizeof *w->draws_ns[i]);
        well = w->draws_ns[i] != NULL;
    }
    if (well) {
        w->open_ns = calloc(wave->breakers, sizeof *w->open_ns);
        well = w->open_ns != NULL;
    }
    if (well)
        code = run_and_publish(w, outputs, hgi_interrupted(), problem);
    for (size_t i = 0; i < HGI_WAVE_JITTERS && w; i++)
        free(w->draws_ns[i]);
    if (w)
        free(w->open_ns);
    free(w);
    return code;
}
