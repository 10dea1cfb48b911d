/* How many connections are in use at most, of late: what is above that is spare. Pure. */
#ifndef HERDGATE_POOL_USAGE_H
#define HERDGATE_POOL_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct hgi_usage {
    int64_t began_ns; /* of this window; 0: none yet */
    uint32_t peak;    /* in this window */
    uint32_t last;    /* in the window before; UINT32_MAX: there was none */
    uint64_t queued;  /* callers that had queued, as of the last look */
};

/* A look at the pool: `in_use` of `connected` connections are with somebody, `queued` callers have had
 * to queue since it was opened. */
void hgi_usage_note(struct hgi_usage *usage, int64_t now_ns, int64_t window_ns, uint32_t connected,
                    uint32_t in_use, uint64_t queued);

/* How many of `connected` were not needed for a window at least. */
uint32_t hgi_usage_spare(const struct hgi_usage *usage, uint32_t connected);

#endif
