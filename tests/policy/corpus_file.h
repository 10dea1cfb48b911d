/* One file of the corpus, read whole, for programs that parse it many times. */
#ifndef HERDGATE_TESTS_POLICY_CORPUS_FILE_H
#define HERDGATE_TESTS_POLICY_CORPUS_FILE_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/tools/check.h"

struct corpus_file {
    char path[512];
    char text[8192];
    size_t length;
};

/* `name` is such as "good/every-key.json". */
static inline void corpus_read(struct corpus_file *out, const char *name)
{
    snprintf(out->path, sizeof out->path, "%s/%s", HERDGATE_CORPUS, name);
    FILE *file = fopen(out->path, "rb");
    CHECK(file);
    out->length = fread(out->text, 1, sizeof out->text, file);
    CHECK(out->length > 0 && out->length < sizeof out->text);
    CHECK(fclose(file) == 0);
}

#endif
