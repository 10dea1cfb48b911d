/* The command line of the tools: a table says what there is; parsing and --help come from it. Pure.
 *
 *     uint32_t threads = 64;
 *     const struct hgi_option table[] = {
 *         { 't', "threads", HGI_OPTION_COUNT, &threads, "N", "calling threads", 1, 4096 },
 *         { 0 }
 *     };
 *     if (!hgi_options_parse(table, argc - 1, argv + 1, &problem))
 *         return usage(problem.text);
 *
 * -t 64, -t64, --threads 64 and --threads=64 are the same. An option that is not in the table, a value
 * that does not parse and an argument that belongs to no option are errors.
 */
#ifndef HERDGATE_TOOLS_COMMON_OPTIONS_H
#define HERDGATE_TOOLS_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/common/problem.h"

enum hgi_option_kind {
    HGI_OPTION_END,
    HGI_OPTION_HEADING,       /* in --help only: `help` above the options that follow */
    HGI_OPTION_FLAG,          /* bool */
    HGI_OPTION_COUNT,         /* uint32_t, within least..most */
    HGI_OPTION_NUMBER,        /* uint64_t */
    HGI_OPTION_TEXT,          /* const char *, borrowed from argv */
    HGI_OPTION_MAYBE_TEXT,    /* const char *: --name=TEXT, or "" for --name alone */
    HGI_OPTION_TEXTS,         /* struct hgi_texts: may be given several times */
    HGI_OPTION_DURATION,      /* int64_t nanoseconds, within least..most */
    HGI_OPTION_DURATION_SPAN, /* struct hgi_span of nanoseconds: 1s..3s */
    HGI_OPTION_SIZE_SPAN      /* struct hgi_span of bytes: 64, or 1..1MiB; within least..most */
};

/* From low to high, both included. */
struct hgi_span {
    int64_t low;
    int64_t high;
};

enum { HGI_TEXTS_MAX = 16 };

struct hgi_texts {
    size_t count;
    const char *text[HGI_TEXTS_MAX]; /* borrowed from argv */
};

struct hgi_option {
    char letter;      /* 0: none */
    const char *name; /* without the dashes */
    enum hgi_option_kind kind;
    void *value;          /* what `kind` says */
    const char *argument; /* its name in --help */
    const char *help;
    int64_t least;
    int64_t most; /* 0: no limit */
};

/* Parse `count` arguments into the table's values. False: *problem is one line for the user. */
bool hgi_options_parse(const struct hgi_option *table, int count, char *const *arguments,
                       struct hgi_problem *problem);

/* The same for options that other arguments follow: it ends at the first that is none, or at "--", and
 * *used says how many were parsed. */
bool hgi_options_parse_front(const struct hgi_option *table, int count, char *const *arguments,
                             int *used, struct hgi_problem *problem);

/* Write the table for --help. */
void hgi_options_help(const struct hgi_option *table, FILE *out);

/* "250ms", "1.5s", "5m", "1h", "10us", "3ns". A bare number is an error, but for 0. */
bool hgi_parse_duration(int64_t *out_ns, const char *text, struct hgi_problem *problem);

/* "64", "16k", "1MiB": bytes; k, M and G are powers of 1024. */
bool hgi_parse_size(int64_t *out, const char *text, struct hgi_problem *problem);

/* Nanoseconds for people: "250ms", "1.5s". Writes into and returns `out`. */
const char *hgi_format_duration(char *out, size_t size, int64_t ns);

#endif
