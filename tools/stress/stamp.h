/* What every result says of itself: when it was measured, and on which server. */
#ifndef HERDGATE_TOOLS_STRESS_STAMP_H
#define HERDGATE_TOOLS_STRESS_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

enum { HGI_STAMP_SIZE = 32 };

/* The beginning of every subcommand's results. */
struct hgi_stamp {
    const char *command;  /* as it was called; borrowed */
    const char *herdgate; /* its version; borrowed */
    char server[HGI_STAMP_SIZE];
    char began_at[HGI_STAMP_SIZE];
    bool interrupted;
    bool server_lost; /* the tool's own server ended, and not by the tool */
    int64_t began_ns; /* CLOCK_MONOTONIC */
    int64_t took_ns;  /* 0: nothing was measured */
};

/* Wall clock, ISO 8601, UTC. */
void hgi_stamp_time(char out[HGI_STAMP_SIZE]);

/* The version in a reply to INFO server, or "unknown version". reply may be NULL; it is not freed. */
void hgi_stamp_version(char out[HGI_STAMP_SIZE], const redisReply *reply);

#endif
