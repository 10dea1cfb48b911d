/* For tests of the proxy: a private server, the proxy before it, and plain hiredis through both. */
#ifndef HERDGATE_TESTS_TOOLS_TEST_PROXY_RIG_H
#define HERDGATE_TESTS_TOOLS_TEST_PROXY_RIG_H

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "tests/tools/check.h"
#include "tools/common/private_server.h"
#include "tools/common/timing.h"
#include "tools/stress/proxy.h"

static struct hgi_private_server *server;
static struct hgi_proxy *proxy;

static inline void start_server(void)
{
    const struct hgi_private_server_options options = { .tcp = true };
    struct hgi_problem problem = { .text = "" };
    signal(SIGPIPE, SIG_IGN); /* hiredis raises it; the proxy's thread takes no signal anyway */
    if (!hgi_private_server_start(&server, &options, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        exit(1);
    }
}

static inline struct hgi_toxics faults_of(uint64_t seed, const char *text)
{
    struct hgi_toxics faults = { .seed = seed };
    struct hgi_problem problem = { .text = "" };
    if (!hgi_toxics_parse(&faults, text, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        exit(1);
    }
    return faults;
}

/* Put a proxy with those faults before the server's socket, or its port if `tcp`. */
static inline void start_proxy(bool tcp, const char *faults)
{
    struct hgi_target target;
    struct hgi_problem problem = { .text = "" };
    struct hgi_toxics toxics = faults_of(1, faults);
    const char *url = tcp ? hgi_private_server_tcp_url(server) : hgi_private_server_url(server);
    struct hgi_proxy_options options = { .target = &target, .tcp = tcp, .toxics = &toxics };
    CHECK(hgi_target_parse(&target, url, &problem));
    if (!hgi_proxy_start(&proxy, &options, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        exit(1);
    }
}

static inline void set_faults(const char *text)
{
    struct hgi_toxics faults = faults_of(1, text);
    hgi_proxy_set(proxy, &faults);
}

static inline struct hgi_proxy_stats stats_of_proxy(void)
{
    struct hgi_proxy_stats stats;
    hgi_proxy_stats(proxy, &stats);
    return stats;
}

/* Connect through the proxy, by its port if it has one. The context may bear an error. */
static inline redisContext *try_connect(void)
{
    struct timeval limit = { .tv_sec = 20 };
    redisContext *c = hgi_proxy_port(proxy)
                          ? redisConnectWithTimeout("127.0.0.1", hgi_proxy_port(proxy), limit)
                          : redisConnectUnixWithTimeout(hgi_proxy_socket(proxy), limit);
    CHECK(c);
    if (c->err == 0)
        redisSetTimeout(c, limit);
    return c;
}

static inline redisContext *connected(void)
{
    redisContext *c = try_connect();
    CHECK(c->err == 0);
    return c;
}

static inline void set_timeout_ms(redisContext *c, int ms)
{
    redisSetTimeout(c, (struct timeval) { .tv_usec = ms * 1000 });
}

/* PING is answered by PONG. */
static inline bool pings(redisContext *c)
{
    redisReply *reply = redisCommand(c, "PING");
    bool well = reply && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0;
    freeReplyObject(reply);
    return well;
}

/* PING fails, and leaves that error in the context. */
static inline bool ping_fails(redisContext *c, int error)
{
    errno = 0;
    redisReply *reply = redisCommand(c, "PING");
    bool well = !reply && c->err == error;
    if (!well)
        fprintf(stderr, "err %d, not %d: %s\n", c->err, error, c->errstr);
    freeReplyObject(reply);
    return well;
}

/* Descriptors of this process. */
static inline int descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

#endif
