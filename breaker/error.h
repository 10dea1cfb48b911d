/* The error record: how every room fills it. On the ground floor because every room does. */
#ifndef HERDGATE_BREAKER_ERROR_H
#define HERDGATE_BREAKER_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#include <herdgate/error.h>

/* Make *err a fresh record of `type` with its default severity and recovery and a printf message,
 * and return `type`. err NULL: only the return. Never allocates. */
hg_status hgi_error_set(struct hg_error *err, hg_status type, const char *format, ...)
    HG_PRINTF(3, 4);

/* Replace only the message of a record that is not NULL. */
void hgi_error_message(struct hg_error *err, const char *format, ...) HG_PRINTF(2, 3);
void hgi_error_vmessage(struct hg_error *err, const char *format, va_list arguments)
    HG_PRINTF(2, 0);

/* Make *err, if there is one, the record of a success: type HG_OK, everything else empty. */
void hgi_error_clear(struct hg_error *err);

/* Copy a key of `length` bytes into the record for people to read: what is not printable ASCII as
 * \xNN, cut at the field's end, and marked when cut. */
void hgi_error_set_key(struct hg_error *err, const char *key, size_t length);

/* Copy a terminated text into a fixed field, cut to fit. */
void hgi_copy_text(char *field, size_t size, const char *text);

/* Append a terminated text to the one in a fixed field, cut to fit. */
void hgi_append_text(char *field, size_t size, const char *text);

#endif
