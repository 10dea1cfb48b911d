/* The command line of the tools, and what it prints in words. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tools/common/options.h"
#include "tools/common/output.h"
#include "tools/common/terminal.h"

static struct values {
    bool quiet;
    uint32_t threads;
    uint64_t seed;
    const char *policy;
    const char *json;
    int64_t duration;
    struct hgi_span outage;
    struct hgi_span size;
} v;

static const struct hgi_option table[] = {
    { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Load", 0, 0 },
    { 't', "threads", HGI_OPTION_COUNT, &v.threads, "N", "calling threads", 1, 4096 },
    { 'q', "quiet", HGI_OPTION_FLAG, &v.quiet, NULL, "say less", 0, 0 },
    { 0, "seed", HGI_OPTION_NUMBER, &v.seed, "N", "of random choices", 0, 0 },
    { 0, "policy", HGI_OPTION_TEXT, &v.policy, "FILE", "the policy", 0, 0 },
    { 0, "json", HGI_OPTION_MAYBE_TEXT, &v.json, "[=F]", "results", 0, 0 },
    { 0, "duration", HGI_OPTION_DURATION, &v.duration, "TIME", "how long", 1000000, 0 },
    { 0, "outage", HGI_OPTION_DURATION_SPAN, &v.outage, "A..B", "when", 0, 0 },
    { 'd', "data-size", HGI_OPTION_SIZE_SPAN, &v.size, "N", "bytes", 1, 1 << 20 },
    { 0 },
};

static char why[600];

/* Parse a line of words. "" if it went well, else the problem's text. */
static const char *parse(const char *line)
{
    static char words[256];
    char *arguments[16];
    int count = 0;
    struct hgi_problem problem = { .text = "" };
    memset(&v, 0, sizeof v);
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        arguments[count++] = word;
    if (hgi_options_parse(table, count, arguments, &problem))
        return "";
    cr_assert_neq(problem.text[0], '\0');
    snprintf(why, sizeof why, "%s", problem.text);
    return why;
}

Test(options, the_four_spellings_are_the_same)
{
    static const char *const lines[] = { "-t 12", "-t12", "--threads 12", "--threads=12" };
    for (size_t i = 0; i < 4; i++) {
        cr_assert_str_eq(parse(lines[i]), "");
        cr_assert_eq(v.threads, 12);
    }
}

Test(options, every_kind_of_value_is_read)
{
    cr_assert_str_eq(parse("-q --seed 18446744073709551615 --policy p.json --json --duration 1.5s "
                           "--outage 1s..3s -d 1..1MiB"),
                     "");
    cr_assert(v.quiet);
    cr_assert_eq(v.seed, UINT64_MAX);
    cr_assert_str_eq(v.policy, "p.json");
    cr_assert_str_eq(v.json, "");
    cr_assert_eq(v.duration, 1500000000);
    cr_assert_eq(v.outage.low, 1000000000);
    cr_assert_eq(v.outage.high, 3000000000);
    cr_assert_eq(v.size.low, 1);
    cr_assert_eq(v.size.high, 1 << 20);
    cr_assert_str_eq(parse("--json=out.json -d 16k"), "");
    cr_assert_str_eq(v.json, "out.json");
    cr_assert_eq(v.size.low, 16384);
    cr_assert_eq(v.size.high, 16384);
}

Test(options, a_mistake_is_one_line_that_names_the_option)
{
    static const struct {
        const char *line;
        const char *says;
    } mistakes[] = {
        { "--thread 3", "unknown option --thread: did you mean --threads?" },
        { "--theads=3", "did you mean --threads?" },
        { "--zebra", "unknown option --zebra; --help lists them" },
        { "-x", "unknown option -x" },
        { "-t", "-t needs a value: N" },
        { "-t 0", "-t: 0 is not within 1 to 4096" },
        { "-t 4097", "-t: 4097 is not within 1 to 4096" },
        { "-t 5x", "-t: '5x' is not a whole number" },
        { "-t -1", "'-1' is not a whole number" },
        { "-t 99999999999", "is not within" },
        { "--seed 18446744073709551616", "is not a whole number" },
        { "--duration 10", "'10' is not a duration, like 250ms" },
        { "--duration 10sec", "is not a duration" },
        { "--duration 1e9s", "is not a duration" },
        { "--duration 0", "is below 1ms" },
        { "--outage 2s", "'2s' is not a range, like 1s..3s" },
        { "--outage 3s..1s", "the range ends before it begins" },
        { "-d 0", "-d: 0 is not within 1 to 1048576" },
        { "-d 1..2MiB", "is not within" },
        { "--quiet=1", "--quiet takes no value" },
        { "stray", "unexpected argument 'stray'" },
        { "-", "unexpected argument '-'" },
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const char *said = parse(mistakes[i].line);
        cr_assert(strstr(said, mistakes[i].says), "%s: %s", mistakes[i].line, said);
        cr_assert_null(strchr(said, '\n'));
    }
}

Test(options, options_in_front_end_at_the_first_other_argument)
{
    static const struct {
        const char *first[5];
        int used;
    } lines[] = {
        { { "-q", "--seed", "7", "file", "-t" }, 3 }, { { "file", "-q", "x", "y", "z" }, 0 },
        { { "-q", "--", "-t", "x", "y" }, 1 },        { { "-q", "-", "-t", "x", "y" }, 1 },
        { { "-q", "-q", "-q", "-q", "-q" }, 5 },
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char *arguments[5];
        struct hgi_problem problem;
        int used = -1;
        for (int word = 0; word < 5; word++)
            arguments[word] = (char *)lines[i].first[word];
        cr_expect(hgi_options_parse_front(table, 5, arguments, &used, &problem));
        cr_expect_eq(used, lines[i].used, "line %zu: %d", i, used);
    }
    char *bad[] = { "-q", "--nothing", "file" };
    struct hgi_problem problem;
    int used;
    cr_expect_not(hgi_options_parse_front(table, 3, bad, &used, &problem));
}

Test(options, help_shows_each_option_of_the_table)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    hgi_options_help(table, out);
    fclose(out);
    for (const struct hgi_option *o = table; o->kind != HGI_OPTION_END; o++) {
        cr_assert(strstr(text, o->help), "%s", o->help);
        if (o->name)
            cr_assert(strstr(text, o->name), "%s", o->name);
    }
    free(text);
}

Test(options, durations_and_numbers_are_written_as_people_read_them)
{
    char out[48];
    cr_assert_str_eq(hgi_format_duration(out, sizeof out, 1500000000), "1.5s");
    cr_assert_str_eq(hgi_format_duration(out, sizeof out, 250000000), "250ms");
    cr_assert_str_eq(hgi_format_duration(out, sizeof out, 0), "0");
    cr_assert_str_eq(hgi_format_duration(out, sizeof out, INT64_C(8) * 3600 * 1000000000), "8h");
    cr_assert_str_eq(hgi_format_duration(out, sizeof out, INT64_C(24) * 60 * 1000000000), "24m");
    cr_assert_str_eq(hgi_format_duration(out, sizeof out, INT64_C(12345) * 1000000000), "12345s");
    cr_assert_str_eq(hgi_format_duration(out, sizeof out, INT64_C(9999600000000)), "10000s");
    cr_assert_str_eq(hgi_format_count(out, sizeof out, 0), "0");
    cr_assert_str_eq(hgi_format_count(out, sizeof out, 999), "999");
    cr_assert_str_eq(hgi_format_count(out, sizeof out, 1234567), "1,234,567");
    cr_assert_str_eq(hgi_format_latency(out, sizeof out, 1520000), "1.52 ms");
    cr_assert_str_eq(hgi_format_latency(out, sizeof out, 999), "999 ns");
    cr_assert_str_eq(hgi_format_bytes(out, sizeof out, 1536), "1.5 KiB");
}

Test(options, a_table_is_aligned_also_with_wide_characters)
{
    static struct hgi_table t;
    char *text = NULL;
    size_t size = 0;
    hgi_table_set(&t, 0, 0, "policy");
    hgi_table_set(&t, 0, 1, "calls");
    hgi_table_set(&t, 1, 0, "a\xc3\xa9");
    hgi_table_set(&t, 1, 1, "7");
    hgi_table_style(&t, 1, 1, HGI_STYLE_BAD);
    FILE *out = open_memstream(&text, &size);
    hgi_table_print(&t, out, false);
    fclose(out);
    cr_assert_str_eq(text, "  policy  calls\n  a\xc3\xa9          7\n");
    free(text);
}

static bool write_or_fail(FILE *out, const void *arg, struct hgi_problem *problem)
{
    fputs("half", out);
    return arg ? true : hgi_problem_set(problem, "stopped");
}

Test(options, a_result_file_is_written_whole_or_not_at_all)
{
    char directory[] = "/tmp/herdgate-test-XXXXXX";
    char path[64];
    char text[16] = "";
    struct hgi_problem problem;
    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/out", directory);
    cr_assert(hgi_output_file(path, write_or_fail, "", &problem));
    cr_assert_not(hgi_output_file(path, write_or_fail, NULL, &problem));
    cr_assert_str_eq(problem.text, "stopped");
    FILE *file = fopen(path, "r");
    cr_assert(file && fgets(text, sizeof text, file));
    fclose(file);
    cr_assert_str_eq(text, "half");
    remove(path);
    cr_assert_eq(remove(directory), 0); /* and no temporary file is left */
    cr_assert_not(hgi_output_file("/nonexistent/out", write_or_fail, "", &problem));
    cr_assert(strstr(problem.text, "/nonexistent/out"));
}
