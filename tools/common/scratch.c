/* A directory of one's own; see scratch.h.
 *
 * The kernel gives up a lock when the last descriptor of its holder is closed, however the holder ends; a
 * child between fork and exec shares it for a moment more. Between making a directory and locking it a
 * sweeper may come by: without the file he leaves it alone, with the file he takes the lock and all goes.
 * So who has locked looks whether the file is still there, and else makes another directory.
 */
#include "tools/common/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 10 };

static const char prefix[] = "herdgate-";
static const char lock_name[] = "lock";

/* Everything in the directory, the lock last. Takes the descriptor. */
static void empty(int directory)
{
    DIR *folder = fdopendir(directory);
    const struct dirent *entry;
    if (!folder) {
        close(directory);
        return;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
    while ((entry = readdir(folder))) {
        if (strcmp(entry->d_name, lock_name) != 0)
            unlinkat(dirfd(folder), entry->d_name, 0); /* "." and ".." are refused */
    }
    unlinkat(dirfd(folder), lock_name, 0);
    closedir(folder);
}

/* Remove it if it is ours and nobody who lives has locked it. */
static void sweep_one(int parent, const char *name)
{
    struct stat status;
    int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return;
    int lock = -1;
    if (fstat(directory, &status) == 0 && status.st_uid == geteuid())
        lock = openat(directory, lock_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) {
        empty(directory);
        unlinkat(parent, name, AT_REMOVEDIR);
    } else {
        close(directory);
    }
    if (lock >= 0)
        close(lock);
}

static void sweep(const char *parent)
{
    DIR *folder = opendir(parent);
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
    while (folder && (entry = readdir(folder))) {
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
            strlen(entry->d_name) == sizeof prefix - 1 + 6)
            sweep_one(dirfd(folder), entry->d_name);
    }
    if (folder)
        closedir(folder);
}

/* False: a sweeper was quicker, or errno says. */
static bool lock_it(struct hgi_scratch *scratch)
{
    char path[sizeof scratch->path + sizeof lock_name + 1];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", scratch->path, lock_name);
    scratch->lock = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (scratch->lock < 0)
        return false;
    if (flock(scratch->lock, LOCK_EX | LOCK_NB) == 0 && fstat(scratch->lock, &status) == 0 &&
        status.st_nlink > 0)
        return true;
    close(scratch->lock);
    errno = EAGAIN;
    return false;
}

bool hgi_scratch_make(struct hgi_scratch *scratch, struct hgi_problem *problem)
{
    static atomic_flag swept = ATOMIC_FLAG_INIT; /* by all who make one; the first of them sweeps */
    const char *parent = getenv("TMPDIR");
    if (!parent || !*parent || strlen(parent) > 48) /* a socket's path has 107 bytes at most */
        parent = "/tmp";
    /* relaxed: nothing hangs on it but who does it. */
    if (!atomic_flag_test_and_set_explicit(&swept, memory_order_relaxed))
        sweep(parent);
    for (int i = 0; i < TRIES; i++) {
        snprintf(scratch->path, sizeof scratch->path, "%s/%sXXXXXX", parent, prefix);
        if (!mkdtemp(scratch->path))
            break;
        if (lock_it(scratch))
            return true;
        int error = errno;
        rmdir(scratch->path);
        errno = error;
        if (errno != EAGAIN && errno != ENOENT)
            break;
    }
    hgi_problem_set(problem, "cannot make a directory in %s: %s; set TMPDIR to another one", parent,
                    strerror(errno));
    scratch->path[0] = '\0';
    return false;
}

void hgi_scratch_remove(struct hgi_scratch *scratch)
{
    if (!scratch->path[0])
        return;
    int directory = open(scratch->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory >= 0)
        empty(directory);
    rmdir(scratch->path);
    close(scratch->lock);
    scratch->path[0] = '\0';
}
