/* The recent peak of use, from looks at the pool now and then.
 *
 * Threads keep to slots, so that calls which are never more than one at a time may still use every
 * connection there is, and none of them ever looks idle. What tells is how many are in use at once. It
 * is sampled, and a caller that had to queue since the last look tells that all were. The peak of a
 * whole window and of the one that is under way: a connection is spare after one window without need
 * for it, and at most two.
 */
#include "pool/usage.h"

void hgi_usage_note(struct hgi_usage *usage, int64_t now_ns, int64_t window_ns, uint32_t connected,
                    uint32_t in_use, uint64_t queued)
{
    if (usage->began_ns == 0) {
        *usage = (struct hgi_usage) { .began_ns = now_ns, .last = UINT32_MAX, .queued = queued };
    } else if (now_ns - usage->began_ns >= window_ns) {
        usage->last = usage->peak;
        usage->peak = 0;
        usage->began_ns = now_ns;
    }
    if (queued != usage->queued)
        in_use = connected;
    usage->queued = queued;
    if (in_use > usage->peak)
        usage->peak = in_use;
}

uint32_t hgi_usage_spare(const struct hgi_usage *usage, uint32_t connected)
{
    uint32_t peak = usage->peak > usage->last ? usage->peak : usage->last;
    return connected > peak ? connected - peak : 0;
}
