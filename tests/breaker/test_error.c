/* The error record: every name, every default, and text that always fits its field. */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "breaker/error.h"

struct type_expected {
    hg_status status;
    int number;
    const char *name;
    hg_severity severity;
    hg_recovery recovery;
};

/* The numbers are a promise to users: they never change. */
static const struct type_expected types[] = {
    { HG_OK, 0, "OK", HG_SEVERITY_LOW, HG_RECOVERY_FAIL },
    { HG_ERR_CONNECTION, -1, "CONNECTION", HG_SEVERITY_HIGH, HG_RECOVERY_RETRY_WITH_BACKOFF },
    { HG_ERR_TIMEOUT, -2, "TIMEOUT", HG_SEVERITY_MEDIUM, HG_RECOVERY_RETRY_WITH_BACKOFF },
    { HG_ERR_VALIDATION, -3, "VALIDATION", HG_SEVERITY_LOW, HG_RECOVERY_FAIL },
    { HG_ERR_NOT_FOUND, -4, "NOT_FOUND", HG_SEVERITY_LOW, HG_RECOVERY_IGNORE },
    { HG_ERR_SERIALIZATION, -5, "SERIALIZATION", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    { HG_ERR_RETRY_EXHAUSTED, -6, "RETRY_EXHAUSTED", HG_SEVERITY_HIGH, HG_RECOVERY_FAIL },
    { HG_ERR_CIRCUIT_OPEN, -7, "CIRCUIT_OPEN", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    { HG_ERR_UNAVAILABLE, -8, "UNAVAILABLE", HG_SEVERITY_HIGH, HG_RECOVERY_RETRY_WITH_BACKOFF },
    { HG_ERR_POOL_TIMEOUT, -9, "POOL_TIMEOUT", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    { HG_ERR_SERVER, -10, "SERVER", HG_SEVERITY_LOW, HG_RECOVERY_FAIL },
    { HG_ERR_AUTH, -11, "AUTH", HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL },
    { HG_ERR_PROTOCOL, -12, "PROTOCOL", HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL },
    { HG_ERR_CLOSED, -13, "CLOSED", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    { HG_ERR_NO_MEMORY, -14, "NO_MEMORY", HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL },
};

Test(error, every_type_has_its_number_name_severity_and_recovery)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        cr_assert_eq((int)types[i].status, types[i].number, "%s", types[i].name);
        cr_assert_str_eq(hg_status_name(types[i].status), types[i].name);
        cr_assert_eq(hg_status_severity(types[i].status), types[i].severity, "%s", types[i].name);
        cr_assert_eq(hg_status_recovery(types[i].status), types[i].recovery, "%s", types[i].name);
    }
    cr_assert_eq((int)HG_IGNORED, 1);
    cr_assert_str_eq(hg_status_name(HG_IGNORED), "IGNORED");
}

Test(error, a_number_that_is_no_status_is_named_so_and_is_not_retried)
{
    static const int strangers[] = { 2, -15, -100, INT_MAX, INT_MIN, INT_MIN + 1 };
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        cr_assert_str_eq(hg_status_name((hg_status)strangers[i]), "?", "%d", strangers[i]);
        cr_assert_eq(hg_status_severity((hg_status)strangers[i]), HG_SEVERITY_MEDIUM);
        cr_assert_eq(hg_status_recovery((hg_status)strangers[i]), HG_RECOVERY_FAIL);
    }
}

Test(error, every_severity_has_a_name)
{
    cr_assert_str_eq(hg_severity_name(HG_SEVERITY_LOW), "low");
    cr_assert_str_eq(hg_severity_name(HG_SEVERITY_MEDIUM), "medium");
    cr_assert_str_eq(hg_severity_name(HG_SEVERITY_HIGH), "high");
    cr_assert_str_eq(hg_severity_name(HG_SEVERITY_CRITICAL), "critical");
}

Test(error, every_recovery_has_a_name)
{
    cr_assert_str_eq(hg_recovery_name(HG_RECOVERY_FAIL), "fail");
    cr_assert_str_eq(hg_recovery_name(HG_RECOVERY_IGNORE), "ignore");
    cr_assert_str_eq(hg_recovery_name(HG_RECOVERY_RETRY_WITH_BACKOFF), "retry_with_backoff");
    cr_assert_str_eq(hg_recovery_name(HG_RECOVERY_RETRY_WITH_DELAY), "retry_with_delay");
    cr_assert_str_eq(hg_recovery_name(HG_RECOVERY_CIRCUIT_BREAKER), "circuit_breaker");
    cr_assert_str_eq(hg_recovery_name(HG_RECOVERY_WAIT_AND_RETRY), "wait_and_retry");
}

Test(error, every_outcome_has_a_name)
{
    cr_assert_str_eq(hg_outcome_name(HG_OUTCOME_UNKNOWN), "unknown");
    cr_assert_str_eq(hg_outcome_name(HG_OUTCOME_NOT_SENT), "not_sent");
    cr_assert_str_eq(hg_outcome_name(HG_OUTCOME_REJECTED), "rejected");
    cr_assert_str_eq(hg_outcome_name(HG_OUTCOME_EXECUTED), "executed");
}

Test(error, every_stop_reason_has_a_name)
{
    cr_assert_str_eq(hg_stop_reason_name(HG_STOP_NONE), "none");
    cr_assert_str_eq(hg_stop_reason_name(HG_STOP_ATTEMPTS), "attempts");
    cr_assert_str_eq(hg_stop_reason_name(HG_STOP_DEADLINE), "deadline");
    cr_assert_str_eq(hg_stop_reason_name(HG_STOP_BUDGET), "budget");
    cr_assert_str_eq(hg_stop_reason_name(HG_STOP_BREAKER), "breaker");
    cr_assert_str_eq(hg_stop_reason_name(HG_STOP_OUTCOME), "outcome");
    cr_assert_str_eq(hg_stop_reason_name(HG_STOP_FAIL), "fail");
}

Test(error, a_number_past_the_end_of_an_enum_is_named_so)
{
    static const int strangers[] = { -1, 7, INT_MAX, INT_MIN };
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        cr_assert_str_eq(hg_severity_name((hg_severity)strangers[i]), "?");
        cr_assert_str_eq(hg_recovery_name((hg_recovery)strangers[i]), "?");
        cr_assert_str_eq(hg_outcome_name((hg_outcome)strangers[i]), "?");
        cr_assert_str_eq(hg_stop_reason_name((hg_stop_reason)strangers[i]), "?");
    }
    cr_assert_str_eq(hg_severity_name((hg_severity)4), "?");
    cr_assert_str_eq(hg_recovery_name((hg_recovery)6), "?");
    cr_assert_str_eq(hg_outcome_name((hg_outcome)4), "?");
}

Test(error, an_error_is_its_type_and_the_cause_behind_it)
{
    struct hg_error err = HG_ERROR_INIT;
    err.type = HG_ERR_RETRY_EXHAUSTED;
    err.cause = HG_ERR_TIMEOUT;
    cr_assert(hg_error_is(&err, HG_ERR_RETRY_EXHAUSTED));
    cr_assert(hg_error_is(&err, HG_ERR_TIMEOUT));
    cr_assert_not(hg_error_is(&err, HG_ERR_CONNECTION));
    err.cause = HG_OK;
    cr_assert_not(hg_error_is(&err, HG_OK), "no cause is not a success");
    cr_assert_not(hg_error_is(&err, HG_ERR_TIMEOUT));
    cr_assert_not(hg_error_is(NULL, HG_ERR_TIMEOUT));
    cr_assert_not(hg_error_is(NULL, HG_OK));
}

Test(error, a_record_has_its_public_size)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(sizeof err, (size_t)HG_ERROR_SIZE);
    cr_assert_eq(err.size, sizeof err);
    cr_assert_eq(err.type, HG_OK);
}

Test(error, setting_one_leaves_nothing_of_the_one_before)
{
    struct hg_error err;
    memset(&err, 0x77, sizeof err);
    cr_assert_eq(hgi_error_set(&err, HG_ERR_AUTH, "no %s for %d", "entry", 7), HG_ERR_AUTH);
    cr_assert_str_eq(err.message, "no entry for 7");

    struct hg_error expected = HG_ERROR_INIT;
    expected.type = HG_ERR_AUTH;
    expected.severity = HG_SEVERITY_CRITICAL;
    expected.recovery = HG_RECOVERY_FAIL;
    expected.stop_reason = HG_STOP_FAIL;
    memset(err.message, 0, sizeof err.message);
    cr_assert_eq(memcmp(&err, &expected, sizeof err), 0);
}

Test(error, clearing_one_makes_it_a_success)
{
    struct hg_error err, fresh = HG_ERROR_INIT;
    memset(&err, 0x77, sizeof err);
    hgi_error_clear(&err);
    cr_assert_eq(memcmp(&err, &fresh, sizeof err), 0);
}

Test(error, nobody_has_to_want_the_record)
{
    cr_assert_eq(hgi_error_set(NULL, HG_ERR_CLOSED, "%d", 1), HG_ERR_CLOSED);
    hgi_error_clear(NULL);
    hgi_error_message(NULL, "%d", 1);
    hgi_error_set_key(NULL, "key", 3);
}

/* A record between two guards: whatever is written past a field's end is seen. */
static struct {
    unsigned char before[64];
    struct hg_error err;
    unsigned char after[64];
} guarded;

static void expect_guards(void)
{
    for (size_t i = 0; i < sizeof guarded.before; i++) {
        cr_assert_eq(guarded.before[i], 0xee);
        cr_assert_eq(guarded.after[i], 0xee);
    }
    for (size_t i = 0; i < sizeof guarded.err.reserved; i++)
        cr_assert_eq(guarded.err.reserved[i], 0);
}

static void guard(void)
{
    memset(&guarded, 0xee, sizeof guarded);
    hgi_error_clear(&guarded.err);
}

TestSuite(error_text, .init = guard, .fini = expect_guards);

static char long_text[4096];

static const char *text_of(size_t length)
{
    memset(long_text, 'x', sizeof long_text);
    long_text[length] = '\0';
    return long_text;
}

Test(error_text, a_message_is_cut_at_its_end_and_marked)
{
    struct hg_error *err = &guarded.err;
    for (size_t length = 0; length < 1000; length++) {
        hgi_error_message(err, "%s", text_of(length));
        size_t kept = length < sizeof err->message ? length : sizeof err->message - 1;
        cr_assert_eq(strlen(err->message), kept, "%zu", length);
        cr_assert_eq(err->message_truncated, kept < length, "%zu", length);
    }
    hgi_error_message(err, "short");
    cr_assert_not(err->message_truncated, "the mark goes with the text");
}

Test(error_text, a_message_replaces_only_the_message)
{
    struct hg_error *err = &guarded.err;
    hgi_error_set(err, HG_ERR_TIMEOUT, "first");
    hgi_error_set_key(err, "k", 1);
    err->attempt = 3;
    hgi_error_message(err, "second");
    cr_assert_str_eq(err->message, "second");
    cr_assert_eq(err->type, HG_ERR_TIMEOUT);
    cr_assert_eq(err->attempt, 3u);
    cr_assert_str_eq(err->key, "k");
}

/* Any byte: itself if it is printable ASCII and not the backslash, else \xNN. */
Test(error_text, every_byte_of_a_key_can_be_read)
{
    struct hg_error *err = &guarded.err;
    for (int byte = 0; byte < 256; byte++) {
        char key[3] = { 'a', (char)byte, 'b' }, expected[8];
        if (byte > 0x1f && byte < 0x7f && byte != '\\')
            snprintf(expected, sizeof expected, "a%cb", byte);
        else
            snprintf(expected, sizeof expected, "a\\x%02xb", (unsigned)byte);
        hgi_error_set_key(err, key, sizeof key);
        cr_assert_str_eq(err->key, expected, "byte %d", byte);
        cr_assert_not(err->key_truncated);
    }
}

Test(error_text, a_key_is_cut_at_its_end_and_marked)
{
    struct hg_error *err = &guarded.err;
    for (size_t length = 0; length < 400; length++) {
        hgi_error_set_key(err, text_of(length), length);
        size_t kept = length < sizeof err->key ? length : sizeof err->key - 1;
        cr_assert_eq(strlen(err->key), kept, "%zu", length);
        cr_assert_eq(err->key_truncated, kept < length, "%zu", length);
    }
    hgi_error_set_key(err, "short", 5);
    cr_assert_str_eq(err->key, "short");
    cr_assert_not(err->key_truncated, "the mark goes with the text");
}

/* Plain bytes and then one that takes four: it is there whole, or not at all. */
Test(error_text, a_key_is_never_cut_inside_an_escape)
{
    struct hg_error *err = &guarded.err;
    for (size_t plain = 100; plain < 140; plain++) {
        char key[160];
        memset(key, 'k', sizeof key);
        key[plain] = '\n';
        hgi_error_set_key(err, key, plain + 1);
        bool fits = plain + 4 < sizeof err->key;
        size_t shown = plain < sizeof err->key - 1 ? plain : sizeof err->key - 1;
        cr_assert_eq(err->key_truncated, !fits, "%zu", plain);
        cr_assert_eq(strlen(err->key), fits ? plain + 4 : shown, "%zu", plain);
        cr_assert_eq(strcspn(err->key, "\\"), shown, "%zu", plain);
        cr_assert(!fits || strcmp(err->key + plain, "\\x0a") == 0, "%zu", plain);
    }
}

/* After an escape that did not fit nothing follows: the text would not be the key's beginning. */
Test(error_text, nothing_follows_the_cut)
{
    struct hg_error *err = &guarded.err;
    char key[200];
    memset(key, 'k', sizeof key);
    key[125] = '\n';
    hgi_error_set_key(err, key, sizeof key);
    cr_assert_eq(strlen(err->key), 125u);
    cr_assert(err->key_truncated);
}

Test(error_text, an_empty_key_is_an_empty_text)
{
    hgi_error_set_key(&guarded.err, "left over", 9);
    hgi_error_set_key(&guarded.err, NULL, 0);
    cr_assert_str_empty(guarded.err.key);
    cr_assert_not(guarded.err.key_truncated);
}

Test(error_text, a_copied_text_is_cut_to_its_field_and_ended)
{
    struct hg_error *err = &guarded.err;
    for (size_t length = 0; length < 100; length++) {
        hgi_copy_text(err->operation, sizeof err->operation, text_of(length));
        size_t kept = length < sizeof err->operation ? length : sizeof err->operation - 1;
        cr_assert_eq(strlen(err->operation), kept, "%zu", length);
        cr_assert_str_empty(err->key, "the next field");
    }
    char one[1] = { 'x' };
    hgi_copy_text(one, sizeof one, "text");
    cr_assert_eq(one[0], '\0');
}
