/* What becomes of replies on their way to the client; see proxy_link.h.
 *
 * The fate of a reply is asked for once, when its first byte is there, and holds to its last: so a
 * reply that comes in many pieces is late once, by its latency, and not once for each piece.
 */
#include "tools/common/timing.h"
#include "tools/stress/proxy_link.h"

/* A reply of which half shall pass is held back until its end is seen, or so much of it. */
enum { HALVE_AT = HGI_QUEUE_LIMIT / 2 };

static void count(struct hgi_link *link, uint32_t struck)
{
    for (uint32_t kind = 0; kind < HGI_TOXIC_KINDS; kind++)
        link->hub->stats.struck[kind] += struck >> kind & 1;
}

static enum hgi_mark_what mark_of(const struct hgi_reply_fate *fate)
{
    if (fate->stalled)
        return HGI_MARK_STALLED;
    return fate->halved ? HGI_MARK_GROWING : HGI_MARK_PASS;
}

/* A reply's first byte is there. */
static bool begin(struct hgi_link *link, bool push)
{
    link->in_reply = true;
    link->fate = (struct hgi_reply_fate) { 0 };
    link->mark = (struct hgi_mark) { .what = HGI_MARK_PASS };
    if (push || link->hub->toxics.count == 0)
        return true;
    int64_t now_ns = monotonic_ns();
    link->fate = hgi_toxics_reply(&link->hub->toxics, now_ns - link->hub->toxics_since_ns,
                                  link->number, link->reply);
    count(link, link->fate.struck);
    link->mark.what = mark_of(&link->fate);
    link->mark.reply = link->reply;
    link->mark.drip_ns = link->fate.drip_ns;
    if (link->fate.delay_ns > 0)
        link->mark.due_ns = now_ns + link->fate.delay_ns;
    if (link->fate.reset)
        return hgi_link_finish(link, HGI_MARK_RESET);
    if (!link->fate.garbled && !link->fate.forged)
        return true;
    char instead[HGI_TOXIC_GARBAGE_MAX];
    size_t length = link->fate.garbled ? hgi_toxic_garbage(link->fate.draw, instead)
                                       : hgi_toxic_forgery(link->fate.draw, instead);
    return hgi_queue_add(&link->down.queue, instead, length, &link->mark);
}

/* A reply's last byte is there. */
static bool end(struct hgi_link *link)
{
    link->in_reply = false;
    link->reply++;
    hgi_service_answered(link);
    if (link->fate.halved)
        return hgi_link_finish(link, HGI_MARK_CLOSE);
    if (!link->fate.garbled)
        hgi_queue_reply_ends(&link->down.queue);
    if (link->whole.replies == 0 || link->reply < (uint64_t)link->whole.replies)
        return true;
    link->hub->stats.struck[HGI_TOXIC_CLOSE_AFTER]++;
    return hgi_link_finish(link, HGI_MARK_CLOSE);
}

/* Bytes of the current reply. */
static bool pass(struct hgi_link *link, const char *bytes, size_t length)
{
    if (link->fate.garbled || link->fate.forged)
        return true;
    if (!hgi_queue_add(&link->down.queue, bytes, length, &link->mark))
        return false;
    return hgi_queue_growing(&link->down.queue) < HALVE_AT || hgi_link_finish(link, HGI_MARK_CLOSE);
}

bool hgi_link_replies(struct hgi_link *link, const char *bytes, size_t length)
{
    while (length > 0 && !link->closing) {
        enum hgi_resp_event event;
        if (!link->in_reply && !begin(link, *bytes == '>'))
            return false;
        if (link->closing)
            break;
        size_t used = hgi_resp_scan(&link->down.resp, bytes, length, &event);
        if (!pass(link, bytes, used))
            return false;
        if (event == HGI_RESP_PUSH)
            link->in_reply = false;
        else if (event == HGI_RESP_REPLY && !link->closing && !end(link))
            return false;
        bytes += used;
        length -= used;
    }
    return true;
}

void hgi_link_discard(struct hgi_link *link, const char *bytes, size_t length)
{
    while (length > 0) {
        enum hgi_resp_event event;
        size_t used = hgi_resp_scan(&link->down.resp, bytes, length, &event);
        if (event == HGI_RESP_REPLY)
            hgi_service_answered(link);
        bytes += used;
        length -= used;
    }
}

bool hgi_link_finish(struct hgi_link *link, enum hgi_mark_what what)
{
    struct hgi_mark mark = { .what = what };
    link->closing = true;
    hgi_queue_halve(&link->down.queue);
    return hgi_queue_add(&link->down.queue, NULL, 0, &mark);
}

static bool still_stalled(void *arg, uint64_t reply)
{
    const struct hgi_link *link = arg;
    const struct hgi_hub *hub = link->hub;
    return hgi_toxics_reply(&hub->toxics, monotonic_ns() - hub->toxics_since_ns, link->number,
                            reply)
        .stalled;
}

void hgi_link_unstall(struct hgi_link *link)
{
    hgi_queue_unstall(&link->down.queue, still_stalled, link);
    /* More of a reply that is on its way goes as its first bytes do. */
    if (link->in_reply && link->mark.what == HGI_MARK_STALLED && !still_stalled(link, link->reply))
        link->mark.what = HGI_MARK_PASS;
}
