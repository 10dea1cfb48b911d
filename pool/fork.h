/* What fork() must not do to a pool: see fork.c. */
#ifndef HERDGATE_POOL_FORK_H
#define HERDGATE_POOL_FORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <herdgate/pool.h>

struct hgi_slot;

/* A descriptor of ours, noted where a child finds it: 0 none, else its number and 1. Written by the
 * owner of what it lies in, in one step with the descriptor's making or end. */
typedef _Atomic int32_t hgi_descriptor_note;

/* A step of making or closing a descriptor and of noting it. No fork() comes in between; nothing in
 * it may block. */
void hgi_descriptors_lock(void);
void hgi_descriptors_unlock(void);

/* Inside such a step. fd < 0: there is none any more. note NULL: nobody asked for it. */
static inline void hgi_descriptor_note_down(hgi_descriptor_note *note, int fd)
{
    /* relaxed: fork() and the lock order it for the child. */
    if (note)
        atomic_store_explicit(note, fd >= 0 ? fd + 1 : 0, memory_order_relaxed);
}

/* socket() and close() as such steps. */
int hgi_socket_open(int family, int type, hgi_descriptor_note *note);
void hgi_socket_close(int fd, hgi_descriptor_note *note);

/* A step of a TLS handshake: it takes locks inside of OpenSSL and of the C library (that of time zones, for
 * the dates of certificates), which a child would find held by a thread that it has not got, for ever.
 * No fork() comes in between. May run in several threads at a time; nothing in it may wait for the
 * network. */
void hgi_handshake_step_begin(void);
void hgi_handshake_step_end(void);

/* A lookup of a name. It takes such locks of the C library as well, for moments, and may wait for a name
 * server in between for long. So fork() waits for those that are under way, but not for ever: one that
 * lasts is waiting for the network, and holds none of them. */
void hgi_lookup_begin(void);
void hgi_lookup_end(void);

/* For how long fork() waits for them; written by nobody but a test. */
extern int64_t hgi_lookup_patience_ns;

/* From now on a child's copy of the pool is made fit for the child. False: out of memory. */
bool hgi_fork_watch(hg_pool *pool);
void hgi_fork_unwatch(hg_pool *pool);

/* Called on the way into the pool: a child that no fork handler has prepared is prepared now. */
extern _Atomic uint32_t *hgi_process_mark;
void hgi_fork_prepare_late(void);

static inline void hgi_fork_check(void)
{
    /* [K1] acquire: the pools as they were prepared; pairs with [K1] in hgi_fork_prepare_late(). */
    if (__builtin_expect(atomic_load_explicit(hgi_process_mark, memory_order_acquire) != 1, 0))
        hgi_fork_prepare_late();
}

/* Give a prepared pool what its process has not got: slots, descriptors, threads. HG_OK also if
 * another thread has just done it. */
hg_status hgi_fork_revive(hg_pool *pool, struct hg_error *err);

/* Free what a pool keeps of its parent's. */
void hgi_fork_free(hg_pool *pool);

#endif
