/* What is freed while a connection is made holds no password: neither the commands of its set-up, nor
 * what they were put together in. */
#include <criterion/criterion.h>

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "tests/pool/one_pool.h"

#define SECRET "open-sesame-4711"

static _Atomic bool watching;
static _Atomic unsigned looks, finds;

static void look_at(void *block, size_t size)
{
    if (!block || !atomic_load(&watching))
        return;
    atomic_fetch_add(&looks, 1);
    if (memmem(block, size, SECRET, sizeof SECRET - 1))
        atomic_fetch_add(&finds, 1);
}

/* In place of what the library calls; hiredis's own freeing of a formatted command is not seen otherwise.
 */
/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
    look_at(block, malloc_usable_size(block));
    __real_free(block);
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
    look_at(block, malloc_usable_size(block));
    return __real_realloc(block, size);
}

void __real_redisFreeCommand(char *command);
void __wrap_redisFreeCommand(char *command);
void __wrap_redisFreeCommand(char *command)
{
    look_at(command, malloc_usable_size(command));
    __real_redisFreeCommand(command);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

static void set_up(void)
{
    struct hgi_problem problem;
    set_up_server();
    redisReply *reply =
        hgi_private_server_command(server, &problem, "ACL SETUSER app on >%s ~* +@all", SECRET);
    cr_assert(reply && reply->type == REDIS_REPLY_STATUS, "%s", problem.text);
    freeReplyObject(reply);
}

TestSuite(secrets, .init = set_up, .fini = tear_down_both, .timeout = 120);

/* One connection, made and used while the frees are watched. */
static void connect_under(const char *server_keys)
{
    char json[1600];
    struct hg_error err = HG_ERROR_INIT;
    snprintf(json, sizeof json,
             "{\"server\": {\"url\": \"%s\", \"username\": \"app\", \"password\": \"" SECRET
             "\"%s}, "
             "\"pool\": {\"max_size\": 1, \"min_idle\": 0}, " PATIENT "}",
             hgi_private_server_url(server), server_keys);
    pool = open_pool(NULL, json);
    redisReply *reply;
    atomic_store(&watching, true);
    cr_assert_eq(hg_command(pool, &reply, &err, "ACL WHOAMI"), HG_OK, "%s", err.message);
    atomic_store(&watching, false);
    cr_assert_str_eq(reply->str, "app");
    freeReplyObject(reply);
    cr_assert_gt(atomic_load(&looks), 0);
    cr_assert_eq(atomic_load(&finds), 0);
}

Test(secrets, a_set_up_leaves_no_password_in_freed_memory)
{
    connect_under("");
}

Test(secrets, a_set_up_that_outgrows_its_buffer_leaves_none_either)
{
    char keys[1200] = ", \"setup\": [[\"SET\", \"k\", \"";
    memset(keys + strlen(keys), 'x', 950);
    strcat(keys, "\"]]");
    connect_under(keys);
}

#if HIREDIS_MAJOR >= 1
Test(secrets, hello_leaves_none_either)
{
    connect_under(", \"resp\": 3");
}
#endif
