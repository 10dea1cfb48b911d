/* USDT probes: places where bpftrace, perf or SystemTap look into a program that runs.
 *
 * A probe is one instruction that does nothing, and a note in the binary that says where it is and
 * where its arguments are; it costs nothing else until somebody attaches to it. Where <sys/sdt.h> was not
 * found, or HERDGATE_USDT is OFF, there is no instruction and no note either. README.md has the list.
 *
 * Arguments are numbers and pointers, and never a secret: they are what is at hand, because what a probe
 * would have to find out is found out whether somebody looks or not.
 */
#ifndef HERDGATE_BREAKER_PROBE_H
#define HERDGATE_BREAKER_PROBE_H

#ifdef HGI_USDT
#include <sys/sdt.h>

#ifdef __clang__ /* which is more pedantic of the header's macros than gcc, also where they are used */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

#define HGI_PROBE2(name, a, b) DTRACE_PROBE2(herdgate, name, a, b)
#define HGI_PROBE3(name, a, b, c) DTRACE_PROBE3(herdgate, name, a, b, c)
#define HGI_PROBE4(name, a, b, c, d) DTRACE_PROBE4(herdgate, name, a, b, c, d)

#else /* looked at by the compiler, and not evaluated */

#define HGI_PROBE2(name, a, b) ((void)sizeof(a), (void)sizeof(b))
#define HGI_PROBE3(name, a, b, c) (HGI_PROBE2(name, a, b), (void)sizeof(c))
#define HGI_PROBE4(name, a, b, c, d) (HGI_PROBE3(name, a, b, c), (void)sizeof(d))

#endif
#endif
