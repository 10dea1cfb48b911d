/* A process that shares a breaker is killed with SIGKILL at a random moment, again and again: the others
 * go on, and what is promised of the breaker holds.
 *
 * PROCESSES children call as fast as they can, on one clock that they all move, so that all states are
 * passed thousands of times. Each round kills one of them and begins another; a round is over when
 * every one has made calls since. Two acts:
 *
 *     calls    probes out at once are counted by generation, and the breaker's counters are held
 *              against what the processes began and ended; and one is killed that has all the probes
 *     names    processes also unlink the breaker, so that it is made, left and opened anew all the time;
 *              and one is killed over it while the others do nothing but call: all meet in one breaker
 *
 * HERDGATE_SEED repeats the choices; HERDGATE_ROUNDS sets the rounds, HERDGATE_LONG=1 makes them many. An
 * act ends early, and says so, where its rounds take too long: HERDGATE_SECONDS. Who is not through after
 * HERDGATE_PATIENCE seconds is wedged.
 */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "tests/breaker/shared_fixture.h"

#define NAME "/kill"

enum { PROCESSES = 8, MAX_CALLS = 3, GENERATIONS = 65536, CALLS_A_ROUND = 64 };

/* In these of each, the clock moves on by more than an open period. */
enum { CALLS_OF_A_PERIOD = 4096 };

/* Probes are counted by generation, which comes round. A turn ends with all children killed and the counts
 * cleared, after TURN_ENDS transitions; after TURN_HOLDS children make none, should that be late. */
enum { TURN_ENDS = 20000, TURN_HOLDS = 60000 };

/* What the processes share besides the breaker; no pointer in it is of one of them alone. */
struct common {
    struct test_clock now;
    _Atomic uint64_t begun[PROCESSES];    /* written by the child of the place: calls of admit */
    _Atomic uint64_t admitted[PROCESSES]; /* ... that were admitted */
    _Atomic uint64_t retired;             /* written by children: unlinks that worked */
    _Atomic bool quiet;                   /* written by the parent: children do nothing but call */
    _Atomic bool is_there;                /* written by a child that shall be killed there */
    _Atomic uint32_t
        first; /* written by the parent, when no child lives: the turn's first generation */
    _Atomic int32_t probes_out[GENERATIONS];
};

static struct shared_folder folder;
static struct common *common;
static struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
static bool names; /* the second act */

/* --- a child --- */

struct heard {
    bool inside;
    bool began;
    uint32_t generation;
};

/* Each generation at most once, in order, and what is missed adds up. */
static void hear(void *arg, const struct hg_breaker_event *event)
{
    struct heard *heard = arg;
    REQUIRE(!heard->inside);
    heard->inside = true;
    uint32_t steps = (event->generation - heard->generation) & HGI_GENERATION_MAX;
    if (heard->began && !names) {
        REQUIRE(((event->missed + 1) & HGI_GENERATION_MAX) == steps);
        REQUIRE(event->elsewhere || event->from != event->to || event->to == HG_BREAKER_CLOSED);
    }
    heard->generation = event->generation;
    heard->began = true;
    heard->inside = false;
}

static void probe_comes(uint32_t generation)
{
    int32_t before = atomic_fetch_add(&common->probes_out[generation], 1);
    REQUIRE(names || before < MAX_CALLS);
}

static void call(hg_breaker *breaker, uint32_t place, uint64_t choice)
{
    hg_permit permit;
    atomic_fetch_add(&common->begun[place], 1);
    if (!hg_breaker_admit(breaker, &permit))
        return;
    atomic_fetch_add(&common->admitted[place], 1);
    uint32_t generation = hgi_word_generation(permit.opaque);
    if (hgi_permit_is_probe(permit)) {
        probe_comes(generation);
        if (choice % 16 == 7)
            return; /* lost: its place stays taken until the lease ends */
        atomic_fetch_sub(&common->probes_out[generation], 1);
    }
    switch (choice >> 32 & 7) {
    case 0:
        hg_breaker_cancel(breaker, permit);
        break;
    case 1:
    case 2:
        hg_breaker_report(breaker, permit, HG_RESULT_FAILURE, 0);
        break;
    default:
        hg_breaker_report(breaker, permit, HG_RESULT_SUCCESS, 0);
    }
}

/* How many transitions of this turn the process has met. */
static uint32_t turn_of(hg_breaker *breaker)
{
    uint64_t seen = atomic_load(&hgi_local_of(breaker)->events.seen);
    return (uint32_t)(seen - atomic_load(&common->first)) & HGI_GENERATION_MAX;
}

/* Never returns: it is killed. */
_Noreturn static void live(uint32_t place, uint64_t random)
{
    struct hg_error err = HG_ERROR_INIT;
    for (;;) {
        struct heard heard = { 0 };
        hg_breaker *breaker;
        hg_status status = hgi_shared_open(&breaker, NAME, &options, &folder.how, &err);
        if (status < 0)
            fprintf(stderr, "%s\n", err.message);
        REQUIRE(status == HG_OK);
        REQUIRE(hg_breaker_listen(breaker, hear, &heard, NULL) == HG_OK);
        for (;;) {
            uint64_t choice = test_random(&random);
            bool quiet = atomic_load(&common->quiet);
            bool held = !names && turn_of(breaker) > TURN_HOLDS;
            if (choice % 128 == 0 && !held)
                test_clock_pass(&common->now, (int64_t)(choice >> 8) % (2 * HGI_NS_PER_MS));
            call(breaker, place, choice);
            if ((choice >> 40) % 64 == 5)
                sched_yield();
            if ((choice >> 40) % 4096 == 7 && !held && !quiet)
                hg_breaker_reset(breaker);
            if (names && !quiet && (choice >> 40) % 1024 == 9 &&
                hgi_shared_unlink(folder.path, NAME, NULL) == HG_OK)
                atomic_fetch_add(&common->retired, 1);
            if (!quiet && (choice >> 40) % 2048 == 11)
                break; /* opens it anew */
        }
        hg_breaker_free(breaker);
    }
}

/* --- the parent --- */

static pid_t children[PROCESSES];

static void begin_child(uint32_t place, uint64_t random)
{
    fflush(NULL);
    children[place] = fork();
    REQUIRE(children[place] >= 0);
    if (children[place] > 0)
        return;
    REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    live(place, random);
}

static void kill_child(uint32_t place)
{
    int status;
    REQUIRE(kill(children[place], SIGKILL) == 0);
    while (waitpid(children[place], &status, 0) < 0)
        REQUIRE(errno == EINTR);
    /* One that had ended by itself found that something does not hold, and has said what. */
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void nobody_has_ended(void)
{
    int status;
    REQUIRE(waitpid(-1, &status, WNOHANG) == 0);
}

static int64_t patience_ns; /* more than any machine needs */

static void note_calls(uint64_t *since)
{
    for (uint32_t i = 0; i < PROCESSES; i++)
        since[i] = atomic_load(&common->begun[i]);
}

/* Until every child has made so many calls since `since`. */
static void wait_for_all(const uint64_t *since, uint64_t calls)
{
    int64_t limit_ns = hgi_now_ns() + patience_ns;
    for (uint32_t i = 0; i < PROCESSES;) {
        if (atomic_load(&common->begun[i]) >= since[i] + calls) {
            i++;
            continue;
        }
        nobody_has_ended();
        REQUIRE(hgi_now_ns() < limit_ns); /* one is wedged */
        hgi_sleep_until(hgi_now_ns() + 100 * HGI_NS_PER_US);
    }
}

static void one_round(uint64_t *random)
{
    uint64_t since[PROCESSES];
    uint64_t choice = test_random(random);
    uint32_t place = (uint32_t)(choice % PROCESSES);
    hgi_sleep_until(hgi_now_ns() + (int64_t)(choice >> 16) % HGI_NS_PER_MS);
    kill_child(place);
    note_calls(since);
    begin_child(place, test_random(random));
    wait_for_all(since, CALLS_A_ROUND);
}

/* A child of its own, which says when it is there, and is killed `later_ns` after that. */
static void kill_there(void (*goes_there)(void), int64_t later_ns)
{
    int status;
    int64_t limit_ns = hgi_now_ns() + patience_ns;
    atomic_store(&common->is_there, false);
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        goes_there();
        for (;;)
            pause();
    }
    while (!atomic_load(&common->is_there)) {
        REQUIRE(hgi_now_ns() < limit_ns);
        sched_yield();
    }
    hgi_sleep_until(hgi_now_ns() + later_ns);
    REQUIRE(kill(child, SIGKILL) == 0);
    while (waitpid(child, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Every child's calls are refused once one process has forced the breaker open. One that is yet to find
 * the name's new segment may take a while. */
static void all_meet_in_one_breaker(void)
{
    uint64_t since[PROCESSES];
    uint64_t before[PROCESSES];
    int64_t limit_ns = hgi_now_ns() + patience_ns;
    hg_breaker *breaker = shared_opened(&folder, NAME, &options);
    hg_breaker_force_open(breaker);
    for (bool met = false; !met;) {
        REQUIRE(hgi_now_ns() < limit_ns); /* some call in another one */
        note_calls(since);
        for (uint32_t i = 0; i < PROCESSES; i++)
            before[i] = atomic_load(&common->admitted[i]);
        wait_for_all(since, CALLS_OF_A_PERIOD);
        met = true;
        for (uint32_t i = 0; i < PROCESSES; i++)
            met = met && atomic_load(&common->admitted[i]) == before[i];
    }
    hg_breaker_reset(breaker);
    hg_breaker_free(breaker);
}

static void remove_the_name(void)
{
    atomic_store(&common->is_there, true);
    hgi_shared_unlink(folder.path, NAME, NULL);
}

static void one_is_killed_that_removes_the_name(uint64_t *random)
{
    uint64_t since[PROCESSES];
    atomic_store(&common->quiet, true);
    note_calls(since);
    wait_for_all(since, CALLS_A_ROUND); /* what they were at is done */
    kill_there(remove_the_name, (int64_t)(test_random(random) % (50 * HGI_NS_PER_US)));
    all_meet_in_one_breaker();
    atomic_store(&common->quiet, false);
}

/* The word is legal at any moment, and the settings are what they were. Gives its generation. */
static uint32_t check_segment(void)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_breaker_options found;
    struct hgi_segment *segment = shared_segment(&folder, NAME);
    hg_status status = hgi_segment_check(segment, hgi_time_namespace(), &found, &err);
    if (status < 0)
        fprintf(stderr, "the segment %s\n", err.message);
    REQUIRE(status == HG_OK);
    uint32_t generation = hgi_word_generation(atomic_load(&segment->breaker.word));
    munmap(segment, sizeof *segment);
    return generation;
}

static void begin_all(uint64_t *random)
{
    uint64_t since[PROCESSES];
    note_calls(since);
    for (uint32_t i = 0; i < PROCESSES; i++)
        begin_child(i, test_random(random));
    wait_for_all(since, CALLS_A_ROUND);
}

static void kill_all(void)
{
    for (uint32_t i = 0; i < PROCESSES; i++)
        kill_child(i);
}

/* With no child alive. */
static void begin_turn(uint32_t generation)
{
    for (uint32_t i = 0; i < GENERATIONS; i++)
        atomic_store(&common->probes_out[i], 0);
    atomic_store(&common->first, generation);
}

/* The rounds; how many children were killed in them. */
static uint64_t play(uint64_t rounds, int64_t limit_ns, uint64_t *done, uint64_t *random)
{
    uint64_t killed = 0;
    int64_t began_ns = hgi_now_ns();
    begin_all(random);
    for (*done = 0; *done < rounds && hgi_now_ns() - began_ns < limit_ns; ++*done) {
        one_round(random);
        killed++;
        if (names) {
            if (*done % 8 == 7)
                one_is_killed_that_removes_the_name(random);
            continue;
        }
        uint32_t generation = check_segment();
        if (((generation - atomic_load(&common->first)) & HGI_GENERATION_MAX) > TURN_ENDS) {
            kill_all();
            killed += PROCESSES;
            begin_turn(check_segment());
            begin_all(random);
        }
    }
    kill_all();
    return killed + PROCESSES;
}

/* Counters never exceed the truth: between what was ended and what was begun. */
static struct hg_breaker_snapshot check_counters(hg_breaker *breaker, uint64_t killed)
{
    struct hg_breaker_snapshot now = { .size = sizeof now };
    uint64_t begun = 0, admitted = 0;
    hg_breaker_take_snapshot(breaker, &now);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        begun += atomic_load(&common->begun[i]);
        admitted += atomic_load(&common->admitted[i]);
    }
    REQUIRE(now.admitted <= begun && now.admitted + killed >= admitted);
    REQUIRE(now.admitted + now.refused <= begun);
    REQUIRE(now.admitted + now.refused + killed >= begun);
    REQUIRE(now.succeeded + now.failed + now.late + now.cancelled <= now.admitted + killed);
    REQUIRE(now.transitions + killed >= now.opened);
    return now;
}

/* Calls that go well close it. */
static void close_it(hg_breaker *breaker)
{
    for (int i = 0; hg_breaker_state_now(breaker) != HG_BREAKER_CLOSED; i++) {
        hg_permit permit;
        REQUIRE(i < 10000);
        test_clock_pass(&common->now, HGI_NS_PER_MS);
        if (hg_breaker_admit(breaker, &permit))
            hg_breaker_report(breaker, permit, HG_RESULT_SUCCESS, 0);
    }
}

static void it_closes_again(hg_breaker *breaker)
{
    close_it(breaker); /* whatever state the killed ones left */
    hg_breaker_reset(breaker);
    hg_breaker_trip(breaker);
    close_it(breaker);
}

static void take_all_probes(void)
{
    hg_breaker *breaker = shared_opened(&folder, NAME, &options);
    hg_breaker_trip(breaker);
    test_clock_pass(&common->now, hg_breaker_retry_after(breaker));
    for (int i = 0; i < MAX_CALLS; i++)
        REQUIRE(hgi_permit_is_probe(admitted(breaker)));
    atomic_store(&common->is_there, true);
}

static void one_is_killed_that_has_all_probes(hg_breaker *breaker)
{
    hg_permit permit;
    kill_there(take_all_probes, 0);
    REQUIRE(snapshot_of(breaker).probes_issued == MAX_CALLS);
    REQUIRE(!hg_breaker_admit(breaker, &permit));
    test_clock_pass(&common->now, options.probe_lease_ns + 2 * HGI_TICK_NS);
    REQUIRE(!hg_breaker_admit(breaker, &permit)); /* the lease is over: open once more */
    REQUIRE(hg_breaker_retry_after(breaker) > 0);
    close_it(breaker);
}

static void act(const char *title, bool with_names, uint64_t rounds, uint64_t *random)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    names = with_names;
    memset(common, 0, sizeof *common);
    atomic_store(&common->now.now_ns, 1000 * HGI_NS_PER_S);
    int64_t began_ns = hgi_now_ns();
    int64_t limit_ns =
        (int64_t)test_number("HERDGATE_SECONDS", test_rounds(40, 3600)) * HGI_NS_PER_S;
    REQUIRE(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err) == HG_OK);
    hg_breaker_free(breaker);
    begin_turn(check_segment());
    uint64_t done;
    uint64_t killed = play(rounds, limit_ns, &done, random);
    REQUIRE(done >= rounds / 50); /* however slow the machine */
    REQUIRE(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err) == HG_OK);
    struct hg_breaker_snapshot now = { .size = sizeof now };
    hg_breaker_take_snapshot(breaker, &now);
    if (!names) /* each that was killed may have been between a step and its count */
        now = check_counters(breaker, killed);
    uint64_t retired = atomic_load(&common->retired);
    REQUIRE(names ? retired > 0 : now.opened > 0 && now.probes > 0);
    it_closes_again(breaker);
    one_is_killed_that_has_all_probes(breaker);
    hg_breaker_free(breaker);
    REQUIRE(hgi_shared_unlink(folder.path, NAME, &err) == HG_OK);
    printf("%s: %" PRIu64 " of %" PRIu64 " rounds, %" PRIu64 " killed, %" PRIu64 " calls, %" PRIu64
           " transitions, %" PRIu64 " probes, %" PRIu64 " unlinked, %.1f s\n",
           title, done, rounds, killed, now.admitted + now.refused, now.transitions, now.probes,
           retired, (double)(hgi_now_ns() - began_ns) / 1e9);
    fflush(stdout);
}

int main(void)
{
    static const char *const nothing[] = { NULL };
    uint64_t random = test_seed();
    uint64_t rounds = test_number("HERDGATE_ROUNDS", test_rounds(1000, 50000));
    patience_ns = (int64_t)test_number("HERDGATE_PATIENCE", 120) * HGI_NS_PER_S;
    void *memory =
        mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    common = memory;
    options.half_open_max_calls = MAX_CALLS;
    options.failure_threshold = 3;
    options.recovery_timeout_ns = 10 * HGI_NS_PER_MS;
    options.recovery_timeout_max_ns = 100 * HGI_NS_PER_MS;
    options.probe_lease_ns = 50 * HGI_NS_PER_MS;
    options.window_length_ns = HGI_NS_PER_S;
    shared_folder_make(&folder);
    folder.how.clock = test_clock_now;
    folder.how.clock_arg = &common->now;
    act("calls", false, rounds, &random);
    act("names", true, rounds / 4 + 1, &random);
    shared_folder_remove(&folder, nothing);
    return 0;
}
