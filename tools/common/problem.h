/* What went wrong in a tool, in words for its user. Caller-owned; every parameter may be NULL. */
#ifndef HERDGATE_TOOLS_COMMON_PROBLEM_H
#define HERDGATE_TOOLS_COMMON_PROBLEM_H

#include <stdbool.h>

struct hgi_problem {
    char text[512]; /* one line, no newline */
};

/* Write the text, cut to fit, and return false, so that a function can end with it. */
bool hgi_problem_set(struct hgi_problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put in front of the text where that is, "--toxic", and return false. */
bool hgi_problem_of(struct hgi_problem *problem, const char *where);

#endif
