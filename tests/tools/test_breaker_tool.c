/* herdgate-breaker as an operator runs it, on a breaker that this process shares. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include <herdgate/breaker.h>

#include "breaker/clock.h"

static char name[48];
static hg_breaker *breaker;
static char output[16384];

static void set_up(void)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    options.failure_threshold = 3;
    /* What is open stays open, however slow the machine. */
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = 3600 * HGI_NS_PER_S;
    options.window_length_ns = 10 * HGI_NS_PER_S;
    snprintf(name, sizeof name, "/test.tool.%d.%lld", (int)getpid(), (long long)hgi_now_ns());
    cr_assert_eq(hg_breaker_open_shared(&breaker, name, &options, &err), HG_OK, "%s", err.message);
}

static void tear_down(void)
{
    hg_breaker_free(breaker);
    hg_breaker_unlink_shared(name, NULL);
}

TestSuite(breaker_tool, .init = set_up, .fini = tear_down);

/* Its exit status; `output` is what it printed on both streams. */
static int run_program(const char *program, const char *arguments)
{
    char command[512];
    snprintf(command, sizeof command, "'%s' %s 2>&1", program, arguments);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int status = pclose(pipe);
    cr_assert(WIFEXITED(status), "%s ended by a signal: %s", arguments, output);
    return WEXITSTATUS(status);
}

static int tool(const char *arguments)
{
    return run_program(BREAKER_TOOL, arguments);
}

static int on_it(const char *command, const char *options)
{
    char arguments[160];
    snprintf(arguments, sizeof arguments, "%s %s %s", command, name, options);
    return tool(arguments);
}

static bool printed(const char *text)
{
    return strstr(output, text) != NULL;
}

static void fail_once(void)
{
    hg_permit permit;
    cr_assert(hg_breaker_admit(breaker, &permit));
    hg_breaker_report(breaker, permit, HG_RESULT_FAILURE, 0);
}

Test(breaker_tool, its_commands_change_the_shared_breaker)
{
    hg_permit permit;
    cr_assert_eq(on_it("open", ""), 0, "%s", output);
    cr_assert(printed("is forced open, was closed"), "%s", output);
    cr_assert_not(hg_breaker_admit(breaker, &permit));
    cr_assert_eq(on_it("close", ""), 0, "%s", output);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_FORCED_CLOSED);
    cr_assert_eq(on_it("disable", ""), 0, "%s", output);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_DISABLED);
    cr_assert_eq(on_it("reset", ""), 0, "%s", output);
    cr_assert(printed("is closed, was disabled"), "%s", output);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
}

Test(breaker_tool, shows_state_counters_and_settings)
{
    fail_once();
    cr_assert_eq(on_it("show", ""), 0, "%s", output);
    cr_assert(printed("is closed, 1 of 3 failures in a row"), "%s", output);
    cr_assert(printed("1 admitted, 0 refused, 0 succeeded, 1 failed"), "%s", output);
    cr_assert(printed("opens after  3 failures in a row"), "%s", output);
    cr_assert(printed("window       10s, from 20 calls on: opens at 50% failed"), "%s", output);
    cr_assert_not(printed("\033"), "%s", output);
    fail_once();
    fail_once();
    cr_assert_eq(on_it("show", ""), 0, "%s", output);
    cr_assert(printed("is open, a probe may pass in"), "%s", output);
    cr_assert(printed("1 opening in a row"), "%s", output);
}

static const cJSON *member(const cJSON *json, const char *key)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, key);
    cr_assert_not_null(found, "%s", key);
    return found;
}

static void check_json(const char *text, const char *state, double failed)
{
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json, "%s", text);
    cr_assert_str_eq(member(json, "format")->valuestring, "herdgate-breaker");
    cr_assert_eq(member(json, "version")->valueint, 1);
    cr_assert_str_eq(member(json, "name")->valuestring, name);
    cr_assert_str_eq(member(json, "state")->valuestring, state);
    cr_assert_eq(member(json, "failed")->valuedouble, failed);
    const cJSON *settings = member(json, "settings");
    cr_assert_eq(member(settings, "failure_threshold")->valueint, 3);
    cr_assert_eq(member(member(settings, "window"), "length_ns")->valuedouble, 1e10);
    cJSON_Delete(json);
}

Test(breaker_tool, shows_the_same_as_json)
{
    fail_once();
    cr_assert_eq(on_it("show", "--json"), 0, "%s", output);
    check_json(output, "closed", 1);
}

Test(breaker_tool, watches_as_lines_and_as_json_lines)
{
    cr_assert_eq(on_it("show", "--watch=10ms --count 3"), 0, "%s", output);
    int lines = 0;
    for (const char *at = output; (at = strchr(at, '\n')); at++)
        lines++;
    cr_assert_eq(lines, 3, "%s", output);
    cr_assert(printed("admitted/s"), "%s", output);
    cr_assert_eq(on_it("show", "--watch=10ms --count=2 --json"), 0, "%s", output);
    char *second = strchr(output, '\n');
    cr_assert_not_null(second);
    *second++ = '\0';
    check_json(output, "closed", 0);
    check_json(second, "closed", 0);
}

Test(breaker_tool, unlinks_and_then_finds_none)
{
    cr_assert_eq(on_it("unlink", ""), 0, "%s", output);
    cr_assert(printed("is removed"), "%s", output);
    static const char *const commands[] = { "show",    "show --watch", "open",  "close",
                                            "disable", "reset",        "unlink" };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        cr_assert_eq(on_it(commands[i], ""), 3, "%s", output);
        cr_assert(printed("there is no shared breaker /test.tool."), "%s", output);
    }
    /* This process goes over to a new one by itself. */
    hg_permit permit;
    cr_assert(hg_breaker_admit(breaker, &permit));
    cr_assert_eq(on_it("show", ""), 0, "%s", output);
}

Test(breaker_tool, a_command_that_was_lost_to_an_unlink_is_no_success)
{
    static const char *const commands[] = { "open", "close", "disable" };
    char arguments[64];
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        snprintf(arguments, sizeof arguments, "%s %s", commands[i], name);
        cr_assert_eq(run_program(TOO_LATE_TOOL, arguments), 3, "%s", output);
        cr_assert(printed("it was removed"), "%s", output);
        hg_permit permit;
        cr_assert(hg_breaker_admit(breaker, &permit)); /* and makes it anew */
    }
}

Test(breaker_tool, usage_is_an_error_of_its_own_that_says_what_is_wrong)
{
    static const struct {
        const char *arguments;
        const char *text;
    } bad[] = {
        { "", "usage:" },
        { "shew /x", "no command 'shew'" },
        { "show", "name is missing" },
        { "show orders", "a name is a slash" },
        { "show /a b", "unexpected argument 'b'" },
        { "show /a /b", "unexpected argument '/b'" },
        { "show /a/b", "no slash" },
        { "show /", "no slash" },
        { "open /x --watch", "are show's" },
        { "show /x --count 2", "for show --watch" },
        { "show /x --watch=1ms", "below 10ms" },
        { "show /x --watch=fast", "not a duration" },
        { "show /x --watch --json=file", "standard output" },
        { "show /x --jsn", "did you mean --json" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(tool(bad[i].arguments), 2, "%s: %s", bad[i].arguments, output);
        cr_assert(printed(bad[i].text), "%s: %s", bad[i].arguments, output);
    }
    cr_assert_eq(tool("--help"), 0);
    cr_assert(printed("unlink"), "%s", output);
    cr_assert_eq(tool("open --help"), 0);
    cr_assert_eq(tool("--version"), 0);
    cr_assert(printed("herdgate-breaker "), "%s", output);
}
