/* What the host is told: lines for its log, and events. With no lock held, on whatever thread. */
#ifndef HERDGATE_POOL_HOOKS_H
#define HERDGATE_POOL_HOOKS_H

#include <herdgate/pool.h>

/* Tell the log hook, if there is one. */
void hgi_pool_log(const hg_pool *pool, hg_log_kind kind, int64_t delay_ns,
                  const struct hg_error *error, const struct hg_breaker_event *breaker,
                  const char *text);

/* Tell the event hook, if there is one. The event's size and max_size are filled in. */
void hgi_pool_tell(const hg_pool *pool, struct hg_pool_event event);

#endif
