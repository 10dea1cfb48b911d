/* What the breaker decides: a function of its word, an event and the time. No atomics, no clock, no
 * I/O here, so that every event can be tried in every state and the code be proven as it is.
 *
 * All of the deciding state is one 64-bit word:
 *
 *     63      61 60        45 44    41 40           16 15     8 7         0
 *     [ state 3 ][ generation 16 ][ streak 4 ][ start 25 ][ issued 8 ][ succeeded 8 ]
 *
 *     closed      the low 16 bits are failures in a row; streak and start are 0
 *     open        start: the tick at which it opened
 *     half-open   start: the tick at which the last probe was issued; issued, succeeded: its probes
 *     others      the low 45 bits are 0
 *
 * A tick is 4 ms. `start` is a moment and never a deadline: elapsed time is taken modulo 2^25 ticks
 * (37 hours), so a turn of the field while nobody calls costs one more period at most. The generation
 * grows by one with each transition and with nothing else.
 *
 * Why 16 bits are enough: one breaker's generation takes 65,536 transitions to come round, and no permit
 * is taken after as long as that takes at the least (hgi_options_permit_age()). Only between a shared
 * breaker and its successor under the same name is it left to chance, and then one result of 65,536 that
 * are on their way at that moment counts in the wrong one. More bits would have to come from the probes
 * or the clock, whose limits users meet.
 */
#ifndef HERDGATE_BREAKER_MACHINE_H
#define HERDGATE_BREAKER_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "breaker/permit.h"

#define HGI_TICK_NS INT64_C(4000000)

enum {
    HGI_SUCCEEDED_BITS = 8,
    HGI_ISSUED_BITS = 8,
    HGI_START_BITS = 25,
    HGI_STREAK_BITS = 4,
    HGI_GENERATION_BITS = 16,
    HGI_STATE_BITS = 3,

    HGI_ISSUED_SHIFT = HGI_SUCCEEDED_BITS,
    HGI_START_SHIFT = HGI_ISSUED_SHIFT + HGI_ISSUED_BITS,
    HGI_STREAK_SHIFT = HGI_START_SHIFT + HGI_START_BITS,
    HGI_GENERATION_SHIFT = HGI_STREAK_SHIFT + HGI_STREAK_BITS,
    HGI_STATE_SHIFT = HGI_GENERATION_SHIFT + HGI_GENERATION_BITS,

    /* The legal maxima of the settings follow from the fields. */
    HGI_FAILURES_MAX = (1 << (HGI_SUCCEEDED_BITS + HGI_ISSUED_BITS)) - 1,
    HGI_PROBES_MAX = (1 << HGI_ISSUED_BITS) - 1,
    HGI_STREAK_MAX = (1 << HGI_STREAK_BITS) - 1,
    HGI_GENERATION_MAX = (1 << HGI_GENERATION_BITS) - 1,
    HGI_START_MAX = (1 << HGI_START_BITS) - 1,
    HGI_SPAN_MAX = 1 << (HGI_START_BITS - 1), /* ticks: half a turn of the field */
    HGI_SPAN_MIN = 2, /* ticks: no open period is shorter, jitter included */
    HGI_JITTER_ONE = 1 << 16
};

/* The first six are hg_breaker_state's. */
enum hgi_state {
    HGI_CLOSED = 0,
    HGI_OPEN = 1,
    HGI_HALF_OPEN = 2,
    HGI_FORCED_OPEN = 3,
    HGI_FORCED_CLOSED = 4,
    HGI_DISABLED = 5,
    HGI_RETIRED = 6 /* the shared form, unlinked: final */
};

enum hgi_event {
    HGI_ADMIT,       /* may this call go out? */
    HGI_ADMIT_PLAIN, /* ... one that must not take a probe's place */
    HGI_SUCCESS,     /* the call of this permit went well */
    HGI_FAILURE,
    HGI_CANCEL,   /* the call of this permit never went out */
    HGI_TRIP,     /* open, if the generation is still this permit's */
    HGI_TRIP_NOW, /* open, whatever the generation */
    HGI_FORCE_OPEN,
    HGI_FORCE_CLOSE,
    HGI_DISABLE,
    HGI_RESET,
    HGI_RETIRE,
    HGI_EVENTS
};

enum hgi_verdict {
    HGI_NOTHING,  /* taken note of, or nothing to do */
    HGI_ADMITTED, /* step.permit is the permit */
    HGI_REFUSED,
    HGI_LATE /* the permit is of a generation that has ended */
};

#define HGI_GENERATION_MASK ((uint64_t)HGI_GENERATION_MAX << HGI_GENERATION_SHIFT)

/* The settings, decoded. Whoever fills one keeps the limits: hgi_machine_is_legal(). */
struct hgi_machine {
    uint64_t seed;                       /* of the jitter */
    uint32_t failure_threshold;          /* 0: failures in a row do not open it */
    uint32_t lease_ticks;                /* 1 to HGI_SPAN_MAX */
    uint32_t jitter;                     /* of HGI_JITTER_ONE */
    uint16_t max_calls;                  /* 1 to HGI_PROBES_MAX */
    uint16_t success_threshold;          /* 1 to max_calls */
    uint32_t open_ticks[HGI_STREAK_MAX]; /* before jitter, by streak - 1; HGI_SPAN_MIN to _MAX */
};

struct hgi_step {
    uint64_t word;
    uint64_t permit; /* 0 unless admitted */
    enum hgi_verdict verdict;
};

static inline enum hgi_state hgi_word_state(uint64_t word)
{
    return (enum hgi_state)(word >> HGI_STATE_SHIFT);
}

static inline uint32_t hgi_word_generation(uint64_t word)
{
    return (uint32_t)(word >> HGI_GENERATION_SHIFT) & HGI_GENERATION_MAX;
}

static inline uint32_t hgi_word_streak(uint64_t word)
{
    return (uint32_t)(word >> HGI_STREAK_SHIFT) & HGI_STREAK_MAX;
}

static inline uint32_t hgi_word_start(uint64_t word)
{
    return (uint32_t)(word >> HGI_START_SHIFT) & HGI_START_MAX;
}

static inline uint32_t hgi_word_issued(uint64_t word)
{
    return (uint32_t)(word >> HGI_ISSUED_SHIFT) & HGI_PROBES_MAX;
}

static inline uint32_t hgi_word_succeeded(uint64_t word)
{
    return (uint32_t)word & HGI_PROBES_MAX;
}

static inline uint32_t hgi_word_failures(uint64_t word)
{
    return (uint32_t)word & HGI_FAILURES_MAX;
}

/* The tick of a time in nanoseconds, at least 0. */
static inline uint32_t hgi_tick(int64_t now_ns)
{
    return (uint32_t)((uint64_t)now_ns / (uint64_t)HGI_TICK_NS) & HGI_START_MAX;
}

/* One event in one state. Total: every word, event, permit and tick has an answer. */
struct hgi_step hgi_machine_step(const struct hgi_machine *machine, uint64_t word,
                                 enum hgi_event event, uint64_t permit, uint32_t now);

/* Ticks that must have passed whole since an opening: from (seed, generation), so every thread and
 * process computes the same; never above open_ticks[streak - 1], never below HGI_SPAN_MIN. */
uint32_t hgi_machine_open_ticks(const struct hgi_machine *machine, uint64_t word);

/* Nanoseconds until an open word lets a probe pass; 0: now, or it is not open. */
int64_t hgi_machine_retry_after(const struct hgi_machine *machine, uint64_t word, int64_t now_ns);

/* Whether the settings keep their limits, and whether a word is one that the machine can make. */
bool hgi_machine_is_legal(const struct hgi_machine *machine);
bool hgi_word_is_legal(const struct hgi_machine *machine, uint64_t word);

#endif
