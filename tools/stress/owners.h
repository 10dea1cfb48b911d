/* Who holds which connection: finds a connection that is with two threads at once.
 *
 * A connection is known by the server's CLIENT ID, asked over the lease itself. Its holder writes its
 * own mark into the connection's word and takes it out before giving the lease back; whoever finds
 * another's mark has found a doubled lease. Any thread. Lock-free.
 */
#ifndef HERDGATE_TOOLS_STRESS_OWNERS_H
#define HERDGATE_TOOLS_STRESS_OWNERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { HGI_OWNERS_PLACES = 1 << 16 }; /* connections that a run can have in all */

struct hgi_owners {
    struct {
        _Atomic int64_t id;      /* written once, from 0, by the first who holds it */
        _Atomic uint32_t holder; /* written by holders: 0 or a thread's mark */
    } place[HGI_OWNERS_PLACES];
};

/* `mark` (not 0) holds connection `id` now. False: another one does too. *place is for release. */
bool hgi_owners_take(struct hgi_owners *owners, int64_t id, uint32_t mark, uint32_t *place);

/* It gives it back. False: another one took it meanwhile. */
bool hgi_owners_give(struct hgi_owners *owners, uint32_t place, uint32_t mark);

#endif
