/* The options that several subcommands have; see subcommand.h. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/common/timing.h"
#include "tools/stress/subcommand.h"

void hgi_rows_add(struct hgi_rows *rows, const struct hgi_option *table)
{
    for (; table->kind != HGI_OPTION_END; table++) {
        if (rows->count == HGI_ROWS_MAX) { /* a table of the tool itself: no input can do this */
            fputs("herdgate-stress: a subcommand has more options than there is room for\n",
                  stderr);
            abort();
        }
        rows->row[rows->count++] = *table;
    }
    rows->row[rows->count] = (struct hgi_option) { 0 };
}

void hgi_rows_heading(struct hgi_rows *rows, const char *text)
{
    const struct hgi_option heading[] = { { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, text, 0, 0 },
                                          { 0 } };
    hgi_rows_add(rows, heading);
}

/* The row, if its value is wanted. */
static void add_if(struct hgi_rows *rows, bool wanted, struct hgi_option row)
{
    const struct hgi_option table[] = { row, { 0 } };
    if (wanted)
        hgi_rows_add(rows, table);
}

void hgi_rows_load(struct hgi_rows *rows, const struct hgi_load_rows *load)
{
    const struct hgi_option table[] = {
        { 't', "threads", HGI_OPTION_COUNT, load->threads, "N", load->threads_help, 1, 4096 },
        { 'c', "connections", HGI_OPTION_COUNT, load->connections, "N",
          "connections of the pool (the policy's, else 8)", 1, 1024 },
        { 'd', "data-size", HGI_OPTION_SIZE_SPAN, load->sizes, "N|A..B", "bytes of a value (64)", 1,
          load->sizes_most },
        { 0, "pause", HGI_OPTION_DURATION, load->pause_ns, "TIME",
          "of a thread between calls, at most (5ms)", 0, 10 * NS_PER_S },
        { 0, "duration", HGI_OPTION_DURATION, load->length_ns, "TIME", load->length_help,
          load->length_least_ns, load->length_most_ns },
        { 0, "seed", HGI_OPTION_NUMBER, load->seed, "N", "of all that is drawn by chance", 0, 0 },
        { 0, "attempt-timeout", HGI_OPTION_DURATION, load->attempt_timeout_ns, "TIME",
          "of every call (the file's, else 250ms)", NS_PER_MS, 3600 * NS_PER_S },
        { 0, "deadline", HGI_OPTION_DURATION, load->deadline_ns, "TIME",
          "of every call (the file's, else 2s)", NS_PER_MS, 3600 * NS_PER_S },
        { 0 },
    };
    hgi_rows_heading(rows, "Load");
    for (const struct hgi_option *row = table; row->kind != HGI_OPTION_END; row++)
        add_if(rows, row->value != NULL, *row);
}

void hgi_rows_policy(struct hgi_rows *rows, struct hgi_asked *asked)
{
    const struct hgi_option table[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Policy", 0, 0 },
        { 0, "policy", HGI_OPTION_TEXT, &asked->policy, "FILE", "of the library; JSON", 0, 0 },
        { 0 },
    };
    hgi_rows_add(rows, table);
}

void hgi_rows_server(struct hgi_rows *rows, struct hgi_asked *asked)
{
    struct hgi_target_flags *server = &asked->server;
    const struct hgi_option table[] = {
        { 0, NULL, HGI_OPTION_HEADING, NULL, NULL, "Server (none: one of the tool's own)", 0, 0 },
        { 'h', "host", HGI_OPTION_TEXT, &server->host, "HOST", "its name (127.0.0.1)", 0, 0 },
        { 'p', "port", HGI_OPTION_COUNT, &server->port, "PORT", "its port (6379)", 1, 65535 },
        { 's', "socket", HGI_OPTION_TEXT, &server->socket, "PATH", "a unix socket", 0, 0 },
        { 'u', "url", HGI_OPTION_TEXT, &server->url, "URL", "redis://..., unix://...", 0, 0 },
        { 0, "user", HGI_OPTION_TEXT, &server->user, "NAME", "to log in as", 0, 0 },
        { 'a', "pass", HGI_OPTION_TEXT, &server->password, "PASSWORD",
          "better in $REDISCLI_AUTH, where no one sees it", 0, 0 },
        { 0 },
    };
    hgi_rows_add(rows, table);
}

void hgi_rows_output(struct hgi_rows *rows, struct hgi_asked *asked, const struct hgi_forms *forms)
{
    struct hgi_outputs *outputs = &asked->outputs;
    const struct hgi_option table[] = {
        { 0, "json", HGI_OPTION_MAYBE_TEXT, &outputs->json, "[=F]",
          "results as JSON, to stdout instead of the table, or to F", 0, 0 },
        { 0, "assert", HGI_OPTION_TEXTS, &outputs->assertions, "EXPR",
          "exit with 1 unless it holds: 'p99<5ms'; may be repeated", 0, 0 },
        { 0, "no-color", HGI_OPTION_FLAG, &outputs->plain, NULL, "as with NO_COLOR set", 0, 0 },
        { 'q', "quiet", HGI_OPTION_FLAG, &outputs->quiet, NULL, "no progress and no table", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &asked->help, NULL, "this text", 0, 0 },
        { 0 },
    };
    hgi_rows_heading(rows, "Output");
    add_if(rows, forms->page,
           (struct hgi_option) { 0, "report", HGI_OPTION_TEXT, &outputs->report, "F.html",
                                 "write a page with pictures", 0, 0 });
    add_if(rows, forms->series,
           (struct hgi_option) { 0, "csv", HGI_OPTION_TEXT, &outputs->csv, "DIR",
                                 "every latency and the series over time, as files in DIR", 0, 0 });
    add_if(rows, forms->latency,
           (struct hgi_option) { 0, "hgrm", HGI_OPTION_TEXT, &outputs->hgrm, "F",
                                 "the latencies as HdrHistogram's plotter reads them", 0, 0 });
    hgi_rows_add(rows, table);
}
