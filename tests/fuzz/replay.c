/* In the place of libFuzzer: run the target on every file of the given folders, as a plain test.
 *
 *     fuzz_url_replay FOLDER...
 *
 * A folder that is not there is an error unless its name begins with '?'. It ends well only if there
 * was a file at all. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/property.h"

enum { INPUT_MAX = 1 << 22 };

static unsigned run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    PROPERTY(file && data);
    size_t size = fread(data, 1, INPUT_MAX, file);
    PROPERTY(size < INPUT_MAX && !ferror(file));
    fclose(file);
    /* The name stands above what a failing property says. */
    fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static unsigned run_folder(const char *folder)
{
    unsigned count = 0;
    DIR *directory = opendir(folder[0] == '?' ? folder + 1 : folder);
    if (!directory && folder[0] == '?')
        return 0;
    folder += folder[0] == '?';
    if (!directory) {
        fprintf(stderr, "%s is not there\n", folder);
        exit(1);
    }
    for (struct dirent *each = readdir(directory); each; each = readdir(directory)) {
        char path[1024];
        struct stat about;
        snprintf(path, sizeof path, "%s/%s", folder, each->d_name);
        if (stat(path, &about) == 0 && S_ISREG(about.st_mode))
            count += run_file(path);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++)
        count += run_folder(argv[i]);
    (void)LLVMFuzzerTestOneInput(NULL, 0);
    printf("%u inputs\n", count);
    return count == 0;
}
