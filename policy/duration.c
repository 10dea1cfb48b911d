/* Durations: text to nanoseconds and back, in integers, so that nothing is rounded.
 *
 * Invariants: never negative; an overflow or a fraction below a nanosecond is an error, not a nearby
 * value; what hgi_duration_format() writes reads back as the same number.
 */
#include "policy/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"

struct unit {
    const char *name;
    int64_t ns;
};

/* From the largest down: the order in which a duration names them. */
static const struct unit units[] = {
    { "d", 86400 * HGI_NS_PER_S },
    { "h", 3600 * HGI_NS_PER_S },
    { "m", 60 * HGI_NS_PER_S },
    { "s", HGI_NS_PER_S },
    { "ms", HGI_NS_PER_MS },
    { "us", HGI_NS_PER_US },
    { "ns", 1 },
};

/* What people write for them elsewhere. */
static const struct {
    const char *name;
    const char *unit;
} aliases[] = {
    { "\xc2\xb5s", "us" },    { "\xce\xbcs", "us" },    { "day", "d" },          { "days", "d" },
    { "hour", "h" },          { "hours", "h" },         { "hr", "h" },           { "hrs", "h" },
    { "micros", "us" },       { "millis", "ms" },       { "min", "m" },          { "mins", "m" },
    { "minute", "m" },        { "minutes", "m" },       { "msec", "ms" },        { "msecs", "ms" },
    { "nanos", "ns" },        { "nsec", "ns" },         { "sec", "s" },          { "second", "s" },
    { "seconds", "s" },       { "secs", "s" },          { "usec", "us" },        { "usecs", "us" },
    { "milliseconds", "ms" }, { "microseconds", "us" }, { "nanoseconds", "ns" },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ALL_UNITS "ns, us, ms, s, m, h or d"

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool same_word(const char *text, size_t length, const char *word)
{
    if (strlen(word) != length)
        return false;
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte - 'A' + 'a');
        if (byte != word[i])
            return false;
    }
    return true;
}

static const struct unit *find_unit(const char *text, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (strlen(units[i].name) == length && memcmp(units[i].name, text, length) == 0)
            return &units[i];
    return NULL;
}

/* The unit that is meant by a word that is none, or NULL. */
static const char *guess_unit(const char *text, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (same_word(text, length, units[i].name))
            return units[i].name;
    for (size_t i = 0; i < COUNT_OF(aliases); i++)
        if (same_word(text, length, aliases[i].name))
            return aliases[i].unit;
    return NULL;
}

/* One number of a duration: whole.fraction, as text. */
struct number {
    const char *whole;
    size_t whole_length;
    const char *fraction;
    size_t fraction_length;
};

static const char *read_number(const char *text, struct number *number)
{
    *number = (struct number) { .whole = text };
    while (is_digit(*text))
        text++;
    number->whole_length = (size_t)(text - number->whole);
    if (number->whole_length == 0 || *text != '.')
        return text;
    number->fraction = ++text;
    while (is_digit(*text))
        text++;
    number->fraction_length = (size_t)(text - number->fraction);
    return text;
}

/* number * unit, added to *sum. */
static const char *add(int64_t *sum, const struct number *number, const struct unit *unit)
{
    static const char too_long[] = "is too long; the longest duration is 106751d";
    int64_t whole = 0;
    int64_t part = unit->ns;
    int64_t fraction = 0;
    for (size_t i = 0; i < number->whole_length; i++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, number->whole[i] - '0', &whole))
            return too_long;
    for (size_t i = 0; i < number->fraction_length; i++) {
        int digit = number->fraction[i] - '0';
        part = part % 10 == 0 ? part / 10 : 0; /* 0: this digit's place is below a nanosecond */
        if (digit != 0 && part == 0)
            return "is finer than a nanosecond; write fewer digits";
        fraction += digit * part;
    }
    if (__builtin_mul_overflow(whole, unit->ns, &whole) ||
        __builtin_add_overflow(whole, fraction, &whole) || __builtin_add_overflow(*sum, whole, sum))
        return too_long;
    return NULL;
}

/* Say what is wrong with the unit of `length` bytes at `unit`, in the duration `text`. */
static void explain_unit(const char *text, const char *unit, size_t length, char *why, size_t size)
{
    int shown = unit - text > 24 ? 24 : (int)(unit - text);
    const char *meant = guess_unit(unit, length);
    const char *word = unit + strspn(unit, " ");
    const char *meant_word = guess_unit(word, strlen(word));
    if (word > unit && meant_word)
        snprintf(why, size, "has a space before its unit; write \"%.*s%s\"", shown, text,
                 meant_word);
    else if (length == 0 && *unit == '\0')
        snprintf(why, size, "has no unit; write \"%.*sms\" or another of " ALL_UNITS, shown, text);
    else if (meant)
        snprintf(why, size, "has a unit that is none; did you mean \"%.*s%s\"?", shown, text,
                 meant);
    else
        snprintf(why, size, "has a unit that is none; units are " ALL_UNITS);
}

bool hgi_duration_parse(const char *text, int64_t *out_ns, char *why, size_t why_size)
{
    int64_t sum = 0;
    const struct unit *before = NULL;
    bool has_fraction = false;
    const char *wrong = NULL;
    if (*text == '-')
        wrong = "is negative; a duration is 0s or longer";
    else if (!*text)
        wrong = "is no duration; write a number and a unit, such as \"250ms\"";
    for (const char *at = text; !wrong && *at;) {
        struct number number;
        const char *unit_at = read_number(at, &number);
        size_t length = strcspn(unit_at, "0123456789.-+ ");
        const struct unit *unit = find_unit(unit_at, length);
        if (number.whole_length == 0) {
            wrong = "is no duration; write a number and a unit, such as \"250ms\"";
            break;
        }
        if (number.fraction && number.fraction_length == 0) {
            wrong = "is no duration; a number needs digits on both sides of its point";
            break;
        }
        if (!unit) {
            explain_unit(text, unit_at, length, why, why_size);
            return false;
        }
        if (before && unit->ns >= before->ns)
            wrong = "names its units out of order; write the larger one first, each once";
        else if (has_fraction)
            wrong = "has a fraction before its last unit; write the fraction last";
        else
            wrong = add(&sum, &number, unit);
        has_fraction = number.fraction != NULL;
        before = unit;
        at = unit_at + length;
    }
    if (wrong) {
        snprintf(why, why_size, "%s", wrong);
        return false;
    }
    *out_ns = sum;
    return true;
}

const char *hgi_duration_format(char out[HGI_DURATION_SIZE], int64_t duration_ns)
{
    size_t used = 0;
    if (duration_ns <= 0) {
        snprintf(out, HGI_DURATION_SIZE, "0s");
        return out;
    }
    for (size_t i = 0; i < COUNT_OF(units) && duration_ns > 0; i++) {
        int64_t count = duration_ns / units[i].ns;
        if (count == 0)
            continue;
        duration_ns -= count * units[i].ns;
        used += (size_t)snprintf(out + used, HGI_DURATION_SIZE - used, "%" PRId64 "%s", count,
                                 units[i].name);
    }
    return out;
}
