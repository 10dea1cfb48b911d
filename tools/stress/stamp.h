/* What every result says of itself: when it was measured, and on which server. */
#ifndef HERDGATE_TOOLS_STRESS_STAMP_H
#define HERDGATE_TOOLS_STRESS_STAMP_H

#include <hiredis/hiredis.h>

enum { HGI_STAMP_SIZE = 32 };

/* Wall clock, ISO 8601, UTC. */
void hgi_stamp_time(char out[HGI_STAMP_SIZE]);

/* The version in a reply to INFO server, or "unknown version". reply may be NULL; it is not freed. */
void hgi_stamp_version(char out[HGI_STAMP_SIZE], const redisReply *reply);

#endif
