/* What this process is made of; see vitals.h. From /proc. */
#include "tools/stress/vitals.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct hgi_vitals hgi_vitals_read(void)
{
    struct hgi_vitals vitals = { -1, -1, -1 };
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            vitals.resident = strtoll(line + 6, NULL, 10) * 1024;
        else if (strncmp(line, "Threads:", 8) == 0)
            vitals.threads = strtoll(line + 8, NULL, 10);
    }
    if (status)
        fclose(status);
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder)) /* NOLINT(concurrency-mt-unsafe): a stream of its own */
        vitals.descriptors++;
    if (folder) {
        closedir(folder);
        vitals.descriptors -= 2; /* from -1: "." and ".." made two, and the stream has one */
    }
    return vitals;
}

/* A socket's path is the one that its listener was bound under; the proxy's was renamed since, within a
 * directory of its own. */
static bool same_directory(const char *path, const char *other)
{
    const char *end = strrchr(path, '/');
    const char *other_end = strrchr(other, '/');
    return end && other_end && end - path == other_end - other &&
           strncmp(path, other, (size_t)(end - path)) == 0;
}

static bool leads_to(int fd, const struct hgi_target *target)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t length = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) != 0)
        return false;
    if (peer.ss_family == AF_UNIX)
        return same_directory(((const struct sockaddr_un *)(const void *)&peer)->sun_path,
                              target->socket);
    if (peer.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&peer)->sin_port) == target->port;
    if (peer.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&peer)->sin6_port) == target->port;
    return false;
}

uint32_t hgi_vitals_sockets(const struct hgi_target *target)
{
    uint32_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
    while (folder && (entry = readdir(folder)))
        count += entry->d_name[0] != '.' && leads_to(atoi(entry->d_name), target);
    if (folder)
        closedir(folder);
    return count;
}

int64_t hgi_vitals_connections(struct hgi_wire *wire, const char *name)
{
    char field[64];
    int64_t count = 0;
    redisReply *reply = hgi_wire_command(wire, NULL, "CLIENT LIST");
    snprintf(field, sizeof field, " name=%s ", name);
    if (!reply || reply->type != REDIS_REPLY_STRING)
        count = -1;
    else
        for (const char *at = reply->str; (at = strstr(at, field)); at++)
            count++;
    freeReplyObject(reply);
    return count;
}

double hgi_slope(const double *x, const double *y, uint32_t count)
{
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    if (count < 2)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        mean_x += x[i] / count;
        mean_y += y[i] / count;
    }
    for (uint32_t i = 0; i < count; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    return xx > 0 ? xy / xx : 0;
}
