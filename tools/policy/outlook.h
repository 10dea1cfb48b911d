/* What a policy comes to: the delays before retries, how long a call can take, and how many attempts a
 * server that is down can get. Pure. */
#ifndef HERDGATE_TOOLS_POLICY_OUTLOOK_H
#define HERDGATE_TOOLS_POLICY_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/settings.h"

/* The delay before one retry. */
struct hgi_delay {
    int64_t plain_ns; /* before jitter */
    int64_t least_ns;
    int64_t mean_ns;
    int64_t most_ns;
};

/* The delays before the first `count` retries. False: out of memory. */
bool hgi_outlook_delays(const struct hg_retry *retry, uint32_t count, struct hgi_delay *out);

struct hgi_outlook {
    uint32_t attempts;      /* allowed, the first included */
    uint32_t begun;         /* of these, begun before the deadline if each takes its whole time */
    int64_t attempt_ns;     /* what one may take; < 0: no limit */
    int64_t attempts_ns;    /* all of them together; < 0: no limit */
    int64_t deadline_ns;    /* < 0: none */
    int64_t delays_mean_ns; /* all delays together */
    int64_t delays_most_ns;
    int64_t worst_ns; /* the longest that a call can take; < 0: no limit */
};

/* Of a call of the class. block_ns: what the command itself waits in the server; < 0: for ever. False:
 * out of memory. */
bool hgi_outlook(struct hgi_outlook *out, const struct hgi_settings *settings,
                 const struct hgi_class *op_class, int64_t block_ns);

/* The most attempts that `callers` calls of one pool come to, begun together while the server is down
 * and refuses, with a full retry budget and without the breaker. */
double hgi_outlook_attempts(const struct hgi_settings *settings, const struct hgi_outlook *outlook,
                            double callers);

/* Attempts for each call, above which a herd is not tamed; counted for so many callers. */
#define HGI_AMPLIFICATION_MOST 3.0
#define HGI_AMPLIFICATION_CALLERS 1000.0

#endif
