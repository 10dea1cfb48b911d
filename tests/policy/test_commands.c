/* What the library says of commands, held against the samples and the sentences of the design. */
#include <assert.h>
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/commands.h"
#include "tests/policy/command_samples.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

static struct hgi_command_facts look(const char *line)
{
    struct words w;
    split(&w, line);
    return hgi_command_look(w.argc, w.argv, NULL);
}

Test(commands, every_sample_is_of_its_class_and_its_key_is_found)
{
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct hgi_command_facts facts = look(samples[i].line);
        cr_expect_not_null(facts.name, "%s", samples[i].line);
        cr_expect_eq(facts.kind, samples[i].kind, "%s: class %d", samples[i].line, facts.kind);
        cr_expect_eq(facts.key_index, samples[i].key_index, "%s: key %d", samples[i].line,
                     facts.key_index);
    }
}

/* Each word in its own memory, without a terminator, so that a sanitizer sees a byte too many. */
Test(commands, only_the_given_lengths_are_read)
{
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct words w;
        char *copies[WORDS_MAX];
        const char *argv[WORDS_MAX];
        split(&w, samples[i].line);
        for (int n = 0; n < w.argc; n++) {
            argv[n] = copies[n] = malloc(w.lengths[n] ? w.lengths[n] : 1);
            memcpy(copies[n], w.argv[n], w.lengths[n]);
        }
        struct hgi_command_facts facts = hgi_command_look(w.argc, argv, w.lengths);
        cr_expect_eq(facts.kind, samples[i].kind, "%s", samples[i].line);
        cr_expect_eq(facts.key_index, samples[i].key_index, "%s", samples[i].line);
        /* Cut anywhere, it is still judged without reading further. */
        for (int argc = 0; argc < w.argc; argc++) {
            facts = hgi_command_look(argc, argv, w.lengths);
            cr_expect_lt(facts.key_index, argc > 0 ? argc : 1, "%s", samples[i].line);
        }
        for (int n = 0; n < w.argc; n++)
            free(copies[n]);
    }
}

Test(commands, names_are_found_in_any_case_and_given_in_capitals)
{
    cr_expect_str_eq(look("get k").name, "GET");
    cr_expect_str_eq(look("GeT k").name, "GET");
    cr_expect_str_eq(look("client list").name, "CLIENT LIST");
    cr_expect_str_eq(look("Xgroup cReate s g 0").name, "XGROUP CREATE");
    cr_expect_str_eq(look("ACL").name, "ACL");
    cr_expect_str_eq(look("ZUNIONSTORE d 1 a").name, "ZUNIONSTORE");
}

Test(commands, every_name_of_the_table_is_found)
{
#define COMMAND(name, kind, effect, form, at, rule, marks) name,
    static const char *const names[] = {
#include "policy/command_table.inc"
    };
#undef COMMAND
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct hgi_command_facts facts = look(names[i]);
        cr_expect_not_null(facts.name, "%s", names[i]);
        if (facts.name)
            cr_expect_str_eq(facts.name, names[i]);
    }
}

Test(commands, what_is_not_known_is_write_once_and_proves_nothing)
{
    static const char *const unknown[] = {
        "FT.SEARCH i q", "GETX k", "GE k", "A", "ZZZZ", "AVERYLONGNAMETHATISNOTACOMMANDATALL k"
    };
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        struct hgi_command_facts facts = look(unknown[i]);
        cr_expect_null(facts.name, "%s", unknown[i]);
        cr_expect_eq(facts.kind, HGI_CLASS_WRITE_ONCE);
        cr_expect_eq(facts.key_index, 0);
        cr_expect(facts.opaque);
        cr_expect(hgi_command_allowed_in_pool(&facts));
    }
    cr_expect_null(hgi_command_look(0, NULL, NULL).name);
    static const struct {
        const char *bytes;
        size_t length;
    } odd[] = { { "", 0 },     { "GET\0", 4 },  { "\0", 1 },  { "GET ", 4 }, { "CLIENT LIST", 11 },
                { " GET", 4 }, { "G\xc5T", 3 }, { "GE\n", 3 } };
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        cr_expect_null(hgi_command_look(1, &odd[i].bytes, &odd[i].length).name, "odd %zu", i);
}

Test(commands, a_subcommand_that_is_not_known_is_judged_by_the_worst_of_its_command)
{
    cr_expect_str_eq(look("CONFIG FROB x").name, "CONFIG");
    cr_expect_eq(look("CONFIG FROB x").kind, HGI_CLASS_WRITE_ONCE);
    cr_expect(look("CONFIG FROB x").opaque);
    cr_expect_eq(look("CLIENT FROB").effect, HGI_EFFECT_LASTING);
    cr_expect_eq(look("CLIENT").effect, HGI_EFFECT_LASTING);
    cr_expect_str_eq(look("CLIENT ''").name, "CLIENT");
}

Test(commands, what_changes_the_connection_is_not_for_any_connection_of_a_pool)
{
    static const struct {
        const char *lines;
        enum hgi_effect effect;
    } promised[] = {
        { "MULTI", HGI_EFFECT_MULTI },
        { "EXEC\nDISCARD", HGI_EFFECT_EXEC },
        { "WATCH k", HGI_EFFECT_WATCH },
        { "UNWATCH", HGI_EFFECT_UNWATCH },
        { "SELECT 1\nSUBSCRIBE c\nPSUBSCRIBE c\nSSUBSCRIBE "
          "c\nUNSUBSCRIBE\nPUNSUBSCRIBE\nSUNSUBSCRIBE"
          "\nMONITOR\nAUTH p\nHELLO\nHELLO 3 AUTH u p\nCLIENT REPLY OFF\nCLIENT SETNAME x\n"
          "CLIENT TRACKING ON\nCLIENT CACHING YES\nCLIENT NO-EVICT ON\nCLIENT NO-TOUCH ON\n"
          "CLIENT SETINFO LIB-NAME x\nCLIENT CAPA "
          "redirect\nQUIT\nRESET\nREADONLY\nREADWRITE\nASKING\n"
          "SYNC\nPSYNC ? -1\nREPLCONF ACK 1\nSCRIPT DEBUG YES",
          HGI_EFFECT_LASTING },
        { "GET k\nSET k v\nEVAL return 0\nBLPOP l 1\nCLIENT LIST\nCLIENT KILL ID 1\nCLIENT "
          "ID\nCONFIG "
          "GET x\nSCRIPT LOAD x\nPUBLISH c m\nPING\nWAIT 0 1\nSHUTDOWN",
          HGI_EFFECT_NONE },
    };
    for (size_t i = 0; i < COUNT_OF(promised); i++) {
        char lines[512], *next = NULL;
        strncpy(lines, promised[i].lines, sizeof lines - 1);
        lines[sizeof lines - 1] = '\0';
        for (char *line = strtok_r(lines, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
            struct hgi_command_facts facts = look(line);
            cr_expect_not_null(facts.name, "%s", line);
            cr_expect_eq(facts.effect, promised[i].effect, "%s", line);
            cr_expect_eq(hgi_command_allowed_in_pool(&facts), facts.effect == HGI_EFFECT_NONE);
        }
    }
}

Test(commands, a_refusal_of_what_runs_other_commands_proves_nothing)
{
    static const char *const opaque[] = { "EVAL return 0",     "EVALSHA a 0", "EVAL_RO return 0",
                                          "EVALSHA_RO a 0",    "FCALL f 0",   "FCALL_RO f 0",
                                          "MIGRATE h 1 k 0 1", "EXEC",        "VADD k" };
    static const char *const clear[] = { "GET k", "SET k v", "BLPOP l 1", "CONFIG GET x", "MULTI" };
    for (size_t i = 0; i < COUNT_OF(opaque); i++)
        cr_expect(look(opaque[i]).opaque, "%s", opaque[i]);
    for (size_t i = 0; i < COUNT_OF(clear); i++)
        cr_expect_not(look(clear[i]).opaque, "%s", clear[i]);
}

/* A command, and how long it waits. */
struct wait {
    const char *line;
    int64_t block_ns;
};

static void expect_waits(const struct wait *waits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(look(waits[i].line).block_ns, waits[i].block_ns, "%s: %lld", waits[i].line,
                     (long long)look(waits[i].line).block_ns);
}

Test(commands, how_long_a_command_waits_is_read_as_the_server_reads_it)
{
    static const struct wait waits[] = {
        { "BLPOP a b 1", SECOND },
        { "BLPOP a 0", -1 },
        { "BLPOP a 0.0", -1 },
        { "BRPOP a 0.25", 250 * MS },
        { "BRPOP a .5", 500 * MS },
        { "BRPOP a 2.", 2 * SECOND },
        { "BZPOPMIN a +1", SECOND },
        { "BZPOPMAX a 1e2", 100 * SECOND },
        { "BZPOPMAX a 25e-2", 250 * MS },
        { "BZPOPMAX a 1E+1", 10 * SECOND },
        { "BLPOP a 0x10", 16 * SECOND },
        { "BLPOP a +0X1a", 26 * SECOND },
        { "BLPOP a 0x1.8P+1", 3 * SECOND },
        { "BLPOP a 0x10p-4", SECOND },
        { "BLPOP a 0x.8", 500 * MS },
        { "BLPOP a 0x0p9", -1 },
        { "BLPOP a -0", -1 },
        { "BLPOP a -1e-4", -1 },
        { "BRPOPLPUSH a b 3", 3 * SECOND },
        { "BLMOVE a b LEFT RIGHT 4", 4 * SECOND },
        { "BLMPOP 5 1 a LEFT", 5 * SECOND },
        { "BZMPOP 0 1 a MIN", -1 },
        { "XREAD BLOCK 1500 STREAMS s $", 1500 * MS },
        { "XREAD COUNT 1 BLOCK 0 STREAMS s $", -1 },
        { "XREAD STREAMS BLOCK 100", 0 },
        { "XREADGROUP GROUP g c BLOCK 20 STREAMS s >", 20 * MS },
        { "XREADGROUP GROUP BLOCK 7 STREAMS s >", 0 },
        { "XREADGROUP COUNT 1 BLOCK 20 GROUP g c STREAMS s >", 20 * MS },
        { "WAIT 1 100", 100 * MS },
        { "WAIT 1 0", -1 },
        { "WAITAOF 1 1 300", 300 * MS },
        { "GET k", 0 },
    };
    expect_waits(waits, COUNT_OF(waits));
}

Test(commands, a_wait_too_short_or_too_long_to_tell_is_the_shortest_or_the_longest)
{
    static const struct wait waits[] = {
        { "BLPOP a 1e-30", 1 },
        { "BLPOP a 9e15", INT64_C(4000000000000000000) },
        { "BLPOP a 5000000000", INT64_C(4000000000000000000) },
        { "XREAD BLOCK 9223372036854775 STREAMS s $", INT64_C(4000000000000000000) },
    };
    expect_waits(waits, COUNT_OF(waits));
}

Test(commands, what_the_server_refuses_at_once_does_not_wait)
{
    static const char *const lines[] = {
        "BLPOP",
        "BLPOP a -1",
        "BLPOP a x",
        "BLPOP a 1x",
        "BLPOP a ''",
        "BLPOP a .",
        "BLPOP a 1e",
        "BLPOP a nan",
        "BLPOP a inf",
        "BLPOP a 0x",
        "BLPOP a 0x1p",
        "BLPOP a 0xg",
        "BLPOP a 1p4",
        "BLPOP a --1",
        "BLPOP a -0.001",
        "BLPOP a ' 1'",
        "BLPOP a 1e300",
        "BLPOP a 1e99999999999999999999",
        "BLPOP a 99999999999999999999999999",
        "XREAD BLOCK +5 STREAMS s $",
        "XREAD BLOCK 05 STREAMS s $",
        "XREAD BLOCK 1e2 STREAMS s $",
        "XREAD BLOCK 0x10 STREAMS s $",
        "XREAD BLOCK 1.5 STREAMS s $",
        "XREAD BLOCK -1 STREAMS s $",
        "XREAD BLOCK '' STREAMS s $",
        "WAIT 1 9223372036854775808",
        "WAIT 1 9223372036854775809",
        "XREAD BLOCK",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        cr_expect_eq(look(lines[i]).block_ns, 0, "%s", lines[i]);
}

static struct hgi_settings settings_with(struct hgi_command_rule *rules, size_t count)
{
    struct hgi_settings settings;
    memset(&settings, 0, sizeof settings);
    settings.class_count = HGI_CLASS_KINDS + 1;
    settings.commands = rules;
    settings.command_count = count;
    return settings;
}

static long class_of(const struct hgi_settings *settings, const char *line)
{
    struct words w;
    split(&w, line);
    struct hgi_command_facts facts = hgi_command_look(w.argc, w.argv, NULL);
    return hgi_command_class(settings, &facts, w.argc, w.argv, NULL) - settings->classes;
}

Test(commands, the_files_own_word_on_a_command_comes_first)
{
    enum { OWN = HGI_CLASS_KINDS };
    struct hgi_command_rule rules[] = { { "CLIENT", HGI_CLASS_ADMIN },
                                        { "CLIENT LIST", OWN },
                                        { "CONFIG", OWN },
                                        { "FT.CONFIG", HGI_CLASS_READ },
                                        { "FT.CONFIG SET", HGI_CLASS_ADMIN },
                                        { "FT.SEARCH", HGI_CLASS_READ },
                                        { "GET", OWN } };
    struct hgi_settings plain = settings_with(NULL, 0),
                        ruled = settings_with(rules, COUNT_OF(rules));
    cr_expect_eq(class_of(&plain, "get k"), HGI_CLASS_READ);
    cr_expect_eq(class_of(&plain, "ft.search i q"), HGI_CLASS_WRITE_ONCE);
    cr_expect_eq(class_of(&plain, "SET k v NX"), HGI_CLASS_WRITE_ONCE);
    cr_expect_eq(class_of(&ruled, "get k"), OWN);
    cr_expect_eq(class_of(&ruled, "ft.search i q"), HGI_CLASS_READ);
    cr_expect_eq(class_of(&ruled, "ft.config get x"), HGI_CLASS_READ);
    cr_expect_eq(class_of(&ruled, "ft.config set x y"), HGI_CLASS_ADMIN);
    cr_expect_eq(class_of(&ruled, "ft.config"), HGI_CLASS_READ);
    cr_expect_eq(class_of(&ruled, "FT.SEARC i q"), HGI_CLASS_WRITE_ONCE);
    cr_expect_eq(class_of(&ruled, "client list"), OWN);
    cr_expect_eq(class_of(&ruled, "client id"), HGI_CLASS_ADMIN);
    cr_expect_eq(class_of(&ruled, "config get x"), OWN);
    cr_expect_eq(class_of(&ruled, "mget k"), HGI_CLASS_READ);
}

/* 31 letters, the space of two words included, are the longest name there is; one more is no name, and
 * nothing is read past its own. */
Test(commands, the_files_own_word_reaches_names_of_any_length_there_is)
{
    static const char longest[] = "A123456789012345678901234567890";
    struct hgi_command_rule rules[] = { { "A123456789012345 78901234567890", HGI_CLASS_ADMIN },
                                        { "A123456789012345678901234567890", HGI_CLASS_READ } };
    struct hgi_settings ruled = settings_with(rules, COUNT_OF(rules));
    static_assert(sizeof longest == HGI_NAME_SIZE, "the longest");
    cr_expect_eq(class_of(&ruled, longest), HGI_CLASS_READ);
    cr_expect_eq(class_of(&ruled, "a123456789012345678901234567890 k"), HGI_CLASS_READ);
    cr_expect_eq(class_of(&ruled, "A1234567890123456789012345678901"), HGI_CLASS_WRITE_ONCE);
    cr_expect_eq(class_of(&ruled, "A123456789012345678901234567890123456789"),
                 HGI_CLASS_WRITE_ONCE);
    cr_expect_eq(class_of(&ruled, "a123456789012345 78901234567890"), HGI_CLASS_ADMIN);
    cr_expect_eq(class_of(&ruled, "A123456789012345 789012345678901"), HGI_CLASS_WRITE_ONCE);
    cr_expect_eq(class_of(&ruled, "A123456789012345_78901234567890"), HGI_CLASS_WRITE_ONCE);
}

Test(commands, a_count_of_no_keys_is_followed_by_none)
{
    static const char *const without[] = { "EVAL s 0 a", "EVAL s 00 a", "FCALL f 0 a",
                                           "EVAL s x a", "EVAL s -1 a", "EVAL s '' a" };
    for (size_t i = 0; i < COUNT_OF(without); i++)
        cr_expect_eq(look(without[i]).key_index, 0, "%s", without[i]);
    cr_expect_eq(look("EVAL s 1 k").key_index, 3);
    cr_expect_eq(look("EVAL s 01 k").key_index, 3);
}
