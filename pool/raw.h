/* A connection's hiredis context in the hands of a user: what its calls can be kept to. */
#ifndef HERDGATE_POOL_RAW_H
#define HERDGATE_POOL_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

struct hgi_conn;

/* Of one connection. {0}: nobody has had the context. */
struct hgi_raw {
#if HIREDIS_MAJOR >= 1
    const redisContextFuncs *base; /* hiredis's own */
    redisContextFuncs funcs;       /* with ours for reading and writing */
    int64_t timeout_ns;            /* for a command; < 0: none */
    int64_t limit_ns;              /* absolute: of the lease */
    int64_t end_ns;                /* absolute: of the command under way */
    bool awaits;                   /* it was sent, and nothing of an answer has come */
#else
    bool lent;
#endif
};

/* Lend the context: from now on each command through it may take timeout_ns (< 0: no limit), and none
 * lasts longer than until limit_ns. Again, for the same lease: nothing changes. */
void hgi_raw_lend(struct hgi_conn *conn, int64_t timeout_ns, int64_t limit_ns);

#endif
