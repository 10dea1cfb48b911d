/* What a permit is made of; for breaker/, and to ask for its mark. */
#ifndef HERDGATE_BREAKER_PERMIT_H
#define HERDGATE_BREAKER_PERMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <herdgate/breaker.h>

/* A permit: the generation where the word has it, and two marks. 0 is no permit. */
#define HGI_PERMIT_VALID (UINT64_C(1) << 63)
#define HGI_PERMIT_PROBE (UINT64_C(1) << 62)

/* Whether this permit is one of a half-open breaker's probes. */
static inline bool hgi_permit_is_probe(hg_permit permit)
{
    return (permit.opaque & HGI_PERMIT_PROBE) != 0;
}

#endif
