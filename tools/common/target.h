/* The server that a tool is pointed at: redis-cli's flags, a URL, or both forms of it made from the
 * other. Secrets live here and are printed nowhere. */
#ifndef HERDGATE_TOOLS_COMMON_TARGET_H
#define HERDGATE_TOOLS_COMMON_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/common/problem.h"
#include "tools/common/wire.h"

/* What the command line said; NULL or 0: nothing. */
struct hgi_target_flags {
    const char *host;
    uint32_t port;
    const char *socket;
    const char *url;
    const char *user;
    const char *password; /* NULL: $REDISCLI_AUTH, if set */
};

struct hgi_target {
    bool given;
    char host[256];
    char socket[108]; /* not empty: a unix socket */
    uint16_t port;
    uint32_t database;
    char user[128];
    char password[512];
    char text[300]; /* for messages: "127.0.0.1:6379", "unix:/run/redis.sock" */
};

/* From the flags. `given` is false if they name no server. False: *problem says, without secrets. */
bool hgi_target_from_flags(struct hgi_target *out, const struct hgi_target_flags *flags,
                           struct hgi_problem *problem);

/* redis://[user[:password]@]host[:port][/database] or unix://[user[:password]@]/path[?db=n]. */
bool hgi_target_parse(struct hgi_target *out, const char *url, struct hgi_problem *problem);

/* The URL of it, everything percent-encoded that needs it. False: it does not fit. */
bool hgi_target_url(char *out, size_t size, const struct hgi_target *target);

/* The options of the command line that name it, for whoever does a run again; the password is only hinted at. */
void hgi_target_words(char *out, size_t size, const struct hgi_target *target);

/* A plain connection to it, logged in. NULL: *problem says. */
struct hgi_wire *hgi_target_connect(const struct hgi_target *target, int64_t timeout_ns,
                                    struct hgi_problem *problem);

#endif
