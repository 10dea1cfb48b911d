/* fork() while the parent looks for names: the C library takes locks for that, which nobody frees in a child.
 * In the place of its function stands one whose lock is held for as long as a test likes. */
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "pool/fork.h"
#include "tests/pool/one_pool.h"

enum { CHURNERS = 3, FORKS = 40, CHILD_SECONDS = 100 };

/* --- the library's function --- */

static pthread_mutex_t its_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool is_silent, is_asked; /* the name server */

/* The name is the linker's. NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    (void)name;
    atomic_store(&is_asked, true);
    while (atomic_load(&is_silent)) /* and no lock is held */
        sleep_ms(5);
    pthread_mutex_lock(&its_lock);
    sleep_ms(1);
    int result = __real_getaddrinfo("127.0.0.1", service, hints, found);
    pthread_mutex_unlock(&its_lock);
    return result;
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

/* --- */

static _Atomic bool stop;
static _Atomic unsigned leases;

/* Each lease is a new connection, so some thread of the pool nearly always looks for the name. */
static void *churn_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        hg_lease *lease = acquire();
        require(hg_lease_context(lease) != NULL); /* so it is closed when it comes back */
        hg_release(lease, HG_OK);
        atomic_fetch_add(&leases, 1);
    }
    return NULL;
}

static bool one_more(void *arg)
{
    return atomic_load(&leases) > *(unsigned *)arg;
}

static void use_it_in_a_child(void)
{
    struct hg_error err = HG_ERROR_INIT;
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        alarm(CHILD_SECONDS);
        if (hg_command(pool, NULL, &err, "PING") != HG_OK) {
            fprintf(stderr, "child: %s\n", err.message);
            _exit(1);
        }
        close_pool(pool);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void open_by_name(void)
{
    char url[64];
    snprintf(url, sizeof url, "redis://somewhere.test:%u",
             (unsigned)hgi_private_server_port(server));
    pool = open_pool(url, "{\"pool\": {\"max_size\": 3, \"min_idle\": 0}, " PATIENT "}");
}

static void a_child_finds_names_whatever_its_parent_looks_for(void)
{
    pthread_t threads[CHURNERS];
    const int64_t usual_ns = hgi_lookup_patience_ns;
    hgi_lookup_patience_ns = 60 * HGI_NS_PER_S; /* however busy the machine is */
    open_by_name();
    atomic_store(&stop, false);
    for (unsigned i = 0; i < CHURNERS; i++)
        require(pthread_create(&threads[i], NULL, churn_main, NULL) == 0);
    for (unsigned i = 0; i < FORKS; i++) {
        unsigned before = atomic_load(&leases);
        wait_for(one_more, &before, "leases come and go");
        use_it_in_a_child();
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < CHURNERS; i++)
        pthread_join(threads[i], NULL);
    hgi_lookup_patience_ns = usual_ns;
    close_pool(pool);
}

static bool asked(void *arg)
{
    (void)arg;
    return atomic_load(&is_asked);
}

static void *call_main(void *arg)
{
    (void)arg;
    require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
    return NULL;
}

static void a_silent_name_server_does_not_hold_up_a_fork(void)
{
    pthread_t thread;
    open_by_name();
    atomic_store(&is_asked, false);
    atomic_store(&is_silent, true);
    require(pthread_create(&thread, NULL, call_main, NULL) == 0);
    wait_for(asked, NULL, "a dialer asks for the name");
    fflush(NULL);
    pid_t child = fork(); /* returns while it asks */
    require(child >= 0);
    if (child == 0)
        _exit(0);
    require(waitpid(child, NULL, 0) == child);
    require(stats_now().dialing == 1);
    atomic_store(&is_silent, false);
    pthread_join(thread, NULL);
    close_pool(pool);
}

int main(void)
{
    const struct hgi_private_server_options with_port = { .tcp = true };
    struct hgi_problem problem;
    require(hgi_private_server_start(&server, &with_port, &problem));
    printf("a child finds names, whatever its parent looks for\n");
    fflush(stdout);
    a_child_finds_names_whatever_its_parent_looks_for();
    printf("a silent name server does not hold up a fork\n");
    fflush(stdout);
    a_silent_name_server_does_not_hold_up_a_fork();
    tear_down_server();
    return 0;
}
