/* Who holds which connection; see owners.h. Open addressing; places are never freed, and a server
 * gives no id twice. */
#include "tools/stress/owners.h"

#include "tools/common/random.h"

#define NO_PLACE UINT32_MAX

static uint32_t place_of(struct hgi_owners *owners, int64_t id)
{
    uint32_t start = (uint32_t)random_mix((uint64_t)id);
    for (uint32_t i = 0; i < HGI_OWNERS_PLACES; i++) {
        uint32_t at = (start + i) % HGI_OWNERS_PLACES;
        /* relaxed: a place only ever goes from 0 to its id; the exchange below orders holders. */
        int64_t there = atomic_load_explicit(&owners->place[at].id, memory_order_relaxed);
        if (there == 0)
            atomic_compare_exchange_strong_explicit(&owners->place[at].id, &there, id,
                                                    memory_order_relaxed, memory_order_relaxed);
        if (there == 0 || there == id)
            return at;
    }
    return NO_PLACE;
}

bool hgi_owners_take(struct hgi_owners *owners, int64_t id, uint32_t mark, uint32_t *place)
{
    *place = place_of(owners, id);
    if (*place == NO_PLACE)
        return true; /* more connections than can be watched */
    /* seq_cst: two holders write the same word, and the later of the two must see the other. */
    return atomic_exchange_explicit(&owners->place[*place].holder, mark, memory_order_seq_cst) == 0;
}

bool hgi_owners_give(struct hgi_owners *owners, uint32_t place, uint32_t mark)
{
    if (place == NO_PLACE)
        return true;
    uint32_t expected = mark;
    /* seq_cst: as above. One that was overwritten is left to the one who did. */
    return atomic_compare_exchange_strong_explicit(&owners->place[place].holder, &expected, 0,
                                                   memory_order_seq_cst, memory_order_seq_cst);
}
