/* A run of breaker: many threads, each with a connection of its own, one breaker before all of them, and a
 * server that goes and comes back.
 *
 * The threads ask the breaker before each call and tell it how the call went, as any user would. Admissions
 * while the breaker is not closed are few: each is noted, with the time before and after it was asked for.
 * What these and the transitions add up to is judged afterwards, in breaker_judge.c.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/common/wire.h"
#include "tools/stress/breaker.h"
#include "tools/stress/path.h"
#include "tools/stress/screen.h"
#include "tools/stress/stage.h"

#define TICK_NS (5 * NS_PER_MS)

/* Counters are written by the threads; relaxed: sums. */
struct load {
    struct hgi_breaker_results *results;
    struct hgi_path path; /* to the server, without a proxy */
    hg_breaker *breaker;
    struct hgi_breaker_watch watch;
    pthread_mutex_t lock; /* guards the turns and admissions of the results */
    _Atomic int state;    /* written by the listener: to what it turned last */
    _Atomic bool stop;    /* written by the conductor */
    _Atomic uint64_t answered;
    _Atomic uint64_t failed;
    _Atomic uint64_t refused;
};

struct thread {
    struct load *load;
    pthread_t thread;
    uint64_t random;
    struct hgi_wire *wire;
    uint64_t answered;
    uint64_t failed;
    uint64_t refused;
    struct hgi_histogram refusal;
};

static void on_turn(void *arg, const struct hg_breaker_event *event)
{
    struct load *load = arg;
    struct hgi_breaker_results *r = load->results;
    hgi_breaker_watch_event(&load->watch, event);
    /* relaxed: it only says whether an admission is worth a note. */
    atomic_store_explicit(&load->state, (int)event->to, memory_order_relaxed);
    pthread_mutex_lock(&load->lock);
    if (r->turn_count < HGI_TURNS_MAX)
        r->turn[r->turn_count++] =
            (struct hgi_turn) { .from = event->from,
                                .to = event->to,
                                .at_ns = event->at_ns - r->stamp.began_ns,
                                .told_ns = monotonic_ns() - r->stamp.began_ns,
                                .period_ns = event->retry_after_ns };
    pthread_mutex_unlock(&load->lock);
}

static void note_admission(struct load *load, int64_t asked_ns, int64_t got_ns)
{
    struct hgi_breaker_results *r = load->results;
    pthread_mutex_lock(&load->lock);
    if (r->admission_count < HGI_ADMISSIONS_MAX)
        r->admission[r->admission_count++] =
            (struct hgi_admission) { asked_ns - r->stamp.began_ns, got_ns - r->stamp.began_ns };
    else
        r->admissions_lost = true;
    pthread_mutex_unlock(&load->lock);
}

static bool is_closed(struct load *load)
{
    return atomic_load_explicit(&load->state, memory_order_relaxed) == HG_BREAKER_CLOSED;
}

/* The call itself: connect if need be, ask, look at the answer. */
static bool talk(struct thread *t)
{
    struct load *load = t->load;
    if (!t->wire)
        t->wire = hgi_wire_open_unix(hgi_private_server_socket(load->path.server),
                                     load->results->settings.attempt_timeout_ns, NULL);
    redisReply *reply = t->wire ? hgi_wire_command(t->wire, NULL, "INCR herdgate:breaker") : NULL;
    bool well = reply && reply->type == REDIS_REPLY_INTEGER;
    freeReplyObject(reply);
    if (!well) {
        hgi_wire_close(t->wire);
        t->wire = NULL;
    }
    return well;
}

static void call(struct thread *t)
{
    struct load *load = t->load;
    hg_permit permit;
    bool was_closed = is_closed(load);
    int64_t asked_ns = monotonic_ns();
    bool admitted = hg_breaker_admit(load->breaker, &permit);
    int64_t got_ns = monotonic_ns();
    if (!admitted) {
        t->refused++;
        hgi_histogram_add(&t->refusal, got_ns - asked_ns);
        atomic_fetch_add_explicit(&load->refused, 1, memory_order_relaxed);
        hgi_wire_close(
            t->wire); /* it may be dead, and a probe over it would say nothing of the server */
        t->wire = NULL;
        return;
    }
    if (!was_closed || !is_closed(load))
        note_admission(load, asked_ns, got_ns);
    bool well = talk(t);
    hg_breaker_report(load->breaker, permit, well ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE,
                      monotonic_ns() - got_ns);
    t->answered += well;
    t->failed += !well;
    atomic_fetch_add_explicit(well ? &load->answered : &load->failed, 1, memory_order_relaxed);
}

static void *work(void *arg)
{
    struct thread *t = arg;
    const struct hgi_breaker_settings *s = &t->load->results->settings;
    /* relaxed: a flag that is polled; the join orders the rest. */
    while (!atomic_load_explicit(&t->load->stop, memory_order_relaxed)) {
        call(t);
        sleep_until_ns(monotonic_ns() + (int64_t)(random_unit(&t->random) * (double)s->pause_ns));
    }
    hgi_wire_close(t->wire);
    return NULL;
}

struct conductor {
    struct load *load;
    const atomic_bool *interrupted;
    struct hgi_screen screen;
};

/* relaxed: sums. */
static struct hgi_outage counts_now(struct load *load)
{
    return (struct hgi_outage) {
        .answered = atomic_load_explicit(&load->answered, memory_order_relaxed),
        .failed = atomic_load_explicit(&load->failed, memory_order_relaxed),
        .refused = atomic_load_explicit(&load->refused, memory_order_relaxed),
    };
}

static void show(struct conductor *c, int64_t now_ns)
{
    struct load *load = c->load;
    const struct hgi_breaker_results *r = load->results;
    const struct hgi_breaker_settings *s = &r->settings;
    struct hg_breaker_snapshot breaker = { .size = sizeof breaker };
    struct hgi_outage counts = counts_now(load);
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

/* Until then, or until it has been closed for a while if that is asked. False: interrupted. */
static bool wait_until(struct conductor *c, int64_t until_ns, bool closed_suffices)
{
    struct load *load = c->load;
    const struct hgi_breaker_results *r = load->results;
    int64_t closed_ns = 0;
    while (monotonic_ns() < until_ns) {
        int64_t now_ns = monotonic_ns();
        /* relaxed: a flag that is polled. */
        if (atomic_load_explicit(c->interrupted, memory_order_relaxed))
            return false;
        hgi_breaker_watch_look(&load->watch, load->breaker);
        closed_ns = is_closed(load) ? closed_ns + TICK_NS : 0;
        if (closed_suffices && closed_ns >= r->settings.calm_ns)
            return true;
        if (hgi_screen_due(&c->screen, now_ns))
            show(c, now_ns);
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
    struct hgi_outage before = counts_now(load);
    int64_t down_ns = monotonic_ns();
    *outage = (struct hgi_outage) { .down_ns = down_ns - r->stamp.began_ns, .up_ns = -1 };
    hgi_path_down(&load->path, s->way);
    bool goes_on = wait_until(c, down_ns + s->outage_ns, false);
    bool well = hgi_path_up(&load->path, s->way, problem);
    int64_t up_ns = monotonic_ns();
    if (well)
        outage->up_ns = up_ns - r->stamp.began_ns;
    goes_on = well && goes_on && wait_until(c, up_ns + s->after_ns, true);
    struct hgi_outage after = counts_now(load);
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

static bool run_threads(struct conductor *c, struct thread *threads, struct hgi_problem *problem)
{
    struct load *load = c->load;
    struct hgi_breaker_results *r = load->results;
    uint32_t started = 0;
    bool well = true;
    for (; well && started < r->settings.threads; started += well) {
        threads[started].load = load;
        threads[started].random = random_mix(r->settings.seed + started);
        well = pthread_create(&threads[started].thread, NULL, work, &threads[started]) == 0 ||
               hgi_problem_set(problem, "thread %" PRIu32 " could not be started", started + 1);
    }
    well = well && conduct(c, problem);
    /* relaxed: only ends the threads' loops; the joins order the rest. */
    atomic_store_explicit(&load->stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(threads[i].thread, NULL);
        r->admitted += threads[i].answered + threads[i].failed;
        r->refused += threads[i].refused;
        r->failed += threads[i].failed;
        hgi_histogram_merge(&r->refusal, &threads[i].refusal);
    }
    r->calls = r->admitted + r->refused;
    r->stamp.took_ns = monotonic_ns() - r->stamp.began_ns;
    return well;
}

bool hgi_breaker_run(struct hgi_breaker_results *results, const atomic_bool *interrupted,
                     struct hgi_problem *problem)
{
    const struct hgi_breaker_settings *s = &results->settings;
    struct hgi_stage stage;
    struct load load = { .results = results, .lock = PTHREAD_MUTEX_INITIALIZER };
    struct conductor c = { .load = &load, .interrupted = interrupted };
    struct hg_error err = HG_ERROR_INIT;
    struct thread *threads = calloc(s->threads, sizeof *threads);
    if (!threads)
        return hgi_problem_set(problem, "out of memory");
    bool well = hgi_stage_open(&stage, NULL, NULL, s->seed, &results->stamp, problem);
    load.path.server = stage.own;
    if (well)
        well = hg_breaker_new(&load.breaker, &s->breaker, &err) == HG_OK ||
               hgi_problem_set(problem, "%s", err.message);
    if (well) {
        results->stamp.began_ns = monotonic_ns();
        hgi_breaker_watch_begin(&load.watch, results->stamp.began_ns, 0,
                                s->breaker.half_open_max_calls);
        hg_breaker_listen(load.breaker, on_turn, &load, NULL);
        hgi_screen_begin(&c.screen, s->quiet, s->plain);
        well = run_threads(&c, threads, problem);
        hgi_screen_end(&c.screen);
        hg_breaker_unlisten(load.breaker, on_turn, &load);
        hgi_breaker_watch_read(&load.watch, monotonic_ns(), &results->counts);
        results->snapshot.size = sizeof results->snapshot;
        hg_breaker_take_snapshot(load.breaker, &results->snapshot);
        hgi_breaker_watch_end(&load.watch);
    }
    hg_breaker_free(load.breaker);
    hgi_stage_close(&stage);
    free(threads);
    pthread_mutex_destroy(&load.lock);
    return well;
}
