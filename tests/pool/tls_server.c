/* Certificates live for two days, in a folder of their own under /tmp. */
#include "tests/pool/tls_server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool/tls.h"

static char folder[32];

static const char make_certificates[] =
    "cd %s && exec >log 2>&1 && set -e\n"
    "new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
    "openssl req -x509 $new -days 2 -subj /CN=ca -keyout ca.key -out ca.pem\n"
    "make() {\n"
    "  openssl req $new -subj /CN=$1 -addext subjectAltName=$2 -keyout $1.key -out $1.csr\n"
    "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\\n"
    "    -copy_extensions copy -out $1.pem\n"
    "}\n"
    "make here DNS:here.example,IP:127.0.0.1\n"
    "make elsewhere DNS:elsewhere.example\n"
    "make client DNS:client.example\n";

const char *tls_folder_make(const char **why)
{
    char command[1024];
    *why = NULL;
    if (!hgi_tls_is_built())
        *why = "this build has no TLS: hiredis has no hiredis_ssl here";
    else if (system("command -v openssl >/dev/null") != 0)
        *why = "the openssl command is not here";
    if (*why)
        return NULL;
    snprintf(folder, sizeof folder, "/tmp/herdgate-XXXXXX");
    require(mkdtemp(folder) != NULL);
    snprintf(command, sizeof command, make_certificates, folder);
    require(system(command) == 0); /* else: see the log there */
    return folder;
}

void tls_folder_remove(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    if (folder[0])
        require(system(command) == 0);
    folder[0] = '\0';
}

static unsigned free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    require(bind(fd, (const struct sockaddr *)&address, size) == 0);
    require(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

struct hgi_private_server *tls_server_start(const char *who, const char *clients, unsigned *port,
                                            const char **why)
{
    char text[8], certificate[64], key[64], ca[64];
    struct hgi_private_server *server = NULL;
    struct hgi_problem problem;
    snprintf(certificate, sizeof certificate, "%s/%s.pem", folder, who);
    snprintf(key, sizeof key, "%s/%s.key", folder, who);
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    const char *const arguments[] = { "--tls-port",
                                      text,
                                      "--tls-cert-file",
                                      certificate,
                                      "--tls-key-file",
                                      key,
                                      "--tls-ca-cert-file",
                                      ca,
                                      "--tls-auth-clients",
                                      clients,
                                      NULL };
    const struct hgi_private_server_options options = { .tcp = true, .arguments = arguments };
    for (int i = 0; i < 5 && !server; i++) { /* somebody may take the port in between */
        *port = free_port();
        snprintf(text, sizeof text, "%u", *port);
        if (!hgi_private_server_start(&server, &options, &problem))
            server = NULL;
    }
    if (!server && !strstr(problem.text, "Bad directive")) {
        fprintf(stderr, "%s\n", problem.text);
        require(server != NULL);
    }
    *why = server ? NULL : "the redis-server here was built without TLS";
    return server;
}
