/* From plain facts to a verdict.
 *
 * A verdict is made in three steps, each its own function below: what kind of fault it is and what
 * that means by default (judge_*), what that proves about the command (outcome_of), and what the
 * policy file says instead (override). Server errors are found in one table by their whole first
 * word, never by a prefix: BUSY is not BUSYGROUP.
 *
 * Invariants
 * - Pure: no clock, no allocation, nothing kept. It never fails; what it does not know is judged on
 *   the safe side: type SERVER, recovery fail, outcome UNKNOWN.
 * - REJECTED comes only from the `proof` column, which no script and no transaction is ever in.
 * - A policy file changes severity, recovery, delay and counting. It cannot change an outcome, the
 *   connection's fate, or make a caller's short deadline count against the server.
 */
#include "policy/classify.h"

#include <errno.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The classes for which a server's error proves that nothing was changed. A script or a transaction
 * can write first and answer any text later, so neither is in any of these. */
enum proof {
    PROOF_NONE = 0,
    /* The command itself looks before it changes anything. Known of the data commands only: an
     * administrator's command or HELLO can have done half of its work. */
    PROOF_COMMAND = 1 << HGI_CLASS_READ | 1 << HGI_CLASS_WRITE | 1 << HGI_CLASS_WRITE_ONCE |
                    1 << HGI_CLASS_BLOCKING,
    /* The server's own gate refuses before any command begins. */
    PROOF_GATE = PROOF_COMMAND | 1 << HGI_CLASS_CONNECTION | 1 << HGI_CLASS_ADMIN
};

struct code_row {
    const char *code;
    hg_status type;
    hg_recovery recovery;
    enum hgi_breaker_view view;
    enum hgi_connection_fate fate;
    enum proof proof;
};

#define FAIL HG_RECOVERY_FAIL
#define BACKOFF HG_RECOVERY_RETRY_WITH_BACKOFF
#define WAIT HG_RECOVERY_WAIT_AND_RETRY
#define UNAVAILABLE HG_ERR_UNAVAILABLE
#define SERVER HG_ERR_SERVER
#define AUTH HG_ERR_AUTH
#define SUCCESS HGI_VIEW_SUCCESS
#define FAILURE HGI_VIEW_FAILURE
#define NOTHING HGI_VIEW_NOTHING
#define KEEP HGI_FATE_KEEP
#define CLOSE HGI_FATE_CLOSE
#define DROP_EPOCH HGI_FATE_DROP_EPOCH

/* What each server error means. NOAUTH and WRONGPASS close: a connection that is not logged in
 * serves nobody, and a new one logs in with the credentials of that moment. */
static const struct code_row codes[] = {
    /* "not now" */
    { "LOADING", UNAVAILABLE, WAIT, FAILURE, KEEP, PROOF_GATE },
    { "BUSY", UNAVAILABLE, WAIT, FAILURE, KEEP, PROOF_GATE },
    { "MASTERDOWN", UNAVAILABLE, WAIT, FAILURE, KEEP, PROOF_GATE },
    { "CLUSTERDOWN", UNAVAILABLE, BACKOFF, FAILURE, KEEP, PROOF_GATE },
    { "TRYAGAIN", UNAVAILABLE, BACKOFF, NOTHING, KEEP, PROOF_GATE },
    { "NOREPLICAS", UNAVAILABLE, BACKOFF, NOTHING, KEEP, PROOF_GATE },
    { "OOM", UNAVAILABLE, BACKOFF, NOTHING, KEEP, PROOF_GATE },
    { "MISCONF", UNAVAILABLE, BACKOFF, NOTHING, KEEP, PROOF_GATE },
    { "READONLY", UNAVAILABLE, BACKOFF, NOTHING, DROP_EPOCH, PROOF_GATE },
    /* a cluster, which herdgate does not speak to */
    { "MOVED", SERVER, FAIL, SUCCESS, KEEP, PROOF_GATE },
    { "ASK", SERVER, FAIL, SUCCESS, KEEP, PROOF_GATE },
    { "CROSSSLOT", SERVER, FAIL, SUCCESS, KEEP, PROOF_GATE },
    /* who are you? */
    { "NOAUTH", AUTH, FAIL, NOTHING, CLOSE, PROOF_GATE },
    { "WRONGPASS", AUTH, FAIL, NOTHING, CLOSE, PROOF_GATE },
    { "DENIED", AUTH, FAIL, NOTHING, CLOSE, PROOF_GATE },
    /* "no" */
    { "NOPERM", SERVER, FAIL, SUCCESS, KEEP, PROOF_GATE },
    { "NOPROTO", SERVER, FAIL, SUCCESS, KEEP, PROOF_GATE },
    { "ERR", SERVER, FAIL, SUCCESS, KEEP, PROOF_COMMAND },
    { "WRONGTYPE", SERVER, FAIL, SUCCESS, KEEP, PROOF_COMMAND },
    { "BUSYKEY", SERVER, FAIL, SUCCESS, KEEP, PROOF_COMMAND },
    { "BUSYGROUP", SERVER, FAIL, SUCCESS, KEEP, PROOF_COMMAND },
    { "NOGROUP", SERVER, FAIL, SUCCESS, KEEP, PROOF_COMMAND },
    { "UNBLOCKED", SERVER, FAIL, SUCCESS, KEEP, PROOF_COMMAND },
    /* from scripts, transactions and administration: they prove nothing */
    { "NOSCRIPT", SERVER, FAIL, SUCCESS, KEEP, PROOF_NONE },
    { "EXECABORT", SERVER, FAIL, SUCCESS, KEEP, PROOF_NONE },
    { "NOTBUSY", SERVER, FAIL, SUCCESS, KEEP, PROOF_NONE },
    { "UNKILLABLE", SERVER, FAIL, SUCCESS, KEEP, PROOF_NONE },
    /* PFADD may have added some elements; MIGRATE may have moved some keys */
    { "INVALIDOBJ", SERVER, FAIL, SUCCESS, KEEP, PROOF_NONE },
    { "IOERR", SERVER, FAIL, SUCCESS, KEEP, PROOF_NONE },
};

/* The rest. */
static const struct code_row other_code = { "", SERVER, FAIL, SUCCESS, KEEP, PROOF_NONE };

/* Said instead of serving a connection, and then the server closes it. Its code is the ERR of so
 * many others, so the whole text is compared. */
static const struct code_row max_clients = {
    "ERR", UNAVAILABLE, BACKOFF, FAILURE, CLOSE, PROOF_GATE
};

static const char *const max_clients_texts[] = {
    "ERR max number of clients reached",
    "ERR max number of clients + cluster connections reached",
};

#undef FAIL
#undef BACKOFF
#undef WAIT
#undef UNAVAILABLE
#undef SERVER
#undef AUTH
#undef SUCCESS
#undef FAILURE
#undef NOTHING
#undef KEEP
#undef CLOSE
#undef DROP_EPOCH

bool hgi_server_error_code(const char *text, size_t length, char code[static HGI_NAME_SIZE])
{
    size_t used = 0;
    code[0] = '\0';
    while (used < length && text[used] != ' ' && text[used] != '\r' && text[used] != '\n') {
        char c = text[used];
        bool capital = c >= 'A' && c <= 'Z';
        bool later = (c >= '0' && c <= '9') || c == '_';
        if (used + 1 == HGI_NAME_SIZE || !(capital || (later && used > 0))) {
            code[0] = '\0';
            return false;
        }
        code[used++] = c;
    }
    code[used] = '\0';
    return used > 0;
}

const char *hgi_server_code_name(size_t index)
{
    return index < COUNT_OF(codes) ? codes[index].code : NULL;
}

static const struct code_row *row_of_code(const char *code)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (strcmp(codes[i].code, code) == 0)
            return &codes[i];
    return &other_code;
}

static const struct code_row *row_of_text(const char *code, const char *text, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(max_clients_texts); i++) {
        const char *known = max_clients_texts[i];
        if (length == strlen(known) && memcmp(text, known, length) == 0)
            return &max_clients;
    }
    return row_of_code(code);
}

static void set_type(struct hgi_verdict *out, hg_status type)
{
    out->type = type;
    out->severity = hg_status_severity(type);
    out->recovery = hg_status_recovery(type);
}

/* The server said something: by its first word. */
static const struct code_row *judge_text(const struct hgi_fault *fault, struct hgi_verdict *out)
{
    hgi_server_error_code(fault->text, fault->text_length, out->code);
    const struct code_row *row = row_of_text(out->code, fault->text, fault->text_length);
    set_type(out, row->type);
    out->recovery = row->recovery;
    out->view = row->view;
    out->fate = row->fate;
    return row;
}

/* A connection could not be made. The text is the server's only if it begins with a code of the
 * table; else it is a resolver's or a TLS library's, whose first word may well be in capitals. */
static void judge_dial(const struct hgi_fault *fault, struct hgi_verdict *out)
{
    if (fault->text && judge_text(fault, out) != &other_code)
        return;
    out->code[0] = '\0';
    set_type(out, fault->sys_errno == ETIMEDOUT ? HG_ERR_TIMEOUT : HG_ERR_CONNECTION);
}

/* Types that are about the transport: the connection is of no more use to anybody. */
static void judge_transport(const struct hgi_fault *fault, struct hgi_verdict *out)
{
    out->fate = HGI_FATE_CLOSE;
    out->view = HGI_VIEW_FAILURE;
    switch (fault->kind) {
    case HGI_FAULT_DEADLINE:
        set_type(out, HG_ERR_TIMEOUT);
        /* A caller in a hurry says nothing about the server. */
        if (!fault->full_attempt)
            out->view = HGI_VIEW_NOTHING;
        return;
    case HGI_FAULT_PROTOCOL:
        set_type(out, HG_ERR_PROTOCOL);
        return;
    case HGI_FAULT_LIMIT:
        set_type(out, HG_ERR_SERIALIZATION);
        out->view = HGI_VIEW_NOTHING;
        return;
    case HGI_FAULT_MEMORY:
        set_type(out, HG_ERR_NO_MEMORY);
        out->view = HGI_VIEW_NOTHING;
        return;
    default:
        set_type(out, HG_ERR_CONNECTION);
        return;
    }
}

/* Whatever went wrong while a connection was made is a failed dial: it counts, nothing of the
 * caller's has left, and the half-made connection is closed. Only our own lack of memory is not the
 * server's failure. One that does not speak RESP is not a Redis: no use in trying again. */
static void judge_setup(const struct hgi_fault *fault, struct hgi_verdict *out)
{
    out->outcome = HG_OUTCOME_NOT_SENT;
    if (fault->kind != HGI_FAULT_MEMORY)
        out->view = HGI_VIEW_FAILURE;
    if (out->fate == HGI_FATE_KEEP)
        out->fate = HGI_FATE_CLOSE;
    if (fault->kind == HGI_FAULT_PROTOCOL)
        out->recovery = HG_RECOVERY_CIRCUIT_BREAKER;
}

/* A frame whose last byte never left cannot have run, whatever the command. */
static hg_outcome outcome_of(const struct hgi_fault *fault, const struct code_row *row)
{
    if (!fault->sent_whole)
        return HG_OUTCOME_NOT_SENT;
    if (fault->kind == HGI_FAULT_LIMIT)
        return HG_OUTCOME_EXECUTED;
    bool proven = row && !fault->opaque && ((unsigned)row->proof >> fault->class_kind & 1u);
    return proven ? HG_OUTCOME_REJECTED : HG_OUTCOME_UNKNOWN;
}

static void override_one(const struct hgi_error_rule *rule, bool may_count, struct hgi_verdict *out)
{
    if (rule->has_severity)
        out->severity = rule->severity;
    if (rule->has_recovery)
        out->recovery = rule->recovery;
    if (rule->delay_ns >= 0)
        out->delay_ns = rule->delay_ns;
    if (!rule->has_counts)
        return;
    if (rule->counts && may_count)
        out->view = HGI_VIEW_FAILURE;
    else if (!rule->counts && out->view == HGI_VIEW_FAILURE)
        out->view = HGI_VIEW_NOTHING;
}

/* Rules about the type first, so that those about the code have the last word. */
static void override(const struct hgi_error_rule *rules, size_t count, bool may_count,
                     struct hgi_verdict *out)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].type != HG_OK && rules[i].type == out->type)
            override_one(&rules[i], may_count, out);
    if (out->code[0] == '\0')
        return;
    for (size_t i = 0; i < count; i++)
        if (rules[i].type == HG_OK && strcmp(rules[i].server_code, out->code) == 0)
            override_one(&rules[i], may_count, out);
}

static void override_all(const struct hgi_settings *settings, bool may_count,
                         struct hgi_verdict *out)
{
    out->delay_ns = settings->retry_delay_ns;
    override(settings->rules, settings->rule_count, may_count, out);
}

void hgi_classify_in_class(const struct hgi_settings *settings, const struct hgi_class *op_class,
                           struct hgi_verdict *out)
{
    if (op_class->rule_count > 0)
        override(settings->class_rules + op_class->first_rule, op_class->rule_count, false, out);
}

void hgi_classify(const struct hgi_settings *settings, const struct hgi_fault *fault,
                  struct hgi_verdict *out)
{
    const struct code_row *row = NULL;
    bool in_setup = fault->in_setup || fault->kind == HGI_FAULT_DIAL;
    memset(out, 0, sizeof *out);
    if (fault->kind == HGI_FAULT_DIAL)
        judge_dial(fault, out);
    else if (fault->kind == HGI_FAULT_REPLY)
        row = judge_text(fault, out);
    else
        judge_transport(fault, out);

    if (in_setup)
        judge_setup(fault, out);
    else
        out->outcome = outcome_of(fault, row);
    bool hurried = fault->kind == HGI_FAULT_DEADLINE && !fault->full_attempt && !in_setup;
    override_all(settings, !hurried, out);
}

void hgi_classify_status(const struct hgi_settings *settings, hg_status status,
                         const char *server_code, struct hgi_verdict *out)
{
    memset(out, 0, sizeof *out);
    set_type(out, status);
    if (server_code)
        hgi_server_error_code(server_code, strlen(server_code), out->code);
    out->view = HGI_VIEW_NOTHING;
    switch (status) {
    case HG_ERR_CONNECTION:
    case HG_ERR_TIMEOUT:
    case HG_ERR_PROTOCOL:
        out->view = HGI_VIEW_FAILURE;
        out->fate = HGI_FATE_CLOSE;
        break;
    case HG_ERR_NO_MEMORY:
        out->fate = HGI_FATE_CLOSE;
        break;
    case HG_ERR_UNAVAILABLE:
        out->view = HGI_VIEW_FAILURE;
        break;
    case HG_IGNORED:
    case HG_OK:
    case HG_ERR_NOT_FOUND:
    case HG_ERR_SERVER:
        out->view = HGI_VIEW_SUCCESS;
        break;
    default:
        break;
    }
    /* The function named the type; its code says more only where the table agrees on that. */
    const struct code_row *row = row_of_code(out->code);
    if (out->code[0] && row != &other_code && row->type == status) {
        out->recovery = row->recovery;
        out->view = row->view;
        out->fate = row->fate;
    }
    if (status < 0)
        override_all(settings, true, out);
}
