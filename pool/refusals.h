/* The pool's no to a caller that wants a connection, and the words for it. */
#ifndef HERDGATE_POOL_REFUSALS_H
#define HERDGATE_POOL_REFUSALS_H

#include "pool/internal.h"

/* With the mutex held: may a caller that has left_ns queue? HG_OK, CLOSED, or POOL_TIMEOUT because the
 * queue is full or, where the policy says so, because its turn would come too late. */
hg_status hgi_refuse_waiter(hg_pool *pool, const struct hgi_pool_settings *settings,
                            int64_t left_ns, struct hg_error *err);

/* How a wait ended without a connection. */
hg_status hgi_waited_in_vain(hg_pool *pool, int64_t began_ns, struct hg_error *err);
hg_status hgi_refused_by_dial(hg_pool *pool, struct hgi_take *take, struct hg_error *err);
hg_status hgi_refused_by_breaker(const hg_pool *pool, struct hg_error *err);
hg_status hgi_refused_by_closing(struct hg_error *err);
hg_status hgi_refused_by_deadlock(hg_pool *pool, struct hg_error *err);

#endif
