/* The verdicts, held against the rules as the documents say them: lists of words and a few words,
 * not the table of the implementation. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/classify.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct hgi_settings no_rules;

/* "Server codes", sentence by sentence. A word is in a list if it stands there between spaces. */
static const char not_now[] =
    " LOADING BUSY MASTERDOWN CLUSTERDOWN TRYAGAIN NOREPLICAS OOM MISCONF "
    "READONLY ";
static const char waits_for_a_condition[] = " LOADING BUSY MASTERDOWN ";
static const char counts_for_the_breaker[] = " LOADING BUSY MASTERDOWN CLUSTERDOWN ";
static const char who_are_you[] = " NOAUTH WRONGPASS DENIED ";
static const char closes_the_connection[] = " NOAUTH WRONGPASS DENIED ";
static const char drops_the_epoch[] = " READONLY ";

/* Said by the server before any command begins ... */
static const char said_at_the_gate[] =
    " LOADING BUSY MASTERDOWN CLUSTERDOWN TRYAGAIN NOREPLICAS OOM MISCONF READONLY MOVED ASK "
    "CROSSSLOT NOAUTH WRONGPASS DENIED NOPERM NOPROTO ";
/* ... and by a data command that has looked and has not yet changed anything. */
static const char said_by_data_commands[] = " ERR WRONGTYPE BUSYKEY BUSYGROUP NOGROUP UNBLOCKED ";

/* Every first word that Redis 7 and 8 and Valkey 8 are known to send, and some that none sends. */
static const char *const all_codes[] = {
    "LOADING", "BUSY",      "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",  "NOREPLICAS",   "OOM",
    "MISCONF", "READONLY",  "MOVED",      "ASK",         "CROSSSLOT", "NOAUTH",       "WRONGPASS",
    "DENIED",  "NOPERM",    "NOPROTO",    "ERR",         "WRONGTYPE", "BUSYKEY",      "BUSYGROUP",
    "NOGROUP", "UNBLOCKED", "NOSCRIPT",   "EXECABORT",   "NOTBUSY",   "UNKILLABLE",   "INVALIDOBJ",
    "IOERR",   "INPROG",    "REDIRECT",   "NOGOODSLAVE", "BUSYX",     "LOADINGLATER", "READONLYISH",
    "OO",      "MY_MODULE", "X2"
};

static bool is_in(const char *list, const char *code)
{
    char word[64];
    snprintf(word, sizeof word, " %s ", code);
    return strstr(list, word) != NULL;
}

static struct hgi_fault reply_of(const char *text, enum hgi_class_kind kind)
{
    return (struct hgi_fault) { .kind = HGI_FAULT_REPLY,
                                .text = text,
                                .text_length = strlen(text),
                                .sent_whole = true,
                                .class_kind = kind };
}

static struct hgi_verdict judge(struct hgi_fault fault)
{
    struct hgi_verdict verdict;
    memset(&verdict, 0xaa, sizeof verdict);
    hgi_classify(&no_rules, &fault, &verdict);
    return verdict;
}

static bool is_data(enum hgi_class_kind kind)
{
    return kind == HGI_CLASS_READ || kind == HGI_CLASS_WRITE || kind == HGI_CLASS_WRITE_ONCE ||
           kind == HGI_CLASS_BLOCKING;
}

static hg_outcome promised_outcome(const char *code, enum hgi_class_kind kind, bool sent,
                                   bool opaque)
{
    if (!sent)
        return HG_OUTCOME_NOT_SENT;
    if (kind == HGI_CLASS_SCRIPT || kind == HGI_CLASS_TRANSACTION || opaque)
        return HG_OUTCOME_UNKNOWN;
    if (is_in(said_at_the_gate, code))
        return HG_OUTCOME_REJECTED;
    if (is_in(said_by_data_commands, code) && is_data(kind))
        return HG_OUTCOME_REJECTED;
    return HG_OUTCOME_UNKNOWN;
}

static hg_status promised_type(const char *code)
{
    if (is_in(not_now, code))
        return HG_ERR_UNAVAILABLE;
    return is_in(who_are_you, code) ? HG_ERR_AUTH : HG_ERR_SERVER;
}

static enum hgi_breaker_view promised_view(const char *code)
{
    if (is_in(counts_for_the_breaker, code))
        return HGI_VIEW_FAILURE;
    return promised_type(code) == HG_ERR_SERVER ? HGI_VIEW_SUCCESS : HGI_VIEW_NOTHING;
}

static void hold_against_the_rules(const char *code, const struct hgi_verdict *v)
{
    hg_status type = promised_type(code);
    hg_recovery recovery = HG_RECOVERY_FAIL;
    if (type == HG_ERR_UNAVAILABLE)
        recovery = is_in(waits_for_a_condition, code) ? HG_RECOVERY_WAIT_AND_RETRY
                                                      : HG_RECOVERY_RETRY_WITH_BACKOFF;
    hg_severity severity = HG_SEVERITY_LOW;
    if (type == HG_ERR_UNAVAILABLE)
        severity = HG_SEVERITY_HIGH;
    if (type == HG_ERR_AUTH)
        severity = HG_SEVERITY_CRITICAL;
    enum hgi_connection_fate fate = HGI_FATE_KEEP;
    if (is_in(closes_the_connection, code))
        fate = HGI_FATE_CLOSE;
    if (is_in(drops_the_epoch, code))
        fate = HGI_FATE_DROP_EPOCH;

    cr_expect_eq(v->type, type, "%s: type %s", code, hg_status_name(v->type));
    cr_expect_eq(v->severity, severity, "%s: severity %s", code, hg_severity_name(v->severity));
    cr_expect_eq(v->recovery, recovery, "%s: recovery %s", code, hg_recovery_name(v->recovery));
    cr_expect_eq(v->view, promised_view(code), "%s: view %d", code, (int)v->view);
    cr_expect_eq(v->fate, fate, "%s: fate %d", code, (int)v->fate);
    cr_expect_str_eq(v->code, code);
}

Test(classify, every_code_means_the_same_for_every_class_but_proves_only_what_it_can)
{
    for (size_t i = 0; i < COUNT_OF(all_codes); i++)
        for (int kind = 0; kind < HGI_CLASS_KINDS; kind++)
            for (int facts = 0; facts < 4; facts++) {
                char text[128];
                snprintf(text, sizeof text, "%s and some words", all_codes[i]);
                struct hgi_fault fault = reply_of(text, (enum hgi_class_kind)kind);
                fault.sent_whole = facts & 1;
                fault.opaque = facts & 2;
                struct hgi_verdict v = judge(fault);
                hold_against_the_rules(all_codes[i], &v);
                hg_outcome outcome = promised_outcome(all_codes[i], fault.class_kind,
                                                      fault.sent_whole, fault.opaque);
                cr_expect_eq(v.outcome, outcome, "%s, class %d, sent %d, opaque %d: %s",
                             all_codes[i], kind, fault.sent_whole, fault.opaque,
                             hg_outcome_name(v.outcome));
            }
}

Test(classify, a_code_is_the_whole_first_word_with_or_without_more_behind_it)
{
    cr_expect_eq(judge(reply_of("BUSY", HGI_CLASS_READ)).type, HG_ERR_UNAVAILABLE);
    cr_expect_eq(judge(reply_of("BUSYGROUP x", HGI_CLASS_READ)).type, HG_ERR_SERVER);
    cr_expect_eq(judge(reply_of("BUSYKEY", HGI_CLASS_READ)).type, HG_ERR_SERVER);
    cr_expect_eq(judge(reply_of("busy now", HGI_CLASS_READ)).type, HG_ERR_SERVER);
    cr_expect_str_empty(judge(reply_of("busy now", HGI_CLASS_READ)).code);
    cr_expect_str_empty(judge(reply_of("TSDB: no", HGI_CLASS_READ)).code);
    cr_expect_str_empty(judge(reply_of(" LOADING", HGI_CLASS_READ)).code);
    cr_expect_str_empty(judge(reply_of("", HGI_CLASS_READ)).code);
    const char *longest = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_1234 x",
               *longer = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_12345 x";
    cr_expect_str_eq(judge(reply_of(longest, HGI_CLASS_READ)).code,
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ_1234");
    cr_expect_str_empty(judge(reply_of(longer, HGI_CLASS_READ)).code, "a code too long is not cut");
}

Test(classify, the_text_need_not_be_terminated)
{
    struct hgi_fault fault = reply_of("LOADINGX", HGI_CLASS_READ);
    fault.text_length = 7;
    cr_expect_str_eq(judge(fault).code, "LOADING");
    cr_expect_eq(judge(fault).type, HG_ERR_UNAVAILABLE);
}

Test(classify, max_clients_is_the_one_exact_text)
{
    const char *full = "ERR max number of clients reached";
    for (int kind = 0; kind < HGI_CLASS_KINDS; kind++) {
        struct hgi_verdict v = judge(reply_of(full, (enum hgi_class_kind)kind));
        bool proves_nothing = kind == HGI_CLASS_SCRIPT || kind == HGI_CLASS_TRANSACTION;
        cr_expect_eq(v.type, HG_ERR_UNAVAILABLE);
        cr_expect_eq(v.recovery, HG_RECOVERY_RETRY_WITH_BACKOFF);
        cr_expect_eq(v.view, HGI_VIEW_FAILURE);
        cr_expect_eq(v.fate, HGI_FATE_CLOSE);
        cr_expect_str_eq(v.code, "ERR");
        cr_expect_eq(v.outcome, proves_nothing ? HG_OUTCOME_UNKNOWN : HG_OUTCOME_REJECTED);
    }
    cr_expect_eq(judge(reply_of("ERR max number of clients", HGI_CLASS_READ)).type, HG_ERR_SERVER);
    cr_expect_eq(judge(reply_of("ERR max number of clients reached!", HGI_CLASS_READ)).type,
                 HG_ERR_SERVER);
}

/* What a lost transport means, for any class. */
struct transport_promise {
    enum hgi_fault_kind kind;
    bool full_attempt;
    hg_status type;
    hg_severity severity;
    hg_recovery recovery;
    enum hgi_breaker_view view;
    hg_outcome when_sent;
};

static const struct transport_promise transport[] = {
    { HGI_FAULT_IO, false, HG_ERR_CONNECTION, HG_SEVERITY_HIGH, HG_RECOVERY_RETRY_WITH_BACKOFF,
      HGI_VIEW_FAILURE, HG_OUTCOME_UNKNOWN },
    { HGI_FAULT_DEADLINE, true, HG_ERR_TIMEOUT, HG_SEVERITY_MEDIUM, HG_RECOVERY_RETRY_WITH_BACKOFF,
      HGI_VIEW_FAILURE, HG_OUTCOME_UNKNOWN },
    { HGI_FAULT_DEADLINE, false, HG_ERR_TIMEOUT, HG_SEVERITY_MEDIUM, HG_RECOVERY_RETRY_WITH_BACKOFF,
      HGI_VIEW_NOTHING, HG_OUTCOME_UNKNOWN },
    { HGI_FAULT_PROTOCOL, false, HG_ERR_PROTOCOL, HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL,
      HGI_VIEW_FAILURE, HG_OUTCOME_UNKNOWN },
    { HGI_FAULT_LIMIT, false, HG_ERR_SERIALIZATION, HG_SEVERITY_MEDIUM, HG_RECOVERY_FAIL,
      HGI_VIEW_NOTHING, HG_OUTCOME_EXECUTED },
    { HGI_FAULT_MEMORY, false, HG_ERR_NO_MEMORY, HG_SEVERITY_CRITICAL, HG_RECOVERY_FAIL,
      HGI_VIEW_NOTHING, HG_OUTCOME_UNKNOWN },
};

Test(classify, a_transport_fault_before_the_last_byte_is_not_sent_and_after_it_unknown)
{
    static const int numbers[] = { 0, ECONNRESET, EPIPE, ETIMEDOUT, EAGAIN };
    for (size_t i = 0; i < COUNT_OF(transport); i++)
        for (size_t n = 0; n < COUNT_OF(numbers); n++)
            for (int kind = 0; kind < HGI_CLASS_KINDS; kind++)
                for (int sent = 0; sent < 2; sent++) {
                    const struct transport_promise *p = &transport[i];
                    struct hgi_verdict v =
                        judge((struct hgi_fault) { .kind = p->kind,
                                                   .sys_errno = numbers[n],
                                                   .sent_whole = sent,
                                                   .full_attempt = p->full_attempt,
                                                   .class_kind = (enum hgi_class_kind)kind });
                    cr_expect_eq(v.type, p->type, "row %zu: %s", i, hg_status_name(v.type));
                    cr_expect_eq(v.severity, p->severity, "row %zu", i);
                    cr_expect_eq(v.recovery, p->recovery, "row %zu", i);
                    cr_expect_eq(v.view, p->view, "row %zu", i);
                    cr_expect_eq(v.fate, HGI_FATE_CLOSE, "row %zu", i);
                    cr_expect_eq(v.outcome, sent ? p->when_sent : HG_OUTCOME_NOT_SENT, "row %zu",
                                 i);
                    cr_expect_str_empty(v.code);
                }
}

static struct hgi_verdict judge_dial(int number, const char *text)
{
    return judge((struct hgi_fault) { .kind = HGI_FAULT_DIAL,
                                      .sys_errno = number,
                                      .text = text,
                                      .text_length = text ? strlen(text) : 0,
                                      .class_kind = HGI_CLASS_SCRIPT });
}

Test(classify, a_failed_dial_counts_and_has_sent_nothing)
{
    static const struct {
        int number;
        const char *text;
        hg_status type;
        hg_recovery recovery;
        const char *code;
    } dials[] = {
        { ECONNREFUSED, NULL, HG_ERR_CONNECTION, HG_RECOVERY_RETRY_WITH_BACKOFF, "" },
        { EHOSTUNREACH, NULL, HG_ERR_CONNECTION, HG_RECOVERY_RETRY_WITH_BACKOFF, "" },
        { EAGAIN, NULL, HG_ERR_CONNECTION, HG_RECOVERY_RETRY_WITH_BACKOFF, "" },
        { ETIMEDOUT, NULL, HG_ERR_TIMEOUT, HG_RECOVERY_RETRY_WITH_BACKOFF, "" },
        { 0, "Name or service not known", HG_ERR_CONNECTION, HG_RECOVERY_RETRY_WITH_BACKOFF, "" },
        { 0, "SSL_connect failed", HG_ERR_CONNECTION, HG_RECOVERY_RETRY_WITH_BACKOFF, "" },
        { 0, "TLS name mismatch", HG_ERR_CONNECTION, HG_RECOVERY_RETRY_WITH_BACKOFF, "" },
        { 0, "WRONGPASS invalid", HG_ERR_AUTH, HG_RECOVERY_FAIL, "WRONGPASS" },
        { 0, "NOAUTH Authentication required.", HG_ERR_AUTH, HG_RECOVERY_FAIL, "NOAUTH" },
        { 0, "DENIED Redis is running", HG_ERR_AUTH, HG_RECOVERY_FAIL, "DENIED" },
        { 0, "LOADING x", HG_ERR_UNAVAILABLE, HG_RECOVERY_WAIT_AND_RETRY, "LOADING" },
        { 0, "ERR max number of clients reached", HG_ERR_UNAVAILABLE,
          HG_RECOVERY_RETRY_WITH_BACKOFF, "ERR" },
        { 0, "ERR DB index is out of range", HG_ERR_SERVER, HG_RECOVERY_FAIL, "ERR" },
    };
    for (size_t i = 0; i < COUNT_OF(dials); i++) {
        struct hgi_verdict v = judge_dial(dials[i].number, dials[i].text);
        cr_expect_eq(v.type, dials[i].type, "dial %zu: %s", i, hg_status_name(v.type));
        cr_expect_eq(v.recovery, dials[i].recovery, "dial %zu", i);
        cr_expect_eq(v.view, HGI_VIEW_FAILURE, "dial %zu", i);
        cr_expect_eq(v.outcome, HG_OUTCOME_NOT_SENT, "dial %zu", i);
        cr_expect_eq(v.fate, HGI_FATE_CLOSE, "dial %zu", i);
        cr_expect_str_eq(v.code, dials[i].code);
    }
    cr_expect_eq(judge_dial(0, "READONLY You can't").fate, HGI_FATE_DROP_EPOCH);
}

Test(classify, every_fault_while_a_connection_is_made_is_a_failed_dial)
{
    for (int kind = HGI_FAULT_DIAL; kind <= HGI_FAULT_MEMORY; kind++)
        for (int sent = 0; sent < 2; sent++) {
            struct hgi_fault fault = reply_of("WRONGPASS no", HGI_CLASS_WRITE_ONCE);
            fault.kind = (enum hgi_fault_kind)kind;
            fault.in_setup = true;
            fault.sent_whole = sent;
            struct hgi_verdict v = judge(fault);
            bool ours = kind == HGI_FAULT_MEMORY;
            cr_expect_eq(v.outcome, HG_OUTCOME_NOT_SENT);
            cr_expect_eq(v.fate, HGI_FATE_CLOSE);
            cr_expect_eq(v.view, ours ? HGI_VIEW_NOTHING : HGI_VIEW_FAILURE, "kind %d", kind);
        }
}

Test(classify, what_does_not_speak_resp_at_the_first_words_opens_the_breaker)
{
    struct hgi_fault fault = { .kind = HGI_FAULT_PROTOCOL, .in_setup = true };
    cr_expect_eq(judge(fault).recovery, HG_RECOVERY_CIRCUIT_BREAKER);
    fault.in_setup = false;
    fault.sent_whole = true;
    cr_expect_eq(judge(fault).recovery, HG_RECOVERY_FAIL);
}
