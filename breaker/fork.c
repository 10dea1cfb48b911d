/* What a child of fork() would inherit half done is put right before it runs.
 *
 * A list of the process's breakers; the child's handler goes through it. What another thread of the
 * parent was in the middle of (a transition on its way, a reopening) is the parent's to finish, on its
 * own copy. The words are left alone: a shared one is still shared, and a private one is whole at any
 * moment.
 */
#include "breaker/fork.h"

#include <pthread.h>

#include "breaker/core.h"
#include "breaker/shared.h"

/* Guards `all` and its links, and is held while no child may be born. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct hgi_local *all;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool registered; /* written under `once` only */

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&mutex);
}

static void in_child(void)
{
    for (struct hgi_local *local = all; local; local = local->next) {
        hgi_events_forked(&local->events);
        /* relaxed: a forked child has one thread. */
        if (local->shared)
            atomic_store_explicit(&local->shared->reopening, 0, memory_order_relaxed);
    }
    pthread_mutex_unlock(&mutex);
}

static void prepare(void)
{
    registered = pthread_atfork(before_fork, in_parent, in_child) == 0;
}

bool hgi_fork_join(struct hgi_local *local)
{
    pthread_once(&once, prepare);
    if (!registered)
        return false;
    pthread_mutex_lock(&mutex);
    local->previous = NULL;
    local->next = all;
    if (all)
        all->previous = local;
    all = local;
    pthread_mutex_unlock(&mutex);
    return true;
}

void hgi_fork_leave(struct hgi_local *local)
{
    pthread_mutex_lock(&mutex);
    if (local->next)
        local->next->previous = local->previous;
    if (local->previous)
        local->previous->next = local->next;
    else
        all = local->next;
    pthread_mutex_unlock(&mutex);
}

void hgi_fork_hold(void)
{
    pthread_once(&once, prepare);
    pthread_mutex_lock(&mutex);
}

void hgi_fork_let(void)
{
    pthread_mutex_unlock(&mutex);
}
