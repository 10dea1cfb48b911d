/* TLS, where the build has it, on a real server.
 * Where it has not, rediss:// is refused with what to install. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "pool/tls.h"
#include "tests/pool/hostile.h"
#include "tests/pool/tls_server.h"

static const char *folder;
static struct hgi_private_server *server;
static unsigned tls_port;
static hg_pool *pool;

static void make_folder(void)
{
    const char *why;
    folder = tls_folder_make(&why);
    if (!folder)
        cr_skip_test("%s", why);
}

static void start(const char *who, const char *clients)
{
    const char *why;
    make_folder();
    server = tls_server_start(who, clients, &tls_port, &why);
    if (!server) {
        tls_folder_remove();
        cr_skip_test("%s", why);
    }
}

static void tear_down(void)
{
    close_pool(pool);
    hgi_private_server_free(server);
    tls_folder_remove();
}

TestSuite(tls, .fini = tear_down, .timeout = 120);

static void open_to(unsigned port, const char *tls_keys, const char *more)
{
    char json[1024], url[64];
    snprintf(url, sizeof url, "rediss://127.0.0.1:%u", port);
    snprintf(
        json, sizeof json,
        "{\"server\": {\"tls\": {%s}}, \"breaker\": {\"enabled\": false}, \"classes\":"
        " {\"read\": {\"retry\": \"none\", \"attempt_timeout\": \"10s\", \"deadline\": \"30s\"}}"
        "%s}",
        tls_keys, more);
    pool = open_pool(url, json);
}

static const char *ca_of(char keys[static 256], const char *more)
{
    snprintf(keys, 256, "\"ca_file\": \"%s/ca.pem\"%s", folder, more);
    return keys;
}

static hg_status get(struct hg_error *err)
{
    return hg_command(pool, NULL, err, "GET k");
}

static void works(const char *tls_keys)
{
    struct hg_error err = HG_ERROR_INIT;
    open_to(tls_port, tls_keys, "");
    cr_assert_eq(get(&err), HG_OK, "%s", err.message);
    close_pool(pool);
    pool = NULL;
}

static void is_refused(unsigned port, const char *tls_keys, const char *why)
{
    struct hg_error err = HG_ERROR_INIT;
    /* Shorter than the call's deadline: a server that says nothing fails the dial, and not the call. */
    open_to(port, tls_keys, ", \"pool\": {\"connect_timeout\": \"5s\"}");
    cr_assert_eq(get(&err), HG_ERR_CONNECTION, "%s", err.message);
    cr_assert_not_null(strstr(err.message, why), "%s", err.message);
    cr_assert_eq(err.outcome, HG_OUTCOME_NOT_SENT);
    close_pool(pool);
    pool = NULL;
}

/* --- who answers --- */

Test(tls, the_server_is_known_by_its_name_and_its_address)
{
    char keys[256];
    start("here", "no");
    works(ca_of(keys, ""));
    works(ca_of(keys, ", \"server_name\": \"here.example\""));
}

Test(tls, a_certificate_for_another_name_is_refused)
{
    char keys[256];
    start("elsewhere", "no");
    is_refused(tls_port, ca_of(keys, ""), "mismatch");
    is_refused(tls_port, ca_of(keys, ", \"server_name\": \"here.example\""), "mismatch");
    works(ca_of(keys, ", \"server_name\": \"elsewhere.example\""));
    works(ca_of(keys, ", \"insecure\": true"));
}

Test(tls, a_certificate_of_nobody_who_is_trusted_is_refused)
{
    start("here", "no");
    is_refused(tls_port, "", "certificate");
    works("\"insecure\": true");
}

Test(tls, a_server_may_ask_for_a_certificate_of_ours)
{
    char keys[256], more[160];
    struct hg_error err = HG_ERROR_INIT;
    start("here", "yes");
    open_to(tls_port, ca_of(keys, ""), "");
    cr_assert_lt(get(&err), 0);
    close_pool(pool);
    snprintf(more, sizeof more,
             ", \"cert_file\": \"%s/client.pem\", \"key_file\": \"%s/client.key\"", folder, folder);
    works(ca_of(keys, more));
    is_refused(tls_port, "\"ca_file\": \"/nowhere/ca.pem\"", "server.tls.ca_file");
}

Test(tls, a_server_that_does_not_speak_it_is_a_failed_dial)
{
    char keys[256];
    start("here", "no");
    is_refused(hgi_private_server_port(server), ca_of(keys, ""), "handshake");
}

static void say_nothing(struct hostile *hostile, int fd)
{
    (void)hostile;
    hostile_listen(fd);
}

Test(tls, a_handshake_ends_in_time_with_a_server_that_says_nothing)
{
    char keys[256];
    make_folder();
    struct hostile *silent = hostile_start(say_nothing);
    unsigned port = 0;
    cr_assert_eq(sscanf(hostile_url(silent), "redis://127.0.0.1:%u", &port), 1);
    int64_t began_ns = hgi_now_ns();
    is_refused(port, ca_of(keys, ""), "did not end in time");
    cr_assert_lt(hgi_now_ns() - began_ns, 20 * HGI_NS_PER_S);
    hostile_stop(silent);
}

/* --- bytes --- */

Test(tls, large_values_pass_in_both_directions)
{
    const size_t size = 5 << 20;
    char *value = malloc(size);
    char keys[256];
    struct hg_error err = HG_ERROR_INIT;
    start("here", "no");
    open_to(tls_port, ca_of(keys, ""), ", \"pool\": {\"max_size\": 1}");
    for (size_t i = 0; i < size; i++)
        value[i] = (char)(i * 7 + i / 251);
    const char *argv[] = { "SET", "k", value };
    const size_t lengths[] = { 3, 1, size };
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    options.op_class = "read"; /* with time enough */
    cr_assert_eq(hg_command_argv(pool, &options, NULL, &err, 3, argv, lengths), HG_OK, "%s",
                 err.message);
    for (int i = 0; i < 3; i++) {
        redisReply *reply;
        cr_assert_eq(hg_command(pool, &reply, &err, "GET k"), HG_OK, "%s", err.message);
        cr_assert_eq(reply->len, size);
        cr_assert_eq(memcmp(reply->str, value, size), 0);
        freeReplyObject(reply);
    }
    hg_lease *lease;
    cr_assert_eq(hg_acquire(pool, &lease, &options, &err), HG_OK, "%s", err.message);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(hg_lease_append_argv(lease, &err, 2, (const char *[]) { "ECHO", value },
                                          (const size_t[]) { 4, size }),
                     HG_OK);
    for (int i = 0; i < 4; i++) {
        redisReply *reply;
        cr_assert_eq(hg_lease_reply(lease, &reply, &err), HG_OK, "%s", err.message);
        cr_assert_eq(reply->len, size);
        freeReplyObject(reply);
    }
    hg_release(lease, HG_OK);
    free(value);
}

Test(tls, a_raw_context_is_encrypted_too)
{
    char keys[256];
    hg_lease *lease;
    start("here", "no");
    open_to(tls_port, ca_of(keys, ""), "");
    cr_assert_eq(hg_acquire(pool, &lease, NULL, NULL), HG_OK);
    for (int i = 0; i < 10; i++) {
        redisReply *reply = redisCommand(hg_lease_context(lease), "ECHO %d", i);
        cr_assert_not_null(reply);
        cr_assert_eq(atoi(reply->str), i);
        freeReplyObject(reply);
    }
    hg_release(lease, HG_OK);
}

#if HIREDIS_MAJOR >= 1

Test(tls, a_raw_context_keeps_its_deadline_too)
{
    char keys[256];
    hg_lease *lease;
    start("here", "no");
    open_to(tls_port, ca_of(keys, ""), "");
    cr_assert_eq(hg_acquire(pool, &lease, NULL, NULL), HG_OK);
    redisContext *context = hg_lease_context(lease);
    hgi_private_server_pause(server);
    int64_t began_ns = hgi_now_ns();
    cr_assert_null(redisCommand(context, "ECHO late"));
    cr_assert_eq(context->err, REDIS_ERR_TIMEOUT, "%s", context->errstr);
    cr_assert_lt(hgi_now_ns() - began_ns, 20 * HGI_NS_PER_S);
    hgi_private_server_resume(server);
    hg_release(lease, HG_OK);
}

#endif

/* --- time and rest --- */

static bool answers(void *arg)
{
    (void)arg;
    redisReply *reply = NULL;
    bool right = hg_command(pool, &reply, NULL, "ECHO warm") == HG_OK;
    if (right)
        cr_assert_str_eq(reply->str, "warm");
    freeReplyObject(reply);
    return right;
}

Test(tls, deadlines_hold_and_a_late_reply_meets_nobody)
{
    char keys[256];
    struct hg_error err = HG_ERROR_INIT;
    start("here", "no");
    ca_of(keys, "");
    char json[512], url[64];
    snprintf(url, sizeof url, "rediss://127.0.0.1:%u", tls_port);
    snprintf(json, sizeof json,
             "{\"server\": {\"tls\": {%s}}, \"breaker\": {\"enabled\": false}, \"pool\":"
             " {\"max_size\": 1}, \"commands\": {\"ECHO\": \"read\"}, \"classes\":"
             " {\"read\": {\"retry\": \"none\", \"attempt_timeout\": \"100ms\"}}}",
             keys);
    pool = open_pool(url, json);
    for (int round = 0; round < 5; round++) {
        redisReply *reply;
        char nonce[16];
        wait_for(answers, NULL, "the pool to answer");
        hgi_private_server_pause(server);
        cr_assert_eq(hg_command(pool, NULL, &err, "ECHO late"), HG_ERR_TIMEOUT, "%s", err.message);
        hgi_private_server_resume(server);
        snprintf(nonce, sizeof nonce, "n%d", round);
        wait_for(answers, NULL, "the pool to answer again");
        cr_assert_eq(hg_command(pool, &reply, &err, "ECHO %s", nonce), HG_OK, "%s", err.message);
        cr_assert_str_eq(reply->str, nonce);
        freeReplyObject(reply);
    }
}

Test(tls, an_idle_connection_with_session_tickets_stays)
{
    char keys[256];
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    start("here", "no");
    open_to(tls_port, ca_of(keys, ""), ", \"pool\": {\"max_size\": 1, \"keepalive\": \"400ms\"}");
    cr_assert_eq(get(&err), HG_OK, "%s", err.message);
    sleep_ms(2500); /* the keeper looks at what has been idle for a second, and pings */
    cr_assert_eq(get(&err), HG_OK, "%s", err.message);
    hg_pool_read_stats(pool, &stats);
    cr_assert_eq(stats.dials, 1);
    cr_assert_eq(stats.closed_unclean, 0);
}

Test(tls, session_tickets_make_a_socket_readable_and_are_no_stray_data)
{
    char text[160], byte;
    const struct hgi_tls_settings settings = { .insecure = true };
    const struct hgi_endpoint endpoint = { .host = "127.0.0.1", .tls = true };
    start("here", "no");
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)tls_port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    redisContext *context = redisConnectFd(fd);
    cr_assert_not_null(context);
    struct hgi_tls *tls = hgi_tls_start(context, &endpoint, &settings,
                                        hgi_now_ns() + 20 * HGI_NS_PER_S, text, sizeof text);
    cr_assert_not_null(tls, "%s", text);
    struct pollfd tickets = { .fd = fd, .events = POLLIN };
    cr_assert_eq(poll(&tickets, 1, 20000), 1);
    cr_assert_eq(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
    cr_assert(hgi_tls_is_quiet(tls));
    redisFree(context);
    hgi_tls_free(tls);
}

static void *call_often(void *argument)
{
    _Atomic unsigned *wrong = argument;
    for (int i = 0; i < 500; i++) {
        redisReply *reply;
        char nonce[32];
        snprintf(nonce, sizeof nonce, "%p-%d", (void *)&nonce, i);
        if (hg_command(pool, &reply, NULL, "ECHO %s", nonce) != HG_OK)
            continue;
        if (strcmp(reply->str, nonce) != 0)
            atomic_fetch_add(wrong, 1);
        freeReplyObject(reply);
    }
    return NULL;
}

Test(tls, threads_share_encrypted_connections)
{
    char keys[256];
    pthread_t threads[8];
    _Atomic unsigned wrong = 0;
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    start("here", "no");
    open_to(tls_port, ca_of(keys, ""), ", \"pool\": {\"max_size\": 3}");
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, call_often, &wrong), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(atomic_load(&wrong), 0);
    hg_pool_read_stats(pool, &stats);
    cr_assert_leq(stats.dials, 3);
}

/* --- without it --- */

Test(tls, a_build_without_it_says_what_to_install)
{
    if (hgi_tls_is_built())
        cr_skip_test("this build has TLS");
    hg_policy *policy;
    struct hg_error err = HG_ERROR_INIT;
    const char json[] = "{\"server\": {\"url\": \"rediss://u:hunter2@127.0.0.1\"}}";
    cr_assert_eq(hg_policy_parse(&policy, json, strlen(json), "test", &err), HG_OK);
    cr_assert_eq(hg_pool_open(&pool, NULL, policy, &err), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "hiredis_ssl"), "%s", err.message);
    cr_assert_null(strstr(err.message, "hunter2"), "%s", err.message);
    hg_policy_drop(policy);
}
