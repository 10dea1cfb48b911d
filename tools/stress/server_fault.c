/* What is done to the tool's own server, and when; see server_fault.h. */
#include "tools/stress/server_fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/options.h"
#include "tools/common/random.h"
#include "tools/common/timing.h"

static const char *const names[HGI_SERVER_FAULT_KINDS] = { "kill",    "stop", "maxclients", "busy",
                                                           "loading", "oom",  "readonly" };

const char *hgi_server_fault_name(enum hgi_server_fault_kind kind)
{
    return names[kind];
}

static bool parse_window(struct hgi_server_fault *fault, char *window, const char *item,
                         struct hgi_problem *problem)
{
    char *dots = strstr(window, "..");
    if (!dots)
        return hgi_problem_set(problem, "'%s' has no window like @1s..2s", item);
    *dots = '\0';
    if (!hgi_parse_duration(&fault->from_ns, window, problem) ||
        !hgi_parse_duration(&fault->until_ns, dots + 2, problem))
        return false;
    return (fault->from_ns >= 0 && fault->from_ns < fault->until_ns) ||
           hgi_problem_set(problem, "the window of '%s' ends before it begins", item);
}

static bool parse_item(struct hgi_server_fault *fault, const char *item,
                       struct hgi_problem *problem)
{
    char text[64];
    if (strlen(item) >= sizeof text)
        return hgi_problem_set(problem, "'%.40s...' is too long for a fault of the server", item);
    memcpy(text, item, strlen(item) + 1);
    char *at = strchr(text, '@');
    if (!at)
        return hgi_problem_set(problem, "'%s' has no window like @1s..2s", item);
    *at = '\0';
    for (int kind = 0; kind < HGI_SERVER_FAULT_KINDS; kind++) {
        if (strcmp(text, names[kind]) != 0)
            continue;
        fault->kind = (enum hgi_server_fault_kind)kind;
        return parse_window(fault, at + 1, item, problem);
    }
    return hgi_problem_set(problem,
                           "'%s' is no fault of a server; there are kill, stop, maxclients, busy, "
                           "loading, oom and readonly",
                           text);
}

/* Put it in its place in time. */
static bool insert(struct hgi_server_faults *faults, const struct hgi_server_fault *fault,
                   struct hgi_problem *problem)
{
    uint32_t at = faults->count;
    if (at == HGI_SERVER_FAULTS_MAX)
        return hgi_problem_set(problem, "more than %d faults of the server", HGI_SERVER_FAULTS_MAX);
    for (; at > 0 && faults->fault[at - 1].from_ns > fault->from_ns; at--)
        faults->fault[at] = faults->fault[at - 1];
    faults->fault[at] = *fault;
    faults->count++;
    bool meets_earlier = at > 0 && faults->fault[at - 1].until_ns > fault->from_ns;
    bool meets_later = at + 1 < faults->count && faults->fault[at + 1].from_ns < fault->until_ns;
    return !(meets_earlier || meets_later) ||
           hgi_problem_set(problem, "the window of %s overlaps another fault of the server",
                           names[fault->kind]);
}

bool hgi_server_faults_parse(struct hgi_server_faults *out, const char *text,
                             struct hgi_problem *problem)
{
    struct hgi_server_faults faults = { 0 };
    struct hgi_server_fault fault;
    char item[128];
    while (*text && strcmp(text, "none") != 0) {
        size_t length = strcspn(text, ",");
        snprintf(item, sizeof item, "%.*s", (int)(length < sizeof item ? length : sizeof item - 1),
                 text);
        if (!parse_item(&fault, item, problem) || !insert(&faults, &fault, problem))
            return false;
        text += length;
        text += *text == ',';
    }
    *out = faults;
    return true;
}

/* A time as parse reads it back, exactly. */
static int print_time(char *out, size_t size, int64_t ns)
{
    if (ns % NS_PER_MS == 0)
        return snprintf(out, size, "%" PRId64 "ms", ns / NS_PER_MS);
    return snprintf(out, size, "%" PRId64 "ns", ns);
}

void hgi_server_faults_print(const struct hgi_server_faults *faults,
                             char out[HGI_SERVER_FAULTS_TEXT])
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < faults->count; i++) {
        char from[24], until[24]; /* 32 items of at most 63 bytes fit */
        print_time(from, sizeof from, faults->fault[i].from_ns);
        print_time(until, sizeof until, faults->fault[i].until_ns);
        used += (size_t)snprintf(out + used, HGI_SERVER_FAULTS_TEXT - used, "%s%s@%s..%s",
                                 i ? "," : "", names[faults->fault[i].kind], from, until);
    }
}

cJSON *hgi_server_faults_json(const struct hgi_server_faults *faults)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < faults->count; i++) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "fault", names[faults->fault[i].kind]);
        cJSON_AddNumberToObject(json, "from_ns", (double)faults->fault[i].from_ns);
        cJSON_AddNumberToObject(json, "until_ns", (double)faults->fault[i].until_ns);
        cJSON_AddItemToArray(list, json);
    }
    return list;
}

void hgi_schedule_draw(struct hgi_toxics *toxics, struct hgi_server_faults *faults, uint64_t seed,
                       int64_t duration_ns)
{
    struct hgi_problem problem;
    uint32_t slot[HGI_TOXICS_MAX + HGI_SERVER_FAULT_KINDS];
    uint64_t random = random_mix(seed + 1);
    hgi_toxics_draw(toxics, seed, duration_ns);
    uint32_t slots = toxics->count + (faults ? HGI_SERVER_FAULT_KINDS : 0);
    if (slots == 0)
        return;
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t at = random_below(&random, i + 1);
        slot[i] = slot[at];
        slot[at] = i;
    }
    int64_t half_ns = 1 + duration_ns / (2 * (int64_t)slots);
    if (half_ns > NS_PER_MS)
        half_ns -= half_ns % NS_PER_MS; /* for who reads it */
    for (uint32_t i = 0; i < toxics->count; i++) {
        toxics->toxic[i].from_ns = 2 * slot[i] * half_ns;
        toxics->toxic[i].until_ns = toxics->toxic[i].from_ns + half_ns;
    }
    if (!faults)
        return;
    *faults = (struct hgi_server_faults) { 0 };
    for (uint32_t kind = 0; kind < HGI_SERVER_FAULT_KINDS; kind++) {
        struct hgi_server_fault fault = { .kind = (enum hgi_server_fault_kind)kind };
        fault.from_ns = 2 * slot[toxics->count + kind] * half_ns;
        fault.until_ns = fault.from_ns + half_ns;
        (void)insert(faults, &fault, &problem); /* slots do not overlap, and there is room */
    }
}
