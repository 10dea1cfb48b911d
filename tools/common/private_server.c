/* A redis-server of one's own; see private_server.h.
 *
 * Only the process that was started here is ever signalled, by its id, and only until it has been
 * waited for: `pid` is 0 from then on, so that a recycled id cannot be hit.
 */
#include "tools/common/private_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/common/scratch.h"
#include "tools/common/spawner.h"
#include "tools/common/timing.h"
#include "tools/common/wire.h"

enum { ARGUMENTS_MAX = 64, PORT_TRIES = 5 };

/* A server on a busy machine may be given no processor for many seconds: what is patient here costs
 * nothing, since one that ends is noticed at once. */
#define START_LIMIT_S 60
#define PING_LIMIT_NS (10 * NS_PER_S)
#define STOP_LIMIT_NS (5 * NS_PER_S)
#define COMMAND_LIMIT_NS (5 * NS_PER_S)

struct hgi_private_server {
    struct hgi_spawner *spawner;
    pid_t pid;       /* 0: does not run */
    bool is_to_run;  /* nobody here ends it, so that an end is not to be expected */
    bool lost;       /* and it did end then, */
    int lost_status; /* with this, as waitpid() tells */
    uint16_t port;
    char binary[PATH_MAX];
    struct hgi_scratch scratch;
    char socket[96];
    char log[96];
    char dump[96]; /* that SAVE and DEBUG RELOAD write */
    char url[112];
    char tcp_url[48];
    char *arguments[ARGUMENTS_MAX]; /* more of the command line, copied */
};

/* An executable file of that name in PATH. */
static bool find_in_path(char *out, size_t size, const char *name)
{
    const char *path = getenv("PATH");
    if (!path)
        path = "/usr/local/bin:/usr/bin:/bin";
    while (*path) {
        size_t length = strcspn(path, ":");
        int written = snprintf(out, size, "%.*s/%s", (int)length, path, name);
        struct stat status;
        if (length > 0 && written > 0 && (size_t)written < size && stat(out, &status) == 0 &&
            S_ISREG(status.st_mode) && access(out, X_OK) == 0)
            return true;
        path += length;
        path += *path == ':';
    }
    return false;
}

static bool find_binary(char *out, size_t size, struct hgi_problem *problem)
{
    const char *given = getenv("HERDGATE_REDIS_SERVER");
    if (given && *given) {
        if (access(given, X_OK) != 0)
            return hgi_problem_set(problem, "HERDGATE_REDIS_SERVER=%s: %s", given, strerror(errno));
        return (size_t)snprintf(out, size, "%s", given) < size ||
               hgi_problem_set(problem, "HERDGATE_REDIS_SERVER: the path is too long");
    }
    /* Debian's redis-tools holds the server under the name of one of its checking tools; the
     * binary goes by argv[0]. */
    if (find_in_path(out, size, "redis-server") || find_in_path(out, size, "redis-check-rdb"))
        return true;
    return hgi_problem_set(problem,
                           "no redis-server found: install it (Debian, Ubuntu: apt-get install "
                           "redis-tools; Fedora, Alpine, Homebrew: the package redis) or set "
                           "HERDGATE_REDIS_SERVER to the path of one");
}

/* A port of 127.0.0.1 that nobody listens on now. 0: none. */
static uint16_t free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    uint16_t port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static bool make_directory(struct hgi_private_server *server, struct hgi_problem *problem)
{
    const char *path = server->scratch.path;
    if (!hgi_scratch_make(&server->scratch, problem))
        return false;
    snprintf(server->socket, sizeof server->socket, "%s/socket", path);
    snprintf(server->log, sizeof server->log, "%s/log", path);
    snprintf(server->dump, sizeof server->dump, "%s/dump.rdb", path);
    snprintf(server->url, sizeof server->url, "unix://%s", server->socket);
    return true;
}

/* The last two lines that the server wrote, for messages: a complaint about a setting has two. */
static void last_words(const struct hgi_private_server *server, char *out, size_t size)
{
    char line[200];
    char before[200] = "";
    snprintf(out, size, "it wrote nothing");
    FILE *log = fopen(server->log, "re");
    if (!log)
        return;
    while (fgets(line, sizeof line, log)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!line[0])
            continue;
        snprintf(out, size, "%s%s%s", before, before[0] ? ": " : "", line);
        memcpy(before, line, sizeof before);
    }
    fclose(log);
}

/* Has it ended? Then it is waited for, and pid becomes 0. */
static bool has_ended(struct hgi_private_server *server)
{
    if (server->pid == 0)
        return true;
    int status = 0;
    pid_t waited = waitpid(server->pid, &status, WNOHANG);
    if (waited != server->pid && !(waited < 0 && errno == ECHILD))
        return false;
    server->pid = 0;
    if (server->is_to_run) {
        server->lost = true;
        server->lost_status = status;
    }
    return true;
}

static bool ends_within(struct hgi_private_server *server, int64_t limit_ns)
{
    int64_t end_ns = monotonic_ns() + limit_ns;
    while (!has_ended(server)) {
        int64_t now_ns = monotonic_ns();
        if (now_ns >= end_ns)
            return false;
        sleep_until_ns(now_ns + NS_PER_MS);
    }
    return true;
}

static bool answers_ping(struct hgi_private_server *server)
{
    struct hgi_wire *wire = hgi_wire_open_unix(server->socket, PING_LIMIT_NS, NULL);
    if (!wire)
        return false;
    redisReply *reply = hgi_wire_command(wire, NULL, "PING");
    /* A password set on the command line is as good an answer; LOADING is none. */
    bool well =
        reply && (reply->type == REDIS_REPLY_STATUS ||
                  (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOAUTH", 6) == 0));
    freeReplyObject(reply);
    hgi_wire_close(wire);
    return well;
}

static bool wait_until_ready(struct hgi_private_server *server, struct hgi_problem *problem)
{
    char words[420];
    int64_t end_ns = monotonic_ns() + START_LIMIT_S * NS_PER_S;
    while (!answers_ping(server)) {
        if (has_ended(server)) {
            last_words(server, words, sizeof words);
            return hgi_problem_set(problem, "%s ended at once: %s", server->binary, words);
        }
        int64_t now_ns = monotonic_ns();
        if (now_ns >= end_ns) {
            hgi_private_server_kill(server);
            last_words(server, words, sizeof words);
            return hgi_problem_set(problem, "%s did not answer within %d s: %s", server->binary,
                                   START_LIMIT_S, words);
        }
        sleep_until_ns(now_ns + NS_PER_MS);
    }
    return true;
}

static bool launch(struct hgi_private_server *server, struct hgi_problem *problem)
{
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)server->port);
    char *argv[ARGUMENTS_MAX + 24] = { "redis-server",
                                       "--port",
                                       port,
                                       "--bind",
                                       "127.0.0.1",
                                       "--unixsocket",
                                       server->socket,
                                       "--dir",
                                       server->scratch.path,
                                       "--save",
                                       "",
                                       "--appendonly",
                                       "no",
                                       "--daemonize",
                                       "no",
                                       "--logfile",
                                       "",
                                       "--unixsocketperm",
                                       "700" };
    size_t count = 19;
    for (size_t i = 0; server->arguments[i]; i++)
        argv[count++] = server->arguments[i];
    argv[count] = NULL;
    unlink(server->log);
    unlink(server->dump); /* or it would not begin empty */
    pid_t child = hgi_spawner_run(server->spawner, server->binary, argv, server->log, problem);
    if (child < 0)
        return false;
    server->pid = child;
    server->is_to_run = false; /* until it is there */
    server->is_to_run = wait_until_ready(server, problem);
    return server->is_to_run;
}

/* Somebody may take the port between looking and listening: then look again. */
static bool launch_on_free_port(struct hgi_private_server *server, struct hgi_problem *problem)
{
    for (int i = 0; i < PORT_TRIES; i++) {
        server->port = free_port();
        if (server->port == 0)
            return hgi_problem_set(problem, "no free port on 127.0.0.1");
        snprintf(server->tcp_url, sizeof server->tcp_url, "redis://127.0.0.1:%u",
                 (unsigned)server->port);
        if (launch(server, problem))
            return true;
    }
    return false;
}

static bool copy_arguments(struct hgi_private_server *server, const char *const *arguments,
                           struct hgi_problem *problem)
{
    for (size_t i = 0; arguments && arguments[i]; i++) {
        if (i + 1 >= ARGUMENTS_MAX)
            return hgi_problem_set(problem, "too many arguments for redis-server");
        server->arguments[i] = strdup(arguments[i]);
        if (!server->arguments[i])
            return hgi_problem_set(problem, "out of memory");
    }
    return true;
}

bool hgi_private_server_start(struct hgi_private_server **out,
                              const struct hgi_private_server_options *options,
                              struct hgi_problem *problem)
{
    *out = NULL;
    struct hgi_private_server *server = calloc(1, sizeof *server);
    if (!server)
        return hgi_problem_set(problem, "out of memory");
    bool well = find_binary(server->binary, sizeof server->binary, problem) &&
                copy_arguments(server, options ? options->arguments : NULL, problem) &&
                make_directory(server, problem) &&
                (server->spawner = hgi_spawner_new(problem)) != NULL;
    if (well)
        well = options && options->tcp ? launch_on_free_port(server, problem)
                                       : launch(server, problem);
    if (!well) {
        hgi_private_server_free(server);
        return false;
    }
    *out = server;
    return true;
}

void hgi_private_server_free(struct hgi_private_server *server)
{
    if (!server)
        return;
    hgi_private_server_stop(server);
    hgi_spawner_free(server->spawner);
    hgi_scratch_remove(&server->scratch);
    for (size_t i = 0; server->arguments[i]; i++)
        free(server->arguments[i]);
    free(server);
}

const char *hgi_private_server_socket(const struct hgi_private_server *server)
{
    return server->socket;
}

const char *hgi_private_server_url(const struct hgi_private_server *server)
{
    return server->url;
}

const char *hgi_private_server_tcp_url(const struct hgi_private_server *server)
{
    return server->port ? server->tcp_url : NULL;
}

uint16_t hgi_private_server_port(const struct hgi_private_server *server)
{
    return server->port;
}

pid_t hgi_private_server_pid(const struct hgi_private_server *server)
{
    return server->pid;
}

bool hgi_private_server_lost(struct hgi_private_server *server, struct hgi_problem *problem)
{
    char how[48], words[200];
    has_ended(server);
    if (!server->lost)
        return false;
    if (WIFSIGNALED(server->lost_status))
        snprintf(how, sizeof how, "killed by signal %d", WTERMSIG(server->lost_status));
    else
        snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(server->lost_status));
    last_words(server, words, sizeof words);
    hgi_problem_set(problem,
                    "the tool's own redis-server ended in the middle of the run, and not by the "
                    "tool (%s): the results are not worth much; its last words: %s",
                    how, words);
    return true;
}

void hgi_private_server_stop(struct hgi_private_server *server)
{
    if (has_ended(server))
        return;
    server->is_to_run = false;
    kill(server->pid, SIGTERM);
    kill(server->pid, SIGCONT); /* a paused process takes the other signal only then */
    if (!ends_within(server, STOP_LIMIT_NS))
        hgi_private_server_kill(server);
}

void hgi_private_server_kill(struct hgi_private_server *server)
{
    if (has_ended(server))
        return;
    server->is_to_run = false;
    kill(server->pid, SIGKILL);
    while (server->pid != 0) { /* SIGKILL cannot be refused */
        pid_t waited = waitpid(server->pid, NULL, 0);
        if (waited == server->pid || errno == ECHILD)
            server->pid = 0;
    }
}

void hgi_private_server_pause(struct hgi_private_server *server)
{
    if (!has_ended(server))
        kill(server->pid, SIGSTOP);
}

void hgi_private_server_resume(struct hgi_private_server *server)
{
    if (!has_ended(server))
        kill(server->pid, SIGCONT);
}

bool hgi_private_server_restart(struct hgi_private_server *server, struct hgi_problem *problem)
{
    hgi_private_server_stop(server);
    return launch(server, problem);
}

redisReply *hgi_private_server_command(struct hgi_private_server *server,
                                       struct hgi_problem *problem, const char *format, ...)
{
    struct hgi_wire *wire = hgi_wire_open_unix(server->socket, COMMAND_LIMIT_NS, problem);
    if (!wire)
        return NULL;
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = hgi_wire_vcommand(wire, problem, format, arguments);
    va_end(arguments);
    hgi_wire_close(wire);
    return reply;
}

bool hgi_private_server_config(struct hgi_private_server *server, const char *name,
                               const char *value, struct hgi_problem *problem)
{
    redisReply *reply =
        hgi_private_server_command(server, problem, "CONFIG SET %s %s", name, value);
    if (!reply)
        return false;
    bool well = reply->type == REDIS_REPLY_STATUS ||
                hgi_problem_set(problem, "CONFIG SET %s: %s", name, reply->str);
    freeReplyObject(reply);
    return well;
}
