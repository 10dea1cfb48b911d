/* Looking at a breaker: its state, its numbers, its listeners. Nothing here changes what it decides.
 *
 * No breaker is one that is disabled, so that whoever watches what hg_pool_breaker() gives need not ask
 * whether the policy has one. */
#include <stddef.h>
#include <string.h>

#include "breaker/core.h"
#include "breaker/error.h"
#include "breaker/segment.h"

const char *hg_breaker_state_name(hg_breaker_state state)
{
    static const char *const names[] = { "closed",      "open",          "half-open",
                                         "forced open", "forced closed", "disabled" };
    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

hg_breaker_state hgi_public_state(uint64_t word)
{
    enum hgi_state state = hgi_word_state(word);
    return state >= HGI_RETIRED ? HG_BREAKER_CLOSED : (hg_breaker_state)state;
}

hg_breaker_state hg_breaker_state_now(hg_breaker *breaker)
{
    return breaker ? hgi_public_state(hgi_breaker_peek(breaker).next) : HG_BREAKER_DISABLED;
}

int64_t hg_breaker_retry_after(hg_breaker *breaker)
{
    if (!breaker)
        return 0;
    struct hgi_peek peek = hgi_breaker_peek(breaker);
    return hgi_machine_retry_after(&breaker->machine, peek.next, peek.now_ns);
}

static uint64_t sum(hg_breaker *breaker, enum hgi_counter counter)
{
    struct hgi_local *local = hgi_local_of(breaker);
    uint64_t total = 0;
    for (size_t i = 0; i < local->own_cells + HGI_STRIPED_CELLS;
         i++) /* relaxed: a count by itself */
        total += atomic_load_explicit(&local->counters[i].value[counter], memory_order_relaxed);
    return total;
}

void hg_breaker_take_snapshot(hg_breaker *breaker, struct hg_breaker_snapshot *snapshot)
{
    if (!breaker) {
        const struct hg_breaker_snapshot none = {
            .size = snapshot->size < sizeof none ? snapshot->size : sizeof none,
            .state = HG_BREAKER_DISABLED,
        };
        memcpy(snapshot, &none, none.size);
        return;
    }
    /* All of one word: the one that the next admit would leave, if that begins a generation, else the
     * stored one. The probe that the next admit would be is not issued yet. */
    struct hgi_peek peek = hgi_breaker_peek(breaker);
    bool begins = hgi_word_generation(peek.next) != hgi_word_generation(peek.word);
    uint64_t word = begins ? peek.next : peek.word;
    bool half_open = hgi_word_state(word) == HGI_HALF_OPEN;
    struct hg_breaker_snapshot now = {
        .size = snapshot->size < sizeof now ? snapshot->size : sizeof now,
        .state = hgi_public_state(word),
        .generation = hgi_word_generation(word),
        .streak = hgi_word_streak(word),
        .failures_in_a_row = hgi_word_state(word) == HGI_CLOSED ? hgi_word_failures(word) : 0,
        .probes_issued = half_open ? hgi_word_issued(word) - begins : 0,
        .probes_succeeded = half_open ? hgi_word_succeeded(word) : 0,
        .retry_after_ns = hgi_machine_retry_after(&breaker->machine, word, peek.now_ns),
        .admitted = sum(breaker, HGI_COUNT_ADMITTED),
        .refused = sum(breaker, HGI_COUNT_REFUSED),
        .succeeded = sum(breaker, HGI_COUNT_SUCCEEDED),
        .failed = sum(breaker, HGI_COUNT_FAILED),
        .slow = sum(breaker, HGI_COUNT_SLOW),
        .late = sum(breaker, HGI_COUNT_LATE),
        .cancelled = sum(breaker, HGI_COUNT_CANCELLED),
        .probes = sum(breaker, HGI_COUNT_PROBES),
        /* relaxed: shown, not acted on. */
        .transitions = atomic_load_explicit(&breaker->transitions, memory_order_relaxed),
        .opened = atomic_load_explicit(&breaker->opened, memory_order_relaxed),
    };
    memcpy(snapshot, &now, now.size);
}

void hg_breaker_read_options(hg_breaker *breaker, struct hg_breaker_options *options)
{
    const struct hgi_local *local = hgi_local_of(breaker);
    struct hg_breaker_options held = local->options;
    if (local->shared)
        hgi_segment_options((const struct hgi_segment *)breaker, &held);
    held.size = options->size < sizeof held ? options->size : sizeof held;
    memcpy(options, &held, held.size);
}

hg_status hg_breaker_listen(hg_breaker *breaker, hg_breaker_listener_fn fn, void *arg,
                            struct hg_error *err)
{
    if (!breaker)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "hg_breaker_listen: breaker is NULL; a pool whose policy has "
                             "breaker.enabled false has none");
    return hgi_events_listen(&hgi_local_of(breaker)->events, fn, arg, err);
}

void hg_breaker_unlisten(hg_breaker *breaker, hg_breaker_listener_fn fn, void *arg)
{
    if (breaker)
        hgi_events_unlisten(&hgi_local_of(breaker)->events, fn, arg);
}
