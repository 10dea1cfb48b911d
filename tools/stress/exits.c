/* How the tools end; see exits.h. */
#include "tools/stress/exits.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_bool interrupted; /* written by the handler */

static void on_signal(int number)
{
    (void)number;
    /* relaxed: a flag that is polled; nothing else is handed over with it. */
    atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

const atomic_bool *hgi_interrupted(void)
{
    struct sigaction action = { .sa_handler = on_signal,
                                .sa_flags = (int)(SA_RESTART | SA_RESETHAND) };
    struct sigaction before;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* nohup has it ignored, so that a soak goes on when the terminal is closed. */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
    return &interrupted;
}
