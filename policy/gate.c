/* The gate of wait_and_retry.
 *
 * Calls that wait for the same condition share a room. The first to find nobody asking becomes the
 * poller: it asks every poll interval, with no lock held. When the answer is yes it opens the room:
 * everyone who waits at that moment has a rank (the order of arrival) and goes on at
 * opened + ramp * rank / number, so that the server is met by a ramp and not by a wall. A poller whose
 * deadline comes first leaves the job to another waiter.
 *
 * Invariants: at most one poller in a room; a room lives as long as anyone is in it; an opening
 * concerns those who came before it, who are told apart by the round they came in.
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
    uint32_t opened_for;    /* how many waited at the last opening */
    int64_t opened_ns;
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

/* One question of the poller, with the lock given up meanwhile. */
static void poll_once(struct hgi_gate *gate, struct hgi_gate_room *room, uint64_t round,
                      const struct hgi_gate_wait *wait)
{
    int64_t next_ns = hgi_deadline_after(hgi_now_ns(), wait->poll_ns);
    pthread_mutex_unlock(&gate->mutex);
    hgi_sleep_until(next_ns < wait->deadline_ns ? next_ns : wait->deadline_ns);
    bool holds =
        hgi_now_ns() < wait->deadline_ns && (!wait->condition || wait->condition(wait->arg));
    pthread_mutex_lock(&gate->mutex);
    if (holds && room->round == round) {
        room->round++;
        room->opened_ns = hgi_now_ns();
        room->opened_for = room->waiting;
        room->waiting = 0;
        pthread_cond_broadcast(&room->changed);
    }
}

/* Ranks above the number stem from those who gave up before the opening; they go last. */
static int64_t place_on_ramp(int64_t ramp_ns, uint32_t rank, uint32_t number)
{
    if (number == 0)
        return 0;
    uint32_t place = rank < number ? rank : number - 1;
    return (int64_t)((double)ramp_ns * place / number);
}

bool hgi_gate_wait(struct hgi_gate *gate, const struct hgi_gate_wait *wait, int64_t *release_ns)
{
    const struct timespec deadline = hgi_timespec(wait->deadline_ns);
    bool opened = false;
    pthread_mutex_lock(&gate->mutex);
    struct hgi_gate_room *room = enter(gate, wait);
    if (!room)
        goto out;
    const uint64_t round = room->round;
    const uint32_t rank = room->waiting++;
    bool poller = false;
    while (room->round == round && hgi_now_ns() < wait->deadline_ns) {
        if (!room->polling)
            room->polling = poller = true;
        if (poller)
            poll_once(gate, room, round, wait);
        else
            pthread_cond_timedwait(&room->changed, &gate->mutex, &deadline);
    }
    if (poller) {
        room->polling = false;
        pthread_cond_broadcast(&room->changed); /* one of those still here takes the job */
    }
    if (room->round != round) {
        *release_ns = room->opened_ns + place_on_ramp(wait->ramp_ns, rank, room->opened_for);
        opened = *release_ns < wait->deadline_ns;
    } else {
        room->waiting--;
    }
    leave(gate, room);
out:
    pthread_mutex_unlock(&gate->mutex);
    return opened;
}
