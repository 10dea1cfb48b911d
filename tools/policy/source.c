/* One policy file, read for people; see source.h.
 *
 * It is read once, because it may be a pipe. The library's parser is the judge; what it accepts is
 * scanned again, for the places. */
#include "tools/policy/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/examine.h"

/* One byte more than a policy may have, so that the parser sees too large a file as what it is. */
static hg_status read_text(struct hgi_source *source, FILE *file, char **text, size_t *length)
{
    const size_t size = HGI_TEXT_MAX + 2;
    *text = malloc(size);
    if (!*text)
        return HG_ERR_NO_MEMORY;
    *length = fread(*text, 1, size - 1, file);
    (*text)[*length] = '\0';
    if (!ferror(file))
        return HG_OK;
    snprintf(source->mistake.what, sizeof source->mistake.what, "cannot be read: %s",
             strerror(errno));
    return HG_ERR_VALIDATION;
}

static hg_status read_path(struct hgi_source *source, const char *path, char **text, size_t *length)
{
    *text = NULL;
    if (strcmp(path, "-") == 0)
        return read_text(source, stdin, text, length);
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(source->mistake.what, sizeof source->mistake.what, "cannot be read: %s",
                 strerror(errno));
        return HG_ERR_VALIDATION;
    }
    hg_status status = read_text(source, file, text, length);
    fclose(file);
    return status;
}

hg_status hgi_source_open(struct hgi_source *source, const char *path, bool without_secrets)
{
    struct hgi_examination examination = { .without_secrets = without_secrets };
    struct hg_error err = HG_ERROR_INIT;
    size_t length;
    char *text;
    memset(source, 0, sizeof *source);
    source->name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    hg_status status = read_path(source, path, &text, &length);
    if (status == HG_OK) {
        status =
            hgi_policy_examine(&source->policy, text, length, source->name, &examination, &err);
        source->mistake = examination.mistake;
        if (status == HG_ERR_VALIDATION && source->mistake.line == 0)
            snprintf(source->mistake.what, sizeof source->mistake.what,
                     "larger than a policy may be (%d bytes)", HGI_TEXT_MAX);
    }
    if (status == HG_OK) {
        status = hgi_document_open(&source->document, text, length, source->name, NULL, &err);
        text = NULL; /* it is the document's now */
    }
    free(text);
    return status;
}

void hgi_source_close(struct hgi_source *source)
{
    hgi_document_close(&source->document);
    hg_policy_drop(source->policy);
    source->policy = NULL;
}

size_t hgi_source_find(const struct hgi_source *source, const char *const steps[HGI_STEPS_MAX],
                       struct hgi_spot *out)
{
    const struct hgi_document *document = &source->document;
    const struct hgi_node *node = document->nodes;
    size_t found = 0;
    size_t used = 0;
    out->pointer[0] = '\0';
    for (; found < HGI_STEPS_MAX && steps[found]; found++) {
        const struct hgi_node *child = hgi_node_member(document, node, steps[found]);
        if (!child)
            break;
        node = child;
        /* Names of the file's own are visible ASCII; RFC 6901 escapes two of that. */
        if (used + 1 < sizeof out->pointer)
            out->pointer[used++] = '/';
        for (const char *at = steps[found]; *at && used + 3 < sizeof out->pointer; at++) {
            bool escaped = *at == '~' || *at == '/';
            if (escaped)
                out->pointer[used++] = '~';
            out->pointer[used++] = (char)(*at == '~' ? '0' : *at == '/' ? '1' : *at);
        }
        out->pointer[used] = '\0';
    }
    hgi_document_position(document, node->offset, &out->line, &out->column);
    return found;
}
