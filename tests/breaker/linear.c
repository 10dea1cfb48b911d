/* The search for an order; see linear.h.
 *
 * Depth first, after Wing and Gong: of the operations that come next on their threads, each one may be
 * first that no other had ended before. A state is how far each thread has come, and the word; one that
 * has led nowhere is not entered again, so the search is bounded by the number of states.
 */
#include "tests/breaker/linear.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/breaker/fixture.h"

struct state {
    uint64_t word;
    uint8_t at[LINEAR_THREADS]; /* the next operation of each thread */
    bool used;
};

struct search {
    const struct linear_history *history;
    struct state *table; /* those that have been entered */
    size_t size;         /* a power of two */
    size_t entered;
};

struct linear_operation *linear_add(struct linear_history *history, uint32_t thread)
{
    if (history->count[thread] == LINEAR_OPERATIONS)
        return NULL;
    return &history->operation[thread][history->count[thread]++];
}

static bool is_same(const struct state *a, const struct state *b)
{
    return a->word == b->word && memcmp(a->at, b->at, sizeof a->at) == 0;
}

static size_t place_of(const struct search *search, const struct state *state)
{
    uint64_t hash = state->word;
    for (uint32_t t = 0; t < LINEAR_THREADS; t++)
        hash = (hash ^ state->at[t]) * UINT64_C(0x9e3779b97f4a7c15);
    size_t place = (size_t)(hash >> 20) & (search->size - 1);
    while (search->table[place].used && !is_same(&search->table[place], state))
        place = (place + 1) & (search->size - 1);
    return place;
}

static void grow(struct search *search)
{
    struct state *old = search->table;
    size_t size = search->size;
    search->size = size ? 2 * size : 1024;
    search->table = calloc(search->size, sizeof *search->table);
    REQUIRE(search->table);
    for (size_t i = 0; i < size; i++)
        if (old[i].used)
            search->table[place_of(search, &old[i])] = old[i];
    free(old);
}

/* False: it has been here. */
static bool enter(struct search *search, struct state state)
{
    if (2 * (search->entered + 1) > search->size)
        grow(search);
    struct state *place = &search->table[place_of(search, &state)];
    if (place->used)
        return false;
    *place = state;
    place->used = true;
    search->entered++;
    return true;
}

/* Whether this thread's next operation may be the first of those that are left. */
static bool may_be_next(const struct linear_history *history, const struct state *state,
                        uint32_t thread)
{
    const struct linear_operation *operation = &history->operation[thread][state->at[thread]];
    for (uint32_t t = 0; t < history->threads; t++)
        if (t != thread && state->at[t] < history->count[t] &&
            history->operation[t][state->at[t]].ended < operation->began)
            return false;
    return true;
}

/* Whether the machine answers in this word as it was answered; then the word that follows. */
static bool is_answered(const struct hgi_machine *machine, const struct linear_operation *operation,
                        uint64_t *word)
{
    if (operation->event == LINEAR_LOOK)
        return operation->answer == *word;
    struct hgi_step step = hgi_machine_step(machine, *word, (enum hgi_event)operation->event,
                                            operation->permit, operation->tick);
    *word = step.word;
    switch (operation->event) {
    case HGI_ADMIT:
    case HGI_ADMIT_PLAIN:
        return step.permit == operation->answer;
    case HGI_SUCCESS:
    case HGI_FAILURE:
        return (step.verdict == HGI_LATE) == (operation->answer == 1);
    default:
        return true;
    }
}

static bool find(struct search *search, struct state state)
{
    const struct linear_history *history = search->history;
    bool any_left = false;
    if (!enter(search, state))
        return false;
    for (uint32_t t = 0; t < history->threads; t++) {
        if (state.at[t] == history->count[t])
            continue;
        any_left = true;
        struct state next = state;
        if (!may_be_next(history, &state, t) ||
            !is_answered(history->machine, &history->operation[t][state.at[t]], &next.word))
            continue;
        next.at[t]++;
        if (find(search, next))
            return true;
    }
    return !any_left && state.word == history->last;
}

bool linear_is_possible(const struct linear_history *history, uint64_t *looked)
{
    struct search search = { .history = history };
    bool possible = find(&search, (struct state) { .word = history->first });
    *looked += search.entered;
    free(search.table);
    return possible;
}

uint64_t linear_overlaps(const struct linear_history *history)
{
    uint64_t count = 0;
    for (uint32_t a = 0; a < history->threads; a++)
        for (uint32_t b = a + 1; b < history->threads; b++)
            for (uint32_t i = 0; i < history->count[a]; i++)
                for (uint32_t j = 0; j < history->count[b]; j++)
                    count += history->operation[a][i].began <= history->operation[b][j].ended &&
                             history->operation[b][j].began <= history->operation[a][i].ended;
    return count;
}

void linear_print(const struct linear_history *history)
{
    static const char *const names[] = { "admit",       "admit plain", "success",  "failure",
                                         "cancel",      "trip",        "trip now", "force open",
                                         "force close", "disable",     "reset",    "retire",
                                         "look" };
    fprintf(stderr, "no order of these gives their answers; the word was %016llx, is %016llx\n",
            (unsigned long long)history->first, (unsigned long long)history->last);
    for (uint32_t t = 0; t < history->threads; t++) {
        for (uint32_t i = 0; i < history->count[t]; i++) {
            const struct linear_operation *o = &history->operation[t][i];
            fprintf(stderr, "  thread %u  %-11s permit %016llx tick %8u  %lld..%lld  -> %016llx\n",
                    t, names[o->event], (unsigned long long)o->permit, o->tick, (long long)o->began,
                    (long long)o->ended, (unsigned long long)o->answer);
        }
    }
}
