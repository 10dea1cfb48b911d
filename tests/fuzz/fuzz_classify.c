/* Any text as the answer to any kind of command, after any kind of fault, under settings that are the
 * defaults or ask for retries everywhere: the verdict is a verdict, what it claims is proven, and what
 * may have run and must not run twice is never sent again.
 *
 * The first two bytes choose the fault, the rest is the server's text. */
#include "breaker/clock.h"
#include "policy/classify.h"
#include "policy/loop.h"
#include "tests/fuzz/property.h"

enum { CHOICES = 2, SHOWN = 200 };

static const char more[] = " (more is not shown)";

/* Every failure is to be tried again, and counts. */
static const char eager[] = "{\"errors\":{\"connection\":{\"recovery\":\"retry_with_delay\"},"
                            "\"timeout\":{\"recovery\":\"wait_and_retry\"},"
                            "\"server\":{\"recovery\":\"retry_with_backoff\",\"counts\":true},"
                            "\"auth\":{\"recovery\":\"retry_with_backoff\"},"
                            "\"protocol\":{\"recovery\":\"retry_with_backoff\"},"
                            "\"serialization\":{\"recovery\":\"retry_with_backoff\"},"
                            "\"unavailable\":{\"recovery\":\"retry_with_backoff\"},"
                            "\"server:ERR\":{\"recovery\":\"retry_with_delay\",\"delay\":\"1ms\"},"
                            "\"server:OOM\":{\"recovery\":\"wait_and_retry\",\"counts\":true}}}";

static const struct hg_policy *policy_of(bool is_eager)
{
    static hg_policy *policies[2];
    const char *text = is_eager ? eager : "{}";
    if (!policies[is_eager])
        PROPERTY(hg_policy_parse(&policies[is_eager], text, strlen(text), "fuzz", NULL) == HG_OK);
    return policies[is_eager];
}

/* Empty, or the whole first word of the text, and a word that a server would use as a code. */
static void check_code(const char *code, const char *text, size_t length)
{
    size_t used = strlen(code);
    PROPERTY(used < HGI_NAME_SIZE);
    if (used == 0)
        return;
    PROPERTY(code[0] >= 'A' && code[0] <= 'Z');
    PROPERTY(strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == used);
    PROPERTY(used <= length && memcmp(code, text, used) == 0);
    PROPERTY(used == length || text[used] == ' ' || text[used] == '\r' || text[used] == '\n');
}

/* What is shown of a text is its code alone, or one of the texts that echo no argument. */
static void check_shown(const char *text, size_t length)
{
    char code[HGI_NAME_SIZE];
    char shown[SHOWN];
    bool has_code = hgi_server_error_code(text, length, code);
    check_code(code, text, length);
    PROPERTY(has_code == (code[0] != '\0'));
    memset(shown, '#', sizeof shown);
    hgi_server_error_text(text, length, shown, sizeof shown);
    PROPERTY(memchr(shown, '\0', sizeof shown) && shown[0]);
    for (size_t i = 0; shown[i]; i++)
        PROPERTY(shown[i] >= ' ' && shown[i] <= '~');
    size_t used = strlen(code);
    bool code_alone = has_code && memcmp(shown, code, used) == 0 &&
                      (shown[used] == '\0' || strcmp(shown + used, more) == 0);
    if (!code_alone && has_code)
        PROPERTY(strlen(shown) > used);
    for (size_t room = 1; room < 8; room++) {
        memset(shown, '#', sizeof shown);
        hgi_server_error_text(text, length, shown, room);
        PROPERTY(memchr(shown, '\0', room) && shown[room] == '#');
    }
}

static void check_outcome(const struct hgi_fault *fault, const struct hgi_verdict *verdict)
{
    bool dial = fault->kind == HGI_FAULT_DIAL || fault->in_setup;
    if (dial || !fault->sent_whole)
        PROPERTY(verdict->outcome == HG_OUTCOME_NOT_SENT);
    if (verdict->outcome == HG_OUTCOME_REJECTED) {
        PROPERTY(fault->kind == HGI_FAULT_REPLY && !fault->opaque && verdict->code[0]);
        PROPERTY(fault->class_kind != HGI_CLASS_SCRIPT &&
                 fault->class_kind != HGI_CLASS_TRANSACTION);
    }
    if (dial)
        PROPERTY(verdict->fate != HGI_FATE_KEEP);
    if (fault->kind == HGI_FAULT_DEADLINE && !fault->full_attempt && !dial)
        PROPERTY(verdict->view != HGI_VIEW_FAILURE);
}

/* Whatever the file says. */
static void check_decision(const struct hgi_settings *settings, const struct hgi_fault *fault,
                           const struct hgi_verdict *verdict)
{
    struct hgi_plan plan = { .op_class = &settings->classes[fault->class_kind],
                             .deadline_ns = HGI_NEVER,
                             .max_attempts = 9,
                             .fenced = true };
    struct hgi_progress progress = { .attempts = 1 };
    struct hgi_step step = hgi_loop_decide(&plan, &progress, verdict, 0, HGI_NS_PER_S, 0.5);
    bool again = step.kind == HGI_STEP_RETRY || step.kind == HGI_STEP_WAIT;
    bool proven =
        verdict->outcome == HG_OUTCOME_NOT_SENT || verdict->outcome == HG_OUTCOME_REJECTED;
    if (again && !proven)
        PROPERTY(fault->class_kind == HGI_CLASS_READ || fault->class_kind == HGI_CLASS_WRITE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICES)
        return 0;
    size_t length = size - CHOICES;
    char *text = exact_copy(data + CHOICES, length, 0);
    const struct hgi_settings *settings = &policy_of(data[1] & 0x40)->settings;
    struct hgi_fault fault = { .kind = (enum hgi_fault_kind)(data[0] % (HGI_FAULT_MEMORY + 1)),
                               .class_kind = (enum hgi_class_kind)(data[0] / 16 % HGI_CLASS_KINDS),
                               .sys_errno = data[1] & 1 ? 110 : 104,
                               .sent_whole = data[1] & 2,
                               .full_attempt = data[1] & 4,
                               .in_setup = data[1] & 8,
                               .opaque = data[1] & 16 };
    if (fault.kind == HGI_FAULT_REPLY || (fault.kind == HGI_FAULT_DIAL && data[1] & 32)) {
        fault.text = text;
        fault.text_length = length;
        fault.sent_whole = fault.kind == HGI_FAULT_REPLY;
    }
    struct hgi_verdict verdict;
    struct hgi_verdict again;
    hgi_classify(settings, &fault, &verdict);
    hgi_classify(settings, &fault, &again);
    PROPERTY(memcmp(&verdict, &again, sizeof verdict) == 0);
    PROPERTY(verdict.type < HG_OK && strcmp(hg_status_name(verdict.type), "?") != 0);
    PROPERTY(strcmp(hg_severity_name(verdict.severity), "?") != 0);
    PROPERTY(strcmp(hg_recovery_name(verdict.recovery), "?") != 0);
    PROPERTY(verdict.delay_ns >= 0);
    check_code(verdict.code, text, length);
    check_outcome(&fault, &verdict);
    check_decision(settings, &fault, &verdict);
    check_shown(text, length);
    free(text);
    return 0;
}
