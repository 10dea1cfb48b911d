/* Make a connected socket one of the pool's: who we are, which database, what the user wants. */
#ifndef HERDGATE_POOL_SETUP_H
#define HERDGATE_POOL_SETUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/classify.h"
#include "policy/settings.h"
#include "pool/conn.h"

struct hgi_setup {
    const struct hgi_endpoint *endpoint;
    const struct hgi_settings *settings;
    int64_t deadline_ns;
    _Atomic bool *no_info; /* the server does not know CLIENT SETINFO; learnt here */
};

/* Where the failure of a dial is told: plain facts, and a sentence in `text` (of at least 160 bytes),
 * which fault->text may point into. */
struct hgi_dial_failure {
    struct hgi_fault *fault;
    char *text;
    size_t text_size;
};

/* Note a failure. Always false. */
bool hgi_dial_fail(struct hgi_dial_failure *failure, int sys_errno, const char *what);
bool hgi_dial_fail_memory(struct hgi_dial_failure *failure);

/* True if this build can make such connections; else *err says what to install. */
hg_status hgi_setup_is_possible(const struct hgi_endpoint *endpoint,
                                const struct hgi_settings *settings, struct hg_error *err);

/* Set it up, in one round trip. False: *failure says why. */
bool hgi_set_up(struct hgi_conn *conn, const struct hgi_setup *setup,
                struct hgi_dial_failure *failure);

/* Take away what a user has done to it, and set it up anew, in one round trip too. False: it is to be
 * closed; *knows_reset: false if that is because the server has no RESET. */
bool hgi_set_up_again(struct hgi_conn *conn, const struct hgi_setup *setup,
                      struct hgi_dial_failure *failure, bool *knows_reset);

#endif
