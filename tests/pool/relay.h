/* A slow network between a pool and a real server: a relay on a loopback port that can keep the bytes
 * of one connection back, for as long as the test wants, also after their sender has gone. */
#ifndef HERDGATE_TESTS_POOL_RELAY_H
#define HERDGATE_TESTS_POOL_RELAY_H

#include <stdbool.h>

struct relay;

/* To the server on that unix socket, or the end of the program with a message. */
struct relay *relay_start(const char *server_socket);
void relay_stop(struct relay *relay);

/* redis://127.0.0.1:port */
const char *relay_url(const struct relay *relay);

/* From now on, keep back what the next connection that sends something sends to the server. */
void relay_hold(struct relay *relay);

/* Is one held? Has the server closed its end of it? */
bool relay_holds(struct relay *relay);
bool relay_held_is_dead(struct relay *relay);

/* Let the held bytes go to the server; true once the relay has nothing held any more. */
void relay_release(struct relay *relay);

#endif
