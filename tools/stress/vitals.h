/* What this process is made of at the moment. */
#ifndef HERDGATE_TOOLS_STRESS_VITALS_H
#define HERDGATE_TOOLS_STRESS_VITALS_H

#include <stdint.h>

#include "tools/common/target.h"
#include "tools/common/wire.h"

struct hgi_vitals {
    int64_t resident; /* bytes of memory */
    int64_t threads;
    int64_t descriptors;
};

/* -1 for what the system does not tell. */
struct hgi_vitals hgi_vitals_read(void);

/* Sockets of this process that are connected to the target. One that is closed and another that is opened
 * while they are counted may both be in it. */
uint32_t hgi_vitals_sockets(const struct hgi_target *target);

/* Connections of that client name, as the server counts them; -1: it does not tell. */
int64_t hgi_vitals_connections(struct hgi_wire *wire, const char *name);

/* The slope of y over x by least squares; 0 for fewer than two points. Pure. */
double hgi_slope(const double *x, const double *y, uint32_t count);

#endif
