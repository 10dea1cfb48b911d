/* What commands, functions and leases of a pool share on their way into the attempt loop. */
#ifndef HERDGATE_POOL_CALL_H
#define HERDGATE_POOL_CALL_H

#include "pool/fence.h"
#include "pool/internal.h"

/* Fill *call with what the pool and the options (as read below) say; class, operation and key are the
 * caller's, and whether it is told is hgi_run_counted()'s. */
void hgi_call_prepare(struct hgi_call *call, hg_pool *pool, const struct hgi_snapshot *snapshot,
                      const struct hg_call_options *options);

/* Copy the user's options (NULL: none) in this version's size, and find the class they name:
 * *op_class is left alone if they name none. HG_OK or HG_ERR_VALIDATION. */
hg_status hgi_call_options_read(struct hg_call_options *out, const struct hg_call_options *options,
                                const struct hgi_settings *settings,
                                const struct hgi_class **op_class, struct hg_error *err);

/* Make a failed hgi_take() the result of an attempt. */
void hgi_take_failed(const struct hgi_take *take, hg_status status, struct hgi_attempt *attempt);

/* The fence of a call's attempts. Before one: false, and the attempt has failed. After one: remember it
 * if it may run yet. */
bool hgi_attempt_fence(struct hgi_fence *fence, struct hg_lease *lease, struct hgi_span *span,
                       struct hgi_attempt *attempt);
void hgi_attempt_note(struct hgi_fence *fence, const struct hg_lease *lease,
                      struct hgi_attempt *attempt);

/* The time that an attempt has which begins now. */
struct hgi_span hgi_attempt_span(const struct hgi_attempt *attempt, int64_t timeout_ns,
                                 int64_t now_ns);

#endif
