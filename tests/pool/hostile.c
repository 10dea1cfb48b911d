/* Blocking calls only: what a behaviour waits in is ended by hostile_stop(), which shuts all sockets. */
#include "tests/pool/hostile.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/pool/support.h"

enum { CONNECTIONS_MAX = 256 };

struct visit {
    struct hostile *hostile;
    pthread_t thread;
    int fd;
};

struct hostile {
    hostile_fn behaviour;
    int listener;
    char url[64];
    pthread_t door;
    pthread_mutex_t mutex; /* guards the rest */
    bool stopping;
    struct visit visits[CONNECTIONS_MAX];
    int count;
};

static void *visit_main(void *argument)
{
    struct visit *visit = argument;
    if (hostile_hear(visit->fd, "PING\r\n") && hostile_say(visit->fd, "+PONG\r\n"))
        visit->hostile->behaviour(visit->hostile, visit->fd);
    shutdown(visit->fd, SHUT_RDWR); /* closed when the thread has been joined */
    return NULL;
}

static void *door_main(void *argument)
{
    struct hostile *hostile = argument;
    for (;;) {
        int fd = accept(hostile->listener, NULL, NULL);
        pthread_mutex_lock(&hostile->mutex);
        if (hostile->stopping || fd < 0) {
            pthread_mutex_unlock(&hostile->mutex);
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        require(hostile->count < CONNECTIONS_MAX);
        struct visit *visit = &hostile->visits[hostile->count++];
        *visit = (struct visit) { .hostile = hostile, .fd = fd };
        require(pthread_create(&visit->thread, NULL, visit_main, visit) == 0);
        pthread_mutex_unlock(&hostile->mutex);
    }
}

struct hostile *hostile_start(hostile_fn behaviour)
{
    struct hostile *hostile = calloc(1, sizeof *hostile);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    require(hostile != NULL);
    hostile->behaviour = behaviour;
    hostile->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(bind(hostile->listener, (const struct sockaddr *)&address, size) == 0);
    require(listen(hostile->listener, 64) == 0);
    require(getsockname(hostile->listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(hostile->url, sizeof hostile->url, "redis://127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    require(pthread_mutex_init(&hostile->mutex, NULL) == 0);
    require(pthread_create(&hostile->door, NULL, door_main, hostile) == 0);
    return hostile;
}

void hostile_stop(struct hostile *hostile)
{
    pthread_mutex_lock(&hostile->mutex);
    hostile->stopping = true;
    for (int i = 0; i < hostile->count; i++)
        shutdown(hostile->visits[i].fd, SHUT_RDWR);
    shutdown(hostile->listener, SHUT_RDWR);
    pthread_mutex_unlock(&hostile->mutex);
    pthread_join(hostile->door, NULL);
    for (int i = 0; i < hostile->count; i++) {
        pthread_join(hostile->visits[i].thread, NULL);
        close(hostile->visits[i].fd);
    }
    close(hostile->listener);
    pthread_mutex_destroy(&hostile->mutex);
    free(hostile);
}

const char *hostile_url(const struct hostile *hostile)
{
    return hostile->url;
}

bool hostile_send(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t taken = send(fd, bytes, length, MSG_NOSIGNAL);
        if (taken <= 0)
            return false;
        bytes += taken;
        length -= (size_t)taken;
    }
    return true;
}

bool hostile_say(int fd, const char *text)
{
    return hostile_send(fd, text, strlen(text));
}

bool hostile_hear(int fd, const char *text)
{
    char tail[256];
    size_t length = 0;
    const size_t wanted = strlen(text);
    for (;;) {
        if (length >= wanted && memcmp(tail + length - wanted, text, wanted) == 0)
            return true;
        if (length == sizeof tail) {
            memmove(tail, tail + sizeof tail / 2, sizeof tail / 2);
            length = sizeof tail / 2;
        }
        if (recv(fd, tail + length, 1, 0) != 1)
            return false;
        length++;
    }
}

void hostile_listen(int fd)
{
    char bytes[4096];
    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        continue;
}

void hostile_echo(struct hostile *hostile, int fd)
{
    static const int small = 8192;
    char *value = malloc(HOSTILE_ECHO_SIZE + 2);
    char head[32];
    (void)hostile;
    require(value != NULL);
    snprintf(head, sizeof head, "$%d\r\n", HOSTILE_ECHO_SIZE);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    while (hostile_hear(fd, head) &&
           recv(fd, value, HOSTILE_ECHO_SIZE + 2, MSG_WAITALL) == HOSTILE_ECHO_SIZE + 2 &&
           hostile_say(fd, head) && hostile_send(fd, value, HOSTILE_ECHO_SIZE + 2))
        continue;
    free(value);
}
