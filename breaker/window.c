/* The window's counting and judging; window.h has the layout.
 *
 * Adding is one load and one store in a cell with one writer, else a compare-and-exchange. Never
 * above the truth: a count is only ever read together with the bucket and generation that it was made
 * for, in one load; nor below it. Bounds: a count is full after a call every 4 ns of its bucket's time,
 * which is less than a call takes, and stays full; `turn` comes round after 104 to 208 days, whatever
 * the window, and a place that nobody wrote for all but the last 256th of them takes no count for that.
 */
#include "breaker/window.h"

#include "breaker/machine.h"

enum { LIMIT_BITS = 20, LIMIT_MAX = (1 << LIMIT_BITS) - 1 };

enum { LABEL_BITS = 48, CALL_NS = 4 }; /* turn and count together; no call takes less */

static uint64_t bucket_at(const struct hgi_window *window, int64_t at_ns)
{
    return (uint64_t)at_ns / (uint64_t)window->bucket_ns;
}

/* The word of a bucket and generation with nothing counted. */
static uint64_t empty_word(const struct hgi_window *window, uint32_t generation, uint64_t bucket)
{
    uint64_t turn = bucket / HGI_WINDOW_PLACES << window->count_bits;
    return (uint64_t)generation << LABEL_BITS | (turn & ((UINT64_C(1) << LABEL_BITS) - 1));
}

/* The highest count; of a word, by what it differs in from the empty one of its bucket and generation,
 * and from that of any other bucket or generation by more. */
static uint64_t count_max(const struct hgi_window *window)
{
    return (UINT64_C(1) << window->count_bits) - 1;
}

/* Whether `word` is of a later bucket, or of this one in a later generation: someone's clock or result
 * is behind, and must not undo what was counted since. More than a 256th of all turns ahead is a place
 * that was written long ago, the turn having come round since. */
static bool is_later(const struct hgi_window *window, uint64_t word, uint64_t than)
{
    uint64_t turns_max = (UINT64_C(1) << (LABEL_BITS - window->count_bits)) - 1;
    uint64_t turns = ((word >> window->count_bits) - (than >> window->count_bits)) & turns_max;
    uint32_t generations =
        (uint32_t)((word >> LABEL_BITS) - (than >> LABEL_BITS)) & HGI_GENERATION_MAX;
    if (word == 0)
        return false;
    if (turns != 0)
        return turns <= turns_max / 256;
    return generations != 0 && generations <= HGI_GENERATION_MAX / 2;
}

static void add_to(const struct hgi_window *window, struct hgi_window_counts *counts,
                   uint32_t generation, int64_t at_ns, bool alone)
{
    uint64_t bucket = bucket_at(window, at_ns);
    uint64_t empty = empty_word(window, generation, bucket);
    _Atomic uint64_t *place = &counts->at[bucket % HGI_WINDOW_PLACES];
    /* relaxed, here and below: the word is whole by itself, and nothing else is read with it. */
    uint64_t word = atomic_load_explicit(place, memory_order_relaxed);
    uint64_t next;
    do {
        uint64_t count = word ^ empty;
        if (count < count_max(window))
            next = word + 1;
        else if (count == count_max(window) || is_later(window, word, empty))
            return;
        else
            next = empty + 1;
        if (alone) {
            atomic_store_explicit(place, next, memory_order_relaxed);
            return;
        }
    } while (!atomic_compare_exchange_weak_explicit(place, &word, next, memory_order_relaxed,
                                                    memory_order_relaxed));
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

static uint64_t sum(const struct hgi_window *window, const struct hgi_window_counts *counts,
                    uint32_t generation, uint64_t bucket)
{
    uint64_t total = 0;
    for (uint64_t back = 0; back < HGI_WINDOW_BUCKETS && back <= bucket; back++) {
        uint64_t wanted = empty_word(window, generation, bucket - back);
        /* relaxed: see add_to(). */
        uint64_t word = atomic_load_explicit(&counts->at[(bucket - back) % HGI_WINDOW_PLACES],
                                             memory_order_relaxed);
        if ((word ^ wanted) <= count_max(window))
            total += word ^ wanted;
    }
    return total;
}

struct hgi_window_sums hgi_window_sum(const struct hgi_window *window, uint32_t generation,
                                      int64_t at_ns)
{
    uint64_t bucket = bucket_at(window, at_ns);
    /* The bad ones first: a call that ends meanwhile can only make the rates look better. */
    struct hgi_window_sums sums = { .failed = sum(window, &window->failed, generation, bucket),
                                    .slow = sum(window, &window->slow, generation, bucket) };
    uint32_t used = hgi_cells_used(window->own_cells);
    for (uint32_t i = 0; i < used; i++)
        sums.succeeded += sum(window, &window->succeeded[i], generation, bucket);
    for (uint32_t i = 0; i < HGI_STRIPED_CELLS; i++)
        sums.succeeded +=
            sum(window, &window->succeeded[window->own_cells + i], generation, bucket);
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
        sum(window, &window->failed, generation, bucket) < (looked >> LIMIT_BITS & LIMIT_MAX) &&
        sum(window, &window->slow, generation, bucket) < (looked & LIMIT_MAX))
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
    window->count_bits = 0;
    for (int64_t calls = window->bucket_ns / CALL_NS; calls > 0; calls /= 2)
        window->count_bits++; /* 25 to 34 */
}
