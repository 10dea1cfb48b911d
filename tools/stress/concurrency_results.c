/* What a run of concurrency comes to. Pure. */
#include <inttypes.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/stress/concurrency.h"

/* Left over in memory: what an allocator and a C library keep for themselves after the first use is
 * below this; one connection or value that is leaked per call is far above it. */
static const int64_t memory_slack = 4 << 20;

static void keep_first(char *into, size_t size, const char *text)
{
    if (!into[0])
        snprintf(into, size, "%s", text);
}

void hgi_concurrency_add(struct hgi_worker *sum, struct hgi_worker *worker)
{
    for (int op = 0; op < HGI_OPS; op++)
        sum->calls[op] += worker->calls[op];
    for (int i = 0; i < HGI_STATUSES; i++)
        sum->failed_as[i] += worker->failed_as[i];
    sum->replies += worker->replies;
    sum->leases += worker->leases;
    sum->bytes += worker->bytes;
    sum->failed += worker->failed;
    sum->missing += worker->missing;
    sum->retries += worker->retries;
    sum->mismatches += worker->mismatches;
    sum->doubled += worker->doubled;
    sum->incr_acknowledged += worker->incr_acknowledged;
    sum->incr_unknown += worker->incr_unknown;
    sum->incr_over += worker->incr_over;
    sum->overruns += worker->overruns;
    if (worker->overrun_ns > sum->overrun_ns)
        sum->overrun_ns = worker->overrun_ns;
    sum->queue_ns += worker->queue_ns;
    sum->dial_ns += worker->dial_ns;
    sum->server_ns += worker->server_ns;
    sum->backoff_ns += worker->backoff_ns;
    sum->elapsed_ns += worker->elapsed_ns;
    keep_first(sum->first_failure, sizeof sum->first_failure, worker->first_failure);
    keep_first(sum->first_mismatch, sizeof sum->first_mismatch, worker->first_mismatch);
    keep_first(sum->first_doubled, sizeof sum->first_doubled, worker->first_doubled);
    keep_first(sum->first_over, sizeof sum->first_over, worker->first_over);
    keep_first(sum->first_overrun, sizeof sum->first_overrun, worker->first_overrun);
    hgi_histogram_merge(&sum->latency, &worker->latency);
    hgi_recording_move(&sum->recording, &worker->recording);
}

uint64_t hgi_concurrency_calls(const struct hgi_concurrency_results *results)
{
    uint64_t calls = 0;
    for (int op = 0; op < HGI_OPS; op++)
        calls += results->sum.calls[op];
    return calls;
}

void hgi_concurrency_broken(char *out, size_t size, const struct hgi_concurrency_results *results)
{
    const struct hgi_worker *sum = &results->sum;
    out[0] = '\0';
    if (sum->mismatches > 0)
        snprintf(out, size, "%" PRIu64 " replies did not belong to their command; first: %s",
                 sum->mismatches, sum->first_mismatch);
    else if (sum->incr_over > 0)
        snprintf(out, size, "%" PRIu64 " INCRs ran more than once; first: %s", sum->incr_over,
                 sum->first_over);
    else if (sum->doubled > 0)
        snprintf(out, size, "%" PRIu64 " leases were doubled; first: %s", sum->doubled,
                 sum->first_doubled);
    else if (results->close_failure[0])
        snprintf(out, size, "the pool did not close: %s", results->close_failure);
    else if (results->connections_left > 0)
        snprintf(out, size, "%" PRId64 " connections are left after closing",
                 results->connections_left);
    else if (results->descriptors_left > 0)
        snprintf(out, size, "%" PRId64 " descriptors are left after closing",
                 results->descriptors_left);
    else if (results->memory_left > memory_slack)
        snprintf(out, size, "%" PRId64 " bytes of memory are left after closing",
                 results->memory_left);
    else if (sum->failed > 0 && !results->settings.target.given && !results->settings.policy)
        snprintf(out, size, "%" PRIu64 " calls failed on a server that is well; first: %s",
                 sum->failed, sum->first_failure);
}

void hgi_concurrency_verdict(char *out, size_t size, const struct hgi_concurrency_results *results)
{
    char broken[400], replies[HGI_CELL_SIZE], calls[HGI_CELL_SIZE];
    const struct hgi_worker *sum = &results->sum;
    hgi_concurrency_broken(broken, sizeof broken, results);
    if (broken[0])
        snprintf(out, size, "Broken: %s.", broken);
    else if (sum->failed > 0)
        snprintf(out, size,
                 "%" PRIu64 " of %s calls failed (first: %s); the %s replies that came belonged to "
                 "their commands, no lease was doubled, nothing is left over.",
                 sum->failed, hgi_format_count(calls, sizeof calls, hgi_concurrency_calls(results)),
                 sum->first_failure, hgi_format_count(replies, sizeof replies, sum->replies));
    else
        snprintf(
            out, size,
            "Every one of %s replies belonged to its command, no lease was doubled, nothing is "
            "left over.",
            hgi_format_count(replies, sizeof replies, sum->replies));
}

struct hgi_time_shares hgi_concurrency_shares(const struct hgi_worker *sum)
{
    struct hgi_time_shares shares = { 0 };
    double all = (double)sum->elapsed_ns;
    if (all <= 0)
        return shares;
    shares.dial = (double)sum->dial_ns / all;
    shares.queue = (double)sum->queue_ns / all - shares.dial;
    shares.server = (double)sum->server_ns / all;
    shares.backoff = (double)sum->backoff_ns / all;
    shares.rest = 1 - shares.dial - shares.queue - shares.server - shares.backoff;
    if (shares.rest < 0)
        shares.rest = 0;
    return shares;
}
