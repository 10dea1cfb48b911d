/* The little of UTF-8 that a policy file needs. */
#ifndef HERDGATE_POLICY_UTF8_H
#define HERDGATE_POLICY_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at `text`, 1 to 4; 0: not valid (RFC 3629), or not all of it is there. */
size_t hgi_utf8_width(const char *text, size_t length);

/* The character at text[*at], which is valid; moves *at behind it. */
uint32_t hgi_utf8_next(const char *text, size_t *at);

/* Write one character as it may stand in a message of one line: controls as \uXXXX. Returns the
 * bytes written, 0 if `size` has no room for them and a terminator. */
size_t hgi_utf8_show(char *out, size_t size, uint32_t character);

#endif
