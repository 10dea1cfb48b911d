/* The README's program, run as printed against a private server, and its policy files, parsed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/pool/support.h"

static void policy_files_parse(void)
{
    require(setenv("REDIS_PASSWORD", "unused", 1) == 0);
    for (int nth = 1; nth <= 2; nth++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/readme_policy_%d.json", README_FOLDER, nth);
        hg_policy *policy;
        struct hg_error err = HG_ERROR_INIT;
        if (hg_policy_load(&policy, path, &err) < 0)
            fprintf(stderr, "%s\n", err.message);
        require(policy != NULL);
        hg_policy_drop(policy);
    }
}

static void write_policy(const char *path, const char *url)
{
    FILE *file = fopen(path, "w");
    require(file != NULL);
    fprintf(file, "{ \"server\": { \"url\": \"%s\" } }\n", url);
    require(fclose(file) == 0);
}

/* The program's output, and its exit status. */
static int run_program(const char *policy, char *output, size_t size)
{
    char command[2048];
    snprintf(command, sizeof command, "'%s' '%s' 2>&1", README_PROGRAM, policy);
    FILE *pipe = popen(command, "r");
    require(pipe != NULL);
    size_t length = fread(output, 1, size - 1, pipe);
    output[length] = '\0';
    return pclose(pipe);
}

int main(void)
{
    char policy[1024];
    char output[1024];
    policy_files_parse();
    struct hgi_private_server *server = start_server();
    snprintf(policy, sizeof policy, "%s/readme_run_%d.json", README_FOLDER, (int)getpid());
    write_policy(policy, hgi_private_server_url(server));
    require(run_program(policy, output, sizeof output) == 0);
    require(strcmp(output, "hello, herd\n") == 0);
    hgi_private_server_free(server);
    require(run_program(policy, output, sizeof output) != 0);
    printf("without a server it says: %s", output);
    require(strncmp(output, "unix:", 5) == 0); /* it says where */
    require(unlink(policy) == 0);
    require(run_program("/nonexistent/herdgate.json", output, sizeof output) != 0);
    require(strstr(output, "/nonexistent/herdgate.json") != NULL);
    return 0;
}
