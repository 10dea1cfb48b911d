/* From a fault to what is done about it, through classification and loop: every code of the servers, in
 * every class, after every outcome, held against the sentences of the design. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "policy/loop.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What is asked again, at its recovery's pace; all other codes fail at once. */
static const char repeated[] =
    " LOADING BUSY MASTERDOWN CLUSTERDOWN TRYAGAIN NOREPLICAS OOM MISCONF "
    "READONLY ";
static const char *const codes[] = {
    "LOADING",   "BUSY",      "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",   "NOREPLICAS",
    "OOM",       "MISCONF",   "READONLY",   "MOVED",       "ASK",        "CROSSSLOT",
    "NOAUTH",    "WRONGPASS", "DENIED",     "NOPERM",      "NOPROTO",    "ERR",
    "WRONGTYPE", "BUSYKEY",   "BUSYGROUP",  "NOGROUP",     "UNBLOCKED",  "NOSCRIPT",
    "EXECABORT", "NOTBUSY",   "UNKILLABLE", "INPROG",      "INVALIDOBJ", "IOERR",
};
static const char *const classes[] = { "read",   "write",       "write_once", "blocking",
                                       "script", "transaction", "connection", "admin" };
static const enum hgi_fault_kind transport[] = { HGI_FAULT_DIAL, HGI_FAULT_IO, HGI_FAULT_DEADLINE };

static struct hgi_settings settings;

static void set_up(void)
{
    hgi_settings_defaults(&settings);
}

TestSuite(decisions, .init = set_up);

static bool is_in(const char *list, const char *code)
{
    char word[64];
    snprintf(word, sizeof word, " %s ", code);
    return strstr(list, word) != NULL;
}

static struct hgi_step decide(const struct hgi_class *op_class, const struct hgi_verdict *verdict,
                              bool fenced)
{
    struct hgi_plan plan = { .op_class = op_class,
                             .deadline_ns = HGI_NEVER,
                             .max_attempts = 5, /* so that nothing but the rules can stop it */
                             .fenced = fenced };
    struct hgi_progress progress = { .attempts = 1 };
    return hgi_loop_decide(&plan, &progress, verdict, 0, HGI_NS_PER_S, 0.5);
}

static bool goes_on(const struct hgi_step *step)
{
    return step->kind == HGI_STEP_RETRY || step->kind == HGI_STEP_WAIT;
}

/* After an outcome that is not known: a read always, a write behind the fence, nothing else. */
static bool may_repeat(const struct hgi_class *op_class, hg_outcome outcome, bool fenced)
{
    if (outcome == HG_OUTCOME_NOT_SENT || outcome == HG_OUTCOME_REJECTED)
        return true;
    return op_class->kind == HGI_CLASS_READ || (op_class->kind == HGI_CLASS_WRITE && fenced);
}

Test(decisions, every_code_in_every_class_after_every_outcome)
{
    unsigned decided = 0;
    /* The list above is this test's own; one that is forgotten here is one that is not tried. */
    for (size_t known = 0; hgi_server_code_name(known); known++) {
        bool listed = false;
        for (size_t i = 0; i < COUNT_OF(codes); i++)
            listed = listed || strcmp(codes[i], hgi_server_code_name(known)) == 0;
        cr_assert(listed, "%s is not tried", hgi_server_code_name(known));
    }
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        for (size_t c = 0; c < COUNT_OF(classes); c++) {
            const struct hgi_class *op_class = hgi_settings_class(&settings, classes[c]);
            char text[64];
            snprintf(text, sizeof text, "%s words of the server", codes[i]);
            struct hgi_fault fault = { .kind = HGI_FAULT_REPLY,
                                       .text = text,
                                       .text_length = strlen(text),
                                       .sent_whole = true,
                                       .class_kind = op_class->kind };
            struct hgi_verdict verdict;
            hgi_classify(&settings, &fault, &verdict);
            for (int outcome = HG_OUTCOME_UNKNOWN; outcome <= HG_OUTCOME_EXECUTED; outcome++) {
                for (int fenced = 0; fenced < 2; fenced++) {
                    verdict.outcome = (hg_outcome)outcome;
                    struct hgi_step step = decide(op_class, &verdict, fenced);
                    bool expected =
                        is_in(repeated, codes[i]) && may_repeat(op_class, verdict.outcome, fenced);
                    cr_expect_eq(goes_on(&step), expected, "%s %s %s fenced %d", codes[i],
                                 classes[c], hg_outcome_name(verdict.outcome), fenced);
                    decided++;
                }
            }
        }
    }
    cr_assert_eq(decided, COUNT_OF(codes) * COUNT_OF(classes) * 4 * 2);
}

Test(decisions, every_fault_of_the_transport_in_every_class)
{
    for (size_t i = 0; i < COUNT_OF(transport); i++) {
        for (size_t c = 0; c < COUNT_OF(classes); c++) {
            for (int flags = 0; flags < 4; flags++) {
                const struct hgi_class *op_class = hgi_settings_class(&settings, classes[c]);
                bool sent = (flags & 1) && transport[i] != HGI_FAULT_DIAL;
                bool fenced = flags & 2;
                struct hgi_fault fault = { .kind = transport[i],
                                           .sys_errno = 104,
                                           .sent_whole = sent,
                                           .full_attempt = true,
                                           .in_setup = transport[i] == HGI_FAULT_DIAL,
                                           .class_kind = op_class->kind };
                struct hgi_verdict verdict;
                hgi_classify(&settings, &fault, &verdict);
                struct hgi_step step = decide(op_class, &verdict, fenced);
                cr_expect_eq(verdict.outcome, sent ? HG_OUTCOME_UNKNOWN : HG_OUTCOME_NOT_SENT);
                cr_expect_eq(goes_on(&step), may_repeat(op_class, verdict.outcome, fenced),
                             "fault %zu %s sent %d fenced %d", i, classes[c], sent, fenced);
            }
        }
    }
}

/* Whatever the policy's file says of the failure. */
Test(decisions, write_once_that_may_have_run_is_never_repeated)
{
    const struct hgi_class *op_class = hgi_settings_class(&settings, "write_once");
    for (int recovery = HG_RECOVERY_FAIL; recovery <= HG_RECOVERY_WAIT_AND_RETRY; recovery++) {
        for (int type = HG_ERR_NO_MEMORY; type < HG_OK; type++) {
            struct hgi_verdict verdict = { .type = (hg_status)type,
                                           .recovery = (hg_recovery)recovery,
                                           .outcome = HG_OUTCOME_UNKNOWN };
            struct hgi_step step = decide(op_class, &verdict, true);
            cr_expect_not(goes_on(&step), "%s %s", hg_status_name(verdict.type),
                          hg_recovery_name(verdict.recovery));
        }
    }
}
