/* What the proxy itself adds to a command: measured where it is to stand, before it stands there. */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_COST_H
#define HERDGATE_TOOLS_STRESS_PROXY_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "tools/common/target.h"

enum { HGI_PROXY_COST_ROUNDS = 1000 };

struct hgi_proxy_cost {
    bool known;
    int64_t direct_p50_ns;
    int64_t direct_p99_ns;
    int64_t through_p50_ns;
    int64_t through_p99_ns;
};

/* PING over one connection to the target and over one through a proxy without faults, in turn. False:
 * *problem says, and out->known is false. */
bool hgi_proxy_cost_measure(struct hgi_proxy_cost *out, const struct hgi_target *target,
                            struct hgi_problem *problem);

/* "40 us at the median and 60 us at p99 (a PING takes 50 us and 90 us without it)". */
void hgi_proxy_cost_text(char *out, size_t size, const struct hgi_proxy_cost *cost);

/* As an object; null if it is not known. */
cJSON *hgi_proxy_cost_json(const struct hgi_proxy_cost *cost);

#endif
