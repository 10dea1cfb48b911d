/* retry-example: a tour of the library, section by section, on a real server with real faults.
 *
 * Without a URL the tour starts a redis-server of its own on a temporary unix socket, and stops, pauses
 * and restarts it as the story goes. With a URL it runs what needs no such fault against that server,
 * under keys of its own, which it deletes at the end.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/options.h"
#include "tools/common/terminal.h"
#include "tools/example/example.h"

enum { EXIT_WELL = 0, EXIT_USAGE = 2, EXIT_ENVIRONMENT = 3 };

static const struct section {
    char letter;
    bool own_server; /* all of it needs faults of the server's */
    bool (*run)(struct tour *tour);
    const char *title;
} sections[] = {
    { 'a', true, tour_presets, "the three retry presets, each through a real outage" },
    { 'b', false, tour_successes, "calls that end well: timing, JSON values, a transaction" },
    { 'c', false, tour_delays, "the delay tables, without and with jitter" },
    { 'd', true, tour_recovery, "the recovery manager on each of the six strategies" },
    { 'e', false, tour_errors, "error types, severities, type checks" },
    { 'f', false, tour_contexts, "the context that an error carries" },
};

enum { SECTIONS = sizeof sections / sizeof sections[0] };

static int usage(const char *problem)
{
    fprintf(stderr, "retry-example: %s; see retry-example --help\n", problem);
    return EXIT_USAGE;
}

static void list(void)
{
    for (size_t i = 0; i < SECTIONS; i++)
        printf("%c  %s%s\n", sections[i].letter, sections[i].title,
               sections[i].own_server ? " (not with --url)" : "");
}

/* "a,c" into flags; NULL: all that `url` allows. */
static bool choose(bool chosen[SECTIONS], const char *letters, const char *url,
                   struct hgi_problem *problem)
{
    for (size_t i = 0; i < SECTIONS; i++)
        chosen[i] = !letters && !(url && sections[i].own_server);
    if (!letters)
        return true;
    const char *at = letters;
    do {
        size_t i = 0;
        while (i < SECTIONS && sections[i].letter != *at)
            i++;
        if (i == SECTIONS || (at[1] != ',' && at[1] != '\0'))
            return hgi_problem_set(problem, "--section '%s' is not a list of a to f, like a,c",
                                   letters);
        if (url && sections[i].own_server)
            return hgi_problem_set(problem,
                                   "section %c stops and restarts its server, which is not done "
                                   "to a given one; leave out --url",
                                   sections[i].letter);
        chosen[i] = true;
        at++;
    } while (*at++ == ',');
    return true;
}

/* Can a pool be opened on it at all? Opening never waits for the server. */
static bool is_url(const char *url, struct hgi_problem *problem)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    hg_policy *policy = tour_policy("{}");
    hg_pool *pool = NULL;
    options.url = url;
    hg_status status = policy ? hg_pool_open(&pool, &options, policy, &err) : HG_OK;
    tour_close(pool);
    hg_policy_drop(policy);
    return status != HG_ERR_VALIDATION || hgi_problem_set(problem, "--url: %s", err.message);
}

/* Is the server there at all? What follows would otherwise be about something else. */
static bool reachable(const struct tour *tour)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_pool *pool = tour_open(tour, NULL, "{}", NULL, NULL);
    bool well = pool && (hg_command(pool, NULL, &err, "PING") == HG_OK ||
                         tour_failed("the server does not answer", err.message));
    tour_close(pool);
    return well;
}

static bool run(struct tour *tour, const bool chosen[SECTIONS])
{
    printf("%sherdgate %s: a tour of the library%s\n",
           hgi_style_begin(tour->colour, HGI_STYLE_BOLD), hg_version(),
           hgi_style_end(tour->colour, HGI_STYLE_BOLD));
    printf("server: %s (%s)\n", tour->url,
           tour->server ? "its own, to be stopped, paused and restarted"
                        : "given; it is left in peace, sections a and d are left out");
    bool well = reachable(tour);
    for (size_t i = 0; i < SECTIONS && well; i++) {
        if (!chosen[i])
            continue;
        well = sections[i].run(tour);
        if (!tour->server)
            well = tour_clean(tour) && well;
        fflush(stdout);
    }
    return well;
}

int main(int argc, char **argv)
{
    const char *url = NULL;
    const char *letters = NULL;
    bool list_only = false;
    bool help = false;
    const struct hgi_option table[] = {
        { .letter = 'u',
          .name = "url",
          .kind = HGI_OPTION_TEXT,
          .value = &url,
          .argument = "URL",
          .help = "use this server: redis://localhost:6379, unix:///path, host:port" },
        { .name = "section",
          .kind = HGI_OPTION_TEXT,
          .value = &letters,
          .argument = "LETTERS",
          .help = "run these sections only, like a,c" },
        { .name = "list",
          .kind = HGI_OPTION_FLAG,
          .value = &list_only,
          .help = "list the sections" },
        { .name = "help", .kind = HGI_OPTION_FLAG, .value = &help, .help = "this text" },
        { .kind = HGI_OPTION_END },
    };
    struct hgi_problem problem;
    bool chosen[SECTIONS];
    if (!hgi_options_parse(table, argc - 1, argv + 1, &problem))
        return usage(problem.text);
    if (help) {
        printf("usage: retry-example [options]\n\nA tour of herdgate against a redis-server of its "
               "own, with real faults.\n\n");
        hgi_options_help(table, stdout);
        return EXIT_WELL;
    }
    if (list_only) {
        list();
        return EXIT_WELL;
    }
    if (!choose(chosen, letters, url, &problem) || (url && !is_url(url, &problem)))
        return usage(problem.text);

    /* The library never raises SIGPIPE. Plain hiredis does, and section d uses it. */
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct tour tour = { .url = url, .colour = hgi_terminal_colour(stdout) };
    if (!url) {
        if (!hgi_private_server_start(&tour.server, NULL, &problem)) {
            tour_failed("cannot start a redis-server", problem.text);
            return EXIT_ENVIRONMENT;
        }
        tour.url = hgi_private_server_url(tour.server);
    }
    bool well = run(&tour, chosen);
    hgi_private_server_free(tour.server);
    return well ? EXIT_WELL : EXIT_ENVIRONMENT;
}
