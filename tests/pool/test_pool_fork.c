/* fork() while threads use a pool: the parent never notices, the child never touches its parent's
 * sockets and has a pool at once. A plain program, because Criterion forks itself. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/internal.h"
#include "tests/pool/one_pool.h"
#include "tests/pool/tls_server.h"

enum { BUSY = 8, FORKS = 100, CHILD_CALLS = 10, CHILD_SECONDS = 100 };

static void echo(const char *who, unsigned number)
{
    char nonce[64];
    snprintf(nonce, sizeof nonce, "%s-%d-%u", who, (int)getpid(), number);
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = hg_command(pool, &reply, &err, "ECHO %s", nonce);
    if (status != HG_OK)
        fprintf(stderr, "%s: %s\n", nonce, err.message);
    require(status == HG_OK && strcmp(reply->str, nonce) == 0);
    freeReplyObject(reply);
}

static unsigned open_sockets(void)
{
    unsigned sockets = 0;
    struct stat about;
    for (int fd = 0; fd < 1024; fd++)
        if (fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode))
            sockets++;
    return sockets;
}

/* Run `body` in a child and see it end well. It ends the child if something does not hold. */
static void in_child(pid_t (*make)(void), void (*body)(void))
{
    fflush(NULL);
    pid_t child = make();
    require(child >= 0);
    if (child == 0) {
        alarm(CHILD_SECONDS);
        body();
        fflush(NULL);
        _exit(0);
    }
    int status = -1;
    require(waitpid(child, &status, 0) == child);
    if (status != 0)
        fprintf(stderr, "the child ended with wait status 0x%x\n", (unsigned)status);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void close_in_child(void)
{
    struct hg_error err = HG_ERROR_INIT;
    if (hg_pool_close(pool, 20000000000, &err) != HG_OK) {
        fprintf(stderr, "closing in the child: %s\n", err.message);
        _exit(1);
    }
}

/* --- a busy server --- */

static _Atomic bool stop;
static _Atomic unsigned calls;
static unsigned sockets_without_pool;

static void *busy_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        echo("parent", i);
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

static bool so_many_calls(void *arg)
{
    return atomic_load(&calls) >= (unsigned)(uintptr_t)arg;
}

static void use_the_pool(void)
{
    require(open_sockets() == sockets_without_pool);
    for (unsigned i = 0; i < CHILD_CALLS; i++)
        echo("child", i);
    struct hg_pool_stats stats = stats_now();
    require(stats.idle + stats.leased + stats.dialing > 0 && stats.waiting == 0);
    require(open_sockets() > sockets_without_pool);
    close_in_child();
    require(open_sockets() == sockets_without_pool);
}

static void a_busy_server_forks_a_hundred_times(void)
{
    pthread_t threads[BUSY];
    sockets_without_pool = open_sockets();
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 6}, " PATIENT "}");
    atomic_store(&stop, false);
    for (unsigned i = 0; i < BUSY; i++)
        require(pthread_create(&threads[i], NULL, busy_main, NULL) == 0);
    for (unsigned i = 0; i < FORKS; i++) {
        wait_for(so_many_calls, (void *)(uintptr_t)(atomic_load(&calls) + 1), "calls go on");
        in_child(fork, use_the_pool);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < BUSY; i++)
        pthread_join(threads[i], NULL);
    struct hg_pool_stats stats = stats_now();
    require(stats.dials <= 6 && stats.failures == 0 && stats.closed_by_server == 0);
    close_pool(pool);
    printf("  %u calls of the parent during %d forks\n", atomic_load(&calls), FORKS);
}

/* --- while connections are made and closed --- */

static void *churn_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        hg_lease *lease;
        require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
        require(hg_lease_context(lease) != NULL); /* so it is closed when it comes back */
        hg_release(lease, HG_OK);
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

static void look_for_sockets(void)
{
    require(open_sockets() == sockets_without_pool);
}

static void no_socket_reaches_a_child_while_connections_come_and_go(void)
{
    pthread_t threads[BUSY];
    sockets_without_pool = open_sockets();
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 4}, " PATIENT "}");
    atomic_store(&stop, false);
    for (unsigned i = 0; i < BUSY; i++)
        require(pthread_create(&threads[i], NULL, churn_main, NULL) == 0);
    for (unsigned i = 0; i < 2 * FORKS; i++) {
        wait_for(so_many_calls, (void *)(uintptr_t)(atomic_load(&calls) + 1), "calls go on");
        in_child(fork, look_for_sockets);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < BUSY; i++)
        pthread_join(threads[i], NULL);
    close_pool(pool);
}

/* --- leases of the parent --- */

static hg_lease *lease;

static void grandchild(void)
{
    echo("grandchild", 0);
    close_in_child();
}

static void try_the_parents_lease(void)
{
    struct hg_error err = HG_ERROR_INIT;
    require(hg_lease_command(lease, NULL, &err, "SET fork child") == HG_ERR_VALIDATION);
    require(strstr(err.message, "the parent's") != NULL);
    require(hg_lease_context(lease) == NULL);
    hg_release(lease, HG_OK);
    echo("child", 0); /* the only connection: the child has its own */
    hg_lease *own;
    require(hg_acquire(pool, &own, NULL, &err) == HG_OK);
    require(own != lease && hg_lease_command(own, NULL, &err, "PING") == HG_OK);
    require(hg_lease_command(lease, NULL, &err, "SET fork child") == HG_ERR_VALIDATION);
    hg_release(lease, HG_OK);
    hg_release(own, HG_OK);
    in_child(fork, grandchild);
    echo("child", 1);
    close_in_child();
}

static void expect_that_the_lease_is_ours(void)
{
    struct hg_error err = HG_ERROR_INIT;
    redisReply *reply;
    require(hg_lease_command(lease, &reply, &err, "GET fork") == HG_OK);
    require(reply->type == REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

static void a_lease_of_the_parent_is_none_of_the_child(void)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 1}, " PATIENT "}");
    require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
    in_child(fork, try_the_parents_lease);
    expect_that_the_lease_is_ours();
    in_child(_Fork, try_the_parents_lease); /* without handlers */
    expect_that_the_lease_is_ours();
    hg_release(lease, HG_OK);
    echo("parent", 0);
    require(stats_now().dials == 1);
    close_pool(pool);
}

/* --- fork() inside a call --- */

static bool child_goes_on;

static hg_status fork_inside(hg_lease *inner, void *arg, struct hg_attempt *attempt)
{
    pid_t *child = arg;
    fflush(NULL);
    *child = fork();
    require(*child >= 0);
    if (*child > 0)
        return hg_lease_command(inner, NULL, attempt->error, "PING");
    alarm(CHILD_SECONDS);
    require(hg_lease_command(inner, NULL, NULL, "PING") == HG_ERR_VALIDATION);
    if (child_goes_on)
        echo("inside", 0);
    return HG_OK;
}

static void a_child_that_was_forked_inside_a_call_returns_from_it(void)
{
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 1}, " PATIENT "}");
    for (int i = 0; i < 2; i++) {
        pid_t child;
        int status = -1;
        child_goes_on = i == 1;
        require(hg_call(pool, NULL, fork_inside, &child, NULL) == HG_OK);
        if (child == 0) {
            echo("after", 0);
            close_in_child();
            _exit(0);
        }
        require(waitpid(child, &status, 0) == child);
        require(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        echo("parent", 0);
    }
    require(stats_now().dials == 1);
    close_pool(pool);
}

/* --- what is between open and closed --- */

static void close_unused(void)
{
    close_in_child();
    require(open_sockets() == sockets_without_pool);
}

static void a_copy_that_is_not_used_is_closed_like_any_other(void)
{
    sockets_without_pool = open_sockets();
    pool = open_pool(hgi_private_server_url(server), "{" PATIENT "}");
    echo("parent", 0);
    in_child(fork, close_unused);
    echo("parent", 1);
    hg_breaker_force_open(hg_pool_breaker(pool));
    hg_breaker_force_close(hg_pool_breaker(pool));
    in_child(fork, grandchild);
    close_pool(pool);
}

/* --- TLS --- */

static void open_encrypted(unsigned port, const char *folder, const char *size)
{
    char url[64], json[800];
    snprintf(url, sizeof url, "rediss://127.0.0.1:%u", port);
    snprintf(json, sizeof json,
             "{\"server\": {\"tls\": {\"ca_file\": \"%s/ca.pem\"}}, \"pool\": {\"max_size\": %s, "
             "\"connect_timeout\": \"60s\"}, " PATIENT "}",
             folder, size);
    pool = open_pool(url, json);
}

/* A child's exit() runs what OpenSSL has to say at the end of a process. */
static void use_the_pool_and_exit(void)
{
    use_the_pool();
    exit(0);
}

static void sessions_of_a_busy_parent_are_its_own(void)
{
    pthread_t threads[BUSY];
    atomic_store(&stop, false);
    for (unsigned i = 0; i < BUSY; i++)
        require(pthread_create(&threads[i], NULL, busy_main, NULL) == 0);
    for (unsigned i = 0; i < FORKS / 4; i++) {
        wait_for(so_many_calls, (void *)(uintptr_t)(atomic_load(&calls) + 1), "calls go on");
        in_child(fork, i % 2 == 0 ? use_the_pool : use_the_pool_and_exit);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < BUSY; i++)
        pthread_join(threads[i], NULL);
}

static void shake_hands_too(void)
{
    require(open_sockets() == sockets_without_pool);
    echo("child", 0);
    close_in_child();
}

/* Each lease is a new connection, so some thread of the pool nearly always shakes hands. */
static void handshakes_of_the_parent_are_not_in_the_childs_way(void)
{
    pthread_t threads[BUSY];
    atomic_store(&stop, false);
    for (unsigned i = 0; i < BUSY; i++)
        require(pthread_create(&threads[i], NULL, churn_main, NULL) == 0);
    for (unsigned i = 0; i < 2 * FORKS; i++) {
        wait_for(so_many_calls, (void *)(uintptr_t)(atomic_load(&calls) + 1), "calls go on");
        in_child(fork, shake_hands_too);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < BUSY; i++)
        pthread_join(threads[i], NULL);
}

static void an_encrypted_session_of_the_parent_is_none_of_the_child(void)
{
    const char *why;
    unsigned port;
    const char *folder = tls_folder_make(&why);
    struct hgi_private_server *encrypted = NULL;
    if (folder)
        encrypted = tls_server_start("here", "no", &port, &why);
    if (!encrypted) {
        printf("  skipped: %s\n", why);
        tls_folder_remove();
        return;
    }
    sockets_without_pool = open_sockets();
    open_encrypted(port, folder, "6");
    sessions_of_a_busy_parent_are_its_own();
    struct hg_pool_stats stats = stats_now();
    require(stats.dials <= 6 && stats.failures == 0 && stats.retired == 0);
    close_pool(pool);

    open_encrypted(port, folder, "4");
    handshakes_of_the_parent_are_not_in_the_childs_way();
    close_pool(pool);

    open_encrypted(port, folder, "1");
    require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
    in_child(fork, try_the_parents_lease);
    expect_that_the_lease_is_ours();
    in_child(_Fork, try_the_parents_lease);
    expect_that_the_lease_is_ours();
    hg_release(lease, HG_OK);
    echo("parent", 0);
    stats = stats_now();
    require(stats.dials == 1 && stats.failures == 0 && stats.retired == 0);
    close_pool(pool);
    hgi_private_server_free(encrypted);
    tls_folder_remove();
}

int main(void)
{
    static const struct named_test tests[] = {
        { "a busy server forks a hundred times", a_busy_server_forks_a_hundred_times },
        { "no socket reaches a child while connections come and go",
          no_socket_reaches_a_child_while_connections_come_and_go },
        { "a lease of the parent is none of the child",
          a_lease_of_the_parent_is_none_of_the_child },
        { "a child that was forked inside a call returns from it",
          a_child_that_was_forked_inside_a_call_returns_from_it },
        { "a copy that is not used is closed like any other",
          a_copy_that_is_not_used_is_closed_like_any_other },
        { "an encrypted session of the parent is none of the child",
          an_encrypted_session_of_the_parent_is_none_of_the_child },
    };
    run_named_tests(tests, sizeof tests / sizeof tests[0]);
    return 0;
}
