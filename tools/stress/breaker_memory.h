/* What a run of breaker has in memory that its processes share: what they are to do, and what each of them notes.
 * With one process it is the same, and nobody else sees it.
 *
 * No lock that two processes take lies in it, and every note is whole or not there: a process may be killed at
 * any instruction, and what it had noted is still read.
 */
#ifndef HERDGATE_TOOLS_STRESS_BREAKER_MEMORY_H
#define HERDGATE_TOOLS_STRESS_BREAKER_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "tools/common/histogram.h"
#include "tools/stress/breaker.h"
#include "tools/stress/breaker_watch.h"

/* Of one thread, which alone writes it. relaxed: sums, that others read while it goes on. */
struct hgi_breaker_tally {
    _Atomic uint64_t answered;
    _Atomic uint64_t failed;
    _Atomic uint64_t refused;
    struct hgi_histogram refusal; /* read when the thread has ended */
};

struct hgi_noted_turn {
    struct hgi_turn turn; /* times are CLOCK_MONOTONIC, which all processes share */
    _Atomic bool whole;   /* written by the listener, last */
};

struct hgi_noted_admission {
    int64_t asked_ns;
    _Atomic int64_t got_ns; /* written by the thread, last; 0: not yet */
};

enum { HGI_MEMBER_STARTS, HGI_MEMBER_WORKS, HGI_MEMBER_FAILED };

/* Of one process. */
struct hgi_breaker_log {
    _Atomic int progress; /* written by the process: as the enum above */
    char failure[400];    /* why it failed; before that is told */
    _Atomic uint32_t broken;
    char first_broken[160];         /* before that grows from 0 */
    struct hgi_breaker_watch watch; /* used by the process alone */
    _Atomic uint32_t turns;         /* written by its listener: places taken */
    struct hgi_noted_turn turn[HGI_TURNS_MAX];
    _Atomic uint32_t admissions; /* written by its threads: places taken */
    struct hgi_noted_admission admission[HGI_ADMISSIONS_MAX];
    struct hgi_breaker_tally tally[]; /* one for each thread */
};

struct hgi_breaker_memory {
    uint64_t size; /* of all of it, so that a process of another build is refused */
    uint64_t log_size;
    uint32_t threads; /* of each process */
    uint32_t logs;
    char name[64]; /* of the shared breaker; "": there is one process, and the breaker is its own */
    char socket[108]; /* of the server */
    int64_t attempt_timeout_ns;
    int64_t pause_ns;
    uint64_t seed;
    struct hg_breaker_options options;
    _Atomic bool stop; /* written by the conductor */
};

/* So much memory for that many processes, zeroed; *file, if it is wanted, is a descriptor that others map it by.
 * NULL: *problem says. */
struct hgi_breaker_memory *hgi_breaker_memory_make(const struct hgi_breaker_settings *settings,
                                                   uint32_t logs, int *file,
                                                   struct hgi_problem *problem);

/* Map that of another process, by a path. NULL: it is none, *problem says. */
struct hgi_breaker_memory *hgi_breaker_memory_map(const char *path, struct hgi_problem *problem);
void hgi_breaker_memory_free(struct hgi_breaker_memory *memory);

struct hgi_breaker_log *hgi_breaker_memory_log(struct hgi_breaker_memory *memory, uint32_t which);

/* A listener for hg_breaker_listen(); arg is the struct hgi_breaker_log. */
void hgi_breaker_note_turn(void *arg, const struct hg_breaker_event *event);

/* What its watch found broken goes where others see it. Any thread of the process; again after each look. */
void hgi_breaker_memory_tell(struct hgi_breaker_log *log);
void hgi_breaker_note_admission(struct hgi_breaker_log *log, int64_t asked_ns, int64_t got_ns);

/* What all threads have done so far. */
struct hgi_outage hgi_breaker_memory_counts(struct hgi_breaker_memory *memory);

/* When all have ended: put what they noted together, in results whose stamp has its beginning. first: the generation
 * that the breaker began with. */
void hgi_breaker_memory_gather(struct hgi_breaker_results *results,
                               struct hgi_breaker_memory *memory, uint32_t first);

/* --- the callers: the threads of one process, over one breaker --- */

struct hgi_breaker_callers;

/* NULL: *problem says. */
struct hgi_breaker_callers *hgi_breaker_callers_start(struct hgi_breaker_memory *memory,
                                                      uint32_t which, hg_breaker *breaker,
                                                      struct hgi_problem *problem);

/* They end when memory->stop is true. NULL does nothing. */
void hgi_breaker_callers_join(struct hgi_breaker_callers *callers);

/* --- the other processes --- */

struct hgi_breaker_members;

/* Start them, and wait until all work. NULL: *problem says. `file` is that of the memory. */
struct hgi_breaker_members *hgi_breaker_members_start(struct hgi_breaker_memory *memory, int file,
                                                      uint32_t count, struct hgi_problem *problem);

/* Kill one of them (-9), and start another in its place; `which` is taken modulo their number. Returns the number
 * of the one that was killed. False: *problem says. */
bool hgi_breaker_members_kill(struct hgi_breaker_members *members, uint32_t which,
                              struct hgi_problem *problem);

/* Has one of them failed, or ended by itself? False: *problem says. */
bool hgi_breaker_members_are_well(struct hgi_breaker_members *members, struct hgi_problem *problem);

/* Wait for them to end, after memory->stop is true. NULL does nothing. */
void hgi_breaker_members_join(struct hgi_breaker_members *members);

/* The process itself: PATH WHICH; the tool's exit code. */
int hgi_breaker_member_main(int count, char *const *arguments);

#endif
