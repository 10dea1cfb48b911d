/* The atomic shell: load the word, ask the machine, exchange, count, tell.
 *
 * apply() is the only place that changes the word: a compare-and-exchange from the very word that the
 * machine decided on, so that check and transition are one step, and each operation takes effect at
 * that exchange (or, if the word stays, at the load). It is lock-free: an exchange fails only because
 * another one succeeded. Invariants: the clock is read after the word · events are announced before
 * the exchange and told after it · a success with nothing failing writes no shared line.
 */
#include "breaker/breaker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/core.h"
#include "breaker/error.h"
#include "breaker/fork.h"
#include "breaker/hints.h"
#include "breaker/mix.h"
#include "breaker/options.h"
#include "breaker/shared.h"

int64_t hgi_breaker_now(hg_breaker *breaker)
{
    struct hgi_local *local = hgi_local_of(breaker);
    return local->clock ? local->clock(local->clock_arg) : hgi_now_ns();
}

void hgi_breaker_count(hg_breaker *breaker, enum hgi_counter counter)
{
    struct hgi_local *local = hgi_local_of(breaker);
    struct hgi_cell cell = hgi_cell_mine(local->own_cells);
    hgi_cell_add(&local->counters[cell.index].value[counter], cell.alone);
}

static uint64_t load_word(hg_breaker *breaker)
{
    /* [B1] acquire: who meets a state sees what was written before it began (a maker's count in
     * `events`, the cause of a trip), and reads the clock later; pairs with [B1] in exchange(). */
    return atomic_load_explicit(&breaker->word, memory_order_acquire);
}

static bool exchange(hg_breaker *breaker, uint64_t *seen, uint64_t next)
{
    /* [B1] release: what this thread wrote before; acquire: what those before it wrote; pairs with
     * [B1] in load_word() and with itself. */
    return atomic_compare_exchange_strong_explicit(&breaker->word, seen, next, memory_order_acq_rel,
                                                   memory_order_acquire);
}

void hgi_breaker_fill_event(hg_breaker *breaker, struct hg_breaker_event *event, uint64_t word,
                            int64_t now_ns)
{
    *event = (struct hg_breaker_event) {
        .size = sizeof *event,
        .to = hgi_public_state(word),
        .generation = hgi_word_generation(word),
        .at_ns = now_ns,
        .retry_after_ns = hgi_machine_retry_after(&breaker->machine, word, now_ns),
    };
}

/* An exchange that begins a new generation. */
static bool make_transition(hg_breaker *breaker, uint64_t *seen, uint64_t next, int64_t now_ns)
{
    struct hgi_events *events = &hgi_local_of(breaker)->events;
    struct hgi_event_node *node = hgi_events_begin(events);
    uint64_t from = *seen;
    /* Asked before `seen` is read: either it is moving, or what it moved to has been seen. */
    uint64_t left;
    bool moving = breaker->flags & HGI_IS_SHARED && hgi_shared_is_moving(breaker, &left);
    uint64_t told = hgi_events_seen(events);
    /* Of a segment not told of yet: as in find_transition() of shared.c. */
    uint64_t before = hgi_events_order(told + (moving && told == left), hgi_word_generation(from));
    uint64_t order = before + 1;
    bool made = exchange(breaker, seen, next);
    if (made) {
        hgi_events_made(events, order);
        /* relaxed: counts by themselves. */
        atomic_fetch_add_explicit(&breaker->transitions, 1, memory_order_relaxed);
        if (hgi_word_state(next) == HGI_OPEN)
            atomic_fetch_add_explicit(&breaker->opened, 1, memory_order_relaxed);
        if (node) {
            node->order = order;
            node->anew = moving && before != told;
            hgi_breaker_fill_event(breaker, &node->event, next, now_ns);
            node->event.from = hgi_public_state(from);
        }
    }
    hgi_events_end(events, node, made);
    return made;
}

/* This word or a later one, after all that this process is to know of how it came to be. */
static uint64_t meet(hg_breaker *breaker, uint64_t word)
{
    return HGI_LIKELY(!hgi_shared_has_news(breaker, word)) ? word : hgi_shared_look(breaker);
}

/* One event, until it has taken effect. */
static struct hgi_step apply(hg_breaker *breaker, enum hgi_event event, uint64_t permit)
{
    uint64_t word = meet(breaker, load_word(breaker));
    for (;;) {
        int64_t now_ns = hgi_breaker_now(breaker);
        struct hgi_step step =
            hgi_machine_step(&breaker->machine, word, event, permit, hgi_tick(now_ns));
        if (step.word == word)
            return step;
        if ((step.word ^ word) & HGI_GENERATION_MASK) {
            if (make_transition(breaker, &word, step.word, now_ns))
                return step;
        } else if (exchange(breaker, &word, step.word)) {
            return step;
        }
    }
}

/* The clock as of the last timer interrupt: a third of the price. */
static int64_t coarse_now(hg_breaker *breaker)
{
    return hgi_local_of(breaker)->clock ? hgi_breaker_now(breaker) : hgi_coarse_now_ns();
}

/* Whether this word refuses and would still refuse a little later: then the coarse clock, which is up
 * to that much behind, is good enough to refuse by. Should it be further behind, as when a hypervisor
 * holds up the interrupt, a call is refused for that much longer and none is admitted early. */
static bool refuses_for_now(hg_breaker *breaker, enum hgi_event event, uint64_t word)
{
    enum { BEHIND_TICKS = 3 }; /* 12 ms; the interrupt comes every 10 ms or more often */
    uint32_t soon = hgi_tick(coarse_now(breaker)) + BEHIND_TICKS;
    struct hgi_step step = hgi_machine_step(&breaker->machine, word, event, 0, soon);
    return step.verdict == HGI_REFUSED && step.word == word;
}

/* Not closed. Outlined, as is what follows, so that a plain admit saves no register. */
static HGI_OUTLINED bool admit_slowly(hg_breaker *breaker, enum hgi_event event, uint64_t word,
                                      hg_permit *permit)
{
    word = meet(breaker, word);
    permit->opaque = 0;
    if (refuses_for_now(breaker, event, word)) {
        hgi_breaker_count(breaker, HGI_COUNT_REFUSED);
        return false;
    }
    struct hgi_step step = apply(breaker, event, 0);
    permit->opaque = step.permit;
    if (step.verdict != HGI_ADMITTED) {
        hgi_breaker_count(breaker, HGI_COUNT_REFUSED);
        return false;
    }
    if (breaker->flags != 0)
        hgi_breaker_count(breaker, HGI_COUNT_ADMITTED);
    if (step.permit & HGI_PERMIT_PROBE)
        hgi_breaker_count(breaker, HGI_COUNT_PROBES);
    return true;
}

/* Admitted while closed by a breaker that counts, or is shared and may have news. */
static HGI_OUTLINED bool admit_counted(hg_breaker *breaker, uint64_t word)
{
    hgi_breaker_count(breaker, HGI_COUNT_ADMITTED);
    (void)meet(breaker, word);
    return true;
}

static inline bool admit(hg_breaker *breaker, enum hgi_event event, hg_permit *permit)
{
    uint64_t word = load_word(breaker);
    if (!HGI_LIKELY(hgi_word_state(word) == HGI_CLOSED))
        return admit_slowly(breaker, event, word, permit);
    permit->opaque = (word & HGI_GENERATION_MASK) | HGI_PERMIT_VALID;
    return HGI_LIKELY(breaker->flags == 0) || admit_counted(breaker, word);
}

bool hg_breaker_admit(hg_breaker *breaker, hg_permit *permit)
{
    return admit(breaker, HGI_ADMIT, permit);
}

bool hgi_breaker_admit(hg_breaker *breaker, unsigned flags, hg_permit *permit)
{
    return admit(breaker, flags & HGI_ADMIT_NO_PROBE ? HGI_ADMIT_PLAIN : HGI_ADMIT, permit);
}

void hg_breaker_cancel(hg_breaker *breaker, hg_permit permit)
{
    if (!(permit.opaque & HGI_PERMIT_VALID))
        return;
    if (permit.opaque & HGI_PERMIT_PROBE)
        apply(breaker, HGI_CANCEL, permit.opaque);
    hgi_breaker_count(breaker, HGI_COUNT_CANCELLED);
}

enum { NOT_READ = -1 }; /* a time that the caller did not pass */

/* NULL: none. Asked of the breaker and not of this process: a shared one's successor may be another. */
static struct hgi_window *window_of(hg_breaker *breaker)
{
    return breaker->flags & HGI_HAS_WINDOW ? hgi_local_of(breaker)->window : NULL;
}

/* The window's time. Coarse: a few milliseconds are nothing to a bucket. */
static int64_t window_now(hg_breaker *breaker, int64_t ended_ns)
{
    return ended_ns >= 0 ? ended_ns : coarse_now(breaker);
}

/* A result that is not plain: it may change the word, and be judged by the window. */
static void report_slowly(hg_breaker *breaker, hg_permit permit, hg_result result,
                          int64_t elapsed_ns, int64_t ended_ns)
{
    struct hgi_window *window = window_of(breaker);
    bool well = result == HG_RESULT_SUCCESS;
    bool slow = window && elapsed_ns >= window->slow_ns;
    uint64_t word = load_word(breaker);
    uint32_t generation = hgi_word_generation(permit.opaque);
    if (!(permit.opaque & HGI_PERMIT_VALID))
        return;
    if (elapsed_ns > breaker->permit_age_ns || ((word ^ permit.opaque) & HGI_GENERATION_MASK)) {
        hgi_breaker_count(breaker, HGI_COUNT_LATE);
        return;
    }
    bool judged = window && hgi_word_state(word) == HGI_CLOSED;
    if (judged) {
        struct hgi_cell cell = hgi_cell_mine(window->own_cells);
        ended_ns = window_now(breaker, ended_ns);
        if (well)
            hgi_window_add_success(window, generation, ended_ns, cell);
        else
            hgi_window_add_failure(window, generation, ended_ns);
        if (slow)
            hgi_window_add_slow(window, generation, ended_ns);
    }
    if (apply(breaker, well ? HGI_SUCCESS : HGI_FAILURE, permit.opaque).verdict == HGI_LATE) {
        hgi_breaker_count(breaker, HGI_COUNT_LATE);
        return;
    }
    if (judged && (!well || slow) && hgi_window_is_bad(window, generation, ended_ns))
        apply(breaker, HGI_TRIP, permit.opaque);
    if (slow)
        hgi_breaker_count(breaker, HGI_COUNT_SLOW);
    if (!well)
        hgi_breaker_count(breaker, HGI_COUNT_FAILED);
    else if (breaker->flags != 0)
        hgi_breaker_count(breaker, HGI_COUNT_SUCCEEDED);
}

/* A success while closed with no failures in a row, counted in this thread's own lines. */
static void report_counted(hg_breaker *breaker, hg_permit permit, int64_t elapsed_ns,
                           int64_t ended_ns)
{
    struct hgi_local *local = hgi_local_of(breaker);
    struct hgi_window *window = window_of(breaker);
    struct hgi_cell cell = hgi_cell_mine(local->own_cells);
    if (window) {
        if (elapsed_ns >= window->slow_ns) {
            report_slowly(breaker, permit, HG_RESULT_SUCCESS, elapsed_ns, ended_ns);
            return;
        }
        hgi_window_add_success(window, hgi_word_generation(permit.opaque),
                               window_now(breaker, ended_ns), cell);
    }
    hgi_cell_add(&local->counters[cell.index].value[HGI_COUNT_SUCCEEDED], cell.alone);
}

static inline void report(hg_breaker *breaker, hg_permit permit, hg_result result,
                          int64_t elapsed_ns, int64_t ended_ns)
{
    /* A word that is nothing but the permit's generation: closed, and no failures in a row. */
    if (!HGI_LIKELY(result == HG_RESULT_SUCCESS &&
                    load_word(breaker) == (permit.opaque ^ HGI_PERMIT_VALID)))
        report_slowly(breaker, permit, result, elapsed_ns, ended_ns);
    else if (!HGI_LIKELY(breaker->flags == 0))
        report_counted(breaker, permit, elapsed_ns, ended_ns);
}

void hg_breaker_report(hg_breaker *breaker, hg_permit permit, hg_result result, int64_t elapsed_ns)
{
    report(breaker, permit, result, elapsed_ns, NOT_READ);
}

void hg_breaker_report_times(hg_breaker *breaker, hg_permit permit, hg_result result,
                             int64_t began_ns, int64_t ended_ns)
{
    int64_t elapsed_ns;
    if (ended_ns <= began_ns)
        elapsed_ns = 0;
    else if (__builtin_sub_overflow(ended_ns, began_ns, &elapsed_ns))
        elapsed_ns = INT64_MAX;
    report(breaker, permit, result, elapsed_ns, ended_ns);
}

void hg_breaker_trip(hg_breaker *breaker)
{
    if (breaker)
        apply(breaker, HGI_TRIP_NOW, 0);
}

void hg_breaker_force_open(hg_breaker *breaker)
{
    if (breaker)
        apply(breaker, HGI_FORCE_OPEN, 0);
}

void hg_breaker_force_close(hg_breaker *breaker)
{
    if (breaker)
        apply(breaker, HGI_FORCE_CLOSE, 0);
}

void hg_breaker_disable(hg_breaker *breaker)
{
    if (breaker)
        apply(breaker, HGI_DISABLE, 0);
}

void hg_breaker_reset(hg_breaker *breaker)
{
    if (breaker)
        apply(breaker, HGI_RESET, 0);
}

struct hgi_peek hgi_breaker_peek(hg_breaker *breaker)
{
    struct hgi_peek peek = { .word = meet(breaker, load_word(breaker)) };
    peek.now_ns = hgi_breaker_now(breaker);
    peek.next =
        hgi_machine_step(&breaker->machine, peek.word, HGI_ADMIT, 0, hgi_tick(peek.now_ns)).word;
    return peek;
}

uint64_t hgi_breaker_seed(const void *address)
{
    uint64_t seed = (uint64_t)hgi_now_ns() * HGI_MIX_STEP ^ (uint64_t)getpid() << 32 ^
                    (uint64_t)(uintptr_t)address;
    return seed ? seed : 1;
}

hg_status hgi_local_begin(struct hgi_local *local, uint64_t word,
                          const struct hg_breaker_options *options, hgi_clock_fn clock, void *arg,
                          struct hg_error *err)
{
    local->clock = clock;
    local->clock_arg = arg;
    local->options = *options;
    hg_status status =
        hgi_events_init(&local->events, hgi_word_generation(word), hgi_public_state(word), err);
    if (status < 0 || hgi_fork_join(local))
        return status;
    hgi_events_destroy(&local->events);
    return hgi_error_set(err, HG_ERR_NO_MEMORY, "no memory for a handler of fork()");
}

void hgi_local_end(struct hgi_local *local)
{
    hgi_fork_leave(local);
    hgi_events_destroy(&local->events);
}

hg_status hgi_breaker_new_with_clock(hg_breaker **out, const struct hg_breaker_options *options,
                                     hgi_clock_fn clock, void *arg, struct hg_error *err)
{
    struct hg_breaker_options read;
    if (!out)
        return hgi_error_set(err, HG_ERR_VALIDATION, "a breaker: out is NULL; give one");
    *out = NULL;
    hg_status status = hgi_options_read(&read, options, err);
    if (status < 0)
        return status;
    size_t head = sizeof(struct hgi_local) + sizeof(struct hg_breaker);
    size_t cells = (HGI_OWN_CELLS + HGI_STRIPED_CELLS) * sizeof(struct hgi_counters);
    size_t window = read.window_length_ns > 0 ? hgi_window_size(HGI_OWN_CELLS) : 0;
    struct hgi_local *local = aligned_alloc(HGI_LINE, head + cells + window);
    if (!local)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "no memory for a breaker");
    memset(local, 0, head + cells + window);
    hg_breaker *breaker = (hg_breaker *)(local + 1);
    if (read.seed == 0)
        read.seed = hgi_breaker_seed(local);
    hgi_options_decode(&breaker->machine, &read);
    breaker->permit_age_ns = hgi_options_permit_age(&breaker->machine);
    breaker->flags = read.count_calls ? HGI_COUNTS_CALLS : 0;
    if (window > 0) {
        breaker->flags |= HGI_HAS_WINDOW;
        local->window = (struct hgi_window *)((char *)local + head + cells);
        hgi_window_init(local->window, &read, HGI_OWN_CELLS);
    }
    local->counters = (struct hgi_counters *)(breaker + 1);
    local->own_cells = HGI_OWN_CELLS;
    status = hgi_local_begin(local, 0, &read, clock, arg, err);
    if (status < 0) {
        free(local);
        return status;
    }
    *out = breaker;
    hgi_error_clear(err);
    return HG_OK;
}

hg_status hg_breaker_new(hg_breaker **out, const struct hg_breaker_options *options,
                         struct hg_error *err)
{
    return hgi_breaker_new_with_clock(out, options, NULL, NULL, err);
}

void hg_breaker_free(hg_breaker *breaker)
{
    if (!breaker)
        return;
    struct hgi_local *local = hgi_local_of(breaker);
    hgi_local_end(local);
    if (local->shared)
        hgi_shared_unmap(local->shared);
    else
        free(local);
}

void hgi_breaker_forget_threads(hg_breaker *breaker)
{
    struct hgi_local *local = hgi_local_of(breaker);
    uint64_t word = load_word(breaker);
    hgi_events_forget_threads(&local->events, hgi_word_generation(word), hgi_public_state(word));
    /* relaxed: no other thread exists; what one of the parent's was at is the parent's. */
    if (local->shared)
        atomic_store_explicit(&local->shared->reopening, 0, memory_order_relaxed);
}
