/* Files of results; see output.h. */
#include "tools/common/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Write into it, and close it. */
static bool fill(int fd, const char *path, hgi_output_fn write, const void *arg,
                 struct hgi_problem *problem)
{
    FILE *file = fdopen(fd, "w");
    if (!file) {
        hgi_problem_set(problem, "%s: %s", path, strerror(errno));
        close(fd);
        return false;
    }
    errno = 0;
    bool well = write(file, arg, problem);
    if ((well && fflush(file) != 0) || ferror(file)) /* which says more than who wrote can */
        well = hgi_problem_set(problem, "%s: %s", path, strerror(errno ? errno : EIO));
    if (fclose(file) != 0 && well)
        well = hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    return well;
}

/* A pipe, a terminal, /dev/null: what must not be replaced by a file. */
static bool output_to(const char *path, hgi_output_fn write, const void *arg,
                      struct hgi_problem *problem)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    return fill(fd, path, write, arg, problem);
}

/* A file beside it, which becomes it when it is whole. -1: *problem says. */
static int open_beside(char temporary[PATH_MAX], const char *path, struct hgi_problem *problem)
{
    int length = snprintf(temporary, PATH_MAX, "%s.XXXXXX", path);
    if (length < 0 || length >= PATH_MAX) {
        hgi_problem_set(problem, "%s: the path is too long", path);
        return -1;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        hgi_problem_set(problem, "cannot write %s: %s", path, strerror(errno));
    return fd;
}

static bool output_whole(const char *path, hgi_output_fn write, const void *arg,
                         struct hgi_problem *problem)
{
    char temporary[PATH_MAX];
    int fd = open_beside(temporary, path, problem);
    if (fd < 0)
        return false;
    mode_t mask = umask(0);
    umask(mask);
    bool well =
        fchmod(fd, 0666 & ~mask) == 0 || hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    if (well)
        well = fill(fd, path, write, arg, problem);
    else
        close(fd);
    if (well && rename(temporary, path) != 0)
        well = hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    if (!well)
        unlink(temporary);
    return well;
}

bool hgi_output_possible(const char *path, struct hgi_problem *problem)
{
    struct stat status;
    char temporary[PATH_MAX];
    bool there = stat(path, &status) == 0;
    if (there && !S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) || access(path, W_OK) != 0
                   ? hgi_problem_set(problem, "cannot write %s: %s", path,
                                     strerror(S_ISDIR(status.st_mode) ? EISDIR : errno))
                   : true;
    char *real = realpath(path, NULL);
    int fd = open_beside(temporary, real ? real : path, problem);
    free(real);
    if (fd < 0)
        return false;
    unlink(temporary);
    close(fd);
    return true;
}

bool hgi_output_file(const char *path, hgi_output_fn write, const void *arg,
                     struct hgi_problem *problem)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return output_to(path, write, arg, problem);
    /* The file that a link names is replaced, and the link stays. */
    char *real = realpath(path, NULL);
    bool well = output_whole(real ? real : path, write, arg, problem);
    free(real);
    return well;
}

static bool write_text(FILE *out, const void *arg, struct hgi_problem *problem)
{
    const char *text = arg;
    if (fputs(text, out) < 0 || fputc('\n', out) < 0)
        return hgi_problem_set(problem, "cannot write: %s", strerror(errno));
    return true;
}

bool hgi_output_json(const char *path, const cJSON *json, struct hgi_problem *problem)
{
    char *text = cJSON_Print(json);
    if (!text)
        return hgi_problem_set(problem, "out of memory");
    bool to_stdout = !*path || strcmp(path, "-") == 0;
    bool well = to_stdout ? write_text(stdout, text, problem)
                          : hgi_output_file(path, write_text, text, problem);
    if (to_stdout && well && fflush(stdout) != 0)
        well = hgi_problem_set(problem, "cannot write: %s", strerror(errno));
    cJSON_free(text);
    return well;
}
