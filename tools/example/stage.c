/* Faults on cue. All of them are real: the server is stopped, paused, kept busy; nothing is mocked.
 *
 * A server is mended from the log hook, which a call runs on its own thread before the delay of a
 * retry: so the attempt after that delay, and not one before or after it, finds the server well.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/common/timing.h"
#include "tools/common/wire.h"
#include "tools/example/example.h"

static bool kill_script(struct hgi_private_server *server)
{
    struct hgi_problem problem;
    redisReply *reply = hgi_private_server_command(server, &problem, "SCRIPT KILL");
    bool well = reply && reply->type != REDIS_REPLY_ERROR;
    if (!well)
        tour_failed("SCRIPT KILL", reply ? reply->str : problem.text);
    freeReplyObject(reply);
    return well;
}

bool stage_mend(struct hgi_private_server *server, enum stage_cure cure)
{
    struct hgi_problem problem;
    switch (cure) {
    case STAGE_RESUME:
        hgi_private_server_resume(server);
        return true;
    case STAGE_KILL_SCRIPT:
        return kill_script(server);
    case STAGE_RESTART:
    default:
        return hgi_private_server_restart(server, &problem) ||
               tour_failed("the server does not come back", problem.text);
    }
}

void stage_log(void *arg, const struct hg_log_event *event)
{
    struct stage *stage = arg;
    show_log(NULL, event);
    /* Retries are logged by the calling thread; other events may come from the pool's own threads. */
    if (event->kind != HG_LOG_RETRY || event->error->attempt + 1 != stage->before)
        return;
    stage->failed = !stage_mend(stage->server, stage->cure);
    show_fact("stage", "the server is %s now",
              stage->cure == STAGE_RESTART ? "started again" : "resumed");
}

static void *mend(void *arg)
{
    struct stage_later *later = arg;
    sleep_until_ns(later->when_ns);
    later->well = stage_mend(later->server, later->cure);
    return NULL;
}

bool stage_mend_later(struct stage_later *later, struct hgi_private_server *server,
                      enum stage_cure cure, int64_t after_ns)
{
    *later = (struct stage_later) { .server = server,
                                    .cure = cure,
                                    .when_ns = monotonic_ns() + after_ns };
    int error = pthread_create(&later->thread, NULL, mend, later);
    return error == 0 || tour_failed("cannot start a thread", strerror(error));
}

bool stage_join(struct stage_later *later)
{
    pthread_join(later->thread, NULL);
    return later->well;
}

bool stage_make_busy(struct hgi_private_server *server)
{
    struct hgi_problem problem;
    /* After 50 ms of a script the server answers others again: with BUSY. */
    if (!hgi_private_server_config(server, "lua-time-limit", "50", &problem))
        return tour_failed("cannot set lua-time-limit", problem.text);
    struct hgi_wire *wire =
        hgi_wire_open_unix(hgi_private_server_socket(server), 100 * NS_PER_MS, &problem);
    if (!wire)
        return tour_failed("cannot reach the tour's own server", problem.text);
    /* Sent and left: its answer is not waited for, the script goes on without its sender. */
    redisReply *reply = hgi_wire_command(wire, NULL, "EVAL %s 0", "while true do end");
    bool busy = reply == NULL || tour_failed("the script did not stay", reply->str);
    freeReplyObject(reply);
    hgi_wire_close(wire);
    return busy;
}

static void *greet(void *arg)
{
    const struct stage_stranger *stranger = arg;
    static const char greeting[] = "220 mail.example ESMTP ready\r\n";
    for (;;) {
        int client = accept4(stranger->fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (client < 0)
            return NULL; /* shut down: the end */
        (void)!send(client, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
        char ignored[512];
        while (recv(client, ignored, sizeof ignored, 0) > 0)
            continue; /* until the client has gone */
        close(client);
    }
}

bool stage_stranger_start(struct stage_stranger *stranger)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int error = 0;
    stranger->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stranger->fd < 0)
        return tour_failed("cannot make a socket", strerror(errno));
    if (bind(stranger->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(stranger->fd, 8) != 0 ||
        getsockname(stranger->fd, (struct sockaddr *)&address, &length) != 0)
        error = errno;
    if (!error) {
        snprintf(stranger->url, sizeof stranger->url, "redis://127.0.0.1:%u",
                 (unsigned)ntohs(address.sin_port));
        error = pthread_create(&stranger->thread, NULL, greet, stranger);
    }
    if (!error)
        return true;
    close(stranger->fd);
    return tour_failed("cannot listen on 127.0.0.1", strerror(error));
}

void stage_stranger_stop(struct stage_stranger *stranger)
{
    shutdown(stranger->fd, SHUT_RDWR);
    pthread_join(stranger->thread, NULL);
    close(stranger->fd);
}
