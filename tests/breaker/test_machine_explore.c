/* Every event from every reachable state of the machine, breadth first, under several small settings;
 * on each edge, every promise of edges.h.
 *
 * A state is the word as it is at a fixed "now" (so its start is an age) together with the probe
 * permits that are out. Time passes by an event of its own. Words are explored under generation
 * numbers that come round, and each edge is taken from the plain word and from those. */
#include <string.h>

#include "tests/breaker/edges.h"
#include "tests/breaker/fixture.h"

enum { NOW = 20000, AGE_MAX = 12, MOST = 1 << 20 };

struct node {
    uint64_t word; /* generation 0, start as at NOW */
    uint32_t out;  /* probe permits of this generation that nobody has given back */
};

struct exploration {
    struct hgi_machine machine;
    struct node *nodes;
    uint32_t *table; /* index + 1, by hash */
    uint32_t count;
    uint64_t edges;
    uint64_t edges_between[8][8];
};

static uint64_t with_generation(uint64_t word, uint32_t generation)
{
    return (word & ~HGI_GENERATION_MASK) | (uint64_t)generation << HGI_GENERATION_SHIFT;
}

static bool has_start(uint64_t word)
{
    return hgi_word_state(word) == HGI_OPEN || hgi_word_state(word) == HGI_HALF_OPEN;
}

static void add(struct exploration *all, uint64_t word, uint32_t out)
{
    struct node node = { with_generation(word, 0), out };
    uint64_t hash = (node.word * 31 + out) * UINT64_C(0x9e3779b97f4a7c15) >> 43;
    while (all->table[hash % (2 * MOST)]) {
        struct node *known = &all->nodes[all->table[hash % (2 * MOST)] - 1];
        if (known->word == node.word && known->out == node.out)
            return;
        hash++;
    }
    REQUIRE(all->count < MOST);
    all->nodes[all->count++] = node;
    all->table[hash % (2 * MOST)] = all->count;
}

static void take_edge(struct exploration *all, struct node node, enum hgi_event event, bool late)
{
    static const uint32_t generations[] = { 0, 1, 7, 32767, 65535 };
    static const uint32_t turns[] = { 0, HGI_START_MAX - NOW + 3 }; /* start's field comes round */
    bool is_result = event == HGI_SUCCESS || event == HGI_FAILURE || event == HGI_CANCEL;
    bool probe = hgi_word_state(node.word) == HGI_HALF_OPEN;
    bool used_before =
        is_result && probe && !late && node.out == 0; /* nobody holds such a permit */
    for (size_t g = 0; g < sizeof generations / sizeof generations[0] * 2; g++) {
        uint32_t generation = generations[g / 2];
        uint32_t now = (NOW + turns[g % 2]) & HGI_START_MAX;
        uint64_t word = with_generation(node.word, generation);
        if (has_start(word)) {
            uint32_t start = (hgi_word_start(word) + turns[g % 2]) & HGI_START_MAX;
            word &= ~((uint64_t)HGI_START_MAX << HGI_START_SHIFT);
            word |= (uint64_t)start << HGI_START_SHIFT;
        }
        uint64_t permit = (with_generation(0, generation) & HGI_GENERATION_MASK) |
                          HGI_PERMIT_VALID | (probe ? HGI_PERMIT_PROBE : 0);
        if (late)
            permit = with_generation(permit, (generation - 1) & HGI_GENERATION_MAX);
        struct hgi_step step = hgi_machine_step(&all->machine, word, event, permit, now);
        const char *fault = edge_fault(&all->machine, word, event, permit, now, step);
        if (fault) {
            fprintf(stderr, "word %016llx event %d permit %016llx now %u -> %016llx: %s\n",
                    (unsigned long long)word, (int)event, (unsigned long long)permit, now,
                    (unsigned long long)step.word, fault);
            abort();
        }
        all->edges++;
        all->edges_between[hgi_word_state(word)][hgi_word_state(step.word)]++;
        REQUIRE(!used_before || step.word == word); /* a permit counts once */
        if (g != 0 || used_before)
            continue;
        uint32_t out = node.out;
        if (((step.word ^ word) & HGI_GENERATION_MASK) != 0)
            out = 0;
        else if (is_result && probe && !late)
            out--;
        if (step.permit & HGI_PERMIT_PROBE)
            out++;
        REQUIRE(out <= all->machine.max_calls);
        /* Every probe is out, or was a success, or has given its place back. */
        if (hgi_word_state(step.word) == HGI_HALF_OPEN)
            REQUIRE(hgi_word_issued(step.word) == out + hgi_word_succeeded(step.word));
        add(all, step.word, out);
    }
}

static void pass_time(struct exploration *all, struct node node)
{
    uint32_t age = edge_age(node.word, NOW);
    if (!has_start(node.word) || age >= AGE_MAX)
        return;
    add(all, node.word - (UINT64_C(1) << HGI_START_SHIFT), node.out);
}

/* From each half-open state, however its probes are lost: asking for one lease ends it. */
static void check_never_stuck(const struct exploration *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        uint64_t word = all->nodes[i].word;
        if (hgi_word_state(word) != HGI_HALF_OPEN)
            continue;
        uint32_t now = NOW;
        uint32_t calls = 0;
        while (hgi_word_state(word) == HGI_HALF_OPEN) {
            struct hgi_step step = hgi_machine_step(&all->machine, word, HGI_ADMIT, 0, now);
            word = step.word;
            now += 1;
            REQUIRE(++calls <= all->machine.max_calls + all->machine.lease_ticks + 2);
        }
    }
}

static void explore(const struct hgi_machine *machine)
{
    struct exploration *all = calloc(1, sizeof *all);
    all->machine = *machine;
    all->nodes = calloc(MOST, sizeof *all->nodes);
    all->table = calloc(2 * MOST, sizeof *all->table);
    REQUIRE(hgi_machine_is_legal(machine));
    add(all, 0, 0);
    for (uint32_t i = 0; i < all->count; i++) {
        for (int event = 0; event < HGI_EVENTS; event++)
            for (int late = 0; late < 2; late++)
                take_edge(all, all->nodes[i], (enum hgi_event)event, late != 0);
        pass_time(all, all->nodes[i]);
    }
    check_never_stuck(all);
    printf("failures %u, probes %u, successes %u, lease %u: %u states, %llu edges\n",
           machine->failure_threshold, machine->max_calls, machine->success_threshold,
           machine->lease_ticks, all->count, (unsigned long long)all->edges);
    REQUIRE(all->edges_between[HGI_OPEN][HGI_HALF_OPEN] > 0);
    REQUIRE(all->edges_between[HGI_HALF_OPEN][HGI_CLOSED] > 0);
    REQUIRE(all->edges_between[HGI_HALF_OPEN][HGI_OPEN] > 0);
    REQUIRE(all->edges_between[HGI_CLOSED][HGI_OPEN] > 0);
    free(all->table);
    free(all->nodes);
    free(all);
}

int main(void)
{
    static const uint32_t failures[] = { 0, 1, 3 };
    static const uint32_t leases[] = { 1, 4 };
    for (size_t f = 0; f < 3; f++)
        for (uint16_t calls = 1; calls <= 3; calls++)
            for (uint16_t successes = 1; successes <= calls; successes++)
                for (size_t lease = 0; lease < 2; lease++) {
                    struct hgi_machine machine = { .seed = f * 77 + calls,
                                                   .failure_threshold = failures[f],
                                                   .lease_ticks = leases[lease],
                                                   .jitter = HGI_JITTER_ONE / 2,
                                                   .max_calls = calls,
                                                   .success_threshold = successes };
                    for (uint32_t i = 0; i < HGI_STREAK_MAX; i++)
                        machine.open_ticks[i] = i < 6 ? 2 + i : 8;
                    explore(&machine);
                }
    return 0;
}
