/* The scanner: one pass over the text, before cJSON sees it.
 *
 * cJSON keeps no positions and lets pass what a policy must not hold: duplicate keys, numbers out of
 * range, text after the value, bytes that are no UTF-8. So the text is read here first, by the grammar
 * of RFC 8259, and every value is noted with its place. What is accepted here is accepted by cJSON,
 * and in the same order; document.c lays the two side by side.
 *
 * Invariants: never reads past text[length], which is 0; recursion ends at HGI_DEPTH_MAX; a node's
 * parent comes before it; a node's key is only looked at once key_end is set, and then it is valid
 * UTF-8 with valid escapes. No message repeats a part of a value, for it may be a secret.
 */
#include "policy/scan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/number.h"
#include "policy/utf8.h"

/* The first failure is described in the document's error record; `status` keeps its type. */
struct scanner {
    struct hgi_document *document;
    const char *text;
    size_t length;
    size_t at;
    uint32_t node; /* the value being read, for the pointer in messages */
    uint32_t depth;
    hg_status status;
};

#define FAIL_AT(scanner, offset, ...)                                                     \
    ((scanner)->status =                                                                  \
         hgi_document_fail_at((scanner)->document, (offset),                              \
                              &(scanner)->document->nodes[(scanner)->node], __VA_ARGS__), \
     false)
#define FAIL(scanner, ...) FAIL_AT(scanner, (scanner)->at, __VA_ARGS__)

static bool at_end(const struct scanner *scanner)
{
    return scanner->at >= scanner->length;
}

static char here(const struct scanner *scanner)
{
    return scanner->text[scanner->at]; /* 0 at the end */
}

static void skip_space(struct scanner *scanner)
{
    while (!at_end(scanner) && strchr(" \t\r\n", here(scanner)) && here(scanner))
        scanner->at++;
}

/* Add a node for a value that is about to be read. */
static bool push(struct scanner *scanner, uint32_t parent, uint32_t *out)
{
    struct hgi_document *document = scanner->document;
    if (document->count == HGI_VALUES_MAX)
        return FAIL(scanner, "more than %d values; a policy needs fewer", HGI_VALUES_MAX);
    if (document->count == document->capacity) {
        uint32_t capacity = document->capacity ? document->capacity * 2 : 64;
        struct hgi_node *nodes = realloc(document->nodes, capacity * sizeof *nodes);
        if (!nodes) {
            scanner->status = hgi_document_no_memory(document);
            return false;
        }
        document->nodes = nodes;
        document->capacity = capacity;
    }
    *out = document->count++;
    document->nodes[*out] = (struct hgi_node) { .offset = (uint32_t)scanner->at, .parent = parent };
    scanner->node = *out;
    return true;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* The four digits of a \u escape at text[at], or -1. The terminator stops it at the end. */
static int32_t hex4(const char *text, size_t at)
{
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_value(text[at + i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* scanner->at is at the backslash. */
static bool scan_escape(struct scanner *scanner)
{
    const char *text = scanner->text;
    size_t at = scanner->at;
    if (at + 1 >= scanner->length)
        return FAIL_AT(scanner, scanner->length,
                       "the text ends here, inside a string; expected '\"'");
    if (text[at + 1] != 'u') {
        if (!text[at + 1] || !strchr("\"\\/bfnrt", text[at + 1]))
            return FAIL(scanner, "not an escape that JSON has; write \\\\ for a backslash");
        scanner->at += 2;
        return true;
    }
    int32_t unit = hex4(text, at + 2);
    if (unit < 0)
        return FAIL(scanner, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return FAIL(scanner, "\\u0000 is not allowed; remove it");
    scanner->at += 6;
    if (is_low_surrogate(unit))
        return FAIL_AT(scanner, at, "half of a surrogate pair; the half before it is missing");
    if (is_high_surrogate(unit)) {
        if (text[at + 6] != '\\' || text[at + 7] != 'u' || !is_low_surrogate(hex4(text, at + 8)))
            return FAIL_AT(scanner, at, "half of a surrogate pair; the half after it is missing");
        scanner->at += 6;
    }
    return true;
}

static bool refuse_control(struct scanner *scanner)
{
    char byte = here(scanner);
    if (byte == '\n' || byte == '\r')
        return FAIL(scanner, "the line ends inside a string; expected '\"' before this, or \\n in "
                             "the place of the line's end");
    if (byte == '\t')
        return FAIL(scanner, "a tab inside a string; write \\t");
    return FAIL(scanner, "a control character inside a string; write it as \\u%04x or remove it",
                (unsigned)byte);
}

/* From the opening quote to behind the closing one. */
static bool scan_string(struct scanner *scanner)
{
    scanner->at++;
    while (!at_end(scanner)) {
        unsigned char byte = (unsigned char)here(scanner);
        if (byte == '"') {
            scanner->at++;
            return true;
        }
        if (byte == '\\') {
            if (!scan_escape(scanner))
                return false;
        } else if (byte < 0x20) {
            return refuse_control(scanner);
        } else {
            size_t width =
                hgi_utf8_width(scanner->text + scanner->at, scanner->length - scanner->at);
            if (width == 0)
                return FAIL(scanner, "not valid UTF-8; save the file as UTF-8");
            scanner->at += width;
        }
    }
    return FAIL(scanner, "the text ends here, inside a string; expected '\"'");
}

static bool scan_number(struct scanner *scanner)
{
    struct hgi_number_fault fault;
    size_t from = scanner->at;
    scanner->at += hgi_number_length(scanner->text + from, scanner->length - from, &fault);
    return fault.what ? FAIL_AT(scanner, from + fault.at, "%s", fault.what) : true;
}

static bool is_word_character(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool scan_word(struct scanner *scanner, enum hgi_json_kind *kind)
{
    static const struct {
        const char *text;
        enum hgi_json_kind kind;
    } words[] = { { "true", HGI_JSON_BOOL },
                  { "false", HGI_JSON_BOOL },
                  { "null", HGI_JSON_NULL } };
    size_t left = scanner->length - scanner->at;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].text);
        const char *at = scanner->text + scanner->at;
        if (left >= length && memcmp(at, words[i].text, length) == 0 &&
            !is_word_character(at[length])) {
            scanner->at += length;
            *kind = words[i].kind;
            return true;
        }
        if (left < length && memcmp(at, words[i].text, left) == 0)
            return FAIL_AT(scanner, scanner->length, "the text ends here; expected %s",
                           words[i].text);
    }
    return FAIL(scanner,
                "not a JSON value; texts stand in double quotes, the words are true, false "
                "and null");
}

/* Why there is no value, key or comma here. `wanted` is what there should be. */
static bool refuse(struct scanner *scanner, const char *wanted)
{
    if (at_end(scanner)) {
        const struct hgi_node *node = &scanner->document->nodes[scanner->node];
        size_t line;
        size_t column;
        if (node->kind != HGI_JSON_OBJECT && node->kind != HGI_JSON_ARRAY)
            return FAIL(scanner, "the text ends here; expected %s", wanted);
        hgi_document_position(scanner->document, node->offset, &line, &column);
        return FAIL(scanner,
                    "the text ends here, inside the %s that begins at line %zu, column %zu; "
                    "expected %s",
                    node->kind == HGI_JSON_OBJECT ? "object" : "array", line, column, wanted);
    }
    switch (here(scanner)) {
    case '/':
    case '#':
        return FAIL(scanner, "expected %s; JSON has no comments, use a \"$comment\" key", wanted);
    case '\'':
        return FAIL(scanner, "expected %s; texts stand in double quotes", wanted);
    case ',':
    case ':':
    case '}':
    case ']':
        return FAIL(scanner, "expected %s, found '%c'", wanted, here(scanner));
    default:
        return FAIL(scanner, "expected %s", wanted);
    }
}

uint32_t hgi_scan_character(const char *text, size_t *at)
{
    if (text[*at] != '\\')
        return hgi_utf8_next(text, at);
    char escape = text[*at + 1];
    if (escape != 'u') {
        static const char from[] = "bfnrt";
        static const char to[] = "\b\f\n\r\t";
        const char *found = strchr(from, escape);
        *at += 2;
        return found ? (uint32_t)(unsigned char)to[found - from] : (uint32_t)escape;
    }
    int32_t unit = hex4(text, *at + 2);
    *at += 6;
    if (!is_high_surrogate(unit))
        return (uint32_t)unit;
    int32_t low = hex4(text, *at + 2);
    *at += 6;
    return 0x10000u + (((uint32_t)unit - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
}

static uint32_t hash_key(const char *text, const struct hgi_node *node)
{
    uint32_t hash = 2166136261u;
    for (size_t at = node->key_offset + 1; at < node->key_end;)
        hash = (hash ^ hgi_scan_character(text, &at)) * 16777619u;
    return hash;
}

static bool same_key(const char *text, const struct hgi_node *a, const struct hgi_node *b)
{
    if (a->key_hash != b->key_hash)
        return false;
    size_t i = a->key_offset + 1;
    size_t j = b->key_offset + 1;
    while (i < a->key_end && j < b->key_end)
        if (hgi_scan_character(text, &i) != hgi_scan_character(text, &j))
            return false;
    return i == a->key_end && j == b->key_end;
}

/* The key of a new member, which must be the only one of its name in the object. */
static bool scan_key(struct scanner *scanner, uint32_t object, uint32_t member)
{
    size_t from = scanner->at;
    struct hgi_node *node = &scanner->document->nodes[member];
    node->key_offset = (uint32_t)from;
    if (!scan_string(scanner))
        return false;
    node->key_end = (uint32_t)(scanner->at - 1);
    node->key_hash = hash_key(scanner->text, node);
    const struct hgi_node *nodes = scanner->document->nodes;
    for (uint32_t i = nodes[object].first; i && i != member; i = nodes[i].next) {
        if (!same_key(scanner->text, &nodes[i], node))
            continue;
        size_t line;
        size_t column;
        hgi_document_position(scanner->document, nodes[i].key_offset, &line, &column);
        return FAIL_AT(
            scanner, from,
            "duplicate key; it is at line %zu, column %zu already, remove one of the two", line,
            column);
    }
    return true;
}

static bool scan_value(struct scanner *scanner, uint32_t self);

/* "key": value, or a value: one child of `parent`, linked behind `last`. */
static bool scan_child(struct scanner *scanner, uint32_t parent, uint32_t *last, uint32_t index)
{
    uint32_t child;
    bool is_member = scanner->document->nodes[parent].kind == HGI_JSON_OBJECT;
    if (is_member && here(scanner) != '"')
        return refuse(scanner, "a key in double quotes");
    if (is_member && index == HGI_MEMBERS_MAX)
        return FAIL(scanner, "more than %d keys in one object", HGI_MEMBERS_MAX);
    if (!push(scanner, parent, &child))
        return false;
    struct hgi_node *nodes = scanner->document->nodes;
    nodes[child].index = index;
    if (*last)
        nodes[*last].next = child;
    else
        nodes[parent].first = child;
    *last = child;
    if (is_member) {
        if (!scan_key(scanner, parent, child))
            return false;
        skip_space(scanner);
        if (here(scanner) != ':')
            return refuse(scanner, "':' and a value");
        scanner->at++;
        skip_space(scanner);
    }
    if (!scan_value(scanner, child))
        return false;
    scanner->node = parent;
    return true;
}

/* scanner->at is at the opening bracket. */
static bool scan_children(struct scanner *scanner, uint32_t self, char closing)
{
    uint32_t last = 0;
    const char *wanted = closing == '}' ? "',' or '}'" : "',' or ']'";
    if (scanner->depth == HGI_DEPTH_MAX)
        return FAIL(scanner, "more than %d levels of objects and arrays", HGI_DEPTH_MAX);
    scanner->depth++;
    scanner->at++;
    skip_space(scanner);
    for (uint32_t index = 0; here(scanner) != closing || index > 0; index++) {
        if (index > 0) {
            if (here(scanner) == closing)
                break;
            if (here(scanner) != ',')
                return refuse(scanner, wanted);
            size_t comma = scanner->at++;
            skip_space(scanner);
            if (here(scanner) == closing)
                return FAIL_AT(scanner, comma, "a comma before '%c'; remove it", closing);
        } else if (at_end(scanner)) {
            return refuse(scanner, closing == '}' ? "a key or '}'" : "a value or ']'");
        }
        if (!scan_child(scanner, self, &last, index))
            return false;
        skip_space(scanner);
    }
    scanner->at++;
    scanner->depth--;
    return true;
}

static bool scan_value(struct scanner *scanner, uint32_t self)
{
    struct hgi_node *node = &scanner->document->nodes[self];
    char byte = here(scanner);
    node->offset = (uint32_t)scanner->at;
    if (byte == '{' || byte == '[') {
        node->kind = byte == '{' ? HGI_JSON_OBJECT : HGI_JSON_ARRAY;
        return scan_children(scanner, self, byte == '{' ? '}' : ']');
    }
    if (byte == '"') {
        node->kind = HGI_JSON_STRING;
        return scan_string(scanner);
    }
    if (byte == '-' || (byte >= '0' && byte <= '9')) {
        node->kind = HGI_JSON_NUMBER;
        return scan_number(scanner);
    }
    if (is_word_character(byte))
        return scan_word(scanner, &node->kind);
    return refuse(scanner, "a value");
}

/* Marks that editors and exports put before a text. */
static bool refuse_byte_order_mark(struct scanner *scanner)
{
    const char *text = scanner->text;
    if (scanner->length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        return FAIL(scanner,
                    "the file begins with a byte order mark; save it as UTF-8 without one");
    if (scanner->length >= 2 &&
        (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return FAIL(scanner, "the file is UTF-16 or UTF-32; save it as UTF-8");
    return true;
}

hg_status hgi_scan(struct hgi_document *document)
{
    struct scanner scanner = {
        .document = document, .text = document->text, .length = document->length, .status = HG_OK
    };
    uint32_t root;
    if (!push(&scanner, 0, &root) || !refuse_byte_order_mark(&scanner))
        return scanner.status;
    skip_space(&scanner);
    if (at_end(&scanner)) {
        (void)FAIL(&scanner, "the file is empty; the least that is a policy is {}");
        return scanner.status;
    }
    if (!scan_value(&scanner, root))
        return scanner.status;
    skip_space(&scanner);
    if (!at_end(&scanner))
        (void)FAIL(&scanner, "text after the end of the policy; remove it");
    return scanner.status;
}
