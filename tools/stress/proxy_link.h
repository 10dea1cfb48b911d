/* One connection through the proxy, and what all of them share. All on the proxy's thread. */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_LINK_H
#define HERDGATE_TOOLS_STRESS_PROXY_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/stress/proxy.h"
#include "tools/stress/proxy_capacity.h"
#include "tools/stress/proxy_dial.h"
#include "tools/stress/proxy_queue.h"
#include "tools/stress/proxy_resp.h"
#include "tools/stress/proxy_timers.h"

struct hgi_link;

/* What the links share. */
struct hgi_hub {
    int epoll;
    struct hgi_dial dial;
    struct hgi_toxics toxics;
    int64_t toxics_since_ns; /* when they were put to work */
    uint64_t epoch;          /* grows when they change, and when a window opens or closes */
    struct hgi_timers timers;
    struct hgi_link *first; /* all that are open */
    struct hgi_link *ended; /* to be freed once no event can name them */
    struct hgi_proxy_stats stats;
    struct hgi_capacity capacity;
    struct hgi_proxy_meter meter; /* count 0: none */
};

/* One end of a link, as epoll knows it. */
struct hgi_side {
    struct hgi_link *link;
    int fd;
    bool readable; /* may be: until a read says otherwise */
    bool writable;
    bool ending; /* the end of the stream, or an error, is there to be read */
};

/* One direction of a link. */
struct hgi_flow {
    struct hgi_queue queue;
    struct hgi_resp resp;
    int64_t paced_ns; /* under a bandwidth: when the next bytes may go */
};

/* What a link has before the server, and with it. Kept only with a capacity or a meter. */
struct hgi_service {
    bool admitted;       /* the server has accepted it: so its requests may go there */
    bool answered;       /* a reply has gone to the client */
    int64_t came_ns;     /* when it was accepted by the proxy */
    size_t in_line;      /* of it, the connection included */
    uint64_t whole;      /* requests that have come whole */
    uint64_t sent;       /* of these: released to the server */
    uint64_t unanswered; /* of these */
    int64_t *since_ns;   /* when those came that no reply has gone to the client for */
    size_t since_size;
    size_t since_head;
    size_t since_tail;
};

struct hgi_link {
    struct hgi_hub *hub;
    struct hgi_link *next;
    struct hgi_link *previous;
    struct hgi_timer timer;
    uint64_t number;

    struct hgi_side client;
    struct hgi_side server;
    size_t address;    /* of the target: which is tried */
    int64_t redial_ns; /* not before, if there is no socket to the server yet */
    bool connected;    /* to the server */
    bool client_gone;
    bool server_deaf; /* it takes no more bytes */
    bool closing;     /* nothing more is read from the server */
    bool ended;
    uint64_t moved; /* reads and writes that did something */

    struct hgi_flow up;   /* to the server */
    struct hgi_flow down; /* to the client */

    uint64_t epoch;                   /* of the hub, for which `whole` holds */
    struct hgi_connection_fate whole; /* of the connection */
    uint32_t struck;                  /* kinds that strike connections: counted already */

    struct hgi_service service;

    bool in_reply;
    uint64_t reply; /* the number of the current or next one */
    struct hgi_reply_fate fate;
    struct hgi_mark mark; /* of the current one's bytes */
};

/* A client's socket was accepted: make its link, or close it. */
void hgi_link_accept(struct hgi_hub *hub, int fd);

/* epoll reports events of a side; its time has come; the faults or windows have changed. */
void hgi_link_event(struct hgi_side *side, uint32_t events);
void hgi_link_wake(struct hgi_link *link);
void hgi_links_rejudge(struct hgi_hub *hub);

/* End all; free those that have ended. */
void hgi_links_drop(struct hgi_hub *hub, bool reset);
void hgi_links_bury(struct hgi_hub *hub);

/* Serve what has its turn. */
void hgi_links_serve(struct hgi_hub *hub);

/* Within the link (proxy_service.c): it was accepted; bytes of a client came; a reply came from the
 * server; so many replies have gone to the client; it ends. False: no memory. */
bool hgi_service_begin(struct hgi_link *link);
bool hgi_service_requests(struct hgi_link *link, const char *bytes, size_t length);
void hgi_service_answered(struct hgi_link *link);
void hgi_service_delivered(struct hgi_link *link, uint64_t replies);
void hgi_service_end(struct hgi_link *link);

/* Is there anything of it in line or with the server? May more bytes of the client be held? */
bool hgi_service_pending(const struct hgi_link *link);
size_t hgi_service_space(const struct hgi_link *link);

/* Within the link (proxy_reply.c): bytes came from the server; its stream ended, and what the client
 * sees is CLOSE or RESET; the faults have changed. False: no memory. */
bool hgi_link_replies(struct hgi_link *link, const char *bytes, size_t length);
bool hgi_link_finish(struct hgi_link *link, enum hgi_mark_what what);
void hgi_link_discard(struct hgi_link *link, const char *bytes, size_t length);
void hgi_link_unstall(struct hgi_link *link);

#endif
