/* Hostile texts: whatever the bytes, the result is a policy or one line that says where. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/document.h"
#include "policy/number.h"
#include "policy/settings.h"
#include "policy/utf8.h"

static struct hg_error err;

static hg_status parse(const char *text, size_t length)
{
    hg_policy *policy;
    err = (struct hg_error)HG_ERROR_INIT;
    hg_status status = hg_policy_parse(&policy, text, length, "f", &err);
    cr_assert_eq(policy != NULL, status == HG_OK);
    hg_policy_drop(policy);
    return status;
}

static bool is_one_valid_line(const char *text)
{
    size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        size_t width = hgi_utf8_width(text + at, length - at);
        if (width == 0 || (unsigned char)text[at] < 0x20)
            return false;
        at += width;
    }
    return length > 0;
}

/* A policy, or an error with a place. */
static void is_decided(const char *text, size_t length)
{
    hg_status status = parse(text, length);
    if (status == HG_OK)
        return;
    cr_assert_eq(status, HG_ERR_VALIDATION);
    cr_assert_eq(strncmp(err.message, "f:", 2), 0, "%s", err.message);
    cr_assert(is_one_valid_line(err.message), "%s", err.message);
}

static const char sample[] =
    "{\"server\":{\"url\":\"redis://h:1/2\"},\"pool\":{\"max_size\":1.0e1,\"keepalive\":\"1m\"},"
    "\"errors\":{\"server:OOM\":{\"counts\":true}},\"x-\\u00e9\":[null,-0.5,"
    "\"\xe2\x82\xac\\ud83d\\ude00\"]}";

Test(scan, the_sample_is_a_policy)
{
    cr_assert_eq(parse(sample, sizeof sample - 1), HG_OK, "%s", err.message);
}

Test(scan, every_cut_of_a_policy_is_an_error)
{
    for (size_t length = 0; length < sizeof sample - 1; length++) {
        is_decided(sample, length);
        cr_assert_eq(err.type, HG_ERR_VALIDATION, "cut at %zu", length);
    }
}

Test(scan, every_byte_replaced_by_any_other_is_decided)
{
    char text[sizeof sample];
    memcpy(text, sample, sizeof sample);
    for (size_t at = 0; at < sizeof sample - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            is_decided(text, sizeof sample - 1);
            if (byte == 0)
                cr_assert_eq(err.type, HG_ERR_VALIDATION, "a zero byte at %zu passes", at);
        }
        text[at] = sample[at];
    }
}

Test(scan, every_byte_left_out_or_doubled_is_decided)
{
    char text[sizeof sample + 1];
    for (size_t at = 0; at < sizeof sample - 1; at++) {
        memcpy(text, sample, at);
        memcpy(text + at, sample + at + 1, sizeof sample - at - 1);
        is_decided(text, sizeof sample - 2);
        memcpy(text + at + 1, sample + at, sizeof sample - at);
        text[at] = sample[at];
        is_decided(text, sizeof sample);
    }
}

/* `count` times `unit` between `head` and `tail`; the caller frees it. */
static char *repeat(const char *head, const char *unit, size_t count, const char *tail)
{
    size_t length = strlen(unit);
    char *text = malloc(strlen(head) + length * count + strlen(tail) + 1);
    cr_assert_not_null(text);
    char *at = stpcpy(text, head);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, unit);
    stpcpy(at, tail);
    return text;
}

static void expect_repeated(const char *head, const char *unit, size_t count, const char *tail,
                            const char *says)
{
    char *text = repeat(head, unit, count, tail);
    hg_status status = parse(text, strlen(text));
    cr_assert_eq(status, says ? HG_ERR_VALIDATION : HG_OK, "%s", err.message);
    cr_assert(!says || strstr(err.message, says), "%s", err.message);
    free(text);
}

Test(scan, a_text_may_have_a_mebibyte_and_no_byte_more)
{
    expect_repeated("{}", " ", HGI_TEXT_MAX - 2, "", NULL);
    expect_repeated("{}", " ", HGI_TEXT_MAX - 1, "", "larger than a policy may be (1048576 bytes)");
}

Test(scan, a_file_may_have_a_mebibyte_and_no_byte_more)
{
    for (size_t extra = 0; extra <= 1; extra++) {
        char path[] = "/tmp/herdgate-scan-XXXXXX";
        int fd = mkstemp(path);
        char *text = repeat("{}", " ", HGI_TEXT_MAX - 2 + extra, "");
        cr_assert_eq(write(fd, text, HGI_TEXT_MAX + extra), (ssize_t)(HGI_TEXT_MAX + extra));
        close(fd);
        hg_policy *policy;
        hg_status status = hg_policy_load(&policy, path, &err);
        unlink(path);
        free(text);
        cr_assert_eq(status, extra ? HG_ERR_VALIDATION : HG_OK, "%s", err.message);
        hg_policy_drop(policy);
    }
}

Test(scan, a_depth_bomb_ends_at_the_limit)
{
    expect_repeated("", "[", HGI_TEXT_MAX, "", "more than 16 levels");
    expect_repeated("", "{\"a\":", HGI_TEXT_MAX / 5, "", "more than 16 levels");
}

Test(scan, there_may_be_so_many_values_and_no_more)
{
    expect_repeated("{\"x-\":[0", ",0", HGI_VALUES_MAX - 3, "]}", NULL);
    expect_repeated("{\"x-\":[0", ",0", HGI_VALUES_MAX - 2, "]}", "more than 65536 values");
}

static void expect_members(size_t count, hg_status expected)
{
    size_t size = count * 16 + 16;
    char *text = malloc(size);
    size_t used = (size_t)snprintf(text, size, "{\"x-\":{\"\":0");
    for (size_t i = 1; i < count; i++)
        used += (size_t)snprintf(text + used, size - used, ",\"%zx\":0", i);
    used += (size_t)snprintf(text + used, size - used, "}}");
    cr_assert_eq(parse(text, used), expected, "%s", err.message);
    free(text);
}

Test(scan, an_object_may_have_so_many_keys_and_no_more)
{
    expect_members(HGI_MEMBERS_MAX, HG_OK);
    expect_members(HGI_MEMBERS_MAX + 1, HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "more than 1024 keys"));
}

Test(scan, duplicates_are_found_in_whatever_letters_they_stand)
{
    static const char *const texts[] = {
        "{\"x-a\":0,\"x-\\u0061\":0}",       "{\"x-\\/\":0,\"x-/\":0}",
        "{\"x-\\n\":0,\"x-\\u000A\":0}",     "{\"x-\xf0\x9f\x98\x80\":0,\"x-\\uD83D\\uDE00\":0}",
        "{\"x-a\":{\"\":0,\"b\":0,\"\":1}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert_eq(parse(texts[i], strlen(texts[i])), HG_ERR_VALIDATION, "%s", texts[i]);
        cr_assert_not_null(strstr(err.message, "duplicate key"), "%s", err.message);
    }
    static const char different[] = "{\"x-a\":0,\"x-A\":0,\"x-\\u00e4\":0,\"x-b\":{\"x-a\":0}}";
    cr_assert_eq(parse(different, sizeof different - 1), HG_OK, "%s", err.message);
}

Test(scan, columns_count_characters_not_bytes)
{
    static const char text[] = "{ \"x-\xe2\x82\xac\xf0\x9f\x98\x80\": 1, \"pool\": 2 }";
    cr_assert_eq(parse(text, sizeof text - 1), HG_ERR_VALIDATION);
    cr_assert_eq(strncmp(err.message, "f:1:22: /pool: ", 15), 0, "%s", err.message);
}

Test(scan, a_message_stays_one_valid_line_however_long_names_and_keys_are)
{
    char *text = repeat("{\"classes\":{\"", "\xe2\x82\xac\\n\\u202e", 2000, "\":{}}}");
    char *name = repeat("", "\xff\n\xe2\x82\xac", 500, "");
    hg_policy *policy;
    cr_assert_eq(hg_policy_parse(&policy, text, strlen(text), name, &err), HG_ERR_VALIDATION);
    cr_assert(is_one_valid_line(err.message), "%s", err.message);
    cr_assert_eq(strncmp(err.message, "...", 3), 0, "%s", err.message);
    cr_assert_eq(hg_policy_load(&policy, name, &err), HG_ERR_VALIDATION);
    cr_assert(is_one_valid_line(err.message), "%s", err.message);
    cr_assert_eq(hg_policy_parse(&policy, text, HGI_TEXT_MAX + 1, name, &err), HG_ERR_VALIDATION);
    cr_assert(is_one_valid_line(err.message), "%s", err.message);
    free(text);
    free(name);
}

Test(scan, null_arguments_are_errors_and_a_record_is_not_needed)
{
    hg_policy *policy = (hg_policy *)&err;
    cr_assert_eq(hg_policy_parse(NULL, "{}", 2, "f", NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_policy_parse(&policy, NULL, 2, "f", NULL), HG_ERR_VALIDATION);
    cr_assert_null(policy);
    cr_assert_eq(hg_policy_load(NULL, "f", NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_policy_load(&policy, NULL, NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_policy_parse(&policy, "{]", 2, NULL, NULL), HG_ERR_VALIDATION);
    cr_assert_eq(hg_policy_parse(&policy, "{]", 2, NULL, &err), HG_ERR_VALIDATION);
    cr_assert_eq(strncmp(err.message, "policy:1:2: ", 12), 0, "%s", err.message);
}

static void number_is(const char *text, size_t length, const char *says)
{
    struct hgi_number_fault fault;
    size_t got = hgi_number_length(text, strlen(text), &fault);
    if (says) {
        cr_assert(fault.what && strstr(fault.what, says), "%s: %s", text, fault.what);
        cr_assert_eq(fault.at, length, "%s: at %zu", text, fault.at);
    } else {
        cr_assert_null(fault.what, "%s: %s", text, fault.what);
        cr_assert_eq(got, length, "%s: %zu", text, got);
    }
}

Test(scan, numbers_are_those_of_the_grammar_and_of_a_double)
{
    number_is("0", 1, NULL);
    number_is("-0.0e+0,", 7, NULL);
    number_is("12.50]", 5, NULL);
    number_is("0e99999999999999999999", 22, NULL);
    number_is("9.99e307", 8, NULL);
    number_is("1e-307", 6, NULL);
    number_is("0.000001e313", 12, NULL);
    number_is("1e308", 0, "out of range");
    number_is("1e-308", 0, "out of range");
    number_is("10e307", 0, "out of range");
    number_is("1e99999999999999999999", 0, "out of range");
    number_is("0.0000001e-301", 0, "out of range");
    number_is("01", 0, "begin with 0");
    number_is("-01", 0, "begin with 0");
    number_is("-", 1, "the text ends here");
    number_is("-a", 1, "expected a digit");
    number_is("1.", 2, "the text ends here");
    number_is("1.e1", 2, "expected a digit");
    number_is("1e", 2, "the text ends here");
    number_is("1e+ ", 3, "expected a digit");
}
