/* Make a connection.
 *
 * Our own non-blocking connect, tried on every address of the name, then TLS (tls.c) and the set-up
 * (setup.c).
 *
 * The deadline covers connect, TLS and set-up. getaddrinfo() cannot be bounded; it runs on a dialer thread,
 * whose callers keep their own deadlines.
 */
#include "pool/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "pool/setup.h"

/* A dial in progress and where its failure is told. */
struct dial {
    const struct hgi_dial_request *request;
    struct hgi_dial_failure *failure;
};

/* Wait for a connect in progress. 0, or an errno. */
static int finish_connect(int fd, int64_t deadline_ns)
{
    for (;;) {
        int64_t left_ns = deadline_ns - hgi_now_ns();
        if (left_ns <= 0)
            return ETIMEDOUT;
        struct timespec left = hgi_timespec(left_ns);
        struct pollfd entry = { .fd = fd, .events = POLLOUT };
        int ready = ppoll(&entry, 1, &left, NULL);
        if (ready == 0)
            return ETIMEDOUT;
        if (ready < 0 && errno != EINTR)
            return errno;
        if (ready > 0)
            break;
    }
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return errno;
    return error;
}

/* A unix socket whose backlog is full says EAGAIN at once: its queue can only be asked again. */
static int connect_patiently(int fd, const struct sockaddr *address, socklen_t length,
                             int64_t deadline_ns)
{
    const int64_t pause_ns = 5 * HGI_NS_PER_MS;
    for (;;) {
        if (connect(fd, address, length) == 0)
            return 0;
        if (errno == EINPROGRESS || errno == EINTR)
            return finish_connect(fd, deadline_ns);
        if (errno != EAGAIN)
            return errno;
        int64_t now_ns = hgi_now_ns();
        if (now_ns + pause_ns >= deadline_ns)
            return EAGAIN;
        hgi_sleep_until(now_ns + pause_ns);
    }
}

static int set_options(int fd, int family, int64_t user_timeout_ns)
{
    if (family != AF_UNIX) {
        int on = 1;
        int idle_s = 60;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
        if (user_timeout_ns >= 0) {
            unsigned int limit_ms = (unsigned int)(user_timeout_ns / HGI_NS_PER_MS);
            setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
        }
    }
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 ? 0 : errno;
}

/* One address: a connected blocking socket, or -1 with *error an errno. */
static int connect_to(const struct dial *dial, const struct sockaddr *address, socklen_t length,
                      int64_t deadline_ns, int *error)
{
    int fd = hgi_socket_open(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                             dial->request->descriptor);
    if (fd < 0) {
        *error = errno;
        return -1;
    }
    *error = connect_patiently(fd, address, length, deadline_ns);
    if (*error == 0)
        *error =
            set_options(fd, address->sa_family, dial->request->settings->pool.tcp_user_timeout_ns);
    if (*error == 0)
        return fd;
    hgi_socket_close(fd, dial->request->descriptor);
    return -1;
}

static int connect_unix(const struct dial *dial)
{
    const char *path = dial->request->endpoint->path;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int error = ENAMETOOLONG;
    int fd = -1;
    if (strlen(path) < sizeof address.sun_path) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = connect_to(dial, (const struct sockaddr *)&address, sizeof address,
                        dial->request->deadline_ns, &error);
    }
    if (fd < 0)
        hgi_dial_fail(dial->failure, error, "cannot connect");
    return fd;
}

/* Every address of the name, one after the other. One that hangs may take its share of the time that is left,
 * so that those after it have theirs, and the set-up. */
static int connect_any(const struct dial *dial, const struct addrinfo *found, int *error)
{
    const int64_t deadline_ns = dial->request->deadline_ns;
    int64_t addresses = 0;
    int fd = -1;
    for (const struct addrinfo *each = found; each; each = each->ai_next)
        addresses++;
    for (const struct addrinfo *each = found; each && fd < 0; each = each->ai_next, addresses--) {
        int64_t left_ns = deadline_ns - hgi_now_ns();
        int64_t share_ns = left_ns > 0 ? left_ns / addresses : 0;
        fd = connect_to(dial, each->ai_addr, each->ai_addrlen, deadline_ns - left_ns + share_ns,
                        error);
    }
    return fd;
}

static int connect_tcp(const struct dial *dial)
{
    const struct hgi_endpoint *endpoint = dial->request->endpoint;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV };
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)endpoint->port);
    struct addrinfo *found;
    hgi_lookup_begin();
    int result = getaddrinfo(endpoint->host, port, &hints, &found);
    hgi_lookup_end();
    if (result != 0) {
        char what[128];
        snprintf(what, sizeof what, "cannot find the address of the server's name: %s",
                 gai_strerror(result));
        hgi_dial_fail(dial->failure, result == EAI_SYSTEM ? errno : 0, what);
        return -1;
    }
    int error = 0;
    int fd = connect_any(dial, found, &error);
    freeaddrinfo(found);
    if (fd < 0)
        hgi_dial_fail(dial->failure, error, "cannot connect");
    return fd;
}

/* TLS, if the URL asks for it. */
static bool start_tls(const struct dial *dial, struct hgi_conn *conn)
{
    const struct hgi_dial_request *request = dial->request;
    char why[160];
    if (!request->endpoint->tls)
        return true;
    conn->tls = hgi_tls_start(conn->context, request->endpoint, &request->settings->tls,
                              request->deadline_ns, why, sizeof why);
    return conn->tls || hgi_dial_fail(dial->failure, 0, why);
}

bool hgi_dial(const struct hgi_dial_request *request, struct hgi_conn **out,
              struct hgi_fault *fault, char *text, size_t text_size)
{
    struct hgi_dial_failure failure = { .fault = fault, .text = text, .text_size = text_size };
    const struct dial dial = { .request = request, .failure = &failure };
    const struct hgi_setup setup = { .endpoint = request->endpoint,
                                     .settings = request->settings,
                                     .deadline_ns = request->deadline_ns,
                                     .no_info = request->no_info };
    const int64_t began_ns = hgi_now_ns();
    *out = NULL;
    *fault = (struct hgi_fault) { .kind = HGI_FAULT_DIAL,
                                  .in_setup = true,
                                  .class_kind = HGI_CLASS_CONNECTION };
    text[0] = '\0';
    int fd = request->endpoint->transport == HGI_TRANSPORT_UNIX ? connect_unix(&dial)
                                                                : connect_tcp(&dial);
    if (fd < 0)
        return false;
    hgi_descriptors_lock(); /* it closes fd if it fails */
    struct hgi_conn *conn = hgi_conn_wrap(fd, request->settings, request->slice_ns);
    if (conn)
        conn->descriptor = request->descriptor;
    else
        hgi_descriptor_note_down(request->descriptor, -1);
    hgi_descriptors_unlock();
    if (!conn)
        return hgi_dial_fail_memory(&failure);
    conn->dialled_ns = began_ns;
    if (!start_tls(&dial, conn) || !hgi_set_up(conn, &setup, &failure)) {
        hgi_conn_close(conn);
        return false;
    }
    *out = conn;
    return true;
}
