/* The breaker's decisions; machine.h has the layout of the word.
 *
 * hgi_machine_step() asks the function of the word's state; each returns the word as it was or one
 * of the few that begin() and the with_ functions make. Invariants, checked for every edge by tests/breaker:
 * a new state always comes with generation + 1 · probes issued never exceed max_calls · an open word
 * admits nothing before its time · a permit of another generation changes nothing · closing takes
 * success_threshold successes of this generation · no probe outstanding longer than the lease keeps
 * it half-open.
 */
#include "breaker/machine.h"

#include <stddef.h>

#include "breaker/mix.h"

/* A clock reading up to this much before `start` is no time, and not a whole turn of the field. The
 * shell reads the clock after the word, so this is for clocks that differ between processors. */
enum { BACKWARD_TICKS = 256 };

static uint64_t begin(uint64_t word, enum hgi_state state, uint32_t streak, uint32_t start)
{
    uint64_t generation = (hgi_word_generation(word) + 1) & HGI_GENERATION_MAX;
    return (uint64_t)state << HGI_STATE_SHIFT | generation << HGI_GENERATION_SHIFT |
           (uint64_t)streak << HGI_STREAK_SHIFT | (uint64_t)start << HGI_START_SHIFT;
}

static uint64_t with_probes(uint64_t word, uint32_t start, uint32_t issued, uint32_t succeeded)
{
    uint64_t kept = word >> HGI_STREAK_SHIFT << HGI_STREAK_SHIFT;
    return kept | (uint64_t)start << HGI_START_SHIFT | (uint64_t)issued << HGI_ISSUED_SHIFT |
           succeeded;
}

static uint64_t with_failures(uint64_t word, uint32_t failures)
{
    return (word & ~(uint64_t)HGI_FAILURES_MAX) | failures;
}

static uint64_t opened(uint64_t word, uint32_t now)
{
    uint32_t streak = hgi_word_streak(word);
    return begin(word, HGI_OPEN, streak < HGI_STREAK_MAX ? streak + 1 : streak, now);
}

static uint32_t elapsed_ticks(uint64_t word, uint32_t now)
{
    uint32_t elapsed = (now - hgi_word_start(word)) & HGI_START_MAX;
    return elapsed > HGI_START_MAX - BACKWARD_TICKS ? 0 : elapsed;
}

uint32_t hgi_machine_open_ticks(const struct hgi_machine *machine, uint64_t word)
{
    uint32_t streak = hgi_word_streak(word);
    uint64_t longest = machine->open_ticks[streak > 0 ? streak - 1 : 0];
    uint64_t widest = longest * machine->jitter / HGI_JITTER_ONE;
    uint64_t random = hgi_mix(machine->seed + hgi_word_generation(word) * HGI_MIX_STEP) >> 32;
    uint64_t span = longest - ((widest + 1) * random >> 32);
    return span < HGI_SPAN_MIN ? HGI_SPAN_MIN : (uint32_t)span;
}

/* `>` and not `>=`: both ends of the elapsed time are rounded down, so one tick more than the span
 * makes sure that the span has passed whole. */
static bool is_due(const struct hgi_machine *machine, uint64_t word, uint32_t now)
{
    return elapsed_ticks(word, now) > hgi_machine_open_ticks(machine, word);
}

/* A lease runs only while a probe is outstanding: with none, its end would reopen a breaker that
 * has nothing against the server but few calls. */
static bool lease_has_ended(const struct hgi_machine *machine, uint64_t word, uint32_t now)
{
    return hgi_word_issued(word) > hgi_word_succeeded(word) &&
           elapsed_ticks(word, now) > machine->lease_ticks;
}

static struct hgi_step stay(uint64_t word, enum hgi_verdict verdict)
{
    return (struct hgi_step) { .word = word, .verdict = verdict };
}

static struct hgi_step admit(uint64_t word, uint64_t mark)
{
    return (struct hgi_step) { .word = word,
                               .permit = (word & HGI_GENERATION_MASK) | HGI_PERMIT_VALID | mark,
                               .verdict = HGI_ADMITTED };
}

static struct hgi_step step_closed(const struct hgi_machine *machine, uint64_t word,
                                   enum hgi_event event, uint32_t now)
{
    uint32_t failures = hgi_word_failures(word);
    switch (event) {
    case HGI_ADMIT:
    case HGI_ADMIT_PLAIN:
        return admit(word, 0);
    case HGI_SUCCESS:
        return stay(with_failures(word, 0), HGI_NOTHING);
    case HGI_FAILURE:
        if (machine->failure_threshold == 0)
            return stay(word, HGI_NOTHING);
        if (failures + 1 >= machine->failure_threshold)
            return stay(opened(word, now), HGI_NOTHING);
        return stay(with_failures(word, failures + 1), HGI_NOTHING);
    case HGI_TRIP:
    case HGI_TRIP_NOW:
        return stay(opened(word, now), HGI_NOTHING);
    default:
        return stay(word, HGI_NOTHING);
    }
}

static struct hgi_step step_open(const struct hgi_machine *machine, uint64_t word,
                                 enum hgi_event event, uint32_t now)
{
    switch (event) {
    case HGI_ADMIT:
        if (!is_due(machine, word, now))
            return stay(word, HGI_REFUSED);
        word = begin(word, HGI_HALF_OPEN, hgi_word_streak(word), now);
        return admit(with_probes(word, now, 1, 0), HGI_PERMIT_PROBE);
    case HGI_ADMIT_PLAIN:
        return stay(word, HGI_REFUSED);
    default:
        return stay(word, HGI_NOTHING);
    }
}

static struct hgi_step step_half_open(const struct hgi_machine *machine, uint64_t word,
                                      enum hgi_event event, uint32_t now)
{
    uint32_t issued = hgi_word_issued(word);
    uint32_t succeeded = hgi_word_succeeded(word);
    uint32_t start = hgi_word_start(word);
    switch (event) {
    case HGI_ADMIT:
        if (lease_has_ended(machine, word, now))
            return stay(begin(word, HGI_OPEN, hgi_word_streak(word), now), HGI_REFUSED);
        if (issued >= machine->max_calls)
            return stay(word, HGI_REFUSED);
        return admit(with_probes(word, now, issued + 1, succeeded), HGI_PERMIT_PROBE);
    case HGI_ADMIT_PLAIN:
        return stay(word, HGI_REFUSED);
    case HGI_SUCCESS:
        if (succeeded >= issued) /* nothing is outstanding: this permit was used before */
            return stay(word, HGI_NOTHING);
        if (succeeded + 1 >= machine->success_threshold)
            return stay(begin(word, HGI_CLOSED, 0, 0), HGI_NOTHING);
        return stay(with_probes(word, start, issued, succeeded + 1), HGI_NOTHING);
    case HGI_CANCEL:
        if (succeeded >= issued)
            return stay(word, HGI_NOTHING);
        return stay(with_probes(word, start, issued - 1, succeeded), HGI_NOTHING);
    case HGI_FAILURE:
        if (succeeded >= issued)
            return stay(word, HGI_NOTHING);
        return stay(opened(word, now), HGI_NOTHING);
    case HGI_TRIP:
    case HGI_TRIP_NOW:
        return stay(opened(word, now), HGI_NOTHING);
    default:
        return stay(word, HGI_NOTHING);
    }
}

/* An operator's word: it stays until the operator changes it. */
static struct hgi_step step_held(uint64_t word, enum hgi_event event)
{
    if (event != HGI_ADMIT && event != HGI_ADMIT_PLAIN)
        return stay(word, HGI_NOTHING);
    return hgi_word_state(word) == HGI_FORCED_OPEN ? stay(word, HGI_REFUSED) : admit(word, 0);
}

static struct hgi_step step_operator(uint64_t word, enum hgi_event event)
{
    enum hgi_state target = event == HGI_FORCE_OPEN    ? HGI_FORCED_OPEN
                            : event == HGI_FORCE_CLOSE ? HGI_FORCED_CLOSED
                            : event == HGI_DISABLE     ? HGI_DISABLED
                            : event == HGI_RETIRE      ? HGI_RETIRED
                                                       : HGI_CLOSED;
    /* A reset begins a new generation also where it is closed: what is under way is forgotten. */
    if (target == hgi_word_state(word) && event != HGI_RESET)
        return stay(word, HGI_NOTHING);
    return stay(begin(word, target, 0, 0), HGI_NOTHING);
}

static bool needs_permit(enum hgi_event event)
{
    return event == HGI_SUCCESS || event == HGI_FAILURE || event == HGI_CANCEL || event == HGI_TRIP;
}

struct hgi_step hgi_machine_step(const struct hgi_machine *machine, uint64_t word,
                                 enum hgi_event event, uint64_t permit, uint32_t now)
{
    enum hgi_state state = hgi_word_state(word);
    now &= HGI_START_MAX;
    if (needs_permit(event)) {
        if (!(permit & HGI_PERMIT_VALID))
            return stay(word, HGI_NOTHING);
        if ((permit ^ word) & HGI_GENERATION_MASK)
            return stay(word, HGI_LATE);
    }
    if (state >= HGI_RETIRED)
        return event == HGI_ADMIT || event == HGI_ADMIT_PLAIN ? admit(word, 0)
                                                              : stay(word, HGI_NOTHING);
    if (event >= HGI_FORCE_OPEN)
        return step_operator(word, event);
    switch (state) {
    case HGI_CLOSED:
        return step_closed(machine, word, event, now);
    case HGI_OPEN:
        return step_open(machine, word, event, now);
    case HGI_HALF_OPEN:
        return step_half_open(machine, word, event, now);
    default:
        return step_held(word, event);
    }
}

int64_t hgi_machine_retry_after(const struct hgi_machine *machine, uint64_t word, int64_t now_ns)
{
    uint32_t now = hgi_tick(now_ns);
    if (hgi_word_state(word) != HGI_OPEN || is_due(machine, word, now))
        return 0;
    int64_t ticks = (int64_t)hgi_machine_open_ticks(machine, word) + 1 - elapsed_ticks(word, now);
    return ticks * HGI_TICK_NS - now_ns % HGI_TICK_NS;
}

bool hgi_machine_is_legal(const struct hgi_machine *machine)
{
    if (machine->failure_threshold > HGI_FAILURES_MAX || machine->lease_ticks < 1 ||
        machine->lease_ticks > HGI_SPAN_MAX || machine->jitter > HGI_JITTER_ONE ||
        machine->max_calls < 1 || machine->max_calls > HGI_PROBES_MAX ||
        machine->success_threshold < 1 || machine->success_threshold > machine->max_calls)
        return false;
    for (size_t i = 0; i < HGI_STREAK_MAX; i++)
        if (machine->open_ticks[i] < HGI_SPAN_MIN || machine->open_ticks[i] > HGI_SPAN_MAX)
            return false;
    return true;
}

bool hgi_word_is_legal(const struct hgi_machine *machine, uint64_t word)
{
    uint64_t low = word & ((UINT64_C(1) << HGI_GENERATION_SHIFT) - 1);
    switch (hgi_word_state(word)) {
    case HGI_CLOSED:
        return low == 0 || low < machine->failure_threshold;
    case HGI_OPEN:
        return hgi_word_streak(word) >= 1 && hgi_word_failures(word) == 0;
    case HGI_HALF_OPEN:
        return hgi_word_streak(word) >= 1 && hgi_word_issued(word) <= machine->max_calls &&
               hgi_word_succeeded(word) <= hgi_word_issued(word) &&
               hgi_word_succeeded(word) < machine->success_threshold;
    default:
        return low == 0 && hgi_word_state(word) <= HGI_RETIRED;
    }
}
