/* herdgate-stress: load on a real Redis, and proof that the herd is tamed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <herdgate/version.h>

#include "tools/common/standard.h"
#include "tools/stress/breaker_memory.h"
#include "tools/stress/exits.h"
#include "tools/stress/subcommand.h"

static const char help[] =
    "herdgate-stress: load on a real Redis, and proof that the herd is tamed\n"
    "\n"
    "usage: herdgate-stress SUBCOMMAND [options]\n"
    "\n"
    "  concurrency   many threads share few connections: every reply is checked\n"
    "                against its command, every lease counted, nothing left over\n"
    "  herd          the server goes away and comes back while hundreds of threads\n"
    "                call: attempts, failures, recovery, several policies compared\n"
    "  breaker       a circuit breaker under load and outages: its trips, probes and\n"
    "                recovery counted against what it promises\n"
    "  chaos         faults of every kind from a seed, in a proxy and on a server of\n"
    "                its own, while everything that is promised is checked\n"
    "  soak          chaos for hours, a line a minute: memory, descriptors, p99\n"
    "  simulate      what each kind of backoff costs, on a virtual clock\n"
    "  report        the table and the page again, from what --json saved of a run\n"
    "\n"
    "  herdgate-stress SUBCOMMAND --help     its options and examples\n"
    "  herdgate-stress --version\n"
    "\n"
    "Examples:\n"
    "  herdgate-stress concurrency                64 threads, 8 connections, 10 s\n"
    "  herdgate-stress concurrency -t 64 -c 8 -d 1..1MiB --duration 30s\n"
    "  herdgate-stress herd --report=herd.html    about a minute, with pictures\n"
    "  herdgate-stress chaos --seed 7             30 s of all that can go wrong\n"
    "\n"
    "With no server given it starts a redis-server of its own on a temporary unix\n"
    "socket, and stops it. Exit: 0 pass, 1 assertion, 2 usage or policy,\n"
    "3 environment, 4 an invariant is broken, 130 interrupted. See\n"
    "herdgate-stress(1).\n";

const struct hgi_subcommand *const hgi_subcommands[] = { &hgi_concurrency, &hgi_herd, &hgi_breaker,
                                                         &hgi_chaos,       &hgi_soak, NULL };

/* Run the one of that name; -1: there is none. */
static int run_subcommand(const char *name, int count, char *const *arguments, const char *command)
{
    for (const struct hgi_subcommand *const *s = hgi_subcommands; *s; s++)
        if (strcmp(name, (*s)->name) == 0)
            return hgi_subcommand_main(*s, count, arguments, command);
    if (strcmp(name, "breaker-member") == 0) /* of breaker --shared; not for people */
        return hgi_breaker_member_main(count, arguments);
    if (strcmp(name, "report") == 0)
        return hgi_report_main(count, arguments);
    return strcmp(name, "simulate") == 0 ? hgi_simulate_main(count, arguments, command) : -1;
}

/* The command line as one text, without what may be a secret. Caller frees. */
static char *as_called(int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("herdgate-stress", out);
    for (int i = 1; i < argc; i++) {
        bool secret = strcmp(argv[i - 1], "-a") == 0 || strcmp(argv[i - 1], "--pass") == 0 ||
                      strcmp(argv[i - 1], "-u") == 0 || strcmp(argv[i - 1], "--url") == 0 ||
                      strncmp(argv[i], "--pass=", 7) == 0 || strncmp(argv[i], "--url=", 6) == 0 ||
                      (strncmp(argv[i], "-a", 2) == 0 && argv[i][2]) ||
                      (strncmp(argv[i], "-u", 2) == 0 && argv[i][2]);
        fprintf(out, " %s", secret ? "(hidden)" : argv[i]);
    }
    fclose(out);
    return text;
}

static int obey(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        fputs(help, stdout);
        return HGI_EXIT_PASS;
    }
    if (strcmp(name, "--version") == 0) {
        printf("herdgate-stress %s\n", hg_version());
        return HGI_EXIT_PASS;
    }
    char *command = as_called(argc, argv);
    int code = !command ? HGI_EXIT_ENVIRONMENT
               : *name  ? run_subcommand(name, argc - 2, argv + 2, command)
                        : -1;
    free(command);
    if (code >= 0)
        return code;
    if (*name)
        fprintf(stderr,
                "herdgate-stress: no subcommand '%s'; there are concurrency, herd, breaker, chaos, "
                "soak, simulate and report\n",
                name);
    else
        fputs(help, stderr);
    return HGI_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    hgi_standard_begin();
    return hgi_standard_end("herdgate-stress", obey(argc, argv));
}
