/* Listeners come and go while threads make transitions: who has left is never called again, so what it
 * was given can be freed at once; who has come hears without a gap until it leaves. And a thread is not
 * cancelled in one. */
#include <pthread.h>
#include <sched.h>

#include "breaker/core.h"
#include "tests/breaker/fixture.h"

enum { MAKERS = 2, COMERS = 4, READY = 0x600d };

static hg_breaker *breaker;
static _Atomic bool over;             /* written by main() */
static _Atomic uint64_t heard_in_all; /* written by those who left */

/* On the heap, filled before it listens and freed as soon as it has left. */
struct listener {
    uint32_t ready;
    uint64_t count;
    uint32_t last_generation;
};

static void hear(void *arg, const struct hg_breaker_event *event)
{
    struct listener *listener = arg;
    REQUIRE(listener->ready == READY);
    REQUIRE(event->missed == 0);
    if (listener->count++ > 0)
        REQUIRE(event->generation == ((listener->last_generation + 1) & HGI_GENERATION_MAX));
    listener->last_generation = event->generation;
}

static _Atomic uint64_t told; /* written by who delivers */

static void note(void *arg, const struct hg_breaker_event *event)
{
    (void)arg;
    (void)event;
    if (atomic_fetch_add(&told, 1) % 4 == 0)
        sched_yield(); /* so that others push meanwhile, for this thread to deliver */
}

static void *make_transitions(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        /* Not ahead of their delivery without end: whoever delivers may be off the processor. */
        if (atomic_load(&breaker->transitions) > atomic_load(&told) + 1024) {
            sched_yield();
            continue;
        }
        hg_breaker_trip(breaker);
        hg_breaker_reset(breaker);
    }
    return NULL;
}

static void *come_and_go(void *arg)
{
    uint64_t rounds = *(const uint64_t *)arg;
    for (uint64_t i = 0; i < rounds; i++) {
        struct listener *listener = calloc(1, sizeof *listener);
        REQUIRE(listener);
        listener->ready = READY;
        REQUIRE(hg_breaker_listen(breaker, hear, listener, NULL) == HG_OK);
        sched_yield();
        hg_breaker_unlisten(breaker, hear, listener);
        /* relaxed: what they do here shall not be what makes one of them see the other. */
        atomic_fetch_add_explicit(&heard_in_all, listener->count, memory_order_relaxed);
        listener->ready = 0;
        free(listener);
        sched_yield(); /* so that the place is another one's next, who knows nothing of this one */
    }
    return NULL;
}

/* --- a thread is not cancelled in a listener --- */

static void hear_where_one_may_be_cancelled(void *arg, const struct hg_breaker_event *event)
{
    (void)event;
    pthread_testcancel();
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static void *doomed_main(void *arg)
{
    pthread_cancel(pthread_self());
    hg_breaker_trip(arg);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* sanitizers take it for a fault */
    return NULL;
}

static void a_thread_is_not_cancelled_in_a_listener(void)
{
    _Atomic unsigned heard = 0;
    pthread_t thread;
    hg_breaker *own;
    REQUIRE(hg_breaker_new(&own, NULL, NULL) == HG_OK);
    REQUIRE(hg_breaker_listen(own, hear_where_one_may_be_cancelled, &heard, NULL) == HG_OK);
    REQUIRE(pthread_create(&thread, NULL, doomed_main, own) == 0);
    pthread_join(thread, NULL);
    hg_breaker_reset(own);
    REQUIRE(atomic_load(&heard) == 2); /* who had been cancelled would deliver for ever */
    hg_breaker_free(own);
}

int main(void)
{
    a_thread_is_not_cancelled_in_a_listener();
    uint64_t rounds = test_rounds(2000, 200000);
    pthread_t makers[MAKERS];
    pthread_t comers[COMERS];
    REQUIRE(hg_breaker_new(&breaker, NULL, NULL) == HG_OK);
    REQUIRE(hg_breaker_listen(breaker, note, NULL, NULL) == HG_OK);
    for (int i = 0; i < MAKERS; i++)
        REQUIRE(pthread_create(&makers[i], NULL, make_transitions, NULL) == 0);
    for (int i = 0; i < COMERS; i++)
        REQUIRE(pthread_create(&comers[i], NULL, come_and_go, &rounds) == 0);
    for (int i = 0; i < COMERS; i++)
        pthread_join(comers[i], NULL);
    atomic_store(&over, true);
    for (int i = 0; i < MAKERS; i++)
        pthread_join(makers[i], NULL);
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    printf("%llu listeners heard %llu times of %llu transitions\n",
           (unsigned long long)rounds * COMERS, (unsigned long long)atomic_load(&heard_in_all),
           (unsigned long long)snapshot.transitions);
    REQUIRE(atomic_load(&told) == snapshot.transitions);
    hg_breaker_free(breaker);
    return 0;
}
