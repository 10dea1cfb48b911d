/* What the tour prints: headings, paragraphs, facts, traces, log lines. Plain ASCII; colour only where
 * the terminal has it. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/example/example.h"

enum { WIDTH = 92, LABEL = 9 };

static void underline(size_t length)
{
    while (length-- > 0)
        putchar('-');
    putchar('\n');
}

void show_section(const struct tour *tour, char letter, const char *title)
{
    printf("\n%s(%c) %s%s\n", hgi_style_begin(tour->colour, HGI_STYLE_BOLD), letter, title,
           hgi_style_end(tour->colour, HGI_STYLE_BOLD));
    underline(strlen(title) + 4);
}

void show_step(const struct tour *tour, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("\n  %s", hgi_style_begin(tour->colour, HGI_STYLE_BOLD));
    vprintf(format, arguments);
    printf("%s\n", hgi_style_end(tour->colour, HGI_STYLE_BOLD));
    va_end(arguments);
}

void show_text(const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column == 0 ? "  " : " ", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

void show_fact(const char *label, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("    %-*s", LABEL, label);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void show_result(hg_status status, const struct hg_error *err)
{
    if (status == HG_OK)
        show_fact("result", "OK at attempt %" PRIu32 " of %" PRIu32, err->attempt,
                  err->max_attempts);
    else if (status == HG_IGNORED)
        show_fact("result", "IGNORED (status %d): no error, and no answer either", (int)status);
    else
        show_fact("result", "%s after %" PRIu32 " of %" PRIu32 " attempts: %s",
                  hg_status_name(status), err->attempt, err->max_attempts, err->message);
}

void show_trace(const struct hg_trace *trace)
{
    char text[6][24];
    int64_t known_ns = trace->queue_ns + trace->server_ns + trace->backoff_ns;
    show_fact("time", "%s = queue %s (dialling: %s) + server %s + backoff %s + own work %s",
              show_time(text[0], sizeof text[0], trace->elapsed_ns),
              show_time(text[1], sizeof text[1], trace->queue_ns),
              show_time(text[2], sizeof text[2], trace->dial_ns),
              show_time(text[3], sizeof text[3], trace->server_ns),
              show_time(text[4], sizeof text[4], trace->backoff_ns),
              show_time(text[5], sizeof text[5], trace->elapsed_ns - known_ns));
    for (uint32_t i = 0; i < trace->retries && i < HG_TRACE_RETRIES; i++) {
        const struct hg_trace_retry *retry = &trace->retry[i];
        show_fact(i == 0 ? "retries" : "", "%" PRIu32 "  after %s%s%s, waited %s", i + 1,
                  hg_status_name(retry->cause), retry->server_code[0] ? " " : "",
                  retry->server_code, show_time(text[0], sizeof text[0], retry->delay_ns));
    }
}

void show_log(void *arg, const struct hg_log_event *event)
{
    (void)arg;
    char delay[24];
    const struct hg_error *error = event->error;
    show_time(delay, sizeof delay, event->delay_ns);
    switch (event->kind) {
    case HG_LOG_RETRY:
        show_fact("log", "%s attempt %" PRIu32 "/%" PRIu32 ": %s%s%s (%s); again in %s",
                  error->operation, error->attempt, error->max_attempts,
                  hg_status_name(error->type), error->server_code[0] ? " " : "", error->server_code,
                  hg_outcome_name(error->outcome), delay);
        break;
    case HG_LOG_IGNORED:
        show_fact("log", "%s attempt %" PRIu32 ": %s, ignored: %s", error->operation,
                  error->attempt, hg_status_name(error->type), event->text);
        break;
    case HG_LOG_WAITING:
        show_fact("log", "%s attempt %" PRIu32 ": %s%s%s; it waits until the server is ready",
                  error->operation, error->attempt, hg_status_name(error->type),
                  error->server_code[0] ? " " : "", error->server_code);
        break;
    case HG_LOG_BREAKER:
        show_fact("log", "%s", event->text);
        break;
    case HG_LOG_DIAL_FAILED:
    case HG_LOG_CONNECTION_LOST:
    case HG_LOG_LEASE_WARNING:
    default:
        break;
    }
}

const char *show_ms(char *out, size_t size, int64_t ns)
{
    snprintf(out, size, "%.7g", (double)ns / 1e6);
    return out;
}

const char *show_time(char *out, size_t size, int64_t ns)
{
    if (ns > 0)
        return hgi_format_latency(out, size, ns);
    snprintf(out, size, "0");
    return out;
}
