/* The three standard streams; see standard.h. */
#include "tools/common/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/exit_codes.h"

void hgi_standard_begin(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR); /* takes the lowest number that is free */
    if (fd > STDERR_FILENO)
        close(fd);
}

int hgi_standard_end(const char *program, int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "%s: cannot write to stdout: %s\n", program,
            errno ? strerror(errno) : "an earlier write failed");
    return code == HGI_EXIT_PASS ? HGI_EXIT_ENVIRONMENT : code;
}
