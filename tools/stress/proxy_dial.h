/* The sockets of the proxy's far side: where the target is, and connecting to it without waiting. */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_DIAL_H
#define HERDGATE_TOOLS_STRESS_PROXY_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "tools/common/target.h"

enum { HGI_DIAL_ADDRESSES = 8 };

struct hgi_dial {
    size_t count;
    struct {
        struct sockaddr_storage storage;
        socklen_t length;
    } address[HGI_DIAL_ADDRESSES];
};

/* Find the target's addresses; a name is looked up, which waits. False: *problem says. */
bool hgi_dial_resolve(struct hgi_dial *dial, const struct hgi_target *target,
                      struct hgi_problem *problem);

/* Begin to connect to address `which`: a non-blocking socket in *fd. 0: connected; EINPROGRESS: it
 * will be seen; else an errno, and *fd is -1. */
int hgi_dial_begin(const struct hgi_dial *dial, size_t which, int *fd);

/* How connecting ended: 0, or an errno. */
int hgi_dial_result(int fd);

/* Small packets leave at once. Nothing happens to a unix socket. */
void hgi_dial_no_delay(int fd);

#endif
