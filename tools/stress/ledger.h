/* What one thread knows of its own keys on the server, and so which replies can be right. Pure.
 *
 * A key is written by one thread only. After an acknowledged SET a GET must give exactly its value.
 * A SET that failed with its outcome unknown may have run, or may run later: its value is right too,
 * until the end. A server that was restarted empty may have lost the key.
 */
#ifndef HERDGATE_TOOLS_STRESS_LEDGER_H
#define HERDGATE_TOOLS_STRESS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/common/options.h"

enum { HGI_LEDGER_PENDING = 16 };

struct hgi_ledger {
    uint64_t key;
    uint64_t nonce;      /* of the last acknowledged SET; 0: none yet */
    uint64_t next_nonce; /* the last one drawn */
    bool may_be_missing;
    uint32_t pending_count;
    bool pending_lost; /* more outcomes unknown than fit: every earlier nonce may be right */
    uint64_t pending[HGI_LEDGER_PENDING];
};

/* The nonce of the next SET: each has its own. */
uint64_t hgi_ledger_draw(struct hgi_ledger *ledger);

/* How that SET ended. */
void hgi_ledger_acknowledged(struct hgi_ledger *ledger, uint64_t nonce);
void hgi_ledger_unknown(struct hgi_ledger *ledger, uint64_t nonce);

/* The server may have lost its data. */
void hgi_ledger_lost(struct hgi_ledger *ledger);

/* Can this be the reply to a GET of the key? bytes NULL: nil. */
bool hgi_ledger_accepts(struct hgi_ledger *ledger, const void *bytes, size_t length,
                        struct hgi_span sizes);

/* A counter that one thread INCRs. */
struct hgi_counter {
    int64_t seen;    /* the last reply; 0 at first */
    int64_t sent;    /* INCRs that may have run since it was seen, the next one not included */
    bool may_be_new; /* the server may have lost it: the next reply may start again at 1 */
};

void hgi_counter_unknown(struct hgi_counter *counter);
void hgi_counter_lost(struct hgi_counter *counter);

/* Can `reply` be the reply to the next INCR? Exactly one more than the last, where nothing was left
 * unknown since. */
bool hgi_counter_accepts(struct hgi_counter *counter, int64_t reply);

/* Can `value` be what the server has, when nobody calls any more? No INCR that was acknowledged is missing,
 * and none ran twice. */
bool hgi_counter_holds(const struct hgi_counter *counter, int64_t value);

#endif
