/* Presets and classes of the policy file: how to retry, by name and by class of operation. */
#include "policy/decode.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "breaker/clock.h"
#include "policy/backoff.h"
#include "policy/suggest.h"

#define RETRY_AT(member) offsetof(struct hg_retry, member)
#define CLASS_AT(member) offsetof(struct hgi_class, member)

static const char *const jitters[] = { "none", "additive", "full", "equal", "decorrelated", NULL };

static const struct hgi_field retry_fields[] = {
    { .key = "extends", .kind = HGI_FIELD_SEEN },
    { .key = "max_attempts",
      .kind = HGI_FIELD_COUNT,
      .offset = RETRY_AT(max_attempts),
      .min = 1,
      .max = 1000 },
    { .key = "initial_delay",
      .kind = HGI_FIELD_DURATION,
      .offset = RETRY_AT(initial_delay_ns),
      .min = 0,
      .max = 3600e9 },
    { .key = "max_delay",
      .kind = HGI_FIELD_DURATION,
      .offset = RETRY_AT(max_delay_ns),
      .min = 0,
      .max = 3600e9 },
    { .key = "multiplier",
      .kind = HGI_FIELD_REAL,
      .offset = RETRY_AT(multiplier),
      .min = 1,
      .max = 100 },
    { .key = "jitter", .kind = HGI_FIELD_CHOICE, .offset = RETRY_AT(jitter), .choices = jitters },
    { .key = "jitter_ratio",
      .kind = HGI_FIELD_RATE,
      .offset = RETRY_AT(jitter_ratio),
      .min = 0,
      .max = 1 },
    { .key = NULL },
};

/* The preset that a node names: one of the file's if `own` presets count too, else a built-in one. */
static hg_status find_preset(struct hgi_decoder *decoder, const struct hgi_node *node, bool own,
                             struct hg_retry *out)
{
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "the name of a preset");
    if (status < 0)
        return status;
    const char *name = node->item->valuestring;
    struct hgi_suggestion suggestion;
    hgi_suggest_begin(&suggestion, name);
    for (uint32_t i = 0; own && i < decoder->preset_count; i++) {
        if (strcmp(decoder->presets[i].name, name) == 0) {
            *out = decoder->presets[i].retry;
            return HG_OK;
        }
        hgi_suggest_offer(&suggestion, decoder->presets[i].name);
    }
    for (size_t i = 0; hgi_retry_preset_name(i); i++) {
        if (strcmp(hgi_retry_preset_name(i), name) == 0) {
            *out = (struct hg_retry)HG_RETRY_INIT;
            return hg_retry_preset(out, name, NULL);
        }
        hgi_suggest_offer(&suggestion, hgi_retry_preset_name(i));
    }
    return hgi_decode_unknown(decoder, node, HGI_AT_VALUE, "preset", &suggestion,
                              own ? "define it under \"presets\""
                                  : "a preset extends a built-in one");
}

/* The keys of an object on top of its "extends", or of what *retry is. */
static hg_status decode_on_top(struct hgi_decoder *decoder, const struct hgi_node *node, bool own,
                               struct hg_retry *retry)
{
    hg_status status = HG_OK;
    const struct hgi_node *extends = hgi_node_member(decoder->document, node, "extends");
    if (extends)
        status = find_preset(decoder, extends, own, retry);
    if (status == HG_OK)
        status = hgi_decode_object(decoder, node, retry_fields, retry);
    if (status == HG_OK && retry->max_attempts > 1)
        status = hgi_decode_ordered(decoder, node, retry->initial_delay_ns <= retry->max_delay_ns,
                                    "initial_delay", "max_delay", "the first delay would be cut");
    return status;
}

hg_status hgi_decode_retry(struct hgi_decoder *decoder, const struct hgi_node *node,
                           struct hg_retry *retry)
{
    if (node->kind == HGI_JSON_OBJECT)
        return decode_on_top(decoder, node, true, retry);
    return find_preset(decoder, node, true, retry);
}

hg_status hgi_decode_presets(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    const struct hgi_node *child = status < 0 ? NULL : hgi_node_first(decoder->document, node);
    for (; child && status == HG_OK; child = hgi_node_next(decoder->document, child)) {
        if (hgi_decode_passes(child))
            continue;
        if (decoder->preset_count == HGI_PRESETS_MAX)
            return hgi_document_fail(decoder->document, child, HGI_AT_KEY,
                                     "a file may have %d presets", HGI_PRESETS_MAX);
        struct hgi_preset *preset = &decoder->presets[decoder->preset_count];
        preset->retry = (struct hg_retry)HG_RETRY_INIT;
        status = hg_retry_preset(&preset->retry, "conservative", NULL);
        if (status == HG_OK)
            status = hgi_decode_name(decoder, child, HGI_AT_KEY, preset->name, sizeof preset->name);
        if (status == HG_OK &&
            hg_retry_preset(&(struct hg_retry)HG_RETRY_INIT, preset->name, NULL) == HG_OK)
            status = hgi_document_fail(decoder->document, child, HGI_AT_KEY,
                                       "this is a built-in preset; choose another name");
        if (status == HG_OK)
            status = hgi_decode_expect(decoder, child, HGI_JSON_OBJECT, "an object");
        if (status == HG_OK)
            status = decode_on_top(decoder, child, false, &preset->retry);
        if (status == HG_OK)
            decoder->preset_count++;
    }
    return status;
}

static hg_status decode_class_retry(struct hgi_decoder *decoder, const struct hgi_node *node,
                                    void *base)
{
    return hgi_decode_retry(decoder, node, base);
}

static const struct hgi_field class_fields[] = {
    { .key = "extends", .kind = HGI_FIELD_SEEN },
    { .key = "retry", .kind = HGI_FIELD_OWN, .offset = CLASS_AT(retry), .own = decode_class_retry },
    { .key = "attempt_timeout",
      .kind = HGI_FIELD_DURATION_OR_OFF,
      .offset = CLASS_AT(attempt_timeout_ns),
      .min = 1e6,
      .max = 86400e9,
      .off = -1 },
    { .key = "deadline",
      .kind = HGI_FIELD_DURATION_OR_OFF,
      .offset = CLASS_AT(deadline_ns),
      .min = 1e6,
      .max = 86400e9,
      .off = -1 },
    { .key = "retry_unknown", .kind = HGI_FIELD_BOOL, .offset = CLASS_AT(retry_unknown) },
    { .key = "retry_unfenced", .kind = HGI_FIELD_BOOL, .offset = CLASS_AT(retry_unfenced) },
    { .key = "errors", .kind = HGI_FIELD_OWN, .own = hgi_decode_class_errors },
    { .key = NULL },
};

/* The built-in class that a class of the user's own is based on. */
static hg_status find_base(struct hgi_decoder *decoder, const struct hgi_node *node,
                           struct hgi_class *out)
{
    const struct hgi_node *extends = hgi_node_member(decoder->document, node, "extends");
    if (!extends)
        return hgi_document_fail(
            decoder->document, node, HGI_AT_KEY,
            "a class of one's own needs \"extends\" with a built-in class, such "
            "as \"read\" or \"write_once\"");
    hg_status status =
        hgi_decode_expect(decoder, extends, HGI_JSON_STRING, "the name of a built-in class");
    if (status < 0)
        return status;
    struct hgi_suggestion suggestion;
    hgi_suggest_begin(&suggestion, extends->item->valuestring);
    for (int kind = 0; kind < HGI_CLASS_KINDS; kind++) {
        const struct hgi_class *each = &decoder->settings->classes[kind];
        if (strcmp(each->name, extends->item->valuestring) == 0) {
            *out = *each;
            return HG_OK;
        }
        hgi_suggest_offer(&suggestion, each->name);
    }
    return hgi_decode_unknown(decoder, extends, HGI_AT_VALUE, "class", &suggestion,
                              "a class extends a built-in one");
}

static hg_status decode_class(struct hgi_decoder *decoder, const struct hgi_node *node)
{
    struct hgi_settings *settings = decoder->settings;
    char name[HGI_NAME_SIZE];
    struct hgi_class made;
    hg_status status = hgi_decode_name(decoder, node, HGI_AT_KEY, name, sizeof name);
    if (status == HG_OK)
        status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    if (status < 0)
        return status;
    struct hgi_class *place = NULL;
    for (int kind = 0; kind < HGI_CLASS_KINDS; kind++)
        if (strcmp(settings->classes[kind].name, name) == 0)
            place = &settings->classes[kind];
    bool built_in = place != NULL;
    if (built_in) {
        const struct hgi_node *extends = hgi_node_member(decoder->document, node, "extends");
        if (extends)
            return hgi_document_fail(decoder->document, extends, HGI_AT_KEY,
                                     "a built-in class extends nothing; remove it");
        made = *place;
    } else {
        if (settings->class_count == HGI_CLASSES_MAX)
            return hgi_document_fail(decoder->document, node, HGI_AT_KEY,
                                     "a policy may have %d classes, the built-in ones included",
                                     HGI_CLASSES_MAX);
        place = &settings->classes[settings->class_count];
        status = find_base(decoder, node, &made);
        if (status < 0)
            return status;
    }
    status = hgi_decode_object(decoder, node, class_fields, &made);
    if (status < 0)
        return status;
    if (built_in && made.kind == HGI_CLASS_WRITE_ONCE && made.retry_unknown)
        return hgi_document_fail(decoder->document,
                                 hgi_node_member(decoder->document, node, "retry_unknown"),
                                 HGI_AT_VALUE,
                                 "write_once is what must not run twice; make a class of your own "
                                 "that extends it");
    memcpy(made.name, name, sizeof made.name);
    *place = made;
    if (!built_in)
        settings->class_count++;
    return HG_OK;
}

/* The built-in ones first, wherever they stand: the others are based on them. */
hg_status hgi_decode_classes(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    for (int pass = 0; pass < 2 && status == HG_OK; pass++) {
        const struct hgi_node *child = hgi_node_first(decoder->document, node);
        for (; child && status == HG_OK; child = hgi_node_next(decoder->document, child)) {
            if (hgi_decode_passes(child))
                continue;
            bool built_in = false;
            for (int kind = 0; kind < HGI_CLASS_KINDS; kind++)
                built_in |= strcmp(decoder->settings->classes[kind].name, child->item->string) == 0;
            if (built_in == (pass == 0))
                status = decode_class(decoder, child);
        }
    }
    return status;
}
