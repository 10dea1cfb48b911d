/* The set-up of a connection: all its commands in one pipeline, one round trip.
 *
 * HELLO (for RESP3) or AUTH, SELECT, the client's name, who made the library (CLIENT SETINFO, until a
 * server says that it does not know it), and the user's own commands; then CLIENT ID, for the fence (fence.c),
 * and a CLIENT KILL that meets nobody, to learn whether others may be killed here. Something is always
 * asked, so that a server that only accepts connections (its process stopped, its limit of clients
 * reached) is not taken for one that answers; behind a proxy it is PING. A new socket is read once
 * before its first write, because a server that refuses a client says so unasked and closes: on a unix
 * socket the text is lost after a failed write.
 *
 * A server that is busy answers so to what it would else answer: then nothing is learnt, and the set-up is
 * made again (mend.c) when a command has shown that it is well, or by the keeper.
 *
 * Invariants: a connection whose HELLO, AUTH, SELECT or own command was not answered with a yes is never
 * used; one without a name or a number is.
 */
#include "pool/setup.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/version.h>

#include "breaker/error.h"
#include "pool/fence.h"

/* What a command of the pipeline is for, and so what its refusal means. */
enum step {
    STEP_RESET,  /* refused: the server does not know it */
    STEP_MUST,   /* refused: the connection is of no use */
    STEP_OWN,    /* the user's; the same */
    STEP_INFO,   /* a wish; refused: not again */
    STEP_WISH,   /* may be forbidden by an ACL, or not known */
    STEP_NUMBER, /* a wish; the answer is our number */
    STEP_FENCE   /* a wish; the answer says whether others can be killed */
};

enum { STEPS_MAX = 16, WORDS_MAX = 512 };

static_assert(HGI_SETUP_MAX + 8 <= STEPS_MAX, "all commands of a set-up");

struct pipeline {
    struct hgi_conn *conn;
    _Atomic bool *no_info;
    enum step steps[STEPS_MAX];
    uint32_t count;
    bool out_of_memory;
    bool no_reset;
};

bool hgi_dial_fail(struct hgi_dial_failure *failure, int sys_errno, const char *what)
{
    failure->fault->kind = HGI_FAULT_DIAL;
    failure->fault->sys_errno = sys_errno;
    if (sys_errno)
        snprintf(failure->text, failure->text_size, "%s: %s", what, strerrordesc_np(sys_errno));
    else
        snprintf(failure->text, failure->text_size, "%s", what);
    return false;
}

bool hgi_dial_fail_memory(struct hgi_dial_failure *failure)
{
    hgi_dial_fail(failure, 0, "out of memory");
    failure->fault->kind = HGI_FAULT_MEMORY;
    return false;
}

hg_status hgi_setup_is_possible(const struct hgi_endpoint *endpoint,
                                const struct hgi_settings *settings, struct hg_error *err)
{
    if (endpoint->tls && !hgi_tls_is_built())
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "rediss:// needs TLS, and this herdgate was built without it; install hiredis 1.x with "
            "hiredis_ssl and OpenSSL (Debian 13: libhiredis-dev, libssl-dev) and build again");
    if (settings->resp == 3 && !hgi_replies_know_resp3())
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "server.resp is 3, and this herdgate was built with hiredis 0.14, which "
            "cannot read RESP3; leave it at 2, or build with hiredis 1.x");
    return HG_OK;
}

/* --- the pipeline --- */

static void append(struct pipeline *pipeline, enum step step, int argc, const char **argv)
{
    char *bytes = NULL;
    long long length = redisFormatCommandArgv(&bytes, argc, argv, NULL);
    if (length < 0 || !hgi_conn_append(pipeline->conn, bytes, (size_t)length))
        pipeline->out_of_memory = true;
    else
        pipeline->steps[pipeline->count++] = step;
    if (length >= 0) {
        explicit_bzero(bytes, (size_t)length); /* it may hold the password */
        redisFreeCommand(bytes);
    }
}

/* HELLO or AUTH. */
static void append_login(struct pipeline *pipeline, const struct hgi_setup *setup)
{
    const struct hgi_endpoint *endpoint = setup->endpoint;
    const char *user = endpoint->username[0] ? endpoint->username : "default";
    const char *hello[] = { "HELLO", "3", "AUTH", user, endpoint->password };
    const char *auth[] = { "AUTH", endpoint->username, endpoint->password };
    const char *auth_default[] = { "AUTH", endpoint->password };
    bool knows_us = endpoint->username[0] || endpoint->password[0];
    if (setup->settings->resp == 3)
        append(pipeline, STEP_MUST, knows_us ? 5 : 2, hello);
    else if (endpoint->username[0])
        append(pipeline, STEP_MUST, 3, auth);
    else if (knows_us)
        append(pipeline, STEP_MUST, 2, auth_default);
}

static void append_own(struct pipeline *pipeline, const struct hgi_settings *settings)
{
    const char *at = settings->setup;
    for (uint32_t i = 0; i < settings->setup_count; i++) {
        const char *words[WORDS_MAX];
        int count = 0;
        for (; *at; at += strlen(at) + 1)
            words[count++] = at;
        at++;
        append(pipeline, STEP_OWN, count, words);
    }
}

static void append_all(struct pipeline *pipeline, const struct hgi_setup *setup, bool again)
{
    const struct hgi_endpoint *endpoint = setup->endpoint;
    const struct hgi_settings *settings = setup->settings;
    char database[16];
    snprintf(database, sizeof database, "%u", (unsigned)endpoint->database);
    const char *select[] = { "SELECT", database };
    const char *name[] = { "CLIENT", "SETNAME", settings->client_name };
    const char *library[] = { "CLIENT", "SETINFO", "LIB-NAME", "herdgate" };
    const char *version[] = { "CLIENT", "SETINFO", "LIB-VER", HG_VERSION };
    const char *id[] = { "CLIENT", "ID" };
    const char *probe[] = { "CLIENT", "KILL", "ID", HGI_FENCE_PROBE };
    const char *ping[] = { "PING" };
    const char *reset[] = { "RESET" };
    if (again)
        append(pipeline, STEP_RESET, 1, reset);
    append_login(pipeline, setup);
    if (endpoint->database != 0)
        append(pipeline, STEP_MUST, 2, select);
    if (settings->client_name[0])
        append(pipeline, STEP_WISH, 3, name);
    /* relaxed: that the server does not know it may be learnt twice. */
    if (!settings->proxy && !atomic_load_explicit(pipeline->no_info, memory_order_relaxed)) {
        append(pipeline, STEP_INFO, 4, library);
        append(pipeline, STEP_INFO, 4, version);
    }
    append_own(pipeline, settings);
    if (settings->proxy) {
        append(pipeline, STEP_WISH, 1, ping);
    } else {
        append(pipeline, STEP_NUMBER, 2, id);
        append(pipeline, STEP_FENCE, 4, probe);
    }
}

/* --- the answers --- */

/* The server said no: keep its words as far as they may be shown. */
static bool refused(struct hgi_dial_failure *failure, const redisReply *reply, bool own)
{
    char shown[96];
    hgi_server_error_text(reply->str, reply->len, shown, sizeof shown);
    failure->fault->kind = HGI_FAULT_REPLY;
    failure->fault->sys_errno = 0;
    snprintf(failure->text, failure->text_size, "%s%s", shown,
             own ? " (to a command of server.setup)" : "");
    failure->fault->text = failure->text;
    failure->fault->text_length = strlen(failure->text);
    return false;
}

/* Does the refusal of a wish mean that the whole client is refused? LOADING, BUSY and their like do
 * not: the commands to come will meet them and are judged by them. */
static bool refuses_client(const redisReply *reply)
{
    static const char *const codes[] = { "NOAUTH", "WRONGPASS", "DENIED" };
    char code[HGI_NAME_SIZE];
    hgi_server_error_code(reply->str, reply->len, code);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return strncmp(reply->str, "ERR max number of clients", 25) == 0;
}

static bool take_answer(struct pipeline *pipeline, enum step step, const redisReply *reply,
                        struct hgi_dial_failure *failure)
{
    struct hgi_conn *conn = pipeline->conn;
    if (step == STEP_RESET) {
        pipeline->no_reset = hgi_reply_forbids(reply);
        return (reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "RESET") == 0) ||
               hgi_dial_fail(failure, 0, "the server did not answer RESET as it should");
    }
    if (step == STEP_INFO && hgi_reply_forbids(reply))
        atomic_store_explicit(pipeline->no_info, true, memory_order_relaxed); /* as above */
    if (reply->type == REDIS_REPLY_ERROR) {
        if (step == STEP_MUST || step == STEP_OWN || refuses_client(reply))
            return refused(failure, reply, step == STEP_OWN);
        if ((step == STEP_NUMBER || step == STEP_FENCE) && !hgi_reply_forbids(reply))
            conn->unsettled = true;
        return true;
    }
    if (step == STEP_NUMBER && reply->type == REDIS_REPLY_INTEGER)
        conn->client_id = reply->integer;
    if (step == STEP_FENCE)
        conn->can_fence = reply->type == REDIS_REPLY_INTEGER && conn->client_id > 0;
    return true;
}

static bool io_failed(struct hgi_dial_failure *failure, const struct hgi_io *io)
{
    switch (io->kind) {
    case HGI_IO_TIMEOUT:
        return hgi_dial_fail(failure, 0, "connected, but the server did not answer in time");
    case HGI_IO_CLOSED:
        return hgi_dial_fail(failure, 0, "connected, but the server closed at once");
    case HGI_IO_LIMIT:
    case HGI_IO_PROTOCOL:
        hgi_dial_fail(failure, 0, "what answers there does not speak the Redis protocol");
        failure->fault->kind = HGI_FAULT_PROTOCOL;
        return false;
    case HGI_IO_MEMORY:
        return hgi_dial_fail_memory(failure);
    case HGI_IO_ERROR:
    case HGI_IO_OK:
    default:
        return hgi_dial_fail(failure, io->sys_errno, "connected, but set-up failed");
    }
}

/* A failed exchange, unless the server left a word about it. */
static bool exchange_failed(struct hgi_dial_failure *failure, struct hgi_conn *conn,
                            const struct hgi_io *io)
{
    redisReply *words = io->kind == HGI_IO_ERROR ? hgi_conn_last_words(conn) : NULL;
    if (words && words->type == REDIS_REPLY_ERROR)
        refused(failure, words, false);
    else
        io_failed(failure, io);
    freeReplyObject(words);
    return false;
}

/* A server may refuse a client before it was asked anything. */
static bool is_silent(struct hgi_conn *conn, struct hgi_dial_failure *failure)
{
    redisReply *words = hgi_conn_last_words(conn);
    if (!words && conn->broken) {
        const struct hgi_io io = { .kind = HGI_IO_PROTOCOL };
        return io_failed(failure, &io);
    }
    if (!words)
        return true;
    if (words->type == REDIS_REPLY_ERROR)
        refused(failure, words, false);
    else
        hgi_dial_fail(failure, 0, "the server spoke before it was asked");
    freeReplyObject(words);
    return false;
}

/* Send the pipeline and take its answers. */
static bool run(struct pipeline *pipeline, int64_t deadline_ns, struct hgi_dial_failure *failure)
{
    struct hgi_conn *conn = pipeline->conn;
    struct hgi_span span = { .end_ns = deadline_ns };
    struct hgi_io io = { .kind = HGI_IO_MEMORY };
    if (!pipeline->out_of_memory)
        io = hgi_conn_send(conn, conn->out, conn->out_length, &span);
    if (conn->out)
        explicit_bzero(conn->out, conn->out_length); /* passwords */
    free(conn->out); /* most connections never have a pipeline again */
    conn->out = NULL;
    conn->out_length = conn->out_size = 0;
    if (io.kind != HGI_IO_OK)
        return exchange_failed(failure, conn, &io);
    for (uint32_t i = 0; i < pipeline->count; i++) {
        redisReply *reply;
        io = hgi_conn_receive(conn, &reply, &span);
        if (io.kind != HGI_IO_OK)
            return exchange_failed(failure, conn, &io);
        bool well = take_answer(pipeline, pipeline->steps[i], reply, failure);
        freeReplyObject(reply);
        if (!well)
            return false;
    }
    return true;
}

bool hgi_set_up(struct hgi_conn *conn, const struct hgi_setup *setup,
                struct hgi_dial_failure *failure)
{
    struct pipeline pipeline = { .conn = conn, .no_info = setup->no_info };
    if (!is_silent(conn, failure))
        return false;
    append_all(&pipeline, setup, false);
    return run(&pipeline, setup->deadline_ns, failure);
}

bool hgi_set_up_again(struct hgi_conn *conn, const struct hgi_setup *setup,
                      struct hgi_dial_failure *failure, bool *knows_reset)
{
    struct pipeline pipeline = { .conn = conn, .no_info = setup->no_info };
    conn->can_fence = conn->unsettled = false; /* it is asked again */
    append_all(&pipeline, setup, true);
    bool well = run(&pipeline, setup->deadline_ns, failure);
    *knows_reset = !pipeline.no_reset;
    if (well)
        conn->multi = conn->watching = conn->altered = false;
    return well;
}
