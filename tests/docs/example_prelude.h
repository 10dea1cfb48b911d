/* What the examples at the top of the public headers take for granted. Each example is compiled as the
 * body of a function; none is run. */
#ifndef HERDGATE_TESTS_DOCS_EXAMPLE_PRELUDE_H
#define HERDGATE_TESTS_DOCS_EXAMPLE_PRELUDE_H

#include <stdio.h>

#include <herdgate/herdgate.h>

struct job;

extern hg_pool *pool;
extern hg_policy *policy;
extern redisReply *reply;
extern struct job job;

int64_t now_ns(void);
bool talk_to_the_server(void);
bool job_send(struct job *job, int64_t deadline_ns);
void log_warn(const char *format, ...) HG_PRINTF(1, 2);

#endif
