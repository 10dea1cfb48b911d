/* Does to the server what a schedule says; see saboteur.h.
 *
 * A script that does not end, and a load, are begun over a connection that does not wait for their reply:
 * it is closed, and the server goes on. Each fault is undone over what the server still takes then:
 * SCRIPT KILL while it is busy, a connection that stayed while no others are let in, no more delays while it
 * loads. Then it is waited for.
 */
#include "tools/stress/saboteur.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"

enum { FILLERS = 500 }; /* keys, so that there is something to load */

#define GLANCE_NS (20 * NS_PER_MS) /* for a command whose reply nobody waits for */
#define LIMIT_NS (10 * NS_PER_S)

static const char filler[] = "herdgate-stress-filler";

bool hgi_saboteur_server(struct hgi_private_server **out, struct hgi_problem *problem)
{
    /* Redis 7 allows DEBUG only if it is told so; those before do not know the word. */
    static const char *const words[] = { "--enable-debug-command", "local", NULL };
    const struct hgi_private_server_options options = { .arguments = words };
    return hgi_private_server_start(out, &options, NULL) ||
           hgi_private_server_start(out, NULL, problem);
}

void hgi_saboteur_plan(struct hgi_saboteur *saboteur, const struct hgi_server_faults *faults,
                       int64_t began_ns)
{
    saboteur->faults = faults;
    saboteur->began_ns = began_ns;
    saboteur->next = 0;
}

/* A command that must go well. */
static bool command(struct hgi_saboteur *s, struct hgi_problem *problem, const char *text)
{
    redisReply *reply = hgi_private_server_command(s->server, problem, text);
    bool well = reply && reply->type != REDIS_REPLY_ERROR;
    if (reply && !well)
        hgi_problem_set(problem, "the server's answer to %s: %s", text, reply->str);
    freeReplyObject(reply);
    return well;
}

/* A command that keeps the server busy. It may end at once, if it is refused. */
static bool command_and_go(struct hgi_saboteur *s, const char *text, struct hgi_problem *problem)
{
    struct hgi_wire *wire =
        hgi_wire_open_unix(hgi_private_server_socket(s->server), GLANCE_NS, problem);
    if (!wire)
        return false;
    redisReply *reply = hgi_wire_command(wire, NULL, text);
    bool well = !reply || reply->type != REDIS_REPLY_ERROR ||
                hgi_problem_set(problem, "the server's answer to %s: %s", text, reply->str);
    freeReplyObject(reply);
    hgi_wire_close(wire);
    return well;
}

static bool begin_maxclients(struct hgi_saboteur *s, struct hgi_problem *problem)
{
    s->wire = hgi_wire_open_unix(hgi_private_server_socket(s->server), LIMIT_NS, problem);
    if (!s->wire)
        return false;
    redisReply *limit = hgi_wire_command(s->wire, problem, "CONFIG SET maxclients 1");
    redisReply *killed =
        limit ? hgi_wire_command(s->wire, problem, "CLIENT KILL TYPE normal SKIPME yes") : NULL;
    bool well =
        limit && killed && limit->type != REDIS_REPLY_ERROR && killed->type != REDIS_REPLY_ERROR;
    if (limit && killed && !well)
        hgi_problem_set(problem, "the server does not take CONFIG SET maxclients: %s",
                        limit->type == REDIS_REPLY_ERROR ? limit->str : killed->str);
    freeReplyObject(limit);
    freeReplyObject(killed);
    return well;
}

static bool begin_loading(struct hgi_saboteur *s, int64_t length_ns, struct hgi_problem *problem)
{
    char text[96];
    redisReply *size = NULL;
    snprintf(text, sizeof text, "DEBUG POPULATE %d %s 64", FILLERS, filler);
    bool well = command(s, problem, text);
    if (well)
        size = hgi_private_server_command(s->server, problem, "DBSIZE");
    well = well && size && size->type == REDIS_REPLY_INTEGER;
    long long keys = well && size->integer > 0 ? size->integer : 1;
    freeReplyObject(size);
    snprintf(text, sizeof text, "CONFIG SET key-load-delay %lld", length_ns / NS_PER_US / keys);
    return well && command(s, problem, "CONFIG SET loading-process-events-interval-bytes 1024") &&
           command(s, problem, text) && command_and_go(s, "DEBUG RELOAD", problem);
}

static bool begin(struct hgi_saboteur *s, const struct hgi_server_fault *fault,
                  struct hgi_problem *problem)
{
    s->struck[fault->kind]++;
    switch (fault->kind) {
    case HGI_SERVER_KILL:
        hgi_private_server_kill(s->server);
        /* [S2] release: counted when no server is left that could still acknowledge, and before there is
         * one that misses what was; pairs with [S2] in notice_losses(). */
        atomic_fetch_add_explicit(s->losses, 1, memory_order_release);
        return true;
    case HGI_SERVER_STOP:
        hgi_private_server_pause(s->server);
        return true;
    case HGI_SERVER_MAXCLIENTS:
        return begin_maxclients(s, problem);
    case HGI_SERVER_BUSY:
        return command(s, problem, "CONFIG SET lua-time-limit 10") &&
               command_and_go(s, "EVAL while(true)do\tend 0", problem);
    case HGI_SERVER_LOADING:
        return begin_loading(s, fault->until_ns - fault->from_ns, problem);
    case HGI_SERVER_OOM:
        return command(s, problem, "CONFIG SET maxmemory 1");
    default:
        return command(s, problem, "REPLICAOF 127.0.0.1 1"); /* where nobody listens */
    }
}

/* Ask until the answer is not that error. */
static bool wait_while(struct hgi_saboteur *s, const char *code, struct hgi_problem *problem)
{
    int64_t end_ns = monotonic_ns() + LIMIT_NS;
    bool waits = true;
    while (waits && monotonic_ns() < end_ns) {
        redisReply *reply = hgi_private_server_command(s->server, problem, "PING");
        waits = reply && reply->type == REDIS_REPLY_ERROR &&
                strncmp(reply->str, code, strlen(code)) == 0;
        freeReplyObject(reply);
        if (waits)
            sleep_until_ns(monotonic_ns() + 2 * NS_PER_MS);
    }
    return !waits || hgi_problem_set(problem, "the server does not leave the state %s", code);
}

static bool end_maxclients(struct hgi_saboteur *s, struct hgi_problem *problem)
{
    redisReply *reply = hgi_wire_command(s->wire, problem, "CONFIG SET maxclients 10000");
    bool well = reply && reply->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    hgi_wire_close(s->wire);
    s->wire = NULL;
    return well;
}

static bool end_busy(struct hgi_saboteur *s, struct hgi_problem *problem)
{
    /* It may not have begun, or be over: an error then, which says so. */
    freeReplyObject(hgi_private_server_command(s->server, problem, "SCRIPT KILL"));
    return wait_while(s, "BUSY", problem);
}

/* On a busy machine the load can have taken much longer than its delays: the rest goes at once. */
static bool end_loading(struct hgi_saboteur *s, struct hgi_problem *problem)
{
    /* A server that loads takes it; if one does not, it takes it afterwards. */
    freeReplyObject(hgi_private_server_command(s->server, problem, "CONFIG SET key-load-delay 0"));
    return wait_while(s, "LOADING", problem) && command(s, problem, "CONFIG SET key-load-delay 0");
}

static bool end(struct hgi_saboteur *s, enum hgi_server_fault_kind kind,
                struct hgi_problem *problem)
{
    switch (kind) {
    case HGI_SERVER_KILL:
        return hgi_private_server_restart(s->server, problem);
    case HGI_SERVER_STOP:
        hgi_private_server_resume(s->server);
        return true;
    case HGI_SERVER_MAXCLIENTS:
        return end_maxclients(s, problem);
    case HGI_SERVER_BUSY:
        return end_busy(s, problem);
    case HGI_SERVER_LOADING:
        return end_loading(s, problem);
    case HGI_SERVER_OOM:
        return command(s, problem, "CONFIG SET maxmemory 0");
    default:
        return command(s, problem, "REPLICAOF NO ONE");
    }
}

bool hgi_saboteur_end(struct hgi_saboteur *s, struct hgi_problem *problem)
{
    if (!s->on)
        return true;
    s->on = false;
    return end(s, s->faults->fault[s->next++].kind, problem);
}

bool hgi_saboteur_work(struct hgi_saboteur *s, int64_t now_ns, struct hgi_problem *problem)
{
    if (!s->faults || s->next >= s->faults->count)
        return true;
    const struct hgi_server_fault *fault = &s->faults->fault[s->next];
    int64_t since_ns = now_ns - s->began_ns;
    if (s->on && since_ns >= fault->until_ns)
        return hgi_saboteur_end(s, problem);
    if (!s->on && since_ns >= fault->from_ns) {
        s->on = true;
        return begin(s, fault, problem);
    }
    return true;
}

uint32_t hgi_saboteur_connections(const struct hgi_saboteur *s)
{
    return s->wire ? 1 : 0;
}
