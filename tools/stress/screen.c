/* The screen of a run; see screen.h. */
#include "tools/stress/screen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"

/* Does the terminal show UTF-8, as far as the environment says? */
static bool speaks_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8") ||
                   strstr(value, "utf-8");
    }
    return false;
}

void hgi_screen_begin(struct hgi_screen *screen, bool quiet, bool plain)
{
    *screen = (struct hgi_screen) { .colour = !plain && hgi_terminal_colour(stderr),
                                    .ascii = !speaks_utf8(),
                                    .spark_ns = monotonic_ns() };
    hgi_progress_begin(&screen->progress, quiet);
}

void hgi_screen_again(struct hgi_screen *screen, int64_t now_ns)
{
    screen->sparks = 0;
    screen->requests = 0;
    screen->spark_ns = now_ns;
}

bool hgi_screen_due(struct hgi_screen *screen, int64_t now_ns)
{
    return hgi_progress_due(&screen->progress, now_ns);
}

void hgi_screen_end(struct hgi_screen *screen)
{
    hgi_progress_end(&screen->progress);
}

void hgi_screen_note(struct hgi_screen *screen, int64_t now_ns, uint64_t requests)
{
    int64_t passed = (now_ns - screen->spark_ns) / HGI_SPARK_NS;
    if (passed < 1)
        return;
    uint64_t more = requests > screen->requests ? requests - screen->requests : 0;
    double rate = (double)more * 1e9 / (double)(now_ns - screen->spark_ns);
    screen->requests = requests;
    screen->spark_ns = now_ns;
    for (int64_t i = 0; i < passed && i < HGI_SPARKS; i++) {
        if (screen->sparks == HGI_SPARKS)
            memmove(screen->spark, screen->spark + 1, (HGI_SPARKS - 1) * sizeof screen->spark[0]);
        else
            screen->sparks++;
        screen->spark[screen->sparks - 1] = rate;
    }
}

void hgi_screen_sparks(const struct hgi_screen *screen, char out[HGI_SPARKS_TEXT])
{
    static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    static const char *const signs[] = { " ", ".", ".", ":", "-", "=", "+", "*", "#" };
    double most = 0;
    size_t used = 0;
    for (uint32_t i = 0; i < screen->sparks; i++)
        most = screen->spark[i] > most ? screen->spark[i] : most;
    out[0] = '\0';
    for (uint32_t i = 0; i < screen->sparks; i++) {
        int level = most > 0 ? (int)(screen->spark[i] / most * 8 + 0.5) : 0;
        if (level == 0 && screen->spark[i] > 0)
            level = 1; /* little is not nothing */
        used += (size_t)snprintf(out + used, HGI_SPARKS_TEXT - used, "%s",
                                 screen->ascii ? signs[level] : blocks[level]);
    }
}

/* --- the lines --- */

enum { LINES = 6, LINE_SIZE = 400 };

struct lines {
    char text[LINES][LINE_SIZE];
    const char *line[LINES];
    size_t count;
};

static void add(struct lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct lines *lines, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(lines->text[lines->count], LINE_SIZE, format, arguments);
    va_end(arguments);
    lines->line[lines->count] = lines->text[lines->count];
    lines->count++;
}

static void add_summary(struct lines *lines, const struct hgi_screen_view *view)
{
    char answered[HGI_CELL_SIZE], failed[HGI_CELL_SIZE];
    int64_t at_ns = view->now_ns - view->began_ns; /* below 0 until it begins */
    add(lines, "%s   %.1f of %.1f s   %s answered, %s failed%s%s", view->what,
        (double)(at_ns > 0 ? at_ns : 0) / 1e9, (double)view->length_ns / 1e9,
        hgi_format_count(answered, sizeof answered, view->answered),
        hgi_format_count(failed, sizeof failed, view->failed), view->state ? "   " : "",
        view->state ? view->state : "");
}

static void add_requests(struct lines *lines, const struct hgi_screen *screen,
                         const struct hgi_screen_view *view)
{
    char sparks[HGI_SPARKS_TEXT], rate[HGI_CELL_SIZE], limit[HGI_CELL_SIZE + 20] = "";
    double last = screen->sparks ? screen->spark[screen->sparks - 1] : 0;
    hgi_screen_sparks(screen, sparks);
    if (view->capacity_per_s > 0)
        snprintf(limit, sizeof limit, " of %.0f", view->capacity_per_s);
    add(lines, "  at the server  %s", sparks);
    add(lines, "                 %s requests per second%s",
        hgi_format_count(rate, sizeof rate, (uint64_t)last), limit);
}

static void add_pool(struct lines *lines, const struct hgi_screen *screen,
                     const struct hgi_screen_view *view)
{
    char bar[64 * 3 + 1] = "";
    const struct hg_pool_stats *p = view->pool;
    const char *busy = screen->ascii ? "#" : "■";
    const char *idle = screen->ascii ? "-" : "□";
    size_t used = 0;
    uint32_t places = p->max_size < 64 ? p->max_size : 64;
    for (uint32_t i = 0; i < places; i++) {
        const char *sign = i < p->leased ? busy : i < p->leased + p->idle ? idle : ".";
        used += (size_t)snprintf(bar + used, sizeof bar - used, "%s", sign);
    }
    add(lines,
        "  pool           %s  %" PRIu32 " busy, %" PRIu32 " idle, %" PRIu32
        " being made, of %" PRIu32 "; %" PRIu32 " callers wait",
        bar, p->leased, p->idle, p->dialing, p->max_size, p->waiting);
    add(lines, "  budget         %" PRIu64 " retries, %" PRIu64 " refused", p->retries,
        p->budget_refused);
}

static void add_breaker(struct lines *lines, const struct hgi_screen *screen,
                        const struct hgi_screen_view *view)
{
    const struct hg_breaker_snapshot *b = view->breaker;
    enum hgi_style style = b->state == HG_BREAKER_CLOSED ? HGI_STYLE_GOOD : HGI_STYLE_BAD;
    char wait[40] = "";
    if (b->retry_after_ns > 0)
        snprintf(wait, sizeof wait, " for %.0f ms more", (double)b->retry_after_ns / 1e6);
    add(lines, "  breaker        %s%s%s%s; opened %" PRIu64 " times, %" PRIu64 " calls refused",
        hgi_style_begin(screen->colour, style), hg_breaker_state_name(b->state),
        hgi_style_end(screen->colour, style), wait, b->opened, b->refused);
}

void hgi_screen_show(struct hgi_screen *screen, const struct hgi_screen_view *view)
{
    struct lines lines = { .count = 0 };
    hgi_screen_note(screen, view->now_ns, view->requests);
    add_summary(&lines, view);
    if (screen->progress.terminal) {
        add_requests(&lines, screen, view);
        if (view->pool)
            add_pool(&lines, screen, view);
        if (view->breaker)
            add_breaker(&lines, screen, view);
    }
    hgi_progress_lines(&screen->progress, lines.line, lines.count);
}
