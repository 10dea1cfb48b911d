/* The gate of wait_and_retry.
 *
 * Calls that wait for the same condition share a room. The first to find nobody asking becomes the
 * poller: it asks every poll interval, with no lock held. When the answer is yes it opens the room:
 * everyone who waits at that moment takes a place in the order of waking up, and goes on at
 * opened + ramp * place / number, so that the server is met by a ramp and not by a wall. A poller whose
 * deadline comes first leaves the job to another waiter. The time of the next question is the room's:
 * however short the time that each of them has left, the question is asked.
 *
 * Places are given at the opening and not on arrival. In a long outage calls come and go all the time,
 * and nearly all of them have come when the room was as full as it is now.
 *
 * Invariants: at most one poller in a room; a room lives as long as anyone is in it; an opening
 * concerns those who came before it, who are told apart by the round they came in; no two of them
 * have the same place. A thread is not cancelled in here, or the room would keep its poller for ever.
 */
#include "policy/gate.h"

#include <stdlib.h>

#include "breaker/clock.h"

struct hgi_gate_room {
    struct hgi_gate_room *next;
    hg_condition_fn condition;
    void *arg;
    pthread_cond_t changed; /* round, polling */
    uint32_t present;       /* callers in the room: it is freed with the last */
    uint32_t waiting;       /* of this round */
    uint64_t round;         /* openings so far */
    uint32_t opened_for;    /* how many the last opening concerns */
    uint32_t placed;        /* how many of them have their place */
    int64_t opened_ns;
    int64_t next_poll_ns;
    bool polling;
};

int hgi_gate_init(struct hgi_gate *gate)
{
    gate->rooms = NULL;
    return pthread_mutex_init(&gate->mutex, NULL);
}

void hgi_gate_destroy(struct hgi_gate *gate)
{
    pthread_mutex_destroy(&gate->mutex);
}

void hgi_gate_forget(struct hgi_gate *gate)
{
    gate->rooms = NULL;
    pthread_mutex_init(&gate->mutex, NULL);
}

static struct hgi_gate_room *enter(struct hgi_gate *gate, const struct hgi_gate_wait *wait)
{
    struct hgi_gate_room *room = gate->rooms;
    while (room && (room->condition != wait->condition || room->arg != wait->arg))
        room = room->next;
    if (!room) {
        room = calloc(1, sizeof *room);
        pthread_condattr_t attributes;
        if (!room || pthread_condattr_init(&attributes) != 0) {
            free(room);
            return NULL;
        }
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        int error = pthread_cond_init(&room->changed, &attributes);
        pthread_condattr_destroy(&attributes);
        if (error) {
            free(room);
            return NULL;
        }
        room->condition = wait->condition;
        room->arg = wait->arg;
        room->next_poll_ns = hgi_deadline_after(hgi_now_ns(), wait->poll_ns);
        room->next = gate->rooms;
        gate->rooms = room;
    }
    room->present++;
    return room;
}

static void leave(struct hgi_gate *gate, struct hgi_gate_room *room)
{
    if (--room->present > 0)
        return;
    struct hgi_gate_room **link = &gate->rooms;
    while (*link && *link != room)
        link = &(*link)->next;
    if (!*link)
        return; /* a room of before a fork(), which others were in as well */
    *link = room->next;
    pthread_cond_destroy(&room->changed);
    free(room);
}

/* Let everybody go who waits now. Who has not woken up since an earlier opening goes with them. */
static void open_room(struct hgi_gate_room *room)
{
    room->round++;
    room->opened_ns = hgi_now_ns();
    room->opened_for = room->opened_for - room->placed + room->waiting;
    room->placed = 0;
    room->waiting = 0;
    pthread_cond_broadcast(&room->changed);
}

/* One question of the poller, with the lock given up meanwhile. */
static void poll_once(struct hgi_gate *gate, struct hgi_gate_room *room,
                      const struct hgi_gate_wait *wait)
{
    int64_t next_ns = room->next_poll_ns;
    pthread_mutex_unlock(&gate->mutex);
    hgi_sleep_until(next_ns < wait->deadline_ns ? next_ns : wait->deadline_ns);
    bool asks = hgi_now_ns() < wait->deadline_ns;
    bool holds = asks && (!wait->condition || wait->condition(wait->arg));
    pthread_mutex_lock(&gate->mutex);
    if (asks)
        room->next_poll_ns = hgi_deadline_after(hgi_now_ns(), wait->poll_ns);
    if (holds)
        open_room(room);
}

/* When a caller of the room that was opened may go on. */
static int64_t take_place(struct hgi_gate_room *room, int64_t ramp_ns)
{
    uint32_t place = room->placed++;
    return room->opened_ns + (int64_t)((double)ramp_ns * place / room->opened_for);
}

/* Wait in the room, the mutex held. True: it was opened. */
static bool wait_in(struct hgi_gate *gate, struct hgi_gate_room *room,
                    const struct hgi_gate_wait *wait)
{
    const struct timespec deadline = hgi_timespec(wait->deadline_ns);
    const uint64_t round = room->round;
    bool poller = false;
    room->waiting++;
    while (room->round == round && hgi_now_ns() < wait->deadline_ns) {
        if (!room->polling)
            room->polling = poller = true;
        if (poller)
            poll_once(gate, room, wait);
        else
            pthread_cond_timedwait(&room->changed, &gate->mutex, &deadline);
    }
    if (poller) {
        room->polling = false;
        pthread_cond_broadcast(&room->changed); /* one of those still here takes the job */
    }
    if (room->round != round)
        return true;
    room->waiting--;
    return false;
}

bool hgi_gate_wait(struct hgi_gate *gate, const struct hgi_gate_wait *wait, int64_t *release_ns)
{
    bool opened = false;
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pthread_mutex_lock(&gate->mutex);
    const int64_t least_ns = wait->condition ? 0 : hgi_deadline_after(hgi_now_ns(), wait->poll_ns);
    struct hgi_gate_room *room = enter(gate, wait);
    if (room) {
        if (wait_in(gate, room, wait)) {
            *release_ns = take_place(room, wait->ramp_ns);
            if (*release_ns < least_ns)
                *release_ns = least_ns;
            opened = *release_ns < wait->deadline_ns;
        }
        leave(gate, room);
    }
    pthread_mutex_unlock(&gate->mutex);
    pthread_setcancelstate(cancel_state, NULL);
    return opened;
}
