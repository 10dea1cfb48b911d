/* How a breaker lies in memory; for the files of this room.
 *
 * A hg_breaker is the deciding state: two lines, no pointers, the same bytes in private and in shared
 * memory. What belongs to this process alone lies just before it (hgi_local_of()), so that a handle is
 * one pointer and closed-state admit one load in both forms.
 */
#ifndef HERDGATE_BREAKER_CORE_H
#define HERDGATE_BREAKER_CORE_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "breaker/breaker.h"
#include "breaker/cells.h"
#include "breaker/events.h"
#include "breaker/machine.h"
#include "breaker/window.h"

enum {
    HGI_COUNTS_CALLS = 1, /* flag: calls are counted while closed too */
    HGI_HAS_WINDOW = 2,
    HGI_IS_SHARED = 4
};

struct hg_breaker {
    alignas(
        HGI_LINE) _Atomic uint64_t word; /* written by any thread, through the shell's exchange */
    uint32_t flags;                      /* this and `machine` are not written after the start */
    struct hgi_machine machine;
    int64_t permit_age_ns;
    _Atomic uint64_t transitions; /* this and `opened`: written by who made a transition */
    _Atomic uint64_t opened;
};

static_assert(sizeof(struct hg_breaker) == 2 * HGI_LINE, "the deciding state is two lines");

/* What this process keeps for its handle. */
struct hgi_local {
    alignas(HGI_LINE) hgi_clock_fn clock; /* NULL: hgi_now_ns() */
    void *clock_arg;
    struct hgi_counters *counters; /* own_cells with one writer, then the striped ones */
    struct hgi_window *window;     /* if the breaker's flags say that it has one */
    uint32_t own_cells;
    struct hgi_shared *shared; /* NULL: private memory */
    struct hgi_local *next;    /* among the process's breakers: fork.c */
    struct hgi_local *previous;
    struct hg_breaker_options options; /* as checked; of a shared one: as its opener gave them */
    struct hgi_events events;
};

static_assert(sizeof(struct hgi_local) % HGI_LINE == 0, "a breaker behind it is aligned");

static inline struct hgi_local *hgi_local_of(hg_breaker *breaker)
{
    return (struct hgi_local *)((char *)breaker - sizeof(struct hgi_local));
}

/* Look at the word of a shared breaker that this process has not met in this generation, or that is
 * retired: listeners are told what others did, and a retired segment is left for its successor. Gives
 * the word to go on with. */
uint64_t hgi_shared_look(hg_breaker *breaker);

/* Whether a thread of this process is at mapping the successor of a shared breaker: then nobody may have
 * been told of the segment that is mapped now, if what is seen is still *left. Asked after the word was
 * loaded. */
bool hgi_shared_is_moving(hg_breaker *breaker, uint64_t *left);

/* Whether there is such a thing to look at. */
static inline bool hgi_shared_has_news(hg_breaker *breaker, uint64_t word)
{
    if (!(breaker->flags & HGI_IS_SHARED))
        return false;
    struct hgi_events *events = &hgi_local_of(breaker)->events;
    /* relaxed: a hint; hgi_shared_look() reads it as it must be read. */
    uint64_t seen = atomic_load_explicit(&events->seen, memory_order_relaxed);
    return ((seen ^ hgi_word_generation(word)) & HGI_GENERATION_MAX) != 0 ||
           hgi_word_state(word) == HGI_RETIRED;
}

/* Fill what an event says of a word. */
void hgi_breaker_fill_event(hg_breaker *breaker, struct hg_breaker_event *event, uint64_t word,
                            int64_t now_ns);

/* The state that users are shown: a retired breaker, on its way to the next segment, admits. */
hg_breaker_state hgi_public_state(uint64_t word);

/* The private half of a breaker whose memory is zero: clock, listeners, fork. What the word is now is
 * told to no listener. */
hg_status hgi_local_begin(struct hgi_local *local, uint64_t word,
                          const struct hg_breaker_options *options, hgi_clock_fn clock, void *arg,
                          struct hg_error *err);
void hgi_local_end(struct hgi_local *local);

/* A seed that no other breaker has; not 0. */
uint64_t hgi_breaker_seed(const void *address);

/* The breaker's time. Read after the word (an acquire load), so that no elapsed time is negative. */
int64_t hgi_breaker_now(hg_breaker *breaker);

/* Count one in this thread's cell. */
void hgi_breaker_count(hg_breaker *breaker, enum hgi_counter counter);

/* The word, and as the next admit at that time would leave it. */
struct hgi_peek {
    uint64_t word;
    uint64_t next;
    int64_t now_ns;
};
struct hgi_peek hgi_breaker_peek(hg_breaker *breaker);

#endif
