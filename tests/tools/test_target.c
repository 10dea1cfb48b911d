/* The server that a tool is pointed at: flags and URLs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/target.h"

static struct hgi_target target;
static struct hgi_problem problem;

static bool from(struct hgi_target_flags flags)
{
    unsetenv("REDISCLI_AUTH");
    return hgi_target_from_flags(&target, &flags, &problem);
}

Test(target, no_flag_names_no_server)
{
    cr_assert(from((struct hgi_target_flags) { 0 }));
    cr_assert_not(target.given);
}

Test(target, flags_are_those_of_redis_cli)
{
    cr_assert(from((struct hgi_target_flags) { .host = "db", .port = 7000, .user = "me" }));
    cr_assert(target.given && target.port == 7000);
    cr_assert_str_eq(target.host, "db");
    cr_assert_str_eq(target.text, "db:7000");
    cr_assert_str_eq(target.user, "me");
    cr_assert(from((struct hgi_target_flags) { .socket = "/run/r.sock" }));
    cr_assert_str_eq(target.text, "unix:/run/r.sock");
}

Test(target, flags_that_name_two_servers_are_refused)
{
    cr_assert_not(from((struct hgi_target_flags) { .url = "redis://a", .port = 1 }));
    cr_assert(strstr(problem.text, "-u stands alone"));
    cr_assert_not(from((struct hgi_target_flags) { .socket = "/s", .host = "a" }));
    cr_assert(strstr(problem.text, "-s stands alone"));
}

Test(target, the_password_may_come_from_the_environment_and_the_flag_goes_first)
{
    struct hgi_target_flags flags = { .host = "a" };
    setenv("REDISCLI_AUTH", "from outside", 1);
    cr_assert(hgi_target_from_flags(&target, &flags, &problem));
    cr_assert_str_eq(target.password, "from outside");
    flags.password = "given";
    cr_assert(hgi_target_from_flags(&target, &flags, &problem));
    cr_assert_str_eq(target.password, "given");
    unsetenv("REDISCLI_AUTH");
}

Test(target, urls_are_read_in_all_their_parts)
{
    cr_assert(hgi_target_parse(&target, "redis://us%40er:p%3Aw@[::1]:7001/3", &problem));
    cr_assert_str_eq(target.user, "us@er");
    cr_assert_str_eq(target.password, "p:w");
    cr_assert_str_eq(target.host, "::1");
    cr_assert(target.port == 7001 && target.database == 3);
    cr_assert_str_eq(target.text, "[::1]:7001");
    cr_assert(hgi_target_parse(&target, "unix://:pw@/run/a%20b?db=2", &problem));
    cr_assert_str_eq(target.socket, "/run/a b");
    cr_assert_str_eq(target.password, "pw");
    cr_assert_eq(target.database, 2);
    cr_assert(hgi_target_parse(&target, "localhost", &problem));
    cr_assert_str_eq(target.text, "localhost:6379");
}

Test(target, a_url_that_is_none_is_refused_without_repeating_it)
{
    static const char *const wrong[] = {
        "http://a",     "redis:///0",  "redis://:6379",   "redis://a:99999", "redis://a:x",
        "redis://[::1", "redis://a/x", "unix://relative", "unix:///a?x=1",   "unix:///a?db=x",
        "redis://%00a", "redis://%zz", "redis://u:%0@a",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_not(hgi_target_parse(&target, wrong[i], &problem), "%s", wrong[i]);
        cr_assert_null(strstr(problem.text, wrong[i]));
    }
}

Test(target, what_is_read_and_written_is_read_again_the_same)
{
    static const char *const urls[] = { "redis://us%40er:p%3Aw@[::1]:7001/3",
                                        "unix://:pw%2F@/run/a%20b?db=2", "redis://a:1/0" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char text[1024];
        struct hgi_target first;
        cr_assert(hgi_target_parse(&first, urls[i], &problem));
        cr_assert(hgi_target_url(text, sizeof text, &first));
        cr_assert(hgi_target_parse(&target, text, &problem), "%s", text);
        cr_assert_str_eq(target.host, first.host);
        cr_assert_str_eq(target.socket, first.socket);
        cr_assert_str_eq(target.user, first.user);
        cr_assert_str_eq(target.password, first.password);
        cr_assert(target.port == first.port && target.database == first.database);
    }
    char small[8];
    cr_assert_not(hgi_target_url(small, sizeof small, &target));
}

Test(target, the_words_of_the_command_line_lead_to_it_and_have_no_password)
{
    static const struct {
        const char *url, *words;
    } cases[] = {
        { "redis://a:7001/3", "-u 'redis://a:7001/3'" },
        { "unix:///run/it%27s", "-u 'unix:///run/it%27s'" },
        { "redis://app:secret@[::1]:1/0",
          "-u 'redis://[::1]:1/0' --user 'app'  # its password in $REDISCLI_AUTH" },
        { "unix://:secret@/a?db=2", "-u 'unix:///a?db=2'  # its password in $REDISCLI_AUTH" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[400];
        cr_assert(hgi_target_parse(&target, cases[i].url, &problem));
        hgi_target_words(text, sizeof text, &target);
        cr_assert_str_eq(text, cases[i].words);
    }
}
