/* A redis-server of one's own, on a unix socket in a temporary directory, for tools and tests.
 *
 *     struct hgi_private_server *server;
 *     struct hgi_problem problem;
 *     if (!hgi_private_server_start(&server, NULL, &problem))
 *         return fail(problem.text);
 *     use(hgi_private_server_url(server));
 *     hgi_private_server_kill(server);
 *     hgi_private_server_restart(server, &problem);
 *     hgi_private_server_free(server);
 *
 * The binary is $HERDGATE_REDIS_SERVER, or redis-server from PATH, or the one that Debian's
 * redis-tools installs as redis-check-rdb. It keeps nothing on disk, listens on nothing but its
 * socket (and, if asked, a free port of 127.0.0.1), and dies with this process however that ends.
 * One thread at a time uses a server.
 */
#ifndef HERDGATE_TOOLS_COMMON_PRIVATE_SERVER_H
#define HERDGATE_TOOLS_COMMON_PRIVATE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <hiredis/hiredis.h>

#include "tools/common/problem.h"

struct hgi_private_server;

struct hgi_private_server_options {
    bool tcp;                     /* also listen on a free port of 127.0.0.1 */
    const char *const *arguments; /* more of the command line, NULL at the end; borrowed by start */
};

/* Start it and wait until it answers PING, at most 20 s. options NULL: none. False: *out is NULL and
 * *problem says why, and what to install if there is no redis-server. */
bool hgi_private_server_start(struct hgi_private_server **out,
                              const struct hgi_private_server_options *options,
                              struct hgi_problem *problem);

/* Stop it, and remove its directory. NULL does nothing. */
void hgi_private_server_free(struct hgi_private_server *server);

/* Where it is. The texts live as long as the server, and stay the same over a restart. */
const char *hgi_private_server_socket(const struct hgi_private_server *server);
const char *hgi_private_server_url(const struct hgi_private_server *server);     /* unix:///... */
const char *hgi_private_server_tcp_url(const struct hgi_private_server *server); /* NULL: no port */
uint16_t hgi_private_server_port(const struct hgi_private_server *server);       /* 0: no port */
pid_t hgi_private_server_pid(const struct hgi_private_server *server); /* 0: it does not run */

/* Has it ended by itself since it was started, because somebody else killed it or it crashed? Then *problem says
 * how, and what it wrote last. */
bool hgi_private_server_lost(struct hgi_private_server *server, struct hgi_problem *problem);

/* End it: by SIGTERM, and SIGKILL if that took over 5 s; or by SIGKILL at once. It has ended when
 * these return. Also while it is paused. Nothing happens to one that does not run. */
void hgi_private_server_stop(struct hgi_private_server *server);
void hgi_private_server_kill(struct hgi_private_server *server);

/* SIGSTOP: it accepts connections (the kernel does) and answers nothing; and SIGCONT. */
void hgi_private_server_pause(struct hgi_private_server *server);
void hgi_private_server_resume(struct hgi_private_server *server);

/* Start it again, empty, on the same socket and port, and wait as start does; a running one is
 * stopped first. On failure it does not run. */
bool hgi_private_server_restart(struct hgi_private_server *server, struct hgi_problem *problem);

/* Run one command over a short connection of its own, at most 5 s. The reply is the caller's; an
 * error reply is returned as such. NULL: no answer, *problem says. */
redisReply *hgi_private_server_command(struct hgi_private_server *server,
                                       struct hgi_problem *problem, const char *format, ...);

/* CONFIG SET. False: *problem says. A restart forgets it. */
bool hgi_private_server_config(struct hgi_private_server *server, const char *name,
                               const char *value, struct hgi_problem *problem);

#endif
