/* Coroutines, switched by jumps: swapcontext() is two system calls. */
/* The checked longjmp() refuses to go to another stack. */
#undef _FORTIFY_SOURCE

#include "tests/breaker/coroutine.h"

#include <stdlib.h>

#include "tests/breaker/fixture.h"

enum { STACK_BYTES = 128 * 1024 };

static struct coroutine *running;
static jmp_buf back;

void coroutine_give_way(void)
{
    if (_setjmp(running->jump) == 0)
        _longjmp(back, 1);
}

static void enter(void)
{
    running->run();
    running->ended = true;
    coroutine_give_way();
}

void coroutine_begin(struct coroutine *coroutine, void (*run)(void))
{
    if (!coroutine->stack)
        coroutine->stack = malloc(STACK_BYTES);
    REQUIRE(coroutine->stack && getcontext(&coroutine->context) == 0);
    coroutine->run = run;
    coroutine->entered = coroutine->ended = false;
    coroutine->context.uc_stack.ss_sp = coroutine->stack;
    coroutine->context.uc_stack.ss_size = STACK_BYTES;
    coroutine->context.uc_link = NULL;
    makecontext(&coroutine->context, enter, 0);
}

void coroutine_go_on(struct coroutine *coroutine)
{
    running = coroutine;
    if (_setjmp(back) != 0)
        return;
    if (running->entered)
        _longjmp(running->jump, 1);
    running->entered = true;
    setcontext(&running->context);
}
