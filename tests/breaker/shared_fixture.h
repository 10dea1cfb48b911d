/* Shared breakers in a folder of the test's own, which goes with the test. */
#ifndef HERDGATE_TESTS_BREAKER_SHARED_FIXTURE_H
#define HERDGATE_TESTS_BREAKER_SHARED_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "breaker/core.h"
#include "breaker/segment.h"
#include "breaker/shared.h"
#include "tests/breaker/fixture.h"

struct shared_folder {
    char path[64];
    pid_t owner; /* a child of fork() removes nothing */
    struct hgi_shared_how how;
};

static inline void shared_folder_make(struct shared_folder *folder)
{
    const char *shm = getenv("HERDGATE_TEST_SHM"); /* of who expects tests to fail, and tidies up */
    snprintf(folder->path, sizeof folder->path, "%s/herdgate-test.XXXXXX", shm ? shm : "/dev/shm");
    REQUIRE(mkdtemp(folder->path) != NULL);
    folder->owner = getpid();
    folder->how = (struct hgi_shared_how) { .directory = folder->path };
}

/* The file of a name in it; static storage. */
static inline const char *shared_file(const struct shared_folder *folder, const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/herdgate.%s", folder->path, name + 1);
    return path;
}

/* Names given one after another, then NULL. */
static inline void shared_folder_remove(const struct shared_folder *folder,
                                        const char *const *names)
{
    if (folder->owner != getpid())
        return;
    for (; *names; names++)
        unlink(shared_file(folder, *names));
    REQUIRE(rmdir(folder->path) == 0);
}

/* The segment as the file holds it, to look at and to damage. */
static inline struct hgi_segment *shared_segment(const struct shared_folder *folder,
                                                 const char *name)
{
    int fd = open(shared_file(folder, name), O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    void *mapped = mmap(NULL, HGI_SEGMENT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(mapped != MAP_FAILED);
    close(fd);
    return mapped;
}

static inline hg_breaker *shared_opened(const struct shared_folder *folder, const char *name,
                                        const struct hg_breaker_options *options)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    hg_status status = hgi_shared_open(&breaker, name, options, &folder->how, &err);
    if (status < 0)
        fprintf(stderr, "%s\n", err.message);
    REQUIRE(status == HG_OK);
    return breaker;
}

static inline void shared_unlinked(const struct shared_folder *folder, const char *name)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = hgi_shared_unlink(folder->path, name, &err);
    if (status < 0)
        fprintf(stderr, "%s\n", err.message);
    REQUIRE(status == HG_OK);
}

static inline hg_permit admitted(hg_breaker *breaker)
{
    hg_permit permit;
    REQUIRE(hg_breaker_admit(breaker, &permit));
    return permit;
}

static inline struct hg_breaker_snapshot snapshot_of(hg_breaker *breaker)
{
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    return snapshot;
}

/* Run in a child; its exit status. A signal that ends it is 128 and the signal's number. */
static inline int in_child(int (*run)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
        _exit(run(arg));
    int status;
    while (waitpid(child, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
