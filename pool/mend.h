/* Connections that came back with something of their user's on them. */
#ifndef HERDGATE_POOL_MEND_H
#define HERDGATE_POOL_MEND_H

#include "pool/internal.h"

/* Give up an owned slot whose connection the next user must not meet: to be mended by the pool's own
 * threads, or closed and EMPTY. */
void hgi_give_unfit(hg_pool *pool, struct hgi_slot *slot);

/* For a dialer, when pool->spoiled is not 0: mend one. Mutex held at entry and return. */
void hgi_mend_one(hg_pool *pool);

#endif
