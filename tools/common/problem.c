/* What went wrong in a tool; see problem.h. */
#include "tools/common/problem.h"

#include <stdarg.h>
#include <stdio.h>

bool hgi_problem_set(struct hgi_problem *problem, const char *format, ...)
{
    if (problem) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(problem->text, sizeof problem->text, format, arguments);
        va_end(arguments);
    }
    return false;
}

bool hgi_problem_of(struct hgi_problem *problem, const char *where)
{
    struct hgi_problem inner;
    if (!problem)
        return false;
    inner = *problem;
    return hgi_problem_set(problem, "%s: %.*s", where, (int)(sizeof inner.text - 64), inner.text);
}
