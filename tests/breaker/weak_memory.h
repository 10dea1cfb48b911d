/* Threads on C11's memory model, one run after another, each by chance.
 *
 * Every atomic object keeps all values that it ever had in this run, in order, and with each what the
 * thread that stored it knew of the others. A load may find any value that the loading thread does not
 * know to be past; with acquire it comes to know what a release left with that value. So each order of
 * memory that is too weak lets a thread see an older world than it should, which no processor need do,
 * and a strong one never does.
 *
 * What is not tried: a value that is stored before a load that comes earlier in the program has found
 * its own, which C11 allows to relaxed orders. Plain memory is always what was written last: races on it
 * are for ThreadSanitizer.
 */
#ifndef HERDGATE_TESTS_BREAKER_WEAK_MEMORY_H
#define HERDGATE_TESTS_BREAKER_WEAK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEAK_THREADS = 3 };

struct weak_run {
    uint32_t threads;
    void (*thread)(uint32_t thread);
    void (*goes_on)(uint32_t thread);   /* may be NULL: before and after each of its steps, to */
    void (*gives_way)(uint32_t thread); /* exchange what is thread-local */
    bool (*is_mark)(
        const volatile void *address); /* may be NULL: the address of a thread-local is kept
                                                      there, which is the same for all coroutines */
};

/* One run; `random` chooses the ways of it. */
void weak_run(const struct weak_run *what, uint64_t *random);

/* Which thread runs. */
uint32_t weak_thread(void);

/* The kernel has put other memory there, under all threads: they know what is there now. Or none. */
void weak_remapped(const void *from, size_t size);
void weak_forget(const void *from, size_t size);

#endif
