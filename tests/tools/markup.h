/* For tests of pages: whether tags open and close in pairs. */
#ifndef HERDGATE_TESTS_TOOLS_MARKUP_H
#define HERDGATE_TESTS_TOOLS_MARKUP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* NULL, or where it goes wrong. */
static inline const char *unbalanced(const char *page)
{
    char open[64][16];
    size_t depth = 0;
    for (const char *at = strchr(page, '<'); at; at = strchr(at + 1, '<')) {
        const char *end = strchr(at, '>');
        if (!end)
            return at;
        if (at[1] == '!' || end[-1] == '/')
            continue;
        bool closes = at[1] == '/';
        char name[16];
        if (sscanf(at + 1 + closes, "%15[a-z0-9]", name) != 1)
            return at;
        if (closes && (depth == 0 || strcmp(open[--depth], name) != 0))
            return at;
        if (!closes && depth < 64)
            strcpy(open[depth++], name);
    }
    return depth == 0 ? NULL : "at the end";
}

#endif
