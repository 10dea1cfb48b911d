/* Decoding by tables: a row says what a key's value must be and where it goes.
 *
 * The first thing that is wrong ends it. A message says what was expected and what is there, with the
 * limits of a number and the nearest name to one that is not known.
 */
#include "policy/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "policy/duration.h"
#include "policy/suggest.h"

bool hgi_decode_passes(const struct hgi_node *node)
{
    const char *key = node->item->string;
    return strncmp(key, "x-", 2) == 0 || strcmp(key, "$schema") == 0 ||
           strcmp(key, "$comment") == 0;
}

hg_status hgi_decode_expect(struct hgi_decoder *decoder, const struct hgi_node *node,
                            enum hgi_json_kind kind, const char *what)
{
    if (node->kind == kind)
        return HG_OK;
    return hgi_document_fail(decoder->document, node, HGI_AT_VALUE, "expected %s, found %s", what,
                             hgi_node_kind_name(node));
}

hg_status hgi_decode_unknown(struct hgi_decoder *decoder, const struct hgi_node *node,
                             enum hgi_place place, const char *what,
                             const struct hgi_suggestion *suggestion, const char *advice)
{
    char quoted[HGI_QUOTE_SIZE];
    if (place == HGI_AT_VALUE && suggestion->best)
        return hgi_document_fail(decoder->document, node, place,
                                 "unknown %s \"%s\"; did you mean \"%s\"?", what,
                                 hgi_quote(quoted, suggestion->word), suggestion->best);
    if (place == HGI_AT_VALUE)
        return hgi_document_fail(decoder->document, node, place, "unknown %s \"%s\"; %s", what,
                                 hgi_quote(quoted, suggestion->word), advice);
    if (suggestion->best)
        return hgi_document_fail(decoder->document, node, place, "unknown %s; did you mean \"%s\"?",
                                 what, suggestion->best);
    return hgi_document_fail(decoder->document, node, place, "unknown %s; %s", what, advice);
}

hg_status hgi_decode_name(struct hgi_decoder *decoder, const struct hgi_node *node,
                          enum hgi_place place, char *out, size_t size)
{
    if (place == HGI_AT_VALUE) {
        hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "a string");
        if (status < 0)
            return status;
    }
    const char *text = place == HGI_AT_KEY ? node->item->string : node->item->valuestring;
    size_t length = strlen(text);
    if (length == 0)
        return hgi_document_fail(decoder->document, node, place,
                                 "an empty name; write at least one character");
    if (length >= size)
        return hgi_document_fail(decoder->document, node, place,
                                 "a name of %zu characters; the limit is %zu", length, size - 1);
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return hgi_document_fail(
                decoder->document, node, place,
                "a name with a space or a character beyond ASCII; use letters, "
                "digits and marks");
    memcpy(out, text, length + 1);
    return HG_OK;
}

/* "1,024": numbers of messages are for people. */
static const char *show_count(char out[32], double value)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%.0f", value);
    char *at = out;
    for (int i = 0; i < length; i++) {
        *at++ = digits[i];
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0)
            *at++ = ',';
    }
    *at = '\0';
    return out;
}

static hg_status decode_count(struct hgi_decoder *decoder, const struct hgi_node *node,
                              const struct hgi_field *field, uint32_t *out)
{
    char low[32];
    char high[32];
    double value = node->item->valuedouble;
    show_count(low, field->min);
    show_count(high, field->max);
    if (node->kind != HGI_JSON_NUMBER)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "expected a whole number from %s to %s, found %s", low, high,
                                 hgi_node_kind_name(node));
    if (value < field->min || value > field->max || value != (double)(uint32_t)value)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "%.9g is out of range; write a whole number from %s to %s", value,
                                 low, high);
    *out = (uint32_t)value;
    return HG_OK;
}

static hg_status decode_real(struct hgi_decoder *decoder, const struct hgi_node *node,
                             const struct hgi_field *field, double *out)
{
    double value = node->item->valuedouble;
    if (node->kind != HGI_JSON_NUMBER)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "expected a number from %.9g to %.9g, found %s", field->min,
                                 field->max, hgi_node_kind_name(node));
    if (field->kind == HGI_FIELD_RATE && value > 1 && value <= 100)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "%.9g is out of range, a rate is from 0 to 1; did you mean %.9g?",
                                 value, value / 100);
    if (value < field->min || value > field->max)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "%.9g is out of range; write a number from %.9g to %.9g", value,
                                 field->min, field->max);
    *out = value;
    return HG_OK;
}

static hg_status decode_duration(struct hgi_decoder *decoder, const struct hgi_node *node,
                                 const struct hgi_field *field, int64_t *out)
{
    bool may_be_off = field->kind == HGI_FIELD_DURATION_OR_OFF;
    double number = node->item->valuedouble;
    if (node->kind == HGI_JSON_NUMBER && number >= 0 && number < 1e9)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "a duration needs a unit; write \"%.9gms\", or another of ns, us, "
                                 "ms, s, m, h, d",
                                 number);
    if (node->kind != HGI_JSON_STRING)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "expected a duration such as \"250ms\"%s, found %s",
                                 may_be_off ? " or \"off\"" : "", hgi_node_kind_name(node));
    const char *text = node->item->valuestring;
    char quoted[HGI_QUOTE_SIZE];
    char why[120];
    int64_t value;
    if (may_be_off && strcmp(text, "off") == 0) {
        *out = field->off;
        return HG_OK;
    }
    if (!hgi_duration_parse(text, &value, why, sizeof why))
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE, "\"%s\" %s",
                                 hgi_quote(quoted, text), why);
    if (value >= (int64_t)field->min && value <= (int64_t)field->max) {
        *out = value;
        return HG_OK;
    }
    char low[HGI_DURATION_SIZE];
    char high[HGI_DURATION_SIZE];
    return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                             "\"%s\" is out of range; write a duration from %s to %s%s",
                             hgi_quote(quoted, text), hgi_duration_format(low, (int64_t)field->min),
                             hgi_duration_format(high, (int64_t)field->max),
                             may_be_off ? ", or \"off\"" : "");
}

static hg_status decode_choice(struct hgi_decoder *decoder, const struct hgi_node *node,
                               const struct hgi_field *field, int *out)
{
    char all[160] = "";
    size_t used = 0;
    struct hgi_suggestion suggestion;
    bool is_text = node->kind == HGI_JSON_STRING;
    hgi_suggest_begin(&suggestion, is_text ? node->item->valuestring : "");
    for (int i = 0; field->choices[i]; i++) {
        if (is_text && strcmp(node->item->valuestring, field->choices[i]) == 0) {
            *out = i;
            return HG_OK;
        }
        hgi_suggest_offer(&suggestion, field->choices[i]);
        if (used < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s\"%s\"", i ? ", " : "",
                                     field->choices[i]);
    }
    if (!is_text)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "expected one of %s, found %s", all, hgi_node_kind_name(node));
    char advice[180];
    snprintf(advice, sizeof advice, "write one of %s", all);
    return hgi_decode_unknown(decoder, node, HGI_AT_VALUE, field->key, &suggestion, advice);
}

static hg_status decode_bool(struct hgi_decoder *decoder, const struct hgi_node *node, bool *out)
{
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_BOOL, "true or false");
    if (status == HG_OK)
        *out = cJSON_IsTrue(node->item);
    return status;
}

hg_status hgi_decode_field(struct hgi_decoder *decoder, const struct hgi_node *node,
                           const struct hgi_field *field, void *base)
{
    void *at = (char *)base + field->offset;
    switch (field->kind) {
    case HGI_FIELD_COUNT:
        return decode_count(decoder, node, field, at);
    case HGI_FIELD_RATE:
    case HGI_FIELD_REAL:
        return decode_real(decoder, node, field, at);
    case HGI_FIELD_BOOL:
        return decode_bool(decoder, node, at);
    case HGI_FIELD_DURATION:
    case HGI_FIELD_DURATION_OR_OFF:
        return decode_duration(decoder, node, field, at);
    case HGI_FIELD_CHOICE:
        return decode_choice(decoder, node, field, at);
    case HGI_FIELD_SECTION:
        return hgi_decode_object(decoder, node, field->fields, at);
    case HGI_FIELD_OWN:
        return field->own(decoder, node, at);
    default:
        return HG_OK;
    }
}

hg_status hgi_decode_object(struct hgi_decoder *decoder, const struct hgi_node *node,
                            const struct hgi_field *fields, void *base)
{
    const struct hgi_document *document = decoder->document;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    const struct hgi_node *child = status < 0 ? NULL : hgi_node_first(document, node);
    for (; child && status == HG_OK; child = hgi_node_next(document, child)) {
        if (hgi_decode_passes(child))
            continue;
        struct hgi_suggestion suggestion;
        const struct hgi_field *field = fields;
        hgi_suggest_begin(&suggestion, child->item->string);
        for (; field->key && strcmp(field->key, child->item->string) != 0; field++)
            hgi_suggest_offer(&suggestion, field->key);
        status = field->key ? hgi_decode_field(decoder, child, field, base)
                            : hgi_decode_unknown(decoder, child, HGI_AT_KEY, "key", &suggestion,
                                                 "remove it, or begin it with \"x-\"");
    }
    return status;
}

hg_status hgi_decode_ordered(struct hgi_decoder *decoder, const struct hgi_node *node, bool ok,
                             const char *low, const char *high, const char *why)
{
    if (ok)
        return HG_OK;
    const struct hgi_node *low_node = hgi_node_member(decoder->document, node, low);
    const struct hgi_node *high_node = hgi_node_member(decoder->document, node, high);
    const struct hgi_node *at = low_node ? low_node : high_node ? high_node : node;
    const char *missing = !low_node ? low : !high_node ? high : NULL;
    return hgi_document_fail(
        decoder->document, at, HGI_AT_VALUE, "%s must not be above %s%s%s%s; %s", low, high,
        missing ? ", and " : "", missing ? missing : "", missing ? " is not set here" : "", why);
}
