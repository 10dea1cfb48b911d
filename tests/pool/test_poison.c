/* Late replies: a server is stopped until reads time out, and goes on, over and over, under load. Every
 * call carries a number of its own, which its reply must have. A pool that puts timed-out connections
 * back, the control, gives thousands of wrong replies; this one gives none.
 *
 * HERDGATE_POISON_CALLS is how many calls are made (40000); the time is bounded anyway. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "breaker/clock.h"
#include "tests/pool/support.h"

enum { THREADS = 8, CONNECTIONS = 4, TIMEOUT_MS = 30, LONGEST_S = 100 };

struct load;

/* One call: true if it was answered, with the answer in `answer`. */
typedef bool (*call_fn)(struct load *load, const char *nonce, char answer[static 32]);

struct load {
    call_fn call;
    hg_pool *pool;
    _Atomic uint64_t begun; /* all of these: by the threads */
    _Atomic uint64_t answered;
    _Atomic uint64_t timed_out;
    _Atomic uint64_t crossed;
    _Atomic uint32_t running;
    uint64_t calls;
    int64_t end_ns;

    pthread_mutex_t mutex; /* of the control pool: guards the rest */
    pthread_cond_t returned;
    redisContext *free[CONNECTIONS];
    int free_count;
};

static bool pool_call(struct load *load, const char *nonce, char answer[static 32])
{
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    if (hg_command(load->pool, &reply, &err, "ECHO %s", nonce) < 0) {
        if (hg_error_is(&err, HG_ERR_TIMEOUT))
            atomic_fetch_add(&load->timed_out, 1);
        return false;
    }
    snprintf(answer, 32, "%s", reply->type == REDIS_REPLY_STRING ? reply->str : "");
    freeReplyObject(reply);
    return true;
}

static bool control_call(struct load *load, const char *nonce, char answer[static 32])
{
    pthread_mutex_lock(&load->mutex);
    while (load->free_count == 0)
        pthread_cond_wait(&load->returned, &load->mutex);
    redisContext *context = load->free[--load->free_count];
    pthread_mutex_unlock(&load->mutex);

    redisReply *reply = redisCommand(context, "ECHO %s", nonce);
    if (reply)
        snprintf(answer, 32, "%s", reply->type == REDIS_REPLY_STRING ? reply->str : "");
    else
        atomic_fetch_add(&load->timed_out, 1);
    bool answered = reply != NULL;
    freeReplyObject(reply);
    context->err = 0; /* the mistake: as good as new */

    pthread_mutex_lock(&load->mutex);
    load->free[load->free_count++] = context;
    pthread_cond_signal(&load->returned);
    pthread_mutex_unlock(&load->mutex);
    return answered;
}

static void *caller_main(void *argument)
{
    struct load *load = argument;
    for (;;) {
        uint64_t number = atomic_fetch_add(&load->begun, 1);
        if (number >= load->calls || hgi_now_ns() >= load->end_ns)
            break;
        char nonce[32];
        char answer[32];
        snprintf(nonce, sizeof nonce, "n%llu", (unsigned long long)number);
        if (!load->call(load, nonce, answer))
            continue;
        atomic_fetch_add(&load->answered, 1);
        if (strcmp(nonce, answer) != 0)
            atomic_fetch_add(&load->crossed, 1);
    }
    atomic_fetch_sub(&load->running, 1);
    return NULL;
}

/* Wait until a counter has grown by so much, or the callers are through. */
static void wait_for_more(struct load *load, _Atomic uint64_t *counter, uint64_t more)
{
    uint64_t until = atomic_load(counter) + more;
    while (atomic_load(counter) < until && atomic_load(&load->running) > 0)
        sleep_ms(1);
}

static void run_load(struct load *load, struct hgi_private_server *server, const char *name)
{
    pthread_t threads[THREADS];
    unsigned pauses = 0;
    load->end_ns = hgi_now_ns() + LONGEST_S * HGI_NS_PER_S;
    atomic_store(&load->running, THREADS);
    for (int i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, caller_main, load) == 0);
    while (atomic_load(&load->running) > 0) {
        wait_for_more(load, &load->answered, load->calls / 40);
        hgi_private_server_pause(server);
        wait_for_more(load, &load->timed_out, CONNECTIONS);
        hgi_private_server_resume(server);
        pauses++;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%s: %llu calls answered, %llu timed out in %u pauses, %llu replies of another call\n",
           name, (unsigned long long)atomic_load(&load->answered),
           (unsigned long long)atomic_load(&load->timed_out), pauses,
           (unsigned long long)atomic_load(&load->crossed));
    require(atomic_load(&load->timed_out) > 0);
}

static uint64_t calls_wanted(void)
{
    const char *text = getenv("HERDGATE_POISON_CALLS");
    return text ? strtoull(text, NULL, 10) : 40000;
}

int main(void)
{
    struct hgi_private_server *server = start_server();
    struct load ours = { .call = pool_call, .calls = calls_wanted() };
    ours.pool = open_pool(hgi_private_server_url(server),
                          "{\"pool\": {\"max_size\": 4}, \"breaker\": {\"enabled\": false},"
                          " \"commands\": {\"ECHO\": \"read\"}, \"classes\": {\"read\":"
                          " {\"retry\": \"none\", \"attempt_timeout\": \"30ms\"}}}");
    run_load(&ours, server, "herdgate");
    require(atomic_load(&ours.crossed) == 0);
    close_pool(ours.pool);

    struct load control = { .call = control_call,
                            .calls = 4000,
                            .mutex = PTHREAD_MUTEX_INITIALIZER,
                            .returned = PTHREAD_COND_INITIALIZER };
    const struct timeval limit = { .tv_usec = TIMEOUT_MS * 1000 };
    for (int i = 0; i < CONNECTIONS; i++) {
        redisContext *context = redisConnectUnix(hgi_private_server_socket(server));
        require(context && !context->err && redisSetTimeout(context, limit) == REDIS_OK);
        control.free[control.free_count++] = context;
    }
    run_load(&control, server, "a pool that puts timed-out connections back");
    require(atomic_load(&control.crossed) > 0);
    for (int i = 0; i < CONNECTIONS; i++)
        redisFree(control.free[i]);
    hgi_private_server_free(server);
    return 0;
}
