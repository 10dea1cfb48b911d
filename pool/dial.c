/* Make a connection.
 *
 * Our own non-blocking connect, tried on every address of the name, then one pipelined round trip of
 * set-up: AUTH, SELECT, CLIENT SETNAME as the settings ask, and CLIENT ID always, so that a server
 * that only accepts connections (its process stopped, its limit of clients reached) is not taken for
 * one that answers. A new socket is read once before its first write, because a server that refuses a
 * client says so unasked and closes: on a unix socket the text is lost after a failed write.
 *
 * The deadline covers connect and set-up. getaddrinfo() cannot be bounded; it runs on a dialer thread,
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
#include "breaker/error.h"

/* A dial in progress and where its failure is told. */
struct dial {
    const struct hgi_dial_request *request;
    struct hgi_fault *fault;
    char *text;
    size_t text_size;
};

static bool dial_failed(struct dial *dial, int sys_errno, const char *what)
{
    dial->fault->kind = HGI_FAULT_DIAL;
    dial->fault->sys_errno = sys_errno;
    if (sys_errno)
        snprintf(dial->text, dial->text_size, "%s: %s", what, strerrordesc_np(sys_errno));
    else
        snprintf(dial->text, dial->text_size, "%s", what);
    return false;
}

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
                      int *error)
{
    int fd = hgi_socket_open(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                             dial->request->descriptor);
    if (fd < 0) {
        *error = errno;
        return -1;
    }
    *error = connect_patiently(fd, address, length, dial->request->deadline_ns);
    if (*error == 0)
        *error = set_options(fd, address->sa_family, dial->request->user_timeout_ns);
    if (*error == 0)
        return fd;
    hgi_socket_close(fd, dial->request->descriptor);
    return -1;
}

static int connect_unix(struct dial *dial)
{
    const char *path = dial->request->endpoint->path;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int error = ENAMETOOLONG;
    int fd = -1;
    if (strlen(path) < sizeof address.sun_path) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = connect_to(dial, (const struct sockaddr *)&address, sizeof address, &error);
    }
    if (fd < 0)
        dial_failed(dial, error, "cannot connect");
    return fd;
}

static int connect_tcp(struct dial *dial)
{
    const struct hgi_endpoint *endpoint = dial->request->endpoint;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV };
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)endpoint->port);
    struct addrinfo *found;
    int result = getaddrinfo(endpoint->host, port, &hints, &found);
    if (result != 0) {
        char what[128];
        snprintf(what, sizeof what, "cannot find the address of the server's name: %s",
                 gai_strerror(result));
        dial_failed(dial, result == EAI_SYSTEM ? errno : 0, what);
        return -1;
    }
    int fd = -1;
    int error = 0;
    for (const struct addrinfo *each = found; each && fd < 0; each = each->ai_next)
        fd = connect_to(dial, each->ai_addr, each->ai_addrlen, &error);
    freeaddrinfo(found);
    if (fd < 0)
        dial_failed(dial, error, "cannot connect");
    return fd;
}

/* Append one command of the set-up to the pipeline. */
static bool append(struct hgi_conn *conn, int argc, const char **argv)
{
    char *bytes = NULL;
    int length = (int)redisFormatCommandArgv(&bytes, argc, argv, NULL);
    if (length < 0)
        return false;
    bool appended = hgi_conn_append(conn, bytes, (size_t)length);
    memset(bytes, 0, (size_t)length); /* it may hold the password */
    redisFreeCommand(bytes);
    if (appended)
        conn->owed++;
    return appended;
}

static bool append_setup(const struct hgi_dial_request *request, struct hgi_conn *conn)
{
    const struct hgi_endpoint *endpoint = request->endpoint;
    char database[16];
    snprintf(database, sizeof database, "%u", (unsigned)endpoint->database);
    const char *auth[] = { "AUTH", endpoint->username, endpoint->password };
    const char *auth_default[] = { "AUTH", endpoint->password };
    const char *select[] = { "SELECT", database };
    const char *name[] = { "CLIENT", "SETNAME", request->client_name };
    const char *id[] = { "CLIENT", "ID" };
    bool well = true;
    if (endpoint->username[0])
        well = append(conn, 3, auth);
    else if (endpoint->password[0])
        well = append(conn, 2, auth_default);
    if (well && endpoint->database != 0)
        well = append(conn, 2, select);
    if (well && request->client_name[0])
        well = append(conn, 3, name);
    return well && append(conn, 2, id);
}

/* An error reply during set-up: does it make the connection useless? LOADING, BUSY and their like do
 * not: the commands will meet them and are judged by them. CLIENT may be forbidden by an ACL or
 * unknown to a proxy; but the refusal of the whole client can come as the answer to any command. */
static bool is_fatal(const redisReply *reply, bool is_client_command)
{
    static const char *const fatal[] = { "NOAUTH", "WRONGPASS", "DENIED", "ERR" };
    if (reply->type != REDIS_REPLY_ERROR)
        return false;
    if (is_client_command && strncmp(reply->str, "ERR ", 4) == 0)
        return strcmp(reply->str, "ERR max number of clients reached") == 0;
    size_t code_length = strcspn(reply->str, " ");
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        if (strlen(fatal[i]) == code_length && memcmp(reply->str, fatal[i], code_length) == 0)
            return true;
    return false;
}

/* The server said no: keep its words as far as they may be shown. */
static bool refused(struct dial *dial, const redisReply *reply)
{
    char shown[96];
    hgi_server_error_text(reply->str, reply->len, shown, sizeof shown);
    dial->fault->kind = HGI_FAULT_REPLY;
    dial->fault->sys_errno = 0;
    snprintf(dial->text, dial->text_size, "%s", shown);
    dial->fault->text = dial->text;
    dial->fault->text_length = strlen(dial->text);
    return false;
}

static bool io_failed(struct dial *dial, const struct hgi_io *io)
{
    switch (io->kind) {
    case HGI_IO_TIMEOUT:
        return dial_failed(dial, 0, "connected, but the server did not answer in time");
    case HGI_IO_CLOSED:
        return dial_failed(dial, 0, "connected, but the server closed at once");
    case HGI_IO_PROTOCOL:
        dial_failed(dial, 0, "what answers there does not speak the Redis protocol");
        dial->fault->kind = HGI_FAULT_PROTOCOL;
        return false;
    case HGI_IO_MEMORY:
        dial_failed(dial, ENOMEM, "out of memory");
        dial->fault->kind = HGI_FAULT_MEMORY;
        return false;
    case HGI_IO_ERROR:
    case HGI_IO_OK:
    default:
        return dial_failed(dial, io->sys_errno, "connected, but set-up failed");
    }
}

/* A failed exchange, unless the server left a word about it. */
static bool set_up_failed(struct dial *dial, struct hgi_conn *conn, const struct hgi_io *io)
{
    redisReply *words = io->kind == HGI_IO_ERROR ? hgi_conn_last_words(conn) : NULL;
    bool spoken = words && words->type == REDIS_REPLY_ERROR;
    if (spoken)
        refused(dial, words);
    else
        io_failed(dial, io);
    freeReplyObject(words);
    return false;
}

static bool set_up(struct dial *dial, struct hgi_conn *conn)
{
    const struct hgi_dial_request *request = dial->request;
    redisReply *unasked = hgi_conn_last_words(conn);
    if (!unasked && conn->broken) {
        const struct hgi_io io = { .kind = HGI_IO_PROTOCOL };
        return io_failed(dial, &io);
    }
    if (unasked) {
        if (unasked->type == REDIS_REPLY_ERROR)
            refused(dial, unasked);
        else
            dial_failed(dial, 0, "the server spoke before it was asked");
        freeReplyObject(unasked);
        return false;
    }
    if (!append_setup(request, conn)) {
        dial->fault->kind = HGI_FAULT_MEMORY;
        snprintf(dial->text, dial->text_size, "out of memory");
        return false;
    }
    struct hgi_io io = hgi_conn_send(conn, conn->out, conn->out_length, request->deadline_ns);
    memset(conn->out, 0, conn->out_length);
    conn->out_length = 0;
    if (io.kind != HGI_IO_OK)
        return set_up_failed(dial, conn, &io);
    const uint32_t client_commands = request->client_name[0] ? 2 : 1; /* the last ones */
    while (conn->owed > 0) {
        redisReply *reply;
        io = hgi_conn_receive(conn, &reply, request->deadline_ns);
        if (io.kind != HGI_IO_OK)
            return set_up_failed(dial, conn, &io);
        bool fatal = is_fatal(reply, conn->owed <= client_commands);
        bool last = --conn->owed == 0;
        if (fatal)
            refused(dial, reply);
        else if (last && reply->type == REDIS_REPLY_INTEGER)
            conn->client_id = reply->integer;
        freeReplyObject(reply);
        if (fatal)
            return false;
    }
    return true;
}

bool hgi_dial(const struct hgi_dial_request *request, struct hgi_conn **out,
              struct hgi_fault *fault, char *text, size_t text_size)
{
    struct dial dial = { .request = request, .fault = fault, .text = text, .text_size = text_size };
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
    struct hgi_conn *conn = hgi_conn_wrap(fd, request->slice_ns);
    if (conn)
        conn->descriptor = request->descriptor;
    else
        hgi_descriptor_note_down(request->descriptor, -1);
    hgi_descriptors_unlock();
    if (!conn) {
        fault->kind = HGI_FAULT_MEMORY;
        snprintf(text, text_size, "out of memory");
        return false;
    }
    if (!set_up(&dial, conn)) {
        hgi_conn_close(conn);
        return false;
    }
    *out = conn;
    return true;
}
