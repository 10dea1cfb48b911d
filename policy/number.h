/* The grammar of JSON's numbers, and which of them a policy may hold. */
#ifndef HERDGATE_POLICY_NUMBER_H
#define HERDGATE_POLICY_NUMBER_H

#include <stddef.h>

enum { HGI_DIGITS_MAX = 60 }; /* characters of a number; cJSON reads no more than 63 */

/* Why a text is no number of a policy, and at which byte of it. NULL: it is one. */
struct hgi_number_fault {
    const char *what;
    size_t at;
};

/* The length of the number that `text` begins with: by RFC 8259, at most HGI_DIGITS_MAX characters,
 * and of a size that a double holds with all its digits. Reads no byte behind text[length], which is
 * 0. With a fault the length says how far it was read. */
size_t hgi_number_length(const char *text, size_t length, struct hgi_number_fault *fault);

#endif
