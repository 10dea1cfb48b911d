/* A proxy inside the tool, between the library and any server, that makes faults.
 *
 *     struct hgi_proxy *proxy;
 *     struct hgi_toxics faults = { .seed = 7 };
 *     if (!hgi_toxics_parse(&faults, "latency=50ms,reset,toxicity=0.01@5s..8s", &problem) ||
 *         !hgi_proxy_start(&proxy, &(struct hgi_proxy_options) { .target = &server }, &problem))
 *         return fail(problem.text);
 *     hgi_proxy_target(proxy, &through);              // connect there
 *     hgi_proxy_set(proxy, &faults);                  // its windows count from now
 *     hgi_proxy_stats(proxy, &stats);
 *     hgi_proxy_stop(proxy);
 *
 * One thread with epoll; it never waits for a client or a server, holds at most some 64 KiB each way
 * for a connection and reads no more while they are full, raises no SIGPIPE and takes no signal. With
 * no faults bytes pass unchanged.
 *
 * Connections are numbered from 0 as they are accepted, and the replies of each from 0, those of
 * setting it up included; push messages of RESP3 are not counted, and only pass. A client that ends
 * its side is gone: what it had sent still reaches the server, as it would through a kernel. A server
 * that cannot be reached shows as a connection that is closed at once.
 *
 * With a capacity the proxy stands for a server that does so much a second: connections and requests wait
 * in line, first come, first served, before they reach the real one. Its door is as a server's is: up to
 * HGI_PROXY_BACKLOG connections wait to be accepted, and the kernel turns more away. A client that
 * gave up stays in line with what it sent, and is served in vain, as a server does that cannot know.
 *
 * `reset` is a TCP RST on the port. A unix socket knows none: there it shows as the end of the stream,
 * or ECONNRESET if the proxy had not read all that the client sent.
 *
 * Any thread may call what is below, but for stop, which must be the last call.
 */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_H
#define HERDGATE_TOOLS_STRESS_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/common/problem.h"
#include "tools/common/target.h"
#include "tools/stress/toxic.h"

enum {
    HGI_PROXY_CONNECTIONS = 4096, /* more are closed at once */
    HGI_PROXY_BACKLOG = 511       /* with a capacity; redis' own */
};

struct hgi_proxy;

struct hgi_proxy_options {
    const struct hgi_target *target; /* where it connects to; copied */
    bool tcp;                        /* also listen on a free port of 127.0.0.1 */
    const struct hgi_toxics *toxics; /* copied; NULL: none */
    uint32_t capacity_per_s;         /* connections and requests; 0: no limit */
};

struct hgi_proxy_stats {
    uint64_t accepted; /* connections */
    uint64_t open;
    uint64_t turned_away; /* there were too many */
    uint64_t unreachable; /* the server did not take the connection */
    uint64_t requests;    /* that came from clients */
    uint64_t replies;     /* that clients were sent whole */
    uint64_t bytes_to_server;
    uint64_t bytes_to_client;
    /* By kind: the replies, or for kinds that strike connections the connections, that it had a part
     * in. Connections that a shut door refuses (`refuse` with toxicity 1) are not seen, nor counted. */
    uint64_t struck[HGI_TOXIC_KINDS];
    /* Of connections and requests; the rest of this only with a capacity, or while it is metered. */
    uint64_t came;
    uint64_t served;
    uint64_t in_vain; /* of the served: the client had gone, or went, without a reply */
    int64_t
        lost_ns; /* of the capacity: the machine was too busy for this thread to serve in time */
};

/* The same over time: counts in buckets, each array with room for `count`. What is outside of them is not
 * counted. */
struct hgi_proxy_meter {
    int64_t began_ns;
    int64_t bucket_ns;
    uint32_t count;
    uint32_t *came;   /* when they came */
    uint32_t *wasted; /* of these, in the same bucket: served in vain, or not at all */
    uint32_t *served; /* when they were served */
};

/* Listen, and look the target up. False: *problem says, and *out is NULL. */
bool hgi_proxy_start(struct hgi_proxy **out, const struct hgi_proxy_options *options,
                     struct hgi_problem *problem);

/* End all connections, wait for the thread, leave nothing behind. NULL does nothing. */
void hgi_proxy_stop(struct hgi_proxy *proxy);

/* Where it is: the target as it is reached through the proxy, login and database included, over the
 * port if there is one. And each by itself; port 0: none. */
void hgi_proxy_target(const struct hgi_proxy *proxy, struct hgi_target *out);
const char *hgi_proxy_socket(const struct hgi_proxy *proxy);
uint16_t hgi_proxy_port(const struct hgi_proxy *proxy);

/* Replace the faults by a copy of these, NULL: none. It holds for all that reaches the proxy from
 * when this returns; what was stalled passes unless the new set stalls it too. */
void hgi_proxy_set(struct hgi_proxy *proxy, const struct hgi_toxics *toxics);

/* End all connections that are open, by a reset if asked. They have ended when this returns. */
void hgi_proxy_drop(struct hgi_proxy *proxy, bool reset);

/* Let nobody in, as a port where nothing listens, or let them in again. Who is inside stays. */
void hgi_proxy_shut(struct hgi_proxy *proxy, bool shut);

/* Count into these arrays from now on; NULL: no more, and they are the caller's again. The struct is
 * copied. */
void hgi_proxy_measure(struct hgi_proxy *proxy, const struct hgi_proxy_meter *meter);

/* A picture of one instant. What a client has received is in it. */
void hgi_proxy_stats(struct hgi_proxy *proxy, struct hgi_proxy_stats *out);

#endif
