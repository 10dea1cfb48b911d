/* The judging of a run, step by step; see judge.h. */
#include "tests/breaker/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/core.h"
#include "tests/breaker/scheduler.h"

enum { WORDS_MAX = 16 };

/* What a thread is at. */
struct operation {
    bool runs;    /* has begun, has not ended */
    bool changed; /* the word, by this step of the machine */
    struct hgi_step step;
    enum hgi_event event;
    uint64_t permit;
    uint32_t tick; /* of the last reading of the clock */
    uint32_t words;
    uint64_t word[WORDS_MAX]; /* all that stood since it began */
    struct hgi_counters counted;
};

static hg_breaker *breaker;
static uint32_t threads;
static void (*describe)(void);
static struct operation operations[SCHEDULER_THREADS];
static uint64_t word_before; /* the last step */

void judge_fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    describe();
    for (uint32_t t = 0; t < threads; t++) {
        fprintf(stderr, "  words that stood for thread %u:", t);
        for (uint32_t i = 0; i < operations[t].words; i++)
            fprintf(stderr, " %016llx", (unsigned long long)operations[t].word[i]);
        fprintf(stderr, "\n");
    }
    fprintf(stderr, "  the word was %016llx, is %016llx\n", (unsigned long long)word_before,
            (unsigned long long)breaker->word);
    scheduler_print();
    abort();
}

void judge_begin_run(hg_breaker *of, uint32_t count, void (*how)(void))
{
    breaker = of;
    threads = count;
    describe = how;
    memset(operations, 0, sizeof operations);
    word_before = breaker->word;
}

uint64_t judge_hash(uint64_t hash)
{
    for (uint32_t t = 0; t < threads; t++) {
        const struct operation *operation = &operations[t];
        if (!operation->runs)
            continue;
        hash = scheduler_mix(hash, operation->changed ? operation->step.permit + 1 : 0);
        for (uint32_t i = 0; i < operation->words; i++)
            hash = scheduler_mix(hash, operation->word[i]);
    }
    return hash;
}

void judge_clock(uint32_t tick)
{
    operations[scheduler_thread()].tick = tick;
}

static struct hgi_step answer_in(const struct operation *operation, uint64_t word)
{
    return hgi_machine_step(&breaker->machine, word, operation->event, operation->permit,
                            operation->tick);
}

void judge_stepped(void)
{
    struct operation *operation = &operations[scheduler_thread()];
    if (breaker->word == word_before)
        return;
    if (!operation->runs || operation->changed)
        judge_fail("a change of the word by nobody, or a second one");
    operation->step = answer_in(operation, word_before);
    operation->changed = true;
    if (operation->step.word != breaker->word)
        judge_fail("a change of the word that is not the machine's");
    word_before = breaker->word;
    for (uint32_t t = 0; t < threads; t++) {
        if (!operations[t].runs)
            continue;
        MUST(operations[t].words < WORDS_MAX);
        operations[t].word[operations[t].words++] = breaker->word;
    }
}

static void operation_begins(void)
{
    struct operation *operation = &operations[scheduler_thread()];
    operation->runs = true;
    operation->words = 1;
    operation->word[0] = breaker->word;
}

static struct hgi_counters *own_counters(void)
{
    return &hgi_local_of(breaker)->counters[scheduler_thread()];
}

void judge_begin(enum hgi_event event, hg_permit permit)
{
    struct operation *operation = &operations[scheduler_thread()];
    operation->event = event;
    operation->permit = permit.opaque;
    operation->changed = false;
    operation->counted = *own_counters();
    scheduler_arm(operation_begins);
}

/* How often this operation was counted so. */
static uint64_t counted(const struct operation *operation, enum hgi_counter counter)
{
    return own_counters()->value[counter] - operation->counted.value[counter];
}

/* Whether a step of the machine answers as the operation was answered. */
static bool agrees(const struct operation *operation, struct hgi_step step, uint64_t permit)
{
    uint64_t late = counted(operation, HGI_COUNT_LATE);
    switch (operation->event) {
    case HGI_ADMIT:
    case HGI_ADMIT_PLAIN:
        return step.permit == permit;
    case HGI_SUCCESS:
    case HGI_FAILURE:
        return (step.verdict == HGI_LATE) == (late == 1);
    default:
        return true;
    }
}

static void check_answer(const struct operation *operation, uint64_t permit)
{
    if (operation->changed) {
        if (!agrees(operation, operation->step, permit))
            judge_fail("an answer that does not go with the change of the word");
        return;
    }
    for (uint32_t i = 0; i < operation->words; i++) {
        struct hgi_step step = answer_in(operation, operation->word[i]);
        if (step.word == operation->word[i] && agrees(operation, step, permit))
            return;
    }
    judge_fail("an answer that goes with no word that stood meanwhile");
}

static void check_counts(const struct operation *operation, uint64_t permit)
{
    bool asks = operation->event == HGI_ADMIT || operation->event == HGI_ADMIT_PLAIN;
    bool is_result = operation->event == HGI_SUCCESS || operation->event == HGI_FAILURE;
    MUST(counted(operation, HGI_COUNT_ADMITTED) == (asks && permit != 0));
    MUST(counted(operation, HGI_COUNT_REFUSED) == (asks && permit == 0));
    MUST(counted(operation, HGI_COUNT_PROBES) == ((permit & HGI_PERMIT_PROBE) != 0));
    MUST(counted(operation, HGI_COUNT_CANCELLED) == (operation->event == HGI_CANCEL));
    MUST(counted(operation, HGI_COUNT_SUCCEEDED) + counted(operation, HGI_COUNT_FAILED) +
             counted(operation, HGI_COUNT_LATE) ==
         is_result);
    MUST(counted(operation, HGI_COUNT_FAILED) <= (operation->event == HGI_FAILURE));
}

void judge_end(uint64_t permit)
{
    struct operation *operation = &operations[scheduler_thread()];
    scheduler_disarm(); /* there are some that touch nothing */
    judge_stepped();
    check_answer(operation, permit);
    check_counts(operation, permit);
    operation->runs = false;
}
