/* Which faults strike what, and when: decided from a seed, never from time or the order of threads.
 *
 *     struct hgi_toxics set = { .seed = 7 };
 *     hgi_toxics_parse(&set, "latency=50ms,jitter=20ms,half_reply,toxicity=0.01@1s..3s", &problem);
 *     struct hgi_reply_fate fate = hgi_toxics_reply(&set, since_ns, connection, reply);
 *
 * A list is `fault[=value]`, each followed by what belongs to it: `jitter=20ms`, `toxicity=0.3` (the
 * share that it strikes; 1) and a window of time `@1s..3s` or `@1s..`, counted from when the set is
 * put to work. A fault strikes replies or whole connections:
 *
 *     latency=50ms     replies are late by that and by up to `jitter` more; their order stays
 *     slow=10ms        replies drip, a byte each 10 ms
 *     stall            replies, and all behind them, are held back until the window ends
 *     reset            in place of a reply the connection is reset
 *     half_reply       half of a reply, then the connection is closed
 *     garbage          something that is not RESP in place of a reply
 *     stall=requests   what connections send is held back
 *     bandwidth=64k    bytes a second of connections, each way
 *     close_after=3    connections are closed after that many replies, set-up included
 *     refuse           connections are refused
 *     forgery          a well-formed reply that is nobody's in place of a reply: no client can tell, only
 *                      who checks the contents; to see that the checks do
 *
 * Whether toxic number t strikes reply r of connection c is a function of (seed, t, c, r) and the
 * window. All of this is pure.
 */
#ifndef HERDGATE_TOOLS_STRESS_TOXIC_H
#define HERDGATE_TOOLS_STRESS_TOXIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "tools/common/problem.h"

enum hgi_toxic_kind {
    HGI_TOXIC_LATENCY,
    HGI_TOXIC_SLOW,
    HGI_TOXIC_STALL,
    HGI_TOXIC_RESET,
    HGI_TOXIC_HALF_REPLY,
    HGI_TOXIC_GARBAGE,
    HGI_TOXIC_STALL_REQUESTS,
    HGI_TOXIC_BANDWIDTH,
    HGI_TOXIC_CLOSE_AFTER,
    HGI_TOXIC_REFUSE,
    HGI_TOXIC_FORGERY,
    HGI_TOXIC_KINDS
};

enum { HGI_TOXICS_MAX = 32, HGI_TOXICS_TEXT = 4096, HGI_TOXIC_GARBAGE_MAX = 64 };

#define HGI_TOXIC_ALWAYS INT64_MAX

struct hgi_toxic {
    enum hgi_toxic_kind kind;
    int64_t
        amount; /* latency, slow: nanoseconds; bandwidth: bytes a second; close_after: replies */
    int64_t jitter_ns; /* latency */
    double toxicity;   /* 0 to 1 */
    int64_t from_ns;   /* the window: from, included, until, not included */
    int64_t until_ns;  /* HGI_TOXIC_ALWAYS: it does not end */
};

struct hgi_toxics {
    uint64_t seed;
    uint32_t count;
    struct hgi_toxic toxic[HGI_TOXICS_MAX];
};

/* What becomes of a reply. At most one of the last five is true. */
struct hgi_reply_fate {
    uint32_t struck;  /* 1 << kind of every fault that has a part in it */
    int64_t delay_ns; /* it is this late */
    int64_t drip_ns;  /* each of its bytes waits this long for the next; 0: it does not drip */
    uint64_t draw;    /* chooses the garbage, or the forgery */
    bool stalled;
    bool reset;
    bool halved;
    bool garbled;
    bool forged;
};

/* What holds for a connection as a whole. */
struct hgi_connection_fate {
    bool refused;
    bool requests_stalled;
    int64_t bytes_per_second; /* 0: no limit */
    int64_t replies;          /* it is closed after so many; 0: not */
};

/* The word of a kind, as the text form has it: "half_reply". */
const char *hgi_toxic_name(enum hgi_toxic_kind kind);

/* Read a list into *set, whose seed stays; "" or "none": no faults. False: *problem says what is wrong
 * and where, and *set is as it was. */
bool hgi_toxics_parse(struct hgi_toxics *set, const char *text, struct hgi_problem *problem);

/* The list as hgi_toxics_parse() reads it; and with the seed, as JSON. NULL: no memory. */
void hgi_toxics_print(const struct hgi_toxics *set, char out[HGI_TOXICS_TEXT]);
cJSON *hgi_toxics_json(const struct hgi_toxics *set);

/* Make up a schedule: every kind but forgery once, in an order and with parameters from the seed, one after the
 * other over duration_ns, each with as long a calm behind it. */
void hgi_toxics_draw(struct hgi_toxics *set, uint64_t seed, int64_t duration_ns);

/* Connections and replies count from 0; since_ns is the time since the set was put to work. */
struct hgi_reply_fate hgi_toxics_reply(const struct hgi_toxics *set, int64_t since_ns,
                                       uint64_t connection, uint64_t reply);
struct hgi_connection_fate hgi_toxics_connection(const struct hgi_toxics *set, int64_t since_ns,
                                                 uint64_t connection);

/* Are all connections refused? */
bool hgi_toxics_closed(const struct hgi_toxics *set, int64_t since_ns);

/* When a window next opens or closes, after since_ns. HGI_TOXIC_ALWAYS: never. */
int64_t hgi_toxics_next_edge(const struct hgi_toxics *set, int64_t since_ns);

/* Bytes that hiredis calls a protocol error. Returns how many; 1 to HGI_TOXIC_GARBAGE_MAX. */
size_t hgi_toxic_garbage(uint64_t draw, char out[HGI_TOXIC_GARBAGE_MAX]);

/* A reply that no command of anybody's has. Returns its length. */
size_t hgi_toxic_forgery(uint64_t draw, char out[HGI_TOXIC_GARBAGE_MAX]);

#endif
