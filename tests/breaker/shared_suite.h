/* The set-up of suites about one shared breaker: its folder, its settings, and how it is opened. */
#ifndef HERDGATE_TESTS_BREAKER_SHARED_SUITE_H
#define HERDGATE_TESTS_BREAKER_SHARED_SUITE_H

#include "tests/breaker/shared_fixture.h"

#define NAME "/orders"

static struct shared_folder folder;
static struct hg_breaker_options options;

static inline void set_up(void)
{
    shared_folder_make(&folder);
    options = (struct hg_breaker_options)HG_BREAKER_OPTIONS_INIT;
    options.failure_threshold = 2;
    /* What is open stays open, however slow the machine. */
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = 3600 * HGI_NS_PER_S;
}

static inline void tear_down(void)
{
    static const char *const names[] = { NAME, NULL };
    shared_folder_remove(&folder, names);
}

static inline hg_breaker *opened(void)
{
    return shared_opened(&folder, NAME, &options);
}

static inline void unlinked(void)
{
    shared_unlinked(&folder, NAME);
}

#endif
