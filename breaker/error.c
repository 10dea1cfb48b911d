/* The error record and the names of its parts.
 *
 * One table holds what each type is called and means by default; everything else here is text
 * handling that never allocates and never writes past a field.
 */
#include "breaker/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(struct hg_error) == HG_ERROR_SIZE, "the public size of an error record");

struct type_facts {
    const char *name;
    hg_severity severity;
    hg_recovery recovery;
};

/* Indexed by -status. Severity and recovery are the defaults that a policy file can override. */
static const struct type_facts types[] = {
    [-HG_OK] = { "OK", HG_SEVERITY_LOW, HG_RECOVERY_FAIL },
    [-HG_ERR_CONNECTION] = { "CONNECTION", HG_SEVERITY_HIGH, HG_RECOVERY_RETRY_WITH_BACKOFF },
    [-HG_ERR_TIMEOUT] = { "TIMEOUT", HG_SEVERITY_MEDIUM, HG_RECOVERY_RETRY_WITH_BACKOFF },
    [-HG_ERR_VALIDATION] = { "VALIDATION", HG_SEVERITY_LOW, HG_RECOVERY_FAIL },
    [-HG_ERR_NOT_FOUND] = { "NOT_FOUND", HG_SEVERITY_LOW, HG_RECOVERY_IGNORE },
    [-HG_ERR_SERIALIZATION] = { "SERIALIZATION", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    [-HG_ERR_RETRY_EXHAUSTED] = { "RETRY_EXHAUSTED", HG_SEVERITY_HIGH, HG_RECOVERY_FAIL },
    [-HG_ERR_CIRCUIT_OPEN] = { "CIRCUIT_OPEN", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    [-HG_ERR_UNAVAILABLE] = { "UNAVAILABLE", HG_SEVERITY_HIGH, HG_RECOVERY_RETRY_WITH_BACKOFF },
    [-HG_ERR_POOL_TIMEOUT] = { "POOL_TIMEOUT", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    [-HG_ERR_SERVER] = { "SERVER", HG_SEVERITY_LOW, HG_RECOVERY_FAIL },
    [-HG_ERR_AUTH] = { "AUTH", HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL },
    [-HG_ERR_PROTOCOL] = { "PROTOCOL", HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL },
    [-HG_ERR_CLOSED] = { "CLOSED", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL },
    [-HG_ERR_NO_MEMORY] = { "NO_MEMORY", HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct type_facts *facts_of(hg_status status)
{
    static const struct type_facts unknown = { "?", HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL };
    if (status > 0 || status <= -(int)COUNT_OF(types))
        return &unknown;
    return &types[-status];
}

const char *hg_status_name(hg_status status)
{
    return status == HG_IGNORED ? "IGNORED" : facts_of(status)->name;
}

hg_severity hg_status_severity(hg_status status)
{
    return facts_of(status)->severity;
}

hg_recovery hg_status_recovery(hg_status status)
{
    return facts_of(status)->recovery;
}

static const char *name_at(const char *const *names, size_t count, int index)
{
    return index >= 0 && (size_t)index < count ? names[index] : "?";
}

const char *hg_severity_name(hg_severity severity)
{
    static const char *const names[] = { "low", "medium", "high", "critical" };
    return name_at(names, COUNT_OF(names), (int)severity);
}

const char *hg_recovery_name(hg_recovery recovery)
{
    static const char *const names[] = {
        "fail",          "ignore", "retry_with_backoff", "retry_with_delay", "circuit_breaker",
        "wait_and_retry"
    };
    return name_at(names, COUNT_OF(names), (int)recovery);
}

const char *hg_outcome_name(hg_outcome outcome)
{
    static const char *const names[] = { "unknown", "not_sent", "rejected", "executed" };
    return name_at(names, COUNT_OF(names), (int)outcome);
}

const char *hg_stop_reason_name(hg_stop_reason reason)
{
    static const char *const names[] = { "none",    "attempts", "deadline", "budget",
                                         "breaker", "outcome",  "fail" };
    return name_at(names, COUNT_OF(names), (int)reason);
}

bool hg_error_is(const struct hg_error *err, hg_status type)
{
    return err && (err->type == type || (err->cause == type && type != HG_OK));
}

void hgi_error_clear(struct hg_error *err)
{
    if (!err)
        return;
    memset(err, 0, sizeof *err);
    err->size = sizeof *err;
}

void hgi_error_vmessage(struct hg_error *err, const char *format, va_list arguments)
{
    if (!err)
        return;
    int length = vsnprintf(err->message, sizeof err->message, format, arguments);
    err->message_truncated = length < 0 || (size_t)length >= sizeof err->message;
}

void hgi_error_message(struct hg_error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hgi_error_vmessage(err, format, arguments);
    va_end(arguments);
}

hg_status hgi_error_set(struct hg_error *err, hg_status type, const char *format, ...)
{
    if (!err)
        return type;
    hgi_error_clear(err);
    err->type = type;
    err->severity = hg_status_severity(type);
    err->recovery = hg_status_recovery(type);
    err->stop_reason = HG_STOP_FAIL;
    if (type == HG_ERR_VALIDATION) /* a caller's mistake is found before anything is sent */
        err->outcome = HG_OUTCOME_NOT_SENT;
    va_list arguments;
    va_start(arguments, format);
    hgi_error_vmessage(err, format, arguments);
    va_end(arguments);
    return type;
}

void hgi_copy_text(char *field, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size)
        length = size - 1;
    memmove(field, text, length);
    field[length] = '\0';
}

void hgi_append_text(char *field, size_t size, const char *text)
{
    size_t used = strlen(field);
    hgi_copy_text(field + used, size - used, text);
}

void hgi_error_set_key(struct hg_error *err, const char *key, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    if (!err)
        return;
    size_t used = 0;
    err->key_truncated = false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)key[i];
        bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';
        if (used + (plain ? 1 : 4) >= sizeof err->key) {
            err->key_truncated = true;
            break;
        }
        if (plain) {
            err->key[used++] = (char)byte;
        } else {
            err->key[used++] = '\\';
            err->key[used++] = 'x';
            err->key[used++] = digits[byte >> 4];
            err->key[used++] = digits[byte & 15];
        }
    }
    err->key[used] = '\0';
}
