/* What a command's arguments change in what is known of it. One function for each rule that
 * tools/commands/idempotency.tsv names. Pure. */
#ifndef HERDGATE_POLICY_COMMAND_RULES_H
#define HERDGATE_POLICY_COMMAND_RULES_H

#include <string.h>

#include "policy/commands.h"

/* A command as it was given. */
struct hgi_arguments {
    int argc;
    const char *const *argv;
    const size_t *lengths; /* NULL: C strings */
};

enum hgi_command_rule_id {
    HGI_RULE_NONE,
    HGI_RULE_ACL_LOG,
    HGI_RULE_BITFIELD,
    HGI_RULE_BLOCK_FIRST_SECONDS,
    HGI_RULE_BLOCK_LAST_MILLISECONDS,
    HGI_RULE_BLOCK_LAST_SECONDS,
    HGI_RULE_EXPIRE,
    HGI_RULE_GEORADIUS,
    HGI_RULE_GEORADIUSBYMEMBER,
    HGI_RULE_GETEX,
    HGI_RULE_HASH_OPTIONS,
    HGI_RULE_HGETEX,
    HGI_RULE_LREM,
    HGI_RULE_LTRIM,
    HGI_RULE_MIGRATE,
    HGI_RULE_REPLACE,
    HGI_RULE_SET,
    HGI_RULE_SORT,
    HGI_RULE_STORE_AT_1,
    HGI_RULE_STORE_AT_2,
    HGI_RULE_XADD,
    HGI_RULE_XREAD,
    HGI_RULE_XTRIM,
    HGI_RULE_ZADD,
    HGI_RULES
};

/* Change what the table says (kind, key_index, block_ns) by the arguments. */
void hgi_command_rule_apply(enum hgi_command_rule_id rule, const struct hgi_arguments *arguments,
                            struct hgi_command_facts *facts);

/* The length of an argument that there is. */
static inline size_t hgi_argument_length(const struct hgi_arguments *arguments, int index)
{
    return arguments->lengths ? arguments->lengths[index] : strlen(arguments->argv[index]);
}

/* The argument is this word, in any case. False if there is no such argument. */
bool hgi_argument_is(const struct hgi_arguments *arguments, int index, const char *word);

#endif
