/* A policy's life: read, decoded on top of the defaults, counted, freed.
 *
 * The sections are decoded in the order in which they build on each other, wherever they stand in the
 * file: presets before classes, classes before commands.
 */
#include <herdgate/policy.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "breaker/error.h"
#include "policy/decode.h"
#include "policy/examine.h"

hg_policy *hg_policy_retain(hg_policy *policy)
{
    /* relaxed: whoever retains has an owner's right already. */
    if (policy)
        atomic_fetch_add_explicit(&policy->owners, 1, memory_order_relaxed);
    return policy;
}

void hg_policy_drop(hg_policy *policy)
{
    if (!policy)
        return;
    /* [L1] release: what this owner did with it; pairs with [L1] below. */
    uint32_t owners = atomic_fetch_sub_explicit(&policy->owners, 1, memory_order_acq_rel);
    /* [L1] acquire, of the same step: what all other owners did, before the memory goes; pairs with
     * [L1] above in theirs. */
    if (owners != 1)
        return;
    free(policy->settings.commands);
    free(policy->settings.rules);
    free(policy->settings.class_rules);
    explicit_bzero(&policy->settings.server, sizeof policy->settings.server);
    explicit_bzero(policy->settings.setup, sizeof policy->settings.setup);
    free(policy);
}

static hg_status decode_version(struct hgi_decoder *decoder, const struct hgi_node *node,
                                void *base)
{
    (void)base;
    static const struct hgi_field field = {
        .key = "version", .kind = HGI_FIELD_COUNT, .min = 1, .max = 1
    };
    uint32_t version;
    return hgi_decode_field(decoder, node, &field, &version);
}

static const struct hgi_field first_sections[] = {
    { .key = "version", .kind = HGI_FIELD_OWN, .own = decode_version },
    { .key = "server", .kind = HGI_FIELD_OWN, .own = hgi_decode_server },
    { .key = "pool", .kind = HGI_FIELD_OWN, .own = hgi_decode_pool },
    { .key = "breaker", .kind = HGI_FIELD_OWN, .own = hgi_decode_breaker },
    { .key = "retry_budget", .kind = HGI_FIELD_SECTION, .fields = hgi_budget_fields },
    { .key = "recovery", .kind = HGI_FIELD_SECTION, .fields = hgi_recovery_fields },
    { .key = "presets", .kind = HGI_FIELD_SEEN },
    { .key = "classes", .kind = HGI_FIELD_SEEN },
    { .key = "commands", .kind = HGI_FIELD_SEEN },
    { .key = "errors", .kind = HGI_FIELD_OWN, .own = hgi_decode_errors },
    { .key = NULL },
};

/* These build on each other, in this order. */
static const struct hgi_field ordered_sections[] = {
    { .key = "presets", .kind = HGI_FIELD_OWN, .own = hgi_decode_presets },
    { .key = "classes", .kind = HGI_FIELD_OWN, .own = hgi_decode_classes },
    { .key = "commands", .kind = HGI_FIELD_OWN, .own = hgi_decode_commands },
    { .key = NULL },
};

static hg_status decode(const struct hgi_document *document, struct hgi_settings *settings,
                        bool without_secrets)
{
    struct hgi_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return hgi_document_no_memory(document);
    decoder->document = document;
    decoder->settings = settings;
    decoder->without_secrets = without_secrets;
    const struct hgi_node *root = document->nodes;
    hg_status status = hgi_decode_object(decoder, root, first_sections, settings);
    for (const struct hgi_field *field = ordered_sections; field->key && status == HG_OK; field++) {
        const struct hgi_node *node = hgi_node_member(document, root, field->key);
        if (node)
            status = hgi_decode_field(decoder, node, field, settings);
    }
    free(decoder);
    return status;
}

/* Takes over `text`. */
static hg_status parse(hg_policy **out, char *text, size_t length, const char *name,
                       struct hgi_examination *examination, struct hg_error *err)
{
    hg_policy *policy = calloc(1, sizeof *policy);
    if (!policy) {
        free(text);
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "no memory for a policy");
    }
    atomic_init(&policy->owners, 1);
    hgi_settings_defaults(&policy->settings);
    struct hgi_document document;
    hg_status status = hgi_document_open(&document, text, length, name,
                                         examination ? &examination->mistake : NULL, err);
    if (status == HG_OK)
        status = decode(&document, &policy->settings, examination && examination->without_secrets);
    hgi_document_close(&document);
    if (status < 0) {
        hg_policy_drop(policy);
        return status;
    }
    hgi_error_clear(err);
    *out = policy;
    return HG_OK;
}

static hg_status too_large(const char *name, struct hg_error *err)
{
    char shown[HGI_NAME_SHOWN_SIZE];
    return hgi_error_set(err, HG_ERR_VALIDATION, "%s: larger than a policy may be (%d bytes)",
                         hgi_show_name(shown, name), HGI_TEXT_MAX);
}

/* Parses a copy of `json`. */
static hg_status parse_copy(hg_policy **out, const char *json, size_t length, const char *name,
                            struct hgi_examination *examination, struct hg_error *err)
{
    if (length > HGI_TEXT_MAX)
        return too_large(name, err);
    char *text = malloc(length + 1);
    if (!text)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "no memory for a policy");
    memcpy(text, json, length);
    text[length] = '\0';
    return parse(out, text, length, name, examination, err);
}

hg_status hg_policy_parse(hg_policy **out, const char *json, size_t length, const char *name,
                          struct hg_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !json)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_policy_parse: %s is NULL; give one",
                             out ? "json" : "out");
    return parse_copy(out, json, length, name ? name : "policy", NULL, err);
}

hg_status hgi_policy_examine(hg_policy **out, const char *json, size_t length, const char *name,
                             struct hgi_examination *examination, struct hg_error *err)
{
    *out = NULL;
    memset(&examination->mistake, 0, sizeof examination->mistake);
    return parse_copy(out, json, length, name, examination, err);
}

static hg_status cannot_read(const char *path, int error, struct hg_error *err)
{
    char shown[HGI_NAME_SHOWN_SIZE];
    hgi_error_set(err, HG_ERR_VALIDATION, "%s: cannot read the policy file: %s",
                  hgi_show_name(shown, path), strerrordesc_np(error));
    if (err)
        err->sys_errno = error;
    return HG_ERR_VALIDATION;
}

/* The whole file, terminated; at most one byte more than a policy may have. */
static hg_status read_file(int fd, const char *path, char **text, size_t *length,
                           struct hg_error *err)
{
    const size_t size = HGI_TEXT_MAX + 2;
    *length = 0;
    *text = malloc(size);
    if (!*text)
        return hgi_error_set(err, HG_ERR_NO_MEMORY, "no memory for the policy file");
    for (;;) {
        ssize_t got = read(fd, *text + *length, size - 1 - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cannot_read(path, errno, err);
        *length += (size_t)got;
        if (got == 0 || *length == size - 1)
            break;
    }
    (*text)[*length] = '\0';
    if (*length > HGI_TEXT_MAX)
        return too_large(path, err);
    return HG_OK;
}

hg_status hg_policy_load(hg_policy **out, const char *path, struct hg_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !path)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_policy_load: %s is NULL; give one",
                             out ? "path" : "out");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cannot_read(path, errno, err);
    char *text;
    size_t length;
    hg_status status = read_file(fd, path, &text, &length, err);
    close(fd);
    if (status < 0) {
        free(text);
        return status;
    }
    return parse(out, text, length, path, NULL, err);
}
