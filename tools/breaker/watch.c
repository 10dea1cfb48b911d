/* Looking again and again: a page that is drawn over on a terminal, a line each time elsewhere.
 *
 * Every look attaches anew, so that a breaker that is unlinked and made again is seen as what it is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/breaker/show.h"
#include "tools/common/options.h"
#include "tools/common/terminal.h"
#include "tools/common/timing.h"

/* What the last look saw. */
struct last {
    bool known;
    struct hgi_look look;
    unsigned drawn; /* lines on the terminal that the next page goes over */
};

/* Of a counter, since the last look; a breaker made anew begins at 0. */
static uint64_t since(const struct last *last, uint64_t before, uint64_t now)
{
    return last->known && now >= before ? now - before : now;
}

static double per_second(const struct last *last, const struct hgi_look *look, uint64_t before,
                         uint64_t now)
{
    int64_t took_ns = last->known ? look->at_ns - last->look.at_ns : 0;
    return took_ns > 0 ? (double)since(last, before, now) * 1e9 / (double)took_ns : 0;
}

static void print_rates(const struct last *last, const struct hgi_look *look, FILE *out)
{
    const struct hg_breaker_snapshot *then = &last->look.is;
    const struct hg_breaker_snapshot *now = &look->is;
    fprintf(out, "%.0f admitted/s, %.0f refused/s, %.0f failed/s, %.0f slow/s",
            per_second(last, look, then->admitted, now->admitted),
            per_second(last, look, then->refused, now->refused),
            per_second(last, look, then->failed, now->failed),
            per_second(last, look, then->slow, now->slow));
    uint64_t transitions = last->known ? since(last, then->transitions, now->transitions) : 0;
    if (transitions > 0)
        fprintf(out, ", %" PRIu64 " transition%s", transitions, transitions == 1 ? "" : "s");
    fputc('\n', out);
}

/* Up to the first line of the page, and away with all that follows. Lines are cut at the terminal's edge
 * while the page is printed, or they would be more than were counted. */
static void begin_page(struct last *last)
{
    fputs("\033[?7l", stdout);
    if (last->drawn > 0)
        printf("\033[%uA\033[J", last->drawn);
}

static void end_page(struct last *last, unsigned lines)
{
    fputs("\033[?7h", stdout);
    last->drawn = lines;
}

static void print_time(void)
{
    char text[16];
    struct tm parts;
    time_t now = time(NULL);
    if (localtime_r(&now, &parts) && strftime(text, sizeof text, "%H:%M:%S", &parts) > 0)
        printf("%s  ", text);
}

static void print_line(const struct last *last, const struct hgi_look *look)
{
    char state[128];
    print_time();
    printf("%s  ", hgi_look_state(look, state, sizeof state));
    print_rates(last, look, stdout);
}

static bool print_page(struct last *last, const struct hgi_look *look)
{
    char *text = NULL;
    size_t size = 0;
    unsigned lines = 0;
    FILE *page = open_memstream(&text, &size);
    if (!page)
        return false;
    hgi_look_print(look, page, hgi_terminal_colour(stdout));
    fputs("  now          ", page);
    print_rates(last, look, page);
    if (fclose(page) != 0) {
        free(text);
        return false;
    }
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    begin_page(last);
    fputs(text, stdout);
    end_page(last, lines);
    free(text);
    return true;
}

/* One line; takes over `json`. */
static bool print_json(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
    return text != NULL;
}

static void print_absence(const struct hgi_watch *watch, struct last *last, bool terminal)
{
    if (terminal)
        begin_page(last);
    else
        print_time();
    printf("there is no shared breaker %s now\n", watch->name);
    if (terminal)
        end_page(last, 1);
}

static bool print(const struct hgi_watch *watch, struct last *last, const struct hgi_look *look,
                  bool terminal)
{
    if (watch->json)
        return print_json(look ? hgi_look_json(look) : hgi_absence_json(watch->name));
    if (!look)
        print_absence(watch, last, terminal);
    else if (terminal)
        return print_page(last, look);
    else
        print_line(last, look);
    return true;
}

static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

int hgi_watch(const struct hgi_watch *watch)
{
    struct last last = { .known = false };
    struct hg_error err = HG_ERROR_INIT;
    bool terminal = is_terminal() && !watch->json;
    static char buffer[8192]; /* a page leaves in one piece */
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    int64_t next_ns = monotonic_ns();
    for (uint32_t looks = 0; watch->count == 0 || looks < watch->count; looks++) {
        struct hgi_look look;
        if (looks > 0)
            sleep_until_ns(next_ns);
        next_ns += watch->interval_ns;
        hg_status status = hgi_look(&look, watch->name, &err);
        if (status < 0 && (status != HG_ERR_NOT_FOUND || looks == 0)) {
            fprintf(stderr, "herdgate-breaker: %s\n", err.message);
            return HGI_EXIT_ENVIRONMENT;
        }
        if (!print(watch, &last, status == HG_OK ? &look : NULL, terminal) || fflush(stdout) != 0) {
            perror("herdgate-breaker: standard output");
            return HGI_EXIT_ENVIRONMENT;
        }
        last.known = status == HG_OK;
        if (last.known)
            last.look = look;
    }
    return HGI_EXIT_PASS;
}
