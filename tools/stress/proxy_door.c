/* Where the proxy listens; see proxy_door.h.
 *
 * A unix socket is opened under another name and renamed, so that its path is there at all times, and
 * refuses while nobody listens. A port that nobody is bound to could be given to another program
 * while the door is shut: the keeper prevents that. Linux lets a second socket bind beside one that
 * does not listen if both say SO_REUSEADDR.
 */
#include "tools/stress/proxy_door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A socket that is bound to a port of 127.0.0.1; port 0: a free one. -1: errno says. */
static int bound_to_port(uint16_t port)
{
    int on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool open_tcp(struct hgi_door *door)
{
    door->tcp = bound_to_port(door->port);
    if (door->tcp >= 0 && listen(door->tcp, door->backlog) == 0)
        return true;
    close_one(&door->tcp);
    return false;
}

static bool open_local(struct hgi_door *door)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s/next", door->scratch.path);
    door->local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (door->local >= 0 &&
        bind(door->local, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(door->local, door->backlog) == 0 && rename(address.sun_path, door->socket) == 0)
        return true;
    int error = errno;
    close_one(&door->local);
    unlink(address.sun_path);
    errno = error;
    return false;
}

bool hgi_door_open(struct hgi_door *door)
{
    if (door->local < 0 && !open_local(door))
        return false;
    if (!door->port || door->tcp >= 0 || open_tcp(door))
        return true;
    close_one(&door->local);
    return false;
}

void hgi_door_shut(struct hgi_door *door)
{
    /* A child between fork and exec holds copies, which would go on listening. */
    if (door->local >= 0)
        shutdown(door->local, SHUT_RDWR);
    if (door->tcp >= 0)
        shutdown(door->tcp, SHUT_RDWR);
    close_one(&door->local);
    close_one(&door->tcp);
}

static bool take_port(struct hgi_door *door)
{
    struct sockaddr_in address = { 0 };
    socklen_t length = sizeof address;
    door->keeper = bound_to_port(0);
    if (door->keeper < 0 || getsockname(door->keeper, (struct sockaddr *)&address, &length) != 0)
        return false;
    door->port = ntohs(address.sin_port);
    return true;
}

bool hgi_door_make(struct hgi_door *door, bool tcp, int backlog, struct hgi_problem *problem)
{
    *door = (struct hgi_door) { .backlog = backlog, .keeper = -1, .local = -1, .tcp = -1 };
    if (!hgi_scratch_make(&door->scratch, problem))
        return false;
    snprintf(door->socket, sizeof door->socket, "%s/socket", door->scratch.path);
    if ((!tcp || take_port(door)) && hgi_door_open(door))
        return true;
    hgi_problem_set(problem, "the proxy cannot listen: %s", strerror(errno));
    hgi_door_free(door);
    return false;
}

void hgi_door_free(struct hgi_door *door)
{
    hgi_door_shut(door);
    close_one(&door->keeper);
    hgi_scratch_remove(&door->scratch);
}
