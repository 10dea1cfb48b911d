/* What people see: colour or none, a progress line, an aligned table. */
#ifndef HERDGATE_TOOLS_COMMON_TERMINAL_H
#define HERDGATE_TOOLS_COMMON_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Colour for `out`: it is a terminal, TERM is not "dumb" and NO_COLOR is not set. */
bool hgi_terminal_colour(FILE *out);

/* "\033[1m" and the like, or "" without colour. */
enum hgi_style { HGI_STYLE_NONE, HGI_STYLE_BOLD, HGI_STYLE_DIM, HGI_STYLE_GOOD, HGI_STYLE_BAD };
const char *hgi_style_begin(bool colour, enum hgi_style style);
const char *hgi_style_end(bool colour, enum hgi_style style);

/* Progress on stderr. On a terminal (TERM is not "dumb") one line or several, redrawn at most ten times a second; elsewhere a line
 * of its own every three seconds, without control characters; nothing if quiet. One thread. */
enum { HGI_PROGRESS_LINES = 8 };

struct hgi_progress {
    bool quiet;
    bool terminal;
    size_t drawn;                     /* lines that stand on the terminal, the last one not ended */
    size_t width[HGI_PROGRESS_LINES]; /* of each of these */
    int64_t next_ns;
};

void hgi_progress_begin(struct hgi_progress *progress, bool quiet);
/* True if now is the time for a line: so that its text need not be made in vain. */
bool hgi_progress_due(struct hgi_progress *progress, int64_t now_ns);
void hgi_progress_line(struct hgi_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* At most HGI_PROGRESS_LINES, of which only the first goes where no terminal is. Sequences for colour take no
 * place. What is wider than the terminal is cut, to the width that it has now. */
void hgi_progress_lines(struct hgi_progress *progress, const char *const *lines, size_t count);
/* Wipe the lines, so that what is printed next begins on a clean one. */
void hgi_progress_end(struct hgi_progress *progress);

/* What is printed to be read fits a terminal of that width, wherever it goes: the same on every one. */
enum { HGI_TEXT_COLUMNS = 80 };

/* Print words, a space between two, broken into lines that fit, the last one ended. */
void hgi_text_print(FILE *out, bool colour, enum hgi_style style, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The rest of a line on which `used` columns are taken, broken in the same way; what follows begins at `indent`. */
void hgi_text_hang(FILE *out, size_t used, size_t indent, const char *text);

/* A table: cells are set, then it is printed with columns as wide as they need to be. Columns but
 * the first, and those marked `left`, are aligned to the right. Texts are copied and cut to the size
 * of a cell. Where it is too wide, the columns that do not fit follow below, beside the first one again. */
enum { HGI_TABLE_COLUMNS = 12, HGI_TABLE_ROWS = 36, HGI_CELL_SIZE = 48 };

struct hgi_table {
    size_t columns;
    size_t rows;
    char cell[HGI_TABLE_ROWS][HGI_TABLE_COLUMNS][HGI_CELL_SIZE];
    enum hgi_style style[HGI_TABLE_ROWS][HGI_TABLE_COLUMNS];
    bool left[HGI_TABLE_COLUMNS]; /* a column of words */
};

void hgi_table_set(struct hgi_table *table, size_t row, size_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void hgi_table_style(struct hgi_table *table, size_t row, size_t column, enum hgi_style style);
/* A row of heads, or of a part of them; those that are NULL stay empty. */
void hgi_table_heads(struct hgi_table *table, size_t row, const char *const *heads, size_t count);
void hgi_table_print(const struct hgi_table *table, FILE *out, bool colour);

/* Columns that a UTF-8 text takes, one for each character. */
size_t hgi_text_width(const char *text);

/* Numbers for people, into `out` and returned: "12,345"; "1.50 ms"; "12.3 KiB". */
const char *hgi_format_count(char *out, size_t size, uint64_t value);
const char *hgi_format_latency(char *out, size_t size, int64_t ns);
const char *hgi_format_bytes(char *out, size_t size, uint64_t bytes);

#endif
