/* Durations as people write them: "250ms", "1.5s", "1m30s". */
#ifndef HERDGATE_POLICY_DURATION_H
#define HERDGATE_POLICY_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HGI_DURATION_SIZE 48

/* Read a duration: one or more of number and unit (ns, us, ms, s, m, h, d), the larger unit first;
 * only the last number may have a fraction. False: *out_ns is untouched, and `why` says what is
 * wrong and what to write. */
bool hgi_duration_parse(const char *text, int64_t *out_ns, char *why, size_t why_size);

/* Write a duration as short as it can be read back exactly: "250ms", "1m30s", "0s". Returns out. */
const char *hgi_duration_format(char out[HGI_DURATION_SIZE], int64_t duration_ns);

#endif
