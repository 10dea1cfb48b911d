/* The cost of the proxy; see proxy_cost.h.
 *
 * The two connections take turns, so that what else the machine does strikes both alike.
 */
#include "tools/stress/proxy_cost.h"

#include <stdlib.h>

#include "tools/common/histogram.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"
#include "tools/stress/proxy.h"

enum { WARM_UP = 50 };

#define LIMIT_NS (10 * NS_PER_S)

static bool ping(struct hgi_wire *wire, int64_t *took_ns, struct hgi_problem *problem)
{
    int64_t began_ns = monotonic_ns();
    redisReply *reply = hgi_wire_command(wire, problem, "PING");
    *took_ns = monotonic_ns() - began_ns;
    bool well = reply != NULL;
    freeReplyObject(reply);
    return well;
}

static bool take_turns(struct hgi_wire *wires[2], struct hgi_histogram *histograms,
                       struct hgi_problem *problem)
{
    int64_t took_ns;
    for (int round = 0; round < WARM_UP + HGI_PROXY_COST_ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            if (!ping(wires[i], &took_ns, problem))
                return false;
            if (round >= WARM_UP)
                hgi_histogram_add(&histograms[i], took_ns);
        }
    }
    return true;
}

bool hgi_proxy_cost_measure(struct hgi_proxy_cost *out, const struct hgi_target *target,
                            struct hgi_problem *problem)
{
    struct hgi_proxy *proxy = NULL;
    struct hgi_target through;
    struct hgi_wire *wires[2] = { NULL, NULL };
    struct hgi_histogram *histograms = calloc(2, sizeof *histograms);
    bool well = false;
    *out = (struct hgi_proxy_cost) { 0 };
    if (!histograms) {
        hgi_problem_set(problem, "out of memory");
        goto out;
    }
    if (!hgi_proxy_start(&proxy, &(struct hgi_proxy_options) { .target = target }, problem))
        goto out;
    hgi_proxy_target(proxy, &through);
    wires[0] = hgi_target_connect(target, LIMIT_NS, problem);
    wires[1] = wires[0] ? hgi_target_connect(&through, LIMIT_NS, problem) : NULL;
    if (!wires[1] || !take_turns(wires, histograms, problem))
        goto out;
    well = true;
    *out = (struct hgi_proxy_cost) {
        .known = true,
        .direct_p50_ns = hgi_histogram_percentile(&histograms[0], 50),
        .direct_p99_ns = hgi_histogram_percentile(&histograms[0], 99),
        .through_p50_ns = hgi_histogram_percentile(&histograms[1], 50),
        .through_p99_ns = hgi_histogram_percentile(&histograms[1], 99),
    };
out:
    hgi_wire_close(wires[1]);
    hgi_wire_close(wires[0]);
    hgi_proxy_stop(proxy);
    free(histograms);
    return well;
}

void hgi_proxy_cost_text(char *out, size_t size, const struct hgi_proxy_cost *cost)
{
    char more_p50[32], more_p99[32], p50[32], p99[32];
    snprintf(
        out, size, "%s at the median and %s at p99 (a PING takes %s and %s without it)",
        hgi_format_latency(more_p50, sizeof more_p50, cost->through_p50_ns - cost->direct_p50_ns),
        hgi_format_latency(more_p99, sizeof more_p99, cost->through_p99_ns - cost->direct_p99_ns),
        hgi_format_latency(p50, sizeof p50, cost->direct_p50_ns),
        hgi_format_latency(p99, sizeof p99, cost->direct_p99_ns));
}

cJSON *hgi_proxy_cost_json(const struct hgi_proxy_cost *cost)
{
    if (!cost->known)
        return cJSON_CreateNull();
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "rounds", HGI_PROXY_COST_ROUNDS);
    cJSON_AddNumberToObject(json, "direct_p50_ns", (double)cost->direct_p50_ns);
    cJSON_AddNumberToObject(json, "direct_p99_ns", (double)cost->direct_p99_ns);
    cJSON_AddNumberToObject(json, "through_p50_ns", (double)cost->through_p50_ns);
    cJSON_AddNumberToObject(json, "through_p99_ns", (double)cost->through_p99_ns);
    cJSON_AddNumberToObject(json, "adds_p50_ns",
                            (double)(cost->through_p50_ns - cost->direct_p50_ns));
    cJSON_AddNumberToObject(json, "adds_p99_ns",
                            (double)(cost->through_p99_ns - cost->direct_p99_ns));
    return json;
}
