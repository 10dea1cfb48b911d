/* What the compiler cannot know: which way a call takes that goes well. For paths that were measured. */
#ifndef HERDGATE_BREAKER_HINTS_H
#define HERDGATE_BREAKER_HINTS_H

#define HGI_LIKELY(condition) __builtin_expect(!!(condition), 1)

/* A function off that way: kept out of its callers, so that these save no registers for it. */
#define HGI_OUTLINED __attribute__((noinline))

#endif
