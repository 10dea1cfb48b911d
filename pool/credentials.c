/* Credentials from the user's own callback, asked at each dial, so that they can be rotated.
 *
 * The last answer is kept to be compared with: when another one comes, connections that logged in with
 * the old one are of an older epoch and retire as they return. It is wiped with the pool.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/error.h"
#include "pool/internal.h"

/* Keep them; true if they are others than those of the last dial. */
static bool are_new(hg_pool *pool, const struct hg_credentials *credentials, bool *kept)
{
    bool differ = false;
    pthread_mutex_lock(&pool->mutex);
    struct hg_credentials *last = pool->last_credentials;
    if (last)
        differ = strcmp(last->username, credentials->username) != 0 ||
                 strcmp(last->password, credentials->password) != 0;
    else
        last = pool->last_credentials = malloc(sizeof *last);
    if (last)
        *last = *credentials;
    *kept = last != NULL;
    pthread_mutex_unlock(&pool->mutex);
    return differ;
}

bool hgi_credentials_ask(hg_pool *pool, struct hgi_endpoint *endpoint, uint32_t *epoch, char *text,
                         size_t size)
{
    struct hg_credentials credentials = { .size = sizeof credentials };
    static_assert(sizeof credentials.username == sizeof endpoint->username, "one size");
    static_assert(sizeof credentials.password == sizeof endpoint->password, "one size");
    memcpy(credentials.username, endpoint->username, sizeof credentials.username);
    memcpy(credentials.password, endpoint->password, sizeof credentials.password);
    hg_status status = pool->credentials(pool->credentials_arg, &credentials);
    credentials.username[sizeof credentials.username - 1] = '\0';
    credentials.password[sizeof credentials.password - 1] = '\0';
    bool kept = false;
    if (status < 0) {
        snprintf(text, size, "the credentials callback has none now: %s", hg_status_name(status));
    } else {
        bool differ = are_new(pool, &credentials, &kept);
        uint32_t own = *epoch;
        /* relaxed, both: a connection of the old epoch that is borrowed once more is still logged in. */
        if (differ && atomic_compare_exchange_strong_explicit(
                          &pool->epoch, &own, own + 1, memory_order_relaxed, memory_order_relaxed))
            *epoch = own + 1;
        else if (differ) /* it ended meanwhile: some of the next one have the old credentials too */
            atomic_fetch_add_explicit(&pool->epoch, 1, memory_order_relaxed);
        memcpy(endpoint->username, credentials.username, sizeof endpoint->username);
        memcpy(endpoint->password, credentials.password, sizeof endpoint->password);
        if (!kept)
            snprintf(text, size, "out of memory");
    }
    explicit_bzero(&credentials, sizeof credentials);
    return kept;
}
