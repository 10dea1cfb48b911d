/* What people see: on a terminal of 80 columns nothing is lost and nothing wraps, and a screen that is redrawn
 * leaves nothing of itself behind when the terminal becomes narrower. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/common/terminal.h"

#define SIXTY "123456789 123456789 123456789 123456789 123456789 1234567890"

/* --- words --- */

static char *printed(size_t used, size_t indent, const char *text)
{
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    hgi_text_hang(file, used, indent, text);
    fclose(file);
    return out;
}

Test(terminal, words_are_broken_into_lines_that_fit)
{
    char *out = printed(0, 0, SIXTY " just at the edge, and  over\nit");
    cr_assert_str_eq(out, SIXTY " just at the edge,\nand over it\n");
    free(out);
    out = printed(0, 0, SIXTY " 12345678901234567890 x");
    cr_assert_str_eq(out, SIXTY "\n12345678901234567890 x\n", "one column too many");
    free(out);
    out = printed(0, 0, SIXTY " 1234567890123456789 x");
    cr_assert_str_eq(out, SIXTY " 1234567890123456789\nx\n", "just as many");
    free(out);
    out = printed(0, 0, SIXTY " ┌──────────────── x");
    cr_assert_str_eq(out, SIXTY " ┌──────────────── x\n", "characters count, not bytes");
    free(out);
}

Test(terminal, what_follows_a_broken_line_is_indented)
{
    char *out = printed(20, 4, SIXTY " and more");
    cr_assert_str_eq(out, "123456789 123456789 123456789 123456789 123456789 1234567890\n"
                          "    and more\n");
    free(out);
}

/* --- tables --- */

/* A table with a first column of 6 and others of that width each. */
static char *table_of(size_t columns, int width)
{
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    struct hgi_table *table = calloc(1, sizeof *table);
    for (size_t r = 0; r < 2; r++) {
        hgi_table_set(table, r, 0, "%s", r ? "second" : "first");
        for (size_t c = 1; c < columns; c++)
            hgi_table_set(table, r, c, "%*zu", width, 100 * r + c);
    }
    hgi_table_print(table, file, false);
    free(table);
    fclose(file);
    return out;
}

static size_t widest(const char *text)
{
    size_t most = 0;
    for (; *text; text += strcspn(text, "\n") + 1)
        if (strcspn(text, "\n") > most)
            most = strcspn(text, "\n");
    return most;
}

static size_t lines_with(const char *text, const char *word)
{
    size_t count = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        count++;
    return count;
}

Test(terminal, a_table_that_fits_is_one)
{
    char *out = table_of(9, 7); /* 2 + 6 + 8 * (2 + 7) = 80 */
    cr_assert_eq(widest(out), 80);
    cr_assert_eq(lines_with(out, "first"), 1);
    free(out);
}

Test(terminal, columns_that_do_not_fit_follow_below_beside_the_first_one)
{
    char *out = table_of(10, 7);
    cr_assert_eq(lines_with(out, "first"), 2, "%s", out);
    cr_assert_eq(lines_with(out, "second"), 2);
    for (int c = 1; c < 10; c++) {
        char cell[16];
        snprintf(cell, sizeof cell, "    %d", 100 + c);
        cr_assert_eq(lines_with(out, cell), 1, "%s is lost or there twice:\n%s", cell, out);
    }
    cr_assert_leq(widest(out), 80);
    /* Nor is there a last part with a single column. */
    cr_assert(strstr(out, "105\n\n"), "%s", out);
    free(out);
}

Test(terminal, a_column_wider_than_the_terminal_still_ends_the_table)
{
    char *out = table_of(3, 46);
    cr_assert_eq(lines_with(out, "second"), 2);
    free(out);
}

/* --- the screen --- */

static int open_terminal(int columns)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    cr_assert_geq(master, 0);
    cr_assert_eq(grantpt(master), 0);
    cr_assert_eq(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    cr_assert_geq(slave, 0);
    cr_assert_geq(dup2(slave, STDERR_FILENO), 0);
    close(slave);
    setenv("TERM", "xterm", 1);
    struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };
    cr_assert_eq(ioctl(STDERR_FILENO, TIOCSWINSZ, &size), 0);
    return master;
}

static void resize(int columns)
{
    struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };
    cr_assert_eq(ioctl(STDERR_FILENO, TIOCSWINSZ, &size), 0);
}

/* What has come to the terminal since the last look, up to what every frame ends with. */
static const char *came(int master)
{
    static const char end[] = "\033[J";
    static char text[4096];
    size_t used = 0;
    struct pollfd ready = { .fd = master, .events = POLLIN };
    while (used < sizeof end || strcmp(text + used - (sizeof end - 1), end) != 0) {
        cr_assert_eq(poll(&ready, 1, 60000), 1, "the frame does not end: %s", text);
        ssize_t bytes = read(master, text + used, sizeof text - 1 - used);
        cr_assert_gt(bytes, 0);
        used += (size_t)bytes;
        text[used] = '\0';
    }
    return text;
}

Test(terminal, the_screen_begins_where_it_began_though_the_terminal_broke_its_lines)
{
    static const char *const lines[] = { SIXTY, "short", "\033[31m" SIXTY SIXTY "\033[0m" };
    int master = open_terminal(100);
    struct hgi_progress progress;
    hgi_progress_begin(&progress, false);
    hgi_progress_lines(&progress, lines, 3);
    cr_assert(strstr(came(master), SIXTY));
    hgi_progress_lines(&progress, lines, 3);
    const char *text = came(master);
    cr_assert(strstr(text, "\r\033[2A\033[K"), "nothing has changed: %s", text);
    /* 60 columns stand on two rows of 50, and 99 (a terminal's width but one) too. */
    resize(50);
    hgi_progress_lines(&progress, lines, 3);
    text = came(master);
    cr_assert(strstr(text, "\r\033[4A\033[K"), "%s", text);
    cr_assert_not(strstr(text, SIXTY), "a line is wider than the terminal: %s", text);
    hgi_progress_end(&progress);
    text = came(master);
    cr_assert(strstr(text, "\r\033[2A\033[J"), "it is as wide as it was drawn: %s", text);
    close(master);
}

Test(terminal, a_screen_is_wiped_as_a_whole_from_a_terminal_that_became_narrower)
{
    static const char *const lines[] = { SIXTY SIXTY };
    int master = open_terminal(200);
    struct hgi_progress progress;
    hgi_progress_begin(&progress, false);
    hgi_progress_lines(&progress, lines, 1);
    came(master);
    resize(40);
    hgi_progress_end(&progress);
    const char *text = came(master);
    cr_assert(strstr(text, "\r\033[2A\033[J"), "120 columns are three rows of 40: %s", text);
    close(master);
}
