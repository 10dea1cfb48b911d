/* A run of breaker: many threads, each with a connection of its own, one breaker before all of them, and a
 * server that goes and comes back.
 *
 * The threads are of this process (breaker_callers.c), or of several that share the breaker (breaker_members.c),
 * one of which is killed in each outage and replaced. They note what they see (breaker_memory.c); what that adds
 * up to is judged afterwards, in breaker_judge.c. Here is who takes the server away, brings it back, and watches.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/breaker_memory.h"
#include "tools/stress/breaker_name.h"
#include "tools/stress/path.h"
#include "tools/stress/screen.h"
#include "tools/stress/stage.h"

#define TICK_NS (5 * NS_PER_MS)

struct load {
    struct hgi_breaker_results *results;
    struct hgi_path path; /* to the server, without a proxy */
    hg_breaker *breaker;
    struct hgi_breaker_name name; /* of a shared one */
    struct hgi_breaker_memory *memory;
    int file;                            /* of the memory; -1: it is not shared */
    uint32_t first;                      /* generation */
    struct hgi_breaker_callers *callers; /* NULL: they are in other processes, */
    struct hgi_breaker_members *members; /* which are these */
};

static bool is_shared(const struct hgi_breaker_settings *s)
{
    return s->processes > 1;
}

static bool is_closed(const struct load *load)
{
    return hg_breaker_state_now(load->breaker) == HG_BREAKER_CLOSED;
}

struct conductor {
    struct load *load;
    const atomic_bool *interrupted;
    struct hgi_screen screen;
    uint64_t random;
    int64_t kill_ns; /* when the next process is to be killed; INT64_MAX: none is */
    struct hgi_problem *problem;
};

static void show(struct conductor *c, int64_t now_ns)
{
    struct load *load = c->load;
    const struct hgi_breaker_results *r = load->results;
    const struct hgi_breaker_settings *s = &r->settings;
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    struct hgi_outage counts = hgi_breaker_memory_counts(load->memory);
    char state[64];
    hg_breaker_take_snapshot(load->breaker, &breaker);
    snprintf(state, sizeof state, "outage %" PRIu32 " of %" PRIu32, r->outage_count, s->outages);
    hgi_screen_show(&c->screen,
                    &(struct hgi_screen_view) {
                        .now_ns = now_ns,
                        .began_ns = r->stamp.began_ns,
                        .length_ns = s->calm_ns + s->outages * (s->calm_ns + s->outage_ns),
                        .what = "breaker",
                        .state = state,
                        .requests = counts.answered + counts.failed,
                        .answered = counts.answered,
                        .failed = counts.failed,
                        .breaker = &breaker,
                    });
}

static bool kill_one(struct conductor *c, int64_t now_ns)
{
    struct load *load = c->load;
    struct hgi_breaker_results *r = load->results;
    uint32_t which = random_below(&c->random, r->settings.processes);
    c->kill_ns = INT64_MAX;
    r->kill[r->kill_count++] = (struct hgi_kill) { .at_ns = now_ns - r->stamp.began_ns,
                                                   .process = which + 1,
                                                   .state = hg_breaker_state_now(load->breaker) };
    return hgi_breaker_members_kill(load->members, which, c->problem);
}

/* Of each 5 ms. False: interrupted, or *c->problem says. */
static bool tick(struct conductor *c, int64_t now_ns)
{
    struct load *load = c->load;
    /* relaxed: a flag that is polled. */
    if (atomic_load_explicit(c->interrupted, memory_order_relaxed))
        return false;
    if (load->callers)
        hgi_breaker_watch_look(&hgi_breaker_memory_log(load->memory, 0)->watch, load->breaker);
    if (load->members && !hgi_breaker_members_are_well(load->members, c->problem))
        return false;
    if (now_ns >= c->kill_ns && !kill_one(c, now_ns))
        return false;
    if (hgi_screen_due(&c->screen, now_ns))
        show(c, now_ns);
    return true;
}

/* Until then, or until it has been closed for a while if that is asked. False as above. */
static bool wait_until(struct conductor *c, int64_t until_ns, bool closed_suffices)
{
    const struct hgi_breaker_results *r = c->load->results;
    int64_t closed_ns = 0;
    for (int64_t now_ns = monotonic_ns(); now_ns < until_ns; now_ns = monotonic_ns()) {
        if (!tick(c, now_ns))
            return false;
        closed_ns = is_closed(c->load) ? closed_ns + TICK_NS : 0;
        if (closed_suffices && closed_ns >= r->settings.calm_ns)
            return true;
        sleep_until_ns(now_ns + TICK_NS);
    }
    return true;
}

/* One outage, and the time after it. False: *problem says, or it was interrupted. */
static bool outage(struct conductor *c, struct hgi_problem *problem)
{
    struct load *load = c->load;
    struct hgi_breaker_results *r = load->results;
    const struct hgi_breaker_settings *s = &r->settings;
    struct hgi_outage *outage = &r->outage[r->outage_count++];
    struct hgi_outage before = hgi_breaker_memory_counts(load->memory);
    int64_t down_ns = monotonic_ns();
    *outage = (struct hgi_outage) { .down_ns = down_ns - r->stamp.began_ns, .up_ns = -1 };
    hgi_path_down(&load->path, s->way);
    if (load->members)
        c->kill_ns = down_ns + (int64_t)(random_unit(&c->random) * (double)s->outage_ns);
    bool goes_on = wait_until(c, down_ns + s->outage_ns, false);
    bool well = hgi_path_up(&load->path, s->way, problem);
    int64_t up_ns = monotonic_ns();
    if (well)
        outage->up_ns = up_ns - r->stamp.began_ns;
    goes_on = well && goes_on && wait_until(c, up_ns + s->after_ns, true);
    struct hgi_outage after = hgi_breaker_memory_counts(load->memory);
    outage->answered = after.answered - before.answered;
    outage->failed = after.failed - before.failed;
    outage->refused = after.refused - before.refused;
    return goes_on;
}

static bool conduct(struct conductor *c, struct hgi_problem *problem)
{
    struct hgi_breaker_results *r = c->load->results;
    hgi_problem_set(problem, "%s", "");
    bool goes_on = wait_until(c, r->stamp.began_ns + r->settings.calm_ns, false);
    while (goes_on && r->outage_count < r->settings.outages)
        goes_on = outage(c, problem);
    r->stamp.interrupted = atomic_load_explicit(c->interrupted, memory_order_relaxed);
    return !problem->text[0];
}

/* The breaker, before anybody uses it; a shared one is made here, and has a name of the run's own. */
static bool open_breaker(struct load *load, struct hgi_problem *problem)
{
    const struct hgi_breaker_settings *s = &load->results->settings;
    struct hg_error err = HG_ERROR_INIT;
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    struct hgi_breaker_memory *memory = load->memory;
    hg_status status;
    if (is_shared(s)) {
        hgi_breaker_name_make(&load->name);
        snprintf(memory->name, sizeof memory->name, "%s", load->name.text);
        status = hg_breaker_open_shared(&load->breaker, memory->name, &s->breaker, &err);
    } else {
        status = hg_breaker_new(&load->breaker, &s->breaker, &err);
    }
    if (status < 0)
        return hgi_problem_set(problem, "%s", err.message);
    if (is_shared(s))
        hgi_breaker_name_hold(&load->name);
    hg_breaker_take_snapshot(load->breaker, &snapshot);
    load->first = snapshot.generation;
    snprintf(memory->socket, sizeof memory->socket, "%s",
             hgi_private_server_socket(load->path.server));
    return true;
}

static bool start(struct load *load, struct hgi_problem *problem)
{
    const struct hgi_breaker_settings *s = &load->results->settings;
    struct hgi_breaker_log *log = hgi_breaker_memory_log(load->memory, 0);
    if (is_shared(s)) {
        load->members = hgi_breaker_members_start(load->memory, load->file, s->processes, problem);
        return load->members != NULL;
    }
    hgi_breaker_watch_begin(&log->watch, monotonic_ns(), 0, s->breaker.half_open_max_calls);
    hg_breaker_listen(load->breaker, hgi_breaker_note_turn, log, NULL);
    load->callers = hgi_breaker_callers_start(load->memory, 0, load->breaker, problem);
    return load->callers != NULL;
}

static void stop(struct load *load)
{
    struct hgi_breaker_results *r = load->results;
    struct hgi_breaker_log *log = hgi_breaker_memory_log(load->memory, 0);
    /* relaxed: only ends the loops; the joins order the rest. */
    atomic_store_explicit(&load->memory->stop, true, memory_order_relaxed);
    hgi_breaker_callers_join(load->callers);
    hgi_breaker_members_join(load->members);
    if (!is_shared(&r->settings)) {
        hg_breaker_unlisten(load->breaker, hgi_breaker_note_turn, log);
        hgi_breaker_memory_tell(log);
        hgi_breaker_watch_end(&log->watch);
    }
}

static void close_breaker(struct load *load)
{
    hg_breaker_free(load->breaker);
    hgi_breaker_name_end(&load->name);
    if (load->file >= 0)
        close(load->file);
    hgi_breaker_memory_free(load->memory);
}

static bool load_it(struct load *load, const atomic_bool *interrupted, struct hgi_problem *problem)
{
    struct hgi_breaker_results *r = load->results;
    const struct hgi_breaker_settings *s = &r->settings;
    struct conductor c = { .load = load,
                           .interrupted = interrupted,
                           .random = random_mix(s->seed ^ s->processes),
                           .kill_ns = INT64_MAX,
                           .problem = problem };
    bool well = start(load, problem);
    if (well) {
        r->stamp.began_ns = monotonic_ns();
        hgi_screen_begin(&c.screen, s->quiet, s->plain);
        well = conduct(&c, problem);
        hgi_screen_end(&c.screen);
        r->stamp.took_ns = monotonic_ns() - r->stamp.began_ns;
    }
    stop(load);
    if (r->stamp.took_ns > 0) {
        hgi_breaker_memory_gather(r, load->memory, load->first);
        r->snapshot.size = sizeof r->snapshot;
        hg_breaker_take_snapshot(load->breaker, &r->snapshot);
    }
    return well;
}

bool hgi_breaker_run(struct hgi_breaker_results *results, const atomic_bool *interrupted,
                     struct hgi_problem *problem)
{
    const struct hgi_breaker_settings *s = &results->settings;
    struct hgi_stage stage;
    struct load load = { .results = results, .file = -1 };
    bool shared = is_shared(s);
    /* A log for each process, and for each that is killed one for its successor. */
    load.memory = hgi_breaker_memory_make(s, shared ? s->processes + s->outages : 1,
                                          shared ? &load.file : NULL, problem);
    if (!load.memory)
        return false;
    bool well = hgi_stage_open(&stage, NULL, NULL, s->seed, &results->stamp, problem);
    load.path.server = stage.own;
    well = well && open_breaker(&load, problem) && load_it(&load, interrupted, problem);
    close_breaker(&load);
    return hgi_stage_close(&stage, &results->stamp, problem) && well;
}
