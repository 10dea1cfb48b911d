/* Starts child processes that die with this process; see spawner.h.
 *
 * A request is handed over under a mutex and answered through a condition. Between fork and exec the
 * child makes only async-signal-safe calls: other threads of the parent may have held any lock.
 */
#include "tools/common/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum request { REQUEST_NONE, REQUEST_RUN, REQUEST_END };

struct hgi_spawner {
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    enum request request;
    const char *path;
    char *const *argv;
    const char *log;
    pid_t child; /* the answer; -1: failed with `error` */
    int error;
};

/* Close every descriptor from `first` on. */
static void close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
        return;
#endif
    struct rlimit limit;
    int end = 65536;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)end)
        end = (int)limit.rlim_cur;
    for (int fd = first; fd < end; fd++)
        close(fd);
}

/* In the child. Never returns. */
static void become(const struct hgi_spawner *spawner, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it ended before the signal was set */
        _exit(126);
    setpgid(0, 0);
    int input = open("/dev/null", O_RDONLY);
    int output = open(spawner->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (input < 0 || output < 0)
        _exit(126);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close_from(STDERR_FILENO + 1);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(spawner->path, spawner->argv);
    _exit(127);
}

static void *serve(void *arg)
{
    struct hgi_spawner *spawner = arg;
    pid_t self = getpid();
    pthread_mutex_lock(&spawner->mutex);
    for (;;) {
        while (spawner->request == REQUEST_NONE)
            pthread_cond_wait(&spawner->changed, &spawner->mutex);
        if (spawner->request == REQUEST_END)
            break;
        spawner->child = fork();
        if (spawner->child == 0)
            become(spawner, self);
        spawner->error = spawner->child < 0 ? errno : 0;
        spawner->request = REQUEST_NONE;
        pthread_cond_broadcast(&spawner->changed);
    }
    pthread_mutex_unlock(&spawner->mutex);
    return NULL;
}

struct hgi_spawner *hgi_spawner_new(struct hgi_problem *problem)
{
    struct hgi_spawner *spawner = calloc(1, sizeof *spawner);
    if (!spawner) {
        hgi_problem_set(problem, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&spawner->mutex, NULL);
    pthread_cond_init(&spawner->changed, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&spawner->thread, NULL, serve, spawner);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        hgi_problem_set(problem, "cannot start a thread: %s", strerror(error));
        pthread_cond_destroy(&spawner->changed);
        pthread_mutex_destroy(&spawner->mutex);
        free(spawner);
        return NULL;
    }
    return spawner;
}

void hgi_spawner_free(struct hgi_spawner *spawner)
{
    if (!spawner)
        return;
    pthread_mutex_lock(&spawner->mutex);
    spawner->request = REQUEST_END;
    pthread_cond_broadcast(&spawner->changed);
    pthread_mutex_unlock(&spawner->mutex);
    pthread_join(spawner->thread, NULL);
    pthread_cond_destroy(&spawner->changed);
    pthread_mutex_destroy(&spawner->mutex);
    free(spawner);
}

pid_t hgi_spawner_run(struct hgi_spawner *spawner, const char *path, char *const *argv,
                      const char *log, struct hgi_problem *problem)
{
    pthread_mutex_lock(&spawner->mutex);
    spawner->path = path;
    spawner->argv = argv;
    spawner->log = log;
    spawner->request = REQUEST_RUN;
    pthread_cond_broadcast(&spawner->changed);
    while (spawner->request == REQUEST_RUN)
        pthread_cond_wait(&spawner->changed, &spawner->mutex);
    pid_t child = spawner->child;
    int error = spawner->error;
    pthread_mutex_unlock(&spawner->mutex);
    if (child < 0)
        hgi_problem_set(problem, "cannot start a process: %s", strerror(error));
    return child;
}
