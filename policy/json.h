/* The one way to cJSON's parser for all of the library. */
#ifndef HERDGATE_POLICY_JSON_H
#define HERDGATE_POLICY_JSON_H

#include <stddef.h>

struct cJSON;

/* Parse all of `length` bytes at `text`; text[length] must be readable and 0. NULL: not JSON, more
 * behind the value, a 0 byte inside, or no memory; *error_offset (may be NULL) is where it stopped.
 * The result is the caller's, for cJSON_Delete(). Any thread: cJSON writes a global while it parses,
 * so this takes one lock, which is also held over a fork. */
struct cJSON *hgi_json_parse(const char *text, size_t length, size_t *error_offset);

#endif
