/* What keeps an older attempt of a write from running after a newer one. */
#ifndef HERDGATE_POOL_FENCE_H
#define HERDGATE_POOL_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/conn.h"

enum {
    HGI_FENCE_MAX = 8,         /* older attempts; with more of them the call ends */
    HGI_FENCE_FRAME_SIZE = 80, /* one CLIENT KILL */
    HGI_FENCE_SIZE = HGI_FENCE_MAX * HGI_FENCE_FRAME_SIZE
};

/* The connections on which attempts of one call left and were not answered. With a count of 0: none. */
struct hgi_fence {
    uint32_t count;
    struct {
        int64_t client_id;
        int64_t made_ns;
    } older[HGI_FENCE_MAX];
};

/* Remember an attempt that may run later. False: this one cannot be fenced off. */
bool hgi_fence_note(struct hgi_fence *fence, const struct hgi_conn *conn);

/* Write the commands that go before the next attempt, on `conn`; *length of them, which await *replies
 * answers. Both may be 0: no attempt is outstanding, or none of them can run any more. */
void hgi_fence_format(const struct hgi_fence *fence, const struct hgi_conn *conn,
                      char bytes[static HGI_FENCE_SIZE], size_t *length, uint32_t *replies);

/* A connection can raise a fence if the server answered this with a number: a CLIENT KILL that may be
 * given and meets nobody. */
#define HGI_FENCE_PROBE "9223372036854775807"

#endif
