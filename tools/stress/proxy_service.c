/* What of a link waits for the server's capacity, and what became of it; see proxy_link.h.
 *
 * With a capacity a connection reaches the server when its turn has come, and each request of it has a
 * turn of its own. The bytes of a request that waits lie in the link's queue as a stalled mark with the
 * request's number, and its turn lets them pass. Without one everything passes as it comes.
 *
 * Whether work was in vain is known late: a request's is when its reply has gone to the client, or the
 * link ends without one; a connection's when it has had its first reply, or none to its end. The meter
 * counts it where the work came, so that a storm is seen where it blew.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/proxy_link.h"

enum { FIRST_SINCE = 8 };

static void tally(const struct hgi_hub *hub, uint32_t *counts, int64_t at_ns)
{
    const struct hgi_proxy_meter *meter = &hub->meter;
    if (meter->count == 0 || at_ns < meter->began_ns)
        return;
    int64_t bucket = (at_ns - meter->began_ns) / meter->bucket_ns;
    if (bucket < (int64_t)meter->count)
        counts[bucket]++;
}

static bool is_kept(const struct hgi_hub *hub)
{
    return hub->capacity.unit_ns > 0 || hub->meter.count > 0;
}

static void came(struct hgi_hub *hub, int64_t at_ns)
{
    hub->stats.came++;
    tally(hub, hub->meter.came, at_ns);
}

static void served(struct hgi_hub *hub)
{
    hub->stats.served++;
    tally(hub, hub->meter.served, monotonic_ns());
}

bool hgi_service_begin(struct hgi_link *link)
{
    struct hgi_hub *hub = link->hub;
    struct hgi_service *s = &link->service;
    s->admitted = hub->capacity.unit_ns == 0;
    if (!is_kept(hub))
        return true;
    s->came_ns = monotonic_ns();
    came(hub, s->came_ns);
    if (s->admitted) {
        served(hub);
        return true;
    }
    s->in_line = hgi_capacity_join(&hub->capacity, link, HGI_JOB_CONNECTION, s->came_ns);
    return s->in_line > 0;
}

/* Remember when a request came. */
static bool remember(struct hgi_service *s, int64_t now_ns)
{
    if (s->since_head == s->since_tail)
        s->since_head = s->since_tail = 0;
    if (s->since_tail == s->since_size && s->since_head > 0) {
        memmove(s->since_ns, s->since_ns + s->since_head,
                (s->since_tail - s->since_head) * sizeof *s->since_ns);
        s->since_tail -= s->since_head;
        s->since_head = 0;
    }
    if (s->since_tail == s->since_size) {
        size_t size = s->since_size ? 2 * s->since_size : FIRST_SINCE;
        int64_t *since_ns = realloc(s->since_ns, size * sizeof *since_ns);
        if (!since_ns)
            return false;
        s->since_ns = since_ns;
        s->since_size = size;
    }
    s->since_ns[s->since_tail++] = now_ns;
    return true;
}

/* A request is there to its last byte. */
static bool end_request(struct hgi_link *link)
{
    struct hgi_hub *hub = link->hub;
    struct hgi_service *s = &link->service;
    s->whole++;
    if (!is_kept(hub))
        return true;
    int64_t now_ns = monotonic_ns();
    came(hub, now_ns);
    if (!remember(s, now_ns))
        return false;
    if (hub->capacity.unit_ns == 0) {
        served(hub);
        s->sent++;
        return true;
    }
    s->in_line++;
    return hgi_capacity_join(&hub->capacity, link, HGI_JOB_REQUEST, now_ns);
}

bool hgi_service_requests(struct hgi_link *link, const char *bytes, size_t length)
{
    bool waits = link->hub->capacity.unit_ns > 0;
    struct hgi_mark mark = { .what = waits ? HGI_MARK_STALLED : HGI_MARK_PASS };
    while (length > 0) {
        enum hgi_resp_event event;
        size_t used = hgi_resp_scan(&link->up.resp, bytes, length, &event);
        mark.reply = link->service.whole;
        if (!link->server_deaf && !hgi_queue_add(&link->up.queue, bytes, used, &mark))
            return false;
        bytes += used;
        length -= used;
        link->hub->stats.requests += event == HGI_RESP_REPLY;
        /* What is no RESP has no end: it is the server's affair, piece by piece. */
        if ((event == HGI_RESP_REPLY || event == HGI_RESP_LOST) && !end_request(link))
            return false;
    }
    return true;
}

void hgi_service_answered(struct hgi_link *link)
{
    struct hgi_service *s = &link->service;
    if (s->unanswered == 0) /* nobody asked: "max number of clients reached" */
        return;
    s->unanswered--;
    hgi_capacity_answered(&link->hub->capacity, 1, monotonic_ns());
}

void hgi_service_delivered(struct hgi_link *link, uint64_t replies)
{
    struct hgi_service *s = &link->service;
    for (; replies > 0 && s->since_head < s->since_tail; replies--) {
        s->since_head++;
        s->answered = true;
    }
}

void hgi_service_end(struct hgi_link *link)
{
    struct hgi_hub *hub = link->hub;
    struct hgi_service *s = &link->service;
    size_t requests_in_line = s->in_line - (s->in_line > 0 && !s->admitted);
    hub->stats.in_vain += s->since_tail - s->since_head - requests_in_line;
    for (; s->since_head < s->since_tail; s->since_head++)
        tally(hub, hub->meter.wasted, s->since_ns[s->since_head]);
    if (s->came_ns && !s->answered) {
        hub->stats.in_vain += s->admitted;
        tally(hub, hub->meter.wasted, s->came_ns);
    }
    free(s->since_ns);
    s->since_ns = NULL;
    if (hub->capacity.unit_ns == 0)
        return;
    hgi_capacity_forget(&hub->capacity, link);
    hgi_capacity_answered(&hub->capacity, s->unanswered, monotonic_ns());
}

bool hgi_service_pending(const struct hgi_link *link)
{
    return link->service.in_line > 0 || link->service.unanswered > 0;
}

size_t hgi_service_space(const struct hgi_link *link)
{
    size_t space = hgi_queue_space(&link->up.queue);
    /* A request that is longer than the queue never gets its turn unless all of it is taken in. */
    bool whole = link->up.resp.state == HGI_RESP_TYPE && link->up.resp.depth == 0;
    return space > 0 || link->hub->capacity.unit_ns == 0 || whole ? space : HGI_QUEUE_LIMIT;
}

static bool is_another(void *arg, uint64_t request)
{
    return request != *(const uint64_t *)arg;
}

static void serve(struct hgi_link *link, enum hgi_job_kind kind)
{
    struct hgi_service *s = &link->service;
    s->in_line--;
    served(link->hub);
    if (kind == HGI_JOB_CONNECTION) {
        s->admitted = true;
    } else {
        hgi_queue_unstall(&link->up.queue, is_another, &s->sent);
        s->sent++;
        s->unanswered++;
    }
    hgi_link_wake(link);
}

void hgi_links_serve(struct hgi_hub *hub)
{
    struct hgi_job job;
    while (hgi_capacity_take(&hub->capacity, monotonic_ns(), &job))
        serve(job.owner, job.kind);
}
