/* The retry budget: a bucket of tokens. Calls and time fill it, retries empty it, so that retries stay
 * a small share of the load when everything fails at once. */
#ifndef HERDGATE_POLICY_BUDGET_H
#define HERDGATE_POLICY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/policy.h>

#include "policy/settings.h"

#define HGI_BUDGET_TOKEN UINT64_C(1000000)

/* What it gives and holds, in units of a millionth of a token. */
struct hgi_budget_rules {
    bool enabled;
    uint64_t per_call;
    uint64_t per_tick;
    uint64_t capacity;
};

/* All that decides is `word`; its layout is in budget.c. The rules are read with it but change only
 * when a policy is reloaded: mixing old and new ones for one call does no harm. */
struct hg_budget {
    _Atomic uint64_t word;     /* written by all callers */
    _Atomic uint64_t per_call; /* these four: by hgi_budget_configure() */
    _Atomic uint64_t per_tick;
    _Atomic uint64_t capacity;
    _Atomic bool enabled;
};

/* One that is part of something else: init it before any other use. Nothing to free. */
void hgi_budget_init(struct hg_budget *budget, const struct hgi_budget_settings *settings,
                     int64_t now_ns);

/* Change the settings and keep the tokens, as far as the new capacity holds them. Any thread, while
 * others use it; two at a time need a lock of the caller's. */
void hgi_budget_configure(struct hg_budget *budget, const struct hgi_budget_settings *settings,
                          int64_t now_ns);

/* A call began: it earns. A full bucket is only read. Any thread, lock-free, as are the others. */
void hgi_budget_on_call(struct hg_budget *budget, int64_t now_ns);

/* Ask for a retry. False: no token is left, make none. */
bool hgi_budget_take(struct hg_budget *budget, int64_t now_ns);

/* The retry that a token was taken for was refused elsewhere: give the token back. */
void hgi_budget_give_back(struct hg_budget *budget);

/* Tokens in it now, rounded down; for statistics and tests. */
uint64_t hgi_budget_tokens(const struct hg_budget *budget, int64_t now_ns);

/* The pure core, on which all of the above stand. */
enum hgi_budget_event {
    HGI_BUDGET_CALL,
    HGI_BUDGET_TAKE,
    HGI_BUDGET_GIVE_BACK, /* does not look at the time */
    HGI_BUDGET_SETTLE     /* credit the time, and nothing else */
};

struct hgi_budget_step {
    uint64_t word; /* the same as before: nothing to write */
    bool granted;  /* TAKE: there was a token */
};

struct hgi_budget_rules hgi_budget_rules(const struct hgi_budget_settings *settings);
uint64_t hgi_budget_first_word(const struct hgi_budget_rules *rules, double initial,
                               int64_t now_ns);
struct hgi_budget_step hgi_budget_step(const struct hgi_budget_rules *rules, uint64_t word,
                                       enum hgi_budget_event event, int64_t now_ns);

#endif
