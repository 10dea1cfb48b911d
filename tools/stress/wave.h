/* The wave of retries after callers failed in the same instant, and the first probes of breakers that
 * opened together: how many fall into the same 10 ms.
 *
 * hgi_wave_run() and hgi_wave_breakers() wait for nothing: the delays are the library's own
 * hg_retry_delay_jittered(), the open periods those that its breakers announce, and the same seed gives
 * the same ones. hgi_wave_real() makes the wave with threads that sleep, through hg_run(), and
 * hgi_wave_real_breakers() asks breakers until they admit a probe.
 */
#ifndef HERDGATE_TOOLS_STRESS_WAVE_H
#define HERDGATE_TOOLS_STRESS_WAVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/policy.h>

#include "tools/common/problem.h"
#include "tools/common/terminal.h"

#define HGI_WAVE_BUCKET_NS INT64_C(10000000)

enum { HGI_WAVE_JITTERS = 5, HGI_WAVE_BUCKETS = 6000, HGI_WAVE_CLIENTS_MAX = 10000 };

/* none, additive, full, equal, decorrelated; and their names in a policy file. */
extern const hg_jitter hgi_wave_jitters[HGI_WAVE_JITTERS];
const char *hgi_wave_jitter_name(hg_jitter jitter);

struct hgi_wave {
    uint32_t clients; /* that fail at time 0, and again at each retry */
    uint32_t breakers;
    struct hg_retry retry; /* but for the jitter */
    int64_t recovery_ns;   /* of the breakers; their jitter is the default one */
    uint64_t seed;
};

/* Events over time. What comes after the last bucket counts in it. */
struct hgi_wave_result {
    uint64_t events;
    uint32_t peak; /* most in one bucket */
    uint32_t bucket[HGI_WAVE_BUCKETS];
};

/* Can the last retry still come within the time that there are buckets for? False: *problem says. */
bool hgi_wave_fits(const struct hgi_wave *wave, struct hgi_problem *problem);

/* The retries. draws, if not NULL, gets each client's first delay. */
void hgi_wave_run(struct hgi_wave_result *out, const struct hgi_wave *wave, hg_jitter jitter,
                  int64_t *draws_ns);

/* The first probes of breakers that open at time 0, each with a seed of its own. open_ns, if not NULL,
 * gets the length of each one's open period. False: *problem says. */
bool hgi_wave_breakers(struct hgi_wave_result *out, const struct hgi_wave *wave, bool jittered,
                       int64_t *open_ns, struct hgi_problem *problem);

/* Who looks on while threads run: the line that tells of them, and what ends it early when it becomes true. */
struct hgi_wave_watch {
    struct hgi_progress *progress;
    const atomic_bool *interrupted;
};

/* The same with threads and the clock. Interrupted, they return at once, without waiting for the threads, and with
 * no events. False: *problem says. */
bool hgi_wave_real(struct hgi_wave_result *out, const struct hgi_wave *wave, hg_jitter jitter,
                   const struct hgi_wave_watch *watched, struct hgi_problem *problem);
bool hgi_wave_real_breakers(struct hgi_wave_result *out, const struct hgi_wave *wave, bool jittered,
                            const struct hgi_wave_watch *watched, struct hgi_problem *problem);

/* One event at that time. */
void hgi_wave_count(struct hgi_wave_result *result, int64_t at_ns);

/* A breaker that nobody uses yet, with the seed of number `which`. NULL: *problem says. */
hg_breaker *hgi_wave_breaker(const struct hgi_wave *wave, uint32_t which, bool jittered,
                             struct hgi_problem *problem);

/* Report failures until it opens. */
void hgi_wave_trip(hg_breaker *breaker);

#endif
