/* What people see; see terminal.h. */
#include "tools/common/terminal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/common/timing.h"

#define REDRAW_NS (100 * NS_PER_MS)
#define LINE_NS (3 * NS_PER_S)

/* A terminal that moves its cursor and has colours. */
static bool is_able(FILE *out)
{
    const char *term = getenv("TERM");
    return !(term && strcmp(term, "dumb") == 0) && isatty(fileno(out));
}

bool hgi_terminal_colour(FILE *out)
{
    const char *no = getenv("NO_COLOR");
    return !(no && *no) && is_able(out);
}

const char *hgi_style_begin(bool colour, enum hgi_style style)
{
    static const char *const codes[] = { "", "\033[1m", "\033[2m", "\033[32m", "\033[31m" };
    return colour ? codes[style] : "";
}

const char *hgi_style_end(bool colour, enum hgi_style style)
{
    return colour && style != HGI_STYLE_NONE ? "\033[0m" : "";
}

void hgi_progress_begin(struct hgi_progress *progress, bool quiet)
{
    *progress = (struct hgi_progress) { .quiet = quiet, .terminal = is_able(stderr) };
    if (!progress->terminal)
        progress->next_ns = monotonic_ns() + LINE_NS;
}

bool hgi_progress_due(struct hgi_progress *progress, int64_t now_ns)
{
    if (progress->quiet || now_ns < progress->next_ns)
        return false;
    progress->next_ns = now_ns + (progress->terminal ? REDRAW_NS : LINE_NS);
    return true;
}

/* The bytes of the first `columns` characters. A sequence for colour is none. */
static size_t cut_at(const char *text, size_t columns)
{
    size_t i = 0;
    while (text[i]) {
        if (text[i] == '\033') {
            while (text[i] && text[i] != 'm')
                i++;
            i += text[i] == 'm';
            continue;
        }
        if (((unsigned char)text[i] & 0xc0) != 0x80 && columns-- == 0)
            break;
        i++;
    }
    return i;
}

/* Back to the beginning of the first line. */
static void go_up(const struct hgi_progress *progress)
{
    fputc('\r', stderr);
    if (progress->drawn > 1)
        fprintf(stderr, "\033[%zuA", progress->drawn - 1);
}

void hgi_progress_lines(struct hgi_progress *progress, const char *const *lines, size_t count)
{
    if (progress->quiet || count == 0)
        return;
    if (!progress->terminal) {
        fprintf(stderr, "%s\n", lines[0]);
        return;
    }
    struct winsize size = { 0 };
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20 || size.ws_row < 2)
        size = (struct winsize) { .ws_col = 80, .ws_row = 24 };
    if (count >= size.ws_row) /* lines that scrolled away could not be redrawn */
        count = size.ws_row - 1u;
    go_up(progress);
    for (size_t i = 0; i < count; i++) {
        size_t length = cut_at(lines[i], size.ws_col - 1u); /* nor could one that wraps */
        bool cut = lines[i][length] != '\0';
        fprintf(stderr, "\033[K%.*s%s%s", (int)length, lines[i],
                cut && strchr(lines[i], '\033') ? "\033[0m" : "", i + 1 < count ? "\n" : "");
    }
    fputs("\033[J", stderr);
    fflush(stderr);
    progress->drawn = count;
}

void hgi_progress_line(struct hgi_progress *progress, const char *format, ...)
{
    char line[512];
    const char *lines[1] = { line };
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    hgi_progress_lines(progress, lines, 1);
}

void hgi_progress_end(struct hgi_progress *progress)
{
    if (progress->drawn > 0) {
        go_up(progress);
        fputs("\033[J", stderr);
        fflush(stderr);
    }
    progress->drawn = 0;
}

void hgi_table_set(struct hgi_table *table, size_t row, size_t column, const char *format, ...)
{
    if (row >= HGI_TABLE_ROWS || column >= HGI_TABLE_COLUMNS)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(table->cell[row][column], HGI_CELL_SIZE, format, arguments);
    va_end(arguments);
    if (row >= table->rows)
        table->rows = row + 1;
    if (column >= table->columns)
        table->columns = column + 1;
}

void hgi_table_style(struct hgi_table *table, size_t row, size_t column, enum hgi_style style)
{
    if (row < HGI_TABLE_ROWS && column < HGI_TABLE_COLUMNS)
        table->style[row][column] = style;
}

size_t hgi_text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void hgi_table_print(const struct hgi_table *table, FILE *out, bool colour)
{
    size_t width[HGI_TABLE_COLUMNS] = { 0 };
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t c = 0; c < table->columns; c++) {
            size_t own = hgi_text_width(table->cell[r][c]);
            if (own > width[c])
                width[c] = own;
        }
    }
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t c = 0; c < table->columns; c++) {
            const char *text = table->cell[r][c];
            enum hgi_style style = table->style[r][c];
            size_t padding = width[c] - hgi_text_width(text);
            bool left = c == 0 || table->left[c];
            bool last = c + 1 == table->columns;
            fprintf(out, "%*s%s%s%s%*s", (int)(left ? 2 : padding + 2), "",
                    hgi_style_begin(colour, style), text, hgi_style_end(colour, style),
                    (int)(left && !last ? padding : 0), "");
        }
        fputc('\n', out);
    }
}

const char *hgi_format_count(char *out, size_t size, uint64_t value)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, value);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

const char *hgi_format_latency(char *out, size_t size, int64_t ns)
{
    double value = (double)ns;
    if (ns < NS_PER_US)
        snprintf(out, size, "%" PRId64 " ns", ns);
    else if (ns < NS_PER_MS)
        snprintf(out, size, "%.*f us", ns < 10 * NS_PER_US ? 1 : 0, value / 1e3);
    else if (ns < NS_PER_S)
        snprintf(out, size, "%.*f ms", ns < 10 * NS_PER_MS ? 2 : (ns < 100 * NS_PER_MS ? 1 : 0),
                 value / 1e6);
    else
        snprintf(out, size, "%.2f s", value / 1e9);
    return out;
}

const char *hgi_format_bytes(char *out, size_t size, uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB" };
    double value = (double)bytes / 1024;
    size_t unit = 0;
    if (bytes < 1024) {
        snprintf(out, size, "%" PRIu64 " B", bytes);
        return out;
    }
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(out, size, "%.*f %s", value < 10 ? 1 : 0, value, units[unit]);
    return out;
}
