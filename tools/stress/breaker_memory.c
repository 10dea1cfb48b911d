/* What a run of breaker notes, and what is put together of it; see breaker_memory.h. */
#include "tools/stress/breaker_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/common/timing.h"

static void *map(int file, uint64_t size, struct hgi_problem *problem)
{
    int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);
    if (memory != MAP_FAILED)
        return memory;
    hgi_problem_set(problem, "no memory for the notes of a run: %s", strerror(errno));
    return NULL;
}

struct hgi_breaker_memory *hgi_breaker_memory_make(const struct hgi_breaker_settings *settings,
                                                   uint32_t logs, int *file,
                                                   struct hgi_problem *problem)
{
    uint32_t threads = (settings->threads + settings->processes - 1) / settings->processes;
    uint64_t log_size = sizeof(struct hgi_breaker_log) + threads * sizeof(struct hgi_breaker_tally);
    log_size = (log_size + 63) / 64 * 64;
    uint64_t size = (sizeof(struct hgi_breaker_memory) + 63) / 64 * 64 + logs * log_size;
    int descriptor = -1;
    if (file) {
        descriptor = memfd_create("herdgate-stress", MFD_CLOEXEC);
        if (descriptor < 0 || ftruncate(descriptor, (off_t)size) != 0) {
            hgi_problem_set(problem, "no memory to share with other processes: %s",
                            strerror(errno));
            if (descriptor >= 0)
                close(descriptor);
            return NULL;
        }
    }
    struct hgi_breaker_memory *memory = map(descriptor, size, problem);
    if (!memory) {
        if (descriptor >= 0)
            close(descriptor);
        return NULL;
    }
    memory->size = size;
    memory->log_size = log_size;
    memory->threads = threads;
    memory->logs = logs;
    memory->attempt_timeout_ns = settings->attempt_timeout_ns;
    memory->pause_ns = settings->pause_ns;
    memory->seed = settings->seed;
    memory->options = settings->breaker;
    if (file)
        *file = descriptor;
    return memory;
}

struct hgi_breaker_memory *hgi_breaker_memory_map(const char *path, struct hgi_problem *problem)
{
    struct stat about;
    struct hgi_breaker_memory *memory = NULL;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0 ||
        (uint64_t)about.st_size < sizeof(struct hgi_breaker_memory)) {
        hgi_problem_set(problem, "%s is no run of herdgate-stress breaker", path);
    } else {
        memory = map(file, (uint64_t)about.st_size, problem);
        if (memory && memory->size != (uint64_t)about.st_size) {
            hgi_problem_set(problem, "%s is no run of this herdgate-stress breaker", path);
            munmap(memory, (size_t)about.st_size);
            memory = NULL;
        }
    }
    if (file >= 0)
        close(file);
    return memory;
}

void hgi_breaker_memory_free(struct hgi_breaker_memory *memory)
{
    if (memory)
        munmap(memory, memory->size);
}

struct hgi_breaker_log *hgi_breaker_memory_log(struct hgi_breaker_memory *memory, uint32_t which)
{
    char *logs = (char *)memory + (sizeof *memory + 63) / 64 * 64;
    return (void *)(logs + which * memory->log_size);
}

void hgi_breaker_memory_tell(struct hgi_breaker_log *log)
{
    pthread_mutex_lock(&log->watch.lock);
    uint32_t broken = (uint32_t)log->watch.counts.broken;
    if (broken > 0 && !log->first_broken[0])
        snprintf(log->first_broken, sizeof log->first_broken, "%s", log->watch.counts.first_broken);
    /* [N4] release: publishes the words; pairs with [N4] in hgi_breaker_memory_gather(). */
    atomic_store_explicit(&log->broken, broken, memory_order_release);
    pthread_mutex_unlock(&log->watch.lock);
}

void hgi_breaker_note_turn(void *arg, const struct hg_breaker_event *event)
{
    struct hgi_breaker_log *log = arg;
    hgi_breaker_watch_event(&log->watch, event);
    hgi_breaker_memory_tell(log);
    /* relaxed: it only gives out the places. */
    uint32_t place = atomic_fetch_add_explicit(&log->turns, 1, memory_order_relaxed);
    if (place >= HGI_TURNS_MAX)
        return;
    log->turn[place].turn = (struct hgi_turn) { .from = event->from,
                                                .to = event->to,
                                                .at_ns = event->at_ns,
                                                .told_ns = monotonic_ns(),
                                                .period_ns = event->retry_after_ns,
                                                .generation = event->generation,
                                                .elsewhere = event->elsewhere };
    /* [N1] release: publishes the turn; pairs with [N1] in gather_turns(). */
    atomic_store_explicit(&log->turn[place].whole, true, memory_order_release);
}

void hgi_breaker_note_admission(struct hgi_breaker_log *log, int64_t asked_ns, int64_t got_ns)
{
    /* relaxed: it only gives out the places. */
    uint32_t place = atomic_fetch_add_explicit(&log->admissions, 1, memory_order_relaxed);
    if (place >= HGI_ADMISSIONS_MAX)
        return;
    log->admission[place].asked_ns = asked_ns;
    /* [N2] release: publishes the admission; pairs with [N2] in gather_admissions(). */
    atomic_store_explicit(&log->admission[place].got_ns, got_ns, memory_order_release);
}

struct hgi_outage hgi_breaker_memory_counts(struct hgi_breaker_memory *memory)
{
    struct hgi_outage sum = { .up_ns = -1 };
    for (uint32_t i = 0; i < memory->logs; i++) {
        struct hgi_breaker_log *log = hgi_breaker_memory_log(memory, i);
        for (uint32_t t = 0; t < memory->threads; t++) {
            struct hgi_breaker_tally *tally = &log->tally[t];
            sum.answered += atomic_load_explicit(&tally->answered, memory_order_relaxed);
            sum.failed += atomic_load_explicit(&tally->failed, memory_order_relaxed);
            sum.refused += atomic_load_explicit(&tally->refused, memory_order_relaxed);
        }
    }
    return sum;
}

/* --- putting it together --- */

static void gather_admissions(struct hgi_breaker_results *r, struct hgi_breaker_log *log)
{
    uint32_t count = atomic_load_explicit(&log->admissions, memory_order_relaxed);
    r->admissions_lost = r->admissions_lost || count > HGI_ADMISSIONS_MAX;
    for (uint32_t i = 0; i < count && i < HGI_ADMISSIONS_MAX; i++) {
        /* [N2] acquire: pairs with [N2] in hgi_breaker_note_admission(). */
        int64_t got_ns = atomic_load_explicit(&log->admission[i].got_ns, memory_order_acquire);
        if (got_ns == 0) /* its thread was killed meanwhile */
            continue;
        if (r->admission_count == HGI_ADMISSIONS_MAX) {
            r->admissions_lost = true;
            return;
        }
        r->admission[r->admission_count++] =
            (struct hgi_admission) { log->admission[i].asked_ns - r->stamp.began_ns,
                                     got_ns - r->stamp.began_ns };
    }
}

static void disagree(struct hgi_breaker_results *r, const struct hgi_turn *a,
                     const struct hgi_turn *b)
{
    if (r->counts.broken++ == 0)
        snprintf(r->counts.first_broken, sizeof r->counts.first_broken,
                 "generation %" PRIu32 " was told as %s%s and as %s%s", a->generation,
                 hg_breaker_state_name(a->to), a->elsewhere ? "" : " (made here)",
                 hg_breaker_state_name(b->to), b->elsewhere ? "" : " (made here)");
}

/* A generation is one transition, whoever tells of it: who made it knows when, the first who heard knows since
 * when it is certain. */
static void add_turn(struct hgi_breaker_results *r, const struct hgi_turn *turn)
{
    struct hgi_turn *known = NULL;
    for (uint32_t i = 0; i < r->turn_count && !known; i++)
        if (r->turn[i].generation == turn->generation)
            known = &r->turn[i];
    if (!known) {
        r->turns_lost = r->turns_lost || r->turn_count == HGI_TURNS_MAX;
        if (r->turn_count < HGI_TURNS_MAX)
            r->turn[r->turn_count++] = *turn;
        return;
    }
    if (known->to != turn->to || (!known->elsewhere && !turn->elsewhere))
        disagree(r, known, turn);
    int64_t told_ns = known->told_ns < turn->told_ns ? known->told_ns : turn->told_ns;
    if (known->elsewhere && (!turn->elsewhere || turn->at_ns < known->at_ns))
        *known = *turn;
    known->told_ns = told_ns;
}

static void gather_turns(struct hgi_breaker_results *r, struct hgi_breaker_log *log)
{
    uint32_t count = atomic_load_explicit(&log->turns, memory_order_relaxed);
    r->turns_lost = r->turns_lost || count > HGI_TURNS_MAX;
    for (uint32_t i = 0; i < count && i < HGI_TURNS_MAX; i++) {
        /* [N1] acquire: pairs with [N1] in hgi_breaker_note_turn(). */
        if (!atomic_load_explicit(&log->turn[i].whole, memory_order_acquire))
            continue;
        struct hgi_turn turn = log->turn[i].turn;
        turn.at_ns -= r->stamp.began_ns;
        turn.told_ns -= r->stamp.began_ns;
        add_turn(r, &turn);
    }
}

/* By generation, which comes round after 65,536: from the first one on. */
static void sort_turns(struct hgi_breaker_results *r, uint32_t first)
{
    for (uint32_t i = 1; i < r->turn_count; i++) {
        struct hgi_turn turn = r->turn[i];
        uint32_t order = (turn.generation - first) & UINT16_MAX, at = i;
        for (; at > 0 && ((r->turn[at - 1].generation - first) & UINT16_MAX) > order; at--)
            r->turn[at] = r->turn[at - 1];
        r->turn[at] = turn;
    }
}

static void count_turns(struct hgi_breaker_results *r)
{
    for (uint32_t i = 0; i < r->turn_count; i++) {
        r->counts.transitions++;
        r->counts.opened += r->turn[i].to == HG_BREAKER_OPEN;
        r->counts.half_opened += r->turn[i].to == HG_BREAKER_HALF_OPEN;
        r->counts.closed += r->turn[i].to == HG_BREAKER_CLOSED;
    }
}

static void gather_tallies(struct hgi_breaker_results *r, struct hgi_breaker_memory *memory,
                           struct hgi_breaker_log *log)
{
    for (uint32_t t = 0; t < memory->threads; t++) {
        struct hgi_histogram whole = log->tally[t].refusal;
        whole.total = 0; /* a thread that was killed within an addition left it behind the counts */
        for (uint32_t i = 0; i < HGI_HISTOGRAM_BUCKETS; i++)
            whole.total += whole.count[i];
        hgi_histogram_merge(&r->refusal, &whole);
    }
}

void hgi_breaker_memory_gather(struct hgi_breaker_results *r, struct hgi_breaker_memory *memory,
                               uint32_t first)
{
    struct hgi_outage sum = hgi_breaker_memory_counts(memory);
    r->admitted = sum.answered + sum.failed;
    r->failed = sum.failed;
    r->refused = sum.refused;
    r->calls = r->admitted + r->refused;
    for (uint32_t i = 0; i < memory->logs; i++) {
        struct hgi_breaker_log *log = hgi_breaker_memory_log(memory, i);
        /* [N4] acquire: pairs with [N4] in hgi_breaker_memory_tell(). */
        uint32_t broken = atomic_load_explicit(&log->broken, memory_order_acquire);
        gather_admissions(r, log);
        gather_turns(r, log);
        gather_tallies(r, memory, log);
        if (broken > 0 && r->counts.broken == 0)
            snprintf(r->counts.first_broken, sizeof r->counts.first_broken, "%s",
                     log->first_broken);
        r->counts.broken += broken;
    }
    sort_turns(r, first);
    count_turns(r);
}
