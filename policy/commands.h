/* What is known of each command of the server: its class, where its key is, what it does to the
 * connection. From the servers' own COMMAND output plus a hand-checked column. */
#ifndef HERDGATE_POLICY_COMMANDS_H
#define HERDGATE_POLICY_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/settings.h"

/* What a command leaves behind on its connection. */
enum hgi_effect {
    HGI_EFFECT_NONE,
    HGI_EFFECT_MULTI, /* opens a transaction */
    HGI_EFFECT_EXEC,  /* ends one, with its watches (EXEC, DISCARD) */
    HGI_EFFECT_WATCH,
    HGI_EFFECT_UNWATCH,
    HGI_EFFECT_LASTING /* cannot be undone here: SELECT, SUBSCRIBE, AUTH, CLIENT REPLY, ... */
};

struct hgi_command_facts {
    const char *name;         /* upper case, "SET", "CLIENT LIST"; NULL: not in the table */
    enum hgi_class_kind kind; /* with the arguments taken into account */
    enum hgi_effect effect;
    int key_index;    /* of the first key in argv; 0: none */
    int64_t block_ns; /* blocking: its own timeout; < 0: for ever; 0: does not block */
    bool opaque;      /* a refusal proves nothing: a script, a module's, MIGRATE, not known */
};

/* What argv is. argv[0] is the command; lengths NULL: C strings. Unknown commands are WRITE_ONCE
 * and opaque, with no key. Pure, no allocation, any case. */
struct hgi_command_facts hgi_command_look(int argc, const char *const *argv, const size_t *lengths);

/* Whether it may go to any connection of a pool: it leaves nothing behind on the one it had. */
bool hgi_command_allowed_in_pool(const struct hgi_command_facts *facts);

/* The class for it under these settings: the file's "commands" first (of the first two words before
 * that of the first: "CLIENT LIST" before "CLIENT", "FT.CONFIG SET" before "FT.CONFIG"), then `facts`,
 * which are those of the same argv. argc is 1 at the least. */
const struct hgi_class *hgi_command_class(const struct hgi_settings *settings,
                                          const struct hgi_command_facts *facts, int argc,
                                          const char *const *argv, const size_t *lengths);

#endif
