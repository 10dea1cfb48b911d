/* herdgate-bench: what the library's parts cost, as ratios within one run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/version.h>

#include "tools/bench/bench.h"
#include "tools/common/standard.h"

static const char help[] =
    "herdgate-bench: what the library's parts cost, as ratios within one run\n"
    "\n"
    "usage: herdgate-bench SUBCOMMAND [options]\n"
    "\n"
    "  breaker   a call's way through the circuit breaker, against a floor of one\n"
    "            load behind the same two calls and against a breaker behind a mutex\n"
    "  pool      taking and giving back a connection, GET end to end, what the\n"
    "            settings of fairness cost in throughput and in the tail, and\n"
    "            what a deadline is worth\n"
    "\n"
    "  herdgate-bench SUBCOMMAND --help     its options\n"
    "  herdgate-bench --version\n"
    "\n"
    "Exit: 0 measured, 1 --check: a promise is not kept, 2 usage, 3 environment. See\n"
    "herdgate-bench(1).\n";

static const struct {
    const char *name;
    int (*run)(int count, char *const *arguments, const char *command);
} subcommands[] = {
    { "breaker", hgi_bench_breaker_main },
    { "pool", hgi_bench_pool_main },
};

/* The command line as one text. Caller frees. */
static char *as_called(int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("herdgate-bench", out);
    for (int i = 1; i < argc; i++)
        fprintf(out, " %s", argv[i]);
    fclose(out);
    return text;
}

static int obey(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        printf("herdgate-bench %s\n", hg_version());
        return 0;
    }
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (strcmp(name, subcommands[i].name) != 0)
            continue;
        char *command = as_called(argc, argv);
        int code = command ? subcommands[i].run(argc - 2, argv + 2, command) : 3;
        free(command);
        return code;
    }
    if (*name)
        fprintf(stderr, "herdgate-bench: no subcommand '%s'; there are breaker and pool\n", name);
    else
        fputs(help, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    hgi_standard_begin();
    return hgi_standard_end("herdgate-bench", obey(argc, argv));
}
