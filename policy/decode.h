/* From a document to the fields of a struct, by tables. */
#ifndef HERDGATE_POLICY_DECODE_H
#define HERDGATE_POLICY_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/document.h"
#include "policy/settings.h"

enum { HGI_PRESETS_MAX = 32 }; /* of a file */

/* A preset of the file. */
struct hgi_preset {
    char name[HGI_NAME_SIZE];
    struct hg_retry retry;
};

/* What a decoding of one file knows. */
struct hgi_decoder {
    const struct hgi_document *document;
    struct hgi_settings *settings;
    bool without_secrets; /* passwords elsewhere are not looked for */
    struct hgi_preset presets[HGI_PRESETS_MAX];
    uint32_t preset_count;
};

enum hgi_field_kind {
    HGI_FIELD_COUNT,           /* uint32_t, min to max */
    HGI_FIELD_RATE,            /* double, min to max, where max is 1 */
    HGI_FIELD_REAL,            /* double, min to max */
    HGI_FIELD_BOOL,            /* bool */
    HGI_FIELD_DURATION,        /* int64_t nanoseconds, min to max */
    HGI_FIELD_DURATION_OR_OFF, /* the same, or "off": `off` */
    HGI_FIELD_CHOICE,          /* an enum of int's size: the index in `choices` */
    HGI_FIELD_SECTION,         /* an object by `fields` */
    HGI_FIELD_OWN,             /* decoded by `own` */
    HGI_FIELD_SEEN             /* read elsewhere; only known here */
};

/* Decode `node` into what is at `base`. */
typedef hg_status (*hgi_own_fn)(struct hgi_decoder *decoder, const struct hgi_node *node,
                                void *base);

/* One key of an object. Tables end with a key of NULL. */
struct hgi_field {
    const char *key;
    enum hgi_field_kind kind;
    size_t offset; /* from the base; also for `own` and `fields` */
    double min;
    double max;
    int64_t off;
    const char *const *choices; /* ends with NULL */
    const struct hgi_field *fields;
    hgi_own_fn own;
};

/* Decode an object: each member by its field, what is not in the table is an error. */
hg_status hgi_decode_object(struct hgi_decoder *decoder, const struct hgi_node *node,
                            const struct hgi_field *fields, void *base);

/* One value by its field's kind. */
hg_status hgi_decode_field(struct hgi_decoder *decoder, const struct hgi_node *node,
                           const struct hgi_field *field, void *base);

/* Keys that pass anywhere: "$schema", "$comment", "x-...". */
bool hgi_decode_passes(const struct hgi_node *node);

/* What the type must be; `what` is the rest of "expected ...". */
hg_status hgi_decode_expect(struct hgi_decoder *decoder, const struct hgi_node *node,
                            enum hgi_json_kind kind, const char *what);

/* Copy a value that is a string, or a key, of 1 to size - 1 characters, all of them visible ASCII. Not
 * for secrets: it is quoted when it is wrong. */
hg_status hgi_decode_name(struct hgi_decoder *decoder, const struct hgi_node *node,
                          enum hgi_place place, char *out, size_t size);

/* Fail because suggestion->word, the node's key or value, is no `what` that is known: with a guess at
 * what is meant, or else with `advice`. */
struct hgi_suggestion;
hg_status hgi_decode_unknown(struct hgi_decoder *decoder, const struct hgi_node *node,
                             enum hgi_place place, const char *what,
                             const struct hgi_suggestion *suggestion, const char *advice);

/* Fail unless `ok`: one setting of an object must not be above another. Points at the one that the
 * file has. */
hg_status hgi_decode_ordered(struct hgi_decoder *decoder, const struct hgi_node *node, bool ok,
                             const char *low, const char *high, const char *why);

/* The sections that are not tables alone. All decode into decoder->settings, whatever `base` is. */
extern const struct hgi_field hgi_pool_fields[], hgi_breaker_fields[], hgi_budget_fields[],
    hgi_recovery_fields[];
hg_status hgi_decode_server(struct hgi_decoder *decoder, const struct hgi_node *node, void *base);
hg_status hgi_decode_pool(struct hgi_decoder *decoder, const struct hgi_node *node, void *base);
hg_status hgi_decode_breaker(struct hgi_decoder *decoder, const struct hgi_node *node, void *base);
hg_status hgi_decode_presets(struct hgi_decoder *decoder, const struct hgi_node *node, void *base);
hg_status hgi_decode_classes(struct hgi_decoder *decoder, const struct hgi_node *node, void *base);
hg_status hgi_decode_commands(struct hgi_decoder *decoder, const struct hgi_node *node, void *base);
hg_status hgi_decode_errors(struct hgi_decoder *decoder, const struct hgi_node *node, void *base);

/* "errors" of a class, which is at `base`. */
hg_status hgi_decode_class_errors(struct hgi_decoder *decoder, const struct hgi_node *node,
                                  void *base);

/* "retry": a preset's name, or an object on top of a preset or of what *retry is. */
hg_status hgi_decode_retry(struct hgi_decoder *decoder, const struct hgi_node *node,
                           struct hg_retry *retry);

#endif
