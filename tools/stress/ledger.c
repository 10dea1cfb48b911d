/* What one thread knows of its own keys; see ledger.h. */
#include "tools/stress/ledger.h"

#include "tools/stress/value.h"

uint64_t hgi_ledger_draw(struct hgi_ledger *ledger)
{
    return ++ledger->next_nonce;
}

void hgi_ledger_acknowledged(struct hgi_ledger *ledger, uint64_t nonce)
{
    ledger->nonce = nonce;
    ledger->may_be_missing = false;
}

void hgi_ledger_unknown(struct hgi_ledger *ledger, uint64_t nonce)
{
    if (ledger->pending_count < HGI_LEDGER_PENDING)
        ledger->pending[ledger->pending_count++] = nonce;
    else
        ledger->pending_lost = true;
}

void hgi_ledger_lost(struct hgi_ledger *ledger)
{
    ledger->may_be_missing = true;
}

/* Of all nonces ever drawn, the one whose value this is; 0: none. Only when the list overflowed. */
static uint64_t search(const struct hgi_ledger *ledger, const void *bytes, size_t length,
                       struct hgi_span sizes)
{
    for (uint64_t nonce = ledger->next_nonce; nonce > 0; nonce--) {
        if (hgi_value_is(bytes, length, ledger->key, nonce, sizes))
            return nonce;
    }
    return 0;
}

bool hgi_ledger_accepts(struct hgi_ledger *ledger, const void *bytes, size_t length,
                        struct hgi_span sizes)
{
    if (!bytes)
        return ledger->nonce == 0 || ledger->may_be_missing;
    if (ledger->nonce && hgi_value_is(bytes, length, ledger->key, ledger->nonce, sizes))
        return true;
    uint64_t found = 0;
    for (uint32_t i = 0; i < ledger->pending_count && !found; i++) {
        if (hgi_value_is(bytes, length, ledger->key, ledger->pending[i], sizes))
            found = ledger->pending[i];
    }
    if (!found && ledger->pending_lost)
        found = search(ledger, bytes, length, sizes);
    if (!found)
        return false;
    ledger->nonce = found;
    ledger->may_be_missing = false;
    return true;
}

void hgi_counter_unknown(struct hgi_counter *counter)
{
    counter->sent++;
}

void hgi_counter_lost(struct hgi_counter *counter)
{
    counter->may_be_new = true;
}

bool hgi_counter_accepts(struct hgi_counter *counter, int64_t reply)
{
    bool follows = reply > counter->seen && reply <= counter->seen + counter->sent + 1;
    bool starts = counter->may_be_new && reply >= 1 && reply <= counter->sent + 1;
    if (!follows && !starts)
        return false;
    if (follows) /* those of the unknown ones that have run are used up */
        counter->sent -= reply - counter->seen - 1;
    else
        counter->may_be_new = false;
    counter->seen = reply;
    return true;
}

bool hgi_counter_holds(const struct hgi_counter *counter, int64_t value)
{
    return value <= counter->seen + counter->sent &&
           value >= (counter->may_be_new ? 0 : counter->seen);
}
