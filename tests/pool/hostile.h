/* A server that misbehaves on purpose: on a loopback port, a thread for each connection. It answers the
 * set-up of a pool whose policy says "proxy": true, which is one PING, and then does what the test says.
 */
#ifndef HERDGATE_TESTS_POOL_HOSTILE_H
#define HERDGATE_TESTS_POOL_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>

struct hostile;

/* What it does with a connection; the descriptor is closed when it returns. */
typedef void (*hostile_fn)(struct hostile *hostile, int fd);

struct hostile *hostile_start(hostile_fn behaviour);
void hostile_stop(struct hostile *hostile);
const char *hostile_url(const struct hostile *hostile); /* redis://127.0.0.1:port */

/* For behaviours: all of it, or false (the client has gone, or the test ends). */
bool hostile_send(int fd, const char *bytes, size_t length);
bool hostile_say(int fd, const char *text);

/* Read until `text` has come at the end of what came, or false. */
bool hostile_hear(int fd, const char *text);

/* Read until the client has gone. */
void hostile_listen(int fd);

/* A behaviour: each bulk string of HOSTILE_ECHO_SIZE bytes is answered by itself, and nothing more is read
 * until the answer has gone out. Who only sends, or only reads, waits for ever. */
enum { HOSTILE_ECHO_SIZE = 256 * 1024 };
void hostile_echo(struct hostile *hostile, int fd);

#endif
