/* Durations: what reads, what does not and what to write instead, and that nothing is rounded. */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "policy/duration.h"

static void reads(const char *text, int64_t expected)
{
    char why[120] = "";
    int64_t value = -1;
    cr_assert(hgi_duration_parse(text, &value, why, sizeof why), "\"%s\" %s", text, why);
    cr_assert_eq(value, expected, "\"%s\" is %" PRId64, text, value);
}

static void says(const char *text, const char *expected)
{
    char why[120] = "";
    int64_t value = -7;
    cr_assert_not(hgi_duration_parse(text, &value, why, sizeof why), "\"%s\" reads", text);
    cr_assert_eq(value, -7, "\"%s\" is refused and written", text);
    cr_assert_not_null(strstr(why, expected), "\"%s\" %s; expected: %s", text, why, expected);
}

Test(duration, each_unit_is_what_it_is_called)
{
    reads("1ns", 1);
    reads("1us", 1000);
    reads("1ms", HGI_NS_PER_MS);
    reads("1s", HGI_NS_PER_S);
    reads("1m", 60 * HGI_NS_PER_S);
    reads("1h", 3600 * HGI_NS_PER_S);
    reads("1d", 86400 * HGI_NS_PER_S);
    reads("0s", 0);
    reads("0ns", 0);
    reads("007ms", 7 * HGI_NS_PER_MS);
}

Test(duration, units_add_up_and_the_last_may_have_a_fraction)
{
    reads("1m30s", 90 * HGI_NS_PER_S);
    reads("1.5s", 1500 * HGI_NS_PER_MS);
    reads("1d2h3m4s5ms6us7ns", INT64_C(93784005006007));
    reads("1h0.25m", 3615 * HGI_NS_PER_S);
    reads("0.000000001s", 1);
    reads("1.000000000000s", HGI_NS_PER_S);
    reads("0.1ms", 100000);
}

Test(duration, the_longest_reads_and_one_more_does_not)
{
    reads("9223372036854775807ns", INT64_MAX);
    says("9223372036854775808ns", "longest");
    says("9223372036s1000ms", "longest"); /* the sum overflows, no part of it does */
    says("106752d", "longest");
    says("99999999999999999999999999999999999999d", "longest");
}

Test(duration, what_is_finer_than_a_nanosecond_is_refused_not_rounded)
{
    says("0.5ns", "finer");
    says("1.0001us", "finer");
    says("0.0000000001s", "finer");
    says("0.00000000000000000000000000000000000001d", "finer");
}

Test(duration, a_wrong_one_says_what_to_write)
{
    says("250", "write \"250ms\"");
    says("1.5", "write \"1.5ms\"");
    says("250 ms", "write \"250ms\"");
    says("2  seconds", "write \"2s\"");
    says("2sec", "did you mean \"2s\"?");
    says("2S", "did you mean \"2s\"?");
    says("5\xc2\xb5s", "did you mean \"5us\"?");
    says("5fortnights", "units are");
    says("1s5fortnights", "units are");
    says("", "write a number and a unit");
    says("s", "write a number and a unit");
    says(".5s", "write a number and a unit");
    says("+5s", "write a number and a unit");
    says(" 5s", "write a number and a unit");
    says("1s ", "write a number and a unit");
    says("1s-1ms", "write a number and a unit");
    says("-5s", "negative");
    says("1.s", "both sides");
    says("1.5.5s", "units are");
    says("1s1m", "out of order");
    says("1s1s", "out of order");
    says("1.5m1s", "fraction last");
    says("1e3s", "unit");
}

Test(duration, the_explanation_fits_into_what_there_is)
{
    char why[16];
    int64_t value;
    char text[2000];
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(why, 'x', sizeof why);
    cr_assert_not(hgi_duration_parse(text, &value, why, 8));
    cr_assert_eq(why[7], '\0');
    cr_assert_eq(why[8], 'x');
}

Test(duration, what_is_written_reads_back_as_the_same)
{
    char out[HGI_DURATION_SIZE];
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 200000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        int64_t value = (int64_t)(state >> 1) >> (i % 63);
        reads(hgi_duration_format(out, value), value);
    }
    reads(hgi_duration_format(out, INT64_MAX), INT64_MAX);
}

Test(duration, it_is_written_as_people_write_it)
{
    char out[HGI_DURATION_SIZE];
    cr_assert_str_eq(hgi_duration_format(out, 0), "0s");
    cr_assert_str_eq(hgi_duration_format(out, -1), "0s");
    cr_assert_str_eq(hgi_duration_format(out, 250 * HGI_NS_PER_MS), "250ms");
    cr_assert_str_eq(hgi_duration_format(out, 90 * HGI_NS_PER_S), "1m30s");
    cr_assert_str_eq(hgi_duration_format(out, 1500 * HGI_NS_PER_MS), "1s500ms");
}
