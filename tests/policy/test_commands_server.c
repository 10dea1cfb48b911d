/* The table of commands, held against what a running server says of itself. A command that a server
 * of a pinned version has and the table has not is a failure; of another version, a warning: it is
 * treated as write_once, the safe side. */
#include <stdio.h>
#include <string.h>

#include "policy/commands.h"
#include "tests/tools/check.h"
#include "tools/common/private_server.h"

/* Those that tools/commands has lists of. */
static const char *const pinned[] = { "redis_version:7.0.15\r", "redis_version:8.0.2\r",
                                      "valkey_version:8.1.1\r" };

struct tally {
    unsigned commands;
    unsigned missing;
    unsigned contrary;
};

static bool is_pinned(struct hgi_private_server *server)
{
    redisReply *reply = hgi_private_server_command(server, NULL, "INFO server");
    bool found = false;
    CHECK(reply && reply->str);
    for (size_t i = 0; i < sizeof pinned / sizeof pinned[0]; i++)
        found = found || strstr(reply->str, pinned[i]);
    freeReplyObject(reply);
    return found;
}

static bool has_flag(const redisReply *flags, const char *name)
{
    for (size_t i = 0; i < flags->elements; i++)
        if (strcmp(flags->element[i]->str, name) == 0)
            return true;
    return false;
}

/* These write or not by their arguments, which test_commands.c tries one by one. */
static bool depends_on_arguments(const char *name)
{
    static const char *const names[] = { "bitfield", "georadius", "georadiusbymember", "sort" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void check_command(const redisReply *command, struct tally *tally)
{
    const char *name = command->element[0]->str;
    const redisReply *flags = command->element[2];
    char words[128];
    snprintf(words, sizeof words, "%s", name);
    char *bar = strchr(words, '|');
    if (bar)
        *bar = '\0';
    const char *argv[2] = { words, bar ? bar + 1 : NULL };
    struct hgi_command_facts facts = hgi_command_look(bar ? 2 : 1, argv, NULL);
    tally->commands++;
    if (!facts.name || (bar && !strchr(facts.name, ' '))) {
        printf("the table has no %s\n", name);
        tally->missing++;
        return;
    }
    /* What the server flags as a write is never repeated as if it were a read. */
    if (has_flag(flags, "write") && facts.kind == HGI_CLASS_READ && !depends_on_arguments(name)) {
        printf("%s writes, and the table has it as a read\n", name);
        tally->contrary++;
    }
    if (has_flag(flags, "readonly") &&
        (facts.kind == HGI_CLASS_WRITE || facts.kind == HGI_CLASS_WRITE_ONCE)) {
        printf("%s reads, and the table has it as a write\n", name);
        tally->contrary++;
    }
    if (command->elements > 9) {
        const redisReply *subcommands = command->element[9];
        for (size_t i = 0; i < subcommands->elements; i++)
            check_command(subcommands->element[i], tally);
    }
}

int main(void)
{
    struct hgi_private_server *server;
    struct hgi_problem problem;
    struct tally tally = { 0 };
    if (!hgi_private_server_start(&server, NULL, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    bool known = is_pinned(server);
    redisReply *reply = hgi_private_server_command(server, &problem, "COMMAND");
    CHECK(reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 200);
    for (size_t i = 0; i < reply->elements; i++)
        check_command(reply->element[i], &tally);
    freeReplyObject(reply);
    hgi_private_server_free(server);
    printf("%u commands and subcommands of %s server: %u missing, %u contrary\n", tally.commands,
           known ? "a pinned" : "another", tally.missing, tally.contrary);
    if (tally.missing > 0 && !known)
        printf("warning: harvest this server's list with tools/commands/harvest\n");
    return tally.contrary > 0 || (tally.missing > 0 && known);
}
