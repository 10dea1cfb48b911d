/* What is seen of a shared breaker at one moment, for people and for programs. */
#ifndef HERDGATE_TOOLS_BREAKER_SHOW_H
#define HERDGATE_TOOLS_BREAKER_SHOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include <herdgate/breaker.h>

enum {
    HGI_EXIT_PASS = 0,
    HGI_EXIT_USAGE = 2,
    HGI_EXIT_ENVIRONMENT = 3 /* no such breaker, not this user's, damaged, no memory */
};

/* One look. */
struct hgi_look {
    const char *name;
    int64_t at_ns; /* CLOCK_MONOTONIC */
    struct hg_breaker_snapshot is;
    struct hg_breaker_options settings;
};

/* Attach, look, and let go. HG_ERR_NOT_FOUND: there is none. */
hg_status hgi_look(struct hgi_look *look, const char *name, struct hg_error *err);

/* "open, a probe may pass in 1.2s"; into and returned `out`. */
const char *hgi_look_state(const struct hgi_look *look, char *out, size_t size);

/* Lines for people. */
void hgi_look_print(const struct hgi_look *look, FILE *out, bool colour);

/* The same as JSON, the caller's; NULL: no memory. */
cJSON *hgi_look_json(const struct hgi_look *look);

/* The JSON of a breaker that is not there: its state is null. */
cJSON *hgi_absence_json(const char *name);

/* Look again and again; count 0: until interrupted. */
struct hgi_watch {
    const char *name;
    int64_t interval_ns;
    uint32_t count;
    bool json;
};
int hgi_watch(const struct hgi_watch *watch);

#endif
