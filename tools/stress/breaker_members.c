/* The processes of a run of breaker --shared: the tool itself, started again as herdgate-stress breaker-member,
 * each with a few callers over the one shared breaker; and who starts, kills and ends them.
 *
 * A member learns all from the memory that it maps by /proc/PID/fd/N of the conductor, and notes all there. It dies
 * with the conductor (see spawner.h), however that ends. A member that is killed has its notes in a log that
 * nobody uses again: its successor has the next one.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/common/spawner.h"
#include "tools/common/timing.h"
#include "tools/stress/breaker_memory.h"
#include "tools/stress/exits.h"

#define TICK_NS (5 * NS_PER_MS)
#define START_NS (30 * NS_PER_S) /* on a machine that is busy */
#define END_NS (20 * NS_PER_S)

/* --- the conductor's side --- */

struct member {
    pid_t pid; /* 0: it has ended */
    uint32_t log;
};

struct hgi_breaker_members {
    struct hgi_breaker_memory *memory;
    struct hgi_spawner *spawner;
    char path[64]; /* of the memory */
    uint32_t count;
    uint32_t next_log;
    struct member member[];
};

static bool start(struct hgi_breaker_members *m, uint32_t which, struct hgi_problem *problem)
{
    char log[16], name[] = "herdgate-stress", subcommand[] = "breaker-member";
    struct member *member = &m->member[which];
    if (m->next_log == m->memory->logs)
        return hgi_problem_set(problem, "no place for another process");
    member->log = m->next_log++;
    snprintf(log, sizeof log, "%" PRIu32, member->log);
    char *argv[] = { name, subcommand, m->path, log, NULL };
    pid_t pid = hgi_spawner_run(m->spawner, "/proc/self/exe", argv, "/dev/null", problem);
    member->pid = pid > 0 ? pid : 0;
    return pid > 0;
}

bool hgi_breaker_members_are_well(struct hgi_breaker_members *m, struct hgi_problem *problem)
{
    for (uint32_t i = 0; i < m->count; i++) {
        const struct hgi_breaker_log *log = hgi_breaker_memory_log(m->memory, m->member[i].log);
        /* [N3] acquire: pairs with [N3] in fail(). */
        if (atomic_load_explicit(&log->progress, memory_order_acquire) == HGI_MEMBER_FAILED)
            return hgi_problem_set(problem, "process %" PRIu32 ": %s", i + 1, log->failure);
        if (m->member[i].pid > 0 && waitpid(m->member[i].pid, NULL, WNOHANG) > 0) {
            m->member[i].pid = 0;
            return hgi_problem_set(problem, "process %" PRIu32 " ended by itself", i + 1);
        }
    }
    return true;
}

static bool all_work(struct hgi_breaker_members *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        /* relaxed: nothing else is read of one that works. */
        if (atomic_load_explicit(&hgi_breaker_memory_log(m->memory, m->member[i].log)->progress,
                                 memory_order_relaxed) != HGI_MEMBER_WORKS)
            return false;
    return true;
}

struct hgi_breaker_members *hgi_breaker_members_start(struct hgi_breaker_memory *memory, int file,
                                                      uint32_t count, struct hgi_problem *problem)
{
    struct hgi_breaker_members *m = calloc(1, sizeof *m + count * sizeof(struct member));
    if (!m) {
        hgi_problem_set(problem, "out of memory");
        return NULL;
    }
    m->memory = memory;
    snprintf(m->path, sizeof m->path, "/proc/%ld/fd/%d", (long)getpid(), file);
    m->spawner = hgi_spawner_new(problem);
    bool well = m->spawner != NULL;
    for (; well && m->count < count; m->count += well)
        well = start(m, m->count, problem);
    int64_t end_ns = monotonic_ns() + START_NS;
    while (well && !all_work(m)) {
        well = hgi_breaker_members_are_well(m, problem) &&
               (monotonic_ns() < end_ns ||
                hgi_problem_set(problem, "the processes took over 30 s to start"));
        sleep_until_ns(monotonic_ns() + TICK_NS);
    }
    if (well)
        return m;
    /* relaxed: a flag that is polled. */
    atomic_store_explicit(&memory->stop, true, memory_order_relaxed);
    hgi_breaker_members_join(m);
    return NULL;
}

bool hgi_breaker_members_kill(struct hgi_breaker_members *m, uint32_t which,
                              struct hgi_problem *problem)
{
    struct member *member = &m->member[which % m->count];
    if (member->pid > 0) {
        kill(member->pid, SIGKILL);
        waitpid(member->pid, NULL, 0);
        member->pid = 0;
    }
    return start(m, which % m->count, problem);
}

void hgi_breaker_members_join(struct hgi_breaker_members *m)
{
    if (!m)
        return;
    int64_t end_ns = monotonic_ns() + END_NS;
    for (uint32_t i = 0; i < m->count; i++) {
        struct member *member = &m->member[i];
        while (member->pid > 0 && waitpid(member->pid, NULL, WNOHANG) == 0) {
            if (monotonic_ns() > end_ns)
                kill(member->pid, SIGKILL);
            sleep_until_ns(monotonic_ns() + TICK_NS);
        }
    }
    hgi_spawner_free(m->spawner);
    free(m);
}

/* --- the process itself --- */

static int fail(struct hgi_breaker_log *log, const char *text)
{
    snprintf(log->failure, sizeof log->failure, "%.390s", text);
    /* [N3] release: publishes why; pairs with [N3] in hgi_breaker_members_are_well(). */
    atomic_store_explicit(&log->progress, HGI_MEMBER_FAILED, memory_order_release);
    return HGI_EXIT_ENVIRONMENT;
}

static int serve(struct hgi_breaker_memory *memory, uint32_t which)
{
    struct hgi_problem problem = { .text = "" };
    struct hg_error err = HG_ERROR_INIT;
    struct hgi_breaker_log *log = hgi_breaker_memory_log(memory, which);
    hg_breaker *breaker;
    if (hg_breaker_open_shared(&breaker, memory->name, &memory->options, &err) < 0)
        return fail(log, err.message);
    hgi_breaker_watch_begin(&log->watch, monotonic_ns(), 0, memory->options.half_open_max_calls);
    log->watch.joined = true;
    hg_breaker_listen(breaker, hgi_breaker_note_turn, log, NULL);
    struct hgi_breaker_callers *callers =
        hgi_breaker_callers_start(memory, which, breaker, &problem);
    if (callers) {
        /* relaxed: nothing else is read of one that works; and a flag that is polled. */
        atomic_store_explicit(&log->progress, HGI_MEMBER_WORKS, memory_order_relaxed);
        while (!atomic_load_explicit(&memory->stop, memory_order_relaxed)) {
            hgi_breaker_watch_look(&log->watch, breaker);
            hgi_breaker_memory_tell(log);
            sleep_until_ns(monotonic_ns() + TICK_NS);
        }
    }
    hgi_breaker_callers_join(callers);
    hg_breaker_unlisten(breaker, hgi_breaker_note_turn, log);
    hg_breaker_free(breaker);
    return callers ? HGI_EXIT_PASS : fail(log, problem.text);
}

int hgi_breaker_member_main(int count, char *const *arguments)
{
    struct hgi_problem problem = { .text = "breaker-member is started by breaker --shared alone" };
    struct hgi_breaker_memory *memory =
        count == 2 ? hgi_breaker_memory_map(arguments[0], &problem) : NULL;
    unsigned long which = count == 2 ? strtoul(arguments[1], NULL, 10) : 0;
    int code = HGI_EXIT_USAGE;
    if (memory && which < memory->logs)
        code = serve(memory, (uint32_t)which);
    else
        fprintf(stderr, "herdgate-stress: %s\n", problem.text);
    hgi_breaker_memory_free(memory);
    return code;
}
