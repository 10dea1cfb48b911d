/* A caller's deadline of 50 ms holds whatever keeps the server from answering: names that are not looked
 * up, connections that are not accepted, a stopped server, bytes that drip. Each of these would keep a
 * careless caller for many seconds, and every time: so one call in time out of a few is enough, and a
 * machine that holds a thread up for two seconds now and then does no harm. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "tests/pool/hostile.h"
#include "tests/pool/support.h"
#include "tools/common/unreachable.h"

TestSuite(deadline, .timeout = 240);

enum { TRIES = 5, CANNOT = 77 };

static hg_pool *open_at(const char *url, const char *connect_timeout)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"server\": {\"proxy\": true}, \"breaker\": {\"enabled\": false},"
             " \"pool\": {\"max_size\": 1, \"connect_timeout\": \"%s\"}}",
             connect_timeout);
    return open_pool(url, json);
}

/* The server is stopped while the pool has a connection to it. */
static void stop_anew(struct hgi_private_server *server, hg_pool *pool)
{
    hgi_private_server_resume(server);
    while (hg_command(pool, NULL, NULL, "SET key value") != HG_OK)
        continue;
    hgi_private_server_pause(server);
}

/* Calls until one has ended at its deadline, which is well before 2 s. `server`: stopped before each of
 * them, or NULL. */
static bool ends_in_time(hg_pool *pool, struct hgi_private_server *server)
{
    const char *words[] = { "GET", "key" };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.deadline_ns = 50 * HGI_NS_PER_MS;
    for (int i = 0; i < TRIES; i++) {
        struct hg_error err = HG_ERROR_INIT;
        if (server)
            stop_anew(server, pool);
        const int64_t began_ns = hgi_now_ns();
        hg_status status = hg_command_argv(pool, &options, NULL, &err, 2, words, NULL);
        const int64_t took_ns = hgi_now_ns() - began_ns;
        if (status < 0 && took_ns >= options.deadline_ns && took_ns < 2 * HGI_NS_PER_S)
            return true;
        fprintf(stderr, "%s after %.1f ms: %s\n", hg_status_name(status), (double)took_ns / 1e6,
                err.message);
    }
    return false;
}

Test(deadline, holds_while_the_name_server_is_silent)
{
    struct hgi_problem problem;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        if (!hgi_names_silence(&problem)) {
            fprintf(stderr, "skipped: %s\n", problem.text);
            _exit(CANNOT);
        }
        _exit(ends_in_time(open_at(HGI_SILENT_URL, "100s"), NULL) ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT)
        cr_skip_test("no namespaces may be made here");
    cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(deadline, holds_while_connections_wait_to_be_accepted)
{
    struct hgi_full_line line;
    struct hgi_problem problem = { .text = "" };
    cr_assert(hgi_full_line_open(&line, &problem), "%s", problem.text);
    hg_pool *pool = open_at(line.url, "3s"); /* closing waits for the dial */
    cr_expect(ends_in_time(pool, NULL));
    close_pool(pool);
    hgi_full_line_close(&line);
}

Test(deadline, holds_while_the_server_is_stopped)
{
    struct hgi_private_server *server = start_server();
    hg_pool *pool = open_at(hgi_private_server_url(server), "20s");
    cr_expect(ends_in_time(pool, server));
    hgi_private_server_resume(server);
    close_pool(pool);
    hgi_private_server_free(server);
}

static void drip(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_hear(fd, "key\r\n");
    for (bool there = hostile_say(fd, "$100000\r\n"); there; there = hostile_say(fd, "x"))
        sleep_ms(5);
}

Test(deadline, holds_while_bytes_drip)
{
    struct hostile *server = hostile_start(drip);
    hg_pool *pool = open_at(hostile_url(server), "20s");
    cr_expect(ends_in_time(pool, NULL));
    close_pool(pool);
    hostile_stop(server);
}
