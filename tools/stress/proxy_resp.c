/* Where RESP replies end; see proxy_resp.h.
 *
 * A value is a line, and for some types what the line's number announces: so many bytes, or so many
 * values. level[] holds, for each aggregate that is open, how many of its values are to come; a value
 * that ends takes one off, and may so end the aggregates around it.
 */
#include "tools/stress/proxy_resp.h"

#include <string.h>

/* A number of 18 digits, doubled, still fits; no server sends as much. */
enum { DIGITS_MAX = 18 };

/* A value ended; may one at the top have ended with it? */
static bool value_ends(struct hgi_resp *resp)
{
    resp->state = HGI_RESP_TYPE;
    while (resp->depth > 0) {
        if (--resp->level[resp->depth - 1].left > 0)
            return false;
        resp->depth--;
        if (resp->level[resp->depth].attribute)
            return false;
    }
    return true;
}

/* The line of an aggregate: so many values follow. */
static bool open_aggregate(struct hgi_resp *resp)
{
    bool attribute = resp->type == '|';
    uint64_t count = resp->type == '%' || attribute ? 2 * resp->amount : resp->amount;
    resp->state = HGI_RESP_TYPE;
    if (resp->negative || count == 0)
        return attribute ? false : value_ends(resp);
    if (resp->depth == HGI_RESP_DEPTH) {
        resp->state = HGI_RESP_ASTRAY;
        return false;
    }
    resp->level[resp->depth].left = count;
    resp->level[resp->depth].attribute = attribute;
    resp->depth++;
    return false;
}

/* The line is whole. Has a value at the top ended? */
static bool line_ends(struct hgi_resp *resp)
{
    switch (resp->type) {
    case '$':
    case '!':
    case '=':
        if (resp->negative)
            return value_ends(resp);
        resp->state = HGI_RESP_BULK;
        resp->left = resp->amount + 2;
        return false;
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
        return open_aggregate(resp);
    default:
        return value_ends(resp);
    }
}

static bool has_number(char type)
{
    return strchr("$!=*~>%|", type) != NULL;
}

static void begin_value(struct hgi_resp *resp, char type)
{
    bool known = type != '\0' && strchr("+-:,#(_$!=*~>%|", type);
    bool request = resp->requests && resp->depth == 0;
    resp->state = known || request ? HGI_RESP_LINE : HGI_RESP_ASTRAY;
    if (resp->depth == 0)
        resp->push = type == '>';
    resp->type = request && type != '*' ? '+' : type;
    resp->returned = false;
    resp->negative = false;
    resp->digits = 0;
    resp->amount = 0;
}

/* A byte of a line that bears a number. */
static void take_digit(struct hgi_resp *resp, char byte)
{
    if (byte == '-' && resp->digits == 0 && !resp->negative) {
        resp->negative = true;
    } else if (byte >= '0' && byte <= '9' && resp->digits < DIGITS_MAX) {
        resp->amount = resp->amount * 10 + (uint64_t)(byte - '0');
        resp->digits++;
    } else if (byte != '\r' || resp->digits == 0) {
        resp->state = HGI_RESP_ASTRAY;
    }
}

/* Take bytes of the line, at most to its end. */
static size_t take_line(struct hgi_resp *resp, const char *bytes, size_t length, bool *ended)
{
    bool numbered = has_number(resp->type);
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n' && (resp->returned || resp->requests)) {
            *ended = line_ends(resp);
            return i + 1;
        }
        resp->returned = bytes[i] == '\r';
        if (numbered) {
            take_digit(resp, bytes[i]);
            if (resp->state == HGI_RESP_ASTRAY)
                return i + 1;
        }
    }
    return length;
}

static size_t take_bulk(struct hgi_resp *resp, size_t length, bool *ended)
{
    size_t used = resp->left < length ? (size_t)resp->left : length;
    resp->left -= used;
    if (resp->left == 0)
        *ended = value_ends(resp);
    return used;
}

size_t hgi_resp_scan(struct hgi_resp *resp, const char *bytes, size_t length,
                     enum hgi_resp_event *event)
{
    size_t at = 0;
    bool ended = false;
    while (at < length && !ended && resp->state != HGI_RESP_ASTRAY) {
        if (resp->state == HGI_RESP_TYPE)
            begin_value(resp, bytes[at++]);
        else if (resp->state == HGI_RESP_LINE)
            at += take_line(resp, bytes + at, length - at, &ended);
        else
            at += take_bulk(resp, length - at, &ended);
    }
    if (resp->state == HGI_RESP_ASTRAY) {
        *event = HGI_RESP_LOST;
        return length;
    }
    *event = !ended ? HGI_RESP_MORE : resp->push ? HGI_RESP_PUSH : HGI_RESP_REPLY;
    return at;
}
