/* Files of results; see output.h. */
#include "tools/common/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool hgi_output_file(const char *path, hgi_output_fn write, const void *arg,
                     struct hgi_problem *problem)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof temporary)
        return hgi_problem_set(problem, "%s: the path is too long", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    mode_t mask = umask(0);
    umask(mask);
    FILE *file = fdopen(fd, "w");
    bool well = file || hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    if (!file)
        close(fd);
    well = well && write(file, arg, problem);
    if (well && (fflush(file) != 0 || ferror(file) || fchmod(fd, 0666 & ~mask) != 0))
        well = hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    if (file && fclose(file) != 0 && well)
        well = hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    if (well && rename(temporary, path) != 0)
        well = hgi_problem_set(problem, "%s: %s", path, strerror(errno));
    if (!well)
        unlink(temporary);
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
    bool well = to_stdout ? write_text(stdout, text, problem) && fflush(stdout) == 0
                          : hgi_output_file(path, write_text, text, problem);
    cJSON_free(text);
    return well;
}
