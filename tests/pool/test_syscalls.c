/* What a command costs the system: one send and one recv, and nothing else, when its connection is free and
 * its answer comes in time. A plain program: the linker puts counters before what the library asks of the
 * system. */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/pool/one_pool.h"

enum { COMMANDS = 500, ROUNDS = 8 };

/* Of this thread. */
static _Thread_local struct {
    unsigned send, recv, other;
} asked;

/* The linker's names for the two sides of a wrapped function.
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
ssize_t __real_send(int fd, const void *bytes, size_t length, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);
int __real_ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __real_epoll_ctl(int fd, int operation, int what, struct epoll_event *event);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);
int __wrap_ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_epoll_ctl(int fd, int operation, int what, struct epoll_event *event);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    asked.send++;
    return __real_send(fd, bytes, length, flags);
}

ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
    asked.recv++;
    return __real_recv(fd, bytes, size, flags);
}

int __wrap_ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask)
{
    asked.other++;
    return __real_ppoll(entries, count, timeout, mask);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    asked.other++;
    return __real_setsockopt(fd, level, name, value, length);
}

int __wrap_epoll_ctl(int fd, int operation, int what, struct epoll_event *event)
{
    asked.other++;
    return __real_epoll_ctl(fd, operation, what, event);
}

/* The futex has six arguments, and nothing of the library's has more. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    asked.other++;
    return __real_syscall(number, a, b, c, d, e, f);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

static void get(void)
{
    redisReply *reply;
    require(hg_command(pool, &reply, NULL, "GET %s", "key") == HG_OK);
    require(strcmp(reply->str, "value") == 0);
    freeReplyObject(reply);
}

static bool costs_what_it_must(void)
{
    memset(&asked, 0, sizeof asked);
    for (int i = 0; i < COMMANDS; i++)
        get();
    printf("  %d commands: %u send, %u recv, %u others\n", COMMANDS, asked.send, asked.recv,
           asked.other);
    require(asked.send == COMMANDS && asked.recv >= COMMANDS);
    return asked.recv == COMMANDS && asked.other == 0;
}

static void a_small_command_costs_one_send_and_one_recv(void)
{
    /* Two, so that one is free while the keeper looks at the other. */
    pool = open_pool(hgi_private_server_url(server),
                     "{\"pool\": {\"max_size\": 2, \"min_idle\": 2}, " PATIENT "}");
    wait_for(so_many_idle, SO_MANY(2), "both stand");
    require(hg_command(pool, NULL, NULL, "SET key value") == HG_OK);
    get();
    /* Between a look at the one and at the other, the keeper may go from this to that, once a second. */
    int rounds = 0;
    while (!costs_what_it_must())
        require(++rounds < ROUNDS);
    close_pool(pool);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "a small command costs one send and one recv",
          a_small_command_costs_one_send_and_one_recv },
    };
    run_named_tests(tests, sizeof tests / sizeof tests[0]);
    return 0;
}
