/* Callers that wait for a connection while they hold one. */
#ifndef HERDGATE_POOL_DEADLOCK_H
#define HERDGATE_POOL_DEADLOCK_H

#include "pool/internal.h"

/* The calling thread has one lease more, or one fewer. */
void hgi_deadlock_holds_more(void);
void hgi_deadlock_holds_fewer(void);

/* It uses a lease that another thread took or used last. */
void hgi_deadlock_holds_it_now(struct hgi_slot *slot);

/* --- with the pool's mutex held --- */

/* The calling thread wants to wait. True: it must not, because then everyone who could give a
 * connection back would be waiting for one. */
bool hgi_deadlock_would_close(const hg_pool *pool);

/* The calling thread is in the queue now. Returns it if it holds a connection there, else 0. */
int32_t hgi_deadlock_mark(hg_pool *pool);

/* The thread that this was, not 0, is in the queue no more. */
void hgi_deadlock_unmark(hg_pool *pool, int32_t thread);

#endif
