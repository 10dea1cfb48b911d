/* A plain connection of the tools' own; see wire.h.
 *
 * hiredis formats and parses; sockets are non-blocking and close-on-exec, sent to with MSG_NOSIGNAL,
 * and every step waits in poll() with what is left of one absolute limit.
 */
#include "tools/common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/common/timing.h"

struct hgi_wire {
    int fd;
    int64_t timeout_ns;
    redisReader *reader;
};

/* Wait for `events` until end_ns. 0, or an errno. */
static int wait_for(int fd, short events, int64_t end_ns)
{
    for (;;) {
        int64_t left_ns = end_ns - monotonic_ns();
        if (left_ns <= 0)
            return ETIMEDOUT;
        struct pollfd poller = { .fd = fd, .events = events };
        int ready = poll(&poller, 1, (int)(left_ns / NS_PER_MS) + 1);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return errno;
    }
}

/* Connect a fresh socket. 0, or an errno. */
static int connect_socket(int fd, const struct sockaddr *address, socklen_t length, int64_t end_ns)
{
    if (connect(fd, address, length) == 0)
        return 0;
    if (errno != EINPROGRESS && errno != EINTR)
        return errno;
    int error = wait_for(fd, POLLOUT, end_ns);
    socklen_t size = sizeof error;
    if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    return error;
}

/* Give a connected descriptor its life as a wire; on failure it is closed. */
static struct hgi_wire *adopt(int fd, int64_t timeout_ns, struct hgi_problem *problem)
{
    struct hgi_wire *wire = malloc(sizeof *wire);
    redisReader *reader = redisReaderCreate();
    if (!wire || !reader) {
        hgi_problem_set(problem, "out of memory");
        free(wire);
        if (reader)
            redisReaderFree(reader);
        close(fd);
        return NULL;
    }
    *wire = (struct hgi_wire) { .fd = fd, .timeout_ns = timeout_ns, .reader = reader };
    return wire;
}

struct hgi_wire *hgi_wire_open_unix(const char *path, int64_t timeout_ns,
                                    struct hgi_problem *problem)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        hgi_problem_set(problem, "%s: too long for the path of a unix socket", path);
        return NULL;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = fd < 0 ? errno
                       : connect_socket(fd, (const struct sockaddr *)&address, sizeof address,
                                        monotonic_ns() + timeout_ns);
    if (error != 0) {
        hgi_problem_set(problem, "cannot connect to %s: %s", path, strerror(error));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    return adopt(fd, timeout_ns, problem);
}

struct hgi_wire *hgi_wire_open_tcp(const char *host, uint16_t port, int64_t timeout_ns,
                                   struct hgi_problem *problem)
{
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *addresses = NULL;
    int error = getaddrinfo(host, service, &hints, &addresses);
    if (error != 0) {
        hgi_problem_set(problem, "cannot look up the host %s: %s", host, gai_strerror(error));
        return NULL;
    }
    int64_t end_ns = monotonic_ns() + timeout_ns;
    int fd = -1;
    error = ENOENT;
    for (const struct addrinfo *a = addresses; a && error != 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        error = fd < 0 ? errno : connect_socket(fd, a->ai_addr, a->ai_addrlen, end_ns);
        if (error != 0 && fd >= 0)
            close(fd);
    }
    freeaddrinfo(addresses);
    if (error != 0) {
        hgi_problem_set(problem, "cannot connect to %s:%s: %s", host, service, strerror(error));
        return NULL;
    }
    return adopt(fd, timeout_ns, problem);
}

void hgi_wire_close(struct hgi_wire *wire)
{
    if (!wire)
        return;
    redisReaderFree(wire->reader);
    close(wire->fd);
    free(wire);
}

static int send_all(int fd, const char *bytes, size_t length, int64_t end_ns)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes += sent;
            length -= (size_t)sent;
            continue;
        }
        int error = errno == EINTR ? 0 : errno;
        if (error == EAGAIN)
            error = wait_for(fd, POLLOUT, end_ns);
        if (error != 0)
            return error;
    }
    return 0;
}

static redisReply *receive(struct hgi_wire *wire, int64_t end_ns, struct hgi_problem *problem)
{
    char bytes[16384];
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK) {
            hgi_problem_set(problem, "the answer is not RESP: %s", wire->reader->errstr);
            return NULL;
        }
        if (reply)
            return reply;
        ssize_t got = recv(wire->fd, bytes, sizeof bytes, 0);
        if (got > 0) {
            redisReaderFeed(wire->reader, bytes, (size_t)got);
            continue;
        }
        if (got == 0) {
            hgi_problem_set(problem, "the server closed the connection");
            return NULL;
        }
        int error = errno == EINTR ? 0 : errno;
        if (error == EAGAIN)
            error = wait_for(wire->fd, POLLIN, end_ns);
        if (error != 0) {
            hgi_problem_set(problem, "no answer: %s", strerror(error));
            return NULL;
        }
    }
}

redisReply *hgi_wire_vcommand(struct hgi_wire *wire, struct hgi_problem *problem,
                              const char *format, va_list arguments)
{
    char *frame = NULL;
    int length = redisvFormatCommand(&frame, format, arguments);
    if (length < 0) {
        hgi_problem_set(problem, "cannot format the command '%s'", format);
        return NULL;
    }
    int64_t end_ns = monotonic_ns() + wire->timeout_ns;
    int error = send_all(wire->fd, frame, (size_t)length, end_ns);
    redisFreeCommand(frame);
    if (error != 0) {
        hgi_problem_set(problem, "cannot send: %s", strerror(error));
        return NULL;
    }
    return receive(wire, end_ns, problem);
}

redisReply *hgi_wire_command(struct hgi_wire *wire, struct hgi_problem *problem, const char *format,
                             ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = hgi_wire_vcommand(wire, problem, format, arguments);
    va_end(arguments);
    return reply;
}
