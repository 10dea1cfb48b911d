/* "Did you mean": the nearest of some names to a misspelt one. */
#ifndef HERDGATE_POLICY_SUGGEST_H
#define HERDGATE_POLICY_SUGGEST_H

#include <stddef.h>

/* Offer the candidates one after another; `best` is the nearest that is near enough, or NULL. */
struct hgi_suggestion {
    const char *word;
    const char *best; /* borrowed from whoever offered it */
    size_t distance;
};

void hgi_suggest_begin(struct hgi_suggestion *suggestion, const char *word);
void hgi_suggest_offer(struct hgi_suggestion *suggestion, const char *candidate);

/* Edits (insert, delete, replace, swap neighbours) from one to the other; letters of both cases are
 * the same, and so are '-' and '_'. What is longer than 48 bytes is far from everything. */
size_t hgi_suggest_distance(const char *a, const char *b);

#endif
