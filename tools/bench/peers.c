/* The floor and the mutex-guarded breaker; see peers.h.
 *
 * The guarded one is meant to be as quick as its kind can be: one lock for each call into it, and the
 * clock is read only where the state asks for it.
 */
#include "tools/bench/peers.h"

#include "tools/common/timing.h"

enum { FAILURE_THRESHOLD = 5, MAX_CALLS = 3, SUCCESS_THRESHOLD = 2 };

#define RECOVERY_TIMEOUT_NS NS_PER_S

bool hgi_floor_admit(struct hgi_floor *floor, hg_permit *permit)
{
    /* relaxed: it is the price of a load that is measured. */
    permit->opaque = atomic_load_explicit(&floor->word, memory_order_relaxed);
    return permit->opaque == 0;
}

void hgi_floor_report(struct hgi_floor *floor, hg_permit permit, hg_result result,
                      int64_t elapsed_ns)
{
    (void)floor;
    (void)permit;
    (void)result;
    (void)elapsed_ns;
}

static void open_now(struct hgi_guarded *guarded)
{
    guarded->state = HG_BREAKER_OPEN;
    guarded->reopens_ns = monotonic_ns() + RECOVERY_TIMEOUT_NS;
    guarded->failures = 0;
}

bool hgi_guarded_admit(struct hgi_guarded *guarded, hg_permit *permit)
{
    pthread_mutex_lock(&guarded->mutex);
    if (guarded->state == HG_BREAKER_OPEN && monotonic_ns() >= guarded->reopens_ns) {
        guarded->state = HG_BREAKER_HALF_OPEN;
        guarded->probes = guarded->succeeded = 0;
    }
    bool admitted = guarded->state == HG_BREAKER_CLOSED ||
                    (guarded->state == HG_BREAKER_HALF_OPEN && guarded->probes++ < MAX_CALLS);
    permit->opaque = admitted;
    pthread_mutex_unlock(&guarded->mutex);
    return admitted;
}

void hgi_guarded_report(struct hgi_guarded *guarded, hg_permit permit, hg_result result,
                        int64_t elapsed_ns)
{
    (void)permit;
    (void)elapsed_ns;
    pthread_mutex_lock(&guarded->mutex);
    if (guarded->state == HG_BREAKER_CLOSED) {
        if (result == HG_RESULT_SUCCESS)
            guarded->failures = 0;
        else if (++guarded->failures >= FAILURE_THRESHOLD)
            open_now(guarded);
    } else if (guarded->state == HG_BREAKER_HALF_OPEN) {
        if (result == HG_RESULT_FAILURE)
            open_now(guarded);
        else if (++guarded->succeeded >= SUCCESS_THRESHOLD)
            guarded->state = HG_BREAKER_CLOSED;
    }
    pthread_mutex_unlock(&guarded->mutex);
}
