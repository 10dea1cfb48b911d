/* The host's hooks, and the names of what they are told.
 *
 * Both are called on the thread that something happens on, after its work is done: what a hook looks
 * at is as the event says. Whoever calls these holds no lock, so a hook may come back into the pool;
 * and a hook is the host's code, which may be a cancellation point, so the thread is not cancelled in it.
 */
#include "pool/hooks.h"

#include "pool/internal.h"

void hgi_pool_log(const hg_pool *pool, hg_log_kind kind, int64_t delay_ns,
                  const struct hg_error *error, const struct hg_breaker_event *breaker,
                  const char *text)
{
    if (!pool->log)
        return;
    struct hg_log_event event = { .size = sizeof event,
                                  .kind = kind,
                                  .delay_ns = delay_ns,
                                  .error = error,
                                  .breaker = breaker,
                                  .text = text };
    int cancel = hgi_cancel_off();
    pool->log(pool->log_arg, &event);
    hgi_cancel_restore(cancel);
}

void hgi_pool_tell(const hg_pool *pool, struct hg_pool_event event)
{
    if (!pool->event)
        return;
    event.size = sizeof event;
    event.max_size = hgi_size_now(pool);
    int cancel = hgi_cancel_off();
    pool->event(pool->event_arg, &event);
    hgi_cancel_restore(cancel);
}

const char *hg_retirement_name(hg_retirement retirement)
{
    static const char *const names[] = {
        [HG_RETIRED_NONE] = "none",         [HG_RETIRED_FAILED] = "failed",
        [HG_RETIRED_UNCLEAN] = "unclean",   [HG_RETIRED_BY_SERVER] = "closed_by_server",
        [HG_RETIRED_SURPLUS] = "surplus",   [HG_RETIRED_OUTDATED] = "outdated",
        [HG_RETIRED_LIFETIME] = "lifetime", [HG_RETIRED_IDLE] = "idle",
        [HG_RETIRED_SILENT] = "silent",     [HG_RETIRED_CLOSING] = "closing",
    };
    return (size_t)retirement < sizeof names / sizeof names[0] ? names[retirement] : "?";
}

const char *hg_pool_event_name(hg_pool_event_kind kind)
{
    static const char *const names[] = {
        [HG_EVENT_CONNECTED] = "connected",
        [HG_EVENT_DIAL_FAILED] = "dial_failed",
        [HG_EVENT_RETIRED] = "retired",
        [HG_EVENT_MENDED] = "mended",
        [HG_EVENT_POOL_TIMEOUT] = "pool_timeout",
        [HG_EVENT_BREAKER] = "breaker",
        [HG_EVENT_SUSPENDED] = "suspended",
        [HG_EVENT_RESUMED] = "resumed",
        [HG_EVENT_RESIZED] = "resized",
        [HG_EVENT_RELOADED] = "reloaded",
        [HG_EVENT_CLOSED] = "closed",
    };
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}
