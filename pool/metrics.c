/* The pool's numbers as OpenMetrics text.
 *
 * One pass over slots and stripes, then print. The text is made in the caller's buffer as snprintf()
 * would: what does not fit is counted and not written. No floating point is printed, because the
 * decimal point of printf() is the locale's and that of OpenMetrics is not.
 */
#include <herdgate/stats.h>

#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "pool/internal.h"

/* Text under way. */
struct out {
    char *buffer;
    size_t size;
    size_t length; /* of the whole text, also of what did not fit */
    const char *pool;
};

static void put_char(struct out *out, char c)
{
    if (out->length + 1 < out->size)
        out->buffer[out->length] = c;
    out->length++;
}

static void put_text(struct out *out, const char *text)
{
    for (; *text; text++)
        put_char(out, *text);
}

static void put_number(struct out *out, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    put_text(out, text);
}

/* "# TYPE herdgate_name text" and its like. */
static void put_comment(struct out *out, const char *kind, const char *name, const char *text)
{
    put_text(out, kind);
    put_text(out, " herdgate_");
    put_text(out, name);
    put_char(out, ' ');
    put_text(out, text);
    put_char(out, '\n');
}

/* A label's value: backslash, quote and newline are escaped, other control characters are not text. */
static void put_value(struct out *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n') {
            put_text(out, "\\n");
        } else if (*value == '"' || *value == '\\') {
            put_char(out, '\\');
            put_char(out, *value);
        } else {
            put_char(out, (unsigned char)*value < ' ' || *value == 0x7f ? '?' : *value);
        }
    }
}

static void put_family(struct out *out, const char *name, const char *type, const char *help)
{
    const char *unit = strstr(name, "_seconds");
    put_comment(out, "# TYPE", name, type);
    if (unit && !unit[8])
        put_comment(out, "# UNIT", name, "seconds");
    put_comment(out, "# HELP", name, help);
}

/* A label of a sample; name NULL: none. */
struct label {
    const char *name;
    const char *value;
};

static void put_name(struct out *out, const char *name, struct label first, struct label second)
{
    const struct label labels[] = { { out->pool ? "pool" : NULL, out->pool }, first, second };
    char before = '{';
    put_text(out, "herdgate_");
    put_text(out, name);
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        if (!labels[i].name)
            continue;
        put_char(out, before);
        put_text(out, labels[i].name);
        put_text(out, "=\"");
        put_value(out, labels[i].value);
        put_char(out, '"');
        before = ',';
    }
    if (before == ',')
        put_char(out, '}');
    put_char(out, ' ');
}

static const struct label none = { NULL, NULL };

static void put_sample(struct out *out, const char *name, struct label first, struct label second,
                       uint64_t number)
{
    put_name(out, name, first, second);
    put_number(out, number);
    put_char(out, '\n');
}

/* A counter with no labels of its own. */
static void put_counter(struct out *out, const char *name, const char *help, uint64_t number)
{
    char sample[64];
    put_family(out, name, "counter", help);
    snprintf(sample, sizeof sample, "%s_total", name);
    put_sample(out, sample, none, none, number);
}

/* --- the cells --- */

/* The same counter of all cells; `at` is where it lies in the first. */
static uint64_t sum(const hg_pool *pool, const _Atomic uint64_t *at)
{
    size_t offset = (size_t)((const char *)at - (const char *)pool->tallies);
    uint64_t total = 0;
    for (size_t i = 0; i < HGI_TALLIES; i++) {
        const void *counter = (const char *)&pool->tallies[i] + offset;
        /* relaxed: a number for people. */
        total += atomic_load_explicit((const _Atomic uint64_t *)counter, memory_order_relaxed);
    }
    return total;
}

static uint64_t read_one(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed); /* relaxed: as above */
}

static const char *class_name(size_t kind)
{
    static const char *const names[HGI_CLASS_KINDS] = {
        [HGI_CLASS_READ] = "read",
        [HGI_CLASS_WRITE] = "write",
        [HGI_CLASS_WRITE_ONCE] = "write_once",
        [HGI_CLASS_BLOCKING] = "blocking",
        [HGI_CLASS_SCRIPT] = "script",
        [HGI_CLASS_TRANSACTION] = "transaction",
        [HGI_CLASS_CONNECTION] = "connection",
        [HGI_CLASS_ADMIN] = "admin",
    };
    return names[kind];
}

static void put_calls(struct out *out, const hg_pool *pool)
{
    const struct hgi_tally *first = pool->tallies;
    put_family(out, "calls", "counter", "Calls that ended, by built-in class and result.");
    for (size_t kind = 0; kind < HGI_CLASS_KINDS; kind++) {
        const struct label class = { "class", class_name(kind) };
        put_sample(out, "calls_total", class, (struct label) { "result", "ok" },
                   sum(pool, &first->well[kind]));
        put_sample(out, "calls_total", class, (struct label) { "result", "ignored" },
                   sum(pool, &first->calls_ignored[kind]));
        put_sample(out, "calls_total", class, (struct label) { "result", "failed" },
                   sum(pool, &first->calls_failed[kind]));
    }
    put_family(out, "attempts", "counter", "Attempts, by built-in class and outcome.");
    for (size_t kind = 0; kind < HGI_CLASS_KINDS; kind++)
        for (size_t i = 0; i < HGI_TALLY_OUTCOMES; i++)
            put_sample(out, "attempts_total", (struct label) { "class", class_name(kind) },
                       (struct label) { "outcome", hg_outcome_name((hg_outcome)i) },
                       sum(pool, &first->attempts[kind][i]) +
                           (i == HG_OUTCOME_EXECUTED ? sum(pool, &first->well[kind]) : 0));
    put_family(out, "retries", "counter",
               "Of these, attempts after the first, by built-in class and outcome.");
    for (size_t kind = 0; kind < HGI_CLASS_KINDS; kind++)
        for (size_t i = 0; i < HGI_TALLY_OUTCOMES; i++)
            put_sample(out, "retries_total", (struct label) { "class", class_name(kind) },
                       (struct label) { "outcome", hg_outcome_name((hg_outcome)i) },
                       sum(pool, &first->retries[kind][i]));
    put_family(out, "stops", "counter",
               "Calls that failed after an attempt, by why no further attempt was made.");
    for (size_t i = HG_STOP_ATTEMPTS; i < HGI_TALLY_STOPS; i++)
        put_sample(out, "stops_total",
                   (struct label) { "reason", hg_stop_reason_name((hg_stop_reason)i) }, none,
                   sum(pool, &first->stops[i]));
}

/* Only what has happened: 15 types by 4 severities would be mostly zeros. */
static void put_failures(struct out *out, const hg_pool *pool, const char *name, const char *help,
                         const _Atomic uint64_t (*failures)[HGI_TALLY_SEVERITIES])
{
    char sample[64];
    put_family(out, name, "counter", help);
    snprintf(sample, sizeof sample, "%s_total", name);
    for (int type = 1; type < HGI_TALLY_TYPES; type++) {
        for (int severity = 0; severity < HGI_TALLY_SEVERITIES; severity++) {
            uint64_t number = sum(pool, &failures[type][severity]);
            if (number > 0)
                put_sample(out, sample, (struct label) { "type", hg_status_name((hg_status)-type) },
                           (struct label) { "severity", hg_severity_name((hg_severity)severity) },
                           number);
        }
    }
}

/* `shared`: not striped; it is the pool's only one. */
static void put_histogram(struct out *out, const hg_pool *pool, const char *name, const char *help,
                          const struct hgi_histogram *histogram, bool shared)
{
    static const char *const bounds[HGI_TALLY_BUCKETS] = {
        "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
        "0.05",  "0.1",    "0.25",    "0.5",    "1.0",   "2.5",    "5.0",   "10.0", "+Inf",
    };
    char sample[64];
    uint64_t below = 0;
    put_family(out, name, "histogram", help);
    snprintf(sample, sizeof sample, "%s_bucket", name);
    for (size_t i = 0; i < HGI_TALLY_BUCKETS; i++) {
        const _Atomic uint64_t *bucket = &histogram->bucket[i];
        below += shared ? read_one(bucket) : sum(pool, bucket);
        put_sample(out, sample, (struct label) { "le", bounds[i] }, none, below);
    }
    uint64_t sum_ns = shared ? read_one(&histogram->sum_ns) : sum(pool, &histogram->sum_ns);
    snprintf(sample, sizeof sample, "%s_count", name);
    put_sample(out, sample, none, none, below);
    snprintf(sample, sizeof sample, "%s_sum", name);
    put_name(out, sample, none, none);
    put_number(out, sum_ns / HGI_NS_PER_S);
    snprintf(sample, sizeof sample, ".%09u\n", (unsigned)(sum_ns % HGI_NS_PER_S));
    put_text(out, sample);
}

/* --- the pool --- */

static void put_gauges(struct out *out, const struct hg_pool_stats *stats)
{
    put_family(out, "connections", "gauge", "Connections, by state.");
    put_sample(out, "connections", (struct label) { "state", "idle" }, none, stats->idle);
    put_sample(out, "connections", (struct label) { "state", "leased" }, none, stats->leased);
    put_sample(out, "connections", (struct label) { "state", "dialing" }, none, stats->dialing);
    put_sample(out, "connections", (struct label) { "state", "mending" }, none, stats->mending);
    put_family(out, "connections_max", "gauge", "How many there may be; 0 while suspended.");
    put_sample(out, "connections_max", none, none, stats->max_size);
    put_family(out, "suspended", "gauge", "1 while no connection is given out, else 0.");
    put_sample(out, "suspended", none, none, stats->suspended);
    put_family(out, "waiters", "gauge", "Callers that wait for a connection.");
    put_sample(out, "waiters", none, none, stats->waiting);
}

static void put_breaker(struct out *out, hg_pool *pool, const struct hg_pool_stats *stats)
{
    if (!pool->breaker)
        return;
    hg_breaker_state now = hg_breaker_state_now(pool->breaker);
    put_family(out, "breaker", "stateset", "The state of the circuit breaker.");
    for (int state = HG_BREAKER_CLOSED; state <= HG_BREAKER_DISABLED; state++)
        put_sample(
            out, "breaker",
            (struct label) { "herdgate_breaker", hg_breaker_state_name((hg_breaker_state)state) },
            none, now == (hg_breaker_state)state);
    put_family(out, "breaker_transitions", "counter", "Changes of its state, by the new state.");
    for (int state = HG_BREAKER_CLOSED; state <= HG_BREAKER_DISABLED; state++)
        put_sample(out, "breaker_transitions_total",
                   (struct label) { "to", hg_breaker_state_name((hg_breaker_state)state) }, none,
                   read_one(&pool->counters.transitions[state]));
    put_counter(out, "breaker_refusals", "Attempts that it did not admit.", stats->breaker_refused);
}

static void put_life(struct out *out, const hg_pool *pool, const struct hg_pool_stats *stats)
{
    put_counter(out, "dials", "Connections begun.", stats->dials);
    put_counter(out, "dial_failures", "Connections that were not made.", stats->dial_failures);
    put_family(out, "retired", "counter", "Connections closed by the pool, by reason.");
    for (size_t i = HG_RETIRED_FAILED; i < HG_RETIRED_CLOSING; i++) /* of these nobody can ask */
        put_sample(out, "retired_total",
                   (struct label) { "reason", hg_retirement_name((hg_retirement)i) }, none,
                   read_one(&pool->counters.retired[i]));
    put_counter(out, "mended", "Connections that came back unclean, and were cleaned.",
                stats->mended);
    put_counter(out, "leases", "Connections given to callers.", stats->acquired);
    put_counter(out, "queued", "Callers that had to wait.", stats->queued);
    put_counter(out, "handed", "Connections handed to a waiter without being free in between.",
                stats->handed);
    put_counter(out, "pool_timeouts", "Callers that got no connection.", stats->pool_timeouts);
    put_counter(out, "budget_refusals", "Retries that the budget did not allow.",
                stats->budget_refused);
}

size_t hg_pool_write_metrics(hg_pool *pool, const char *name, char *buffer, size_t size)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    struct out out = { .buffer = buffer, .size = buffer ? size : 0, .pool = name };
    if (!pool)
        return 0;
    hg_pool_read_stats(pool, &stats);
    const struct hgi_tally *first = pool->tallies;
    put_gauges(&out, &stats);
    put_calls(&out, pool);
    put_failures(&out, pool, "call_failures", "Calls that failed, by type and severity.",
                 first->failed_calls);
    put_failures(&out, pool, "attempt_failures",
                 "Attempts that failed or got no connection, by type and severity.",
                 first->failed_attempts);
    put_breaker(&out, pool, &stats);
    put_life(&out, pool, &stats);
    put_histogram(&out, pool, "wait_seconds", "Waiting for a connection, of those that had to.",
                  &first->wait, false);
    put_histogram(&out, pool, "use_seconds", "A connection in use, by one attempt or lease.",
                  &first->use, false);
    put_histogram(&out, pool, "dial_seconds", "Making a connection, set-up included.",
                  &pool->counters.dial_time, true);
    put_text(&out, "# EOF\n");
    if (out.size > 0)
        out.buffer[out.length < out.size ? out.length : out.size - 1] = '\0';
    return out.length;
}
