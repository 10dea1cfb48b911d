/* Bounded model checking of breaker/machine.c by CBMC: the code as it is, for every legal word, every
 * legal setting, every event, permit and tick, so that nothing is left to chance or to a choice of
 * examples. Each prove_ function is a proof of its own, run by tests/proofs/run.
 *
 * Time is exact but for one thing: elapsed ticks are modular, so that the last 256 before a whole turn
 * of the field read as a clock that ran backward; they have a proof of their own.
 *
 * What is proven for one step holds for every run of steps: the legal words are closed under it, and
 * the shell does nothing to a word but such steps (breaker/breaker.c, apply()).
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "breaker/machine.h"
#include "tests/breaker/edges.h"

uint64_t nondet_uint64(void);
uint32_t nondet_uint32(void);
int64_t nondet_int64(void);
struct hgi_machine nondet_machine(void);

void prove_step(void);
void prove_backward_clock(void);
void prove_probes_are_bounded(void);
void prove_open_ticks(void);
void prove_retry_after(void);
void prove_any_word(void);

enum { BACKWARD_TICKS = 256 };

/* One step from anywhere legal. */
struct taken {
    struct hgi_machine machine;
    uint64_t word;
    enum hgi_event event;
    uint64_t permit;
    uint32_t now;
};

static struct taken any_legal(void)
{
    struct taken taken = { .machine = nondet_machine(),
                           .word = nondet_uint64(),
                           .event = (enum hgi_event)(nondet_uint32() % HGI_EVENTS),
                           .permit = nondet_uint64(),
                           .now = nondet_uint32() & HGI_START_MAX };
    __CPROVER_assume(hgi_machine_is_legal(&taken.machine));
    __CPROVER_assume(hgi_word_is_legal(&taken.machine, taken.word));
    return taken;
}

static bool runs_backward(const struct taken *taken)
{
    return edge_age(taken->word, taken->now) > HGI_START_MAX - BACKWARD_TICKS;
}

/* Every promise of edges.h, on every edge. */
void prove_step(void)
{
    struct taken taken = any_legal();
    __CPROVER_assume(!runs_backward(&taken));
    struct hgi_step step =
        hgi_machine_step(&taken.machine, taken.word, taken.event, taken.permit, taken.now);
    const char *broken_promise =
        edge_fault(&taken.machine, taken.word, taken.event, taken.permit, taken.now, step);
    assert(broken_promise == NULL);
}

/* A clock that reads a little before the start: nothing has elapsed. */
void prove_backward_clock(void)
{
    struct taken taken = any_legal();
    __CPROVER_assume(runs_backward(&taken));
    struct hgi_step step = hgi_machine_step(&taken.machine, taken.word, HGI_ADMIT, 0, taken.now);
    if (hgi_word_state(taken.word) == HGI_OPEN)
        assert(step.verdict == HGI_REFUSED && step.word == taken.word);
    if (hgi_word_state(taken.word) == HGI_HALF_OPEN)
        assert(hgi_word_state(step.word) == HGI_HALF_OPEN);
}

/* The word agrees with what is true outside of it: `out` probe permits of its generation that were
 * neither reported nor cancelled, and `well` that were reported as successes. */
static bool agrees(const struct hgi_machine *machine, uint64_t word, uint32_t out, uint32_t well)
{
    if (hgi_word_state(word) != HGI_HALF_OPEN)
        return out == 0 && well == 0;
    return hgi_word_issued(word) == out + well && hgi_word_succeeded(word) == well &&
           out + well <= machine->max_calls && well < machine->success_threshold;
}

/* The step of an induction over every history in which each permit is given back at most once: never
 * more than max_calls probes of a generation are out or were successes, and closing has behind it
 * success_threshold of them. */
void prove_probes_are_bounded(void)
{
    struct taken taken = any_legal();
    uint32_t out = nondet_uint32();
    uint32_t well = nondet_uint32();
    __CPROVER_assume(out <= HGI_PROBES_MAX && well <= HGI_PROBES_MAX);
    __CPROVER_assume(agrees(&taken.machine, taken.word, out, well));
    bool gives_back =
        taken.event == HGI_SUCCESS || taken.event == HGI_FAILURE || taken.event == HGI_CANCEL;
    bool of_now = ((taken.permit ^ taken.word) & HGI_GENERATION_MASK) == 0 &&
                  (taken.permit & HGI_PERMIT_VALID) != 0;
    bool probe = hgi_word_state(taken.word) == HGI_HALF_OPEN && of_now;
    __CPROVER_assume(!gives_back || !probe || out > 0); /* who gives one back holds one */
    struct hgi_step step =
        hgi_machine_step(&taken.machine, taken.word, taken.event, taken.permit, taken.now);
    if (gives_back && probe)
        out--;
    if (taken.event == HGI_SUCCESS && probe)
        well++;
    if (((step.word ^ taken.word) & HGI_GENERATION_MASK) != 0) {
        if (hgi_word_state(taken.word) == HGI_HALF_OPEN &&
            hgi_word_state(step.word) == HGI_CLOSED && taken.event != HGI_RESET)
            assert(well >= taken.machine.success_threshold);
        out = 0;
        well = 0;
    }
    if ((step.permit & HGI_PERMIT_PROBE) != 0)
        out++;
    assert(agrees(&taken.machine, step.word, out, well));
}

/* Of the real function: the bounds that any_open_ticks.c takes for granted. */
void prove_open_ticks(void)
{
    struct taken taken = any_legal();
    uint32_t streak = hgi_word_streak(taken.word);
    uint32_t span = hgi_machine_open_ticks(&taken.machine, taken.word);
    assert(span >= HGI_SPAN_MIN);
    assert(span <= taken.machine.open_ticks[streak > 0 ? streak - 1 : 0]);
}

/* What is told of the wait is none where there is none, and no longer than an open period can be. That
 * it is right to the nanosecond is left to tests/breaker: a solver finds no way through the division. */
void prove_retry_after(void)
{
    struct taken taken = any_legal();
    int64_t now_ns = nondet_int64();
    __CPROVER_assume(now_ns >= 0);
    int64_t wait_ns = hgi_machine_retry_after(&taken.machine, taken.word, now_ns);
    assert(wait_ns >= 0);
    assert(hgi_word_state(taken.word) == HGI_OPEN || wait_ns == 0);
    assert(wait_ns <= (int64_t)(HGI_SPAN_MAX + 1) * HGI_TICK_NS);
}

/* Any word at all, any event, any settings within their limits: an answer, and nothing undefined. The
 * real machine throughout. */
void prove_any_word(void)
{
    struct hgi_machine machine = nondet_machine();
    __CPROVER_assume(hgi_machine_is_legal(&machine));
    uint64_t word = nondet_uint64();
    uint64_t permit = nondet_uint64();
    enum hgi_event event = (enum hgi_event)nondet_uint32(); /* no event at all, too */
    struct hgi_step step = hgi_machine_step(&machine, word, event, permit, nondet_uint32());
    assert(step.verdict <= HGI_LATE);
    assert((step.verdict == HGI_ADMITTED) == (step.permit != 0));
}
