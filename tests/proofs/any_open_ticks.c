/* In the place of hgi_machine_open_ticks() while steps are proven: any function of the machine and the
 * word that keeps within the bounds which prove_open_ticks() proves of the real one. A proof that
 * holds for each such function holds for the real one; its multiplications are beyond a SAT solver
 * where two calls must be seen to agree. */
#include <stdint.h>

#include "breaker/machine.h"

uint32_t __CPROVER_uninterpreted_span(uint64_t word);

uint32_t hgi_machine_open_ticks(const struct hgi_machine *machine, uint64_t word)
{
    uint32_t streak = hgi_word_streak(word);
    uint32_t span = __CPROVER_uninterpreted_span(word);
    __CPROVER_assume(span >= HGI_SPAN_MIN);
    __CPROVER_assume(span <= machine->open_ticks[streak > 0 ? streak - 1 : 0]);
    return span;
}
