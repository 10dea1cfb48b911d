/* One command in the protocol's form, with its words. */
#ifndef HERDGATE_POOL_FRAME_H
#define HERDGATE_POOL_FRAME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <herdgate/error.h>

enum { HGI_FRAME_WORDS = 16 };

/* hiredis made the bytes; the words are the caller's own arguments, and live as long as these, or lie in
 * the bytes. */
struct hgi_frame {
    char *bytes; /* NULL: none */
    size_t length;
    bool is_sds; /* of hiredis's other kind of string */
    int argc;
    const char **argv;
    const size_t *lengths; /* NULL: each word ends at its zero */
    const char **many;     /* argv, if it was allocated, and the lengths with it */
    const char *word[HGI_FRAME_WORDS];
    size_t word_length[HGI_FRAME_WORDS];
};

/* As redisCommand() formats, or from its words. HG_OK, and it is to be freed; else HG_ERR_VALIDATION or
 * HG_ERR_NO_MEMORY, and *err says why. Lengths may be NULL. */
hg_status hgi_frame_format(struct hgi_frame *frame, const char *format, va_list arguments,
                           struct hg_error *err);
hg_status hgi_frame_format_argv(struct hgi_frame *frame, int argc, const char **argv,
                                const size_t *lengths, struct hg_error *err);
void hgi_frame_free(struct hgi_frame *frame);

#endif
