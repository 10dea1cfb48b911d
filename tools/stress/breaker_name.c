/* The name of a run's shared breaker; see breaker_name.h.
 *
 * What is held is a lock of the open file, which the kernel gives back however its process ends, and not flock():
 * that one is for who removes a name.
 */
#include "tools/stress/breaker_name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <herdgate/breaker.h>

static const char directory[] = "/dev/shm";
static const char file_prefix[] = "herdgate."; /* before the name in the file's */
static const char prefix[] = "herdgate-stress-";

/* Its number, if the file is a breaker of a run; else 0. */
static pid_t whose(const char *file)
{
    char *end;
    if (strncmp(file, file_prefix, sizeof file_prefix - 1) != 0 ||
        strncmp(file + sizeof file_prefix - 1, prefix, sizeof prefix - 1) != 0)
        return 0;
    const char *digits = file + sizeof file_prefix - 1 + sizeof prefix - 1;
    if (*digits < '1' || *digits > '9')
        return 0;
    errno = 0;
    long pid = strtol(digits, &end, 10);
    return *end == '\0' && errno == 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static bool is_held(int folder, const char *file)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return true; /* gone, or another user's */
    bool held = fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
    close(fd);
    return held;
}

static void sweep(void)
{
    DIR *folder = opendir(directory);
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
    while (folder && (entry = readdir(folder))) {
        char name[HGI_BREAKER_NAME_SIZE];
        pid_t pid = whose(entry->d_name);
        bool lives = pid != getpid() && (kill(pid, 0) == 0 || errno != ESRCH);
        if (pid == 0 || lives || is_held(dirfd(folder), entry->d_name))
            continue;
        snprintf(name, sizeof name, "/%s%ld", prefix, (long)pid);
        hg_breaker_unlink_shared(name,
                                 NULL); /* one that is damaged stays; it says so to who attaches */
    }
    if (folder)
        closedir(folder);
}

void hgi_breaker_name_make(struct hgi_breaker_name *name)
{
    sweep();
    name->lock = -1;
    snprintf(name->text, sizeof name->text, "/%s%ld", prefix, (long)getpid());
}

void hgi_breaker_name_hold(struct hgi_breaker_name *name)
{
    char path[HGI_BREAKER_NAME_SIZE + sizeof directory + sizeof file_prefix];
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    snprintf(path, sizeof path, "%s/%s%s", directory, file_prefix, name->text + 1);
    name->lock = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (name->lock >= 0 && fcntl(name->lock, F_OFD_SETLK, &lock) != 0) {
        close(name->lock);
        name->lock = -1;
    }
}

void hgi_breaker_name_end(struct hgi_breaker_name *name)
{
    if (!name->text[0])
        return;
    hg_breaker_unlink_shared(name->text, NULL);
    if (name->lock >= 0)
        close(name->lock);
    name->text[0] = '\0';
}
