/* How long a command waits in the server, as the server reads its argument. */
#ifndef HERDGATE_POLICY_WAITS_H
#define HERDGATE_POLICY_WAITS_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds; < 0: for ever, which the server means by 0, and by what rounds to 0 from below it. 0: it
 * does not wait, because the server refuses the argument at once: it is no number, below 0, or more
 * milliseconds than the server counts. More than 4e18 ns (127 years) are that. */
int64_t hgi_wait_seconds(const char *text, size_t length);      /* of BLPOP and its like: a real */
int64_t hgi_wait_milliseconds(const char *text, size_t length); /* of XREAD, WAIT: digits alone */

#endif
