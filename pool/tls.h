/* TLS of one connection, where hiredis has it (hiredis_ssl). tls.c is built then, else no_tls.c. */
#ifndef HERDGATE_POOL_TLS_H
#define HERDGATE_POOL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/settings.h"

struct redisContext;
struct hgi_tls;

/* Can this build do it? */
bool hgi_tls_is_built(void);

/* Shake hands on a connected, blocking socket, and check who answers, before the deadline. NULL: `text`
 * says why. The session belongs to the context, and ends with it; the caller frees what is returned
 * after that. */
struct hgi_tls *hgi_tls_start(struct redisContext *context, const struct hgi_endpoint *endpoint,
                              const struct hgi_tls_settings *settings, int64_t deadline_ns,
                              char *text, size_t text_size);
void hgi_tls_free(struct hgi_tls *tls);

/* As send() and recv(): bytes moved, 0 (receive: the server has closed), or -1 with errno; EAGAIN: what
 * to wait for is in *wants (POLLIN, POLLOUT). may_block: the first look at the socket may wait for as
 * long as SO_RCVTIMEO says. Never raise SIGPIPE. */
ssize_t hgi_tls_send(struct hgi_tls *tls, const char *bytes, size_t length, short *wants);
ssize_t hgi_tls_receive(struct hgi_tls *tls, char *bytes, size_t size, bool may_block,
                        short *wants);

/* How many of the bytes that the last hgi_tls_send() did not report are in a record already, which may
 * be on its way. */
size_t hgi_tls_taken(const struct hgi_tls *tls);

/* Has a connection at rest anything to read, or ended? Session tickets do not count: TLS takes them. */
bool hgi_tls_is_quiet(struct hgi_tls *tls);

#endif
