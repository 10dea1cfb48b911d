/* A name with several addresses: each is tried, and one that hangs leaves the others their time. The
 * system's own resolver is asked, about a name that only a private copy of /etc/hosts has, so this
 * needs a mount namespace; where there is none to be had, it says so and is skipped. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/pool/support.h"

enum { SKIPPED = 77, KNOCKS = 8 };

/* Told apart by their nearness to 127.0.0.1, which a resolver may sort by: the one that serves is last. */
#define REFUSING "127.0.0.2"
#define HANGING "127.0.0.3"
#define SERVING "127.64.0.1"

static struct hgi_private_server *server;

/* --- a name for them --- */

static const struct {
    const char *address;
    const char *name;
} names[] = {
    { "127.0.0.1", "localhost" },          { REFUSING, "refusing.herdgate-test" },
    { SERVING, "refusing.herdgate-test" }, { HANGING, "hanging.herdgate-test" },
    { SERVING, "hanging.herdgate-test" },  { REFUSING, "both.herdgate-test" },
    { HANGING, "both.herdgate-test" },     { SERVING, "both.herdgate-test" },
    { REFUSING, "dead.herdgate-test" },
};

static _Noreturn void skip(const char *why, int error)
{
    printf("skipped: %s%s%s\n", why, error ? ": " : "", error ? strerror(error) : "");
    hgi_private_server_free(server);
    exit(SKIPPED);
}

/* From now on this process, and nobody else, has that /etc/hosts. */
static void name_them(void)
{
    char path[] = "/tmp/herdgate-hosts-XXXXXX";
    if (unshare(CLONE_NEWNS) != 0)
        skip("no mount namespace may be made here", errno);
    /* Or the mount would be seen outside. In a chroot / may be no mount, and then this is not possible. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        skip("mounts cannot be made private here", errno);
    int fd = mkstemp(path);
    require(fd >= 0);
    FILE *hosts = fdopen(fd, "w");
    require(hosts != NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        fprintf(hosts, "%s %s\n", names[i].address, names[i].name);
    require(fclose(hosts) == 0);
    int error = mount(path, "/etc/hosts", NULL, MS_BIND, NULL) == 0 ? 0 : errno;
    unlink(path);
    if (error)
        skip("/etc/hosts cannot be mounted over here", error);
}

/* How many addresses the name has; the last one is in `last`. */
static int resolve(const char *name, char last[static INET_ADDRSTRLEN])
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    int count = 0;
    if (getaddrinfo(name, NULL, &hints, &found) != 0)
        return 0;
    for (const struct addrinfo *each = found; each; each = each->ai_next, count++) {
        require(each->ai_family == AF_INET);
        require(inet_ntop(AF_INET, &((const struct sockaddr_in *)(void *)each->ai_addr)->sin_addr,
                          last, INET_ADDRSTRLEN) != NULL);
    }
    freeaddrinfo(found);
    return count;
}

static void expect_names(void)
{
    char last[INET_ADDRSTRLEN] = "";
    if (resolve("both.herdgate-test", last) == 0)
        skip("names are not looked for in /etc/hosts here", 0);
    require(resolve("both.herdgate-test", last) == 3 && strcmp(last, SERVING) == 0);
    require(resolve("hanging.herdgate-test", last) == 2 && strcmp(last, SERVING) == 0);
}

/* --- an address that hangs: so many knock that the kernel drops what follows --- */

static int listener = -1;
static int knocks[KNOCKS];

static void hang(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(hgi_private_server_port(server)) };
    require(inet_pton(AF_INET, HANGING, &address.sin_addr) == 1);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(bind(listener, (const struct sockaddr *)&address, sizeof address) == 0);
    require(listen(listener, 0) == 0);
    for (int i = 0; i < KNOCKS; i++) {
        knocks[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        require(knocks[i] >= 0);
        require(connect(knocks[i], (const struct sockaddr *)&address, sizeof address) == 0 ||
                errno == EINPROGRESS);
    }
    struct pollfd last = { .fd = knocks[KNOCKS - 1], .events = POLLOUT };
    if (poll(&last, 1, 200) != 0) /* net.ipv4.tcp_abort_on_overflow, or a network of another kind */
        skip("who knocks at a full door is not left waiting here", 0);
}

static void hang_no_more(void)
{
    for (int i = 0; i < KNOCKS; i++)
        close(knocks[i]);
    close(listener);
}

/* --- the promise --- */

static hg_pool *open_to(const char *name)
{
    char url[100];
    snprintf(url, sizeof url, "redis://%s:%u", name, (unsigned)hgi_private_server_port(server));
    return open_pool(url, "{\"pool\": {\"max_size\": 1, \"connect_timeout\": \"9s\"},"
                          " \"breaker\": {\"enabled\": false}, " PATIENT "}");
}

static void is_served(const char *name)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    struct hg_error err = HG_ERROR_INIT;
    hg_pool *pool = open_to(name);
    if (hg_command(pool, NULL, &err, "PING") != HG_OK)
        fprintf(stderr, "%s: %s\n", name, err.message);
    require(err.type == HG_OK);
    hg_pool_read_stats(pool, &stats);
    require(stats.dials == 1 && stats.dial_failures == 0);
    close_pool(pool);
}

static void one_that_refuses_is_passed_over(void)
{
    is_served("refusing.herdgate-test");
}

static void one_that_hangs_leaves_the_others_their_time(void)
{
    hang();
    is_served("hanging.herdgate-test");
    is_served("both.herdgate-test");
    hang_no_more();
}

static void where_none_serves_the_dial_fails(void)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_pool *pool = open_to("dead.herdgate-test");
    require(hg_command(pool, NULL, &err, "GET k") < 0);
    require(hg_error_is(&err, HG_ERR_CONNECTION) && err.sys_errno == ECONNREFUSED);
    close_pool(pool);
}

int main(void)
{
    static const char *const arguments[] = { "--bind", "127.0.0.1", SERVING, NULL };
    const struct hgi_private_server_options options = { .tcp = true, .arguments = arguments };
    struct hgi_problem problem;
    name_them();
    expect_names();
    if (!hgi_private_server_start(&server, &options, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    one_that_refuses_is_passed_over();
    one_that_hangs_leaves_the_others_their_time();
    where_none_serves_the_dial_fails();
    hgi_private_server_free(server);
    return 0;
}
