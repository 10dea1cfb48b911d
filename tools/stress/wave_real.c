/* The wave with threads and the clock; see wave.h.
 *
 * All threads are made first and then begin in the same instant, so that how long it takes to make them
 * is not part of the wave. Each writes only what is its own; it is counted when they have been joined.
 *
 * A run that is interrupted does not wait for them: a caller may sleep in hg_run() for seconds, and nothing wakes
 * it. So they and what they use are left to themselves, and whoever goes last frees it.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/wave.h"

enum { STACK_SIZE = 128 * 1024, ATTEMPTS_MAX = 16 };

#define HEAD_START_NS (300 * NS_PER_MS) /* for all threads to be there */
#define ASK_EVERY_NS (500 * NS_PER_US)
#define TICK_NS (20 * NS_PER_MS)

struct crowd;

struct member {
    pthread_t thread;
    struct crowd *crowd;
    hg_breaker *breaker; /* of one that asks a breaker */
    uint32_t count;
    int64_t at_ns[ATTEMPTS_MAX]; /* since they began */
};

/* Threads that do the same, and what they have in common. */
struct crowd {
    void *(*body)(void *arg);
    struct hgi_wave wave;
    hg_policy *policy; /* of callers */
    int64_t began_ns;
    _Atomic uint32_t ended;  /* written by all when they are done */
    _Atomic uint32_t owners; /* written by whoever leaves: the threads, and who started them */
    atomic_bool stop;        /* written by who started them */
    uint32_t count;
    struct member member[];
};

static void leave(struct crowd *crowd)
{
    /* [V1] release, acquire: the last one frees what the others have done with; pairs with itself. */
    if (atomic_fetch_sub_explicit(&crowd->owners, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < crowd->count; i++)
        hg_breaker_free(crowd->member[i].breaker);
    hg_policy_drop(crowd->policy);
    free(crowd);
}

/* relaxed: a flag that is polled. */
static bool is_stopped(const struct crowd *crowd)
{
    return atomic_load_explicit(&crowd->stop, memory_order_relaxed);
}

static hg_status fail(void *arg, struct hg_attempt *attempt)
{
    struct member *member = arg;
    attempt->outcome = HG_OUTCOME_NOT_SENT;
    if (is_stopped(member->crowd))
        return HG_ERR_VALIDATION; /* which is not tried again */
    if (attempt->number > 1 && member->count < ATTEMPTS_MAX)
        member->at_ns[member->count++] = monotonic_ns() - member->crowd->began_ns;
    return HG_ERR_CONNECTION;
}

/* relaxed: only says that a join will not take long; that one orders the rest. */
static void end(struct crowd *crowd)
{
    atomic_fetch_add_explicit(&crowd->ended, 1, memory_order_relaxed);
    leave(crowd);
}

static void *call(void *arg)
{
    struct member *member = arg;
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.op_class = "wave";
    options.deadline_ns = -1;
    sleep_until_ns(member->crowd->began_ns);
    hg_run(member->crowd->policy, &options, fail, member, NULL);
    end(member->crowd);
    return NULL;
}

static void *probe(void *arg)
{
    struct member *member = arg;
    struct crowd *crowd = member->crowd;
    hg_permit permit;
    bool admitted;
    sleep_until_ns(crowd->began_ns);
    hgi_wave_trip(member->breaker);
    /* It opened now, and not when all were to begin. */
    int64_t end_ns = monotonic_ns() + 2 * crowd->wave.recovery_ns + NS_PER_S;
    while (!(admitted = hg_breaker_admit(member->breaker, &permit)) && monotonic_ns() <= end_ns &&
           !is_stopped(crowd))
        sleep_until_ns(monotonic_ns() + ASK_EVERY_NS);
    if (admitted) {
        member->at_ns[member->count++] = monotonic_ns() - crowd->began_ns;
        hg_breaker_cancel(member->breaker, permit);
    }
    end(crowd);
    return NULL;
}

/* What all of them need. NULL: out of memory, *problem says. */
static struct crowd *gather(const struct hgi_wave *wave, uint32_t count, void *(*body)(void *arg),
                            struct hgi_problem *problem)
{
    struct crowd *crowd = calloc(1, sizeof *crowd + count * sizeof crowd->member[0]);
    if (!crowd) {
        hgi_problem_set(problem, "out of memory");
        return NULL;
    }
    crowd->body = body;
    crowd->wave = *wave;
    crowd->count = count;
    atomic_init(&crowd->owners, 1);
    for (uint32_t i = 0; i < count; i++)
        crowd->member[i].crowd = crowd;
    return crowd;
}

/* Until all that were started are done. False: it was interrupted. */
static bool watch(struct crowd *crowd, uint32_t started, const struct hgi_wave_watch *watched,
                  const char *what)
{
    uint32_t done;
    while ((done = atomic_load_explicit(&crowd->ended, memory_order_relaxed)) < started) {
        int64_t now_ns = monotonic_ns();
        if (atomic_load_explicit(watched->interrupted, memory_order_relaxed))
            return false;
        if (hgi_progress_due(watched->progress, now_ns))
            hgi_progress_line(
                watched->progress, "%s: %.1f s, %" PRIu32 " of %" PRIu32 " are done", what,
                now_ns > crowd->began_ns ? (double)(now_ns - crowd->began_ns) / 1e9 : 0, done,
                started);
        sleep_until_ns(now_ns + TICK_NS);
    }
    return true;
}

/* What they wrote, if all of them did. */
static void settle(struct hgi_wave_result *out, struct crowd *crowd, uint32_t started, bool whole)
{
    for (uint32_t i = 0; i < started; i++) {
        if (!whole) {
            pthread_detach(crowd->member[i].thread);
            continue;
        }
        pthread_join(crowd->member[i].thread, NULL);
        for (uint32_t n = 0; n < crowd->member[i].count; n++)
            hgi_wave_count(out, crowd->member[i].at_ns[n]);
    }
}

/* Run them all, and count what they wrote: nothing, if it was interrupted. Takes the crowd. */
static bool run(struct hgi_wave_result *out, struct crowd *crowd,
                const struct hgi_wave_watch *watched, const char *what, struct hgi_problem *problem)
{
    pthread_attr_t attributes;
    uint32_t started = 0;
    int error = 0;
    *out = (struct hgi_wave_result) { 0 };
    crowd->began_ns = monotonic_ns() + HEAD_START_NS;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (uint32_t i = 0; i < crowd->count && error == 0; i++) {
        /* relaxed: the thread that owns it is not there yet. */
        atomic_fetch_add_explicit(&crowd->owners, 1, memory_order_relaxed);
        error =
            pthread_create(&crowd->member[i].thread, &attributes, crowd->body, &crowd->member[i]);
        started += error == 0;
    }
    pthread_attr_destroy(&attributes);
    if (error != 0)
        atomic_fetch_sub_explicit(&crowd->owners, 1, memory_order_relaxed);
    bool whole = error == 0 && watch(crowd, started, watched, what);
    atomic_store_explicit(&crowd->stop, true, memory_order_relaxed);
    settle(out, crowd, started, whole);
    leave(crowd);
    return error == 0 || hgi_problem_set(problem, "cannot start thread %" PRIu32 ": %s", started,
                                         strerror(error));
}

static hg_policy *make_policy(const struct hgi_wave *wave, hg_jitter jitter,
                              struct hgi_problem *problem)
{
    char text[512];
    hg_policy *policy;
    struct hg_error err = HG_ERROR_INIT;
    const struct hg_retry *retry = &wave->retry;
    int length =
        snprintf(text, sizeof text,
                 "{\"version\":1,\"classes\":{\"wave\":{\"extends\":\"read\",\"retry\":{"
                 "\"extends\":\"fast\","
                 "\"max_attempts\":%" PRIu32 ",\"initial_delay\":\"%" PRId64
                 "ns\",\"max_delay\":\"%" PRId64 "ns\",\"multiplier\":%.17g,\"jitter\":\"%s\"}}}}",
                 retry->max_attempts, retry->initial_delay_ns, retry->max_delay_ns,
                 retry->multiplier, hgi_wave_jitter_name(jitter));
    if (hg_policy_parse(&policy, text, (size_t)length, "the wave", &err) >= 0)
        return policy;
    hgi_problem_set(problem, "%s", err.message);
    return NULL;
}

bool hgi_wave_real(struct hgi_wave_result *out, const struct hgi_wave *wave, hg_jitter jitter,
                   const struct hgi_wave_watch *watched, struct hgi_problem *problem)
{
    char what[64];
    snprintf(what, sizeof what, "callers, jitter %s", hgi_wave_jitter_name(jitter));
    struct crowd *crowd = gather(wave, wave->clients, call, problem);
    if (!crowd)
        return false;
    crowd->policy = make_policy(wave, jitter, problem);
    if (crowd->policy)
        return run(out, crowd, watched, what, problem);
    leave(crowd);
    return false;
}

bool hgi_wave_real_breakers(struct hgi_wave_result *out, const struct hgi_wave *wave, bool jittered,
                            const struct hgi_wave_watch *watched, struct hgi_problem *problem)
{
    struct crowd *crowd = gather(wave, wave->breakers, probe, problem);
    bool well = crowd != NULL;
    for (uint32_t i = 0; well && i < wave->breakers; i++) {
        crowd->member[i].breaker = hgi_wave_breaker(wave, i, jittered, problem);
        well = crowd->member[i].breaker != NULL;
    }
    if (well)
        return run(out, crowd, watched,
                   jittered ? "breakers, with jitter" : "breakers, without jitter", problem);
    if (crowd)
        leave(crowd);
    return false;
}
