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
