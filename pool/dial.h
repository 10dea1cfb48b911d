/* Make a connection: name, connect, set-up, all before one deadline. Only dialers call this. */
#ifndef HERDGATE_POOL_DIAL_H
#define HERDGATE_POOL_DIAL_H

#include <stdint.h>

#include "policy/classify.h"
#include "policy/settings.h"
#include "pool/conn.h"

struct hgi_dial_request {
    const struct hgi_endpoint *endpoint;
    hgi_descriptor_note *descriptor; /* where the socket is noted for a fork(); NULL: nowhere */
    const struct hgi_settings *settings;
    int64_t deadline_ns;
    _Atomic bool *no_info; /* see setup.h */
    int64_t slice_ns;      /* SO_RCVTIMEO for later; see conn.c */
};

/* Dial. On success *out is a connection that is set up. On failure *fault says what was seen, and
 * `text` (of at least 160 bytes) holds a sentence about it, which fault->text may point into. */
bool hgi_dial(const struct hgi_dial_request *request, struct hgi_conn **out,
              struct hgi_fault *fault, char *text, size_t text_size);

#endif
