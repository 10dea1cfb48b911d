/* herdgate-bench breaker: what a call pays for the circuit breaker.
 *
 * Two measurements. Closed: an admit and the report of a success, which is what every call pays for as
 * long as the server is well. Open: an admit that is refused, which is what a call costs then.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <herdgate/breaker.h>
#include <herdgate/version.h>

#include "breaker/core.h" /* for the size of the structure, which no user sees; nothing is called */
#include "tools/bench/bench.h"
#include "tools/bench/peers.h"
#include "tools/common/options.h"
#include "tools/common/output.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"

#define FAR_NS (3600 * NS_PER_S) /* longer than any measurement */

/* --- the floor, and the mutex ---------------------------------------------------------------- */

static void *new_line(size_t size, struct hgi_problem *problem)
{
    void *line = aligned_alloc(64, size);
    if (!line) {
        hgi_problem_set(problem, "out of memory");
        return NULL;
    }
    return memset(line, 0, size);
}

static void *open_floor(struct hgi_problem *problem)
{
    return new_line(sizeof(struct hgi_floor), problem);
}

static void *open_refusing_floor(struct hgi_problem *problem)
{
    struct hgi_floor *floor = open_floor(problem);
    if (floor) /* relaxed: nobody else has it yet. */
        atomic_store_explicit(&floor->word, 1, memory_order_relaxed);
    return floor;
}

static bool call_floor(void *shared, uint32_t thread, uint64_t count)
{
    hg_permit permit;
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        if (!hgi_floor_admit(shared, &permit))
            return false;
        hgi_floor_report(shared, permit, HG_RESULT_SUCCESS, 0);
    }
    return true;
}

static bool refuse_floor(void *shared, uint32_t thread, uint64_t count)
{
    hg_permit permit;
    (void)thread;
    for (uint64_t i = 0; i < count; i++)
        if (hgi_floor_admit(shared, &permit))
            return false;
    return true;
}

static bool call_inlined(void *shared, uint32_t thread, uint64_t count)
{
    struct hgi_floor *floor = shared;
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        /* relaxed: as in peers.c. A branch on it, because an atomic load alone may be taken out. */
        if (atomic_load_explicit(&floor->word, memory_order_relaxed) != 0)
            return false;
    }
    return true;
}

static void *open_guarded(struct hgi_problem *problem)
{
    struct hgi_guarded *guarded = new_line(sizeof(struct hgi_guarded), problem);
    if (guarded)
        pthread_mutex_init(&guarded->mutex, NULL);
    return guarded;
}

static void *open_refusing_guarded(struct hgi_problem *problem)
{
    struct hgi_guarded *guarded = open_guarded(problem);
    if (guarded) {
        guarded->state = HG_BREAKER_OPEN;
        guarded->reopens_ns = monotonic_ns() + FAR_NS;
    }
    return guarded;
}

static void close_guarded(void *shared)
{
    struct hgi_guarded *guarded = shared;
    pthread_mutex_destroy(&guarded->mutex);
    free(guarded);
}

static bool call_guarded(void *shared, uint32_t thread, uint64_t count)
{
    hg_permit permit;
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        if (!hgi_guarded_admit(shared, &permit))
            return false;
        hgi_guarded_report(shared, permit, HG_RESULT_SUCCESS, 0);
    }
    return true;
}

static bool refuse_guarded(void *shared, uint32_t thread, uint64_t count)
{
    hg_permit permit;
    (void)thread;
    for (uint64_t i = 0; i < count; i++)
        if (hgi_guarded_admit(shared, &permit))
            return false;
    return true;
}

/* --- the breaker ------------------------------------------------------------------------------ */

static struct hg_breaker_options with_window(void)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.window_length_ns = 10 * NS_PER_S;
    return options;
}

static void *open_with(struct hg_breaker_options options, bool tripped, struct hgi_problem *problem)
{
    hg_breaker *breaker;
    struct hg_error err = HG_ERROR_INIT;
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = FAR_NS;
    if (hg_breaker_new(&breaker, &options, &err) < 0)
        hgi_problem_set(problem, "%s", err.message);
    else if (tripped)
        hg_breaker_trip(breaker);
    return breaker;
}

static void *open_consecutive(struct hgi_problem *problem)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    return open_with(options, false, problem);
}

static void *open_window(struct hgi_problem *problem)
{
    return open_with(with_window(), false, problem);
}

static void *open_refusing(struct hgi_problem *problem)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    return open_with(options, true, problem);
}

static void *open_refusing_window(struct hgi_problem *problem)
{
    return open_with(with_window(), true, problem);
}

/* In shared memory, where calls are always counted. Its name goes at once, and only its name: nothing is
 * left behind, however this program ends. */
static void *open_in_shared_memory(bool tripped, struct hgi_problem *problem)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    char name[48];
    char path[80];
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = FAR_NS;
    snprintf(name, sizeof name, "/bench.%d.%" PRId64, (int)getpid(), monotonic_ns());
    snprintf(path, sizeof path, "/dev/shm/herdgate.%s", name + 1);
    if (hg_breaker_open_shared(&breaker, name, &options, &err) < 0) {
        hgi_problem_set(problem, "%s", err.message);
        return NULL;
    }
    unlink(path);
    if (tripped)
        hg_breaker_trip(breaker);
    return breaker;
}

static void *open_shared(struct hgi_problem *problem)
{
    return open_in_shared_memory(false, problem);
}

static void *open_refusing_shared(struct hgi_problem *problem)
{
    return open_in_shared_memory(true, problem);
}

static void close_breaker(void *shared)
{
    hg_breaker_free(shared);
}

static bool call_breaker(void *shared, uint32_t thread, uint64_t count)
{
    hg_permit permit;
    (void)thread;
    for (uint64_t i = 0; i < count; i++) {
        if (!hg_breaker_admit(shared, &permit))
            return false;
        hg_breaker_report(shared, permit, HG_RESULT_SUCCESS, 0);
    }
    return true;
}

/* Who measures its calls anyway passes the times in. Here they are read once for some calls, so that
 * it is not the clock that is measured. */
static bool call_with_times(void *shared, uint32_t thread, uint64_t count)
{
    enum { CALLS_A_READING = 256 };
    hg_permit permit;
    (void)thread;
    for (uint64_t i = 0; i < count;) {
        int64_t now_ns = monotonic_ns();
        for (uint64_t end = i + CALLS_A_READING; i < count && i < end; i++) {
            if (!hg_breaker_admit(shared, &permit))
                return false;
            hg_breaker_report_times(shared, permit, HG_RESULT_SUCCESS, now_ns - NS_PER_US, now_ns);
        }
    }
    return true;
}

static bool refuse_breaker(void *shared, uint32_t thread, uint64_t count)
{
    hg_permit permit;
    (void)thread;
    for (uint64_t i = 0; i < count; i++)
        if (hg_breaker_admit(shared, &permit))
            return false;
    return true;
}

static bool read_clock(void *shared, uint32_t thread, uint64_t count)
{
    struct timespec now;
    (void)shared;
    (void)thread;
    for (uint64_t i = 0; i < count; i++)
        if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
            return false;
    return true;
}

/* --- what is measured, and what is promised of it ------------------------------------------------ */

static const uint32_t thread_counts[] = { 1, 2, 4, 8 };

enum { COLUMNS = sizeof thread_counts / sizeof thread_counts[0] };

enum { FLOOR, INLINED, CONSECUTIVE, WINDOW, SHARED, MUTEX, CLOSED_CONTENDERS };

static const struct hgi_contender closed_contenders[CLOSED_CONTENDERS] = {
    [FLOOR] = { "floor", "one load behind two calls (floor)", open_floor, free, call_floor },
    [INLINED] = { "inlined", "one load, inlined", open_floor, free, call_inlined },
    [CONSECUTIVE] = { "consecutive", "breaker: failures in a row", open_consecutive, close_breaker,
                      call_breaker },
    [WINDOW] = { "window", "breaker: window, times passed in", open_window, close_breaker,
                 call_with_times },
    [SHARED] = { "shared", "breaker: in shared memory", open_shared, close_breaker, call_breaker },
    [MUTEX] = { "mutex", "a breaker behind a mutex", open_guarded, close_guarded, call_guarded },
};

static const struct hgi_promise closed_promises[] = {
    { "consecutive_to_floor", "failures in a row / floor", CONSECUTIVE, FLOOR, false, 1, false,
      1.5 },
    { "consecutive_to_one_thread", "failures in a row / itself at 1 thread", CONSECUTIVE,
      CONSECUTIVE, true, 8, false, 1.25 },
    { "window_to_consecutive", "window / failures in a row", WINDOW, CONSECUTIVE, false, 1, false,
      4 },
    { "mutex_to_consecutive", "mutex / failures in a row", MUTEX, CONSECUTIVE, false, 2, true, 10 },
};

enum {
    OPEN_FLOOR,
    OPEN_CONSECUTIVE,
    OPEN_WINDOW,
    OPEN_SHARED,
    OPEN_MUTEX,
    OPEN_CLOCK,
    OPEN_CONTENDERS
};

static const struct hgi_contender open_contenders[OPEN_CONTENDERS] = {
    [OPEN_FLOOR] = { "floor", "one load behind a call (floor)", open_refusing_floor, free,
                     refuse_floor },
    [OPEN_CONSECUTIVE] = { "consecutive", "breaker: failures in a row", open_refusing,
                           close_breaker, refuse_breaker },
    [OPEN_WINDOW] = { "window", "breaker: window", open_refusing_window, close_breaker,
                      refuse_breaker },
    [OPEN_SHARED] = { "shared", "breaker: in shared memory", open_refusing_shared, close_breaker,
                      refuse_breaker },
    [OPEN_MUTEX] = { "mutex", "a breaker behind a mutex", open_refusing_guarded, close_guarded,
                     refuse_guarded },
    [OPEN_CLOCK] = { "clock", "one clock_gettime()", NULL, NULL, read_clock },
};

static const struct hgi_promise open_promises[] = {
    { "refused_to_clock", "failures in a row / clock_gettime", OPEN_CONSECUTIVE, OPEN_CLOCK, false,
      1, false, 1.5 },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { PARTS = 2 };

static const struct hgi_bench parts[PARTS] = {
    { .key = "closed",
      .title = "closed: admit, report success",
      .contenders = closed_contenders,
      .count = CLOSED_CONTENDERS,
      .threads = thread_counts,
      .columns = COLUMNS,
      .promises = closed_promises,
      .promise_count = COUNT_OF(closed_promises) },
    { .key = "open",
      .title = "open: admit, refused",
      .contenders = open_contenders,
      .count = OPEN_CONTENDERS,
      .threads = thread_counts,
      .columns = COLUMNS,
      .promises = open_promises,
      .promise_count = COUNT_OF(open_promises) },
};

/* --- what comes of it -------------------------------------------------------------------------- */

static void print_results(const struct hgi_bench *bench)
{
    static const uint32_t mutex[PARTS] = { MUTEX, OPEN_MUTEX };
    bool colour = hgi_terminal_colour(stdout);
    for (size_t i = 0; i < PARTS; i++) {
        hgi_bench_print(&bench[i], stdout, colour);
        hgi_bench_print_multiples(&bench[i], 0, "as multiples of the floor", stdout, colour);
        hgi_bench_print_multiples(&bench[i], mutex[i], "as multiples of the mutex", stdout, colour);
        hgi_bench_print_promises(&bench[i], stdout, colour);
    }
    printf("A call's time is elapsed time x processors in use / calls: what threads wait for each "
           "other is in\n"
           "it. Medians of %u rounds of %.0f ms, on %u processors. The structure is %zu bytes.\n",
           bench->rounds, (double)bench->slice_ns / (double)NS_PER_MS, hgi_bench_processors(),
           sizeof(struct hg_breaker));
}

static cJSON *as_json(const struct hgi_bench *bench, const char *command)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", "herdgate-bench");
    cJSON_AddNumberToObject(json, "version", 1);
    cJSON_AddStringToObject(json, "subcommand", "breaker");
    cJSON_AddStringToObject(json, "herdgate", hg_version());
    cJSON_AddStringToObject(json, "command", command);
    cJSON_AddNumberToObject(json, "processors", hgi_bench_processors());
    cJSON_AddNumberToObject(json, "rounds", bench->rounds);
    cJSON_AddNumberToObject(json, "slice_ns", (double)bench->slice_ns);
    cJSON_AddNumberToObject(json, "structure_bytes", sizeof(struct hg_breaker));
    cJSON *array = cJSON_AddArrayToObject(json, "parts");
    for (size_t i = 0; i < PARTS; i++)
        cJSON_AddItemToArray(array, hgi_bench_json(&bench[i]));
    return json;
}

static bool keeps_all(const struct hgi_bench *bench)
{
    bool kept = true;
    for (size_t i = 0; i < PARTS; i++) {
        for (uint32_t p = 0; p < bench[i].promise_count; p++) {
            if (hgi_bench_keeps(&bench[i], &bench[i].promises[p]))
                continue;
            fprintf(stderr, "herdgate-bench: not kept: %s: %s\n", bench[i].key,
                    bench[i].promises[p].text);
            kept = false;
        }
    }
    return kept;
}

/* --- the command line ---------------------------------------------------------------------------- */

static const char about[] =
    "herdgate-bench breaker: what a call pays for the circuit breaker\n"
    "\n"
    "Closed: an admit and the report of a success. Open: an admit that is refused.\n"
    "Through the shared library, as a program has it, on 1, 2, 4 and 8 threads.\n"
    "Contenders take turns; told are medians, and ratios within this run.\n"
    "\n"
    "usage: herdgate-bench breaker [options]\n";

static int fail(int code, const struct hgi_problem *problem)
{
    fprintf(stderr, "herdgate-bench: %s\n", problem->text);
    return code;
}

/* Measure and tell. */
static int measure(struct hgi_bench *bench, bool quiet, const char *json, const char *command)
{
    struct hgi_problem problem = { .text = "out of memory" };
    bool json_to_stdout = json && (!*json || strcmp(json, "-") == 0);
    for (size_t i = 0; i < PARTS; i++)
        if (!hgi_bench_run(&bench[i], quiet, &problem))
            return fail(3, &problem);
    if (!json_to_stdout && !quiet)
        print_results(bench);
    if (!json)
        return 0;
    cJSON *object = as_json(bench, command);
    bool well = hgi_output_json(json, object, &problem);
    cJSON_Delete(object);
    return well ? 0 : fail(3, &problem);
}

int hgi_bench_breaker_main(int count, char *const *arguments, const char *command)
{
    struct hgi_problem problem = { .text = "out of memory" };
    uint32_t rounds = 11;
    int64_t slice_ns = 20 * NS_PER_MS;
    const char *json = NULL;
    bool quiet = false;
    bool check = false;
    bool help = false;
    const struct hgi_option table[] = {
        { 0, "rounds", HGI_OPTION_COUNT, &rounds, "N", "told is the median of so many (11)", 1,
          HGI_BENCH_ROUNDS_MAX },
        { 0, "slice", HGI_OPTION_DURATION, &slice_ns, "TIME",
          "of a contender, for each number of threads, in a round (20ms)", NS_PER_MS,
          10 * NS_PER_S },
        { 0, "check", HGI_OPTION_FLAG, &check, NULL, "exit with 1 if a promise is not kept", 0, 0 },
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &json, "[=F]",
          "results as JSON, to stdout instead of the tables, or to F", 0, 0 },
        { 'q', "quiet", HGI_OPTION_FLAG, &quiet, NULL, "no progress and no tables", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &help, NULL, "this text", 0, 0 },
        { 0 },
    };
    if (!hgi_options_parse(table, count, arguments, &problem))
        return fail(2, &problem);
    if (help) {
        fputs(about, stdout);
        hgi_options_help(table, stdout);
        return 0;
    }
    struct hgi_bench bench[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        bench[i] = parts[i];
        bench[i].pinned = true; /* or two threads would now and then share a processor, unopposed */
        bench[i].rounds = rounds;
        bench[i].slice_ns = slice_ns;
    }
    int code = measure(bench, quiet, json, command);
    return code == 0 && check && !keeps_all(bench) ? 1 : code;
}
