/* Callers that wait for a connection while they hold one. */
#ifndef HERDGATE_POOL_DEADLOCK_H
#define HERDGATE_POOL_DEADLOCK_H

#include "pool/internal.h"

/* The calling thread has one lease more, or one fewer. */
void hgi_deadlock_holds_more(void);
void hgi_deadlock_holds_fewer(void);

/* With the mutex held: the calling thread is going to wait. True: it must not, because then everyone
 * who could give a connection back would be waiting for one. */
bool hgi_deadlock_would_close(hg_pool *pool);

/* It does not wait after all, with the mutex held; it waits no more, which takes the mutex if need be. */
void hgi_deadlock_unmark(hg_pool *pool);
void hgi_deadlock_left(hg_pool *pool);

#endif
