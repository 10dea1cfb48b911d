/* The name that a run of breaker --shared gives its breaker.
 *
 * It is the run's own, "/herdgate-stress-PID", and goes with it. Where the tool is killed before that, the next
 * run removes it: that of a process which does not live, and which nobody holds. (The lock is for processes that
 * do not see each other's ids and share the file system all the same, as containers may.)
 */
#ifndef HERDGATE_TOOLS_STRESS_BREAKER_NAME_H
#define HERDGATE_TOOLS_STRESS_BREAKER_NAME_H

enum { HGI_BREAKER_NAME_SIZE = 64 };

struct hgi_breaker_name {
    char text[HGI_BREAKER_NAME_SIZE]; /* "": none was made */
    int lock;                         /* the file, open and locked; -1: it could not be */
};

/* Remove what runs that were killed have left, and make a name. */
void hgi_breaker_name_make(struct hgi_breaker_name *name);

/* The breaker of that name is there now: until the end it is this process's. */
void hgi_breaker_name_hold(struct hgi_breaker_name *name);

/* Remove it. */
void hgi_breaker_name_end(struct hgi_breaker_name *name);

#endif
