/* Every interleaving of two and three threads that count failures and judge them in one place of the
 * window: window.c as it is, with a scheduler at its atomic operations (interleave.h).
 *
 * Some count for the bucket of now, some for one a turn earlier or for another generation, whose counts
 * lie in the same word. After each step the window says no more than was begun; in the end it says all
 * of what belongs to now, nothing having been lost; and nobody is told of a bad rate before there were
 * enough calls.
 *
 *     HERDGATE_LONG=1      two acts for each of three threads, too
 */
#include <string.h>

#include "breaker/window.h"
#include "tests/breaker/fixture.h"
#include "tests/breaker/interleave.h"
#include "tests/breaker/scheduler.h"

#undef calloc
#undef free

enum { ACTS_EACH = 2, MIN_CALLS = 3, GENERATION = 7 };

/* Each is a failure, counted and judged. */
enum act { OF_NOW, OF_NOW_UNJUDGED, OF_A_TURN_AGO, OF_LAST_GENERATION, ACTS };

static const char *const act_names[ACTS] = { "now", "now, unjudged", "a turn ago",
                                             "last generation" };

#define WINDOW_NS (10 * HGI_NS_PER_S)
#define NOW_NS (1000 * HGI_NS_PER_S)
#define TURN_NS (HGI_WINDOW_PLACES * WINDOW_NS / HGI_WINDOW_BUCKETS)

static struct hgi_window *window;
static uint32_t threads;
static uint32_t acts;
static enum act program[SCHEDULER_THREADS][ACTS_EACH];
static uint64_t begun[ACTS]; /* failures */

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    for (uint32_t t = 0; t < threads; t++)
        for (uint32_t i = 0; i < acts; i++)
            fprintf(stderr, "  thread %u: %s\n", t, act_names[program[t][i]]);
    scheduler_print();
    abort();
}

/* In the place of cells.c, whose cells are those of real threads. */
uint32_t hgi_cells_used(uint32_t own)
{
    return own;
}

static uint64_t now_begun(void)
{
    return begun[OF_NOW] + begun[OF_NOW_UNJUDGED];
}

static void begin_run(void)
{
    /* A turn ago something failed too. */
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.window_length_ns = WINDOW_NS;
    options.window_min_calls = MIN_CALLS;
    options.window_failure_rate = 1;
    memset(window, 0, hgi_window_size(1));
    hgi_window_init(window, &options, 1);
    hgi_window_add_failure(window, GENERATION, NOW_NS - TURN_NS);
    memset(begun, 0, sizeof begun);
}

static void act(enum act what)
{
    uint32_t generation = what == OF_LAST_GENERATION ? GENERATION - 1 : GENERATION;
    int64_t at_ns = what == OF_A_TURN_AGO ? NOW_NS - TURN_NS : NOW_NS;
    begun[what]++;
    hgi_window_add_failure(window, generation, at_ns);
    if (what == OF_NOW_UNJUDGED)
        return;
    if (hgi_window_is_bad(window, generation, at_ns) && what == OF_NOW && now_begun() < MIN_CALLS)
        fail("a bad rate of too few calls");
}

static void run_thread(uint32_t thread)
{
    for (uint32_t i = 0; i < acts; i++) {
        act(program[thread][i]);
        scheduler_forget(i + 1);
    }
}

static uint64_t shared_now(void)
{
    const unsigned char *bytes = (const unsigned char *)window;
    uint64_t hash = now_begun();
    for (size_t i = 0; i < hgi_window_size(1); i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = scheduler_mix(hash, word);
    }
    return hash;
}

static bool is_point(const volatile void *address)
{
    size_t place = (size_t)(NOW_NS / (WINDOW_NS / HGI_WINDOW_BUCKETS)) % HGI_WINDOW_PLACES;
    return address == &window->failed.at[place] || address == &window->looked;
}

static bool is_count(const volatile void *address)
{
    (void)address;
    return false;
}

/* What the word of now says, past the hooks: this is the scheduler looking. */
static uint64_t failed_now(void)
{
    size_t place = (size_t)(NOW_NS / (WINDOW_NS / HGI_WINDOW_BUCKETS)) % HGI_WINDOW_PLACES;
    uint64_t word = window->failed.at[place];
    uint64_t turn = (uint64_t)(NOW_NS / (WINDOW_NS / HGI_WINDOW_BUCKETS)) / HGI_WINDOW_PLACES;
    uint64_t empty = (uint64_t)GENERATION << 48 | turn << window->count_bits;
    return word - empty < 100 ? word - empty : 0;
}

static void stepped(void)
{
    if (failed_now() > now_begun())
        fail("more failures than there were");
}

static void end_run(void)
{
    if (failed_now() != now_begun())
        fail("a failure was lost");
}

static const struct schedule all_runs = { .begin = begin_run,
                                          .thread = run_thread,
                                          .shared = shared_now,
                                          .is_point = is_point,
                                          .is_count = is_count,
                                          .stepped = stepped,
                                          .end = end_run };

static void explore_all(uint32_t count, uint32_t acts_each)
{
    struct schedule schedule = all_runs;
    struct explored explored = { 0 };
    uint64_t choices = 1;
    schedule.threads = threads = count;
    acts = acts_each;
    for (uint32_t i = 0; i < threads * acts; i++)
        choices *= ACTS;
    for (uint64_t choice = 0; choice < choices; choice++) {
        uint64_t left = choice;
        for (uint32_t t = 0; t < threads; t++)
            for (uint32_t i = 0; i < acts; i++, left /= ACTS)
                program[t][i] = (enum act)(left % ACTS);
        scheduler_explore(&schedule, &explored);
    }
    printf("%u threads, %u act%s each: %llu programs, %llu states, %llu steps, %llu runs checked\n",
           threads, acts, acts == 1 ? "" : "s", (unsigned long long)choices,
           (unsigned long long)explored.states, (unsigned long long)explored.steps,
           (unsigned long long)explored.runs);
    fflush(stdout);
    REQUIRE(explored.runs >= choices);
}

int main(void)
{
    window = aligned_alloc(HGI_LINE, hgi_window_size(1));
    REQUIRE(window);
    explore_all(2, 1);
    explore_all(3, 1);
    explore_all(2, 2);
    if (test_number("HERDGATE_LONG", 0))
        explore_all(3, 2);
    free(window);
    return 0;
}
