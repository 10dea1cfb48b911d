/* What the pool's tests share: a private server and pools on it. */
#ifndef HERDGATE_TESTS_POOL_SUPPORT_H
#define HERDGATE_TESTS_POOL_SUPPORT_H

#include <herdgate/herdgate.h>

#include "tools/common/private_server.h"

/* In the text of a policy: classes so patient that no machine is too busy for them. */
#define PATIENT_CLASS "{\"deadline\": \"100s\", \"attempt_timeout\": \"60s\"}"
#define PATIENT                                                            \
    "\"classes\": {\"read\": " PATIENT_CLASS ", \"write\": " PATIENT_CLASS \
    ", \"write_once\": " PATIENT_CLASS ", \"connection\": " PATIENT_CLASS "}"

/* A server, or the end of the program with a message. */
struct hgi_private_server *start_server(void);

/* A pool on a server under a policy given as JSON, or the end of the program with a message. Where the
 * policy names no connect_timeout it is a minute. */
hg_pool *open_pool(const char *url, const char *json);
hg_policy *parse_policy(const char *json);
hg_pool *open_pool_with(const struct hg_pool_options *options, const char *json);

/* Close it and expect that nothing was left over. */
void close_pool(hg_pool *pool);

/* Wait, at most a minute, until `holds(arg)`; ends the program with `what` if it never does. */
void wait_for(bool (*holds)(void *arg), void *arg, const char *what);

/* Take part in no race for time: sleep for at least this long. */
void sleep_ms(unsigned ms);

/* End the program with a message if `condition` is false: for plain programs. */
#define require(condition) \
    ((condition) ? (void)0 : requirement_failed(__FILE__, __LINE__, #condition))
_Noreturn void requirement_failed(const char *file, int line, const char *what);

#endif
