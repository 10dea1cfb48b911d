/* The event hook: each thing that happens is told once, in the order that is promised, with no lock
 * held, and a hook may come back into the pool. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pool/support.h"

enum { KINDS = HG_EVENT_CLOSED + 1, REASONS = HG_RETIRED_CLOSING + 1, IDS = 64 };

static struct hgi_private_server *server;
static hg_pool *pool;

/* What was told. Connections are few here, so their numbers are small. */
static _Atomic unsigned told[KINDS];
static _Atomic unsigned retired[REASONS];
static _Atomic unsigned connected_as[IDS], retired_as[IDS];
static _Atomic unsigned wrong;
static _Atomic(const char *) what_was_wrong;
static struct hg_error last_error; /* written by one event at a time, read after it was counted */
static _Atomic uint32_t last_max_size;

static void complain(const char *what)
{
    atomic_store(&what_was_wrong, what);
    atomic_fetch_add(&wrong, 1);
}

static void note_connection(const struct hg_pool_event *event)
{
    if (event->connection == 0 || event->connection >= IDS || event->elapsed_ns <= 0) {
        complain("an event of a connection without its number or its time");
        return;
    }
    bool retirement = event->kind == HG_EVENT_RETIRED;
    if (event->kind == HG_EVENT_CONNECTED && atomic_fetch_add(&connected_as[event->connection], 1))
        complain("connected twice");
    if (event->kind != HG_EVENT_CONNECTED && !atomic_load(&connected_as[event->connection]))
        complain("an event of a connection that was never made");
    if (retirement && atomic_fetch_add(&retired_as[event->connection], 1))
        complain("retired twice");
    if (!retirement && atomic_load(&retired_as[event->connection]))
        complain("an event of a connection that is no more");
    if (retirement != (event->retirement != HG_RETIRED_NONE))
        complain("a reason where there is none to give, or none where there is");
}

static void note(void *arg, const struct hg_pool_event *event)
{
    (void)arg;
    if (event->size != sizeof *event || (unsigned)event->kind >= KINDS)
        complain("the event's frame");
    if (atomic_load(&told[HG_EVENT_CLOSED]))
        complain("something after the end");
    bool of_connection = event->kind == HG_EVENT_CONNECTED || event->kind == HG_EVENT_RETIRED ||
                         event->kind == HG_EVENT_MENDED;
    if (of_connection)
        note_connection(event);
    else if (event->connection != 0)
        complain("a connection where there is none");
    if ((event->breaker != NULL) != (event->kind == HG_EVENT_BREAKER))
        complain("a transition where there is none, or none where there is one");
    bool failure = event->kind == HG_EVENT_DIAL_FAILED || event->kind == HG_EVENT_POOL_TIMEOUT;
    if ((event->error != NULL) != failure)
        complain("an error where there is none, or none where there is one");
    if (event->error)
        last_error = *event->error;
    if (event->kind == HG_EVENT_RETIRED)
        atomic_fetch_add(&retired[event->retirement], 1);
    atomic_store(&last_max_size, event->max_size);
    atomic_fetch_add(&told[event->kind], 1);
}

/* The same, and a visit to the pool, which locks what a pool locks. */
static void note_and_come_back(void *arg, const struct hg_pool_event *event)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    note(arg, event);
    if (event->kind != HG_EVENT_CLOSED)
        hg_pool_read_stats(*(hg_pool **)arg, &stats);
}

static void open_told(const char *url, hg_pool_event_fn hook, const char *json)
{
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = url;
    options.event = hook;
    pool = open_pool_with(&options, json);
}

static void set_up(void)
{
    server = start_server();
}

static void tear_down(void)
{
    cr_assert_eq(atomic_load(&wrong), 0, "%s", atomic_load(&what_was_wrong));
    hgi_private_server_free(server);
}

TestSuite(events, .init = set_up, .fini = tear_down, .timeout = 120);

static bool was_told(void *kind)
{
    return atomic_load(&told[*(hg_pool_event_kind *)kind]) > 0;
}

static void expect_told(hg_pool_event_kind kind)
{
    wait_for(was_told, &kind, hg_pool_event_name(kind));
}

static hg_lease *acquire(void)
{
    hg_lease *lease;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_OK, "%s", err.message);
    return lease;
}

static void use(void)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_command(pool, NULL, &err, "PING"), HG_OK, "%s", err.message);
}

/* --- connections --- */

static bool closed_by_server(void *arg)
{
    (void)arg;
    return atomic_load(&retired[HG_RETIRED_BY_SERVER]) > 0;
}

Test(events, each_connection_is_told_from_its_beginning_to_its_end)
{
    struct hgi_problem problem;
    open_told(hgi_private_server_url(server), note, "{\"pool\": {\"max_size\": 2}, " PATIENT "}");
    use();
    hg_lease *lease = acquire();
    cr_assert_not_null(hg_lease_context(lease));
    hg_release(lease, HG_OK);
    cr_assert_eq(atomic_load(&retired[HG_RETIRED_UNCLEAN]), 1);
    use();
    freeReplyObject(hgi_private_server_command(server, &problem, "CLIENT KILL TYPE %s", "normal"));
    wait_for(closed_by_server, NULL, "the server's end of it is told");
    lease = acquire();
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "MULTI"), HG_OK);
    hg_release(lease, HG_OK);
    expect_told(HG_EVENT_MENDED);
    close_pool(pool);
    cr_assert_geq(atomic_load(&retired[HG_RETIRED_CLOSING]), 1);
    cr_assert_eq(atomic_load(&told[HG_EVENT_CONNECTED]), atomic_load(&told[HG_EVENT_RETIRED]));
    cr_assert_eq(atomic_load(&told[HG_EVENT_CLOSED]), 1);
    cr_assert_eq(atomic_load(&told[HG_EVENT_DIAL_FAILED]), 0);
}

static _Atomic bool hook_saw_a_lease;

/* If it could be leased already, a caller would wait for it in vain only as long as this takes. */
static void look_for_leases(void *arg, const struct hg_pool_event *event)
{
    struct hg_pool_stats stats = HG_POOL_STATS_INIT;
    note(arg, event);
    if (event->kind != HG_EVENT_CONNECTED)
        return;
    sleep_ms(100);
    hg_pool_read_stats(*(hg_pool **)arg, &stats);
    if (stats.acquired > 0)
        atomic_store(&hook_saw_a_lease, true);
}

Test(events, a_connection_is_told_before_anybody_has_it)
{
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    options.event = look_for_leases;
    options.event_arg = &pool;
    pool = open_pool_with(&options, "{\"pool\": {\"max_size\": 1, \"min_idle\": 0}, " PATIENT "}");
    use();
    cr_assert_not(atomic_load(&hook_saw_a_lease));
    close_pool(pool);
}

/* --- failures --- */

Test(events, a_failed_dial_and_the_breaker_it_opens_are_told)
{
    open_told("unix:///nonexistent/herdgate", note,
              "{\"breaker\": {\"failure_threshold\": 1, \"recovery_timeout\": \"30s\", "
              "\"recovery_timeout_max\": \"60s\"}, " PATIENT "}");
    expect_told(HG_EVENT_DIAL_FAILED);
    expect_told(HG_EVENT_BREAKER);
    close_pool(pool);
    cr_assert_eq(last_error.type, HG_ERR_CONNECTION);
    cr_assert_str_eq(last_error.endpoint, "unix:/nonexistent/herdgate");
    const char where[] = "unix:/nonexistent/herdgate: "; /* a line of a log is read by itself */
    cr_assert_eq(strncmp(last_error.message, where, sizeof where - 1), 0, "%s", last_error.message);
    cr_assert_eq(atomic_load(&told[HG_EVENT_CONNECTED]), 0);
}

Test(events, a_caller_that_got_no_connection_is_told_with_its_error)
{
    struct hg_error err = HG_ERROR_INIT;
    open_told(hgi_private_server_url(server), note,
              "{\"pool\": {\"max_size\": 1, \"acquire_timeout\": \"30ms\"}}");
    hg_lease *other = NULL;
    hg_lease *lease = NULL;
    for (int i = 0; i < 1000 && !lease; i++) /* the first dial may take longer than this waits */
        hg_acquire(pool, &lease, NULL, &err);
    cr_assert_not_null(lease, "%s", err.message);
    unsigned before = atomic_load(&told[HG_EVENT_POOL_TIMEOUT]);
    cr_assert_eq(hg_acquire(pool, &other, NULL, &err), HG_ERR_POOL_TIMEOUT);
    cr_assert_eq(atomic_load(&told[HG_EVENT_POOL_TIMEOUT]), before + 1);
    cr_assert_eq(last_error.type, HG_ERR_POOL_TIMEOUT);
    cr_assert_neq(last_error.message[0], '\0');
    hg_release(lease, HG_OK);
    close_pool(pool);
}

/* --- what the host does --- */

Test(events, what_the_host_does_to_the_pool_is_told_once)
{
    open_told(hgi_private_server_url(server), note,
              "{\"pool\": {\"max_size\": 3, \"min_idle\": 0}, " PATIENT "}");
    for (int i = 0; i < 2; i++) /* suspending twice is suspending once */
        cr_assert_eq(hg_pool_suspend(pool, NULL), HG_OK);
    cr_assert_eq(atomic_load(&told[HG_EVENT_SUSPENDED]), 1);
    cr_assert_eq(atomic_load(&last_max_size), 0);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(hg_pool_resume(pool, NULL), HG_OK);
    cr_assert_eq(atomic_load(&told[HG_EVENT_RESUMED]), 1);
    cr_assert_eq(atomic_load(&last_max_size), 3);
    cr_assert_eq(hg_pool_resize(pool, 5, NULL), HG_OK);
    cr_assert_eq(atomic_load(&told[HG_EVENT_RESIZED]), 1);
    cr_assert_eq(atomic_load(&last_max_size), 5);
    hg_policy *policy = parse_policy("{\"pool\": {\"max_size\": 4, \"min_idle\": 0}, " PATIENT "}");
    cr_assert_eq(hg_pool_reload(pool, policy, NULL), HG_OK);
    hg_policy_drop(policy);
    cr_assert_eq(atomic_load(&told[HG_EVENT_RELOADED]), 1);
    cr_assert_eq(atomic_load(&last_max_size), 4);
    cr_assert_lt(hg_pool_resize(pool, 0, NULL), 0);
    cr_assert_eq(atomic_load(&told[HG_EVENT_RESIZED]), 1);
    close_pool(pool);
}

Test(events, the_last_event_comes_when_the_last_lease_does_where_closing_gave_up)
{
    open_told(hgi_private_server_url(server), note, "{" PATIENT "}");
    hg_lease *lease = acquire();
    cr_assert_eq(hg_pool_close(pool, 0, NULL), HG_ERR_TIMEOUT);
    cr_assert_eq(atomic_load(&told[HG_EVENT_CLOSED]), 0);
    hg_release(lease, HG_OK);
    expect_told(HG_EVENT_CLOSED);
    cr_assert_eq(atomic_load(&told[HG_EVENT_CONNECTED]), atomic_load(&told[HG_EVENT_RETIRED]));
}

/* --- re-entrance --- */

static _Atomic unsigned inner_calls;

static void call_from_inside(void *arg, const struct hg_pool_event *event)
{
    note_and_come_back(arg, event);
    /* On the caller's own thread, so that the pool's can make the connection. */
    if (event->kind != HG_EVENT_RETIRED || event->retirement != HG_RETIRED_UNCLEAN)
        return;
    if (hg_command(pool, NULL, NULL, "INCR inner") != HG_OK)
        complain("a call from inside of the hook failed");
    atomic_fetch_add(&inner_calls, 1);
}

static void *churn(void *arg)
{
    for (unsigned i = 0; i < 4; i++) {
        hg_lease *lease = acquire();
        cr_assert_not_null(hg_lease_context(lease)); /* closed when it comes back */
        hg_release(lease, HG_OK);
    }
    return arg;
}

Test(events, a_hook_may_come_back_into_the_pool_from_every_event)
{
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    pthread_t threads[4];
    options.url = hgi_private_server_url(server);
    options.event = call_from_inside;
    options.event_arg = &pool;
    pool = open_pool_with(&options, "{\"pool\": {\"max_size\": 2, \"min_idle\": 0}, " PATIENT "}");
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    hg_lease *lease = acquire();
    cr_assert_eq(hg_lease_command(lease, NULL, NULL, "MULTI"), HG_OK);
    hg_release(lease, HG_OK);
    expect_told(HG_EVENT_MENDED);
    hg_breaker_trip(hg_pool_breaker(pool));
    expect_told(HG_EVENT_BREAKER);
    cr_assert_eq(hg_pool_suspend(pool, NULL), HG_OK);
    cr_assert_eq(hg_pool_resume(pool, NULL), HG_OK);
    cr_assert_eq(hg_pool_resize(pool, 1, NULL), HG_OK);
    close_pool(pool);
    cr_assert_eq(atomic_load(&inner_calls), 16);
}

/* --- growth --- */

Test(events, options_of_a_host_that_knows_no_events_are_read_as_far_as_they_go)
{
    const struct hg_pool_options whole = { .size = offsetof(struct hg_pool_options, event),
                                           .url = hgi_private_server_url(server),
                                           .event = note };
    void *old = malloc(whole.size); /* to the byte, for who watches memory */
    cr_assert_not_null(old);
    memcpy(old, &whole, whole.size);
    pool = open_pool_with(old, "{" PATIENT "}");
    use();
    close_pool(pool);
    free(old);
    cr_assert_eq(atomic_load(&told[HG_EVENT_CONNECTED]), 0);
}

Test(events_names, what_a_newer_host_asks_a_pool_for_and_is_not_here_is_refused)
{
    struct {
        struct hg_pool_options known;
        uint64_t unknown;
    } newer = { .known = HG_POOL_OPTIONS_INIT };
    hg_policy *policy;
    struct hg_error err = HG_ERROR_INIT;
    newer.known.size = sizeof newer;
    cr_assert_eq(hg_policy_parse(&policy, "{}", 2, NULL, NULL), HG_OK);
    newer.unknown = 1;
    cr_expect_eq(hg_pool_open(&pool, &newer.known, policy, &err), HG_ERR_VALIDATION);
    cr_expect_not_null(strstr(err.message, "newer library"), "%s", err.message);
    cr_assert_null(pool);
    newer.unknown = 0;
    cr_assert_eq(hg_pool_open(&pool, &newer.known, policy, &err), HG_OK);
    cr_expect_eq(hg_pool_close(pool, 0, NULL), HG_OK);
    hg_policy_drop(policy);
}

Test(events_names, everything_has_a_name_and_nothing_else_has_one)
{
    for (int i = 0; i < KINDS; i++)
        cr_assert_str_neq(hg_pool_event_name((hg_pool_event_kind)i), "?");
    for (int i = 0; i < REASONS; i++)
        cr_assert_str_neq(hg_retirement_name((hg_retirement)i), "?");
    cr_assert_str_eq(hg_pool_event_name((hg_pool_event_kind)KINDS), "?");
    cr_assert_str_eq(hg_pool_event_name((hg_pool_event_kind)-1), "?");
    cr_assert_str_eq(hg_retirement_name((hg_retirement)REASONS), "?");
    cr_assert_str_eq(hg_retirement_name(HG_RETIRED_BY_SERVER), "closed_by_server");
}
