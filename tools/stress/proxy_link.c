/* One connection through the proxy: its sockets, and moving bytes between them; see proxy_link.h.
 *
 * Both sockets are watched edge-triggered, once and for all; `readable` and `writable` remember what
 * epoll said until the kernel says otherwise. pump() moves what can be moved: a queue that is full
 * stops the reading before it, which is the back-pressure. Whatever waits for a time, and not for a
 * socket, sets the link's timer.
 */
#include "tools/stress/proxy_link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/common/timing.h"

enum {
    PIECE = 16 * 1024, /* what one read takes at most */
    ROUNDS = 16,       /* of a link that has ever more to do, before others have their turn */
    PIECES_A_SECOND = 100
};

#define REDIAL_NS (5 * NS_PER_MS)

static void close_side(struct hgi_side *side)
{
    if (side->fd < 0)
        return;
    /* A child between fork and exec holds a copy: epoll would go on reporting it. */
    epoll_ctl(side->link->hub->epoll, EPOLL_CTL_DEL, side->fd, NULL);
    close(side->fd);
    side->fd = -1;
}

/* Bytes that are left unread turn the end of the stream into a reset. */
static void drain(int fd)
{
    char bytes[PIECE];
    for (int i = 0; i < ROUNDS && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++)
        continue;
}

static void end_link(struct hgi_link *link, bool reset)
{
    struct hgi_hub *hub = link->hub;
    if (link->ended)
        return;
    link->ended = true;
    hgi_service_end(link);
    if (reset) {
        struct linger at_once = { .l_onoff = 1 };
        setsockopt(link->client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    } else {
        drain(link->client.fd);
        shutdown(link->client.fd, SHUT_RDWR);
    }
    close_side(&link->client);
    close_side(&link->server);
    hgi_timers_set(&hub->timers, &link->timer, HGI_TIMER_NEVER);
    *(link->previous ? &link->previous->next : &hub->first) = link->next;
    if (link->next)
        link->next->previous = link->previous;
    link->next = hub->ended;
    hub->ended = link;
    hub->stats.open--;
}

static bool watch(struct hgi_side *side)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = side };
    return epoll_ctl(side->link->hub->epoll, EPOLL_CTL_ADD, side->fd, &event) == 0;
}

/* Connect to the first address from `address` on that takes it. */
static void dial(struct hgi_link *link)
{
    struct hgi_hub *hub = link->hub;
    for (; link->address < hub->dial.count; link->address++) {
        int error = hgi_dial_begin(&hub->dial, link->address, &link->server.fd);
        if (error == EAGAIN) { /* a unix socket's backlog is full */
            link->redial_ns = monotonic_ns() + REDIAL_NS;
            return;
        }
        if (link->server.fd >= 0 && watch(&link->server)) {
            link->connected = link->server.writable = error == 0;
            return;
        }
        close_side(&link->server);
    }
    hub->stats.unreachable++;
    end_link(link, false);
}

/* epoll has news of a socket that was connecting. */
static void dialled(struct hgi_link *link)
{
    if (hgi_dial_result(link->server.fd) == 0) {
        link->connected = true;
        return;
    }
    close_side(&link->server);
    link->server = (struct hgi_side) { .link = link, .fd = -1 };
    link->address++;
    dial(link);
}

/* The client has ended its side. What it sent goes on to the server, if there is one yet. */
static void client_left(struct hgi_link *link)
{
    link->client_gone = true;
    link->closing = !hgi_service_pending(link);
    hgi_queue_free(&link->down.queue);
    if (!link->connected && link->closing)
        end_link(link, false);
}

/* A read gave nothing: has the stream ended? */
static bool is_over(struct hgi_side *side, ssize_t got)
{
    if (got < 0 && errno == EINTR)
        return false;
    side->readable = false;
    return got == 0 || errno != EAGAIN;
}

static void read_client(struct hgi_link *link)
{
    char bytes[PIECE];
    size_t space = hgi_service_space(link);
    if (!link->client.readable || link->client_gone || space == 0)
        return;
    size_t asked = space < sizeof bytes ? space : sizeof bytes;
    ssize_t got = recv(link->client.fd, bytes, asked, 0);
    if (got <= 0) {
        if (is_over(&link->client, got))
            client_left(link);
        return;
    }
    link->moved++;
    link->client.readable = (size_t)got == asked || link->client.ending;
    if (!hgi_service_requests(link, bytes, (size_t)got))
        end_link(link, false);
}

static void read_server(struct hgi_link *link)
{
    char bytes[PIECE];
    size_t space = hgi_queue_space(&link->down.queue);
    if (!link->server.readable || !link->connected || link->closing || space == 0)
        return;
    size_t asked = space < sizeof bytes ? space : sizeof bytes;
    ssize_t got = recv(link->server.fd, bytes, asked, 0);
    bool well = true;
    if (got > 0) {
        link->moved++;
        link->server.readable = (size_t)got == asked || link->server.ending;
        if (link->client_gone)
            hgi_link_discard(link, bytes, (size_t)got);
        else
            well = hgi_link_replies(link, bytes, (size_t)got);
    } else if (is_over(&link->server, got)) {
        well =
            !link->client_gone && hgi_link_finish(link, got == 0 ? HGI_MARK_CLOSE : HGI_MARK_RESET);
    }
    if (!well)
        end_link(link, false);
}

/* A write failed for good. */
static void refuses_bytes(struct hgi_link *link, struct hgi_side *side)
{
    if (side == &link->client) {
        client_left(link);
        return;
    }
    /* It may have said why before it closed. */
    link->server_deaf = true;
    hgi_queue_free(&link->up.queue);
    link->server.readable = link->server.ending = true;
}

static void account(struct hgi_link *link, struct hgi_flow *flow, size_t sent, int64_t now_ns)
{
    struct hgi_proxy_stats *stats = &link->hub->stats;
    int64_t rate = link->whole.bytes_per_second;
    link->moved++;
    if (rate > 0)
        flow->paced_ns = now_ns + (int64_t)sent * NS_PER_S / rate;
    uint64_t replies = hgi_queue_sent(&flow->queue, sent, now_ns);
    stats->replies += replies;
    if (flow == &link->down)
        hgi_service_delivered(link, replies);
    *(flow == &link->up ? &stats->bytes_to_server : &stats->bytes_to_client) += sent;
}

/* How many of those bytes may go at once. */
static size_t share_of(int64_t rate, size_t length)
{
    int64_t piece = rate / PIECES_A_SECOND > 0 ? rate / PIECES_A_SECOND : 1;
    return rate > 0 && (size_t)piece < length ? (size_t)piece : length;
}

/* Send what can go now. Returns when there may be more, if that is a matter of time. */
static int64_t write_side(struct hgi_link *link, struct hgi_flow *flow, struct hgi_side *side)
{
    while (side->writable && !link->ended) {
        int64_t now_ns = monotonic_ns();
        int64_t rate = link->whole.bytes_per_second;
        struct hgi_ready ready = hgi_queue_ready(&flow->queue, now_ns);
        if (ready.what != HGI_MARK_PASS) {
            end_link(link, ready.what == HGI_MARK_RESET);
            break;
        }
        if (ready.length == 0)
            return ready.wake_ns;
        if (rate > 0 && flow->paced_ns > now_ns)
            return flow->paced_ns;
        ssize_t sent =
            send(side->fd, ready.bytes, share_of(rate, ready.length), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            account(link, flow, (size_t)sent, now_ns);
        else if (errno == EAGAIN)
            side->writable = false;
        else if (errno != EINTR)
            refuses_bytes(link, side);
    }
    return HGI_QUEUE_NEVER;
}

/* What holds for the connection may have changed. */
static void refresh(struct hgi_link *link)
{
    struct hgi_hub *hub = link->hub;
    if (link->epoch == hub->epoch)
        return;
    link->epoch = hub->epoch;
    link->whole =
        hgi_toxics_connection(&hub->toxics, monotonic_ns() - hub->toxics_since_ns, link->number);
    uint32_t struck = (link->whole.requests_stalled ? 1U << HGI_TOXIC_STALL_REQUESTS : 0) |
                      (link->whole.bytes_per_second ? 1U << HGI_TOXIC_BANDWIDTH : 0);
    for (uint32_t kind = 0; kind < HGI_TOXIC_KINDS; kind++)
        hub->stats.struck[kind] += (struck & ~link->struck) >> kind & 1;
    link->struck |= struck;
}

/* Once through all four; returns when to be woken. */
static int64_t move(struct hgi_link *link)
{
    int64_t up_ns = HGI_QUEUE_NEVER;
    int64_t down_ns = HGI_QUEUE_NEVER;
    if (link->server.fd < 0 && link->service.admitted && monotonic_ns() >= link->redial_ns)
        dial(link);
    if (!link->ended)
        read_client(link);
    if (!link->ended && link->connected && !link->server_deaf && !link->whole.requests_stalled)
        up_ns = write_side(link, &link->up, &link->server);
    if (!link->ended)
        read_server(link);
    if (!link->ended && !link->client_gone)
        down_ns = write_side(link, &link->down, &link->client);
    bool needless = link->hub->capacity.unit_ns ? !hgi_service_pending(link)
                                                : hgi_queue_used(&link->up.queue) == 0;
    if (!link->ended && link->client_gone && needless)
        end_link(link, false);
    if (link->server.fd < 0 && link->service.admitted && link->redial_ns < up_ns)
        up_ns = link->redial_ns;
    return up_ns < down_ns ? up_ns : down_ns;
}

static void pump(struct hgi_link *link)
{
    int64_t wake_ns;
    uint64_t moved;
    int rounds = 0;
    refresh(link);
    do {
        moved = link->moved;
        wake_ns = move(link);
    } while (!link->ended && link->moved != moved && ++rounds < ROUNDS);
    if (link->ended)
        return;
    hgi_timers_set(&link->hub->timers, &link->timer, rounds == ROUNDS ? 0 : wake_ns);
}

void hgi_link_accept(struct hgi_hub *hub, int fd)
{
    struct hgi_proxy_stats *stats = &hub->stats;
    uint64_t number = stats->accepted++;
    struct hgi_connection_fate fate =
        hgi_toxics_connection(&hub->toxics, monotonic_ns() - hub->toxics_since_ns, number);
    struct hgi_link *link = NULL;
    if (fate.refused)
        stats->struck[HGI_TOXIC_REFUSE]++;
    else if (stats->open >= HGI_PROXY_CONNECTIONS)
        stats->turned_away++;
    else if (hgi_timers_reserve(&hub->timers, (size_t)stats->open + 1))
        link = calloc(1, sizeof *link);
    if (!link) {
        close(fd);
        return;
    }
    link->hub = hub;
    link->number = number;
    link->timer.owner = link;
    link->up.resp.requests = true;
    link->client = (struct hgi_side) { .link = link, .fd = fd, .readable = true, .writable = true };
    link->server = (struct hgi_side) { .link = link, .fd = -1 };
    link->epoch = hub->epoch - 1;
    link->next = hub->first;
    if (link->next)
        link->next->previous = link;
    hub->first = link;
    stats->open++;
    hgi_dial_no_delay(fd);
    if (hgi_service_begin(link) && watch(&link->client))
        pump(link);
    else
        end_link(link, false);
}

void hgi_link_event(struct hgi_side *side, uint32_t events)
{
    struct hgi_link *link = side->link;
    if (link->ended || side->fd < 0)
        return;
    bool over = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    side->ending = side->ending || over;
    side->readable = side->readable || over || (events & EPOLLIN);
    side->writable = side->writable || over || (events & EPOLLOUT);
    if (side == &link->server && !link->connected)
        dialled(link);
    if (!link->ended)
        pump(link);
}

void hgi_link_wake(struct hgi_link *link)
{
    pump(link);
}

void hgi_links_rejudge(struct hgi_hub *hub)
{
    for (struct hgi_link *link = hub->first, *next; link; link = next) {
        next = link->next;
        hgi_link_unstall(link);
        pump(link);
    }
}

void hgi_links_drop(struct hgi_hub *hub, bool reset)
{
    while (hub->first)
        end_link(hub->first, reset);
}

void hgi_links_bury(struct hgi_hub *hub)
{
    while (hub->ended) {
        struct hgi_link *link = hub->ended;
        hub->ended = link->next;
        hgi_queue_free(&link->up.queue);
        hgi_queue_free(&link->down.queue);
        free(link);
    }
}
