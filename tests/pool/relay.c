/* One thread, poll, blocking writes: a relay for a handful of connections. */
#include "tests/pool/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/pool/support.h"

enum { LINKS_MAX = 64, HELD_MAX = 64 * 1024 };

struct link {
    int client; /* -1: closed */
    int server; /* -1: closed; with both, the place is free */
    bool held;
};

struct relay {
    pthread_t thread;
    int listener;
    int wake[2];
    char url[64];
    char socket_path[108];
    struct link links[LINKS_MAX]; /* the thread's */

    pthread_mutex_t mutex; /* guards the rest */
    bool stop;
    bool hold_next;
    bool holding;
    bool dead;
    bool release;
    char bytes[HELD_MAX];
    size_t length;
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t taken = send(fd, bytes, length, MSG_NOSIGNAL);
        if (taken <= 0)
            return;
        bytes += taken;
        length -= (size_t)taken;
    }
}

static void accept_one(struct relay *relay)
{
    int client = accept(relay->listener, NULL, NULL);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, relay->socket_path, sizeof address.sun_path);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < LINKS_MAX; i++) {
        struct link *link = &relay->links[i];
        if (link->client >= 0 || link->server >= 0)
            continue;
        if (connect(server, (const struct sockaddr *)&address, sizeof address) != 0)
            break;
        *link = (struct link) { .client = client, .server = server };
        return;
    }
    close(client);
    close(server);
}

/* Bytes from a client, or its end (length 0). The mutex is held. */
static void from_client(struct relay *relay, struct link *link, const char *bytes, size_t length)
{
    if (length > 0 && relay->hold_next) {
        relay->hold_next = false;
        relay->holding = link->held = true;
    }
    if (length == 0) {
        close_end(&link->client);
        if (!link->held)
            close_end(&link->server);
    } else if (link->held) {
        require(relay->length + length <= HELD_MAX);
        memcpy(relay->bytes + relay->length, bytes, length);
        relay->length += length;
    } else {
        send_all(link->server, bytes, length);
    }
}

static void from_server(struct relay *relay, struct link *link, const char *bytes, size_t length)
{
    if (length > 0) {
        if (link->client >= 0)
            send_all(link->client, bytes, length);
        return;
    }
    if (link->held)
        relay->dead = true;
    close_end(&link->client);
    close_end(&link->server);
}

static void let_go(struct relay *relay)
{
    for (int i = 0; i < LINKS_MAX; i++) {
        struct link *link = &relay->links[i];
        if (!link->held)
            continue;
        link->held = false;
        if (link->server >= 0)
            send_all(link->server, relay->bytes, relay->length);
    }
    relay->length = 0;
    relay->release = relay->holding = relay->dead = false;
}

static void read_end(struct relay *relay, struct link *link, bool of_client)
{
    char bytes[16384];
    ssize_t length = recv(of_client ? link->client : link->server, bytes, sizeof bytes, 0);
    pthread_mutex_lock(&relay->mutex);
    if (of_client)
        from_client(relay, link, bytes, length > 0 ? (size_t)length : 0);
    else
        from_server(relay, link, bytes, length > 0 ? (size_t)length : 0);
    pthread_mutex_unlock(&relay->mutex);
}

static void serve(struct relay *relay)
{
    struct pollfd entries[2 + 2 * LINKS_MAX];
    entries[0] = (struct pollfd) { .fd = relay->listener, .events = POLLIN };
    entries[1] = (struct pollfd) { .fd = relay->wake[0], .events = POLLIN };
    for (int i = 0; i < LINKS_MAX; i++) {
        entries[2 + 2 * i] = (struct pollfd) { .fd = relay->links[i].client, .events = POLLIN };
        entries[3 + 2 * i] = (struct pollfd) { .fd = relay->links[i].server, .events = POLLIN };
    }
    if (poll(entries, 2 + 2 * LINKS_MAX, -1) < 0)
        return;
    for (int i = 0; i < LINKS_MAX; i++) {
        struct link *link = &relay->links[i];
        if (entries[2 + 2 * i].revents && link->client >= 0)
            read_end(relay, link, true);
        if (entries[3 + 2 * i].revents && link->server >= 0)
            read_end(relay, link, false);
    }
    if (entries[0].revents)
        accept_one(relay);
    if (entries[1].revents) {
        char byte;
        (void)!read(relay->wake[0], &byte, 1);
    }
}

static void *relay_main(void *argument)
{
    struct relay *relay = argument;
    for (;;) {
        pthread_mutex_lock(&relay->mutex);
        if (relay->release)
            let_go(relay);
        bool stop = relay->stop;
        pthread_mutex_unlock(&relay->mutex);
        if (stop)
            return NULL;
        serve(relay);
    }
}

struct relay *relay_start(const char *server_socket)
{
    struct relay *relay = calloc(1, sizeof *relay);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    require(relay && strlen(server_socket) < sizeof relay->socket_path);
    snprintf(relay->socket_path, sizeof relay->socket_path, "%s", server_socket);
    for (int i = 0; i < LINKS_MAX; i++)
        relay->links[i].client = relay->links[i].server = -1;
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(bind(relay->listener, (const struct sockaddr *)&address, size) == 0);
    require(listen(relay->listener, LINKS_MAX) == 0);
    require(getsockname(relay->listener, (struct sockaddr *)&address, &size) == 0);
    require(pipe(relay->wake) == 0);
    snprintf(relay->url, sizeof relay->url, "redis://127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    require(pthread_mutex_init(&relay->mutex, NULL) == 0);
    require(pthread_create(&relay->thread, NULL, relay_main, relay) == 0);
    return relay;
}

/* Set a flag, and have the thread look. */
static void tell(struct relay *relay, bool *flag)
{
    pthread_mutex_lock(&relay->mutex);
    *flag = true;
    pthread_mutex_unlock(&relay->mutex);
    (void)!write(relay->wake[1], "", 1);
}

static bool ask(struct relay *relay, const bool *flag)
{
    pthread_mutex_lock(&relay->mutex);
    bool value = *flag;
    pthread_mutex_unlock(&relay->mutex);
    return value;
}

void relay_stop(struct relay *relay)
{
    tell(relay, &relay->stop);
    pthread_join(relay->thread, NULL);
    for (int i = 0; i < LINKS_MAX; i++) {
        close_end(&relay->links[i].client);
        close_end(&relay->links[i].server);
    }
    close(relay->listener);
    close(relay->wake[0]);
    close(relay->wake[1]);
    pthread_mutex_destroy(&relay->mutex);
    free(relay);
}

const char *relay_url(const struct relay *relay)
{
    return relay->url;
}

void relay_hold(struct relay *relay)
{
    tell(relay, &relay->hold_next);
}

bool relay_holds(struct relay *relay)
{
    return ask(relay, &relay->holding);
}

bool relay_held_is_dead(struct relay *relay)
{
    return ask(relay, &relay->dead);
}

void relay_release(struct relay *relay)
{
    tell(relay, &relay->release);
}
