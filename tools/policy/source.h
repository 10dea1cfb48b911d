/* One policy file, read for people: its settings, and where in the file each of them is. */
#ifndef HERDGATE_TOOLS_POLICY_SOURCE_H
#define HERDGATE_TOOLS_POLICY_SOURCE_H

#include <stdbool.h>

#include <herdgate/policy.h>

#include "policy/document.h"
#include "policy/settings.h"

struct hgi_source {
    const char *name;             /* borrowed: the path, or "<stdin>" for "-" */
    hg_policy *policy;            /* owned; NULL if it is none */
    struct hgi_mistake mistake;   /* then: why */
    struct hgi_document document; /* of a policy: its text and places */
};

/* Read `path`, or stdin if it is "-"; borrowed until hgi_source_close(), which comes after it whatever
 * it returns. HG_OK; HG_ERR_VALIDATION: source->mistake says why it cannot be read or is no policy;
 * HG_ERR_NO_MEMORY. */
hg_status hgi_source_open(struct hgi_source *source, const char *path, bool without_secrets);
void hgi_source_close(struct hgi_source *source);

/* A place in the file. */
struct hgi_spot {
    size_t line;
    size_t column;
    char pointer[HGI_POINTER_SIZE];
};

enum { HGI_STEPS_MAX = 5 };

/* The place of the value that the steps lead to ("classes", "read", "deadline"), or of the nearest one
 * above it that the file has: then what is not written there has its default. `steps` ends with NULL.
 * Returns how many steps were found. */
size_t hgi_source_find(const struct hgi_source *source, const char *const steps[HGI_STEPS_MAX],
                       struct hgi_spot *out);

#endif
