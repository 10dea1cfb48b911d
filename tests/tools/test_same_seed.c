/* Runs of herdgate-stress with the same seed, compared by their JSON: argv[1] is the program. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "tests/tools/check.h"

static const char *program;

/* Run it with these arguments, and return its JSON. */
static cJSON *result_of(const char *arguments)
{
    char command[1024];
    size_t size = 0;
    size_t room = 16 << 20;
    char *text = malloc(room);
    CHECK(text);
    snprintf(command, sizeof command, "'%s' %s -q --json", program, arguments);
    FILE *out = popen(command, "r");
    CHECK(out);
    size = fread(text, 1, room - 1, out);
    CHECK(size < room - 1);
    text[size] = '\0';
    CHECK(pclose(out) == 0);
    cJSON *json = cJSON_Parse(text);
    CHECK(json);
    free(text);
    return json;
}

/* Remove what names the run and not its outcome. */
static void forget_the_run(cJSON *json)
{
    cJSON_DeleteItemFromObject(json, "began_at");
    cJSON_DeleteItemFromObject(json, "command");
}

static bool same(const char *a_arguments, const char *b_arguments)
{
    cJSON *a = result_of(a_arguments);
    cJSON *b = result_of(b_arguments);
    forget_the_run(a);
    forget_the_run(b);
    bool equal = cJSON_Compare(a, b, true);
    cJSON_Delete(a);
    cJSON_Delete(b);
    return equal;
}

static void a_simulation_decides_the_same_throughout(void)
{
    CHECK(same("simulate --clients 10,50 --rounds 20 --seed 5",
               "simulate --clients 10,50 --rounds 20 --seed 5"));
    CHECK(!same("simulate --clients 10,50 --rounds 20 --seed 5",
                "simulate --clients 10,50 --rounds 20 --seed 6"));
    CHECK(same("simulate --model wave --seed 5", "simulate --model wave --seed 5"));
}

static const cJSON *draws_of(const cJSON *json)
{
    const cJSON *trial = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "trials"), 0);
    return cJSON_GetObjectItem(trial, "jitter_draws");
}

/* How many draws both have of each thread; false if one differs. */
static bool draws_agree(const cJSON *a, const cJSON *b, int *compared)
{
    *compared = 0;
    int threads = cJSON_GetArraySize(a);
    CHECK(threads == cJSON_GetArraySize(b));
    for (int i = 0; i < threads; i++) {
        const cJSON *mine = cJSON_GetArrayItem(a, i);
        const cJSON *yours = cJSON_GetArrayItem(b, i);
        for (int n = 0; n < cJSON_GetArraySize(mine) && n < cJSON_GetArraySize(yours); n++) {
            if (!cJSON_Compare(cJSON_GetArrayItem(mine, n), cJSON_GetArrayItem(yours, n), true))
                return false;
            ++*compared;
        }
    }
    return true;
}

static void a_herd_has_the_same_faults_and_each_thread_the_same_draws(void)
{
    int compared;
    const char *herd = "herd -t 20 --duration 2s --outage 300ms..1300ms --compare jitter "
                       "--toxic latency=1ms,jitter=1ms,toxicity=0.1@100ms..200ms --seed ";
    char arguments[400];
    snprintf(arguments, sizeof arguments, "%s7", herd);
    cJSON *first = result_of(arguments);
    cJSON *second = result_of(arguments);
    CHECK(cJSON_Compare(cJSON_GetObjectItem(first, "settings"),
                        cJSON_GetObjectItem(second, "settings"), true));
    CHECK(draws_agree(draws_of(first), draws_of(second), &compared));
    CHECK(compared > 0); /* whoever calls after the server was killed retries */
    cJSON_Delete(second);
    snprintf(arguments, sizeof arguments, "%s8", herd);
    second = result_of(arguments);
    CHECK(!cJSON_Compare(cJSON_GetObjectItem(first, "settings"),
                         cJSON_GetObjectItem(second, "settings"), true));
    CHECK(!draws_agree(draws_of(first), draws_of(second), &compared));
    cJSON_Delete(second);
    cJSON_Delete(first);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    program = argv[1];
    RUN(a_simulation_decides_the_same_throughout);
    RUN(a_herd_has_the_same_faults_and_each_thread_the_same_draws);
    return 0;
}
