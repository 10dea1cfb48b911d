/* Holds a breaker to its promises; see breaker_watch.h. */
#include "tools/stress/breaker_watch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void hgi_breaker_watch_begin(struct hgi_breaker_watch *watch, int64_t began_ns, int64_t grace_ns,
                             uint32_t max_calls)
{
    *watch = (struct hgi_breaker_watch) { .lock = PTHREAD_MUTEX_INITIALIZER,
                                          .began_ns = began_ns,
                                          .grace_ns = grace_ns,
                                          .max_calls = max_calls,
                                          .state = HG_BREAKER_CLOSED,
                                          .well_since_ns = INT64_MAX };
}

void hgi_breaker_watch_well(struct hgi_breaker_watch *watch, int64_t since_ns, int64_t until_ns)
{
    pthread_mutex_lock(&watch->lock);
    watch->well_since_ns = since_ns;
    watch->well_until_ns = until_ns;
    pthread_mutex_unlock(&watch->lock);
}

void hgi_breaker_watch_end(struct hgi_breaker_watch *watch)
{
    pthread_mutex_destroy(&watch->lock);
}

static void broken(struct hgi_breaker_counts *counts, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void broken(struct hgi_breaker_counts *counts, const char *format, ...)
{
    if (counts->broken++ > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(counts->first_broken, sizeof counts->first_broken, format, arguments);
    va_end(arguments);
}

static bool is_legal(hg_breaker_state from, hg_breaker_state to)
{
    return (from == HG_BREAKER_CLOSED && to == HG_BREAKER_OPEN) ||
           (from == HG_BREAKER_OPEN && to == HG_BREAKER_HALF_OPEN) ||
           (from == HG_BREAKER_HALF_OPEN && (to == HG_BREAKER_OPEN || to == HG_BREAKER_CLOSED));
}

static void check(struct hgi_breaker_watch *watch, const struct hg_breaker_event *event)
{
    struct hgi_breaker_counts *counts = &watch->counts;
    bool first = watch->joined && !watch->known;
    if (event->missed == 0 && !first && event->from != watch->state)
        broken(counts, "a transition from %s was told while it was %s",
               hg_breaker_state_name(event->from), hg_breaker_state_name(watch->state));
    if (event->missed == 0 && !is_legal(event->from, event->to))
        broken(counts, "it went from %s to %s", hg_breaker_state_name(event->from),
               hg_breaker_state_name(event->to));
    if (watch->known && event->missed == 0 &&
        event->generation != ((watch->generation + 1) & UINT16_MAX))
        broken(counts, "generation %" PRIu32 " followed %" PRIu32, event->generation,
               watch->generation);
    if (event->from == HG_BREAKER_OPEN && event->to == HG_BREAKER_HALF_OPEN &&
        watch->state == HG_BREAKER_OPEN && !watch->opened_elsewhere &&
        event->at_ns - watch->opened_ns < watch->open_period_ns - HGI_BREAKER_SLACK_NS)
        broken(counts, "half-open after %.0f of %.0f ms",
               (double)(event->at_ns - watch->opened_ns) / 1e6,
               (double)watch->open_period_ns / 1e6);
}

static void count(struct hgi_breaker_watch *watch, const struct hg_breaker_event *event)
{
    struct hgi_breaker_counts *counts = &watch->counts;
    counts->transitions++;
    counts->opened += event->to == HG_BREAKER_OPEN;
    counts->half_opened += event->to == HG_BREAKER_HALF_OPEN;
    counts->closed += event->to == HG_BREAKER_CLOSED;
    if (event->from == HG_BREAKER_CLOSED) {
        watch->left_closed_ns = event->at_ns;
        counts->false_opens += watch->well_since_ns < event->at_ns - watch->grace_ns &&
                               event->at_ns < watch->well_until_ns;
    }
    if (event->to == HG_BREAKER_OPEN) {
        watch->opened_ns = event->at_ns;
        watch->opened_elsewhere = event->elsewhere;
        watch->open_period_ns = event->retry_after_ns;
    }
    if (event->to == HG_BREAKER_CLOSED)
        counts->open_ns += event->at_ns - watch->left_closed_ns;
    if (counts->mark_count < HGI_MARKS_MAX)
        counts->mark[counts->mark_count++] =
            (struct hgi_breaker_mark) { .at_ns = event->at_ns - watch->began_ns,
                                        .open_ns = event->retry_after_ns,
                                        .state = event->to };
}

void hgi_breaker_watch_event(void *arg, const struct hg_breaker_event *event)
{
    struct hgi_breaker_watch *watch = arg;
    pthread_mutex_lock(&watch->lock);
    check(watch, event);
    count(watch, event);
    watch->state = event->to;
    watch->generation = event->generation;
    watch->known = true;
    pthread_mutex_unlock(&watch->lock);
}

void hgi_breaker_watch_look(struct hgi_breaker_watch *watch, hg_breaker *breaker)
{
    struct hg_breaker_snapshot snapshot = { .size = sizeof snapshot };
    hg_breaker_take_snapshot(breaker, &snapshot);
    if (snapshot.state != HG_BREAKER_HALF_OPEN)
        return;
    pthread_mutex_lock(&watch->lock);
    if (snapshot.probes_issued > watch->counts.probes_most)
        watch->counts.probes_most = snapshot.probes_issued;
    if (snapshot.probes_issued > watch->max_calls)
        broken(&watch->counts, "%" PRIu32 " probes in a half-open period that has %" PRIu32,
               snapshot.probes_issued, watch->max_calls);
    pthread_mutex_unlock(&watch->lock);
}

void hgi_breaker_watch_read(struct hgi_breaker_watch *watch, int64_t now_ns,
                            struct hgi_breaker_counts *out)
{
    pthread_mutex_lock(&watch->lock);
    *out = watch->counts;
    if (watch->state != HG_BREAKER_CLOSED)
        out->open_ns += now_ns - watch->left_closed_ns;
    pthread_mutex_unlock(&watch->lock);
}
