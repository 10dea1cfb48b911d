/* The pool's inner pair, take and give, as every call runs it, with the accounting of a lease but
 * without what is around it: policy, breaker and the counting of calls. It is not exported, so this is
 * a shared library with the pool's objects inside. */
#ifndef HERDGATE_TOOLS_BENCH_PAIR_H
#define HERDGATE_TOOLS_BENCH_PAIR_H

#include <stdint.h>

#include <herdgate/export.h>
#include <herdgate/pool.h>

struct hgi_pair;

/* A pool with so many connections to the server, all of them open. NULL: *err says. */
HG_API struct hgi_pair *hgi_pair_open(const char *url, uint32_t connections, struct hg_error *err);
HG_API void hgi_pair_close(struct hgi_pair *pair);

/* Take a connection, with a lease that began at now_ns; NULL: none was to be had. And give it back.
 * The caller passes the time in, as a call does, which has read it for its deadline. */
HG_API hg_lease *hgi_pair_take(struct hgi_pair *pair, int64_t now_ns);
HG_API void hgi_pair_give(hg_lease *lease, int64_t now_ns);

#endif
