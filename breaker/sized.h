/* How the options of a caller's version of a public struct are read. */
#ifndef HERDGATE_BREAKER_SIZED_H
#define HERDGATE_BREAKER_SIZED_H

#include <stddef.h>

#include <herdgate/error.h>

/* What this version knows of a struct that begins with `size_t size`. */
struct hgi_sized {
    size_t known;     /* its size here */
    size_t least;     /* of the oldest one; what is shorter was never initialised */
    const char *init; /* the macro that does that, for the message */
};

/* Read the caller's struct into *full, which holds the defaults, and is of the known size afterwards.
 *
 * One rule for all of them. An older caller's struct is shorter, and what it does not reach keeps its
 * default. A newer caller's is longer: it is taken if all that is not known here is 0, which is "the
 * default" by convention, and refused with HG_ERR_VALIDATION if it is not, because the caller asks for
 * something that would be passed over without a word. given NULL: the defaults. `function` begins the
 * messages. */
hg_status hgi_sized_read(void *full, const void *given, const struct hgi_sized *form,
                         const char *function, struct hg_error *err);

#endif
