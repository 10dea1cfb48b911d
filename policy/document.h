/* A JSON text with the place of each of its values: what the policy's decoder reads, and how it says
 * where something is wrong. */
#ifndef HERDGATE_POLICY_DOCUMENT_H
#define HERDGATE_POLICY_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

#include <herdgate/error.h>

struct cJSON;

enum {
    HGI_TEXT_MAX = 1 << 20,    /* bytes */
    HGI_DEPTH_MAX = 16,        /* of arrays and objects in each other */
    HGI_MEMBERS_MAX = 1024,    /* of one object; the search for duplicates is quadratic in it */
    HGI_VALUES_MAX = 1 << 16,  /* of a text */
    HGI_QUOTE_SIZE = 48,       /* enough for a text of the file quoted in a message */
    HGI_NAME_SHOWN_SIZE = 128, /* enough for the file's name in a message */
    HGI_POINTER_SIZE = 128     /* enough for a JSON pointer in a message */
};

enum hgi_json_kind {
    HGI_JSON_NONE, /* its key was read, its value not yet */
    HGI_JSON_OBJECT,
    HGI_JSON_ARRAY,
    HGI_JSON_STRING,
    HGI_JSON_NUMBER,
    HGI_JSON_BOOL,
    HGI_JSON_NULL
};

/* One value. Indices into hgi_document.nodes; 0 is the root, and as `next` or `first`: none. */
struct hgi_node {
    uint32_t offset;     /* of its first byte */
    uint32_t key_offset; /* of its key's opening quote, if its parent is an object */
    uint32_t key_end;    /* of its key's closing quote; 0: it has no key, or it is not read yet */
    uint32_t key_hash;
    uint32_t parent;
    uint32_t next;  /* the sibling after it */
    uint32_t first; /* its first child */
    uint32_t index; /* in its parent */
    enum hgi_json_kind kind;
    const struct cJSON *item; /* set by hgi_document_open() */
};

/* What is wrong with a text, in the parts of which the message is made. */
struct hgi_mistake {
    size_t line; /* from 1; 0: it is about the text as a whole, and `what` is all there is */
    size_t column;
    char pointer[HGI_POINTER_SIZE]; /* a long one begins with "..." in the place of its head */
    char what[sizeof((struct hg_error *)0)->message];
};

struct hgi_document {
    const char *name; /* borrowed: the file, in messages */
    char *text;       /* owned, terminated; wiped before it is freed, because it may hold secrets */
    size_t length;
    struct hgi_node *nodes; /* owned; in the order of the text */
    uint32_t count;
    uint32_t capacity;
    struct cJSON *tree;          /* owned */
    struct hg_error *err;        /* borrowed, may be NULL: where a failure is described */
    struct hgi_mistake *mistake; /* borrowed, may be NULL: the same in parts */
};

/* Where in a value an error points. */
enum hgi_place { HGI_AT_VALUE, HGI_AT_KEY };

/* Take over `text` (malloc'ed, length + 1 bytes, terminated), find every value and build the tree.
 * Whatever it returns, hgi_document_close() comes after it. Everything is borrowed until then but the
 * text, which is owned at once. */
hg_status hgi_document_open(struct hgi_document *document, char *text, size_t length,
                            const char *name, struct hgi_mistake *mistake, struct hg_error *err);
void hgi_document_close(struct hgi_document *document);

/* Describe a failure as "name:line:column: /pointer: what", one line, and give HG_ERR_VALIDATION. */
hg_status hgi_document_fail(const struct hgi_document *document, const struct hgi_node *node,
                            enum hgi_place place, const char *format, ...) HG_PRINTF(4, 5);
hg_status hgi_document_fail_at(const struct hgi_document *document, size_t offset,
                               const struct hgi_node *node, const char *format, ...)
    HG_PRINTF(4, 5);
hg_status hgi_document_no_memory(const struct hgi_document *document);

/* Line and column of a byte, from 1; columns are characters. */
void hgi_document_position(const struct hgi_document *document, size_t offset, size_t *line,
                           size_t *column);

/* The children of a node: first, next, NULL. */
const struct hgi_node *hgi_node_first(const struct hgi_document *document,
                                      const struct hgi_node *node);
const struct hgi_node *hgi_node_next(const struct hgi_document *document,
                                     const struct hgi_node *node);

/* The member of that name, or NULL. */
const struct hgi_node *hgi_node_member(const struct hgi_document *document,
                                       const struct hgi_node *node, const char *key);

/* "a string", for messages. */
const char *hgi_node_kind_name(const struct hgi_node *node);

/* Copy a file's name, any bytes, so that it can stand in a message: one line of valid UTF-8, its tail
 * if it is long. Returns out. */
const char *hgi_show_name(char out[HGI_NAME_SHOWN_SIZE], const char *name);

/* Copy a text of the file so that it can stand in a message: one line, cut to fit. Returns out. */
const char *hgi_quote(char out[HGI_QUOTE_SIZE], const char *text);

#endif
