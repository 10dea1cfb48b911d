/* The proxy's thread, and how others talk to it; see proxy.h.
 *
 * Everything but the list of asks belongs to the thread alone. Who wants something of it puts an ask,
 * which lies on the asker's stack, into the list, rings the bell and waits until it is done: so
 * nothing of the thread's is shared, and what an ask does is done between two events, not within one.
 */
#include "tools/stress/proxy.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tools/common/timing.h"
#include "tools/stress/proxy_door.h"
#include "tools/stress/proxy_link.h"

enum {
    EVENTS = 64,
    ACCEPTS = 64,       /* at a time */
    ACCEPTS_IN_LINE = 4 /* with a capacity: before these are served */
};

/* For so long nothing is accepted when descriptors have run out. */
#define DOOR_PAUSE_NS (20 * NS_PER_MS)

enum ask_kind { ASK_SET, ASK_STATS, ASK_DROP, ASK_SHUT, ASK_METER, ASK_STOP };

struct ask {
    enum ask_kind kind;
    const struct hgi_toxics *toxics;     /* SET; NULL: none */
    int64_t since_ns;                    /* SET: when it was asked */
    bool reset;                          /* DROP */
    bool shut;                           /* SHUT */
    const struct hgi_proxy_meter *meter; /* METER; NULL: none */
    struct hgi_proxy_stats *stats;       /* STATS */
    bool done;                           /* guarded by the proxy's lock */
    struct ask *next;                    /* guarded by it while in the list */
};

struct hgi_proxy {
    struct hgi_target target; /* as it is reached through the proxy */
    pthread_t thread;
    int bell; /* an eventfd: there are asks */

    pthread_mutex_t lock; /* guards asks, and `done` of each */
    pthread_cond_t done;
    struct ask *asks;

    /* The thread's own. */
    struct hgi_hub hub;
    struct hgi_door door;
    int timer;             /* a timerfd: sleeping in epoll_wait() is too coarse */
    int64_t timer_ns;      /* what it is set to */
    int64_t edge_ns;       /* when a window next opens or closes */
    int64_t door_pause_ns; /* descriptors ran out, and the door stays shut until then; 0: no */
    bool shut;             /* nobody is let in */
    bool deaf;             /* who knocks has to wait: those let in before have not been served */
    bool stopping;
};

static bool watch(struct hgi_proxy *proxy, int *fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = fd };
    return epoll_ctl(proxy->hub.epoll, EPOLL_CTL_ADD, *fd, &event) == 0;
}

/* With a capacity a round of connections is accepted when the round before has been served. The next
 * ones wait in the kernel, whose line for them is as long as a real server's. */
static void mind_the_backlog(struct hgi_proxy *proxy)
{
    bool deaf = proxy->hub.capacity.connections > 0;
    if (deaf == proxy->deaf)
        return;
    int *const fds[] = { &proxy->door.local, &proxy->door.tcp };
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        struct epoll_event event = { .events = deaf ? 0 : EPOLLIN, .data.ptr = fds[i] };
        if (*fds[i] >= 0)
            epoll_ctl(proxy->hub.epoll, EPOLL_CTL_MOD, *fds[i], &event);
    }
    proxy->deaf = deaf;
}

static int64_t since_set(const struct hgi_proxy *proxy)
{
    return monotonic_ns() - proxy->hub.toxics_since_ns;
}

/* Listen, or do not, as the faults will have it. */
static void mind_the_door(struct hgi_proxy *proxy)
{
    struct hgi_door *door = &proxy->door;
    if (proxy->shut || hgi_toxics_closed(&proxy->hub.toxics, since_set(proxy))) {
        hgi_door_shut(door); /* which takes it out of epoll, too */
        proxy->door_pause_ns = 0;
        return;
    }
    if (door->local >= 0 || monotonic_ns() < proxy->door_pause_ns)
        return;
    proxy->door_pause_ns = 0;
    proxy->deaf = false;
    if (!hgi_door_open(door) || !watch(proxy, &door->local) ||
        (door->tcp >= 0 && !watch(proxy, &door->tcp))) {
        hgi_door_shut(door);
        proxy->door_pause_ns = monotonic_ns() + DOOR_PAUSE_NS;
    }
}

/* The faults have changed, or a window has opened or closed. */
static void rejudge(struct hgi_proxy *proxy)
{
    int64_t since_ns = since_set(proxy);
    int64_t edge_ns = hgi_toxics_next_edge(&proxy->hub.toxics, since_ns);
    proxy->edge_ns = edge_ns < HGI_TOXIC_ALWAYS - proxy->hub.toxics_since_ns
                         ? edge_ns + proxy->hub.toxics_since_ns
                         : HGI_TOXIC_ALWAYS;
    proxy->hub.epoch++;
    mind_the_door(proxy);
    hgi_links_rejudge(&proxy->hub);
}

static void obey(struct hgi_proxy *proxy, const struct ask *ask)
{
    switch (ask->kind) {
    case ASK_SET:
        proxy->hub.toxics = ask->toxics ? *ask->toxics : (struct hgi_toxics) { 0 };
        proxy->hub.toxics_since_ns = ask->since_ns;
        rejudge(proxy);
        break;
    case ASK_STATS:
        *ask->stats = proxy->hub.stats;
        ask->stats->lost_ns = proxy->hub.capacity.lost_ns;
        break;
    case ASK_DROP:
        hgi_links_drop(&proxy->hub, ask->reset);
        break;
    case ASK_SHUT:
        proxy->shut = ask->shut;
        mind_the_door(proxy);
        break;
    case ASK_METER:
        proxy->hub.meter = ask->meter ? *ask->meter : (struct hgi_proxy_meter) { 0 };
        break;
    case ASK_STOP:
        proxy->stopping = true;
        break;
    }
}

/* Do what was asked, in the order in which it was. */
static void obey_all(struct hgi_proxy *proxy)
{
    uint64_t rings;
    if (read(proxy->bell, &rings, sizeof rings) < 0)
        return;
    pthread_mutex_lock(&proxy->lock);
    struct ask *asks = proxy->asks;
    proxy->asks = NULL;
    pthread_mutex_unlock(&proxy->lock);
    for (const struct ask *ask = asks; ask; ask = ask->next)
        obey(proxy, ask);
    pthread_mutex_lock(&proxy->lock);
    for (struct ask *ask = asks; ask; ask = ask->next)
        ask->done = true;
    pthread_cond_broadcast(&proxy->done);
    pthread_mutex_unlock(&proxy->lock);
}

static void accept_some(struct hgi_proxy *proxy, const int *listener)
{
    int most = proxy->hub.capacity.unit_ns ? ACCEPTS_IN_LINE : ACCEPTS;
    for (int i = 0; i < most && *listener >= 0; i++) {
        int fd = accept4(*listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            hgi_link_accept(&proxy->hub, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            hgi_door_shut(&proxy->door);
            proxy->door_pause_ns = monotonic_ns() + DOOR_PAUSE_NS;
            return;
        }
    }
}

/* Set the timer to whatever comes first. */
static void set_timer(struct hgi_proxy *proxy)
{
    int64_t when_ns = hgi_timers_next(&proxy->hub.timers);
    if (proxy->edge_ns < when_ns)
        when_ns = proxy->edge_ns;
    if (proxy->door_pause_ns != 0 && proxy->door_pause_ns < when_ns)
        when_ns = proxy->door_pause_ns;
    int64_t serve_ns = hgi_capacity_wake_ns(&proxy->hub.capacity);
    if (serve_ns < when_ns)
        when_ns = serve_ns;
    if (when_ns == proxy->timer_ns)
        return;
    proxy->timer_ns = when_ns;
    struct itimerspec setting = { .it_value = { .tv_nsec = 1 } }; /* long past; 0 would disarm */
    if (when_ns == HGI_TIMER_NEVER)
        setting.it_value.tv_nsec = 0;
    else if (when_ns > 0)
        setting.it_value = (struct timespec) { .tv_sec = (time_t)(when_ns / NS_PER_S),
                                               .tv_nsec = (long)(when_ns % NS_PER_S) };
    timerfd_settime(proxy->timer, TFD_TIMER_ABSTIME, &setting, NULL);
}

/* What is due by the clock. */
static void keep_time(struct hgi_proxy *proxy)
{
    int64_t now_ns = monotonic_ns();
    if (proxy->edge_ns <= now_ns)
        rejudge(proxy);
    mind_the_door(proxy);
    /* Each once at most: one that has more to do is set to a time that is past again. */
    for (size_t left = proxy->hub.timers.count; left > 0; left--) {
        struct hgi_link *link = hgi_timers_pop(&proxy->hub.timers, now_ns);
        if (!link)
            break;
        hgi_link_wake(link);
    }
    hgi_links_serve(&proxy->hub);
    mind_the_backlog(proxy);
}

static void *work(void *arg)
{
    struct hgi_proxy *proxy = arg;
    struct epoll_event events[EVENTS];
    while (!proxy->stopping) {
        set_timer(proxy);
        int count = epoll_wait(proxy->hub.epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            void *what = events[i].data.ptr;
            if (what == &proxy->timer)
                proxy->timer_ns = -1; /* it has gone off: set it again, which also clears it */
            else if (what == &proxy->door.local || what == &proxy->door.tcp)
                accept_some(proxy, what);
            else if (what != &proxy->bell)
                hgi_link_event(what, events[i].events);
        }
        obey_all(proxy);
        keep_time(proxy);
        hgi_links_bury(&proxy->hub);
    }
    hgi_links_drop(&proxy->hub, false);
    hgi_links_bury(&proxy->hub);
    return NULL;
}

/* Have the thread do it, and wait until it has. */
static void put_ask(struct hgi_proxy *proxy, struct ask *ask)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&proxy->lock);
    struct ask **last = &proxy->asks;
    while (*last)
        last = &(*last)->next;
    *last = ask;
    while (write(proxy->bell, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    while (!ask->done)
        pthread_cond_wait(&proxy->done, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
}

static bool start_thread(struct hgi_proxy *proxy)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&proxy->thread, NULL, work, proxy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0;
}

static void free_proxy(struct hgi_proxy *proxy)
{
    hgi_door_free(&proxy->door);
    hgi_timers_free(&proxy->hub.timers);
    hgi_capacity_free(&proxy->hub.capacity);
    int *const fds[] = { &proxy->bell, &proxy->timer, &proxy->hub.epoll };
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (*fds[i] >= 0)
            close(*fds[i]);
    pthread_cond_destroy(&proxy->done);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

static bool make_descriptors(struct hgi_proxy *proxy)
{
    proxy->hub.epoll = epoll_create1(EPOLL_CLOEXEC);
    proxy->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    proxy->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return proxy->hub.epoll >= 0 && proxy->bell >= 0 && proxy->timer >= 0 &&
           watch(proxy, &proxy->bell) && watch(proxy, &proxy->timer) &&
           watch(proxy, &proxy->door.local) &&
           (proxy->door.tcp < 0 || watch(proxy, &proxy->door.tcp));
}

/* The target as it is reached through the door. */
static void redirect(struct hgi_target *target, const struct hgi_door *door)
{
    target->given = true;
    target->host[0] = '\0';
    target->socket[0] = '\0';
    target->port = door->port;
    if (door->port) {
        snprintf(target->host, sizeof target->host, "127.0.0.1");
        snprintf(target->text, sizeof target->text, "127.0.0.1:%u", (unsigned)door->port);
    } else {
        snprintf(target->socket, sizeof target->socket, "%s", door->socket);
        snprintf(target->text, sizeof target->text, "unix:%s", door->socket);
    }
}

bool hgi_proxy_start(struct hgi_proxy **out, const struct hgi_proxy_options *options,
                     struct hgi_problem *problem)
{
    *out = NULL;
    struct hgi_proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        return hgi_problem_set(problem, "out of memory");
    *proxy = (struct hgi_proxy) { .target = *options->target,
                                  .bell = -1,
                                  .timer = -1,
                                  .timer_ns = HGI_TIMER_NEVER,
                                  .hub.epoll = -1,
                                  .door = { .keeper = -1, .local = -1, .tcp = -1 } };
    if (options->capacity_per_s)
        proxy->hub.capacity.unit_ns = NS_PER_S / options->capacity_per_s;
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->done, NULL);
    if (!hgi_dial_resolve(&proxy->hub.dial, options->target, problem) ||
        !hgi_door_make(&proxy->door, options->tcp,
                       options->capacity_per_s ? HGI_PROXY_BACKLOG : SOMAXCONN, problem)) {
        free_proxy(proxy);
        return false;
    }
    redirect(&proxy->target, &proxy->door);
    if (options->toxics)
        proxy->hub.toxics = *options->toxics;
    proxy->hub.toxics_since_ns = monotonic_ns();
    bool well = make_descriptors(proxy);
    if (well) {
        rejudge(proxy);
        well = start_thread(proxy);
    }
    if (!well) {
        hgi_problem_set(problem, "the proxy cannot start: %s", strerror(errno));
        free_proxy(proxy);
        return false;
    }
    *out = proxy;
    return true;
}

void hgi_proxy_stop(struct hgi_proxy *proxy)
{
    if (!proxy)
        return;
    struct ask ask = { .kind = ASK_STOP };
    put_ask(proxy, &ask);
    pthread_join(proxy->thread, NULL);
    free_proxy(proxy);
}

void hgi_proxy_target(const struct hgi_proxy *proxy, struct hgi_target *out)
{
    *out = proxy->target;
}

const char *hgi_proxy_socket(const struct hgi_proxy *proxy)
{
    return proxy->door.socket;
}

uint16_t hgi_proxy_port(const struct hgi_proxy *proxy)
{
    return proxy->door.port;
}

void hgi_proxy_set(struct hgi_proxy *proxy, const struct hgi_toxics *toxics)
{
    struct ask ask = { .kind = ASK_SET, .toxics = toxics, .since_ns = monotonic_ns() };
    put_ask(proxy, &ask);
}

void hgi_proxy_drop(struct hgi_proxy *proxy, bool reset)
{
    struct ask ask = { .kind = ASK_DROP, .reset = reset };
    put_ask(proxy, &ask);
}

void hgi_proxy_shut(struct hgi_proxy *proxy, bool shut)
{
    struct ask ask = { .kind = ASK_SHUT, .shut = shut };
    put_ask(proxy, &ask);
}

void hgi_proxy_measure(struct hgi_proxy *proxy, const struct hgi_proxy_meter *meter)
{
    struct ask ask = { .kind = ASK_METER, .meter = meter };
    put_ask(proxy, &ask);
}

void hgi_proxy_stats(struct hgi_proxy *proxy, struct hgi_proxy_stats *out)
{
    struct ask ask = { .kind = ASK_STATS, .stats = out };
    put_ask(proxy, &ask);
}
