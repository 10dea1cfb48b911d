/* Owning slots: the step from FREE to owned and back, which is one CAS and one exchange. */
#ifndef HERDGATE_POOL_SLOTS_H
#define HERDGATE_POOL_SLOTS_H

#include "pool/internal.h"

/* Own a FREE slot, or NULL. Starts at the one that this thread used last. */
struct hgi_slot *hgi_slot_own_free(hg_pool *pool);

/* Make an owned slot FREE, for anyone to take. Whoever calls this looks at the queue after it. */
void hgi_slot_free(struct hgi_slot *slot);

/* Own it again, after making it FREE. False: somebody else has it. */
bool hgi_slot_own_again(struct hgi_slot *slot);

#endif
