/* What is done to the tool's own server, and when; from a seed or from a text. Pure.
 *
 *     kill          kill -9, and started again, empty, when the window ends
 *     stop          SIGSTOP, and SIGCONT
 *     maxclients    all connections are closed, and no more are let in
 *     busy          a script runs and does not end by itself
 *     loading       the data set is loaded, slowly
 *     oom           maxmemory is reached
 *     readonly      it is a replica of nobody
 *
 * A list is `kill@1s..2s,busy@3s..4s`. Windows count from the beginning of the run, and no two overlap:
 * so each fault is seen for what it is.
 */
#ifndef HERDGATE_TOOLS_STRESS_SERVER_FAULT_H
#define HERDGATE_TOOLS_STRESS_SERVER_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "tools/common/problem.h"
#include "tools/stress/toxic.h"

enum hgi_server_fault_kind {
    HGI_SERVER_KILL,
    HGI_SERVER_STOP,
    HGI_SERVER_MAXCLIENTS,
    HGI_SERVER_BUSY,
    HGI_SERVER_LOADING,
    HGI_SERVER_OOM,
    HGI_SERVER_READONLY,
    HGI_SERVER_FAULT_KINDS
};

enum { HGI_SERVER_FAULTS_MAX = 32, HGI_SERVER_FAULTS_TEXT = 2048 };

struct hgi_server_fault {
    enum hgi_server_fault_kind kind;
    int64_t from_ns;
    int64_t until_ns;
};

struct hgi_server_faults {
    uint32_t count;
    struct hgi_server_fault fault[HGI_SERVER_FAULTS_MAX]; /* in the order of time */
};

const char *hgi_server_fault_name(enum hgi_server_fault_kind kind);

/* Read a list; "" or "none": no faults. False: *problem says what is wrong, *out is as it was. */
bool hgi_server_faults_parse(struct hgi_server_faults *out, const char *text,
                             struct hgi_problem *problem);

/* The list as parse reads it; and as JSON. */
void hgi_server_faults_print(const struct hgi_server_faults *faults,
                             char out[HGI_SERVER_FAULTS_TEXT]);
cJSON *hgi_server_faults_json(const struct hgi_server_faults *faults);

/* Make up a schedule over duration_ns: every kind of both once, in an order and with parameters from the
 * seed, one after the other, each with as long a calm behind it. `faults` NULL: only toxics. */
void hgi_schedule_draw(struct hgi_toxics *toxics, struct hgi_server_faults *faults, uint64_t seed,
                       int64_t duration_ns);

#endif
