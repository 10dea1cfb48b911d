/* Servers that cannot be reached; see unreachable.h.
 *
 * The kernel lets one more connection into a line of length 0 and drops the first packet of the next, so
 * that it waits and tries again. The line is filled until one is seen to wait.
 *
 * Names: in a network of its own the process binds port 53 of loopback itself and never reads it, and in
 * mounts of its own resolv.conf points there, and nsswitch.conf to nothing else.
 */
#include "tools/common/unreachable.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- a full line --- */

enum { SEEN_TO_WAIT_MS = 200 };

/* One more connection. True: it has to wait. */
static bool connects_in_vain(const struct sockaddr_in *address, int fd)
{
    struct pollfd entry = { .fd = fd, .events = POLLOUT };
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return false;
    return errno == EINPROGRESS && poll(&entry, 1, SEEN_TO_WAIT_MS) == 0;
}

bool hgi_full_line_open(struct hgi_full_line *line, struct hgi_problem *problem)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    line->count = 0;
    line->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line->listener < 0 ||
        bind(line->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(line->listener, 0) != 0 ||
        getsockname(line->listener, (struct sockaddr *)&address, &size) != 0) {
        hgi_problem_set(problem, "a port of 127.0.0.1: %s", strerror(errno));
        hgi_full_line_close(line);
        return false;
    }
    snprintf(line->url, sizeof line->url, "redis://127.0.0.1:%u", ntohs(address.sin_port));
    while (line->count < HGI_FULL_LINE_MAX) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            break;
        line->waiting[line->count++] = fd;
        if (connects_in_vain(&address, fd))
            return true;
    }
    hgi_full_line_close(line);
    return hgi_problem_set(problem, "a port that nobody accepts on let %d connections in",
                           HGI_FULL_LINE_MAX);
}

void hgi_full_line_close(struct hgi_full_line *line)
{
    while (line->count > 0)
        close(line->waiting[--line->count]);
    if (line->listener >= 0)
        close(line->listener);
    line->listener = -1;
}

/* --- silent names --- */

static bool cannot(struct hgi_problem *problem, const char *what)
{
    return hgi_problem_set(problem, "%s: %s", what, strerror(errno));
}

static bool leave_the_system(struct hgi_problem *problem)
{
    const int spaces = CLONE_NEWNS | CLONE_NEWNET;
    if (unshare(spaces) != 0 && unshare(CLONE_NEWUSER | spaces) != 0)
        return cannot(problem, "no namespaces may be made here");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return cannot(problem, "nothing may be mounted here");
    return true;
}

/* Port 53 of loopback, which nobody reads; the socket stays open as long as the process. */
static bool be_silent(struct hgi_problem *problem)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(53),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        cannot(problem, "a network of its own");
        if (fd >= 0)
            close(fd);
        return false;
    }
    return true;
}

/* Have the file read as `text` in this process's mounts. One that is not there stays so. */
static bool put_over(const char *path, const char *text, struct hgi_problem *problem)
{
    char own[] = "/tmp/herdgate-names-XXXXXX";
    if (access(path, F_OK) != 0)
        return true;
    int fd = mkostemp(own, O_CLOEXEC);
    if (fd < 0)
        return cannot(problem, own);
    const size_t length = strlen(text);
    bool well = write(fd, text, length) == (ssize_t)length && fchmod(fd, 0644) == 0 &&
                mount(own, path, NULL, MS_BIND, NULL) == 0;
    if (!well)
        cannot(problem, path);
    close(fd);
    unlink(own);
    return well;
}

/* glibc asks nscd first, where it runs; it is outside. */
static bool hide_nscd(struct hgi_problem *problem)
{
    static const char path[] = "/var/run/nscd";
    return access(path, F_OK) != 0 || mount("tmpfs", path, "tmpfs", 0, NULL) == 0 ||
           cannot(problem, path);
}

bool hgi_names_silence(struct hgi_problem *problem)
{
    return leave_the_system(problem) && be_silent(problem) && hide_nscd(problem) &&
           put_over("/etc/nsswitch.conf", "hosts: dns\n", problem) &&
           put_over("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:20 attempts:2\n",
                    problem);
}
