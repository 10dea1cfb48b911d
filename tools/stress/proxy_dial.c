/* Connecting to the target; see proxy_dial.h. */
#include "tools/stress/proxy_dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static bool resolve_unix(struct hgi_dial *dial, const char *path, struct hgi_problem *problem)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return hgi_problem_set(problem, "%s: too long for the path of a unix socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    memcpy(&dial->address[0].storage, &address, sizeof address);
    dial->address[0].length = sizeof address;
    dial->count = 1;
    return true;
}

bool hgi_dial_resolve(struct hgi_dial *dial, const struct hgi_target *target,
                      struct hgi_problem *problem)
{
    *dial = (struct hgi_dial) { 0 };
    if (target->socket[0])
        return resolve_unix(dial, target->socket, problem);
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)target->port);
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *addresses = NULL;
    int error = getaddrinfo(target->host, service, &hints, &addresses);
    if (error != 0)
        return hgi_problem_set(problem, "%s: %s", target->host, gai_strerror(error));
    for (const struct addrinfo *a = addresses; a && dial->count < HGI_DIAL_ADDRESSES;
         a = a->ai_next) {
        memcpy(&dial->address[dial->count].storage, a->ai_addr, a->ai_addrlen);
        dial->address[dial->count++].length = a->ai_addrlen;
    }
    freeaddrinfo(addresses);
    return true;
}

int hgi_dial_begin(const struct hgi_dial *dial, size_t which, int *fd)
{
    const struct sockaddr *address = (const struct sockaddr *)&dial->address[which].storage;
    *fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return errno;
    hgi_dial_no_delay(*fd);
    if (connect(*fd, address, dial->address[which].length) == 0)
        return 0;
    int error = errno;
    if (error == EINPROGRESS)
        return error;
    close(*fd);
    *fd = -1;
    return error;
}

int hgi_dial_result(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void hgi_dial_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
