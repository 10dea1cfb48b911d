/* herdgate-stress simulate --model wave: how high the wave of retries is, by kind of jitter. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/stress/simulate.h"
#include "tools/stress/stamp.h"
#include "tools/stress/wave.h"

enum { PICTURE = 60 }; /* buckets of 10 ms, or of more, that the picture has */

struct waves {
    struct hgi_stamp stamp;
    struct hgi_wave wave;
    bool real;
    int64_t *draws_ns[HGI_WAVE_JITTERS];
    int64_t *open_ns;
    struct hgi_wave_result retries[2][HGI_WAVE_JITTERS]; /* calculated, and with threads */
    struct hgi_wave_result probes[2][2];                 /* of the same, without and with jitter */
};

static double times_lower(const struct hgi_wave_result *results, size_t which)
{
    return results[which].peak ? (double)results[0].peak / results[which].peak : 0;
}

/* The highest of all kinds: without jitter, as a rule, but threads of a busy machine may differ. */
static uint32_t top_of(const struct hgi_wave_result *results)
{
    uint32_t top = 0;
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++)
        top = results[i].peak > top ? results[i].peak : top;
    return top;
}

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

static uint32_t last_of(const struct hgi_wave_result *results)
{
    uint32_t last = 0;
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++)
        for (uint32_t b = 0; b < HGI_WAVE_BUCKETS; b++)
            if (results[i].bucket[b] && b > last)
                last = b;
    return last;
}

static void print_wave(FILE *out, const struct hgi_wave_result *results, bool colour)
{
    uint32_t last = last_of(results);
    uint32_t top = top_of(results);
    fprintf(out, "%s  %-13s %8s %14s %10s   %.2f s%s\n", hgi_style_begin(colour, HGI_STYLE_DIM),
            "jitter", "retries", "peak of 10 ms", "lower by", 0.01 * (last + 1),
            hgi_style_end(colour, HGI_STYLE_DIM));
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++) {
        fprintf(out, "  %-13s %8" PRIu64 " %14" PRIu32 " %8.1f x   ",
                hgi_wave_jitter_name(hgi_wave_jitters[i]), results[i].events, results[i].peak,
                times_lower(results, i));
        draw(out, &results[i], top, last);
        fputc('\n', out);
    }
}

static void print_table(FILE *out, const void *results, bool colour)
{
    const struct waves *w = results;
    for (int real = 0; real <= w->real; real++) {
        if (real && w->stamp.interrupted) {
            fputs("\nInterrupted: how the threads fared is not known.\n", out);
            break;
        }
        fprintf(out, "%s%" PRIu32 " callers fail in the same instant%s\n", real ? "\n" : "",
                w->wave.clients, real ? ", as threads that sleep" : "");
        print_wave(out, w->retries[real], colour);
        fprintf(out,
                "\n%sOf %" PRIu32 " breakers that opened together at most %" PRIu32
                " send their first probe in the same 10 ms%s; without jitter %" PRIu32 ".%s\n",
                hgi_style_begin(colour, HGI_STYLE_BOLD), w->wave.breakers, w->probes[real][1].peak,
                real ? ", asked by threads" : "", w->probes[real][0].peak,
                hgi_style_end(colour, HGI_STYLE_BOLD));
    }
}

static void add_times(cJSON *object, const char *name, const int64_t *ns, uint32_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber((double)ns[i]));
}

static void add_results(cJSON *json, const struct waves *w, int real)
{
    cJSON *rows = cJSON_AddArrayToObject(json, real ? "real_results" : "results");
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++) {
        const struct hgi_wave_result *r = &w->retries[real][i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "jitter", hgi_wave_jitter_name(hgi_wave_jitters[i]));
        cJSON_AddNumberToObject(row, "retries", (double)r->events);
        cJSON_AddNumberToObject(row, "peak_10ms", r->peak);
        cJSON_AddNumberToObject(row, "times_lower", times_lower(w->retries[real], i));
        if (!real)
            add_times(row, "first_delays_ns", w->draws_ns[i], w->wave.clients);
        cJSON_AddItemToArray(rows, row);
    }
    cJSON *breakers = cJSON_AddObjectToObject(json, real ? "real_breakers" : "breakers");
    cJSON_AddNumberToObject(breakers, "peak_10ms", w->probes[real][1].peak);
    cJSON_AddNumberToObject(breakers, "peak_10ms_without_jitter", w->probes[real][0].peak);
    if (!real)
        add_times(breakers, "open_ns", w->open_ns, w->wave.breakers);
}

static cJSON *as_json(const void *results)
{
    const struct waves *w = results;
    const struct hg_retry *retry = &w->wave.retry;
    cJSON *json = hgi_json_begin("simulate", &w->stamp,
                                 w->real ? "virtual clock, and threads" : "virtual clock");
    cJSON *settings = cJSON_AddObjectToObject(json, "settings");
    cJSON_AddStringToObject(settings, "model", "wave");
    cJSON_AddNumberToObject(settings, "clients", w->wave.clients);
    cJSON_AddNumberToObject(settings, "breakers", w->wave.breakers);
    cJSON_AddNumberToObject(settings, "max_attempts", retry->max_attempts);
    cJSON_AddNumberToObject(settings, "base_ns", (double)retry->initial_delay_ns);
    cJSON_AddNumberToObject(settings, "cap_ns", (double)retry->max_delay_ns);
    cJSON_AddNumberToObject(settings, "recovery_ns", (double)w->wave.recovery_ns);
    hgi_json_add_seed(settings, "seed", w->wave.seed);
    for (int real = 0; real <= w->real; real++)
        add_results(json, w, real);
    return json;
}

static void as_figures(struct hgi_figures *out, const void *results)
{
    const struct waves *w = results;
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
                            times_lower(w->retries[real], i));
        }
        snprintf(name, sizeof name, "%speak", prefix);
        hgi_figures_add(out, "probes", name, HGI_FIGURE_NUMBER, w->probes[real][1].events > 0,
                        w->probes[real][1].peak);
    }
}

static const struct hgi_forms forms = { print_table, as_json, NULL, as_figures, NULL, NULL, NULL };

static bool run(struct waves *w, const atomic_bool *interrupted, bool quiet,
                struct hgi_problem *problem)
{
    bool well = true;
    struct hgi_progress progress;
    hgi_progress_begin(&progress, quiet);
    for (size_t i = 0; i < HGI_WAVE_JITTERS && well; i++) {
        hgi_wave_run(&w->retries[0][i], &w->wave, hgi_wave_jitters[i], w->draws_ns[i]);
        /* relaxed: a flag that is polled. */
        w->stamp.interrupted = atomic_load_explicit(interrupted, memory_order_relaxed);
        if (w->real && !w->stamp.interrupted)
            well =
                hgi_wave_real(&w->retries[1][i], &w->wave, hgi_wave_jitters[i], &progress, problem);
    }
    for (int jittered = 0; jittered < 2 && well; jittered++) {
        well = hgi_wave_breakers(&w->probes[0][jittered], &w->wave, jittered,
                                 jittered ? w->open_ns : NULL, problem);
        if (well && w->real && !w->stamp.interrupted)
            well = hgi_wave_real_breakers(&w->probes[1][jittered], &w->wave, jittered, &progress,
                                          problem);
        w->stamp.interrupted = atomic_load_explicit(interrupted, memory_order_relaxed);
    }
    hgi_progress_end(&progress);
    return well;
}

static int run_and_publish(struct waves *w, const struct hgi_outputs *outputs,
                           const atomic_bool *interrupted, struct hgi_problem *problem)
{
    int code = HGI_EXIT_PASS;
    if (!hgi_assertions_check(outputs, &forms, w, problem))
        return HGI_EXIT_USAGE;
    hgi_stamp_time(w->stamp.began_at);
    if (!run(w, interrupted, outputs->quiet, problem) || !hgi_publish(outputs, &forms, w, problem))
        code = HGI_EXIT_ENVIRONMENT;
    else if (w->stamp.interrupted)
        code = HGI_EXIT_INTERRUPTED;
    else if (!hgi_assertions_hold(outputs, &forms, w))
        code = HGI_EXIT_ASSERTION;
    return code;
}

int hgi_simulate_wave(const struct hgi_wave *wave, bool real, const struct hgi_outputs *outputs,
                      const struct hgi_stamp *stamp, struct hgi_problem *problem)
{
    int code = HGI_EXIT_ENVIRONMENT;
    struct waves *w = calloc(1, sizeof *w);
    bool well = w != NULL;
    hgi_problem_set(problem, "out of memory");
    if (w)
        *w = (struct waves) { .stamp = *stamp, .wave = *wave, .real = real };
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
