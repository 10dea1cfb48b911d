/* The proxy with nothing wrong: bytes pass unchanged, for many at once, within its bounds; and what a
 * seed decides is the same each time. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/tools/test_proxy_rig.h"
#include "tools/common/random.h"

enum { MIB = 1 << 20 };

static void draw_bytes(char *out, size_t length, uint64_t seed)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (char)random_next(&seed);
}

static void values_of_any_size_pass_unchanged_both_ways(void)
{
    static char value[MIB];
    for (int tcp = 0; tcp < 2; tcp++) {
        start_proxy(tcp == 1, "");
        redisContext *c = connected();
        for (size_t length = 0; length <= MIB; length = 4 * length + 1) {
            draw_bytes(value, length, length);
            freeReplyObject(redisCommand(c, "SET value %b", value, length));
            redisReply *reply = redisCommand(c, "GET value");
            CHECK(reply && reply->len == length && memcmp(reply->str, value, length) == 0);
            freeReplyObject(reply);
        }
        CHECK(stats_of_proxy().requests == 22 && stats_of_proxy().replies == 22);
        redisFree(c);
        hgi_proxy_stop(proxy);
    }
}

static void a_pipeline_passes_unchanged(void)
{
    enum { COMMANDS = 5000 };
    start_proxy(false, "");
    redisContext *c = connected();
    size_t sent = 0;
    for (int i = 0; i < COMMANDS; i++)
        redisAppendCommand(c, "ECHO a-text-with-the-number-%d", i);
    sent = sdslen(c->obuf);
    CHECK(sent > 100000);
    for (int i = 0; i < COMMANDS; i++) {
        char expected[64];
        redisReply *reply = NULL;
        snprintf(expected, sizeof expected, "a-text-with-the-number-%d", i);
        CHECK(redisGetReply(c, (void **)&reply) == REDIS_OK);
        CHECK(strcmp(reply->str, expected) == 0);
        freeReplyObject(reply);
    }
    struct hgi_proxy_stats stats = stats_of_proxy();
    CHECK(stats.bytes_to_server == sent && stats.bytes_to_client > sent / 2);
    CHECK(stats.requests == COMMANDS && stats.replies == COMMANDS);
    redisFree(c);
    hgi_proxy_stop(proxy);
}

/* What the server holds back for its clients, in bytes. */
static long held_by_server(void)
{
    long sum = 0;
    redisReply *reply = hgi_private_server_command(server, NULL, "CLIENT LIST");
    CHECK(reply && reply->type == REDIS_REPLY_STRING);
    for (const char *at = reply->str; (at = strstr(at, " omem=")) != NULL; at++)
        sum += strtol(at + 6, NULL, 10);
    freeReplyObject(reply);
    return sum;
}

static void who_does_not_read_is_not_read_for(void)
{
    enum { COMMANDS = 50 };
    static char value[MIB];
    start_proxy(false, "");
    redisContext *c = connected();
    draw_bytes(value, MIB, 1);
    freeReplyObject(redisCommand(c, "SET value %b", value, (size_t)MIB));
    for (int i = 0; i < COMMANDS; i++)
        redisAppendCommand(c, "GET value");
    for (int done = 0; !done;)
        CHECK(redisBufferWrite(c, &done) == REDIS_OK);
    int64_t end_ns = monotonic_ns() + 20 * NS_PER_S;
    while (held_by_server() < 45L * MIB) /* the rest is in sockets, and a little in the proxy */
        CHECK(monotonic_ns() < end_ns);
    CHECK(stats_of_proxy().bytes_to_client < 4L * MIB);
    for (int i = 0; i < COMMANDS; i++) {
        redisReply *reply = NULL;
        CHECK(redisGetReply(c, (void **)&reply) == REDIS_OK);
        CHECK(reply->len == MIB && memcmp(reply->str, value, MIB) == 0);
        freeReplyObject(reply);
    }
    redisFree(c);
    hgi_proxy_stop(proxy);
}

static void two_hundred_at_once_get_their_own_replies_and_leave_no_descriptor(void)
{
    enum { CONNECTIONS = 200, PIPELINE = 20 };
    static redisContext *c[CONNECTIONS];
    int before = descriptors();
    for (int tcp = 0; tcp < 2; tcp++) {
        start_proxy(tcp == 1, "");
        for (int i = 0; i < CONNECTIONS; i++)
            c[i] = connected();
        for (int i = 0; i < CONNECTIONS; i++) {
            int done = 0;
            for (int j = 0; j < PIPELINE; j++)
                redisAppendCommand(c[i], "ECHO %d-%d", i, j);
            while (!done)
                CHECK(redisBufferWrite(c[i], &done) == REDIS_OK);
        }
        for (int i = CONNECTIONS - 1; i >= 0; i--) {
            for (int j = 0; j < PIPELINE; j++) {
                char expected[32];
                redisReply *reply = NULL;
                snprintf(expected, sizeof expected, "%d-%d", i, j);
                CHECK(redisGetReply(c[i], (void **)&reply) == REDIS_OK);
                CHECK(strcmp(reply->str, expected) == 0);
                freeReplyObject(reply);
            }
        }
        struct hgi_proxy_stats stats = stats_of_proxy();
        CHECK(stats.accepted == CONNECTIONS && stats.open == CONNECTIONS);
        CHECK(stats.replies == (uint64_t)CONNECTIONS * PIPELINE);
        for (int i = 0; i < CONNECTIONS; i++)
            redisFree(c[i]);
        int64_t end_ns = monotonic_ns() + 20 * NS_PER_S;
        while (stats_of_proxy().open > 0)
            CHECK(monotonic_ns() < end_ns);
        hgi_proxy_stop(proxy);
        CHECK(descriptors() == before);
    }
}

static atomic_bool over; /* set once by the test's own thread */

/* Connects, calls and comes back, whatever happens to it; a reply that comes must be right. */
static void *call_through_it_all(void *arg)
{
    int number = *(const int *)arg;
    for (int i = 0; !atomic_load_explicit(&over, memory_order_relaxed); i++) { /* only a flag */
        redisContext *c = try_connect();
        if (c->err == 0)
            set_timeout_ms(c, 20);
        for (int j = 0; j < 20 && c->err == 0; j++) {
            char expected[32];
            redisReply *reply = redisCommand(c, "ECHO %d-%d-%d", number, i, j);
            snprintf(expected, sizeof expected, "%d-%d-%d", number, i, j);
            CHECK(!reply ||
                  (reply->type == REDIS_REPLY_STRING && strcmp(reply->str, expected) == 0));
            freeReplyObject(reply);
        }
        redisFree(c);
    }
    return NULL;
}

static void faults_change_under_load_from_many_threads(void)
{
    enum { THREADS = 8, ROUNDS = 60 };
    static const char *const faults[] = {
        "",
        "latency=1ms,jitter=2ms",
        "reset,toxicity=0.1",
        "stall,toxicity=0.1",
        "refuse",
        "half_reply,toxicity=0.2",
        "garbage,toxicity=0.2",
        "slow=100us,toxicity=0.5",
        "refuse,toxicity=0.5",
        "close_after=7",
        "bandwidth=10k",
        "stall=requests,toxicity=0.5",
    };
    int before = descriptors();
    int number[THREADS];
    pthread_t thread[THREADS];
    start_proxy(false, "");
    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        CHECK(pthread_create(&thread[i], NULL, call_through_it_all, &number[i]) == 0);
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        set_faults(faults[i % (sizeof faults / sizeof faults[0])]);
        sleep_until_ns(monotonic_ns() + 10 * NS_PER_MS);
        if (i % 7 == 0)
            hgi_proxy_drop(proxy, i % 2 == 0);
        struct hgi_proxy_stats stats = stats_of_proxy();
        CHECK(stats.open <= stats.accepted && stats.replies <= stats.requests);
    }
    atomic_store_explicit(&over, true, memory_order_relaxed);
    set_faults("");
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    struct hgi_proxy_stats stats = stats_of_proxy();
    for (int kind = 0; kind < HGI_TOXIC_KINDS; kind++)
        printf("  %s %lu", hgi_toxic_name((enum hgi_toxic_kind)kind),
               (unsigned long)stats.struck[kind]);
    printf("\n  %lu connections, %lu replies\n", (unsigned long)stats.accepted,
           (unsigned long)stats.replies);
    CHECK(stats.replies > 0);
    hgi_proxy_stop(proxy);
    CHECK(descriptors() == before);
}

/* Which of the replies of ten connections come back as garbage or not at all. */
static void strike(uint64_t seed, char out[10][11])
{
    struct hgi_toxics faults = faults_of(seed, "garbage,toxicity=0.2,reset,toxicity=0.1");
    start_proxy(false, "");
    hgi_proxy_set(proxy, &faults);
    for (int i = 0; i < 10; i++) {
        memset(out[i], '-', 10);
        redisContext *c = connected();
        for (int j = 0; j < 10 && c->err == 0; j++)
            out[i][j] = pings(c) ? '+' : c->err == REDIS_ERR_PROTOCOL ? 'g' : 'r';
        redisFree(c);
        out[i][10] = '\0';
    }
    hgi_proxy_stop(proxy);
}

static void the_same_seed_strikes_the_same_and_another_one_otherwise(void)
{
    char one[10][11];
    char again[10][11];
    char other[10][11];
    strike(7, one);
    strike(7, again);
    strike(8, other);
    CHECK(memcmp(one, again, sizeof one) == 0);
    CHECK(memcmp(one, other, sizeof one) != 0);
    for (int i = 0; i < 10; i++)
        printf("  %s\n", one[i]);
}

int main(void)
{
    start_server();
    RUN(values_of_any_size_pass_unchanged_both_ways);
    RUN(a_pipeline_passes_unchanged);
    RUN(who_does_not_read_is_not_read_for);
    RUN(two_hundred_at_once_get_their_own_replies_and_leave_no_descriptor);
    RUN(faults_change_under_load_from_many_threads);
    RUN(the_same_seed_strikes_the_same_and_another_one_otherwise);
    hgi_private_server_free(server);
    return 0;
}
