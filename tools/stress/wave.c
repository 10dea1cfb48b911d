/* The wave as the library's arithmetic has it; see wave.h. */
#include "tools/stress/wave.h"

#include "tools/common/random.h"

/* A breaker's time goes in such ticks, and what it says is left of a period lacks what of the first one
 * has gone by. Rounded up it is what was drawn, whenever it was asked. */
#define TICK_NS INT64_C(4000000)

const hg_jitter hgi_wave_jitters[HGI_WAVE_JITTERS] = {
    HG_JITTER_NONE, HG_JITTER_ADDITIVE, HG_JITTER_FULL, HG_JITTER_EQUAL, HG_JITTER_DECORRELATED,
};

const char *hgi_wave_jitter_name(hg_jitter jitter)
{
    switch (jitter) {
    case HG_JITTER_ADDITIVE:
        return "additive";
    case HG_JITTER_FULL:
        return "full";
    case HG_JITTER_EQUAL:
        return "equal";
    case HG_JITTER_DECORRELATED:
        return "decorrelated";
    case HG_JITTER_NONE:
        break;
    }
    return "none";
}

void hgi_wave_count(struct hgi_wave_result *result, int64_t at_ns)
{
    int64_t at = at_ns / HGI_WAVE_BUCKET_NS;
    if (at >= HGI_WAVE_BUCKETS)
        at = HGI_WAVE_BUCKETS - 1;
    result->events++;
    if (++result->bucket[at < 0 ? 0 : at] > result->peak)
        result->peak = result->bucket[at < 0 ? 0 : at];
}

bool hgi_wave_fits(const struct hgi_wave *wave, struct hgi_problem *problem)
{
    const struct hg_retry *retry = &wave->retry;
    double longest_ns = (double)retry->max_delay_ns * (1 + retry->jitter_ratio);
    double limit_ns = (double)HGI_WAVE_BUCKETS * (double)HGI_WAVE_BUCKET_NS;
    if (longest_ns * (retry->max_attempts - 1) <= limit_ns)
        return true;
    return hgi_problem_set(problem,
                           "--base, --cap, --attempts: the last retry could come after %.0f s, and "
                           "a wave is looked at for %.0f s; make one of them smaller",
                           longest_ns * (retry->max_attempts - 1) / 1e9, limit_ns / 1e9);
}

void hgi_wave_run(struct hgi_wave_result *out, const struct hgi_wave *wave, hg_jitter jitter,
                  int64_t *draws_ns)
{
    struct hg_retry retry = wave->retry;
    retry.jitter = jitter;
    *out = (struct hgi_wave_result) { 0 };
    for (uint32_t i = 0; i < wave->clients; i++) {
        uint64_t random = random_mix(random_mix(wave->seed) + i + 1);
        int64_t at_ns = 0;
        int64_t delay_ns = 0;
        for (uint32_t n = 0; n + 1 < retry.max_attempts; n++) {
            delay_ns = hg_retry_delay_jittered(&retry, n, delay_ns, random_unit(&random));
            at_ns += delay_ns;
            hgi_wave_count(out, at_ns);
            if (n == 0 && draws_ns)
                draws_ns[i] = delay_ns;
        }
    }
}

hg_breaker *hgi_wave_breaker(const struct hgi_wave *wave, uint32_t which, bool jittered,
                             struct hgi_problem *problem)
{
    hg_breaker *breaker;
    struct hg_error err = HG_ERROR_INIT;
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.recovery_timeout_ns = wave->recovery_ns;
    if (options.recovery_timeout_max_ns < wave->recovery_ns)
        options.recovery_timeout_max_ns = wave->recovery_ns;
    options.seed = random_mix(random_mix(wave->seed) + which + 1);
    if (!jittered)
        options.recovery_jitter = 0;
    if (hg_breaker_new(&breaker, &options, &err) >= 0)
        return breaker;
    hgi_problem_set(problem, "%s", err.message);
    return NULL;
}

void hgi_wave_trip(hg_breaker *breaker)
{
    hg_permit permit;
    while (hg_breaker_admit(breaker, &permit))
        hg_breaker_report(breaker, permit, HG_RESULT_FAILURE, 0);
}

static void on_transition(void *arg, const struct hg_breaker_event *event)
{
    int64_t *open_ns = arg;
    if (event->to == HG_BREAKER_OPEN)
        *open_ns = (event->retry_after_ns + TICK_NS - 1) / TICK_NS * TICK_NS;
}

bool hgi_wave_breakers(struct hgi_wave_result *out, const struct hgi_wave *wave, bool jittered,
                       int64_t *open_ns, struct hgi_problem *problem)
{
    *out = (struct hgi_wave_result) { 0 };
    for (uint32_t i = 0; i < wave->breakers; i++) {
        int64_t length_ns = 0;
        struct hg_error err = HG_ERROR_INIT;
        hg_breaker *breaker = hgi_wave_breaker(wave, i, jittered, problem);
        if (!breaker)
            return false;
        bool well = hg_breaker_listen(breaker, on_transition, &length_ns, &err) >= 0;
        if (well)
            hgi_wave_trip(breaker);
        hg_breaker_free(breaker);
        if (!well)
            return hgi_problem_set(problem, "%s", err.message);
        hgi_wave_count(out, length_ns);
        if (open_ns)
            open_ns[i] = length_ns;
    }
    return true;
}
