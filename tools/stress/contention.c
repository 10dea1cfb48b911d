/* The simulation of contending clients; see contention.h.
 *
 * Each client has one event at a time, so the queue of events is a heap with a place per client.
 * Invariants: time never goes back; a client that has written has no event; the loop ends, because
 * the first write after any version is read succeeds: every version has a writer.
 */
#include "tools/stress/contention.h"

#include <math.h>
#include <stdlib.h>

#include "tools/common/random.h"

struct client {
    int64_t at_ns; /* when its message reaches the server */
    bool writes;   /* that message is the write; else the read */
    uint64_t version;
    uint32_t retries;
    int64_t delay_ns; /* the last one */
};

struct world {
    const struct hgi_contention *settings;
    struct hg_retry retry;
    bool waits; /* false: no backoff at all */
    uint64_t random;
    uint64_t version;
    uint64_t calls;
    int64_t end_ns;
    struct client *client; /* a heap by at_ns */
    uint32_t count;
};

static const struct {
    const char *name;
    hg_jitter jitter;
} kinds[HGI_BACKOFF_KINDS] = {
    [HGI_BACKOFF_NONE] = { "none", HG_JITTER_NONE },
    [HGI_BACKOFF_EXPONENTIAL] = { "exponential", HG_JITTER_NONE },
    [HGI_BACKOFF_FULL] = { "full", HG_JITTER_FULL },
    [HGI_BACKOFF_EQUAL] = { "equal", HG_JITTER_EQUAL },
    [HGI_BACKOFF_DECORRELATED] = { "decorrelated", HG_JITTER_DECORRELATED },
};

const char *hgi_backoff_name(enum hgi_backoff_kind kind)
{
    return kinds[kind].name;
}

/* A message's time on its way: normal, by the method of Box and Muller, mirrored at 0. */
static int64_t on_its_way(struct world *world)
{
    double u = 1 - random_unit(&world->random);
    double v = random_unit(&world->random);
    double normal = sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
    return (int64_t)fabs((double)world->settings->network_mean_ns +
                         normal * (double)world->settings->network_deviation_ns);
}

/* The first of the heap has a later time now, or is another client: put it where it belongs. */
static void sink_first(struct world *world)
{
    struct client moving = world->client[0];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= world->count)
            break;
        if (child + 1 < world->count && world->client[child + 1].at_ns < world->client[child].at_ns)
            child++;
        if (world->client[child].at_ns >= moving.at_ns)
            break;
        world->client[at] = world->client[child];
        at = child;
    }
    world->client[at] = moving;
}

static void back_off(struct world *world, struct client *client)
{
    client->delay_ns = world->waits
                           ? hg_retry_delay_jittered(&world->retry, client->retries,
                                                     client->delay_ns, random_unit(&world->random))
                           : 0;
    client->retries++;
    client->writes = false;
    client->at_ns += on_its_way(world) + client->delay_ns + on_its_way(world);
}

/* The next message reaches the server. */
static void step(struct world *world)
{
    struct client *client = &world->client[0];
    if (!client->writes) {
        client->version = world->version;
        client->writes = true;
        client->at_ns += on_its_way(world) + on_its_way(world);
    } else {
        world->calls++;
        if (client->version != world->version) {
            back_off(world, client);
        } else {
            int64_t told_ns = client->at_ns + on_its_way(world);
            world->version++;
            world->end_ns = told_ns > world->end_ns ? told_ns : world->end_ns;
            world->client[0] = world->client[--world->count];
        }
    }
    sink_first(world);
}

static bool is_interrupted(const struct hgi_contention *settings)
{
    /* relaxed: a flag that is polled. */
    return settings->interrupted &&
           atomic_load_explicit(settings->interrupted, memory_order_relaxed);
}

static void run_round(struct world *world)
{
    world->count = world->settings->clients;
    world->version = 0;
    world->end_ns = 0;
    for (uint32_t i = 0; i < world->count; i++) /* nearly in order; the heap is made below */
        world->client[i] = (struct client) { .at_ns = 0 };
    /* All begin at 0, which is a heap; each first message is then on its way. */
    for (uint32_t i = 0; i < world->count; i++) {
        world->client[0].at_ns = on_its_way(world);
        sink_first(world);
    }
    while (world->count > 0 && !is_interrupted(world->settings))
        step(world);
}

bool hgi_contention_run(struct hgi_contention_result *out, const struct hgi_contention *settings,
                        enum hgi_backoff_kind kind)
{
    struct world world = { .settings = settings,
                           .retry = HG_RETRY_INIT,
                           .waits = kind != HGI_BACKOFF_NONE,
                           .random = settings->seed };
    double time_ns = 0;
    world.retry.max_attempts = UINT32_MAX;
    world.retry.jitter = kinds[kind].jitter;
    world.retry.initial_delay_ns = settings->base_ns;
    world.retry.max_delay_ns = settings->cap_ns;
    world.retry.multiplier = 2;
    world.client = calloc(settings->clients, sizeof *world.client);
    if (!world.client)
        return false;
    for (uint32_t i = 0; i < settings->rounds && !is_interrupted(settings); i++) {
        run_round(&world);
        time_ns += (double)world.end_ns;
    }
    free(world.client);
    if (is_interrupted(settings))
        return true;
    out->calls = (double)world.calls / settings->rounds;
    out->time_ns = time_ns / settings->rounds;
    return true;
}
