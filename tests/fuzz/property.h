/* PROPERTY(): what must hold for every input. A fuzzer and the replay of its inputs both end with it. */
#ifndef HERDGATE_TESTS_FUZZ_PROPERTY_H
#define HERDGATE_TESTS_FUZZ_PROPERTY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROPERTY(holds)                                                         \
    do {                                                                        \
        if (!(holds)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds); \
            abort();                                                            \
        }                                                                       \
    } while (0)

/* The name that libFuzzer looks for. One input of any bytes; always 0.
 * NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes in memory of exactly their size, so that a sanitizer sees the first byte read too far; with
 * `terminated` a zero behind them. For free(). */
static inline char *exact_copy(const uint8_t *data, size_t size, int terminated)
{
    size_t whole = size + (size_t)(terminated != 0);
    char *copy = malloc(whole ? whole : 1);
    PROPERTY(copy);
    if (size)
        memcpy(copy, data, size);
    if (terminated)
        copy[size] = '\0';
    return copy;
}

#endif
