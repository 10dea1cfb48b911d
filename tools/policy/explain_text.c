/* An explanation for people: aligned, with units. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/policy/explain.h"

enum { LABEL = 18 };

struct page {
    FILE *out;
    bool colour;
};

static void heading(const struct page *page, const char *text)
{
    fprintf(page->out, "\n%s%s%s\n", hgi_style_begin(page->colour, HGI_STYLE_BOLD), text,
            hgi_style_end(page->colour, HGI_STYLE_BOLD));
}

static void line(const struct page *page, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void line(const struct page *page, const char *label, const char *format, ...)
{
    va_list arguments;
    fprintf(page->out, "  %-*s ", LABEL, label);
    va_start(arguments, format);
    vfprintf(page->out, format, arguments);
    va_end(arguments);
    fputc('\n', page->out);
}

/* "250 ms", or what there is in its place. */
static const char *time_or(char out[32], int64_t ns, const char *otherwise)
{
    if (ns < 0)
        return otherwise;
    if (ns == 0)
        return "0 ms";
    return hgi_format_latency(out, 32, ns);
}

static void print_command(const struct page *page, const struct hgi_explanation *e)
{
    const struct hgi_class *c = e->op_class;
    const char *base = e->settings->classes[c->kind].name;
    fprintf(page->out, "%s%s%s%s\n", hgi_style_begin(page->colour, HGI_STYLE_BOLD),
            e->command[0] ? "" : "The class ", e->command[0] ? e->command : c->name,
            hgi_style_end(page->colour, HGI_STYLE_BOLD));
    if (strcmp(c->name, base) == 0)
        line(page, "class", "%s: %s", c->name, hgi_kind_meaning(c->kind));
    else
        line(page, "class", "%s, based on %s: %s", c->name, base, hgi_kind_meaning(c->kind));
    if (!e->command[0])
        return;
    if (e->by_file)
        line(page, "because", "\"commands\" of %s says so; by itself it is %s", e->source->name,
             e->settings->classes[e->facts.kind].name);
    else if (e->facts.name)
        line(page, "because", "the table of commands says so of %s with these arguments",
             e->facts.name);
    else
        line(page, "because",
             "the command is not known, and may do anything; \"commands\" can "
             "say more");
    if (e->key)
        line(page, "key", "%.100s", e->key);
    if (e->facts.effect != HGI_EFFECT_NONE)
        line(page, "note",
             "it changes the connection: hg_command() refuses it, hg_call() and "
             "hg_acquire() take it");
    if (e->facts.opaque && e->facts.name)
        line(page, "note", "an error of the server does not prove that it did not run");
}

static void print_settings(const struct page *page, const struct hgi_explanation *e)
{
    const struct hgi_class *c = e->op_class;
    const struct hg_retry *retry = &c->retry;
    char text[32];
    char more[32];
    heading(page, "Settings");
    line(page, "attempts", "%u, the first included", (unsigned)retry->max_attempts);
    if (c->kind == HGI_CLASS_BLOCKING && c->attempt_timeout_ns >= 0)
        line(page, "attempt_timeout", "%s behind the command's own timeout (%s)",
             time_or(text, c->attempt_timeout_ns, ""),
             e->facts.block_ns == 0 ? "none"
                                    : time_or(more, e->facts.block_ns,
                                              "for ever: it needs a "
                                              "deadline"));
    else
        line(page, "attempt_timeout", "%s", time_or(text, c->attempt_timeout_ns, "none"));
    line(page, "deadline", "%s for all of it: queue, attempts, delays",
         time_or(text, c->deadline_ns, "none"));
    if (retry->max_attempts > 1) {
        line(page, "delays", "%s, each %.4g times the one before, up to %s",
             time_or(text, hg_retry_delay(retry, 0), ""), retry->multiplier,
             time_or(more, retry->max_delay_ns, ""));
        if (retry->jitter == HG_JITTER_ADDITIVE)
            line(page, "jitter", "additive: up to %.4g %% on top", 100 * retry->jitter_ratio);
        else
            line(page, "jitter", "%s", hgi_jitter_name(retry->jitter));
    }
    if (e->settings->budget.enabled)
        line(page, "retry budget", "%.4g of the calls and %.4g a second, in all classes together",
             e->settings->budget.ratio, e->settings->budget.min_per_second);
    else
        line(page, "retry budget", "off");
}

static const char *again_text(enum hgi_again again)
{
    static const char *const texts[] = {
        [HGI_AGAIN_YES] = "may be sent again",
        [HGI_AGAIN_FENCED] = "only if the older attempt is fenced off",
        [HGI_AGAIN_NO] = "never sent again",
    };
    return texts[again];
}

static void print_outcomes(const struct page *page, const struct hgi_explanation *e)
{
    static const struct {
        hg_outcome outcome;
        const char *means;
    } rows[] = {
        { HG_OUTCOME_NOT_SENT, "its last byte never left" },
        { HG_OUTCOME_REJECTED, "refused before it ran" },
        { HG_OUTCOME_UNKNOWN, "it left, and may have run" },
        { HG_OUTCOME_EXECUTED, "it ran" },
    };
    if (e->op_class->retry.max_attempts == 1)
        return;
    heading(page, "After a failure");
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    table->left[1] = table->left[2] = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hgi_table_set(table, i, 0, "%s", hg_outcome_name(rows[i].outcome));
        hgi_table_set(table, i, 1, "%s", rows[i].means);
        hgi_table_set(table, i, 2, "%s", again_text(e->again[rows[i].outcome]));
    }
    hgi_table_print(table, page->out, page->colour);
    free(table);
}

/* What the loop does about it. */
static void then_text(char out[HGI_CELL_SIZE], const struct hgi_explanation *e,
                      const struct hgi_failure *failure)
{
    char delay[32];
    hg_recovery recovery = failure->verdict.recovery;
    bool retries = recovery == HG_RECOVERY_RETRY_WITH_BACKOFF ||
                   recovery == HG_RECOVERY_RETRY_WITH_DELAY ||
                   recovery == HG_RECOVERY_WAIT_AND_RETRY;
    const char *fence = failure->again == HGI_AGAIN_FENCED ? ", if fenced off" : "";
    if (recovery == HG_RECOVERY_IGNORE)
        snprintf(out, HGI_CELL_SIZE, "ignored (HG_IGNORED)");
    else if (recovery == HG_RECOVERY_CIRCUIT_BREAKER)
        snprintf(out, HGI_CELL_SIZE, "returned, the breaker opens");
    else if (!retries)
        snprintf(out, HGI_CELL_SIZE, "returned");
    else if (failure->again == HGI_AGAIN_NO)
        snprintf(out, HGI_CELL_SIZE, "returned: it may have run");
    else if (e->op_class->retry.max_attempts == 1)
        snprintf(out, HGI_CELL_SIZE, "returned: one attempt is allowed");
    else if (recovery == HG_RECOVERY_RETRY_WITH_DELAY)
        snprintf(out, HGI_CELL_SIZE, "again after %.20s%s",
                 time_or(delay, failure->verdict.delay_ns, ""), fence);
    else if (recovery == HG_RECOVERY_WAIT_AND_RETRY)
        snprintf(out, HGI_CELL_SIZE, "again when the server is well%s", fence);
    else
        snprintf(out, HGI_CELL_SIZE, "again after a delay%s", fence);
}

/* A table of what can fail, a row each below its heads; every column is one of words. NULL: no memory. */
static struct hgi_table *begin_failures(const struct hgi_explanation *e, const char *const *heads,
                                        size_t columns)
{
    struct hgi_table *table = calloc(1, sizeof *table);
    for (size_t column = 0; table && column < columns; column++) {
        table->left[column] = true;
        hgi_table_set(table, 0, column, "%s", heads[column]);
        hgi_table_style(table, 0, column, HGI_STYLE_DIM);
    }
    for (size_t i = 0; table && i < e->failures; i++)
        hgi_table_set(table, i + 1, 0, "%s", e->failure[i].when);
    return table;
}

static void print_failures(const struct page *page, const struct hgi_explanation *e)
{
    static const char *const heads[] = { "when", "then" };
    heading(page, "What is done about it");
    struct hgi_table *table = begin_failures(e, heads, 2);
    if (!table)
        return;
    for (size_t i = 0; i < e->failures; i++) {
        char then[HGI_CELL_SIZE];
        then_text(then, e, &e->failure[i]);
        hgi_table_set(table, i + 1, 1, "%s", then);
    }
    hgi_table_print(table, page->out, page->colour);
    free(table);
}

static void print_verdicts(const struct page *page, const struct hgi_explanation *e)
{
    static const char *const heads[] = { "when", "type", "outcome", "breaker" };
    static const char *const views[] = { "success", "failure", "nothing" };
    heading(page, "What it counts as");
    struct hgi_table *table = begin_failures(e, heads, 4);
    if (!table)
        return;
    for (size_t i = 0; i < e->failures; i++) {
        const struct hgi_failure *f = &e->failure[i];
        hgi_table_set(table, i + 1, 1, "%s", hg_status_name(f->verdict.type));
        hgi_table_set(table, i + 1, 2, "%s", hg_outcome_name(f->verdict.outcome));
        hgi_table_set(table, i + 1, 3, "%s", views[f->verdict.view]);
    }
    hgi_table_print(table, page->out, page->colour);
    free(table);
}

static void print_delays(const struct page *page, const struct hgi_explanation *e)
{
    static const char *const heads[] = { "retry", "before jitter", "minimum", "mean", "maximum" };
    const uint32_t retries = e->op_class->retry.max_attempts - 1;
    if (retries == 0)
        return;
    heading(page, "Delays");
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    for (size_t column = 0; column < 5; column++) {
        hgi_table_set(table, 0, column, "%s", heads[column]);
        hgi_table_style(table, 0, column, HGI_STYLE_DIM);
    }
    for (uint32_t n = 0; n < e->delays; n++) {
        const int64_t each[] = { e->delay[n].plain_ns, e->delay[n].least_ns, e->delay[n].mean_ns,
                                 e->delay[n].most_ns };
        char text[32];
        hgi_table_set(table, n + 1, 0, "%" PRIu32, n + 1);
        for (size_t column = 0; column < 4; column++)
            hgi_table_set(table, n + 1, column + 1, "%s", time_or(text, each[column], ""));
    }
    hgi_table_print(table, page->out, page->colour);
    free(table);
    if (retries > e->delays)
        fprintf(page->out, "  ... and so on, to retry %" PRIu32 "\n", retries);
}

static void print_time(const struct page *page, const struct hgi_explanation *e)
{
    const struct hgi_outlook *o = &e->outlook;
    char text[32];
    char more[32];
    heading(page, "The longest time");
    if (o->attempt_ns >= 0)
        line(page, "in attempts", "%s: %u of %s", time_or(text, o->attempts_ns, ""),
             (unsigned)o->attempts, time_or(more, o->attempt_ns, ""));
    else
        line(page, "in attempts", "no limit of its own");
    if (o->attempts > 1)
        line(page, "in delays", "%s on average, at most %s", time_or(text, o->delays_mean_ns, ""),
             time_or(more, o->delays_most_ns, ""));
    if (e->settings->pool.acquire_timeout_ns < 0)
        line(page, "in the queue", "%s",
             o->deadline_ns < 0 ? "no limit" : "at most the rest of the deadline");
    else
        line(page, "in the queue", "%s before each",
             time_or(text, e->settings->pool.acquire_timeout_ns, ""));
    line(page, "in all", "%s",
         time_or(text, o->worst_ns, "no limit: it has no deadline, and may wait for ever"));
    if (o->attempts > 1 && o->deadline_ns >= 0 && o->attempt_ns >= 0)
        line(page, "attempts that fit", "%u of %u, if each takes its whole time%s",
             (unsigned)o->begun, (unsigned)o->attempts,
             o->begun < o->attempts ? "; all of them, if they fail sooner" : "");
}

static void print_load(const struct page *page, const struct hgi_explanation *e)
{
    heading(page, "The load on a dead server");
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    hgi_table_set(table, 0, 0, "callers at once");
    hgi_table_set(table, 0, 1, "attempts at most");
    hgi_table_set(table, 0, 2, "amplification");
    for (size_t column = 0; column < 3; column++)
        hgi_table_style(table, 0, column, HGI_STYLE_DIM);
    for (size_t i = 0; i < e->caller_count; i++) {
        char text[32];
        double attempts = hgi_outlook_attempts(e->settings, &e->outlook, e->callers[i]);
        double times = attempts / e->callers[i];
        hgi_table_set(table, i + 1, 0, "%s", hgi_format_count(text, sizeof text, e->callers[i]));
        hgi_table_set(table, i + 1, 1, "%s",
                      hgi_format_count(text, sizeof text, (uint64_t)attempts));
        hgi_table_set(table, i + 1, 2, "%.2f x", times);
        if (times > HGI_AMPLIFICATION_MOST && e->callers[i] >= HGI_AMPLIFICATION_CALLERS)
            hgi_table_style(table, i + 1, 2, HGI_STYLE_BAD);
    }
    hgi_table_print(table, page->out, page->colour);
    free(table);
    if (e->settings->budget.enabled)
        fputs("  Callers of one pool, a call each, the retry budget full at the start. Without the "
              "breaker,\n  which ends it sooner",
              page->out);
    else
        fputs("  Callers of one pool, a call each; there is no retry budget. Without the breaker, "
              "which\n  ends it sooner",
              page->out);
    if (e->settings->breaker_enabled && e->settings->breaker.failure_threshold > 0)
        fprintf(page->out, ", after %u failures in a row",
                (unsigned)e->settings->breaker.failure_threshold);
    fputs(e->settings->breaker_enabled ? ".\n" : "; it is off here.\n", page->out);
}

void hgi_explain_text(const struct hgi_explanation *e, FILE *out)
{
    const struct page page = { .out = out, .colour = hgi_terminal_colour(out) };
    print_command(&page, e);
    print_settings(&page, e);
    print_outcomes(&page, e);
    print_failures(&page, e);
    print_verdicts(&page, e);
    print_delays(&page, e);
    print_time(&page, e);
    print_load(&page, e);
}

void hgi_explain_classes_text(const struct hgi_source *source, FILE *out)
{
    static const char *const heads[] = {
        "class",    "attempts", "delays, mean",       "attempt_timeout",
        "deadline", "longest",  "load, 1,000 at once"
    };
    const struct hgi_settings *settings = &source->policy->settings;
    const bool colour = hgi_terminal_colour(out);
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    for (size_t column = 0; column < sizeof heads / sizeof heads[0]; column++) {
        hgi_table_set(table, 0, column, "%s", heads[column]);
        hgi_table_style(table, 0, column, HGI_STYLE_DIM);
    }
    for (uint32_t i = 0; i < settings->class_count; i++) {
        const struct hgi_class *c = &settings->classes[i];
        struct hgi_outlook o;
        char text[32];
        size_t row = i + 1;
        if (!hgi_outlook(&o, settings, c, 0))
            break;
        hgi_table_set(table, row, 0, "%s", c->name);
        hgi_table_set(table, row, 1, "%u", (unsigned)o.attempts);
        hgi_table_set(table, row, 2, "%s",
                      time_or(text, o.attempts > 1 ? o.delays_mean_ns : -1, "-"));
        hgi_table_set(table, row, 3, "%s%s", c->kind == HGI_CLASS_BLOCKING ? "its own + " : "",
                      time_or(text, c->attempt_timeout_ns, "none"));
        hgi_table_set(table, row, 4, "%s", time_or(text, c->deadline_ns, "none"));
        hgi_table_set(table, row, 5, "%s%s",
                      c->kind == HGI_CLASS_BLOCKING && o.worst_ns >= 0 ? "its own + " : "",
                      time_or(text, o.worst_ns, "no limit"));
        hgi_table_set(table, row, 6, "%.2f x",
                      hgi_outlook_attempts(settings, &o, HGI_AMPLIFICATION_CALLERS) /
                          HGI_AMPLIFICATION_CALLERS);
    }
    hgi_table_print(table, out, colour);
    free(table);
    fprintf(out,
            "\n  One of them: herdgate-policy explain --class NAME %s\n"
            "  A command:   herdgate-policy explain %s COMMAND [ARGUMENT...]\n",
            source->name, source->name);
}
