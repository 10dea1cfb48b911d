/* Sleeping on a word. FUTEX_WAIT_BITSET is the form that takes an absolute monotonic time.
 * The word carries the data (release and acquire are the callers' affair); this only sleeps. */
#include "pool/park.h"

#include <assert.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "breaker/clock.h"

static_assert(sizeof(_Atomic uint32_t) == 4, "a futex word has 32 bits");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "a futex word is changed without a lock");

void hgi_park(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    const struct timespec deadline = hgi_timespec(deadline_ns);
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, &deadline, NULL,
            FUTEX_BITSET_MATCH_ANY);
}

void hgi_unpark(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}
