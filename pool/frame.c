/* From a format or from words to the bytes of a command. hiredis writes the bytes, and reads most formats.
 *
 * It has two writers: one prints each number of the protocol with sprintf() into a block of exactly the
 * right size, the other, made for its own strings (sds), writes them itself and takes a third of the
 * time, but reserves up to twice the room. Small commands get the latter.
 *
 * Its reader of formats can only be had together with the slow writer, and the two together are half of
 * all the instructions of a GET. So the plainest formats, words and whole arguments as in "SET %s %b", are
 * split here; everything else that a format may hold is left to hiredis. What both can read, they read
 * alike: tests/pool/test_frame.c.
 */
#include "pool/frame.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "breaker/error.h"

enum { SMALL_BYTES = 64 * 1024, FRAME_BYTES = 32 }; /* the latter: at most, around each word */

/* What hiredis's writer can count to: an int's most where it returns one (0.14.1), and what is longer it
 * writes beyond its block. */
#define LENGTH_MOST                                                                        \
    (sizeof redisFormatCommandArgv(NULL, 0, NULL, NULL) == sizeof(int) ? (uint64_t)INT_MAX \
                                                                       : (uint64_t)SIZE_MAX / 2)

/* Read "*<n>\r\n" or "$<n>\r\n" at *at. False: not that. hiredis made these bytes. */
static bool read_count(const char **at, const char *end, char mark, size_t *count)
{
    const char *p = *at;
    if (p >= end || *p++ != mark)
        return false;
    size_t number = 0;
    while (p < end && (unsigned char)(*p - '0') <= 9)
        number = number * 10 + (unsigned char)(*p++ - '0');
    if (end - p < 2)
        return false;
    *count = number;
    *at = p + 2;
    return true;
}

static bool read_words(const struct hgi_frame *frame, const char *at, const char **argv,
                       size_t *lengths)
{
    const char *end = frame->bytes + frame->length;
    for (int i = 0; i < frame->argc; i++) {
        if (!read_count(&at, end, '$', &lengths[i]) || (size_t)(end - at) < lengths[i] + 2)
            return false;
        argv[i] = at;
        at += lengths[i] + 2;
    }
    return true;
}

/* The words of bytes that hiredis made of a format. */
static hg_status find_words(struct hgi_frame *frame, struct hg_error *err)
{
    const char *at = frame->bytes;
    const char **argv = frame->word;
    size_t *lengths = frame->word_length;
    size_t argc;
    if (!read_count(&at, at + frame->length, '*', &argc) || argc > INT32_MAX)
        return hgi_error_set(err, HG_ERR_VALIDATION, "the command cannot be encoded");
    if (argc == 0)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the command is empty; give at least its name");
    if (argc > HGI_FRAME_WORDS) {
        argv = malloc(argc * (sizeof *argv + sizeof *lengths));
        if (!argv)
            return hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for %zu arguments", argc);
        frame->many = argv;
        lengths = (size_t *)(void *)(argv + argc);
    }
    frame->argc = (int)argc;
    frame->argv = argv;
    frame->lengths = lengths;
    if (!read_words(frame, at, argv, lengths))
        return hgi_error_set(err, HG_ERR_VALIDATION, "the command cannot be encoded");
    return HG_OK;
}

/* Split a plain format. False: it is not plain, or has too many words. */
static bool split(struct hgi_frame *frame, const char *format, va_list arguments)
{
    const char *at = format;
    int argc = 0;
    for (;; argc++) {
        while (*at == ' ')
            at++;
        if (*at == '\0')
            break;
        if (argc == HGI_FRAME_WORDS)
            return false;
        const char *begin = at;
        while (*at != '\0' && *at != ' ' && *at != '%')
            at++;
        frame->word[argc] = begin;
        frame->word_length[argc] = (size_t)(at - begin);
        if (*at != '%')
            continue;
        if (at != begin || (at[1] != 's' && at[1] != 'b') || (at[2] != ' ' && at[2] != '\0'))
            return false;
        const char *word = va_arg(arguments, const char *);
        frame->word[argc] = word;
        if (at[1] == 'b')
            frame->word_length[argc] = va_arg(arguments, size_t);
        else
            frame->word_length[argc] = word ? strlen(word) : 1; /* to be refused */
        at += 2;
    }
    frame->argc = argc;
    frame->argv = frame->word;
    frame->lengths = frame->word_length;
    return argc > 0;
}

/* How long the words are together, or SIZE_MAX; at a word that is missing, its place in *missing. */
static size_t total_of(const struct hgi_frame *frame, int *missing)
{
    size_t total = 0;
    *missing = -1;
    for (int i = 0; i < frame->argc; i++) {
        const char *word = frame->argv[i];
        if (!word && (!frame->lengths || frame->lengths[i] > 0)) {
            *missing = i;
            return total;
        }
        size_t length = frame->lengths ? frame->lengths[i] : strlen(word);
        total = length < SIZE_MAX - total ? total + length : SIZE_MAX;
    }
    return total;
}

/* hiredis returns -1 without memory, or if the format is wrong (0.14.1), and then -2 (1.x). */
static hg_status not_formatted(long long result, struct hg_error *err)
{
    if (result == -1)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the command cannot be formatted: a wrong format string, or out of "
                             "memory");
    return hgi_error_set(err, HG_ERR_VALIDATION,
                         "the format string is not valid; %%s takes a string, %%b a pointer and a "
                         "size_t");
}

/* The bytes of its words. */
static hg_status encode(struct hgi_frame *frame, struct hg_error *err)
{
    int missing;
    const size_t total = total_of(frame, &missing);
    if (missing >= 0)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "word %d of the command is NULL; give a string, \"\" for an empty one",
                             missing + 1);
    const uint64_t around = FRAME_BYTES * ((uint64_t)frame->argc + 1);
    if (around > LENGTH_MOST || total > LENGTH_MOST - around)
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "the words of the command have %zu bytes, more than can be sent as one; "
            "look at their lengths",
            total);
    const char **argv = frame->argv;
    const bool is_small = total <= SMALL_BYTES;
    long long length =
        is_small ? redisFormatSdsCommandArgv(&frame->bytes, frame->argc, argv, frame->lengths)
                 : redisFormatCommandArgv(&frame->bytes, frame->argc, argv, frame->lengths);
    if (length < 0)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "out of memory for a command of %zu bytes",
                             total);
    frame->is_sds = is_small;
    frame->length = (size_t)length;
    return HG_OK;
}

static void begin(struct hgi_frame *frame)
{
    frame->bytes = NULL;
    frame->is_sds = false;
    frame->many = NULL;
}

hg_status hgi_frame_format(struct hgi_frame *frame, const char *format, va_list arguments,
                           struct hg_error *err)
{
    begin(frame);
    va_list again;
    va_copy(again, arguments);
    const bool is_plain = split(frame, format, again);
    va_end(again);
    if (is_plain)
        return encode(frame, err);
    int length = redisvFormatCommand(&frame->bytes, format, arguments);
    if (length < 0)
        return not_formatted(length, err);
    frame->length = (size_t)length;
    hg_status status = find_words(frame, err);
    if (status != HG_OK)
        hgi_frame_free(frame);
    return status;
}

hg_status hgi_frame_format_argv(struct hgi_frame *frame, int argc, const char **argv,
                                const size_t *lengths, struct hg_error *err)
{
    begin(frame);
    frame->argc = argc;
    frame->argv = argv;
    frame->lengths = lengths;
    return encode(frame, err);
}

void hgi_frame_free(struct hgi_frame *frame)
{
    if (frame->is_sds)
        redisFreeSdsCommand(frame->bytes);
    else if (frame->bytes)
        redisFreeCommand(frame->bytes);
    free(frame->many);
}
