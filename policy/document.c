/* A JSON text, its values' places, and its tree, side by side.
 *
 * The scanner lists the values in the order of the text; cJSON's tree, walked in the same order, is laid
 * against the list, so that each node knows both its place and its decoded value. Lines and columns
 * are counted only when there is something to say about them.
 *
 * Invariants: a message is one line of valid UTF-8 and holds no value of the file unless its writer
 * put it there through hgi_quote(). The text and the tree's strings are wiped before they are freed.
 */
#include "policy/document.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "breaker/error.h"
#include "policy/json.h"
#include "policy/scan.h"
#include "policy/utf8.h"

enum { POINTER_SHOWN = 120 }; /* bytes of the JSON pointer; what is longer loses its head */

static_assert(POINTER_SHOWN + sizeof "..." <= HGI_POINTER_SIZE, "a pointer has room, cut or not");

static uint32_t node_index(const struct hgi_document *document, const struct hgi_node *node)
{
    return (uint32_t)(node - document->nodes);
}

const struct hgi_node *hgi_node_first(const struct hgi_document *document,
                                      const struct hgi_node *node)
{
    return node->first ? &document->nodes[node->first] : NULL;
}

const struct hgi_node *hgi_node_next(const struct hgi_document *document,
                                     const struct hgi_node *node)
{
    return node->next ? &document->nodes[node->next] : NULL;
}

const struct hgi_node *hgi_node_member(const struct hgi_document *document,
                                       const struct hgi_node *node, const char *key)
{
    if (node->kind != HGI_JSON_OBJECT)
        return NULL;
    const struct hgi_node *child = hgi_node_first(document, node);
    while (child && strcmp(child->item->string, key) != 0)
        child = hgi_node_next(document, child);
    return child;
}

const char *hgi_node_kind_name(const struct hgi_node *node)
{
    static const char *const names[] = { "nothing",  "an object",     "an array", "a string",
                                         "a number", "true or false", "null" };
    return names[node->kind];
}

const char *hgi_quote(char out[HGI_QUOTE_SIZE], const char *text)
{
    static const char cut[] = "...";
    size_t used = 0;
    size_t room = HGI_QUOTE_SIZE - (sizeof cut - 1);
    out[0] = '\0';
    for (size_t at = 0; text[at];) {
        size_t width = hgi_utf8_show(out + used, room - used, hgi_utf8_next(text, &at));
        if (width == 0) {
            memcpy(out + used, cut, sizeof cut);
            break;
        }
        used += width;
    }
    return out;
}

void hgi_document_position(const struct hgi_document *document, size_t offset, size_t *line,
                           size_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < document->length; i++) {
        if (document->text[i] == '\n') {
            *line += 1;
            *column = 1;
        } else if (((unsigned char)document->text[i] & 0xc0) != 0x80) {
            *column += 1;
        }
    }
}

/* A text that grows from its end to its beginning, for pointers are found from the leaf up. */
struct backwards {
    char text[POINTER_SHOWN];
    size_t begin;
    bool full;
};

static void put_before(struct backwards *out, const char *text, size_t length)
{
    if (out->full || length > out->begin) {
        out->full = true;
        return;
    }
    out->begin -= length;
    memcpy(out->text + out->begin, text, length);
}

/* One step of a pointer, RFC 6901: "/" and the key with ~ and / escaped. */
static void put_key(struct backwards *out, const char *text, const struct hgi_node *node)
{
    char step[POINTER_SHOWN] = "/";
    size_t used = 1;
    for (size_t at = node->key_offset + 1; at < node->key_end;) {
        uint32_t character = hgi_scan_character(text, &at);
        size_t width;
        if (character == '~' || character == '/') {
            width = used + 2 < sizeof step ? 2 : 0;
            if (width) {
                step[used] = '~';
                step[used + 1] = character == '~' ? '0' : '1';
            }
        } else {
            width = hgi_utf8_show(step + used, sizeof step - used, character);
        }
        if (width == 0)
            break;
        used += width;
    }
    put_before(out, step, used);
}

/* The pointer of a node, or of its parent if its own key could not be read. */
static void put_pointer(struct backwards *out, const struct hgi_document *document,
                        const struct hgi_node *node)
{
    out->begin = sizeof out->text;
    out->full = false;
    while (node_index(document, node) != 0) {
        const struct hgi_node *parent = &document->nodes[node->parent];
        if (node->key_end) {
            put_key(out, document->text, node);
        } else if (parent->kind == HGI_JSON_ARRAY) {
            char step[16];
            int length = snprintf(step, sizeof step, "/%u", node->index);
            put_before(out, step, (size_t)length);
        }
        node = parent;
    }
}

const char *hgi_show_name(char out[HGI_NAME_SHOWN_SIZE], const char *name)
{
    size_t length = strlen(name);
    size_t used = 0;
    out[0] = '\0';
    if (length >= HGI_NAME_SHOWN_SIZE) {
        name += length - (HGI_NAME_SHOWN_SIZE - 4);
        while (((unsigned char)*name & 0xc0) == 0x80)
            name++;
        hgi_copy_text(out, HGI_NAME_SHOWN_SIZE, "...");
        used = 3;
    }
    length = strlen(name);
    for (size_t at = 0; at < length && used + 1 < HGI_NAME_SHOWN_SIZE;) {
        size_t width = hgi_utf8_width(name + at, length - at);
        uint32_t character = '?'; /* a byte that is no character */
        if (width)
            character = hgi_utf8_next(name, &at);
        else
            at++;
        size_t shown = hgi_utf8_show(out + used, HGI_NAME_SHOWN_SIZE - used, character);
        if (shown == 0)
            break;
        used += shown;
    }
    return out;
}

/* A message that was cut may end in the middle of a character. */
static void trim_message(struct hg_error *err)
{
    size_t length = strlen(err->message);
    size_t back = 0;
    while (back < length && back < 3 &&
           ((unsigned char)err->message[length - back - 1] & 0xc0) == 0x80)
        back++;
    if (back < length && hgi_utf8_width(err->message + length - back - 1, back + 1) == 0)
        err->message[length - back - 1] = '\0';
}

static hg_status fail(const struct hgi_document *document, size_t offset,
                      const struct hgi_node *node, const char *format, va_list arguments)
{
    struct hgi_mistake local;
    struct hgi_mistake *mistake = document->mistake ? document->mistake : &local;
    char name[HGI_NAME_SHOWN_SIZE];
    struct backwards pointer;
    put_pointer(&pointer, document, node);
    hgi_document_position(document, offset, &mistake->line, &mistake->column);
    snprintf(mistake->pointer, sizeof mistake->pointer, "%s%.*s", pointer.full ? "..." : "",
             (int)(sizeof pointer.text - pointer.begin), pointer.text + pointer.begin);
    vsnprintf(mistake->what, sizeof mistake->what, format, arguments);
    hgi_error_set(document->err, HG_ERR_VALIDATION, "%s:%zu:%zu: %s%s%s",
                  hgi_show_name(name, document->name), mistake->line, mistake->column,
                  mistake->pointer, mistake->pointer[0] ? ": " : "", mistake->what);
    if (document->err && document->err->message_truncated)
        trim_message(document->err);
    return HG_ERR_VALIDATION;
}

hg_status hgi_document_fail_at(const struct hgi_document *document, size_t offset,
                               const struct hgi_node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hg_status status = fail(document, offset, node, format, arguments);
    va_end(arguments);
    return status;
}

hg_status hgi_document_fail(const struct hgi_document *document, const struct hgi_node *node,
                            enum hgi_place place, const char *format, ...)
{
    size_t offset = place == HGI_AT_KEY && node->key_end ? node->key_offset : node->offset;
    va_list arguments;
    va_start(arguments, format);
    hg_status status = fail(document, offset, node, format, arguments);
    va_end(arguments);
    return status;
}

hg_status hgi_document_no_memory(const struct hgi_document *document)
{
    return hgi_error_set(document->err, HG_ERR_NO_MEMORY, "no memory to read the policy");
}

static bool same_kind(const struct hgi_node *node, const struct cJSON *item)
{
    switch (node->kind) {
    case HGI_JSON_OBJECT:
        return cJSON_IsObject(item);
    case HGI_JSON_ARRAY:
        return cJSON_IsArray(item);
    case HGI_JSON_STRING:
        return cJSON_IsString(item);
    case HGI_JSON_NUMBER:
        return cJSON_IsNumber(item);
    case HGI_JSON_BOOL:
        return cJSON_IsBool(item);
    default:
        return node->kind == HGI_JSON_NULL && cJSON_IsNull(item);
    }
}

/* Lay an item and all below it against its node; false: the two are not of one shape. The depth is
 * the scanner's. */
static bool lay(struct hgi_document *document, uint32_t index, const struct cJSON *item)
{
    struct hgi_node *node = &document->nodes[index];
    if (!same_kind(node, item))
        return false;
    node->item = item;
    uint32_t child = node->first;
    const struct cJSON *below = item->child;
    while (child && below) {
        if (!lay(document, child, below))
            return false;
        child = document->nodes[child].next;
        below = below->next;
    }
    return !child && !below;
}

hg_status hgi_document_open(struct hgi_document *document, char *text, size_t length,
                            const char *name, struct hgi_mistake *mistake, struct hg_error *err)
{
    *document = (struct hgi_document) {
        .name = name, .text = text, .length = length, .err = err, .mistake = mistake
    };
    hg_status status = hgi_scan(document);
    if (status < 0)
        return status;
    size_t offset;
    document->tree = hgi_json_parse(text, length, &offset);
    if (!document->tree) /* the scanner has accepted it: there is no other reason */
        return hgi_document_no_memory(document);
    if (!lay(document, 0, document->tree))
        return hgi_document_fail(document, document->nodes, HGI_AT_VALUE,
                                 "the installed cJSON reads this text as something else");
    return HG_OK;
}

void hgi_document_close(struct hgi_document *document)
{
    for (uint32_t i = 0; i < document->count; i++) {
        const struct hgi_node *node = &document->nodes[i];
        if (node->kind == HGI_JSON_STRING && node->item)
            explicit_bzero(node->item->valuestring, strlen(node->item->valuestring));
    }
    cJSON_Delete(document->tree);
    if (document->text)
        explicit_bzero(document->text, document->length);
    free(document->text);
    free(document->nodes);
    *document = (struct hgi_document) { .name = NULL };
}
