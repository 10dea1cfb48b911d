/* The private server: what tools and tests of every room rely on. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/check.h"
#include "tools/common/private_server.h"
#include "tools/common/timing.h"
#include "tools/common/wire.h"

static struct hgi_private_server *started(const struct hgi_private_server_options *options)
{
    struct hgi_private_server *server;
    struct hgi_problem problem;
    if (!hgi_private_server_start(&server, options, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        exit(1);
    }
    return server;
}

static bool answers(struct hgi_private_server *server)
{
    redisReply *reply = hgi_private_server_command(server, NULL, "PING");
    bool well = reply && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0;
    freeReplyObject(reply);
    return well;
}

/* The process with that id is gone, or only waits for its own parent. Within 20 s. */
static bool dies(pid_t pid)
{
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    for (int64_t end_ns = monotonic_ns() + 20 * NS_PER_S; monotonic_ns() < end_ns;) {
        FILE *file = fopen(path, "r");
        if (!file)
            return true;
        bool zombie = fgets(line, sizeof line, file) && strstr(line, ") Z ");
        fclose(file);
        if (zombie)
            return true;
        sleep_until_ns(monotonic_ns() + 5 * NS_PER_MS);
    }
    return false;
}

static long long keys(struct hgi_private_server *server)
{
    redisReply *reply = hgi_private_server_command(server, NULL, "DBSIZE");
    CHECK(reply && reply->type == REDIS_REPLY_INTEGER);
    long long count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static void a_restarted_one_is_empty_also_if_it_had_saved(void)
{
    struct hgi_problem problem;
    struct hgi_private_server *server = started(NULL);
    freeReplyObject(hgi_private_server_command(server, NULL, "SET a b"));
    freeReplyObject(hgi_private_server_command(server, NULL, "SAVE"));
    CHECK(keys(server) == 1);
    hgi_private_server_kill(server);
    CHECK(hgi_private_server_restart(server, &problem));
    CHECK(keys(server) == 0);
    hgi_private_server_free(server);
}

static void it_answers_and_leaves_nothing_behind(void)
{
    char socket[128];
    struct stat status;
    struct hgi_private_server *server = started(NULL);
    snprintf(socket, sizeof socket, "%s", hgi_private_server_socket(server));
    CHECK(answers(server));
    CHECK(stat(socket, &status) == 0);
    CHECK(hgi_private_server_port(server) == 0 && !hgi_private_server_tcp_url(server));
    CHECK(strncmp(hgi_private_server_url(server), "unix:///", 8) == 0);
    pid_t pid = hgi_private_server_pid(server);
    CHECK(pid > 0);
    hgi_private_server_free(server);
    CHECK(stat(socket, &status) != 0);
    *strrchr(socket, '/') = '\0';
    CHECK(stat(socket, &status) != 0);
    CHECK(kill(pid, 0) != 0);
    hgi_private_server_free(NULL);
}

static void killed_it_is_gone_and_restarted_it_is_back_empty_on_the_same_socket(void)
{
    struct hgi_private_server *server = started(NULL);
    char socket[128];
    snprintf(socket, sizeof socket, "%s", hgi_private_server_socket(server));
    freeReplyObject(hgi_private_server_command(server, NULL, "SET k v"));
    for (int i = 0; i < 3; i++) {
        struct hgi_problem problem = { .text = "" };
        hgi_private_server_kill(server);
        CHECK(hgi_private_server_pid(server) == 0);
        CHECK(!hgi_private_server_command(server, &problem, "PING"));
        CHECK(strstr(problem.text, socket));
        CHECK(hgi_private_server_restart(server, &problem));
        CHECK(strcmp(socket, hgi_private_server_socket(server)) == 0);
        CHECK(answers(server));
    }
    redisReply *reply = hgi_private_server_command(server, NULL, "DBSIZE");
    CHECK(reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 0);
    freeReplyObject(reply);
    hgi_private_server_stop(server);
    hgi_private_server_stop(server);
    hgi_private_server_kill(server);
    CHECK(hgi_private_server_restart(server, NULL));
    CHECK(answers(server));
    hgi_private_server_free(server);
}

static void paused_it_accepts_but_is_silent_and_resumed_it_answers(void)
{
    struct hgi_private_server *server = started(NULL);
    hgi_private_server_pause(server);
    struct hgi_wire *wire =
        hgi_wire_open_unix(hgi_private_server_socket(server), 100 * NS_PER_MS, NULL);
    CHECK(wire);
    CHECK(!hgi_wire_command(wire, NULL, "PING"));
    hgi_wire_close(wire);
    hgi_private_server_resume(server);
    CHECK(answers(server));
    hgi_private_server_pause(server);
    hgi_private_server_stop(server);
    CHECK(hgi_private_server_pid(server) == 0);
    hgi_private_server_free(server);
}

static void it_listens_on_a_loopback_port_if_asked_and_keeps_it(void)
{
    struct hgi_private_server_options options = { .tcp = true };
    struct hgi_private_server *server = started(&options);
    for (int i = 0; i < 2; i++) {
        struct hgi_wire *wire =
            hgi_wire_open_tcp("127.0.0.1", hgi_private_server_port(server), NS_PER_S, NULL);
        CHECK(wire);
        redisReply *reply = hgi_wire_command(wire, NULL, "PING");
        CHECK(reply && reply->type == REDIS_REPLY_STATUS);
        freeReplyObject(reply);
        hgi_wire_close(wire);
        CHECK(hgi_private_server_restart(server, NULL));
    }
    hgi_private_server_free(server);
}

static void settings_come_by_argument_and_by_config(void)
{
    static const char *const arguments[] = { "--maxclients", "77", NULL };
    struct hgi_private_server_options options = { .arguments = arguments };
    struct hgi_private_server *server = started(&options);
    struct hgi_problem problem = { .text = "" };
    CHECK(hgi_private_server_config(server, "maxmemory-policy", "allkeys-lru", &problem));
    CHECK(!hgi_private_server_config(server, "no-such-setting", "1", &problem));
    CHECK(strstr(problem.text, "no-such-setting"));
    redisReply *reply = hgi_private_server_command(server, NULL, "CONFIG GET maxclients");
    CHECK(reply && reply->elements == 2 && strcmp(reply->element[1]->str, "77") == 0);
    freeReplyObject(reply);
    hgi_private_server_free(server);
}

static void a_server_that_cannot_start_says_why(void)
{
    static const char *const arguments[] = { "--no-such-option", "1", NULL };
    struct hgi_private_server_options options = { .arguments = arguments };
    struct hgi_private_server *server;
    struct hgi_problem problem = { .text = "" };
    CHECK(!hgi_private_server_start(&server, &options, &problem));
    CHECK(!server && strstr(problem.text, "ended at once") &&
          strstr(problem.text, "no-such-option"));

    setenv("HERDGATE_REDIS_SERVER", "/nonexistent/redis-server", 1);
    CHECK(!hgi_private_server_start(&server, NULL, &problem));
    CHECK(strstr(problem.text, "HERDGATE_REDIS_SERVER=/nonexistent/redis-server"));
    unsetenv("HERDGATE_REDIS_SERVER");

    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    CHECK(!hgi_private_server_start(&server, NULL, &problem));
    CHECK(strstr(problem.text, "install") && strstr(problem.text, "redis-tools"));
    setenv("PATH", path, 1);
    free(path);
}

static void *start_in_thread(void *arg)
{
    *(struct hgi_private_server **)arg = started(NULL);
    return NULL;
}

static void it_outlives_the_thread_that_started_it(void)
{
    struct hgi_private_server *server = NULL;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, start_in_thread, &server) == 0);
    pthread_join(thread, NULL);
    /* A death signal would be there before the join returns or never. */
    CHECK(answers(server));
    CHECK(hgi_private_server_restart(server, NULL));
    CHECK(answers(server));
    hgi_private_server_free(server);
}

static void that_it_was_killed_by_somebody_else_is_told(void)
{
    struct hgi_problem problem = { .text = "" };
    struct hgi_private_server *server = started(NULL);
    CHECK(!hgi_private_server_lost(server, &problem));
    hgi_private_server_kill(server);
    CHECK(!hgi_private_server_lost(server, &problem));
    CHECK(hgi_private_server_restart(server, &problem));
    hgi_private_server_stop(server);
    CHECK(!hgi_private_server_lost(server, &problem) && !problem.text[0]);
    CHECK(hgi_private_server_restart(server, &problem));
    kill(hgi_private_server_pid(server), SIGKILL);
    while (!hgi_private_server_lost(server, &problem))
        sleep_until_ns(monotonic_ns() + NS_PER_MS);
    CHECK(strstr(problem.text, "killed by signal 9") && strstr(problem.text, "last words"));
    /* Also after it was started again: what was measured before is not worth much. */
    CHECK(hgi_private_server_restart(server, &problem));
    CHECK(hgi_private_server_lost(server, &problem));
    hgi_private_server_free(server);
}

static void it_dies_with_its_process(void)
{
    int ends[2];
    struct {
        pid_t pid;
        char socket[128];
    } told;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct hgi_private_server *server = started(NULL);
        told.pid = hgi_private_server_pid(server);
        snprintf(told.socket, sizeof told.socket, "%s", hgi_private_server_socket(server));
        _exit(write(ends[1], &told, sizeof told) == (ssize_t)sizeof told ? 0 : 1);
    }
    CHECK(read(ends[0], &told, sizeof told) == (ssize_t)sizeof told);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(dies(told.pid));
    close(ends[0]);
    close(ends[1]);
    /* What it has left behind goes with the next one's start. */
    struct stat status;
    struct hgi_private_server *next = started(NULL);
    *strrchr(told.socket, '/') = '\0';
    CHECK(stat(told.socket, &status) != 0 && errno == ENOENT);
    CHECK(answers(next));
    hgi_private_server_free(next);
}

int main(void)
{
    RUN(it_dies_with_its_process); /* first: it forks, before any thread was started */
    RUN(a_restarted_one_is_empty_also_if_it_had_saved);
    RUN(it_answers_and_leaves_nothing_behind);
    RUN(killed_it_is_gone_and_restarted_it_is_back_empty_on_the_same_socket);
    RUN(paused_it_accepts_but_is_silent_and_resumed_it_answers);
    RUN(it_listens_on_a_loopback_port_if_asked_and_keeps_it);
    RUN(settings_come_by_argument_and_by_config);
    RUN(a_server_that_cannot_start_says_why);
    RUN(that_it_was_killed_by_somebody_else_is_told);
    RUN(it_outlives_the_thread_that_started_it);
    return 0;
}
