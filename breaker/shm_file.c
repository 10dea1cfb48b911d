/* Files in the shared-memory file system.
 *
 * A file is made without a name (O_TMPFILE), given its space, filled and then linked to its name, in
 * that order: a process killed anywhere leaves either nothing or a whole segment, and a full file system
 * is an error here and no SIGBUS later. linkat() decides who of many was first.
 *
 * Removing a name is the one thing that takes a lock: unlink() cannot be told which file it should
 * find, so whoever removes a name holds the file's flock() while it looks and removes. The kernel gives
 * that back when a process dies, and neither admit nor report ever waits for it. A child of fork() would
 * hold it too, for as long as it lives and long after its parent was killed: so none is born meanwhile.
 */
#include "breaker/shm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/fork.h"
#include "breaker/segment.h"

static hg_status cannot(const struct hgi_shm_file *shm, const char *what, int error,
                        struct hg_error *err)
{
    hg_status status = error == ENOSPC || error == ENOMEM || error == EMFILE || error == ENFILE ||
                               error == EFBIG || error == EDQUOT
                           ? HG_ERR_NO_MEMORY
                           : HG_ERR_VALIDATION;
    const char *advice =
        error == ENOSPC || error == EDQUOT ? "; free some room there, or mount it larger"
        : error == EOPNOTSUPP ? "; it must be a file system that has O_TMPFILE, as tmpfs is"
                              : "";
    hgi_error_set(err, status, "shared breaker %s (%s): cannot %s: %s%s", shm->name, shm->path,
                  what, strerrordesc_np(error), advice);
    if (err)
        err->sys_errno = error;
    return status;
}

hg_status hgi_shm_init(struct hgi_shm_file *shm, const char *directory, const char *name,
                       struct hg_error *err)
{
    if (!directory)
        directory = HGI_SHM_DIRECTORY;
    if (!name)
        return hgi_error_set(err, HG_ERR_VALIDATION, "the name of a shared breaker is NULL");
    size_t length = strlen(name);
    bool good = name[0] == '/' && length >= 2 && length < HGI_SHARED_NAME_SIZE;
    for (size_t i = 1; good && i < length; i++)
        good = name[i] > ' ' && name[i] < 0x7f && name[i] != '/';
    if (!good)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the name of a shared breaker is a slash and 1 to %d visible ASCII "
                             "characters that are no slash, like \"/orders\"",
                             HGI_SHARED_NAME_SIZE - 2);
    if (strlen(directory) >= sizeof shm->directory)
        return hgi_error_set(err, HG_ERR_VALIDATION, "%s: the path is too long", directory);
    hgi_copy_text(shm->directory, sizeof shm->directory, directory);
    hgi_copy_text(shm->name, sizeof shm->name, name);
    snprintf(shm->path, sizeof shm->path, "%s/herdgate.%s", shm->directory, name + 1);
    return HG_OK;
}

/* What the file system says of a file before anybody reads it. */
static hg_status check_file(const struct hgi_shm_file *shm, const struct stat *file,
                            struct hg_error *err)
{
    if (!S_ISREG(file->st_mode))
        return hgi_error_set(err, HG_ERR_VALIDATION, "shared breaker %s: %s is not a file",
                             shm->name, shm->path);
    if (file->st_uid != geteuid())
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "shared breaker %s (%s) belongs to user %u, and this process runs as "
                             "user %u; a breaker is shared by the processes of one user",
                             shm->name, shm->path, (unsigned)file->st_uid, (unsigned)geteuid());
    if (file->st_mode & (S_IRWXG | S_IRWXO))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "shared breaker %s (%s) has mode %04o, so that others could change "
                             "it; it must be 0600",
                             shm->name, shm->path, (unsigned)file->st_mode & 07777);
    if (file->st_size != HGI_SEGMENT_SIZE)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "shared breaker %s (%s) has %lld bytes and not %d: it is not a "
                             "breaker of this version, or damaged; remove it if nobody uses it",
                             shm->name, shm->path, (long long)file->st_size, HGI_SEGMENT_SIZE);
    return HG_OK;
}

/* Space for all of the file: of a sparse one too, which would be a SIGBUS where it is not. */
static int reserve(int fd)
{
    int error;
    do
        error = posix_fallocate(fd, 0, HGI_SEGMENT_SIZE);
    while (error == EINTR);
    return error;
}

hg_status hgi_shm_attach(const struct hgi_shm_file *shm, int *fd, struct hg_error *err)
{
    struct stat file;
    hg_status status;
    /* Not blocking: what is there may be a pipe. */
    *fd = open(shm->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0 && errno == ENOENT)
        return hgi_error_set(err, HG_ERR_NOT_FOUND, "there is no shared breaker %s (%s)", shm->name,
                             shm->path);
    if (*fd < 0 && errno == EACCES && lstat(shm->path, &file) == 0) {
        status = check_file(shm, &file, err);
        return status < 0 ? status : cannot(shm, "open it", EACCES, err);
    }
    if (*fd < 0)
        return cannot(shm, "open it", errno, err);
    if (fstat(*fd, &file) != 0) {
        status = cannot(shm, "look at it", errno, err);
    } else {
        status = check_file(shm, &file, err);
        int error = status == HG_OK ? reserve(*fd) : 0;
        if (error)
            status = cannot(shm, "reserve its space", error, err);
    }
    if (status < 0) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

static int fill(int fd, const struct hgi_segment *content)
{
    int error = fchmod(fd, S_IRUSR | S_IWUSR) == 0 ? reserve(fd) : errno;
    for (size_t done = 0; !error && done < sizeof *content;) {
        ssize_t wrote =
            pwrite(fd, (const char *)content + done, sizeof *content - done, (off_t)done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            error = errno;
    }
    return error;
}

hg_status hgi_shm_create(const struct hgi_shm_file *shm, const struct hgi_segment *content, int *fd,
                         struct hg_error *err)
{
    char self[32];
    hg_status status = HG_OK;
    int made = open(shm->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    *fd = -1;
    if (made < 0) /* a file system without O_TMPFILE sees a folder that is opened for writing */
        return cannot(shm, "make it", errno == EISDIR ? EOPNOTSUPP : errno, err);
    int error = fill(made, content);
    snprintf(self, sizeof self, "/proc/self/fd/%d", made);
    if (error)
        status = cannot(shm, "give it its space", error, err);
    else if (linkat(AT_FDCWD, self, AT_FDCWD, shm->path, AT_SYMLINK_FOLLOW) == 0)
        *fd = made;
    else if (errno != EEXIST)
        status =
            cannot(shm, errno == ENOENT ? "name it (is /proc mounted?)" : "name it", errno, err);
    if (*fd < 0)
        close(made);
    return status;
}

static hg_status remove_name(const struct hgi_shm_file *shm, int fd, struct hg_error *err)
{
    struct stat mine, named;
    if (fstat(fd, &mine) != 0)
        return cannot(shm, "look at it", errno, err);
    if (lstat(shm->path, &named) != 0)
        return errno == ENOENT ? HG_OK : cannot(shm, "look at it", errno, err);
    if (mine.st_ino == named.st_ino && mine.st_dev == named.st_dev && unlink(shm->path) != 0)
        return cannot(shm, "remove it", errno, err);
    return HG_OK;
}

/* False: another one holds the file. */
static bool try_to_remove(const struct hgi_shm_file *shm, int fd, hg_status *status,
                          struct hg_error *err)
{
    bool done = true;
    hgi_fork_hold();
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *status = remove_name(shm, fd, err);
        flock(fd, LOCK_UN);
    } else if (errno == EWOULDBLOCK || errno == EINTR) {
        done = false;
    } else {
        *status = cannot(shm, "lock it", errno, err);
    }
    hgi_fork_let();
    return done;
}

hg_status hgi_shm_unlink(const struct hgi_shm_file *shm, int fd, int64_t patience_ns,
                         struct hg_error *err)
{
    hg_status status;
    int64_t until_ns = hgi_deadline_after(hgi_now_ns(), patience_ns);
    while (!try_to_remove(shm, fd, &status, err)) {
        if (hgi_now_ns() >= until_ns)
            return hgi_error_set(err, HG_ERR_TIMEOUT,
                                 "shared breaker %s (%s): another process is removing it and does "
                                 "not go on; is it stopped?",
                                 shm->name, shm->path);
        hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    }
    return status;
}

uint64_t hgi_time_namespace(void)
{
    struct stat file;
    return stat("/proc/self/ns/time", &file) == 0 ? (uint64_t)file.st_ino : 0;
}
