/* From the user's options to the machine's settings. */
#ifndef HERDGATE_BREAKER_OPTIONS_H
#define HERDGATE_BREAKER_OPTIONS_H

#include <herdgate/breaker.h>

#include "breaker/machine.h"

/* A whole struct of this version from one of any version or NULL, checked: each field's limits. */
hg_status hgi_options_read(struct hg_breaker_options *out, const struct hg_breaker_options *options,
                           struct hg_error *err);

/* The settings of checked options; seed 0 is kept for the caller to replace. */
void hgi_options_decode(struct hgi_machine *machine, const struct hg_breaker_options *options);

/* A permit older than this may be of a generation that has come round. */
int64_t hgi_options_permit_age(const struct hgi_machine *machine);

#endif
