/* Formats and words become the bytes that hiredis makes of them, and the words are found again. */
#include <criterion/criterion.h>

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "policy/random.h"
#include "pool/frame.h"

/* The words that a frame tells are those that its bytes hold. */
static void check_words(const struct hgi_frame *frame, const char *of)
{
    redisReader *reader = redisReaderCreate();
    void *parsed = NULL;
    cr_assert_eq(redisReaderFeed(reader, frame->bytes, frame->length), REDIS_OK);
    cr_assert_eq(redisReaderGetReply(reader, &parsed), REDIS_OK);
    const redisReply *reply = parsed;
    cr_assert(reply && reply->type == REDIS_REPLY_ARRAY, "\"%s\"", of);
    cr_assert_eq(reply->elements, (size_t)frame->argc, "\"%s\"", of);
    for (int i = 0; i < frame->argc; i++) {
        const redisReply *word = reply->element[i];
        size_t length = frame->lengths ? frame->lengths[i] : strlen(frame->argv[i]);
        cr_assert_eq(word->len, length, "word %d of \"%s\"", i, of);
        cr_assert(length == 0 || memcmp(word->str, frame->argv[i], length) == 0,
                  "word %d of \"%s\"", i, of);
    }
    freeReplyObject(parsed);
    redisReaderFree(reader);
}

/* The same from hiredis alone. Returns whether the frame was made by the fast writer. */
static bool check(const char *format, ...)
{
    va_list arguments;
    char *bytes = NULL;
    va_start(arguments, format);
    int length = redisvFormatCommand(&bytes, format, arguments);
    va_end(arguments);
    struct hg_error err = HG_ERROR_INIT;
    struct hgi_frame frame;
    va_start(arguments, format);
    hg_status status = hgi_frame_format(&frame, format, arguments, &err);
    va_end(arguments);
    if (length < 0 || (length == 4 && memcmp(bytes, "*0\r\n", 4) == 0)) {
        cr_assert_eq(status, HG_ERR_VALIDATION, "\"%s\"", format);
        cr_assert(err.message[0] != '\0');
        if (length >= 0)
            redisFreeCommand(bytes);
        return false;
    }
    cr_assert_eq(status, HG_OK, "\"%s\": %s", format, err.message);
    cr_assert_eq(frame.length, (size_t)length, "\"%s\"", format);
    cr_assert_eq(memcmp(frame.bytes, bytes, frame.length), 0, "\"%s\"", format);
    check_words(&frame, format);
    const bool is_sds = frame.is_sds;
    hgi_frame_free(&frame);
    redisFreeCommand(bytes);
    return is_sds;
}

Test(frame, plain_formats_are_split_here_and_others_by_hiredis)
{
    const size_t two = 2;
    cr_assert(check("PING"));
    cr_assert(check("GET %s", "key"));
    cr_assert(check("  SET   %s  %b ", "key", "a\0b", two + 1));
    cr_assert(check("SET %s %s", "", ""));
    cr_assert(check("%s", "PING"));
    cr_assert(check("%b %b", "GET", (size_t)3, NULL, (size_t)0));
    cr_assert(check("GET\tkey")); /* only spaces part words */
    cr_assert_not(check("GET key:%s", "7"));
    cr_assert_not(check("GET %s:%s", "a", "b"));
    cr_assert_not(check("GET %sx", "a"));
    cr_assert_not(check("EXPIRE %s %d", "key", 7));
    cr_assert_not(check("INCRBYFLOAT %s %.3f", "key", 1.5));
    cr_assert_not(check("SET %s %llu", "key", 18446744073709551615ull));
    cr_assert_not(check("SET 100%% %s", "key"));
    cr_assert_not(check("GET %"));
    cr_assert_not(check("GET %y", "key")); /* not valid */
    cr_assert_not(check(""));
    cr_assert_not(check("   "));
}

Test(frame, more_words_than_there_is_room_for_are_left_to_hiredis)
{
    cr_assert(check("a b c d e f g h i j k l m n o %s", "16"));
    cr_assert_not(check("a b c d e f g h i j k l m n o p %s", "17"));
    cr_assert_not(check("%s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s", "1", "2", "3",
                        "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
                        "17", "18", "19"));
}

static uint64_t below(uint64_t limit)
{
    return hgi_random_u64() % limit;
}

/* A format that is being made up, and the kinds of its arguments. */
struct made_up {
    char text[160];
    size_t length;
    unsigned taken;
    unsigned binary; /* bit i: the argument i is a pointer and a size */
};

static void add(struct made_up *format, const char *text)
{
    while (*text)
        format->text[format->length++] = *text++;
}

static void add_word(struct made_up *format)
{
    static const char letters[] = "abcXYZ019:{}-_\t\n\x7f\xc3";
    switch (below(8)) {
    case 0:
    case 1:
        add(format, "%s");
        format->taken++;
        break;
    case 2:
        add(format, "%b");
        format->binary |= 1u << format->taken++;
        break;
    case 3: /* a string within a word */
        add(format, "k:%s!");
        format->taken++;
        break;
    case 4:
        add(format, "50%%");
        break;
    default:
        for (uint64_t i = below(6); i > 0; i--)
            format->text[format->length++] = letters[below(sizeof letters - 1)];
        break;
    }
    for (uint64_t i = below(3); i > 0; i--)
        add(format, " ");
}

Test(frame, made_up_formats_come_out_as_from_hiredis)
{
    static const char data[] = "\0binary\r\n$5 %s and more";
    hgi_random_seed(20261125);
    unsigned fast = 0, slow = 0;
    for (int round = 0; round < 50000; round++) {
        struct made_up made_up = { 0 };
        for (uint64_t words = 1 + below(7); words > 0 && made_up.taken < 3; words--)
            add_word(&made_up);
        const char *format = made_up.text;
        const char *s = data + 1 + below(sizeof data - 1);
        const size_t n = below(sizeof data);
        bool is_fast = false;
        switch (made_up.binary) {
        case 0:
            is_fast = check(format, s, "", s);
            break;
        case 1:
            is_fast = check(format, data, n, s, "x");
            break;
        case 2:
            is_fast = check(format, s, data, n, s);
            break;
        case 3:
            is_fast = check(format, data, n, data, (size_t)0, s);
            break;
        case 4:
            is_fast = check(format, s, "", data, n);
            break;
        case 5:
            is_fast = check(format, data, n, s, data, n);
            break;
        case 6:
            is_fast = check(format, s, data, n, data, n);
            break;
        case 7:
        default:
            is_fast = check(format, data, n, data, n, data, n);
            break;
        }
        fast += is_fast;
        slow += !is_fast;
    }
    cr_assert(fast > 10000 && slow > 10000, "%u fast, %u slow", fast, slow);
}

static hg_status from_words(struct hgi_frame *frame, int argc, const char **argv,
                            const size_t *lengths)
{
    char *bytes = NULL;
    long long length = redisFormatCommandArgv(&bytes, argc, argv, lengths);
    hg_status status = hgi_frame_format_argv(frame, argc, argv, lengths, NULL);
    if (status == HG_OK) {
        cr_assert_eq(frame->length, (size_t)length);
        cr_assert_eq(memcmp(frame->bytes, bytes, frame->length), 0);
        check_words(frame, "words");
    }
    redisFreeCommand(bytes);
    return status;
}

Test(frame, words_come_out_as_from_hiredis_small_and_large)
{
    static char large[100000];
    memset(large, 'v', sizeof large - 1);
    const char *words[] = { "SET", "key", large };
    struct hgi_frame frame;
    for (size_t length = 0; length < sizeof large; length = length * 3 + 1) {
        const size_t lengths[] = { 3, 3, length };
        cr_assert_eq(from_words(&frame, 3, words, lengths), HG_OK);
        cr_assert_eq(frame.is_sds, length < 65000);
        hgi_frame_free(&frame);
    }
    cr_assert_eq(from_words(&frame, 3, words, NULL), HG_OK);
    hgi_frame_free(&frame);

    const char *many[1000];
    for (int i = 0; i < 1000; i++)
        many[i] = "word";
    cr_assert_eq(from_words(&frame, 1000, many, NULL), HG_OK);
    hgi_frame_free(&frame);
}

static hg_status from_format(struct hg_error *err, const char *format, ...)
{
    struct hgi_frame frame;
    va_list arguments;
    va_start(arguments, format);
    hg_status status = hgi_frame_format(&frame, format, arguments, err);
    va_end(arguments);
    return status;
}

Test(frame, a_word_that_is_missing_is_said)
{
    struct hg_error err = HG_ERROR_INIT;
    const char *nothing = NULL;
    cr_assert_eq(from_format(&err, "SET %s %s", "key", nothing), HG_ERR_VALIDATION);
    cr_assert(strstr(err.message, "word 3 of the command is NULL"), "%s", err.message);
    cr_assert_eq(from_format(&err, "GET %b", nothing, (size_t)1), HG_ERR_VALIDATION);
    cr_assert(strstr(err.message, "word 2 "), "%s", err.message);

    struct hgi_frame frame;
    const char *words[] = { "GET", NULL };
    const size_t lengths[] = { 3, 4 };
    cr_assert_eq(hgi_frame_format_argv(&frame, 2, words, NULL, &err), HG_ERR_VALIDATION);
    cr_assert(strstr(err.message, "word 2 "), "%s", err.message);
    cr_assert_eq(hgi_frame_format_argv(&frame, 2, words, lengths, &err), HG_ERR_VALIDATION);
}

/* As where a length was computed wrongly: hiredis would reckon a small block for it, and write beyond. */
Test(frame, a_length_that_no_word_can_have_is_said)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hgi_frame frame;
    const char *words[] = { "SET", "key", "value" };
    const size_t lengths[][3] = {
        { 3, 3, SIZE_MAX },
        { 3, 3, SIZE_MAX - 40 },
        { 3, SIZE_MAX / 2, SIZE_MAX / 2 },
#if HIREDIS_MAJOR == 0 && SIZE_MAX > UINT32_MAX
        { 3, 3, INT_MAX },
        { 3, 3, (size_t)UINT32_MAX + 1 },
#endif
    };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        cr_assert_eq(hgi_frame_format_argv(&frame, 3, words, lengths[i], &err), HG_ERR_VALIDATION);
        cr_assert(strstr(err.message, "more than can be sent"), "%s", err.message);
    }
    cr_assert_eq(from_format(&err, "SET %s %b", "key", "value", SIZE_MAX), HG_ERR_VALIDATION);
    cr_assert(strstr(err.message, "more than can be sent"), "%s", err.message);
}
