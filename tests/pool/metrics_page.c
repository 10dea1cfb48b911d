/* Prints the metrics of a pool to which everything that is counted has happened, for check_openmetrics.
 *     metrics_page [NAME]     NAME: the value of the label `pool` */
#include <stdio.h>
#include <stdlib.h>

#include "tests/pool/one_pool.h"

int main(int argc, char **argv)
{
    char *text;
    size_t size;
    set_up_server();
    pool = open_pool(hgi_private_server_url(server), "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    require(hg_command(pool, NULL, NULL, "SET k v") == HG_OK);
    require(hg_command(pool, NULL, NULL, "GET k") == HG_OK);
    require(hg_command(pool, NULL, NULL, "LPUSH k v") == HG_ERR_SERVER);
    hg_lease *lease = acquire();
    require(hg_lease_context(lease) != NULL); /* so it is closed when it comes back */
    hg_release(lease, HG_OK);
    hg_breaker_trip(hg_pool_breaker(pool));
    require(hg_command(pool, NULL, NULL, "GET k") == HG_ERR_CIRCUIT_OPEN);
    size = hg_pool_write_metrics(pool, argc > 1 ? argv[1] : NULL, NULL, 0) + 4096; /* it grows */
    text = malloc(size);
    require(text && hg_pool_write_metrics(pool, argc > 1 ? argv[1] : NULL, text, size) < size);
    fputs(text, stdout);
    free(text);
    tear_down_both();
    return 0;
}
