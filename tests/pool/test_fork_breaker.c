/* A child's first use of a pool, and the breaker of its parent: a copy forgets the parent's probes, a shared
 * one hears of nothing that is the parent's to tell. A plain program, because Criterion forks itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "tests/pool/one_pool.h"

enum { CHILD_SECONDS = 100 };

static char shared_name[64];
static bool comes_back; /* the hook calls into the pool */
static int transitions; /* that it heard of */

static void on_event(void *arg, const struct hg_pool_event *event)
{
    (void)arg;
    if (event->kind != HG_EVENT_BREAKER)
        return;
    transitions++;
    if (comes_back)
        require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
}

/* A pool whose breaker has been opened, and half-opens with its next call; `probes` of them close it.
 * shared: the breaker's name; NULL: it is the pool's own. */
static void open_half(const char *shared, unsigned probes)
{
    char json[600], name[80] = "";
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    options.event = on_event;
    if (shared)
        snprintf(name, sizeof name, "\"shared\": \"%s\", ", shared);
    snprintf(json, sizeof json,
             "{\"breaker\": {%s\"recovery_timeout\": \"10ms\", "
             "\"half_open_max_calls\": %u, \"success_threshold\": %u, \"probe_lease\": \"10m\"}, "
             "\"pool\": {\"max_size\": 2}, " PATIENT "}",
             name, probes, probes);
    pool = open_pool_with(&options, json);
    hg_breaker_trip(hg_pool_breaker(pool));
    while (hg_breaker_retry_after(hg_pool_breaker(pool)) > 0)
        sleep_ms(1);
    comes_back = false;
}

static struct hg_breaker_snapshot breaker_now(void)
{
    struct hg_breaker_snapshot seen = { .size = sizeof seen };
    hg_breaker_take_snapshot(hg_pool_breaker(pool), &seen);
    return seen;
}

static void expect_half_open(unsigned issued, unsigned succeeded)
{
    struct hg_breaker_snapshot seen = breaker_now();
    if (seen.state != HG_BREAKER_HALF_OPEN || seen.probes_issued != issued ||
        seen.probes_succeeded != succeeded)
        fprintf(stderr, "%s, %u probes issued, %u went well\n", hg_breaker_state_name(seen.state),
                (unsigned)seen.probes_issued, (unsigned)seen.probes_succeeded);
    require(seen.state == HG_BREAKER_HALF_OPEN);
    require(seen.probes_issued == issued && seen.probes_succeeded == succeeded);
}

static void see_it_end_well(pid_t child)
{
    int status = -1;
    require(waitpid(child, &status, 0) == child);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void in_child(void (*body)(void))
{
    fflush(NULL);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        alarm(CHILD_SECONDS);
        body();
        close_pool(pool);
        fflush(NULL);
        _exit(0);
    }
    see_it_end_well(child);
}

/* --- a copy --- */

static void call_at_once(void)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = hg_command(pool, NULL, &err, "PING");
    if (status != HG_OK)
        fprintf(stderr, "child: %s\n", err.message);
    require(status == HG_OK);
    require(breaker_now().state == HG_BREAKER_CLOSED);
}

static void call_with_a_hook_that_calls(void)
{
    comes_back = true;
    transitions = 0;
    call_at_once();
    require(transitions == 1);
}

static void a_copy_does_not_await_the_parents_probes(void)
{
    open_half(NULL, 1);
    hg_lease *probe = acquire();
    expect_half_open(1, 0);
    in_child(call_at_once);
    in_child(call_with_a_hook_that_calls);
    expect_half_open(1, 0);
    hg_release(probe, HG_OK);
    require(breaker_now().state == HG_BREAKER_CLOSED);
    close_pool(pool);
}

static void probe_once(void)
{
    require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
    expect_half_open(1, 1);
}

static void a_copy_that_awaits_none_is_probed(void)
{
    open_half(NULL, 2);
    in_child(probe_once);
    close_pool(pool);
}

/* --- a shared one --- */

static void probe_beside_the_parents(void)
{
    require(hg_command(pool, NULL, NULL, "PING") == HG_OK);
    expect_half_open(2, 1);
}

static void a_shared_one_is_not_closed_by_a_child(void)
{
    open_half(shared_name, 3);
    hg_lease *probe = acquire();
    uint32_t generation = breaker_now().generation;
    expect_half_open(1, 0);
    in_child(probe_beside_the_parents);
    expect_half_open(2, 1);
    require(breaker_now().generation == generation);
    hg_release(probe, HG_OK);
    expect_half_open(2, 2);
    close_pool(pool);
    require(hg_breaker_unlink_shared(shared_name, NULL) == HG_OK);
}

/* The function of a probe forks, and returns in both processes. */
static hg_status fork_inside(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    pid_t *child = arg;
    fflush(NULL);
    *child = fork();
    require(*child >= 0);
    if (*child == 0) {
        alarm(CHILD_SECONDS);
        return HG_OK;
    }
    see_it_end_well(*child);
    expect_half_open(1, 0);
    return hg_lease_command(lease, NULL, attempt->error, "PING");
}

static void a_probe_that_forks_is_told_of_once(void)
{
    pid_t child;
    open_half(shared_name, 1);
    require(hg_call(pool, NULL, fork_inside, &child, NULL) == HG_OK);
    if (child == 0)
        _exit(0);
    require(breaker_now().state == HG_BREAKER_CLOSED);
    close_pool(pool);
    require(hg_breaker_unlink_shared(shared_name, NULL) == HG_OK);
}

/* Also of a test that fails, and nothing if it is gone. */
static void leave_no_name(void)
{
    (void)hg_breaker_unlink_shared(shared_name, NULL);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "a copy does not await the parent's probes", a_copy_does_not_await_the_parents_probes },
        { "a copy that awaits none is probed", a_copy_that_awaits_none_is_probed },
        { "a shared one is not closed by a child", a_shared_one_is_not_closed_by_a_child },
        { "a probe that forks is told of once", a_probe_that_forks_is_told_of_once },
    };
    snprintf(shared_name, sizeof shared_name, "/test.fork.%d.%lld", (int)getpid(),
             (long long)hgi_now_ns());
    if (atexit(leave_no_name) != 0)
        return 1;
    run_named_tests(tests, sizeof tests / sizeof tests[0]);
    return 0;
}
