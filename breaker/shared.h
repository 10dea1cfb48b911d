/* The shared form's handle: private memory and the segment, side by side.
 *
 *     [ struct hgi_shared ... struct hgi_local ][ struct hgi_segment ]
 *       private pages, zero at first              shared, the file's page
 *
 * So a breaker's address has its hgi_local right before it in both forms, and nothing of the code above
 * need know which one it has.
 */
#ifndef HERDGATE_BREAKER_SHARED_H
#define HERDGATE_BREAKER_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/breaker.h>

#include "breaker/breaker.h"
#include "breaker/shm_file.h"

/* What this process keeps for a shared breaker besides hgi_local. */
struct hgi_shared {
    size_t private_size; /* of the pages that begin with this struct */
    size_t shared_size;  /* of the pages behind them */
    bool may_create;     /* else it only ever attaches */
    struct hgi_shm_file shm;
    _Atomic uint32_t reopening;  /* written by the thread that reopens: 1 while it does */
    _Atomic uint64_t left;       /* written by that thread: what was seen of the old segment */
    _Atomic int64_t next_try_ns; /* written by that thread: no reopening before */
};

/* How a test opens one otherwise than a user does. */
struct hgi_shared_how {
    const char *directory; /* NULL: the system's */
    hgi_clock_fn clock;    /* NULL: the system's */
    void *clock_arg;
    bool only_attach;
};

hg_status hgi_shared_open(hg_breaker **out, const char *name,
                          const struct hg_breaker_options *options,
                          const struct hgi_shared_how *how, struct hg_error *err);

/* Retire the segment and remove its name. directory NULL: the system's. */
hg_status hgi_shared_unlink(const char *directory, const char *name, struct hg_error *err);

/* Give the pages back; hgi_local_end() came before. */
void hgi_shared_unmap(struct hgi_shared *shared);

#endif
