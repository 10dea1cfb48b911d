/* The fence: an older attempt of a write never runs after a newer one.
 *
 * A SET that timed out may still lie in the server's socket, or on the way there, and closing the
 * connection does not take it back: it would run after a later, acknowledged SET, and the old value
 * would win. So each connection knows its number on the server, and a write that may have run is sent
 * again only behind CLIENT KILL ID <number>, pipelined before it: once the server has come to the new
 * attempt, it reads nothing more of the old one.
 *
 * A server that was restarted numbers its clients anew, and the number of then may be that of somebody
 * else now. Numbers only grow while a server lives: where the new connection was begun after the old
 * one stood and yet has the lower number, the old one died with its server, and nobody is killed. What
 * is left: a server that is restarted and has within the length of one call given out more numbers than
 * the old one had; then a client of the same number is cut off once. Its address would tell the two apart
 * (CLIENT KILL ID ... ADDR ...), but has to be asked for on every connection and says nothing on a unix
 * socket; the user's name could have changed on a lease, and the old attempt would then be missed.
 */
#include "pool/fence.h"

#include <inttypes.h>
#include <stdio.h>

bool hgi_fence_note(struct hgi_fence *fence, const struct hgi_conn *conn)
{
    if (!conn->can_fence || fence->count == HGI_FENCE_MAX)
        return false;
    fence->older[fence->count].client_id = conn->client_id;
    fence->older[fence->count].made_ns = conn->made_ns;
    fence->count++;
    return true;
}

void hgi_fence_format(const struct hgi_fence *fence, const struct hgi_conn *conn,
                      char bytes[static HGI_FENCE_SIZE], size_t *length, uint32_t *replies)
{
    *length = 0;
    *replies = 0;
    for (uint32_t i = 0; i < fence->count; i++) {
        if (conn->dialled_ns > fence->older[i].made_ns &&
            conn->client_id < fence->older[i].client_id)
            continue; /* of a server that is no more */
        char id[24];
        int digits = snprintf(id, sizeof id, "%" PRId64, fence->older[i].client_id);
        int written =
            snprintf(bytes + *length, HGI_FENCE_FRAME_SIZE,
                     "*4\r\n$6\r\nCLIENT\r\n$4\r\nKILL\r\n$2\r\nID\r\n$%d\r\n%s\r\n", digits, id);
        *length += (size_t)written;
        ++*replies;
    }
}
