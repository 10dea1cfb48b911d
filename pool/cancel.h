/* Nothing of ours may be left half done by pthread_cancel(): what holds something and may block, runs
 * with cancellation switched off. */
#ifndef HERDGATE_POOL_CANCEL_H
#define HERDGATE_POOL_CANCEL_H

#include <pthread.h>

/* Returns what to switch back to. */
static inline int hgi_cancel_off(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void hgi_cancel_restore(int before)
{
    pthread_setcancelstate(before, NULL);
}

#endif
