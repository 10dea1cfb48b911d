/* When and where something was measured; see stamp.h. */
#include "tools/stress/stamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void hgi_stamp_time(char out[HGI_STAMP_SIZE])
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(out, HGI_STAMP_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void hgi_stamp_version(char out[HGI_STAMP_SIZE], const redisReply *reply)
{
    static const char field[] = "redis_version:";
    const char *at = reply && reply->type == REDIS_REPLY_STRING ? strstr(reply->str, field) : NULL;
    snprintf(out, HGI_STAMP_SIZE, "unknown version");
    if (at) {
        at += sizeof field - 1;
        snprintf(out, HGI_STAMP_SIZE, "%.*s", (int)strspn(at, "0123456789."), at);
    }
}
