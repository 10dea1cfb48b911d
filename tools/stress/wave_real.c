/* The wave with threads and the clock; see wave.h.
 *
 * All threads are made first and then begin in the same instant, so that how long it takes to make them
 * is not part of the wave. Each writes only what is its own; it is counted when they have been joined.
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

struct member {
    pthread_t thread;
    const struct hgi_wave *wave;
    hg_policy *policy;   /* of a caller */
    hg_breaker *breaker; /* of one that asks a breaker */
    int64_t began_ns;
    _Atomic uint32_t *ended; /* written by all when they are done */
    uint32_t count;
    int64_t at_ns[ATTEMPTS_MAX]; /* since began_ns */
};

static hg_status fail(void *arg, struct hg_attempt *attempt)
{
    struct member *member = arg;
    if (attempt->number > 1 && member->count < ATTEMPTS_MAX)
        member->at_ns[member->count++] = monotonic_ns() - member->began_ns;
    attempt->outcome = HG_OUTCOME_NOT_SENT;
    return HG_ERR_CONNECTION;
}

/* relaxed: only says that a join will not take long; that one orders the rest. */
static void end(struct member *member)
{
    atomic_fetch_add_explicit(member->ended, 1, memory_order_relaxed);
}

static void *call(void *arg)
{
    struct member *member = arg;
    struct hg_run_options options = HG_RUN_OPTIONS_INIT;
    options.op_class = "wave";
    options.deadline_ns = -1;
    sleep_until_ns(member->began_ns);
    hg_run(member->policy, &options, fail, member, NULL);
    end(member);
    return NULL;
}

static void *probe(void *arg)
{
    struct member *member = arg;
    hg_permit permit;
    bool admitted;
    sleep_until_ns(member->began_ns);
    hgi_wave_trip(member->breaker);
    /* It opened now, and not when all were to begin. */
    int64_t end_ns = monotonic_ns() + 2 * member->wave->recovery_ns + NS_PER_S;
    while (!(admitted = hg_breaker_admit(member->breaker, &permit)) && monotonic_ns() <= end_ns)
        sleep_until_ns(monotonic_ns() + ASK_EVERY_NS);
    if (admitted) {
        member->at_ns[member->count++] = monotonic_ns() - member->began_ns;
        hg_breaker_cancel(member->breaker, permit);
    }
    end(member);
    return NULL;
}

/* What is run: the same for all members. */
struct crowd {
    void *(*body)(void *arg);
    const char *what; /* "callers, jitter full" */
    struct hgi_progress *progress;
};

/* Until all that were started are done. */
static void watch(const struct crowd *crowd, _Atomic uint32_t *ended, uint32_t started,
                  int64_t began_ns)
{
    uint32_t done;
    while ((done = atomic_load_explicit(ended, memory_order_relaxed)) < started) {
        int64_t now_ns = monotonic_ns();
        if (hgi_progress_due(crowd->progress, now_ns))
            hgi_progress_line(
                crowd->progress, "%s: %.1f s, %" PRIu32 " of %" PRIu32 " are done", crowd->what,
                now_ns > began_ns ? (double)(now_ns - began_ns) / 1e9 : 0, done, started);
        sleep_until_ns(now_ns + TICK_NS);
    }
}

/* Run them all, and count what they wrote. */
static bool run(struct hgi_wave_result *out, struct member *members, uint32_t count,
                const struct crowd *crowd, struct hgi_problem *problem)
{
    _Atomic uint32_t ended = 0;
    pthread_attr_t attributes;
    uint32_t started = 0;
    int error = 0;
    int64_t began_ns = monotonic_ns() + HEAD_START_NS;
    *out = (struct hgi_wave_result) { 0 };
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (uint32_t i = 0; i < count && error == 0; i++) {
        members[i].began_ns = began_ns;
        members[i].ended = &ended;
        error = pthread_create(&members[i].thread, &attributes, crowd->body, &members[i]);
        started += error == 0;
    }
    pthread_attr_destroy(&attributes);
    watch(crowd, &ended, started, began_ns);
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(members[i].thread, NULL);
        for (uint32_t n = 0; n < members[i].count; n++)
            hgi_wave_count(out, members[i].at_ns[n]);
    }
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
                   struct hgi_progress *progress, struct hgi_problem *problem)
{
    char what[64];
    snprintf(what, sizeof what, "callers, jitter %s", hgi_wave_jitter_name(jitter));
    const struct crowd crowd = { call, what, progress };
    hg_policy *policy = make_policy(wave, jitter, problem);
    struct member *members = policy ? calloc(wave->clients, sizeof *members) : NULL;
    bool well = members != NULL;
    if (policy && !members)
        hgi_problem_set(problem, "out of memory");
    for (uint32_t i = 0; well && i < wave->clients; i++) {
        members[i].wave = wave;
        members[i].policy = policy;
    }
    well = well && run(out, members, wave->clients, &crowd, problem);
    free(members);
    hg_policy_drop(policy);
    return well;
}

bool hgi_wave_real_breakers(struct hgi_wave_result *out, const struct hgi_wave *wave, bool jittered,
                            struct hgi_progress *progress, struct hgi_problem *problem)
{
    const struct crowd crowd = { probe,
                                 jittered ? "breakers, with jitter" : "breakers, without jitter",
                                 progress };
    struct member *members = calloc(wave->breakers, sizeof *members);
    bool well = members != NULL;
    if (!members)
        hgi_problem_set(problem, "out of memory");
    for (uint32_t i = 0; well && i < wave->breakers; i++) {
        members[i].wave = wave;
        members[i].breaker = hgi_wave_breaker(wave, i, jittered, problem);
        well = members[i].breaker != NULL;
    }
    well = well && run(out, members, wave->breakers, &crowd, problem);
    for (uint32_t i = 0; members && i < wave->breakers; i++)
        hg_breaker_free(members[i].breaker);
    free(members);
    return well;
}
