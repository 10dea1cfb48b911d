/* Reading a policy for those who show it to people: what is wrong with its place apart from its text. */
#ifndef HERDGATE_POLICY_EXAMINE_H
#define HERDGATE_POLICY_EXAMINE_H

#include <stdbool.h>
#include <stddef.h>

#include <herdgate/policy.h>

#include "policy/document.h"

struct hgi_examination {
    bool
        without_secrets; /* in: passwords of the environment and of other files are not looked for */
    struct hgi_mistake mistake; /* out: of a text that is no policy; else all zero */
};

/* hg_policy_parse() with that. */
hg_status hgi_policy_examine(hg_policy **out, const char *json, size_t length, const char *name,
                             struct hgi_examination *examination, struct hg_error *err);

#endif
