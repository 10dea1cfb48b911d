/* A plain connection of the tools' own to a server: one command, one reply, a limit on time. For
 * CONFIG, CLIENT LIST and the like, beside the library under test. Never raises SIGPIPE. */
#ifndef HERDGATE_TOOLS_COMMON_WIRE_H
#define HERDGATE_TOOLS_COMMON_WIRE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "tools/common/problem.h"

struct hgi_wire;

/* Connect within timeout_ns, which is then also the limit of every command. NULL: *problem says. */
struct hgi_wire *hgi_wire_open_unix(const char *path, int64_t timeout_ns,
                                    struct hgi_problem *problem);
struct hgi_wire *hgi_wire_open_tcp(const char *host, uint16_t port, int64_t timeout_ns,
                                   struct hgi_problem *problem);

/* Close it; NULL does nothing. */
void hgi_wire_close(struct hgi_wire *wire);

/* Run one command, with redisCommand()'s format. The reply is the caller's, and may be an error
 * reply. NULL: *problem says; the connection is then of no further use. */
redisReply *hgi_wire_command(struct hgi_wire *wire, struct hgi_problem *problem, const char *format,
                             ...);
redisReply *hgi_wire_vcommand(struct hgi_wire *wire, struct hgi_problem *problem,
                              const char *format, va_list arguments);

#endif
