/* The three standard streams, from a tool's first line to its last. */
#ifndef HERDGATE_TOOLS_COMMON_STANDARD_H
#define HERDGATE_TOOLS_COMMON_STANDARD_H

/* First in main(): where one of the three was closed by who started the tool, /dev/null takes its place.
 * Else the next socket would get its number, and what is printed would go to a server. */
void hgi_standard_begin(void);

/* Last in main(): has all that was printed on stdout arrived? If not (a full disk), stderr says so and the
 * status is HGI_EXIT_ENVIRONMENT, unless `code` already tells of a failure. */
int hgi_standard_end(const char *program, int code);

#endif
