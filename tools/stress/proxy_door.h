/* The sockets on which the proxy listens: one in a directory of its own, and if asked a free port of
 * 127.0.0.1. They can be shut, so that the kernel refuses, and opened again where they were. */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_DOOR_H
#define HERDGATE_TOOLS_STRESS_PROXY_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/common/problem.h"
#include "tools/common/scratch.h"

struct hgi_door {
    struct hgi_scratch scratch;
    char socket[96];
    uint16_t port; /* 0: no port */
    int backlog;   /* connections that wait to be accepted, at most */
    int keeper;    /* bound to the port and never listening: the port stays ours; -1: none */
    int local;     /* listening on the socket; -1: shut */
    int tcp;       /* listening on the port; -1: shut, or none */
};

/* Make the directory, take the port, open; `backlog` connections wait to be accepted, at most. False:
 * *problem says, and nothing is left. */
bool hgi_door_make(struct hgi_door *door, bool tcp, int backlog, struct hgi_problem *problem);

/* Shut, and leave nothing behind. */
void hgi_door_free(struct hgi_door *door);

/* Nothing happens to one that is shut, or open, already. Opening can fail for want of descriptors:
 * false, and it is shut. */
void hgi_door_shut(struct hgi_door *door);
bool hgi_door_open(struct hgi_door *door);

#endif
