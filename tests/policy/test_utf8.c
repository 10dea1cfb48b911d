/* UTF-8, held against every character that there is and every sequence of three bytes. */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "policy/utf8.h"

/* RFC 3629's encoding, written without looking at the code under test. */
static size_t encode(unsigned char out[4], uint32_t character)
{
    if (character < 0x80) {
        out[0] = (unsigned char)character;
        return 1;
    }
    size_t width = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = width - 1; i > 0; i--, character >>= 6)
        out[i] = (unsigned char)(0x80 + character % 64);
    static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    out[0] = (unsigned char)(leads[width] + character);
    return width;
}

static bool is_character(uint32_t value)
{
    return value <= 0x10ffff && !(value >= 0xd800 && value <= 0xdfff);
}

Test(utf8, every_character_has_its_width_and_reads_as_itself)
{
    for (uint32_t character = 0; character <= 0x10ffff; character++) {
        unsigned char bytes[5] = { 0 };
        if (!is_character(character))
            continue;
        size_t width = encode(bytes, character);
        size_t at = 0;
        cr_assert_eq(hgi_utf8_width((char *)bytes, 4), width, "U+%04X", character);
        cr_assert_eq(hgi_utf8_width((char *)bytes, width - 1), 0, "U+%04X, cut", character);
        cr_assert_eq(hgi_utf8_next((char *)bytes, &at), character, "U+%04X", character);
        cr_assert_eq(at, width);
    }
}

/* What no character has is invalid: counted over every sequence of up to three bytes, and over the
 * first two of four. */
Test(utf8, nothing_else_is_valid)
{
    unsigned valid[5] = { 0 };
    for (uint32_t i = 0; i < 1u << 24; i++) {
        unsigned char bytes[4] = { (unsigned char)(i >> 16), (unsigned char)(i >> 8),
                                   (unsigned char)i, 0x80 };
        size_t width = hgi_utf8_width((char *)bytes, 4);
        cr_assert_leq(width, 4);
        valid[width]++;
    }
    cr_assert_eq(valid[1], 0x80u << 16);
    cr_assert_eq(valid[2], (0x800u - 0x80u) << 8);
    cr_assert_eq(valid[3], 0x10000u - 0x800u - 0x800u);
    cr_assert_eq(valid[4], (0x110000u - 0x10000u) >> 6);
}

Test(utf8, what_steers_a_terminal_or_ends_a_line_is_shown_as_an_escape)
{
    static const uint32_t controls[] = { 0,    1,      '\n',   '\r',   0x1b,   0x7f,  0x85,
                                         0x9b, 0x2028, 0x2029, 0x202e, 0x2066, 0x2069 };
    char out[16];
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        cr_assert_eq(hgi_utf8_show(out, sizeof out, controls[i]), 6);
        cr_assert_eq(strncmp(out, "\\u", 2), 0);
    }
    cr_assert_eq(hgi_utf8_show(out, sizeof out, '\n'), 6);
    cr_assert_str_eq(out, "\\u000a");
}

Test(utf8, every_other_character_is_shown_as_itself)
{
    char out[8];
    for (uint32_t character = 0xa0; character <= 0x10ffff; character++) {
        unsigned char bytes[4];
        bool steers = (character >= 0x2028 && character <= 0x202e) ||
                      (character >= 0x2066 && character <= 0x2069);
        if (!is_character(character) || steers)
            continue;
        size_t width = encode(bytes, character);
        cr_assert_eq(hgi_utf8_show(out, sizeof out, character), width);
        cr_assert_arr_eq(out, bytes, width);
    }
}

Test(utf8, a_character_is_written_whole_or_not_at_all)
{
    char out[8] = "xxxxxxx";
    cr_assert_eq(hgi_utf8_show(out, 3, 0x20ac), 0);
    cr_assert_str_eq(out, "xxxxxxx");
    cr_assert_eq(hgi_utf8_show(out, 4, 0x20ac), 3);
    cr_assert_str_eq(out, "\xe2\x82\xac");
    cr_assert_eq(hgi_utf8_show(out, 1, 'a'), 0);
    cr_assert_eq(hgi_utf8_show(out, 0, 'a'), 0);
    cr_assert_eq(hgi_utf8_show(out, 6, '\n'), 0);
}
