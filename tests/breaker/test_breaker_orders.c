/* The orders of memory: threads on the memory model of C11 (weak_memory.h) over the breaker's code as it
 * is, in runs that chance chooses. What a processor does not show, and ThreadSanitizer does not see
 * because no plain memory hangs on it, is shown here: an order that is too weak breaks a promise.
 *
 *     HERDGATE_SEED=N      other runs; the same N makes the same ones
 *     HERDGATE_LONG=1      many more
 */
#include <stdarg.h>
#include <sys/syscall.h>

/* For what is static in it. NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "breaker/cells.c"
#include "tests/breaker/shared_fixture.h"
#include "tests/breaker/weak_memory.h"

#define NAME "/orders"

static uint64_t chance;

static void explore(const char *what, uint64_t runs, const struct weak_run *run,
                    void (*begin)(void), void (*end)(void))
{
    for (uint64_t i = 0; i < runs; i++) {
        begin();
        weak_run(run, &chance);
        end();
    }
    printf("%s: %llu runs\n", what, (unsigned long long)runs);
    fflush(stdout);
}

/* --- cells: whoever takes an index over goes on from its counts --- */

enum { LIVES = 3, COUNTS = 2 };

static struct hgi_counters cells[HGI_OWN_CELLS + HGI_STRIPED_CELLS];
static uint32_t mine_of[WEAK_THREADS]; /* `mine`, which is thread-local */

static void cells_begin(void)
{
    memset(cells, 0, sizeof cells);
    memset(mine_of, 0, sizeof mine_of);
    atomic_store_explicit(&taken, 0, memory_order_relaxed);
}

static void count_in_cells(uint32_t thread)
{
    (void)thread;
    for (int life = 0; life < LIVES; life++) {
        for (int i = 0; i < COUNTS; i++) {
            struct hgi_cell cell = hgi_cell_mine(HGI_OWN_CELLS);
            hgi_cell_add(&cells[cell.index].value[HGI_COUNT_FAILED], cell.alone);
        }
        thread_ends(NULL);
        mine = NOT_YET; /* the next one */
    }
}

static void take_mine(uint32_t thread)
{
    mine = mine_of[thread];
}

static void leave_mine(uint32_t thread)
{
    mine_of[thread] = mine;
}

static void cells_end(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        sum += cells[i].value[HGI_COUNT_FAILED];
    REQUIRE(sum == WEAK_THREADS * LIVES * COUNTS);
}

/* --- listeners: who comes, hears and leaves --- */

enum { READY = 7, VISITS = 2 };

static hg_breaker *breaker;

struct visitor {
    _Atomic uint32_t ready; /* written before it listens */
    _Atomic uint32_t heard; /* written by who delivers */
    bool gone;
};

static void visitor_hears(void *arg, const struct hg_breaker_event *event)
{
    struct visitor *visitor = arg;
    (void)event;
    REQUIRE(!visitor->gone);
    REQUIRE(atomic_load_explicit(&visitor->ready, memory_order_relaxed) == READY);
    uint32_t heard = atomic_load_explicit(&visitor->heard, memory_order_relaxed);
    atomic_store_explicit(&visitor->heard, heard + 1, memory_order_relaxed);
}

static struct visitor visitors[VISITS];

static void listeners_begin(void)
{
    REQUIRE(hg_breaker_new(&breaker, NULL, NULL) == HG_OK);
    memset(visitors, 0, sizeof visitors);
}

static void visit_or_tell(uint32_t thread)
{
    if (thread > 0) {
        hg_breaker_force_open(breaker);
        hg_breaker_reset(breaker);
        return;
    }
    for (int i = 0; i < VISITS; i++) {
        struct visitor *visitor = &visitors[i];
        atomic_store_explicit(&visitor->ready, READY, memory_order_relaxed);
        REQUIRE(hg_breaker_listen(breaker, visitor_hears, visitor, NULL) == HG_OK);
        hg_breaker_unlisten(breaker, visitor_hears, visitor);
        visitor->gone = true;
        /* What it did there is known here. */
        uint32_t known = atomic_load_explicit(&visitor->heard, memory_order_relaxed);
        REQUIRE(known == visitor->heard);
    }
}

static void listeners_end(void)
{
    hg_breaker_free(breaker);
}

static bool is_deliverer(const volatile void *address)
{
    return breaker && address == &hgi_local_of(breaker)->events.deliverer;
}

/* --- transitions: each is told once, in order, and what is missed adds up --- */

static struct shared_folder folder;
static struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
static uint32_t last; /* generation that was told */
static uint64_t told, told_as_own;
static uint64_t made, made_here;
static bool is_exchanged; /* the segment, in this run: its generation is another one then */

static void tally(void *arg, const struct hg_breaker_event *event)
{
    (void)arg;
    uint32_t steps = (event->generation - last) & HGI_GENERATION_MAX;
    if (is_exchanged)
        REQUIRE(event->missed == 0);
    else
        REQUIRE(event->missed + 1 == steps);
    last = event->generation;
    told += 1 + (uint64_t)event->missed;
    told_as_own += !event->elsewhere;
}

static void transitions_begin(void)
{
    told = told_as_own = made = made_here = last = 0;
    is_exchanged = false;
    breaker = shared_opened(&folder, NAME, &options);
    last = hgi_local_of(breaker)->events.last_order & HGI_GENERATION_MAX;
    REQUIRE(hg_breaker_listen(breaker, tally, NULL, NULL) == HG_OK);
}

/* As another process makes one. */
static void make_elsewhere(enum hgi_event event)
{
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
    struct hgi_step step;
    do
        step = hgi_machine_step(&breaker->machine, word, event, 0, 0);
    while (step.word != word &&
           !atomic_compare_exchange_strong_explicit(&breaker->word, &word, step.word,
                                                    memory_order_acq_rel, memory_order_acquire));
    made += step.word != word;
}

static void make_transitions(uint32_t thread)
{
    if (thread == 0) {
        make_elsewhere(HGI_FORCE_OPEN);
        make_elsewhere(HGI_RESET);
        return;
    }
    for (int i = 0; i < 2; i++) {
        hg_permit permit;
        hg_breaker_force_close(breaker);
        if (hg_breaker_admit(breaker, &permit))
            hg_breaker_cancel(breaker, permit);
        hg_breaker_disable(breaker);
    }
}

static void transitions_end(void)
{
    uint64_t here = atomic_load_explicit(&breaker->transitions, memory_order_relaxed);
    hg_breaker_state_now(breaker); /* whatever others did last is told */
    REQUIRE(told == made + here);
    REQUIRE(told_as_own == here);
    hg_breaker_free(breaker);
    shared_unlinked(&folder, NAME);
}

/* --- an exchange of the segment: what is made meanwhile is told once and is no gap --- */

/* The library's mremap() and munmap(): what they do, and that every thread knows it. */
void *remap(void *old, size_t old_size, size_t new_size, int flags, ...) __asm__("mremap");

void *remap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    void *wanted = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    long moved = syscall(SYS_mremap, old, old_size, new_size, flags, wanted);
    weak_forget(old, old_size);
    if (moved != -1)
        weak_remapped(wanted, new_size);
    return (void *)moved; /* NOLINT(performance-no-int-to-ptr) */
}

int unmap(void *from, size_t size) __asm__("munmap");

int unmap(void *from, size_t size)
{
    weak_forget(from, size);
    return (int)syscall(SYS_munmap, from, size);
}

/* In some runs somebody has made a successor already, and chance gave it the very generation. */
static void exchange_begin(void)
{
    transitions_begin();
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    shared_unlinked(&folder, NAME);
    is_exchanged = true;
    if (test_random(&chance) % 2 == 0)
        return;
    hg_breaker *successor = shared_opened(&folder, NAME, &options);
    atomic_store_explicit(&successor->word, word, memory_order_relaxed);
    hg_breaker_free(successor);
}

static void call_or_change(uint32_t thread)
{
    hg_permit permit;
    if (thread == 0) {
        hg_breaker_force_open(breaker);
        hg_breaker_reset(breaker);
    } else if (hg_breaker_admit(breaker, &permit)) {
        hg_breaker_cancel(breaker, permit);
    }
}

static void exchange_end(void)
{
    uint64_t here = atomic_load_explicit(&breaker->transitions, memory_order_relaxed);
    REQUIRE(told_as_own == here);
    REQUIRE(told <= here + 1); /* the new segment itself */
    REQUIRE(last ==
            hgi_word_generation(atomic_load_explicit(&breaker->word, memory_order_relaxed)));
    hg_breaker_free(breaker);
    shared_unlinked(&folder, NAME);
}

int main(void)
{
    static const char *const nothing[] = { NULL };
    const struct weak_run counting = { .threads = WEAK_THREADS,
                                       .thread = count_in_cells,
                                       .goes_on = take_mine,
                                       .gives_way = leave_mine };
    const struct weak_run listening = { .threads = WEAK_THREADS,
                                        .thread = visit_or_tell,
                                        .is_mark = is_deliverer };
    const struct weak_run making = { .threads = WEAK_THREADS,
                                     .thread = make_transitions,
                                     .is_mark = is_deliverer };
    const struct weak_run exchanging = { .threads = WEAK_THREADS,
                                         .thread = call_or_change,
                                         .is_mark = is_deliverer };
    uint64_t seed = test_number("HERDGATE_SEED", 1);
    uint64_t runs = test_rounds(2000, 1000000);
    printf("HERDGATE_SEED=%llu\n", (unsigned long long)seed);
    chance = seed;
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = 3600 * HGI_NS_PER_S;
    shared_folder_make(&folder);
    explore("cells", runs, &counting, cells_begin, cells_end);
    explore("listeners", runs, &listening, listeners_begin, listeners_end);
    explore("transitions", runs, &making, transitions_begin, transitions_end);
    explore("an exchange", 10 * runs, &exchanging, exchange_begin, exchange_end);
    shared_folder_remove(&folder, nothing);
    return 0;
}
