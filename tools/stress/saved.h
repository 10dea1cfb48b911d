/* Results as JSON, in both directions (fields.c writes, saved.c reads). A table of fields says which member of the results has which name in
 * the JSON: the same row writes it and reads it back, so that the two cannot part. What a table cannot say is
 * written and read by hand, beside it.
 *
 * Whatever is read may be anything: a file from somewhere, changed by hand. Every number is held to its range,
 * every text and list to its room. What is wrong is told by the file's name and a JSON pointer.
 */
#ifndef HERDGATE_TOOLS_STRESS_SAVED_H
#define HERDGATE_TOOLS_STRESS_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "tools/common/histogram.h"
#include "tools/common/problem.h"
#include "tools/stress/stamp.h"
#include "tools/stress/toxic.h"
#include "tools/stress/trial.h"

enum hgi_field_kind {
    HGI_FIELD_END,
    HGI_FIELD_U32,
    HGI_FIELD_U64,
    HGI_FIELD_I64,
    HGI_FIELD_I64_OR_NULL, /* -1: null */
    HGI_FIELD_DOUBLE,
    HGI_FIELD_BOOL,
    HGI_FIELD_SEED,      /* uint64_t, as a text: a JSON number is good for 53 bits only */
    HGI_FIELD_TEXT,      /* char[most] */
    HGI_FIELD_WORD,      /* const char *, borrowed from the tree that is read; NULL: null */
    HGI_FIELD_HISTOGRAM, /* struct hgi_histogram */
    /* Lists of at most `most`, each `stride` bytes behind the one before; how many is the uint32_t at `count`. */
    HGI_FIELD_U64S,
    HGI_FIELD_I64S,
    HGI_FIELD_DOUBLES
};

struct hgi_field {
    const char *name; /* NULL at the end of a table */
    enum hgi_field_kind kind;
    size_t offset; /* of the member within the results */
    size_t most;
    size_t stride;
    size_t count; /* offset */
};

/* A row: FIELD(struct hgi_x, U32, "threads", settings.threads). Sizes for TEXT and lists follow. */
#define HGI_FIELD(type, kind, name, member)                     \
    {                                                           \
        name, HGI_FIELD_##kind, offsetof(type, member), 0, 0, 0 \
    }
#define HGI_FIELD_TEXT_OF(type, name, member)                                           \
    {                                                                                   \
        name, HGI_FIELD_TEXT, offsetof(type, member), sizeof(((type *)0)->member), 0, 0 \
    }
#define HGI_FIELD_LIST(type, kind, name, list, part, number)          \
    {                                                                 \
        name, HGI_FIELD_##kind, offsetof(type, list part),            \
            sizeof(((type *)0)->list) / sizeof(((type *)0)->list[0]), \
            sizeof(((type *)0)->list[0]), offsetof(type, number)      \
    }

/* Add the fields of the results at `base` to the object. */
void hgi_fields_write(cJSON *object, const struct hgi_field *fields, const void *base);

/* A place in a saved file. */
struct hgi_saved {
    const char *path; /* of the file, for messages */
    const cJSON *json;
    char pointer[120];
    struct hgi_problem *problem;
};

/* Note what is wrong with the field of that name (NULL: with the place itself), and return false. */
bool hgi_saved_wrong(const struct hgi_saved *at, const char *name, const char *what);

/* Go to the member of that name, which must be an object or a list; or to element i of a list. */
bool hgi_saved_enter(struct hgi_saved *out, const struct hgi_saved *at, const char *name);
bool hgi_saved_item(struct hgi_saved *out, const struct hgi_saved *at, int i);

/* The elements of the list here, at most `most`. False: it is no list, or too long. */
bool hgi_saved_length(int *out, const struct hgi_saved *at, int most);

/* Is there nothing, or null, of that name? */
bool hgi_saved_lacks(const struct hgi_saved *at, const char *name);

/* A text of that name; NULL: there is none, and *at's problem says so. */
const char *hgi_saved_text(const struct hgi_saved *at, const char *name);

/* One number of that name, and one as --toxic has it. */
bool hgi_saved_count(uint64_t *out, const struct hgi_saved *at, const char *name);
bool hgi_saved_toxics(struct hgi_toxics *out, const struct hgi_saved *at, const char *name);

bool hgi_saved_state(hg_breaker_state *out, const struct hgi_saved *at, const char *name);

/* Fill the members of the results at `base` from the object here. */
bool hgi_fields_read(void *base, const struct hgi_field *fields, const struct hgi_saved *at);

/* What every saved file begins with: its stamp. The texts are borrowed from the tree. */
bool hgi_saved_stamp(struct hgi_stamp *out, const struct hgi_saved *at);

/* A file that --json wrote: parse it and hold it to the format. *json is the caller's, for cJSON_Delete(). False:
 * *problem says what is wrong, where, and what to do. */
bool hgi_saved_open(struct hgi_saved *out, cJSON **json, const char *path,
                    struct hgi_problem *problem);

/* The states of a breaker over time. */
void hgi_marks_write(cJSON *object, const char *name, const struct hgi_breaker_mark *mark,
                     uint32_t count);
bool hgi_marks_read(struct hgi_breaker_mark *mark, uint32_t *count, const char *name,
                    const struct hgi_saved *at);

#endif
