/* What must hold of every single step of the machine, whoever takes it: the exploration, the histories
 * and the proof ask the same questions. Written from the promises, not from machine.c. */
#ifndef HERDGATE_TESTS_BREAKER_EDGES_H
#define HERDGATE_TESTS_BREAKER_EDGES_H

#include <stdbool.h>
#include <stdint.h>

#include "breaker/machine.h"

static inline bool edge_is_operators(enum hgi_event event)
{
    return event == HGI_FORCE_OPEN || event == HGI_FORCE_CLOSE || event == HGI_DISABLE ||
           event == HGI_RESET || event == HGI_RETIRE;
}

/* Ticks since the start, for a start that is not in the future. */
static inline uint32_t edge_age(uint64_t word, uint32_t now)
{
    return (now - hgi_word_start(word)) & HGI_START_MAX;
}

/* NULL, or the promise that the step breaks. `word` is legal; start is at most 2^24 ticks ago. */
static inline const char *edge_fault(const struct hgi_machine *machine, uint64_t word,
                                     enum hgi_event event, uint64_t permit, uint32_t now,
                                     struct hgi_step step)
{
    enum hgi_state from = hgi_word_state(word);
    enum hgi_state to = hgi_word_state(step.word);
    uint32_t grown = (hgi_word_generation(step.word) - hgi_word_generation(word)) & 0xffff;
    bool asks = event == HGI_ADMIT || event == HGI_ADMIT_PLAIN;
    bool is_result =
        event == HGI_SUCCESS || event == HGI_FAILURE || event == HGI_CANCEL || event == HGI_TRIP;
    uint32_t age = edge_age(word, now);

    if (!hgi_word_is_legal(machine, step.word))
        return "every word that is made is legal";
    if (from != to && grown != 1)
        return "a transition makes the generation grow by one";
    if (from == to && grown != 0 && event != HGI_RESET)
        return "nothing but a transition makes the generation grow";
    if (event == HGI_RESET && from != HGI_RETIRED && grown != 1)
        return "a reset begins a new generation";
    if (from != to && !edge_is_operators(event) && !(from == HGI_CLOSED && to == HGI_OPEN) &&
        !(from == HGI_OPEN && to == HGI_HALF_OPEN) &&
        !(from == HGI_HALF_OPEN && to == HGI_CLOSED) && !(from == HGI_HALF_OPEN && to == HGI_OPEN))
        return "only the four edges, and the operator's";
    if (from == HGI_RETIRED && step.word != word)
        return "a retired word is final";
    if (is_result && (permit & HGI_PERMIT_VALID) && ((permit ^ word) & HGI_GENERATION_MASK) != 0 &&
        (step.word != word || step.verdict != HGI_LATE))
        return "a late result changes nothing and is called late";
    if (is_result && !(permit & HGI_PERMIT_VALID) && step.word != word)
        return "what is no permit changes nothing";
    if ((step.verdict == HGI_ADMITTED) != (step.permit != 0) || (step.permit != 0 && !asks))
        return "a permit comes with an admission and with nothing else";
    if (asks && step.verdict != HGI_ADMITTED && step.verdict != HGI_REFUSED)
        return "who asks is answered";
    if (step.permit && ((step.permit ^ step.word) & HGI_GENERATION_MASK) != 0)
        return "a permit is of the generation that it was admitted in";
    if (from == HGI_OPEN && step.permit && age <= hgi_machine_open_ticks(machine, word))
        return "no admission while open before its time";
    if (from == HGI_OPEN && event == HGI_ADMIT && !step.permit &&
        age > hgi_machine_open_ticks(machine, word))
        return "a probe passes once the open time is over";
    if (from == HGI_FORCED_OPEN && step.permit)
        return "forced open refuses all";
    if ((from == HGI_CLOSED || from == HGI_FORCED_CLOSED || from == HGI_DISABLED) && asks &&
        (!step.permit || step.word != word))
        return "closed, forced closed and disabled admit all and write nothing";
    if (to == HGI_HALF_OPEN && hgi_word_issued(step.word) > machine->max_calls)
        return "probes issued never exceed the maximum";
    if (step.permit && (to == HGI_HALF_OPEN) != ((step.permit & HGI_PERMIT_PROBE) != 0))
        return "a half-open breaker's permits, and no others, are probes";
    if (event == HGI_ADMIT_PLAIN && step.word != word)
        return "who must not probe changes nothing";
    if (from == HGI_HALF_OPEN && to == HGI_HALF_OPEN && event == HGI_ADMIT && step.permit &&
        hgi_word_issued(step.word) != hgi_word_issued(word) + 1)
        return "each probe admitted takes one place";
    if (from == HGI_HALF_OPEN && to == HGI_CLOSED && event != HGI_RESET &&
        (event != HGI_SUCCESS || hgi_word_succeeded(word) + 1 < machine->success_threshold))
        return "closing needs enough successes of this generation";
    if (from == HGI_HALF_OPEN && to == HGI_HALF_OPEN && event == HGI_ADMIT &&
        hgi_word_issued(word) > hgi_word_succeeded(word) && age > machine->lease_ticks)
        return "half-open ends when the lease of its probes does";
    if (from == HGI_HALF_OPEN && to == HGI_OPEN && event == HGI_ADMIT &&
        (age <= machine->lease_ticks || hgi_word_streak(step.word) != hgi_word_streak(word)))
        return "a lease ends in its time and leaves the streak as it was";
    if (from == HGI_HALF_OPEN && event == HGI_FAILURE && step.verdict != HGI_LATE &&
        (permit & HGI_PERMIT_VALID) && hgi_word_issued(word) > hgi_word_succeeded(word) &&
        to != HGI_OPEN)
        return "a failed probe reopens";
    if (from == HGI_CLOSED && to == HGI_OPEN && event == HGI_FAILURE &&
        (machine->failure_threshold == 0 ||
         hgi_word_failures(word) + 1 < machine->failure_threshold))
        return "no trip below the threshold";
    if (from == HGI_CLOSED && event == HGI_SUCCESS && step.verdict != HGI_LATE &&
        (permit & HGI_PERMIT_VALID) && hgi_word_failures(step.word) != 0)
        return "a success ends the failures in a row";
    if (to == HGI_OPEN && from != HGI_OPEN && hgi_word_start(step.word) != now)
        return "an open period starts now";
    if (to == HGI_OPEN && (hgi_machine_open_ticks(machine, step.word) < HGI_SPAN_MIN ||
                           hgi_machine_open_ticks(machine, step.word) >
                               machine->open_ticks[hgi_word_streak(step.word) - 1]))
        return "jitter keeps inside the cap";
    if (to == HGI_CLOSED && from != HGI_CLOSED && (step.word & 0x1fffffffffff) != 0)
        return "closed begins with nothing counted";
    return 0;
}

#endif
