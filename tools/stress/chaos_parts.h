/* A run of chaos while it lasts: what its files share. All on the conductor's thread. */
#ifndef HERDGATE_TOOLS_STRESS_CHAOS_PARTS_H
#define HERDGATE_TOOLS_STRESS_CHAOS_PARTS_H

#include "tools/common/private_server.h"
#include "tools/common/terminal.h"
#include "tools/stress/chaos.h"
#include "tools/stress/crew.h"
#include "tools/stress/proxy.h"
#include "tools/stress/saboteur.h"
#include "tools/stress/screen.h"

struct hgi_chaos_run {
    struct hgi_chaos_results *results;
    const atomic_bool *interrupted;
    struct hgi_stage stage;
    struct hgi_target through; /* where the pool connects to: the proxy, or the server */
    struct hgi_proxy *proxy;   /* NULL: none is needed */
    struct hgi_crew crew;
    struct hgi_saboteur saboteur;
    struct hgi_breaker_watch watch;
    bool watching;
    int64_t began_ns;
    int64_t round_ns; /* the round began */
    int64_t well_since_ns;
    uint64_t ticks;
    struct hgi_screen screen;
    int64_t noted_ns; /* of the slices */
    uint64_t done_noted;
    uint64_t failed_noted;
    int64_t open_noted_ns;
    uint64_t done_sampled;
    uint64_t failed_sampled;
    int64_t sampled_ns;
};

/* chaos_keys.c: counters at 0 that expire; at the end each is held against its worker, and on a given
 * server all keys of the run are deleted. False: *problem says. */
bool hgi_chaos_prepare_keys(struct hgi_chaos_run *run, struct hgi_problem *problem);
bool hgi_chaos_settle_keys(struct hgi_chaos_run *run, struct hgi_problem *problem);

/* chaos_show.c: what is noted over time, and what the user sees meanwhile. */
void hgi_chaos_announce(const struct hgi_chaos_run *run);
void hgi_chaos_show_begin(struct hgi_chaos_run *run);
void hgi_chaos_show(struct hgi_chaos_run *run, int64_t now_ns);
void hgi_chaos_show_end(struct hgi_chaos_run *run, int64_t now_ns);

#endif
