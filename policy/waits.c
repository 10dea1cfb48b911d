/* How long a command waits in the server, by the text of its argument.
 *
 * A wait that we read as another than the server does is a call that times out while the server still
 * waits, or that has no limit: so what the server takes, in whatever notation, is read as it reads it, and
 * tests/policy/test_waits_server.c asks one. Pure; nothing is read beyond the length.
 */
#include "policy/waits.h"

#include <stdbool.h>

/* The longest wait that is told from a longer one. */
#define LONGEST_NS INT64_C(4000000000000000000)

static bool is_either(const char *text, const char *end, char one, char other)
{
    return text < end && (*text == one || *text == other);
}

/* The value of a digit in this base, or -1. */
static int digit_of(const char *text, const char *end, int base)
{
    if (text == end)
        return -1;
    if (*text >= '0' && *text <= '9')
        return *text - '0';
    int letter = (*text | 0x20) - 'a';
    return base == 16 && letter >= 0 && letter < 6 ? letter + 10 : -1;
}

/* A number without its sign as strtold() reads it, on which servers rely: digits with an optional point
 * and exponent, of ten, or behind 0x and of two. Our own, because strtold() asks the locale what a point
 * is. False: it is none. */
static bool read_real(const char *text, const char *end, double *out)
{
    int base = text < end && *text == '0' && is_either(text + 1, end, 'x', 'X') ? 16 : 10;
    const double power = base == 16 ? 2 : 10;
    double value = 0, place = 1;
    int exponent = 0, digits = 0, digit;
    text += base == 16 ? 2 : 0;
    for (; (digit = digit_of(text, end, base)) >= 0; text++, digits++)
        value = value * base + digit;
    if (text < end && *text == '.')
        for (text++; (digit = digit_of(text, end, base)) >= 0; text++, digits++)
            value += digit * (place /= base);
    if (digits == 0)
        return false;
    if (base == 16 ? is_either(text, end, 'p', 'P') : is_either(text, end, 'e', 'E')) {
        bool negative = is_either(++text, end, '-', '-');
        text += negative || is_either(text, end, '+', '+');
        if (digit_of(text, end, 10) < 0)
            return false;
        for (; (digit = digit_of(text, end, 10)) >= 0; text++)
            exponent = exponent < 1000 ? exponent * 10 + digit : exponent;
        for (; exponent > 0 && value > 0; exponent--)
            value = negative ? value / power : value * power;
    }
    *out = value;
    return text == end;
}

int64_t hgi_wait_seconds(const char *text, size_t length)
{
    const char *end = text + length;
    bool negative = is_either(text, end, '-', '-');
    double value;
    if (!read_real(text + (negative || is_either(text, end, '+', '+')), end, &value))
        return 0;
    if (negative)
        return value < 1e-3 ? -1 : 0;
    if (value == 0)
        return -1;
    if (value * 1e3 >= 0x1p63)
        return 0;
    if (value * 1e9 < 1)
        return 1;
    return value * 1e9 < (double)LONGEST_NS ? (int64_t)(value * 1e9) : LONGEST_NS;
}

int64_t hgi_wait_milliseconds(const char *text, size_t length)
{
    const char *end = text + length;
    if (end - text == 1 && *text == '0')
        return -1;
    if (text == end || *text == '0')
        return 0;
    int64_t value = 0;
    int digit;
    for (; (digit = digit_of(text, end, 10)) >= 0; text++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return 0;
    if (text != end)
        return 0;
    return value < LONGEST_NS / 1000000 ? value * 1000000 : LONGEST_NS;
}
