/* What was noted of a breaker, held against what it promises. Pure.
 *
 * Nobody sees the instant of a transition from outside. What is known: it happened between at_ns, when the
 * thread that made it looked at the clock, and told_ns, when the listener was called. An admission happened
 * between asked_ns and got_ns. Only what these leave no doubt of is counted against the breaker.
 */
#include <inttypes.h>

#include "tools/stress/breaker.h"

/* Turn i has not been followed by another before this time. Who made the next one was killed before it could
 * tell when, or that: then nothing is known but that it came later than this one. */
static int64_t lasts_until(const struct hgi_breaker_results *r, uint32_t i)
{
    const struct hgi_turn *turn = &r->turn[i], *next = turn + 1;
    if (i + 1 == r->turn_count)
        return r->counts.transitions == r->snapshot.transitions ? r->stamp.took_ns : turn->told_ns;
    bool told = !next->elsewhere && next->generation == ((turn->generation + 1) & UINT16_MAX);
    return told ? next->at_ns : turn->told_ns;
}

/* Admissions asked for not before from_ns and had not after until_ns. */
static uint32_t within(const struct hgi_breaker_results *r, int64_t from_ns, int64_t until_ns)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->admission_count; i++)
        count += r->admission[i].asked_ns >= from_ns && r->admission[i].got_ns <= until_ns;
    return count;
}

uint32_t hgi_breaker_admitted_open(const struct hgi_breaker_results *r)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->turn_count; i++) {
        if (r->turn[i].to != HG_BREAKER_OPEN || r->turn[i].elsewhere)
            continue;
        int64_t until_ns = r->turn[i].at_ns + r->turn[i].period_ns - HGI_BREAKER_SLACK_NS;
        count += within(r, r->turn[i].told_ns, until_ns);
    }
    return count;
}

static uint32_t probes_of(const struct hgi_breaker_results *r, uint32_t turn)
{
    return within(r, r->turn[turn].told_ns, lasts_until(r, turn));
}

uint32_t hgi_breaker_probes_most(const struct hgi_breaker_results *r)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < r->turn_count; i++) {
        if (r->turn[i].to != HG_BREAKER_HALF_OPEN)
            continue;
        uint32_t probes = probes_of(r, i);
        most = probes > most ? probes : most;
    }
    return most;
}

/* Attempts that the outage held may end as long after it. */
static bool is_explained(const struct hgi_breaker_results *r, int64_t at_ns)
{
    for (uint32_t i = 0; i < r->outage_count; i++) {
        int64_t up_ns = r->outage[i].up_ns >= 0 ? r->outage[i].up_ns : INT64_MAX / 2;
        if (at_ns >= r->outage[i].down_ns &&
            at_ns <= up_ns + 2 * r->settings.attempt_timeout_ns + HGI_BREAKER_SLACK_NS)
            return true;
    }
    return false;
}

uint64_t hgi_breaker_untold(const struct hgi_breaker_results *r)
{
    return r->snapshot.transitions > r->counts.transitions
               ? r->snapshot.transitions - r->counts.transitions
               : 0;
}

uint32_t hgi_breaker_false_opens(const struct hgi_breaker_results *r)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->turn_count; i++)
        count += r->turn[i].from == HG_BREAKER_CLOSED && r->turn[i].to == HG_BREAKER_OPEN &&
                 !is_explained(r, r->turn[i].at_ns);
    return count;
}

struct hgi_outage_figures hgi_breaker_outage(const struct hgi_breaker_results *r, uint32_t which)
{
    struct hgi_outage_figures figures = { -1, -1, -1, 0, 0 };
    const struct hgi_outage *outage = &r->outage[which];
    int64_t until_ns =
        which + 1 < r->outage_count ? r->outage[which + 1].down_ns : r->stamp.took_ns;
    for (uint32_t i = 0; i < r->turn_count; i++) {
        const struct hgi_turn *turn = &r->turn[i];
        if (turn->at_ns < outage->down_ns || turn->at_ns >= until_ns)
            continue;
        if (turn->to == HG_BREAKER_OPEN) {
            if (figures.opened_after_ns < 0)
                figures.opened_after_ns = turn->at_ns - outage->down_ns;
            if (figures.closed_after_ns < 0)
                figures.period_ns = turn->period_ns;
        } else if (turn->to == HG_BREAKER_HALF_OPEN) {
            figures.half_opened++;
            figures.probes += probes_of(r, i);
        } else if (turn->to == HG_BREAKER_CLOSED && figures.closed_after_ns < 0 &&
                   outage->up_ns >= 0 && turn->at_ns >= outage->up_ns) {
            figures.closed_after_ns = turn->at_ns - outage->up_ns;
        }
    }
    return figures;
}

void hgi_breaker_broken(char *out, size_t size, const struct hgi_breaker_results *r)
{
    uint32_t max_calls = r->settings.breaker.half_open_max_calls;
    uint32_t open = hgi_breaker_admitted_open(r);
    uint32_t probes = hgi_breaker_probes_most(r);
    uint64_t untold = hgi_breaker_untold(r);
    uint64_t issued_most = (uint64_t)max_calls * (r->counts.half_opened + untold);
    out[0] = '\0';
    if (open > 0)
        snprintf(out, size, "%" PRIu32 " calls were admitted while the breaker was open", open);
    else if (probes > max_calls)
        snprintf(out, size, "%" PRIu32 " calls were admitted in a half-open period, of %" PRIu32,
                 probes, max_calls);
    else if (r->snapshot.probes > issued_most)
        snprintf(out, size, "%" PRIu64 " probes in %" PRIu64 " half-open periods of %" PRIu32,
                 r->snapshot.probes, r->counts.half_opened, max_calls);
    else if (r->counts.broken > 0)
        snprintf(out, size, "%" PRIu64 " promises broken; first: %s", r->counts.broken,
                 r->counts.first_broken);
    else if (r->counts.transitions > r->snapshot.transitions ||
             (untold > 0 && r->kill_count == 0 && !r->turns_lost))
        snprintf(out, size, "%" PRIu64 " transitions were told of %" PRIu64, r->counts.transitions,
                 r->snapshot.transitions);
}

void hgi_breaker_verdict(char *out, size_t size, const struct hgi_breaker_results *r)
{
    uint32_t closed = 0;
    char broken[300], shared[120] = "";
    hgi_breaker_broken(broken, sizeof broken, r);
    for (uint32_t i = 0; i < r->outage_count; i++)
        closed += hgi_breaker_outage(r, i).closed_after_ns >= 0;
    if (r->settings.processes > 1)
        snprintf(shared, sizeof shared,
                 "%" PRIu32
                 " processes shared the breaker, and one of them was killed (-9) %" PRIu32
                 " times. ",
                 r->settings.processes, r->kill_count);
    if (broken[0])
        snprintf(out, size, "Broken: %s.", broken);
    else
        snprintf(
            out, size,
            "%sOf %" PRIu64 " calls %" PRIu64 " were refused, none was admitted while the breaker "
            "was open, no half-open period had more than %" PRIu32 " probes, it opened %" PRIu32
            " times without cause, and it closed after %" PRIu32 " of %" PRIu32 " outages.",
            shared, r->calls, r->refused, r->settings.breaker.half_open_max_calls,
            hgi_breaker_false_opens(r), closed, r->outage_count);
}
