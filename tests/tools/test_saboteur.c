/* What a fault did to the server is undone when its time is over, however far it has come. */
#include <stdlib.h>
#include <string.h>

#include "tests/tools/check.h"
#include "tools/common/timing.h"
#include "tools/stress/saboteur.h"

enum { MUCH_TIME_S = 60 };

static bool is_loading(struct hgi_private_server *server)
{
    redisReply *reply = hgi_private_server_command(server, NULL, "PING");
    bool loading =
        reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "LOADING", 7) == 0;
    freeReplyObject(reply);
    return loading;
}

/* The delays of this load are a minute, more than its end is waited for. */
static void a_load_is_cut_short(struct hgi_saboteur *saboteur)
{
    const struct hgi_server_faults faults = {
        .count = 1,
        .fault = { { .kind = HGI_SERVER_LOADING, .until_ns = 60 * NS_PER_S } },
    };
    struct hgi_problem problem;
    const int64_t began_ns = monotonic_ns();
    hgi_saboteur_plan(saboteur, &faults, began_ns);
    CHECK(hgi_saboteur_work(saboteur, began_ns, &problem));
    while (!is_loading(saboteur->server)) {
        CHECK(monotonic_ns() < began_ns + MUCH_TIME_S * NS_PER_S);
        sleep_until_ns(monotonic_ns() + 5 * NS_PER_MS);
    }
    if (!hgi_saboteur_end(saboteur, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        exit(1);
    }
    CHECK(!is_loading(saboteur->server));
}

int main(void)
{
    struct hgi_problem problem;
    _Atomic uint32_t losses = 0;
    struct hgi_saboteur saboteur = { .losses = &losses };
    if (!hgi_saboteur_server(&saboteur.server, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    a_load_is_cut_short(&saboteur);
    hgi_private_server_free(saboteur.server);
    return 0;
}
