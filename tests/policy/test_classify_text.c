/* What is shown of a server's error: nothing that a caller sent. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "policy/classify.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *shown(const char *text)
{
    static char out[384];
    memset(out, 'x', sizeof out);
    hgi_server_error_text(text, strlen(text), out, sizeof out);
    return out;
}

Test(server_text, known_texts_are_shown_without_what_varies)
{
    static const char *const pairs[][2] = {
        { "ERR unknown command 'FOO', with args beginning with: 'secret' ", "ERR unknown command" },
        { "ERR unknown subcommand 'secret'. Try CLIENT HELP.", "ERR unknown subcommand" },
        { "ERR wrong number of arguments for 'get' command", "ERR wrong number of arguments" },
        { "ERR value is not an integer or out of range", NULL },
        { "WRONGPASS invalid username-password pair or user is disabled.",
          "WRONGPASS invalid username-password pair or user is disabled" },
        { "WRONGTYPE Operation against a key holding the wrong kind of value script: 1f, on @u:1.",
          "WRONGTYPE Operation against a key holding the wrong kind of value" },
        { "NOPERM this user has no permissions to run the 'secret' command",
          "NOPERM this user has no permissions to run the command" },
        { "NOPERM User secret has no permissions to run the 'set' command",
          "NOPERM this user has no permissions to run the command" },
        { "NOGROUP No such key 'secret' or consumer group 'g'",
          "NOGROUP no such key or consumer group" },
        { "MOVED 8579 127.0.0.1:7000", "MOVED (herdgate speaks to one server; this is a cluster)" },
        { "CLUSTERDOWN The cluster is down and only accepts read commands", NULL },
        { "ERR max number of clients reached", NULL },
        { "LOADING Redis is loading the dataset in memory", NULL },
        { "LOADING Valkey is loading the dataset in memory", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        cr_expect_str_eq(shown(pairs[i][0]), pairs[i][1] ? pairs[i][1] : pairs[i][0]);
}

Test(server_text, of_an_unknown_text_only_the_code_is_shown)
{
    cr_expect_str_eq(shown("ERR secret"), "ERR (more is not shown)");
    cr_expect_str_eq(shown("MYMODULE secret"), "MYMODULE (more is not shown)");
    cr_expect_str_eq(shown("LOADING"), "LOADING");
    cr_expect_str_eq(shown("secret words"), "an error without a code (not shown)");
    cr_expect_str_eq(shown(""), "an error without a code (not shown)");
    cr_expect_str_eq(shown("LOADINGsecret"), "an error without a code (not shown)");
}

Test(server_text, no_argument_is_shown_wherever_it_stands)
{
    static const char *const templates[] = {
        "ERR unknown command '%s', with args beginning with: '%s' '%s'",
        "ERR unknown command '%s'",
        "ERR Unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
        "ERR Invalid argument '%s'",
        "ERR CONFIG SET failed (possibly related to argument '%s') - %s",
        "ERR Error in ACL SETUSER modifier '%s': Syntax error",
        "ERR Unrecognized option or bad number of args for: '%s'",
        "NOPERM User %s has no permissions to run the '%s' command",
        "NOGROUP No such consumer group '%s' for key name '%s'",
        "EXECABORT Transaction discarded because of: NOPERM %s",
        "MISCONF Errors writing to the AOF file: %s",
        "ERR user_script:1: %s script: f, on @user_script:1.",
        "%s",
        "%s is not a code",
        "ERR %s",
        "WEIRD%s %s",
    };
    for (size_t i = 0; i < COUNT_OF(templates); i++) {
        char text[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, templates[i], "s3cret", "s3cret", "s3cret");
#pragma GCC diagnostic pop
        cr_expect_null(strstr(shown(text), "s3cret"), "%s -> %s", text, shown(text));
    }
}

Test(server_text, the_text_is_cut_to_the_room_there_is_and_terminated)
{
    char out[8];
    const char *text = "LOADING Redis is loading the dataset in memory";
    for (size_t size = 1; size <= sizeof out; size++) {
        memset(out, 'x', sizeof out);
        hgi_server_error_text(text, strlen(text), out, size);
        cr_expect_eq(strlen(out), size - 1);
        cr_expect_eq(memcmp(out, text, size - 1), 0);
    }
    memset(out, 'x', sizeof out);
    hgi_server_error_text(text, strlen(text), out, 0);
    cr_expect_eq(out[0], 'x');
}

Test(server_text, only_the_given_length_is_read)
{
    char out[64];
    hgi_server_error_text("BUSYGROUP Consumer", 4, out, sizeof out);
    cr_expect_str_eq(out, "BUSY");
}
