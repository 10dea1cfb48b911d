/* What a run of concurrency comes to. Pure. */
#include <inttypes.h>
#include <string.h>

#include "tools/common/terminal.h"
#include "tools/stress/concurrency.h"
#include "tools/stress/worker_sum.h"

/* Left over in memory: what an allocator and a C library keep for themselves after the first use is
 * below this; one connection or value that is leaked per call is far above it. */
static const int64_t memory_slack = 4 << 20;

void hgi_concurrency_broken(char *out, size_t size, const struct hgi_concurrency_results *results)
{
    const struct hgi_worker *sum = &results->sum;
    out[0] = '\0';
    if (hgi_worker_broken(out, size, sum))
        return;
    if (results->close_failure[0])
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
    else if (sum->failed > 0 && !results->settings.target.given && !results->settings.policy &&
             !results->stamp.server_lost)
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
                 sum->failed,
                 hgi_format_count(calls, sizeof calls, hgi_worker_calls(&results->sum)),
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
