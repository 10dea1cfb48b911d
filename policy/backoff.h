/* How long to wait before a retry: what include/herdgate/policy.h shows of it, and the presets' names
 * for those who print or suggest them. */
#ifndef HERDGATE_POLICY_BACKOFF_H
#define HERDGATE_POLICY_BACKOFF_H

#include <stddef.h>

#include <herdgate/policy.h>

/* The name of the built-in preset at `index`, in the order of the documentation; NULL past the end. */
const char *hgi_retry_preset_name(size_t index);

#endif
