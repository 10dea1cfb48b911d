/* What is known of each command.
 *
 * One sorted table, made by tools/commands/generate, searched by halving. Names are fixed fields
 * padded with zeros, so comparing two is one memcmp and the table needs no relocation. A command
 * with subcommands is a row of its own (what is true of a subcommand not known) and each subcommand
 * is a row: "CLIENT", "CLIENT LIST". Then the row's rule looks at the arguments.
 *
 * Invariants: no allocation; nothing is read beyond argc and the lengths; what is not in it is
 * WRITE_ONCE and opaque, since it may do anything.
 */
#include "policy/commands.h"

#include <string.h>

#include "policy/command_rules.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Where a command's first key is. */
enum key_form {
    KEY_NONE,
    KEY_AT,            /* argv[at] */
    KEY_BEHIND_COUNT,  /* argv[at] is the count of keys; argv[at + 1], if that is not 0 */
    KEY_BEHIND_STREAMS /* behind the word STREAMS, looked for from argv[at] on */
};

enum mark { OPAQUE = 1, CONTAINER = 2 };

struct command_row {
    char name[HGI_NAME_SIZE];
    unsigned char kind;
    unsigned char effect;
    unsigned char key_form;
    unsigned char key_at;
    unsigned char rule;
    unsigned char marks;
};

#define COMMAND(name, kind, effect, form, at, rule, marks) \
    { name, HGI_CLASS_##kind, HGI_EFFECT_##effect, KEY_##form, at, HGI_RULE_##rule, marks },
static const struct command_row table[] = {
#include "policy/command_table.inc"
};
#undef COMMAND

/* Add a word in upper case to a name padded with zeros. False: it is no word of any name. */
static bool add_word(char name[static HGI_NAME_SIZE], size_t at, const char *word, size_t length)
{
    if (length == 0 || at + length >= HGI_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = word[i];
        if (c <= ' ' || c > '~')
            return false;
        name[at + i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return true;
}

static const struct command_row *find(const char name[static HGI_NAME_SIZE])
{
    size_t low = 0, high = COUNT_OF(table);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(name, table[middle].name, HGI_NAME_SIZE);
        if (order == 0)
            return &table[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* The first word of a command, as a name. */
static bool first_word(char name[static HGI_NAME_SIZE], const struct hgi_arguments *a)
{
    memset(name, 0, HGI_NAME_SIZE);
    return a->argc > 0 && add_word(name, 0, a->argv[0], hgi_argument_length(a, 0));
}

/* A space and the second behind the first. */
static bool second_word(char name[static HGI_NAME_SIZE], const struct hgi_arguments *a)
{
    size_t length = strlen(name);
    if (a->argc < 2 || !add_word(name, length + 1, a->argv[1], hgi_argument_length(a, 1)))
        return false;
    name[length] = ' ';
    return true;
}

static const struct command_row *row_of(const struct hgi_arguments *a)
{
    char name[HGI_NAME_SIZE];
    if (!first_word(name, a))
        return NULL;
    const struct command_row *row = find(name);
    if (!row || !(row->marks & CONTAINER) || !second_word(name, a))
        return row;
    const struct command_row *subcommand = find(name);
    return subcommand ? subcommand : row;
}

/* A count of keys that is a number and not 0. */
static bool counts_some(const struct hgi_arguments *a, int index)
{
    size_t length = hgi_argument_length(a, index), zeros = 0;
    for (size_t i = 0; i < length; i++) {
        if (a->argv[index][i] < '0' || a->argv[index][i] > '9')
            return false;
        zeros += a->argv[index][i] == '0';
    }
    return zeros < length;
}

static int key_of(const struct command_row *row, const struct hgi_arguments *a)
{
    int at = row->key_at;
    switch ((enum key_form)row->key_form) {
    case KEY_AT:
        break;
    case KEY_BEHIND_COUNT:
        if (at >= a->argc || !counts_some(a, at))
            return 0;
        at++;
        break;
    case KEY_BEHIND_STREAMS:
        while (at < a->argc && !hgi_argument_is(a, at, "STREAMS"))
            at++;
        at++;
        break;
    case KEY_NONE:
    default:
        return 0;
    }
    return at < a->argc ? at : 0;
}

struct hgi_command_facts hgi_command_look(int argc, const char *const *argv, const size_t *lengths)
{
    struct hgi_arguments arguments = { argc, argv, lengths };
    const struct command_row *row = row_of(&arguments);
    if (!row)
        return (struct hgi_command_facts) { .kind = HGI_CLASS_WRITE_ONCE, .opaque = true };
    struct hgi_command_facts facts = { .name = row->name,
                                       .kind = (enum hgi_class_kind)row->kind,
                                       .effect = (enum hgi_effect)row->effect,
                                       .key_index = key_of(row, &arguments),
                                       .opaque = row->marks & OPAQUE };
    hgi_command_rule_apply((enum hgi_command_rule_id)row->rule, &arguments, &facts);
    return facts;
}

bool hgi_command_allowed_in_pool(const struct hgi_command_facts *facts)
{
    return facts->effect == HGI_EFFECT_NONE;
}

/* The file's rule for a name, or NULL. They are sorted by name. */
static const struct hgi_command_rule *rule_of(const struct hgi_settings *settings, const char *name)
{
    size_t low = 0, high = settings->command_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, settings->commands[middle].name);
        if (order == 0)
            return &settings->commands[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct hgi_class *hgi_command_class(const struct hgi_settings *settings,
                                          const struct hgi_command_facts *facts, int argc,
                                          const char *const *argv, const size_t *lengths)
{
    struct hgi_arguments arguments = { argc, argv, lengths };
    char word[HGI_NAME_SIZE], words[HGI_NAME_SIZE];
    const struct hgi_command_rule *rule = NULL;
    if (settings->command_count > 0 && first_word(word, &arguments)) {
        memcpy(words, word, sizeof words);
        if (second_word(words, &arguments))
            rule = rule_of(settings, words);
        if (!rule)
            rule = rule_of(settings, word);
    }
    return &settings->classes[rule ? rule->class_index : (uint32_t)facts->kind];
}
