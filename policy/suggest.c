/* Edit distance with swaps of neighbours (optimal string alignment), and a rule for what is near:
 * a third of the word, at least one edit, at most three. Short words get no wild guesses. Pure. */
#include "policy/suggest.h"

#include <stdint.h>
#include <string.h>

enum { WORD_MAX = 48 };

static char fold(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (char)(byte - 'A' + 'a');
    return byte == '-' ? '_' : byte;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t hgi_suggest_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1]; /* of the table: this one and the two above it */
    size_t length_a = strlen(a);
    size_t length_b = strlen(b);
    if (length_a > WORD_MAX || length_b > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= length_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            char left = fold(a[i - 1]);
            char right = fold(b[j - 1]);
            row[j] = least(above[j - 1] + (left != right), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && left == fold(b[j - 2]) && fold(a[i - 2]) == right)
                row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[length_a % 3][length_b];
}

void hgi_suggest_begin(struct hgi_suggestion *suggestion, const char *word)
{
    size_t third = strlen(word) / 3;
    size_t near = third < 1 ? 1 : third > 3 ? 3 : third;
    *suggestion = (struct hgi_suggestion) { .word = word, .distance = near + 1 };
}

void hgi_suggest_offer(struct hgi_suggestion *suggestion, const char *candidate)
{
    size_t distance = hgi_suggest_distance(suggestion->word, candidate);
    /* A word of one letter is one edit from every other. */
    if (distance >= suggestion->distance || distance >= strlen(candidate))
        return;
    suggestion->best = candidate;
    suggestion->distance = distance;
}
