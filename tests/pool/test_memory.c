/* A pool when memory ends, or threads, or descriptors: each allocation fails in its turn, once and from
 * then on, and each time the result is an error that says so, or what it would have been without it.
 * Nothing is leaked, and when there is memory again the pool goes on.
 *
 * The linker puts the functions below in the place of those that the library calls. hiredis is a shared
 * library: 1.x is told to use them too; 0.14.1 cannot be told, and ends the process where it finds none.
 * The pool's threads allocate when they like, so what fails is told apart by thread: the caller's, or the
 * pool's own. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "tests/pool/one_pool.h"

/* The linker's names for the two sides of a wrapped function.
 * NOLINTBEGIN(readability-identifier-naming) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *at);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *),
                          void *arg);
int __real_epoll_create1(int flags);
int __real_eventfd(unsigned count, int flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *at);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *),
                          void *arg);
int __wrap_epoll_create1(int flags);
int __wrap_eventfd(unsigned count, int flags);

enum side { NOBODY, CALLER, POOL };

static _Thread_local bool is_caller; /* this is the test's own thread */
static _Atomic enum side whose;      /* allocations are counted, and fail */
static _Atomic long asked;           /* of them, so far */
static long fail_at;                 /* this one fails; 0: none */
static bool for_ever;                /* and so do all after it */
static _Atomic long live;            /* allocated and not freed, of whomever */

static bool is_refused(void)
{
    if (atomic_load(&whose) != (is_caller ? CALLER : POOL))
        return false;
    long number = atomic_fetch_add(&asked, 1) + 1;
    return fail_at > 0 && (number == fail_at || (for_ever && number > fail_at));
}

static void *counted(void *at)
{
    if (at)
        atomic_fetch_add(&live, 1);
    return at;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *at, size_t size)
{
    if (is_refused())
        return NULL;
    void *moved = __real_realloc(at, size);
    return at ? moved : counted(moved);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return is_refused() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *at)
{
    if (at)
        atomic_fetch_sub(&live, 1);
    __real_free(at);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *),
                          void *arg)
{
    return is_refused() ? EAGAIN : __real_pthread_create(thread, attr, body, arg);
}

static int none_left(void)
{
    errno = EMFILE;
    return -1;
}

int __wrap_epoll_create1(int flags)
{
    return is_refused() ? none_left() : __real_epoll_create1(flags);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return is_refused() ? none_left() : __real_eventfd(count, flags);
}

/* NOLINTEND(readability-identifier-naming) */

#if HIREDIS_MAJOR >= 1
static char *copy(const char *text)
{
    char *made = __wrap_malloc(strlen(text) + 1);
    return made ? strcpy(made, text) : NULL;
}
#endif

static void tell_the_shared_libraries(void)
{
    cJSON_Hooks hooks = { .malloc_fn = __wrap_malloc, .free_fn = __wrap_free };
    cJSON_InitHooks(&hooks);
#if HIREDIS_MAJOR >= 1
    hiredisAllocFuncs functions = { .mallocFn = __wrap_malloc,
                                    .callocFn = __wrap_calloc,
                                    .reallocFn = __wrap_realloc,
                                    .strdupFn = copy,
                                    .freeFn = __wrap_free };
    hiredisSetAllocators(&functions);
#endif
}

/* --- what is done while memory ends --- */

static hg_policy *policy;      /* of the pool */
static hg_policy *next_policy; /* another one, with more dialers */

static hg_status open_it(struct hg_error *err)
{
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    pool = (hg_pool *)err; /* anything but NULL */
    hg_status status = hg_pool_open(&pool, &options, policy, err);
    require((pool != NULL) == (status == HG_OK));
    return status;
}

static hg_status call_it(struct hg_error *err)
{
    redisReply *reply;
    hg_status status = hg_command(pool, &reply, err, "ECHO %s", "well");
    require((reply != NULL) == (status == HG_OK));
    freeReplyObject(reply);
    return status;
}

static hg_status ask_for_many_keys(struct hg_error *err)
{
    enum { KEYS = 100 };
    const char *argv[KEYS + 1] = { "MGET" };
    redisReply *reply;
    for (int i = 1; i <= KEYS; i++)
        argv[i] = "key";
    hg_status status = hg_command_argv(pool, NULL, &reply, err, KEYS + 1, argv, NULL);
    require(status != HG_OK || reply->elements == KEYS);
    freeReplyObject(reply);
    return status;
}

static hg_status run_a_pipeline(hg_lease *lease, struct hg_error *err)
{
    static char value[3000];
    const char *argv[] = { "ECHO", value };
    const size_t lengths[] = { 4, sizeof value };
    hg_status status = HG_OK;
    for (int i = 0; i < 3 && status == HG_OK; i++)
        status = hg_lease_append_argv(lease, err, 2, argv, lengths);
    for (int i = 0; i < 3 && status == HG_OK; i++) {
        redisReply *reply;
        status = hg_lease_reply(lease, &reply, err);
        require(status != HG_OK || reply->len == sizeof value);
        freeReplyObject(reply);
    }
    return status;
}

static hg_status lease_it(struct hg_error *err)
{
    hg_lease *lease;
    hg_status status = hg_acquire(pool, &lease, NULL, err);
    require((lease != NULL) == (status == HG_OK));
    if (status == HG_OK)
        status = run_a_pipeline(lease, err);
    hg_release(lease, status);
    return status;
}

static hg_status pipeline_of_a_call(hg_lease *lease, void *arg, struct hg_attempt *attempt)
{
    (void)arg;
    return run_a_pipeline(lease, attempt->error);
}

static hg_status call_a_function(struct hg_error *err)
{
    return hg_call(pool, NULL, pipeline_of_a_call, NULL, err);
}

static hg_status keep_json(struct hg_error *err)
{
    cJSON *value = NULL;
    hg_status status = hg_command(pool, NULL, err, "SET json %s", "{\"a\":[1,2,{\"b\":\"c\"}]}");
    if (status == HG_OK)
        status = hg_json_get(pool, "json", &value, err);
    require((value != NULL) == (status == HG_OK));
    if (status == HG_OK)
        status = hg_json_set(pool, "json", value, 0, err);
    cJSON_Delete(value);
    return status;
}

static hg_status reload_it(struct hg_error *err)
{
    return hg_pool_reload(pool, next_policy, err);
}

static bool nothing_is_mended(void *arg)
{
    (void)arg;
    return stats_now().mending == 0;
}

/* In the pool's own threads, and so nobody is told. */
static hg_status have_it_mended(struct hg_error *err)
{
    hg_lease *lease;
    (void)err;
    enum side mended_by = atomic_exchange(&whose, NOBODY);
    require(hg_acquire(pool, &lease, NULL, NULL) == HG_OK);
    require(hg_lease_command(lease, NULL, NULL, "MULTI") == HG_OK);
    atomic_store(&asked, 0);
    atomic_store(&whose, mended_by);
    hg_release(lease, HG_OK);
    wait_for(nothing_is_mended, NULL, "it is mended, or closed");
    return HG_OK;
}

/* --- each in turn --- */

struct thing {
    const char *name;
    hg_status (*run)(struct hg_error *err);
    enum side side;
    bool is_opened; /* the pool, before; else the thing does it */
    bool in_child;  /* of a fork() */
};

static bool nobody_has_one(void *arg)
{
    (void)arg;
    struct hg_pool_stats stats = stats_now();
    return stats.leased == 0 && stats.waiting == 0;
}

static void expect_that_all_is_well(void)
{
    struct hg_error err = HG_ERROR_INIT;
    if (call_it(&err) != HG_OK)
        fprintf(stderr, "afterwards: %s\n", err.message);
    require(call_it(&err) == HG_OK);
    wait_for(nobody_has_one, NULL, "nobody has a connection, or waits for one");
}

/* Do the thing with the failure that is set. True: something did fail. */
static bool do_it(const struct thing *thing)
{
    struct hg_error err = HG_ERROR_INIT;
    atomic_store(&asked, 0);
    atomic_store(&whose, thing->side);
    hg_status status = thing->run(&err);
    atomic_store(&whose, NOBODY);
    bool failed = fail_at > 0 && atomic_load(&asked) >= fail_at;
    bool says_so = err.type == HG_ERR_NO_MEMORY || strstr(err.message, "out of memory");
    if (status != HG_OK && !(failed && says_so))
        fprintf(stderr, "%s, %ld: %s: %s\n", thing->name, fail_at, hg_status_name(status),
                err.message);
    require(status == HG_OK || (failed && says_so && err.type == status));
    return failed;
}

static bool try_in_child(const struct thing *thing)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        alarm(100);
        bool failed = do_it(thing);
        expect_that_all_is_well();
        close_pool(pool);
        fflush(NULL);
        _exit(failed ? 10 : 11);
    }
    require(waitpid(child, &status, 0) == child);
    require(WIFEXITED(status) && (WEXITSTATUS(status) == 10 || WEXITSTATUS(status) == 11));
    return WEXITSTATUS(status) == 10;
}

static bool try_once(const struct thing *thing)
{
    struct hg_error err = HG_ERROR_INIT;
    const long before = atomic_load(&live);
    pool = NULL;
    if (thing->is_opened)
        require(open_it(&err) == HG_OK);
    bool failed = thing->in_child ? try_in_child(thing) : do_it(thing);
    if (pool) {
        expect_that_all_is_well();
        close_pool(pool);
    }
    if (atomic_load(&live) != before)
        fprintf(stderr, "%s, %ld: %ld blocks are left over\n", thing->name, fail_at,
                atomic_load(&live) - before);
    require(atomic_load(&live) == before);
    return failed;
}

static void fail_each_in_turn(const struct thing *thing)
{
    long most = 0;
    for (int both = 0; both < 2; both++) {
        long number = 0;
        for_ever = both;
        do
            fail_at = ++number;
        while (try_once(thing));
        if (number > most)
            most = number;
    }
    fail_at = 0;
    (void)try_once(thing);
    printf("%s: %ld fail in turn\n", thing->name, most - 1);
    fflush(stdout);
    require(most > 1);
}

int main(void)
{
    static const struct thing things[] = {
        { "opening a pool", open_it, CALLER, false, false },
        { "a first call", call_it, CALLER, true, false },
        { "many keys", ask_for_many_keys, CALLER, true, false },
        { "a lease and a pipeline", lease_it, CALLER, true, false },
        { "a function", call_a_function, CALLER, true, false },
        { "JSON", keep_json, CALLER, true, false },
        { "another policy", reload_it, CALLER, true, false },
        { "a dial", call_it, POOL, true, false },
        { "mending", have_it_mended, POOL, true, false },
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* as for test_pool_fork */
        { "a child's first call", call_it, CALLER, true, true },
#endif
    };
    is_caller = true;
    tell_the_shared_libraries();
    server = start_server();
    policy = parse_policy("{\"pool\": {\"max_size\": 2, \"min_idle\": 0}, " PATIENT "}");
    next_policy = parse_policy("{\"pool\": {\"max_size\": 3, \"min_idle\": 0, \"max_connecting\": "
                               "4}, " PATIENT "}");
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
        fail_each_in_turn(&things[i]);
    hg_policy_drop(next_policy);
    hg_policy_drop(policy);
    hgi_private_server_free(server);
    return 0;
}
