/* The breaker, for the rooms above and for tests; the public part is <herdgate/breaker.h>. */
#ifndef HERDGATE_BREAKER_BREAKER_H
#define HERDGATE_BREAKER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "breaker/permit.h"

/* Flag: admitted only where no probe's place is taken for it (closed, forced closed, disabled): for who
 * asks for himself and not for a call, as a pool's dialers do. */
#define HGI_ADMIT_NO_PROBE 1U

/* hg_breaker_admit() with flags. */
bool hgi_breaker_admit(hg_breaker *breaker, unsigned flags, hg_permit *permit);

/* In the child of a fork(), before any other use: its parent's threads are not here, whatever they were
 * in the middle of. State and counts stay; transitions that were on their way to listeners are lost. */
void hgi_breaker_forget_threads(hg_breaker *breaker);

/* CLOCK_MONOTONIC or what stands for it; never goes back. Called from any thread. */
typedef int64_t (*hgi_clock_fn)(void *arg);

/* hg_breaker_new() with another clock; arg is borrowed until the breaker is freed. */
hg_status hgi_breaker_new_with_clock(hg_breaker **out, const struct hg_breaker_options *options,
                                     hgi_clock_fn clock, void *arg, struct hg_error *err);

#endif
