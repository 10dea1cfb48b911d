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

/* The bytes of the first *columns characters, and how many these are. A sequence for colour is none. */
static size_t cut_at(const char *text, size_t *columns)
{
    size_t i = 0, width = 0;
    while (text[i]) {
        if (text[i] == '\033') {
            while (text[i] && text[i] != 'm')
                i++;
            i += text[i] == 'm';
            continue;
        }
        bool begins = ((unsigned char)text[i] & 0xc0) != 0x80;
        if (begins && width == *columns)
            break;
        width += begins;
        i++;
    }
    *columns = width;
    return i;
}

static struct winsize size_of_terminal(void)
{
    struct winsize size = { 0 };
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20 || size.ws_row < 2)
        size = (struct winsize) { .ws_col = 80, .ws_row = 24 };
    return size;
}

/* Back to the beginning of the first line. A terminal that became narrower since it was drawn has broken the
 * lines that are too long now, so that each stands on as many rows as it needs. (Those few that cut lines
 * instead lose as many rows of what stood above.) */
static void go_up(const struct hgi_progress *progress, size_t columns)
{
    size_t rows = 0;
    for (size_t i = 0; i < progress->drawn; i++)
        rows += progress->width[i] > columns ? (progress->width[i] + columns - 1) / columns : 1;
    fputc('\r', stderr);
    if (rows > 1)
        fprintf(stderr, "\033[%zuA", rows - 1);
}

void hgi_progress_lines(struct hgi_progress *progress, const char *const *lines, size_t count)
{
    if (progress->quiet || count == 0)
        return;
    if (!progress->terminal) {
        fprintf(stderr, "%s\n", lines[0]);
        return;
    }
    struct winsize size = size_of_terminal();
    if (count > HGI_PROGRESS_LINES)
        count = HGI_PROGRESS_LINES;
    if (count >= size.ws_row) /* lines that scrolled away could not be redrawn */
        count = size.ws_row - 1u;
    go_up(progress, size.ws_col);
    for (size_t i = 0; i < count; i++) {
        progress->width[i] = size.ws_col - 1u; /* nor could one that wraps */
        size_t length = cut_at(lines[i], &progress->width[i]);
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
        go_up(progress, size_of_terminal().ws_col);
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

void hgi_table_heads(struct hgi_table *table, size_t row, const char *const *heads, size_t count)
{
    for (size_t c = 0; c < count; c++) {
        hgi_table_set(table, row, c, "%s", heads[c] ? heads[c] : "");
        hgi_table_style(table, row, c, HGI_STYLE_DIM);
    }
}

static size_t width_of(const char *text, size_t bytes)
{
    size_t width = 0;
    for (size_t i = 0; i < bytes; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

size_t hgi_text_width(const char *text)
{
    return width_of(text, strlen(text));
}

/* One cell, aligned; the last one of its line has no blanks behind it. */
static void print_cell(const struct hgi_table *table, FILE *out, bool colour, size_t r, size_t c,
                       size_t width, bool last)
{
    const char *text = table->cell[r][c];
    enum hgi_style style = table->style[r][c];
    size_t padding = width - hgi_text_width(text);
    bool left = c == 0 || table->left[c];
    fprintf(out, "%*s%s%s%s%*s", (int)(left ? 2 : padding + 2), "", hgi_style_begin(colour, style),
            text, hgi_style_end(colour, style), (int)(left && !last ? padding : 0), "");
}

/* The end of the columns from `from` on that fit into `columns` beside the first one; at least one does. */
static size_t part_end(const struct hgi_table *table, const size_t *width, size_t from,
                       size_t columns)
{
    size_t used = 2 + width[0];
    size_t c = from;
    while (c < table->columns && (c == from || used + 2 + width[c] <= columns))
        used += 2 + width[c++];
    return c;
}

static size_t count_parts(const struct hgi_table *table, const size_t *width, size_t columns)
{
    size_t parts = 0;
    for (size_t from = 1; from < table->columns; parts++)
        from = part_end(table, width, from, columns);
    return parts;
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
    size_t columns = HGI_TEXT_COLUMNS;
    size_t parts = count_parts(table, width, columns);
    while (parts > 1 && columns > 1 && count_parts(table, width, columns - 1) == parts)
        columns--; /* no last part with a single column */
    size_t from = 1;
    do {
        size_t end = part_end(table, width, from, columns);
        for (size_t r = 0; r < table->rows; r++) {
            size_t filled = end;
            while (filled > from && !table->cell[r][filled - 1][0])
                filled--;
            print_cell(table, out, colour, r, 0, width[0], filled == from);
            for (size_t c = from; c < filled; c++)
                print_cell(table, out, colour, r, c, width[c], c + 1 == filled);
            fputc('\n', out);
        }
        from = end;
        if (from < table->columns)
            fputc('\n', out);
    } while (from < table->columns);
}

/* The words, each with the space before it, on from column `used`; without the end of the last line. */
static void print_words(FILE *out, size_t used, size_t indent, const char *text)
{
    bool first = true;
    for (const char *at = text + strspn(text, " \n"); *at; at += strspn(at, " \n")) {
        size_t bytes = strcspn(at, " \n");
        size_t width = width_of(at, bytes);
        if (!first && used + 1 + width > HGI_TEXT_COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            used = indent;
        } else if (!first) {
            fputc(' ', out);
            used++;
        }
        fprintf(out, "%.*s", (int)bytes, at);
        used += width;
        first = false;
        at += bytes;
    }
}

void hgi_text_hang(FILE *out, size_t used, size_t indent, const char *text)
{
    print_words(out, used, indent, text);
    fputc('\n', out);
}

void hgi_text_print(FILE *out, bool colour, enum hgi_style style, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    fputs(hgi_style_begin(colour, style), out);
    print_words(out, 0, 0, text);
    fprintf(out, "%s\n", hgi_style_end(colour, style));
    free(text);
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
