/* The retry budget: a token bucket in one 64-bit word.
 *
 *     bits 0-39   tokens, in millionths
 *     bits 40-63  the tick (50 ms) up to which time has been credited, modulo 2^24 (9.7 days)
 *
 * A call earns `ratio`, each tick `min_per_second` / 20, a retry costs one token. hgi_budget_step() says
 * what a word becomes, without clock or atomics; the shell is one compare-and-swap loop. Credit for
 * time is not written until something else is: it can be computed from the tick whenever it is asked
 * for. A full bucket stays the same word, so calls that go well only read it; what its tick says is
 * then old, and worth nothing, because nothing can be added.
 *
 * Invariants: 0 <= tokens <= capacity; over any time, retries <= tokens at its start + ratio * calls
 * + min_per_second * seconds (and one tick): a millionth is the rounding of a setting, and no event
 * makes more. Time is never credited twice: a tick is compared modulo 2^24, and a reader whose clock
 * is a little older than the word's gets nothing.
 */
#include "policy/budget.h"

#include <assert.h>
#include <stdlib.h>

#include "breaker/clock.h"
#include "breaker/error.h"

#define TOKEN HGI_BUDGET_TOKEN
#define TICK_NS (50 * HGI_NS_PER_MS)
#define TICKS_PER_SECOND 20.0

#define TICK_SHIFT 40
#define TOKENS_MASK ((UINT64_C(1) << TICK_SHIFT) - 1)
#define TICK_MASK UINT64_C(0xffffff)

/* A word's tick that seems this close to a whole turn away is not old but ahead of the caller's clock,
 * read before another thread's: 13 minutes. A bucket that nobody used for 9.7 days less these 13
 * minutes is taken for one, too, and earns by its calls alone until they are over. */
#define TICKS_AHEAD UINT64_C(0x4000)

/* A full bucket's tick is renewed this often (2.4 days), so that calls keep it out of that zone. */
#define TICKS_STALE (UINT64_C(1) << 22)

/* The least capacity, for settings with no time credit to measure it by, and the most. */
#define CAPACITY_LEAST (10 * TOKEN)
#define CAPACITY_MOST (1000000 * TOKEN)

static_assert(CAPACITY_MOST <= TOKENS_MASK, "tokens fit their field");
static_assert(CAPACITY_MOST * 2 <= UINT64_MAX - CAPACITY_MOST * TICK_MASK,
              "all that can come together in a step fits 64 bits");
#define CACHE_LINE 64

static_assert(sizeof(struct hg_budget) <= CACHE_LINE, "one cache line");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the word is lock-free");

static uint64_t pack(uint64_t tokens, uint64_t tick)
{
    return tokens | (tick & TICK_MASK) << TICK_SHIFT;
}

static uint64_t tokens_of(uint64_t word)
{
    return word & TOKENS_MASK;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t tick_at(int64_t now_ns)
{
    return now_ns > 0 ? (uint64_t)now_ns / (uint64_t)TICK_NS : 0;
}

/* Tokens as millionths, to the nearest. What is negative or not a number is 0. */
static uint64_t millionths(double tokens)
{
    if (!(tokens > 0.0))
        return 0;
    if (tokens * (double)TOKEN >= (double)CAPACITY_MOST)
        return CAPACITY_MOST;
    return (uint64_t)(tokens * (double)TOKEN + 0.5);
}

struct hgi_budget_rules hgi_budget_rules(const struct hgi_budget_settings *settings)
{
    double seconds =
        settings->window_ns > 0 ? (double)settings->window_ns / (double)HGI_NS_PER_S : 0;
    uint64_t capacity = millionths(settings->min_per_second * seconds);
    uint64_t initial = millionths(settings->initial);
    if (capacity < initial)
        capacity = initial;
    if (capacity < CAPACITY_LEAST)
        capacity = CAPACITY_LEAST;
    return (struct hgi_budget_rules) {
        .enabled = settings->enabled,
        .per_call = millionths(settings->ratio),
        .per_tick = millionths(settings->min_per_second / TICKS_PER_SECOND),
        .capacity = capacity,
    };
}

uint64_t hgi_budget_first_word(const struct hgi_budget_rules *rules, double initial, int64_t now_ns)
{
    /* The tick that has begun is not credited: it was over before there was a budget, in part. */
    return pack(least(millionths(initial), rules->capacity), tick_at(now_ns) + 1);
}

static uint64_t ticks_since(uint64_t word, int64_t now_ns)
{
    return (tick_at(now_ns) - (word >> TICK_SHIFT)) & TICK_MASK;
}

/* The word with all time up to now credited. */
static uint64_t credit_time(const struct hgi_budget_rules *rules, uint64_t word, int64_t now_ns)
{
    uint64_t tokens = tokens_of(word);
    uint64_t elapsed = ticks_since(word, now_ns);
    if (elapsed > TICK_MASK - TICKS_AHEAD)
        return pack(least(tokens, rules->capacity), word >> TICK_SHIFT);
    return pack(least(tokens + elapsed * rules->per_tick, rules->capacity), tick_at(now_ns));
}

static uint64_t earn(const struct hgi_budget_rules *rules, uint64_t word, uint64_t earned)
{
    return pack(least(tokens_of(word) + earned, rules->capacity), word >> TICK_SHIFT);
}

/* Whether a call has nothing to write. */
static bool full_and_fresh(uint64_t capacity, uint64_t word, int64_t now_ns)
{
    return tokens_of(word) == capacity && ticks_since(word, now_ns) < TICKS_STALE;
}

struct hgi_budget_step hgi_budget_step(const struct hgi_budget_rules *rules, uint64_t word,
                                       enum hgi_budget_event event, int64_t now_ns)
{
    struct hgi_budget_step step = { .word = word, .granted = false };
    if (event == HGI_BUDGET_SETTLE) {
        step.word = credit_time(rules, word, now_ns);
    } else if (!rules->enabled) {
        step.granted = event == HGI_BUDGET_TAKE;
    } else if (event == HGI_BUDGET_GIVE_BACK) {
        step.word = earn(rules, word, TOKEN);
    } else if (event == HGI_BUDGET_CALL) {
        if (!full_and_fresh(rules->capacity, word, now_ns))
            step.word = earn(rules, credit_time(rules, word, now_ns), rules->per_call);
    } else {
        uint64_t credited = credit_time(rules, word, now_ns);
        step.granted = tokens_of(credited) >= TOKEN;
        if (step.granted)
            step.word = credited - TOKEN; /* the tokens are the low bits */
    }
    return step;
}

/* relaxed, here and below: the word and the rules are all there is, nothing else hangs on them. */
static struct hgi_budget_rules rules_of(const struct hg_budget *budget)
{
    return (struct hgi_budget_rules) {
        .enabled = atomic_load_explicit(&budget->enabled, memory_order_relaxed),
        .per_call = atomic_load_explicit(&budget->per_call, memory_order_relaxed),
        .per_tick = atomic_load_explicit(&budget->per_tick, memory_order_relaxed),
        .capacity = atomic_load_explicit(&budget->capacity, memory_order_relaxed),
    };
}

static void set_rules(struct hg_budget *budget, const struct hgi_budget_rules *rules)
{
    atomic_store_explicit(&budget->enabled, rules->enabled, memory_order_relaxed);
    atomic_store_explicit(&budget->per_call, rules->per_call, memory_order_relaxed);
    atomic_store_explicit(&budget->per_tick, rules->per_tick, memory_order_relaxed);
    atomic_store_explicit(&budget->capacity, rules->capacity, memory_order_relaxed);
}

/* The shell. It ends: a compare-and-swap that fails means that another thread's went through. */
static bool apply(struct hg_budget *budget, enum hgi_budget_event event, int64_t now_ns)
{
    struct hgi_budget_rules rules = rules_of(budget);
    uint64_t word = atomic_load_explicit(&budget->word, memory_order_relaxed);
    struct hgi_budget_step step;
    do {
        step = hgi_budget_step(&rules, word, event, now_ns);
        if (step.word == word)
            break;
    } while (!atomic_compare_exchange_weak_explicit(&budget->word, &word, step.word,
                                                    memory_order_relaxed, memory_order_relaxed));
    return step.granted;
}

void hgi_budget_init(struct hg_budget *budget, const struct hgi_budget_settings *settings,
                     int64_t now_ns)
{
    struct hgi_budget_rules rules = hgi_budget_rules(settings);
    atomic_init(&budget->word, hgi_budget_first_word(&rules, settings->initial, now_ns));
    set_rules(budget, &rules);
}

void hgi_budget_configure(struct hg_budget *budget, const struct hgi_budget_settings *settings,
                          int64_t now_ns)
{
    struct hgi_budget_rules rules = hgi_budget_rules(settings);
    (void)apply(budget, HGI_BUDGET_SETTLE, now_ns); /* what was earned is earned by the old rules */
    set_rules(budget, &rules);
}

void hgi_budget_on_call(struct hg_budget *budget, int64_t now_ns)
{
    /* While all goes well there is nothing to write, as hgi_budget_step() would find with the other rules
     * at hand. relaxed: as in rules_of(). */
    uint64_t word = atomic_load_explicit(&budget->word, memory_order_relaxed);
    uint64_t capacity = atomic_load_explicit(&budget->capacity, memory_order_relaxed);
    if (!full_and_fresh(capacity, word, now_ns))
        (void)apply(budget, HGI_BUDGET_CALL, now_ns);
}

bool hgi_budget_take(struct hg_budget *budget, int64_t now_ns)
{
    return apply(budget, HGI_BUDGET_TAKE, now_ns);
}

void hgi_budget_give_back(struct hg_budget *budget)
{
    (void)apply(budget, HGI_BUDGET_GIVE_BACK, 0);
}

uint64_t hgi_budget_tokens(const struct hg_budget *budget, int64_t now_ns)
{
    struct hgi_budget_rules rules = rules_of(budget);
    uint64_t word = atomic_load_explicit(&budget->word, memory_order_relaxed);
    return tokens_of(credit_time(&rules, word, now_ns)) / TOKEN;
}

hg_status hg_budget_new(hg_budget **out, const hg_policy *policy, struct hg_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !policy)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_budget_new: %s is NULL",
                             out ? "policy" : "out");
    /* A cache line of its own: whoever lies beside it would feel every write. */
    hg_budget *budget = aligned_alloc(CACHE_LINE, CACHE_LINE);
    if (!budget)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "no memory for a retry budget");
    hgi_budget_init(budget, &policy->settings.budget, hgi_now_ns());
    *out = budget;
    return HG_OK;
}

void hg_budget_free(hg_budget *budget)
{
    free(budget);
}
