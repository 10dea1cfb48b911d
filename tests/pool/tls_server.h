/* A real server that speaks TLS, with certificates made here by the openssl command. */
#ifndef HERDGATE_TESTS_POOL_TLS_SERVER_H
#define HERDGATE_TESTS_POOL_TLS_SERVER_H

#include "tests/pool/support.h"

/* A new folder with ca.pem and, signed by it, here.pem (here.example, 127.0.0.1), elsewhere.pem and client.pem
 * with their keys. NULL: it cannot be made here, and *why says what is missing. */
const char *tls_folder_make(const char **why);
void tls_folder_remove(void); /* if there is one */

/* A server whose certificate is `who`, in such a folder; clients: "yes" or "no", whether it asks for theirs.
 * *port is where it speaks TLS. NULL: this redis-server cannot, and *why says so. */
struct hgi_private_server *tls_server_start(const char *who, const char *clients, unsigned *port,
                                            const char **why);

#endif
