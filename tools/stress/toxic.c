/* Which faults strike what; see toxic.h.
 *
 * Every draw is a hash of (seed, toxic, connection, reply): nothing is kept from one to the next, so
 * that it does not matter which thread or connection asks first. What strikes a connection as a whole
 * is drawn with a reply that no connection has.
 */
#include "tools/stress/toxic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"

#define NO_REPLY UINT64_MAX

/* The generator of one toxic's draws for one reply. */
static uint64_t seeded(uint64_t seed, uint32_t toxic, uint64_t connection, uint64_t reply)
{
    uint64_t state = random_mix(seed + UINT64_C(0x9e3779b97f4a7c15) * (toxic + 1));
    state = random_mix(state + UINT64_C(0x9e3779b97f4a7c15) * (connection + 1));
    return random_mix(state + UINT64_C(0x9e3779b97f4a7c15) * (reply + 1));
}

static bool is_open(const struct hgi_toxic *toxic, int64_t since_ns)
{
    return since_ns >= toxic->from_ns && since_ns < toxic->until_ns;
}

static void strike_reply(struct hgi_reply_fate *fate, const struct hgi_toxic *toxic,
                         uint64_t *random)
{
    bool ended = fate->stalled || fate->reset || fate->halved || fate->garbled || fate->forged;
    switch (toxic->kind) {
    case HGI_TOXIC_LATENCY:
        fate->delay_ns += toxic->amount + (int64_t)(random_unit(random) * (double)toxic->jitter_ns);
        break;
    case HGI_TOXIC_SLOW:
        fate->drip_ns = toxic->amount > fate->drip_ns ? toxic->amount : fate->drip_ns;
        break;
    case HGI_TOXIC_STALL:
    case HGI_TOXIC_RESET:
    case HGI_TOXIC_HALF_REPLY:
    case HGI_TOXIC_GARBAGE:
    case HGI_TOXIC_FORGERY:
        if (ended)
            return;
        fate->stalled = toxic->kind == HGI_TOXIC_STALL;
        fate->reset = toxic->kind == HGI_TOXIC_RESET;
        fate->halved = toxic->kind == HGI_TOXIC_HALF_REPLY;
        fate->garbled = toxic->kind == HGI_TOXIC_GARBAGE;
        fate->forged = toxic->kind == HGI_TOXIC_FORGERY;
        fate->draw = random_next(random);
        break;
    default:
        return;
    }
    fate->struck |= UINT32_C(1) << toxic->kind;
}

struct hgi_reply_fate hgi_toxics_reply(const struct hgi_toxics *set, int64_t since_ns,
                                       uint64_t connection, uint64_t reply)
{
    struct hgi_reply_fate fate = { 0 };
    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t random = seeded(set->seed, i, connection, reply);
        if (is_open(&set->toxic[i], since_ns) && random_unit(&random) < set->toxic[i].toxicity)
            strike_reply(&fate, &set->toxic[i], &random);
    }
    return fate;
}

/* The stricter of two limits, of which 0 is none. */
static int64_t stricter(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static void strike_connection(struct hgi_connection_fate *fate, const struct hgi_toxic *toxic)
{
    switch (toxic->kind) {
    case HGI_TOXIC_REFUSE:
        fate->refused = true;
        break;
    case HGI_TOXIC_STALL_REQUESTS:
        fate->requests_stalled = true;
        break;
    case HGI_TOXIC_BANDWIDTH:
        fate->bytes_per_second = stricter(fate->bytes_per_second, toxic->amount);
        break;
    case HGI_TOXIC_CLOSE_AFTER:
        fate->replies = stricter(fate->replies, toxic->amount);
        break;
    default:
        break;
    }
}

struct hgi_connection_fate hgi_toxics_connection(const struct hgi_toxics *set, int64_t since_ns,
                                                 uint64_t connection)
{
    struct hgi_connection_fate fate = { 0 };
    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t random = seeded(set->seed, i, connection, NO_REPLY);
        if (is_open(&set->toxic[i], since_ns) && random_unit(&random) < set->toxic[i].toxicity)
            strike_connection(&fate, &set->toxic[i]);
    }
    return fate;
}

bool hgi_toxics_closed(const struct hgi_toxics *set, int64_t since_ns)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->toxic[i].kind == HGI_TOXIC_REFUSE && set->toxic[i].toxicity >= 1 &&
            is_open(&set->toxic[i], since_ns))
            return true;
    }
    return false;
}

int64_t hgi_toxics_next_edge(const struct hgi_toxics *set, int64_t since_ns)
{
    int64_t next_ns = HGI_TOXIC_ALWAYS;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->toxic[i].from_ns > since_ns && set->toxic[i].from_ns < next_ns)
            next_ns = set->toxic[i].from_ns;
        if (set->toxic[i].until_ns > since_ns && set->toxic[i].until_ns < next_ns)
            next_ns = set->toxic[i].until_ns;
    }
    return next_ns;
}

size_t hgi_toxic_garbage(uint64_t draw, char out[HGI_TOXIC_GARBAGE_MAX])
{
    static const char *const known[] = {
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", /* a proxy of another kind */
        "\x15\x03\x01\x02\x02\x50",                              /* a TLS alert */
        "\r\n",
        "$-2\r\n",
        "$abc\r\n",
        "$9223372036854775808\r\n",
        ":abc\r\n",
    };
    size_t choice = draw % (sizeof known / sizeof known[0] + 1);
    if (choice > 0) {
        size_t length = strlen(known[choice - 1]);
        memcpy(out, known[choice - 1], length);
        return length;
    }
    /* Noise. Its high bits are set, and no type of RESP has them. */
    uint64_t random = draw;
    size_t length = 1 + random_below(&random, HGI_TOXIC_GARBAGE_MAX);
    for (size_t i = 0; i < length; i++)
        out[i] = (char)(0x80 | random_below(&random, 0x80));
    return length;
}

size_t hgi_toxic_forgery(uint64_t draw, char out[HGI_TOXIC_GARBAGE_MAX])
{
    return (size_t)snprintf(out, HGI_TOXIC_GARBAGE_MAX, "$23\r\nforged-%016" PRIx64 "\r\n", draw);
}

/* A toxic of that kind with parameters that a person might choose. */
static struct hgi_toxic draw_toxic(enum hgi_toxic_kind kind, uint64_t *random)
{
    static const double shares[] = { 1, 0.5, 0.1, 0.02 };
    /* Connections are few: a small share of them would be none. */
    uint32_t choices = kind >= HGI_TOXIC_STALL_REQUESTS ? 2 : 4;
    struct hgi_toxic toxic = { .kind = kind, .toxicity = shares[random_below(random, choices)] };
    switch (kind) {
    case HGI_TOXIC_LATENCY:
        toxic.amount = (1 + (int64_t)random_below(random, 100)) * NS_PER_MS;
        toxic.jitter_ns = (int64_t)random_below(random, 50) * NS_PER_MS;
        break;
    case HGI_TOXIC_SLOW:
        toxic.amount = (1 + (int64_t)random_below(random, 20)) * NS_PER_MS;
        break;
    case HGI_TOXIC_BANDWIDTH:
        toxic.amount = INT64_C(1024) << random_below(random, 8);
        break;
    case HGI_TOXIC_CLOSE_AFTER:
        toxic.amount = 1 + (int64_t)random_below(random, 1000);
        break;
    default:
        break;
    }
    return toxic;
}

void hgi_toxics_draw(struct hgi_toxics *set, uint64_t seed, int64_t duration_ns)
{
    uint64_t random = random_mix(seed);
    enum { DRAWN = HGI_TOXIC_FORGERY }; /* a forgery is no fault that a client could withstand */
    enum hgi_toxic_kind order[DRAWN];
    *set = (struct hgi_toxics) { .seed = seed, .count = DRAWN };
    for (uint32_t i = 0; i < DRAWN; i++) {
        uint32_t at = random_below(&random, i + 1);
        order[i] = order[at];
        order[at] = (enum hgi_toxic_kind)i;
    }
    int64_t half_ns = 1 + duration_ns / (2 * (int64_t)DRAWN);
    if (half_ns > NS_PER_MS)
        half_ns -= half_ns % NS_PER_MS; /* for who reads it */
    for (uint32_t i = 0; i < DRAWN; i++) {
        set->toxic[i] = draw_toxic(order[i], &random);
        set->toxic[i].from_ns = 2 * i * half_ns;
        set->toxic[i].until_ns = set->toxic[i].from_ns + half_ns;
    }
}
