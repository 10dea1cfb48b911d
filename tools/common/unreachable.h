/* Two ways in which a server cannot be reached, to try what is promised of deadlines: a name server that
 * never answers, and a port whose line of connections to be accepted is full.
 *
 *     struct hgi_full_line line;
 *     if (!hgi_full_line_open(&line, &problem))
 *         return fail(problem.text);
 *     use(line.url);
 *     hgi_full_line_close(&line);
 */
#ifndef HERDGATE_TOOLS_COMMON_UNREACHABLE_H
#define HERDGATE_TOOLS_COMMON_UNREACHABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/common/problem.h"

enum { HGI_FULL_LINE_MAX = 32 };

/* A port of 127.0.0.1 that lets nobody in: whoever connects waits. */
struct hgi_full_line {
    char url[48]; /* redis://127.0.0.1:port */
    int listener;
    uint32_t count;
    int waiting[HGI_FULL_LINE_MAX]; /* the connections that fill it */
};

/* False: *problem says. */
bool hgi_full_line_open(struct hgi_full_line *line, struct hgi_problem *problem);
void hgi_full_line_close(struct hgi_full_line *line);

/* In this process, which must have no other thread, every name server is silent from now on and until
 * it ends, and there is no network but loopback's: it gets namespaces of its own, for which it has to be
 * root or be allowed user namespaces. The rest of the system is not touched. To be called in the child of
 * a fork(). False: *problem says why it cannot be done here. */
bool hgi_names_silence(struct hgi_problem *problem);

/* A name to look up then. */
#define HGI_SILENT_URL "redis://redis.silent.example:6379"

#endif
