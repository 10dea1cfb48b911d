/* Values that say where they come from; see value.h.
 *
 * One generator writes the value in blocks from front to back. Making runs it over the whole;
 * comparing runs it over a small block at a time, so that it needs no memory of the value's size.
 */
#include "tools/stress/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/random.h"

enum { HEADER = 48, CHECKSUM = 8, BLOCK = 4096 };

struct generator {
    uint64_t state; /* of the filling */
    uint64_t sum;   /* of all words so far */
    size_t at;
    size_t length;
    char header[HEADER + 1];
};

static void begin(struct generator *g, size_t length, uint64_t key, uint64_t nonce)
{
    g->state = random_mix(key * UINT64_C(0x9e3779b97f4a7c15) + nonce);
    g->sum = 0;
    g->at = 0;
    g->length = length;
    snprintf(g->header, sizeof g->header, "hg:%016" PRIx64 ":%016" PRIx64 ":%08zx:--", key, nonce,
             length);
}

static uint64_t checksum_add(uint64_t sum, const unsigned char *word)
{
    uint64_t w;
    memcpy(&w, word, 8);
    sum = (sum ^ w) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ (sum >> 29);
}

/* The next `count` bytes; a multiple of 8 except at the end. */
static void generate(struct generator *g, unsigned char *out, size_t count)
{
    bool labelled = g->length >= HEADER + CHECKSUM;
    for (size_t i = 0; i < count; i += 8, g->at += 8) {
        unsigned char word[8];
        uint64_t filling = random_next(&g->state);
        size_t left = count - i < 8 ? count - i : 8;
        memcpy(word, &filling, 8);
        if (labelled && g->at < HEADER)
            memcpy(word, g->header + g->at, 8);
        /* The checksum is the last whole word; at most 7 bytes of filling follow it. */
        if (labelled && g->at == (g->length / 8 - 1) * 8)
            memcpy(word, &g->sum, 8);
        else
            g->sum = checksum_add(g->sum, word);
        memcpy(out + i, word, left);
    }
}

size_t hgi_value_length(uint64_t key, uint64_t nonce, struct hgi_span sizes)
{
    if (sizes.low == sizes.high)
        return (size_t)sizes.low;
    uint64_t state = random_mix(key) ^ (nonce + UINT64_C(0x5851f42d4c957f2d));
    double low = log((double)sizes.low);
    double high = log((double)sizes.high + 1);
    int64_t length = (int64_t)exp(low + random_unit(&state) * (high - low));
    if (length < sizes.low)
        length = sizes.low;
    return (size_t)(length > sizes.high ? sizes.high : length);
}

void hgi_value_make(unsigned char *out, size_t length, uint64_t key, uint64_t nonce)
{
    struct generator g;
    begin(&g, length, key, nonce);
    generate(&g, out, length);
}

bool hgi_value_is(const void *bytes, size_t length, uint64_t key, uint64_t nonce,
                  struct hgi_span sizes)
{
    struct generator g;
    unsigned char block[BLOCK];
    const unsigned char *at = bytes;
    if (length != hgi_value_length(key, nonce, sizes))
        return false;
    begin(&g, length, key, nonce);
    while (length > 0) {
        size_t count = length < BLOCK ? length : BLOCK;
        generate(&g, block, count);
        if (memcmp(at, block, count) != 0)
            return false;
        at += count;
        length -= count;
    }
    return true;
}

void hgi_value_describe(char *out, size_t size, const void *bytes, size_t length)
{
    char header[HEADER + 1] = "";
    uint64_t key, nonce;
    size_t told;
    if (length >= HEADER + CHECKSUM)
        memcpy(header, bytes, HEADER);
    if (sscanf(header, "hg:%16" SCNx64 ":%16" SCNx64 ":%8zx:--", &key, &nonce, &told) != 3) {
        snprintf(out, size, "%zu bytes that name no key", length);
        return;
    }
    struct hgi_span any = { .low = (int64_t)length, .high = (int64_t)length };
    bool whole = told == length && hgi_value_is(bytes, length, key, nonce, any);
    snprintf(out, size, "the value of key %" PRIu64 ", nonce %" PRIu64 ", %s", key, nonce,
             whole ? "whole" : "damaged");
}
