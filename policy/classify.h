/* From plain facts to a verdict: what a failure is, and what the policy does about it. Pure. */
#ifndef HERDGATE_POLICY_CLASSIFY_H
#define HERDGATE_POLICY_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/settings.h"

/* Where it went wrong. */
enum hgi_fault_kind {
    HGI_FAULT_DIAL,     /* name, connect or set-up of a connection; sys_errno, or 0 and `text` */
    HGI_FAULT_IO,       /* send or receive failed, sys_errno; 0: the server closed */
    HGI_FAULT_DEADLINE, /* no whole answer in time */
    HGI_FAULT_REPLY,    /* the server answered with an error: `text` */
    HGI_FAULT_PROTOCOL, /* what came is not RESP */
    HGI_FAULT_LIMIT,    /* an answer, not an error, that is too large or too deep for us */
    HGI_FAULT_MEMORY
};

/* What was seen; no type of hiredis. */
struct hgi_fault {
    enum hgi_fault_kind kind;
    int sys_errno;
    const char *text; /* REPLY, DIAL: the server's error; not terminated necessarily */
    size_t text_length;
    bool sent_whole;   /* the command's last byte left; true for a REPLY to it */
    bool full_attempt; /* DEADLINE: the server had the whole attempt_timeout */
    bool in_setup;     /* the connection was still being made (DIAL implies it): nothing of the
                          caller's had left, and every fault is a failed dial */
    bool opaque;       /* a refusal proves nothing: hgi_command_facts.opaque, or behind a proxy */
    enum hgi_class_kind class_kind;
};

enum hgi_breaker_view { HGI_VIEW_SUCCESS, HGI_VIEW_FAILURE, HGI_VIEW_NOTHING };
enum hgi_connection_fate { HGI_FATE_KEEP, HGI_FATE_CLOSE, HGI_FATE_DROP_EPOCH };

struct hgi_verdict {
    hg_status type;
    hg_severity severity;
    hg_recovery recovery;
    hg_outcome outcome;
    enum hgi_breaker_view view;    /* what the breaker is told */
    enum hgi_connection_fate fate; /* DROP_EPOCH: this one and all that were made before now */
    int64_t delay_ns;              /* of retry_with_delay */
    char code[HGI_NAME_SIZE];      /* first word of the server's error, or empty */
};

/* Judge a fault. `settings` give the overrides. Never fails. */
void hgi_classify(const struct hgi_settings *settings, const struct hgi_fault *fault,
                  struct hgi_verdict *out);

/* What the rules of the call's own class say on top of a verdict. */
void hgi_classify_in_class(const struct hgi_settings *settings, const struct hgi_class *op_class,
                           struct hgi_verdict *out);

/* Judge a status that a function of the user's own returned: type's defaults and the overrides;
 * the outcome is the caller's to fill in. `server_code` may be empty. */
void hgi_classify_status(const struct hgi_settings *settings, hg_status status,
                         const char *server_code, struct hgi_verdict *out);

/* Copy the first word of a server's error into `code` if it is a code at all: capitals, digits and
 * underscores, a capital first. Else make it empty and return false. */
bool hgi_server_error_code(const char *text, size_t length, char code[static HGI_NAME_SIZE]);

/* The server codes that are known, in the order of the table; NULL past the end. */
const char *hgi_server_code_name(size_t index);

/* A server error as it may be shown: its code, and the rest only if it is one of the known texts,
 * because an error can echo arguments. Writes a terminated text, cut to `size`. */
void hgi_server_error_text(const char *text, size_t length, char *out, size_t size);

#endif
