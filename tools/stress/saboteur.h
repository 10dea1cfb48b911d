/* Does to the tool's own server what a schedule says. One thread; every call returns soon, but for the
 * start of a killed server (it waits until that answers). */
#ifndef HERDGATE_TOOLS_STRESS_SABOTEUR_H
#define HERDGATE_TOOLS_STRESS_SABOTEUR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/common/private_server.h"
#include "tools/common/wire.h"
#include "tools/stress/server_fault.h"

struct hgi_saboteur {
    struct hgi_private_server *server;      /* borrowed */
    const struct hgi_server_faults *faults; /* borrowed */
    _Atomic uint32_t *losses; /* written by it: lives of the server that ended, and their data */
    int64_t began_ns;         /* windows count from here */
    uint32_t next;            /* of the faults: the one that is on, or comes next */
    bool on;
    struct hgi_wire *wire; /* of MAXCLIENTS, while it is on: the one that was let in */
    uint64_t struck[HGI_SERVER_FAULT_KINDS];
};

/* Start such a server: one that can be told to load slowly, where it knows that. */
bool hgi_saboteur_server(struct hgi_private_server **out, struct hgi_problem *problem);

/* A new schedule, whose windows count from began_ns; the fault that was on must have ended. */
void hgi_saboteur_plan(struct hgi_saboteur *saboteur, const struct hgi_server_faults *faults,
                       int64_t began_ns);

/* Begin or end what is due at now_ns. False: the server could not be brought there, *problem says. */
bool hgi_saboteur_work(struct hgi_saboteur *saboteur, int64_t now_ns, struct hgi_problem *problem);

/* Whatever is on ends. False as above. */
bool hgi_saboteur_end(struct hgi_saboteur *saboteur, struct hgi_problem *problem);

/* Its connections to the server that are open. */
uint32_t hgi_saboteur_connections(const struct hgi_saboteur *saboteur);

#endif
