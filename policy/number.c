/* Numbers of a JSON text, as pure functions of it.
 *
 * The grammar is checked here because strtod(), which cJSON uses, reads more than JSON has: leading
 * zeros, "1.", "inf". The range is checked on the text because 1e400 becomes infinity and 1e-400
 * becomes 0 without a word. A number's size is the power of ten of its first digit that is not 0.
 */
#include "policy/number.h"

#include <assert.h>
#include <stdbool.h>

enum { POWER_MAX = 307, EXPONENT_CUT = 1000 }; /* beyond the cut every exponent is out of range */

static_assert(HGI_DIGITS_MAX == 60, "a message below says it");

/* Where the reading is. */
struct reader {
    const char *text;
    size_t length;
    size_t at;
};

static size_t skip_digits(struct reader *reader)
{
    size_t from = reader->at;
    while (reader->text[reader->at] >= '0' && reader->text[reader->at] <= '9')
        reader->at++;
    return reader->at - from;
}

static bool skip_either(struct reader *reader, char one, char other)
{
    char byte = reader->text[reader->at];
    if (byte != one && byte != other)
        return false;
    reader->at++;
    return true;
}

static struct hgi_number_fault no_digit(const struct reader *reader)
{
    return (struct hgi_number_fault) {
        .what = reader->at == reader->length
                    ? "the text ends here, inside a number; expected a digit"
                    : "not a JSON number; expected a digit",
        .at = reader->at,
    };
}

/* The value of some digits, cut when it is out of range anyway. */
static int read_exponent(const char *digits, size_t length, bool negative)
{
    int value = 0;
    for (size_t i = 0; i < length && value < EXPONENT_CUT; i++)
        value = value * 10 + (digits[i] - '0');
    return negative ? -value : value;
}

/* The power of ten of the first digit that is not 0; false: there is none, the number is 0. */
static bool leading_power(const char *digits, size_t length, size_t whole, int *power)
{
    int place = 0;
    for (size_t i = 0; i < length; i++) {
        if (digits[i] == '.')
            continue;
        if (digits[i] != '0') {
            *power = (int)whole - 1 - place;
            return true;
        }
        place++;
    }
    return false;
}

static struct hgi_number_fault read_number(struct reader *reader)
{
    (void)skip_either(reader, '-', '-');
    const char *digits = reader->text + reader->at;
    size_t whole = skip_digits(reader);
    if (whole == 0)
        return no_digit(reader);
    if (whole > 1 && digits[0] == '0')
        return (struct hgi_number_fault) { "a number must not begin with 0; remove the zero", 0 };
    if (skip_either(reader, '.', '.') && skip_digits(reader) == 0)
        return no_digit(reader);
    size_t mantissa = (size_t)(reader->text + reader->at - digits);
    int exponent = 0;
    if (skip_either(reader, 'e', 'E')) {
        bool negative = reader->text[reader->at] == '-';
        (void)skip_either(reader, '-', '+');
        size_t count = skip_digits(reader);
        if (count == 0)
            return no_digit(reader);
        exponent = read_exponent(reader->text + reader->at - count, count, negative);
    }
    if (reader->at > HGI_DIGITS_MAX)
        return (struct hgi_number_fault) {
            "a number of more than 60 characters; write fewer digits", 0
        };
    int power;
    if (leading_power(digits, mantissa, whole, &power) &&
        (power + exponent > POWER_MAX || power + exponent < -POWER_MAX))
        return (struct hgi_number_fault) {
            "the number is out of range; no number here is beyond 1e307", 0
        };
    return (struct hgi_number_fault) { NULL, 0 };
}

size_t hgi_number_length(const char *text, size_t length, struct hgi_number_fault *fault)
{
    struct reader reader = { .text = text, .length = length };
    *fault = read_number(&reader);
    return reader.at;
}
