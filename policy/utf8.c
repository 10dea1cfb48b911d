/* UTF-8: validity by the table of RFC 3629, one character at a time. Pure. */
#include "policy/utf8.h"

#include <stdio.h>
#include <string.h>

size_t hgi_utf8_width(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (length == 0)
        return 0;
    unsigned char lead = bytes[0];
    if (lead < 0x80)
        return 1;
    size_t width = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length < width)
        return 0;
    /* The second byte's limits keep out overlong forms, surrogates and what is above U+10FFFF. */
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < width; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    return width;
}

uint32_t hgi_utf8_next(const char *text, size_t *at)
{
    const unsigned char *bytes = (const unsigned char *)text + *at;
    if (bytes[0] < 0x80) {
        *at += 1;
        return bytes[0];
    }
    if (bytes[0] < 0xe0) {
        *at += 2;
        return (uint32_t)(bytes[0] & 0x1f) << 6 | (uint32_t)(bytes[1] & 0x3f);
    }
    if (bytes[0] < 0xf0) {
        *at += 3;
        return (uint32_t)(bytes[0] & 0x0f) << 12 | (uint32_t)(bytes[1] & 0x3f) << 6 |
               (uint32_t)(bytes[2] & 0x3f);
    }
    *at += 4;
    return (uint32_t)(bytes[0] & 0x07) << 18 | (uint32_t)(bytes[1] & 0x3f) << 12 |
           (uint32_t)(bytes[2] & 0x3f) << 6 | (uint32_t)(bytes[3] & 0x3f);
}

/* Ends a line or steers a terminal: C0 and C1 controls, DEL, line and paragraph separators, and the
 * marks that turn the direction of text. */
static int is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
           character == 0x2029 || (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

size_t hgi_utf8_show(char *out, size_t size, uint32_t character)
{
    char shown[8];
    size_t length = 0;
    if (is_control(character)) {
        length = (size_t)snprintf(shown, sizeof shown, "\\u%04x", character & 0xffffu);
    } else if (character < 0x80) {
        shown[length++] = (char)character;
    } else if (character < 0x800) {
        shown[length++] = (char)(0xc0 | character >> 6);
        shown[length++] = (char)(0x80 | (character & 0x3f));
    } else if (character < 0x10000) {
        shown[length++] = (char)(0xe0 | character >> 12);
        shown[length++] = (char)(0x80 | (character >> 6 & 0x3f));
        shown[length++] = (char)(0x80 | (character & 0x3f));
    } else {
        shown[length++] = (char)(0xf0 | character >> 18);
        shown[length++] = (char)(0x80 | (character >> 12 & 0x3f));
        shown[length++] = (char)(0x80 | (character >> 6 & 0x3f));
        shown[length++] = (char)(0x80 | (character & 0x3f));
    }
    if (length >= size)
        return 0;
    memcpy(out, shown, length);
    out[length] = '\0';
    return length;
}
