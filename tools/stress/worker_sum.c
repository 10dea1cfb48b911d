/* What workers did, taken together; see worker_sum.h. */
#include "tools/stress/worker_sum.h"

#include <inttypes.h>
#include <stdio.h>

static void keep_first(char *into, size_t size, const char *text)
{
    if (!into[0])
        snprintf(into, size, "%s", text);
}

void hgi_worker_add(struct hgi_worker *sum, struct hgi_worker *worker)
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

uint64_t hgi_worker_calls(const struct hgi_worker *sum)
{
    uint64_t calls = 0;
    for (int op = 0; op < HGI_OPS; op++)
        calls += sum->calls[op];
    return calls;
}

bool hgi_worker_broken(char *out, size_t size, const struct hgi_worker *sum)
{
    if (sum->mismatches > 0)
        snprintf(out, size, "%" PRIu64 " replies did not belong to their command; first: %s",
                 sum->mismatches, sum->first_mismatch);
    else if (sum->incr_over > 0)
        snprintf(out, size, "%" PRIu64 " INCRs ran more than once; first: %s", sum->incr_over,
                 sum->first_over);
    else if (sum->doubled > 0)
        snprintf(out, size, "%" PRIu64 " leases were doubled; first: %s", sum->doubled,
                 sum->first_doubled);
    else if (sum->overruns > 0)
        snprintf(out, size, "%" PRIu64 " calls outlived their deadline; first: %s", sum->overruns,
                 sum->first_overrun);
    else
        return false;
    return true;
}
