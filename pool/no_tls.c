/* In place of tls.c in a build without hiredis_ssl. A pool of rediss:// is refused when it is opened, so
 * nothing here but the first function is ever reached. */
#include "pool/tls.h"

#include <errno.h>
#include <stdio.h>

bool hgi_tls_is_built(void)
{
    return false;
}

struct hgi_tls *hgi_tls_start(struct redisContext *context, const struct hgi_endpoint *endpoint,
                              const struct hgi_tls_settings *settings, int64_t deadline_ns,
                              char *text, size_t text_size)
{
    (void)context;
    (void)endpoint;
    (void)settings;
    (void)deadline_ns;
    snprintf(text, text_size, "this herdgate was built without TLS");
    return NULL;
}

void hgi_tls_free(struct hgi_tls *tls)
{
    (void)tls;
}

static ssize_t impossible(short *wants)
{
    *wants = 0;
    errno = ENOTSUP;
    return -1;
}

ssize_t hgi_tls_send(struct hgi_tls *tls, const char *bytes, size_t length, short *wants)
{
    (void)tls;
    (void)bytes;
    (void)length;
    return impossible(wants);
}

ssize_t hgi_tls_receive(struct hgi_tls *tls, char *bytes, size_t size, bool may_block, short *wants)
{
    (void)tls;
    (void)bytes;
    (void)size;
    (void)may_block;
    return impossible(wants);
}

size_t hgi_tls_taken(const struct hgi_tls *tls)
{
    (void)tls;
    return 0;
}

bool hgi_tls_is_quiet(struct hgi_tls *tls)
{
    (void)tls;
    return false;
}
