/* One command on a leased connection, and the judgement of how it went. What hg_command(), hg_call()
 * and leases by hand have in common; a later way to move commands would stand beside it. */
#ifndef HERDGATE_POOL_EXCHANGE_H
#define HERDGATE_POOL_EXCHANGE_H

#include "policy/commands.h"
#include "pool/fence.h"
#include "pool/frame.h"
#include "pool/internal.h"

/* A command and what is known of it. It stays where it is. */
struct hgi_command {
    const char *bytes;
    size_t length;
    struct hgi_command_facts facts;
    const struct hgi_class *op_class;
    const char *name; /* the first word in upper case: the table's own, or `word` */
    char word[HGI_NAME_SIZE];
    const char *key; /* one of the frame's words, or NULL */
    size_t key_length;
};

/* What is known of the command that a frame holds; it lives as long as the frame. */
void hgi_command_inspect(struct hgi_command *command, const struct hgi_frame *frame,
                         const struct hgi_settings *settings);

/* Begin and end a lease of an owned slot. Ending gives the slot back. */
struct hg_lease *hgi_lease_begin(hg_pool *pool, struct hgi_snapshot *snapshot,
                                 struct hgi_slot *slot, const struct hgi_class *op_class,
                                 int64_t now_ns);
void hgi_lease_end(struct hg_lease *lease, int64_t now_ns);

/* Send one command and read its reply within the span. HG_OK with *reply (the caller's), or the
 * failure: lease->verdict judged, *err filled, *reply NULL. */
hg_status hgi_exchange(struct hg_lease *lease, const struct hgi_command *command,
                       struct hgi_span *span, redisReply **reply, struct hg_error *err);

/* Before an attempt whose older ones may run yet: keep them from it, and forget them. Nothing of the
 * attempt is sent unless this is HG_OK. *refused: the server does not let us, and *err says so; else
 * it is a failed attempt as above. */
hg_status hgi_raise_fence(struct hg_lease *lease, struct hgi_fence *fence, struct hgi_span *span,
                          bool *refused, struct hg_error *err);

/* Send what was appended. */
hg_status hgi_flush(struct hg_lease *lease, struct hgi_span *span, struct hg_error *err);

/* Read the next reply of what was sent. */
hg_status hgi_next_reply(struct hg_lease *lease, struct hgi_span *span, redisReply **reply,
                         struct hg_error *err);

#endif
