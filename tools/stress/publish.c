/* Results on their way out; see publish.h. */
#include "tools/stress/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/common/output.h"
#include "tools/common/terminal.h"

/* Results, or a part of them, on their way into a file. */
struct parcel {
    const struct hgi_forms *forms;
    const void *results;
    size_t part;
    const char *name; /* of the part; "": there is but one */
};

static bool write_hgrm(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct parcel *parcel = arg;
    (void)problem;
    hgi_hgrm_write(out, parcel->forms->latency(parcel->results, parcel->part));
    return true;
}

static bool write_latencies(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct parcel *parcel = arg;
    int64_t began_ns;
    const struct hgi_recording *recording =
        parcel->forms->recording(parcel->results, parcel->part, &began_ns);
    return hgi_recording_write(out, recording, began_ns, problem);
}

static bool write_series(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const struct parcel *parcel = arg;
    return parcel->forms->series(out, parcel->results, parcel->part, problem);
}

/* directory/what.csv, or directory/what-NAME.csv. */
static bool write_csv(const char *directory, const char *what, hgi_output_fn write,
                      const struct parcel *parcel, struct hgi_problem *problem)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s%s%s.csv", directory, what, parcel->name[0] ? "-" : "",
             parcel->name);
    return hgi_output_file(path, write, parcel, problem);
}

/* F, or with NAME before the last dot of its last part: herd.hgrm is herd-naive.hgrm. */
static bool write_distribution(const char *path, const struct parcel *parcel,
                               struct hgi_problem *problem)
{
    char named[PATH_MAX];
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t stem = dot && dot != path && dot[-1] != '/' ? (size_t)(dot - path) : strlen(path);
    snprintf(named, sizeof named, "%.*s%s%s%s", (int)stem, path, parcel->name[0] ? "-" : "",
             parcel->name, path + stem);
    return hgi_output_file(named, write_hgrm, parcel, problem);
}

static bool write_part(const struct hgi_outputs *outputs, const struct parcel *parcel,
                       struct hgi_problem *problem)
{
    const struct hgi_forms *forms = parcel->forms;
    if (outputs->hgrm && !write_distribution(outputs->hgrm, parcel, problem))
        return false;
    return !outputs->csv || ((!forms->recording || write_csv(outputs->csv, "latencies",
                                                             write_latencies, parcel, problem)) &&
                             write_csv(outputs->csv, "series", write_series, parcel, problem));
}

static bool make_directory(const char *path, struct hgi_problem *problem)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST ||
           hgi_problem_set(problem, "--csv: cannot make the directory %s: %s", path,
                           strerror(errno));
}

static bool is_to_stdout(const char *json)
{
    return !*json || strcmp(json, "-") == 0;
}

bool hgi_outputs_differ(const struct hgi_outputs *outputs, struct hgi_problem *problem)
{
    const char *const names[] = { "--json", "--report", "--hgrm" };
    const char *const paths[] = { outputs->json, outputs->report, outputs->hgrm };
    for (size_t i = 0; i < 3; i++)
        for (size_t k = i + 1; k < 3; k++)
            if (paths[i] && paths[k] && *paths[i] && strcmp(paths[i], paths[k]) == 0 &&
                strncmp(paths[i], "/dev/", 5) != 0)
                return hgi_problem_set(problem, "%s and %s both name %s; give each its own file",
                                       names[i], names[k], paths[i]);
    return true;
}

bool hgi_outputs_possible(const struct hgi_outputs *outputs, struct hgi_problem *problem)
{
    char series[PATH_MAX];
    if (outputs->json && !is_to_stdout(outputs->json) &&
        !hgi_output_possible(outputs->json, problem))
        return hgi_problem_of(problem, "--json");
    if (outputs->report && !hgi_output_possible(outputs->report, problem))
        return hgi_problem_of(problem, "--report");
    if (outputs->hgrm && !hgi_output_possible(outputs->hgrm, problem))
        return hgi_problem_of(problem, "--hgrm");
    if (!outputs->csv)
        return true;
    snprintf(series, sizeof series, "%s/series.csv", outputs->csv);
    return make_directory(outputs->csv, problem) &&
           (hgi_output_possible(series, problem) || hgi_problem_of(problem, "--csv"));
}

/* The files that each part has. */
static bool write_parts(const struct hgi_outputs *outputs, const struct hgi_forms *forms,
                        const void *results, struct hgi_problem *problem)
{
    struct parcel parcel = { .forms = forms, .results = results, .name = "" };
    if (outputs->csv && !make_directory(outputs->csv, problem))
        return false;
    if (!forms->part)
        return write_part(outputs, &parcel, problem);
    for (; (parcel.name = forms->part(results, parcel.part)); parcel.part++)
        if (!write_part(outputs, &parcel, problem))
            return false;
    return true;
}

bool hgi_publish(const struct hgi_outputs *outputs, const struct hgi_forms *forms,
                 const void *results, struct hgi_problem *problem)
{
    bool json_to_stdout = outputs->json && is_to_stdout(outputs->json);
    bool speaks = !outputs->quiet && !json_to_stdout;
    if (speaks)
        forms->table(stdout, results, !outputs->plain && hgi_terminal_colour(stdout));
    if (outputs->json) {
        cJSON *json = forms->json(results);
        bool well = json ? hgi_output_json(outputs->json, json, problem)
                         : hgi_problem_set(problem, "out of memory");
        cJSON_Delete(json);
        if (!well)
            return false;
    }
    if (outputs->report && !hgi_output_file(outputs->report, forms->page, results, problem))
        return false;
    if ((outputs->csv || outputs->hgrm) && !write_parts(outputs, forms, results, problem))
        return false;
    if (outputs->report && speaks)
        printf("The pictures: %s\n", outputs->report);
    return true;
}

bool hgi_assertions_check(const struct hgi_outputs *outputs, const struct hgi_forms *forms,
                          const void *empty, struct hgi_problem *problem)
{
    struct hgi_figures figures = { 0 };
    struct hgi_assertion assertion;
    forms->figures(&figures, empty);
    for (size_t i = 0; i < outputs->assertions.count; i++) {
        if (!hgi_assertion_parse(&assertion, outputs->assertions.text[i], problem))
            return hgi_problem_of(problem, "--assert");
        if (hgi_assertion_check(&assertion, &figures, problem) == HGI_NO_SUCH_FIGURE)
            return false;
    }
    return true;
}

bool hgi_assertions_hold(const struct hgi_outputs *outputs, const struct hgi_forms *forms,
                         const void *results)
{
    struct hgi_figures figures = { 0 };
    struct hgi_assertion assertion;
    struct hgi_problem problem;
    bool hold = true;
    forms->figures(&figures, results);
    for (size_t i = 0; i < outputs->assertions.count; i++) {
        if (hgi_assertion_parse(&assertion, outputs->assertions.text[i], &problem) &&
            hgi_assertion_check(&assertion, &figures, &problem) == HGI_HOLDS)
            continue;
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
        hold = false;
    }
    return hold;
}

cJSON *hgi_json_begin(const char *subcommand, const struct hgi_stamp *stamp, const char *load)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", "herdgate-stress");
    cJSON_AddNumberToObject(json, "version", HGI_JSON_VERSION);
    cJSON_AddStringToObject(json, "subcommand", subcommand);
    cJSON_AddStringToObject(json, "herdgate", stamp->herdgate);
    cJSON_AddStringToObject(json, "server", stamp->server);
    cJSON_AddStringToObject(json, "began_at", stamp->began_at);
    cJSON_AddStringToObject(json, "command", stamp->command);
    cJSON_AddStringToObject(json, "load", load);
    cJSON_AddBoolToObject(json, "interrupted", stamp->interrupted);
    cJSON_AddBoolToObject(json, "server_lost", stamp->server_lost);
    return json;
}

void hgi_json_add_time(cJSON *object, const char *name, int64_t ns)
{
    if (ns < 0)
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, (double)ns);
}

void hgi_json_add_seed(cJSON *object, const char *name, uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    cJSON_AddStringToObject(object, name, text);
}

double hgi_per_second(uint64_t count, int64_t ns)
{
    return ns > 0 ? (double)count * 1e9 / (double)ns : 0;
}
