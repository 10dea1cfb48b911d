/* What lies between the callers of a trial and the server: nothing, or, where the server's capacity is
 * limited or there are toxics, a proxy that sees everything. One thread. */
#ifndef HERDGATE_TOOLS_STRESS_PATH_H
#define HERDGATE_TOOLS_STRESS_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/common/private_server.h"
#include "tools/stress/proxy.h"
#include "tools/stress/trial.h"

struct hgi_path {
    struct hgi_private_server *server; /* borrowed */
    struct hgi_proxy *proxy;           /* NULL: none is needed */
    const struct hgi_toxics *toxics;   /* borrowed */
    char socket[108];                  /* that callers connect to */
    char url[400];
};

/* Does a trial with these settings go through a proxy? */
bool hgi_path_is_long(const struct hgi_herd_settings *settings);

/* What the proxy will add; nothing happens if there will be none. False: *problem says. */
bool hgi_path_cost(struct hgi_proxy_cost *out, const struct hgi_herd_settings *settings,
                   struct hgi_private_server *server, struct hgi_problem *problem);

/* False: *problem says; close it anyway. */
bool hgi_path_open(struct hgi_path *path, const struct hgi_herd_settings *settings,
                   struct hgi_private_server *server, struct hgi_problem *problem);

/* The trial begins: count into its series, which begins at began_ns, and put the toxics to work. */
void hgi_path_begin(struct hgi_path *path, struct hgi_series *series, int64_t began_ns);

/* The server goes, and comes back, as clients see it. False: *problem says. */
void hgi_path_down(struct hgi_path *path, enum hgi_outage_way way);
bool hgi_path_up(struct hgi_path *path, enum hgi_outage_way way, struct hgi_problem *problem);

/* The time of its capacity that the server lost to a busy machine, since the beginning. */
int64_t hgi_path_lost_ns(struct hgi_path *path);

/* Afterwards the series is complete. */
void hgi_path_close(struct hgi_path *path);

#endif
