/* The way to the server; see path.h.
 *
 * A proxy must not soften an outage: when the server dies, its own door is shut first, so that the
 * kernel refuses as it would without it, and what it holds is dropped, as a dying process drops what is
 * in its sockets. A server that is only stopped keeps both.
 */
#include "tools/stress/path.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Through a proxy a connection takes three descriptors of this process. */
static void allow_many_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

bool hgi_path_is_long(const struct hgi_herd_settings *settings)
{
    return settings->capacity_per_s > 0 || settings->toxics.count > 0;
}

bool hgi_path_cost(struct hgi_proxy_cost *out, const struct hgi_herd_settings *settings,
                   struct hgi_private_server *server, struct hgi_problem *problem)
{
    struct hgi_target target;
    return !hgi_path_is_long(settings) ||
           (hgi_target_parse(&target, hgi_private_server_url(server), problem) &&
            hgi_proxy_cost_measure(out, &target, problem));
}

bool hgi_path_open(struct hgi_path *path, const struct hgi_herd_settings *settings,
                   struct hgi_private_server *server, struct hgi_problem *problem)
{
    struct hgi_target target;
    *path = (struct hgi_path) { .server = server, .toxics = &settings->toxics };
    snprintf(path->socket, sizeof path->socket, "%s", hgi_private_server_socket(server));
    snprintf(path->url, sizeof path->url, "%s", hgi_private_server_url(server));
    if (!hgi_path_is_long(settings))
        return true;
    allow_many_descriptors();
    struct hgi_proxy_options options = { .target = &target,
                                         .capacity_per_s = settings->capacity_per_s };
    if (!hgi_target_parse(&target, path->url, problem) ||
        !hgi_proxy_start(&path->proxy, &options, problem))
        return false;
    hgi_proxy_target(path->proxy, &target);
    snprintf(path->socket, sizeof path->socket, "%s", target.socket);
    return hgi_target_url(path->url, sizeof path->url, &target) ||
           hgi_problem_set(problem, "%s: too long for a URL", target.text);
}

void hgi_path_begin(struct hgi_path *path, struct hgi_series *series, int64_t began_ns)
{
    struct hgi_proxy_meter meter = { .began_ns = began_ns,
                                     .bucket_ns = HGI_BUCKET_NS,
                                     .count = series->count,
                                     .came = series->came,
                                     .wasted = series->in_vain,
                                     .served = series->served };
    if (!path->proxy)
        return;
    hgi_proxy_measure(path->proxy, &meter);
    if (path->toxics->count > 0)
        hgi_proxy_set(path->proxy, path->toxics);
}

void hgi_path_down(struct hgi_path *path, enum hgi_outage_way way)
{
    if (way == HGI_OUTAGE_STOP) {
        hgi_private_server_pause(path->server);
        return;
    }
    if (path->proxy) {
        hgi_proxy_shut(path->proxy, true);
        hgi_proxy_drop(path->proxy, false);
    }
    if (way == HGI_OUTAGE_KILL)
        hgi_private_server_kill(path->server);
    else
        hgi_private_server_stop(path->server);
}

bool hgi_path_up(struct hgi_path *path, enum hgi_outage_way way, struct hgi_problem *problem)
{
    if (way == HGI_OUTAGE_STOP)
        hgi_private_server_resume(path->server);
    else if (!hgi_private_server_restart(path->server, problem))
        return false;
    else if (path->proxy)
        hgi_proxy_shut(path->proxy, false);
    return true;
}

int64_t hgi_path_lost_ns(struct hgi_path *path)
{
    struct hgi_proxy_stats stats;
    if (!path->proxy)
        return 0;
    hgi_proxy_stats(path->proxy, &stats);
    return stats.lost_ns;
}

void hgi_path_close(struct hgi_path *path)
{
    if (!path->proxy)
        return;
    hgi_proxy_drop(path->proxy, false); /* what is left in line was in vain */
    hgi_proxy_measure(path->proxy, NULL);
    hgi_proxy_stop(path->proxy);
    path->proxy = NULL;
}
