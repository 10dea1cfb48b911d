/* hg_run(): the attempt loop for a function of the user's own (the recovery manager).
 *
 * A thin user of run.c: it gives the function its attempt, and judges the status that comes back by
 * the policy's rules for types and server codes. All calls that wait for a condition meet in one gate
 * of the process: what they wait for tells them apart.
 */
#include <herdgate/policy.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/sized.h"
#include "policy/run.h"

/* No resources but its mutex; rooms exist only while somebody waits in them. */
static struct hgi_gate gate = { .mutex = PTHREAD_MUTEX_INITIALIZER };
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

/* Whoever waited in the parent waits there; a child that went into one of those rooms would find a
 * poller who is none of its threads, and the mutex may have been somebody's. */
static void on_fork_in_child(void)
{
    hgi_gate_forget(&gate);
}

static void watch_forks(void)
{
    /* Fails for want of memory only, and then harms children alone that wait for what others of their
     * parent's threads waited for at the fork. */
    (void)pthread_atfork(NULL, NULL, on_fork_in_child);
}

struct user_call {
    const struct hgi_settings *settings;
    hg_run_fn fn;
    void *arg;
};

static void user_attempt(void *arg, struct hgi_attempt *attempt)
{
    const struct user_call *user = arg;
    int64_t began_ns = hgi_now_ns();
    int64_t deadline_ns = hgi_deadline_after(began_ns, attempt->timeout_ns);
    struct hg_attempt view = {
        .size = sizeof view,
        .number = attempt->number,
        .max_attempts = attempt->max_attempts,
        .deadline_ns =
            deadline_ns < attempt->call_deadline_ns ? deadline_ns : attempt->call_deadline_ns,
        .error = attempt->error,
    };
    hgi_error_clear(attempt->error);
    hg_status status = user->fn(user->arg, &view);
    attempt->ended_ns = hgi_now_ns();
    attempt->server_ns = attempt->ended_ns - began_ns;
    if (status >= 0)
        return;
    attempt->status = status;
    attempt->retry_after_ns = view.retry_after_ns;
    hgi_classify_status(user->settings, status, attempt->error->server_code, &attempt->verdict);
    attempt->verdict.outcome = view.outcome;
    if (hg_outcome_name(view.outcome)[0] == '?') /* no outcome at all: it says nothing */
        attempt->verdict.outcome = HG_OUTCOME_UNKNOWN;
    if (!attempt->error->message[0])
        hgi_error_message(attempt->error, "attempt %u returned %s", (unsigned)attempt->number,
                          hg_status_name(status));
}

hg_status hg_run(hg_policy *policy, const struct hg_run_options *options, hg_run_fn fn, void *arg,
                 struct hg_error *err)
{
    if (!policy || !fn)
        return hgi_error_set(err, HG_ERR_VALIDATION, "hg_run: %s is NULL; give one",
                             policy ? "fn" : "policy");
    static const struct hgi_sized form = { .known = sizeof *options,
                                           .least = sizeof options->size,
                                           .init = "HG_RUN_OPTIONS_INIT" };
    struct hg_run_options given = HG_RUN_OPTIONS_INIT;
    hg_status status = hgi_sized_read(&given, options, &form, "hg_run", err);
    if (status < 0)
        return status;
    const struct hgi_settings *settings = &policy->settings;
    const char *class_name = given.op_class ? given.op_class : "write_once";
    const struct hgi_class *op_class = hgi_settings_class(settings, class_name);
    if (!op_class)
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "hg_run: the policy has no class \"%s\"; add it to \"classes\" or use a "
            "built-in one such as \"read\"",
            class_name);
    (void)pthread_once(&watch_once, watch_forks);
    struct user_call user = { .settings = settings, .fn = fn, .arg = arg };
    struct hgi_call call = {
        .env = &hgi_env_real,
        .settings = settings,
        .op_class = op_class,
        .operation = given.operation ? given.operation : "run",
        .key = given.key,
        .key_length = given.key ? strlen(given.key) : 0,
        .breaker = given.breaker,
        .budget = given.budget,
        .deadline_ns = given.deadline_ns,
        .gate = &gate,
        .condition = given.condition,
        .condition_arg = given.condition ? given.condition_arg : policy,
        .trace = given.trace,
        .log = given.log,
        .log_arg = given.log_arg,
        .untold = !err,
    };
    struct hg_error local;
    return hgi_run_loop(&call, user_attempt, &user, err ? err : &local);
}
