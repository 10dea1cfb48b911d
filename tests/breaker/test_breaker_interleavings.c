/* Every interleaving of two and of three threads over the shell's own loops: breaker.c and events.c as
 * they are, with a scheduler at each of their atomic operations (interleave.h).
 *
 * From several states, with each combination of what a caller can do. Each operation takes effect at one
 * moment, as the machine says (judge.h); no more probes are out than may be; each transition is told
 * once and in order, and no telling inside another. What is explored is sequentially consistent: that
 * the orders of memory are strong enough is for test_breaker_orders, ThreadSanitizer and check_order_tags.
 *
 *     HERDGATE_LONG=1      all choices instead of some of them, for hours
 */
#include <string.h>

#include "breaker/core.h"
#include "tests/breaker/fixture.h"
#include "tests/breaker/interleave.h"
#include "tests/breaker/judge.h"
#include "tests/breaker/scheduler.h"

#undef calloc
#undef free

enum act {
    CALL_WELL, /* admit, and if it may, report */
    CALL_ILL,
    CALL_CANCEL,
    CALL_LOST, /* admit, and never report */
    CALL_BLOCKING /* admit, but not as a probe; fails */,
    HELD_WELL, /* report a probe that was out at the beginning */
    HELD_ILL,
    HELD_CANCEL,
    LATE_WELL, /* report a call of an earlier generation */
    LATE_ILL,
    TRIP,
    RESET,
    FORCE_OPEN,
    PASS, /* time: as long as an open period, or a lease, lasts */
    ACTS
};

static const char *const act_names[ACTS] = { "well",      "ill",       "cancel",   "lost",
                                             "blocking",  "held well", "held ill", "held cancel",
                                             "late well", "late ill",  "trip",     "reset",
                                             "force",     "pass" };

enum start { CLOSED_NEAR, OPEN_EARLY, OPEN_DUE, HALF_OPEN, LEASE_OVER, STARTS };

static const char *const start_names[STARTS] = { "closed, a failure short of opening",
                                                 "open, not yet due", "open and due",
                                                 "half-open, probes out", "half-open, lease over" };

enum { ACTS_EACH = 2, MAX_CALLS = 2, GENERATIONS = 16 };

#define SPAN_NS (5 * HGI_TICK_NS)

struct heard {
    uint64_t count;
    struct hg_breaker_event last;
    bool inside;
};

/* What a run begins with. */
static hg_breaker *breaker;
static struct {
    enum start start;
    uint32_t acts; /* of each thread */
    enum act act[SCHEDULER_THREADS][ACTS_EACH];
    hg_permit held[SCHEDULER_THREADS]; /* 0: none */
    hg_permit late[SCHEDULER_THREADS];
    int32_t out; /* probes of the generation that it begins in */
    int64_t now_ns;
    struct heard heard;
    bool time_passes;
    bool telling; /* the ways of the events are explored too, and not taken as one step each */
    unsigned char image[sizeof(struct hgi_local) + sizeof(struct hg_breaker)];
} given;

/* What a run makes. */
static _Atomic int64_t now_ns;
static struct heard heard;
static uint32_t threads;
static uint32_t act_at[SCHEDULER_THREADS];
static int32_t probes_out[GENERATIONS];

static void describe(void)
{
    fprintf(stderr, "from %s:\n", start_names[given.start]);
    for (uint32_t t = 0; t < threads; t++) {
        fprintf(stderr, "  thread %u:", t);
        for (uint32_t i = 0; i < given.acts; i++)
            fprintf(stderr, " %s%s", i == act_at[t] ? "> " : "", act_names[given.act[t][i]]);
        fprintf(stderr, "\n");
    }
}

/* In the place of cells.c, whose cells are those of real threads. */
struct hgi_cell hgi_cell_mine(uint32_t own)
{
    (void)own;
    return (struct hgi_cell) { scheduler_thread(), 1 };
}

uint32_t hgi_cells_used(uint32_t own)
{
    (void)own;
    return SCHEDULER_THREADS;
}

static int64_t read_clock(void *arg)
{
    (void)arg;
    hgi_interleave_point(&now_ns);
    int64_t read_ns = now_ns;
    hgi_interleave_loaded((uint64_t)read_ns);
    judge_clock(hgi_tick(read_ns));
    return read_ns;
}

static void hear(void *arg, const struct hg_breaker_event *event)
{
    (void)arg;
    MUST(!heard.inside);
    heard.inside = true;
    MUST(event->missed == 0 && !event->elsewhere);
    MUST(event->generation == ((heard.last.generation + 1) & HGI_GENERATION_MAX));
    MUST(event->from == heard.last.to);
    heard.last = *event;
    heard.count++;
    heard.inside = false;
}

/* --- operations --------------------------------------------------------------------------------- */

static int32_t *out_with(hg_permit permit)
{
    return &probes_out[permit.opaque >> HGI_GENERATION_SHIFT & (GENERATIONS - 1)];
}

/* `permit`: what an admission gave. */
static void end(uint64_t permit)
{
    judge_end(permit);
    /* What follows depends on how far it is and on what it holds. */
    scheduler_forget(scheduler_mix(permit, act_at[scheduler_thread()] + 1));
}

static hg_permit ask(bool plain)
{
    hg_permit permit = { 0 };
    judge_begin(plain ? HGI_ADMIT_PLAIN : HGI_ADMIT, permit);
    bool admitted = hgi_breaker_admit(breaker, plain ? HGI_ADMIT_NO_PROBE : 0, &permit);
    MUST(admitted == (permit.opaque != 0));
    end(permit.opaque);
    if (hgi_permit_is_probe(permit)) {
        (*out_with(permit))++;
        MUST(*out_with(permit) <= MAX_CALLS);
    }
    return permit;
}

static void give_back(hg_permit permit, enum hgi_event event)
{
    if (permit.opaque == 0)
        return;
    if (hgi_permit_is_probe(permit))
        (*out_with(permit))--;
    judge_begin(event, permit);
    if (event == HGI_CANCEL)
        hg_breaker_cancel(breaker, permit);
    else
        hg_breaker_report(breaker, permit,
                          event == HGI_SUCCESS ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE, 0);
    end(0);
}

static void command(enum hgi_event event, void (*give)(hg_breaker *))
{
    judge_begin(event, (hg_permit) { 0 });
    give(breaker);
    end(0);
}

static void pass_time(void)
{
    hgi_interleave_point(&now_ns);
    now_ns += SPAN_NS;
}

static void act(uint32_t thread, enum act what)
{
    switch (what) {
    case CALL_WELL:
        give_back(ask(false), HGI_SUCCESS);
        break;
    case CALL_ILL:
        give_back(ask(false), HGI_FAILURE);
        break;
    case CALL_CANCEL:
        give_back(ask(false), HGI_CANCEL);
        break;
    case CALL_LOST:
        ask(false);
        break;
    case CALL_BLOCKING:
        give_back(ask(true), HGI_FAILURE);
        break;
    case HELD_WELL:
        give_back(given.held[thread], HGI_SUCCESS);
        break;
    case HELD_ILL:
        give_back(given.held[thread], HGI_FAILURE);
        break;
    case HELD_CANCEL:
        give_back(given.held[thread], HGI_CANCEL);
        break;
    case LATE_WELL:
        give_back(given.late[thread], HGI_SUCCESS);
        break;
    case LATE_ILL:
        give_back(given.late[thread], HGI_FAILURE);
        break;
    case TRIP:
        command(HGI_TRIP_NOW, hg_breaker_trip);
        break;
    case RESET:
        command(HGI_RESET, hg_breaker_reset);
        break;
    case FORCE_OPEN:
        command(HGI_FORCE_OPEN, hg_breaker_force_open);
        break;
    default:
        pass_time();
    }
}

/* --- a run --------------------------------------------------------------------------------------- */

static void begin_run(void)
{
    memcpy(hgi_local_of(breaker), given.image, sizeof given.image);
    memset(probes_out, 0, sizeof probes_out);
    memset(act_at, 0, sizeof act_at);
    judge_begin_run(breaker, threads, describe);
    probes_out[hgi_word_generation(breaker->word) & (GENERATIONS - 1)] = given.out;
    now_ns = given.now_ns;
    heard = given.heard;
}

static void run_thread(uint32_t thread)
{
    for (; act_at[thread] < given.acts; act_at[thread]++)
        act(thread, given.act[thread][act_at[thread]]);
}

static uint64_t shared_now(void)
{
    const unsigned char *bytes = (const unsigned char *)hgi_local_of(breaker);
    uint64_t hash = scheduler_mix((uint64_t)now_ns, heard.last.generation);
    for (size_t i = 0; i < sizeof given.image; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = scheduler_mix(hash, word);
    }
    return judge_hash(hash);
}

static bool is_point(const volatile void *address)
{
    const struct hgi_events *events = &hgi_local_of(breaker)->events;
    if (address == &events->pushed || address == &events->makers || address == &events->work ||
        address == &events->seen)
        return given.telling;
    return address == &breaker->word || (address == &now_ns && given.time_passes);
}

/* Its additions are for who loads it. */
static bool is_count(const volatile void *address)
{
    return address == &hgi_local_of(breaker)->events.makers;
}

static void end_run(void)
{
    MUST(heard.last.generation == hgi_word_generation(breaker->word));
    MUST(heard.count == breaker->transitions);
    MUST(hgi_local_of(breaker)->events.makers == 0 && hgi_local_of(breaker)->events.work == 0);
}

/* --- what runs begin with -------------------------------------------------------------------------- */

static hg_permit admitted(void)
{
    hg_permit permit;
    REQUIRE(hg_breaker_admit(breaker, &permit));
    return permit;
}

static void new_breaker(void)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.failure_threshold = 2;
    options.half_open_max_calls = MAX_CALLS;
    options.success_threshold = MAX_CALLS;
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = 3 * HGI_TICK_NS;
    options.recovery_jitter = 0;
    options.probe_lease_ns = 3 * HGI_TICK_NS;
    options.seed = 1;
    options.count_calls = true;
    REQUIRE(hgi_breaker_new_with_clock(&breaker, &options, read_clock, NULL, NULL) == HG_OK);
    REQUIRE(hg_breaker_listen(breaker, hear, NULL, NULL) == HG_OK);
}

static void prepare(enum start start)
{
    memset(&given, 0, sizeof given);
    memset(&heard, 0, sizeof heard);
    given.start = start;
    now_ns = 1000 * HGI_NS_PER_S;
    new_breaker();
    for (uint32_t t = 0; t < SCHEDULER_THREADS; t++)
        given.late[t] = admitted();
    hg_breaker_reset(breaker);
    hg_breaker_report(breaker, admitted(), HG_RESULT_FAILURE, 0);
    if (start != CLOSED_NEAR)
        hg_breaker_report(breaker, admitted(), HG_RESULT_FAILURE, 0);
    if (start > OPEN_EARLY)
        now_ns += SPAN_NS;
    if (start >= HALF_OPEN)
        for (given.out = 0; given.out < MAX_CALLS; given.out++)
            given.held[given.out] = admitted();
    if (start == LEASE_OVER)
        now_ns += SPAN_NS;
    given.now_ns = now_ns;
    given.heard = heard;
    memcpy(given.image, hgi_local_of(breaker), sizeof given.image);
}

/* Whether it can be done at all from there. */
static bool is_apt(enum start start, uint32_t thread, enum act what)
{
    bool held = what == HELD_WELL || what == HELD_ILL || what == HELD_CANCEL;
    return !held || (start >= HALF_OPEN && thread < MAX_CALLS);
}

/* --- all of them ------------------------------------------------------------------------------------ */

static const struct schedule all_runs = { .begin = begin_run,
                                          .thread = run_thread,
                                          .shared = shared_now,
                                          .is_point = is_point,
                                          .is_count = is_count,
                                          .stepped = judge_stepped,
                                          .end = end_run };

/* The program of number `program` among ACTS or ACTS squared, for one thread. */
static bool write_program(uint32_t thread, uint64_t program)
{
    bool apt = true;
    for (uint32_t i = 0; i < given.acts; i++, program /= ACTS) {
        given.act[thread][i] = (enum act)(program % ACTS);
        given.time_passes |= given.act[thread][i] == PASS;
        apt = apt && is_apt(given.start, thread, given.act[thread][i]);
    }
    return apt;
}

/* Write the programs of all threads by their number among all choices. */
static bool write_programs(uint64_t programs, uint64_t choice)
{
    uint64_t before = 0;
    given.time_passes = false;
    for (uint32_t t = 0; t < threads; t++, choice /= programs) {
        /* Threads are alike but for what they hold: one of each two orders is enough. */
        if (choice % programs < before || !write_program(t, choice % programs))
            return false;
        before = choice % programs;
    }
    return true;
}

/* Explore every `stride`th choice of programs of so many acts for so many threads, from every start. */
static void explore_all(uint32_t count, uint32_t acts, bool telling, uint64_t stride)
{
    struct schedule schedule = all_runs;
    struct explored explored = { 0 };
    uint64_t programs = 1;
    uint64_t choices = 1;
    uint64_t apt = 0;
    schedule.threads = threads = count;
    for (uint32_t i = 0; i < acts; i++)
        programs *= ACTS;
    for (uint32_t t = 0; t < threads; t++)
        choices *= programs;
    for (int start = 0; start < STARTS; start++) {
        prepare((enum start)start);
        given.acts = acts;
        given.telling = telling;
        uint64_t chosen = 0;
        for (uint64_t choice = 0; choice < choices; choice++) {
            if (!write_programs(programs, choice) || chosen++ % stride != 0)
                continue;
            scheduler_explore(&schedule, &explored);
            apt++;
        }
        hg_breaker_free(breaker);
    }
    printf("%u threads, %u act%s each, %s: %llu programs, %llu states, %llu steps, %llu runs "
           "checked\n",
           threads, acts, acts == 1 ? "" : "s", telling ? "events apart" : "the word alone",
           (unsigned long long)apt, (unsigned long long)explored.states,
           (unsigned long long)explored.steps, (unsigned long long)explored.runs);
    fflush(stdout);
    REQUIRE(apt > 0 && explored.runs >= apt && explored.states > explored.runs);
}

int main(void)
{
    explore_all(2, 1, true, 1);
    explore_all(2, 2, false, test_rounds(7, 1));
    explore_all(3, 1, false, 1);
    explore_all(3, 1, true, test_rounds(251, 1));
    explore_all(3, 2, false, test_rounds(50021, 101));
    return 0;
}
