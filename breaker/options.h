/* From the user's options to the machine's settings. */
#ifndef HERDGATE_BREAKER_OPTIONS_H
#define HERDGATE_BREAKER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <herdgate/breaker.h>

#include "breaker/machine.h"

/* A whole struct of this version from one of any version or NULL, checked: each field's limits. */
hg_status hgi_options_read(struct hg_breaker_options *out, const struct hg_breaker_options *options,
                           struct hg_error *err);

/* Whether two checked sets of settings make different breakers; text: "failure_threshold is 5, not 3; ...",
 * of the first and the second. A wanted seed of 0 is any. */
bool hgi_options_differ(const struct hg_breaker_options *held,
                        const struct hg_breaker_options *wanted, char *text, size_t size);

/* The settings of checked options; seed 0 is kept for the caller to replace. */
void hgi_options_decode(struct hgi_machine *machine, const struct hg_breaker_options *options);

/* A permit older than this may be of a generation that has come round. */
int64_t hgi_options_permit_age(const struct hgi_machine *machine);

#endif
