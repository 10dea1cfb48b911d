/* Values that say where they come from. Pure.
 *
 * A value is a function of its key, its nonce and the range of sizes: whoever knows these can tell
 * every byte of it. From 56 bytes on it begins with key, nonce and length in text and ends with a
 * checksum, so that one that turns up in the wrong place can be named.
 */
#ifndef HERDGATE_TOOLS_STRESS_VALUE_H
#define HERDGATE_TOOLS_STRESS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/common/options.h"

/* Its length: uniform on a logarithmic scale within `sizes`, so that all magnitudes occur. */
size_t hgi_value_length(uint64_t key, uint64_t nonce, struct hgi_span sizes);

/* Write the value, `length` bytes. */
void hgi_value_make(unsigned char *out, size_t length, uint64_t key, uint64_t nonce);

/* Are these bytes that value, its length included? */
bool hgi_value_is(const void *bytes, size_t length, uint64_t key, uint64_t nonce,
                  struct hgi_span sizes);

/* What the bytes are, in words for a message: "the value of key 3, nonce 17, whole". */
void hgi_value_describe(char *out, size_t size, const void *bytes, size_t length);

#endif
