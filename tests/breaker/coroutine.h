/* Threads that are none: each has a stack, and goes on only when it is told to. */
#ifndef HERDGATE_TESTS_BREAKER_COROUTINE_H
#define HERDGATE_TESTS_BREAKER_COROUTINE_H

#include <setjmp.h>
#include <stdbool.h>
#include <ucontext.h>

struct coroutine {
    ucontext_t context;
    jmp_buf jump;
    char *stack; /* kept from one beginning to the next */
    void (*run)(void);
    bool entered;
    bool ended;
};

/* At the beginning of run(). */
void coroutine_begin(struct coroutine *coroutine, void (*run)(void));

/* Let it run until it gives way or ends. */
void coroutine_go_on(struct coroutine *coroutine);

/* Of the one that runs. */
void coroutine_give_way(void);

#endif
