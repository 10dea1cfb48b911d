/* What is known of each command.
 *
 * One table and a hashed index of its names, both made by tools/commands/generate. Names are fixed
 * fields padded with zeros, so hashing or comparing one takes four words, and the table needs no
 * relocation. A command with subcommands is a row of its own (what is true of a subcommand not known)
 * and each subcommand is a row: "CLIENT", "CLIENT LIST". Then the row's rule looks at the arguments.
 *
 * Invariants: no allocation; nothing is read beyond argc and the lengths; what is not in it is
 * WRITE_ONCE and opaque, since it may do anything.
 */
#include "policy/commands.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "breaker/hints.h"
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

/* The rows' numbers from 1, each at its name's place or at the next one that was free; 0: none. Less
 * than half of it is used, so every search ends. */
enum { INDEX_BITS = 10 };
static const uint16_t places[1 << INDEX_BITS] = {
#include "policy/command_index.inc"
};
static_assert(COUNT_OF(table) < COUNT_OF(places) / 2, "the index is sparse");
static_assert(HGI_NAME_SIZE == 32, "a name is four words");

/* A name that is looked for, as words of eight letters, the first one lowest: on most processors what the
 * table has in memory. They are made in registers: letters stored one by one and then read as a word would
 * stall the processor. */
struct name {
    uint64_t word[HGI_NAME_SIZE / 8];
};

/* Letters, at most eight, in upper case. False: one of them is no letter of a word. */
static bool pack(const char *letters, size_t count, uint64_t *word)
{
    uint64_t packed = 0;
    uint32_t below = 0; /* the highest bit: of a byte up to ' '. No name has one above '~' either */
    for (size_t i = count; i-- > 0;) {
        uint32_t letter = (unsigned char)letters[i];
        if (letter - 'a' < 26)
            letter -= 'a' - 'A';
        below |= letter - '!';
        packed = packed << 8 | letter;
    }
    *word = packed;
    return below >> 31 == 0;
}

/* One word of a command. False: no name is like it. */
static bool is_word(const char *letters, size_t length, struct name *name)
{
    if (length == 0 || length >= HGI_NAME_SIZE)
        return false;
    bool fit = true;
    *name = (struct name) { { 0 } };
    for (size_t at = 0; at < length && fit; at += 8)
        fit = pack(letters + at, length - at < 8 ? length - at : 8, &name->word[at / 8]);
    return fit;
}

static bool is_name(const struct name *name, const char text[static HGI_NAME_SIZE])
{
    uint64_t word[HGI_NAME_SIZE / 8];
    memcpy(word, text, sizeof word);
    return ((le64toh(word[0]) ^ name->word[0]) | (le64toh(word[1]) ^ name->word[1]) |
            (le64toh(word[2]) ^ name->word[2]) | (le64toh(word[3]) ^ name->word[3])) == 0;
}

/* Where in the index a name is, or would be. */
static uint32_t place_of(const struct name *name)
{
    const uint64_t *word = name->word;
    uint64_t mixed = word[0] + 3 * word[1] + 5 * word[2] + 7 * word[3];
    return (uint32_t)((mixed * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - INDEX_BITS));
}

static const struct command_row *find(const struct name *name)
{
    for (uint32_t at = place_of(name); places[at] != 0; at = (at + 1) % COUNT_OF(places)) {
        const struct command_row *row = &table[places[at] - 1];
        if (is_name(name, row->name))
            return row;
    }
    return NULL;
}

/* The first word of a command, as a name. */
static bool first_word(struct name *name, const struct hgi_arguments *a)
{
    return a->argc > 0 && is_word(a->argv[0], hgi_argument_length(a, 0), name);
}

/* The first two, with a space in between; the first one is a word. */
static HGI_OUTLINED bool two_words(struct name *name, const struct hgi_arguments *a)
{
    char text[HGI_NAME_SIZE];
    if (a->argc < 2)
        return false;
    size_t first = hgi_argument_length(a, 0), second = hgi_argument_length(a, 1);
    if (!is_word(a->argv[1], second, name) || first + 1 + second >= sizeof text)
        return false;
    memcpy(text, a->argv[0], first);
    text[first] = '_'; /* a space is in no word */
    memcpy(text + first + 1, a->argv[1], second);
    (void)is_word(text, first + 1 + second, name);
    name->word[first / 8] ^= (uint64_t)('_' ^ ' ') << 8 * (first % 8);
    return true;
}

static const struct command_row *row_of(const struct hgi_arguments *a)
{
    struct name name;
    if (!first_word(&name, a))
        return NULL;
    const struct command_row *row = find(&name);
    if (!row || !(row->marks & CONTAINER) || !two_words(&name, a))
        return row;
    const struct command_row *subcommand = find(&name);
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
    struct hgi_command_facts facts = { .kind = HGI_CLASS_WRITE_ONCE, .opaque = true };
    const struct command_row *row = row_of(&arguments);
    if (row) {
        facts.name = row->name;
        facts.kind = (enum hgi_class_kind)row->kind;
        facts.effect = (enum hgi_effect)row->effect;
        facts.key_index = key_of(row, &arguments);
        facts.opaque = row->marks & OPAQUE;
        if (row->rule != HGI_RULE_NONE)
            hgi_command_rule_apply((enum hgi_command_rule_id)row->rule, &arguments, &facts);
    }
    return facts;
}

bool hgi_command_allowed_in_pool(const struct hgi_command_facts *facts)
{
    return facts->effect == HGI_EFFECT_NONE;
}

/* The file's rule for a name, or NULL. They are sorted by name. */
static const struct hgi_command_rule *rule_of(const struct hgi_settings *settings,
                                              const struct name *wanted)
{
    char name[HGI_NAME_SIZE];
    for (size_t i = 0; i < COUNT_OF(wanted->word); i++) {
        const uint64_t word = htole64(wanted->word[i]);
        memcpy(name + 8 * i, &word, sizeof word);
    }
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

/* The file's rule for a command: for its first two words, or else for its first. */
static HGI_OUTLINED const struct hgi_command_rule *rule_for(const struct hgi_settings *settings,
                                                            int argc, const char *const *argv,
                                                            const size_t *lengths)
{
    struct hgi_arguments arguments = { argc, argv, lengths };
    struct name one, two;
    if (!first_word(&one, &arguments))
        return NULL;
    const struct hgi_command_rule *rule = NULL;
    if (two_words(&two, &arguments))
        rule = rule_of(settings, &two);
    return rule ? rule : rule_of(settings, &one);
}

const struct hgi_class *hgi_command_class(const struct hgi_settings *settings,
                                          const struct hgi_command_facts *facts, int argc,
                                          const char *const *argv, const size_t *lengths)
{
    const struct hgi_command_rule *rule =
        settings->command_count > 0 ? rule_for(settings, argc, argv, lengths) : NULL;
    return &settings->classes[rule ? rule->class_index : (uint32_t)facts->kind];
}
