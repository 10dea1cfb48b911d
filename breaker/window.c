/* The window's counting and judging; window.h has the layout.
 *
 * Adding is one load and one store in a cell with one writer, else a compare-and-exchange. Never
 * above the truth: a count is only ever read together with the bucket and generation that it was made
 * for, in one load. Bounds: `turn` comes round after 2^24 * 16 buckets, 310 days at the shortest
 * window, and a place that nobody wrote for all but the last day of them takes no count for that day; a
 * bucket's count saturates at 16,777,215 a thread.
 */
#include "breaker/window.h"

#include "breaker/machine.h"

enum { LIMIT_BITS = 20, LIMIT_MAX = (1 << LIMIT_BITS) - 1 };

/* So many turns are a clock that is behind, 29 hours at the shortest window; more are a place that was
 * written long ago, the turn having come round since. */
enum { BEHIND_TURNS_MAX = 1 << 16 };

static uint64_t bucket_at(const struct hgi_window *window, int64_t at_ns)
{
    return (uint64_t)at_ns / (uint64_t)window->bucket_ns;
}

/* The word of a bucket and generation with nothing counted. */
static uint64_t empty_word(uint32_t generation, uint64_t bucket)
{
    return ((uint64_t)generation << HGI_WINDOW_COUNT_BITS |
            (bucket / HGI_WINDOW_PLACES & HGI_WINDOW_COUNT_MAX))
           << HGI_WINDOW_COUNT_BITS;
}

static uint64_t label(uint64_t word)
{
    return word >> HGI_WINDOW_COUNT_BITS;
}

/* Whether `word` is of a later bucket, or of this one in a later generation: someone's clock or result
 * is behind, and must not undo what was counted since. */
static bool is_later(uint64_t word, uint64_t than)
{
    uint32_t turns = (uint32_t)(label(word) - label(than)) & HGI_WINDOW_COUNT_MAX;
    uint32_t generations = (uint32_t)((word >> 48) - (than >> 48)) & HGI_GENERATION_MAX;
    if (word == 0)
        return false;
    if (turns != 0)
        return turns <= BEHIND_TURNS_MAX;
    return generations != 0 && generations <= HGI_GENERATION_MAX / 2;
}

static void add(_Atomic uint64_t *place, uint64_t empty, bool alone)
{
    /* relaxed, here and below: the word is whole by itself, and nothing else is read with it. */
    uint64_t word = atomic_load_explicit(place, memory_order_relaxed);
    uint64_t next;
    do {
        if (label(word) == label(empty)) {
            if ((word & HGI_WINDOW_COUNT_MAX) == HGI_WINDOW_COUNT_MAX)
                return;
            next = word + 1;
        } else if (is_later(word, empty)) {
            return;
        } else {
            next = empty + 1;
        }
        if (alone) {
            atomic_store_explicit(place, next, memory_order_relaxed);
            return;
        }
    } while (!atomic_compare_exchange_weak_explicit(place, &word, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static void add_to(const struct hgi_window *window, struct hgi_window_counts *counts,
                   uint32_t generation, int64_t at_ns, bool alone)
{
    uint64_t bucket = bucket_at(window, at_ns);
    add(&counts->at[bucket % HGI_WINDOW_PLACES], empty_word(generation, bucket), alone);
}

void hgi_window_add_success(struct hgi_window *window, uint32_t generation, int64_t at_ns,
                            struct hgi_cell cell)
{
    add_to(window, &window->succeeded[cell.index], generation, at_ns, cell.alone != 0);
}

void hgi_window_add_failure(struct hgi_window *window, uint32_t generation, int64_t at_ns)
{
    add_to(window, &window->failed, generation, at_ns, false);
}

void hgi_window_add_slow(struct hgi_window *window, uint32_t generation, int64_t at_ns)
{
    add_to(window, &window->slow, generation, at_ns, false);
}

static uint64_t sum(const struct hgi_window_counts *counts, uint32_t generation, uint64_t bucket)
{
    uint64_t total = 0;
    for (uint64_t back = 0; back < HGI_WINDOW_BUCKETS && back <= bucket; back++) {
        uint64_t wanted = empty_word(generation, bucket - back);
        /* relaxed: see add(). */
        uint64_t word = atomic_load_explicit(&counts->at[(bucket - back) % HGI_WINDOW_PLACES],
                                             memory_order_relaxed);
        if (label(word) == label(wanted))
            total += word & HGI_WINDOW_COUNT_MAX;
    }
    return total;
}

struct hgi_window_sums hgi_window_sum(const struct hgi_window *window, uint32_t generation,
                                      int64_t at_ns)
{
    uint64_t bucket = bucket_at(window, at_ns);
    /* The bad ones first: a call that ends meanwhile can only make the rates look better. */
    struct hgi_window_sums sums = { .failed = sum(&window->failed, generation, bucket),
                                    .slow = sum(&window->slow, generation, bucket) };
    uint32_t used = hgi_cells_used(window->own_cells);
    for (uint32_t i = 0; i < used; i++)
        sums.succeeded += sum(&window->succeeded[i], generation, bucket);
    for (uint32_t i = 0; i < HGI_STRIPED_CELLS; i++)
        sums.succeeded += sum(&window->succeeded[window->own_cells + i], generation, bucket);
    return sums;
}

static bool reaches(uint64_t bad, uint64_t all, double rate)
{
    return (double)bad + 1e-9 >= rate * (double)all; /* 0.35 * 20 is a little more than 7 */
}

/* The fewest bad calls with which `rate` could be reached beside this many good ones, or some fewer. */
static uint64_t fewest(uint64_t good, double rate)
{
    double least = rate < 1 ? rate * (double)good / (1 - rate) : good > 0 ? LIMIT_MAX : 0;
    return least < LIMIT_MAX ? (uint64_t)least : LIMIT_MAX;
}

bool hgi_window_is_bad(struct hgi_window *window, uint32_t generation, int64_t at_ns)
{
    uint64_t bucket = bucket_at(window, at_ns);
    uint64_t when = (((uint64_t)at_ns >> 20) ^ (uint64_t)generation * 0x9e37) & 0xffffff;
    /* relaxed: a hint. If it is another thread's and old, a look is made too many or a millisecond
     * late. */
    uint64_t looked = atomic_load_explicit(&window->looked, memory_order_relaxed);
    if (looked >> 2 * LIMIT_BITS == when &&
        sum(&window->failed, generation, bucket) < (looked >> LIMIT_BITS & LIMIT_MAX) &&
        sum(&window->slow, generation, bucket) < (looked & LIMIT_MAX))
        return false;
    struct hgi_window_sums sums = hgi_window_sum(window, generation, at_ns);
    uint64_t all = sums.succeeded + sums.failed;
    if (all < window->min_calls)
        return false;
    if (reaches(sums.failed, all, window->failure_rate) ||
        (sums.slow > 0 && reaches(sums.slow, all, window->slow_rate)))
        return true;
    uint64_t quick = sums.slow < all ? all - sums.slow : 0;
    looked = when << 2 * LIMIT_BITS | fewest(sums.succeeded, window->failure_rate) << LIMIT_BITS |
             fewest(quick, window->slow_rate);
    atomic_store_explicit(&window->looked, looked, memory_order_relaxed);
    return false;
}

size_t hgi_window_size(uint32_t own_cells)
{
    return sizeof(struct hgi_window) +
           (own_cells + HGI_STRIPED_CELLS) * sizeof(struct hgi_window_counts);
}

void hgi_window_init(struct hgi_window *window, const struct hg_breaker_options *options,
                     uint32_t own_cells)
{
    window->bucket_ns = options->window_length_ns / HGI_WINDOW_BUCKETS;
    window->slow_ns = options->window_slow_call_ns > 0 ? options->window_slow_call_ns : INT64_MAX;
    window->min_calls = options->window_min_calls;
    window->own_cells = own_cells;
    window->failure_rate = options->window_failure_rate;
    window->slow_rate = options->window_slow_rate;
}
